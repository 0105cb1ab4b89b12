import { readdirSync } from "node:fs";
import { quoteForShell } from "@berth/kinds";
import type { Tools } from "./host.ts";
import { mountArguments, type MountNeeds } from "./mounts.ts";

/**
 * The same sandbox without bubblewrap: util-linux' `unshare` makes the namespaces, and sh lays the mounts that bubblewrap's
 * arguments describe below a tmpfs that becomes the root. Undefined where there is no place for that tmpfs.
 */
export function unshareWrapping(
  nodeName: string,
  needs: MountNeeds,
  namespaces: "privileged" | "user",
  tools: Tools,
): string[] | undefined {
  const place = buildingPlace();
  if (place === undefined) return undefined;
  const user = namespaces === "user" ? ["--user", "--map-current-user", "--keep-caps"] : [];
  const script = `${setup(place, mountArguments(needs), nodeName)}\nexec "$@"`;
  return [tools.unshare!, ...user, "--mount", "--ipc", "--uts", "--", tools.shell, "-c", script, "berth-sandbox"];
}

/** An empty directory that every machine has: what is mounted over it hides nothing. */
function buildingPlace(): string | undefined {
  return ["/media", "/mnt", "/srv", "/opt", "/boot", "/home"].find((path) => {
    try {
      return readdirSync(path).length === 0;
    } catch {
      return false;
    }
  });
}

function setup(place: string, words: string[], nodeName: string): string {
  const lines = [
    "set -e",
    // The job's host name is a courtesy; without the program and the file it keeps the machine's.
    `hostname ${quoteForShell(nodeName)} 2>/dev/null || { echo ${quoteForShell(nodeName)} >/proc/sys/kernel/hostname; } 2>/dev/null || :`,
    `mount -t tmpfs -o mode=0755 berth ${place}`,
    `cd ${place}`,
    `berth_point() { if [ -d "$1" ]; then mkdir -p "./$2"; else mkdir -p "./\${2%/*}"; [ -e "./$2" ] || : >"./$2"; fi; }`,
    `berth_bind() { berth_point "$1" "$2"; mount --rbind "$1" "./$2"; }`,
    // A mount that the kernel has locked keeps its other flags when it becomes read-only.
    `berth_read_only() {`,
    `  mount -o remount,bind,ro "./$1" 2>/dev/null && return`,
    `  while read -r berth_device berth_path berth_type berth_options berth_rest; do`,
    `    [ "$berth_path" != "${place}$1" ] || berth_last=$berth_options`,
    `  done </proc/self/mounts`,
    `  mount -o "remount,bind,ro,$berth_last" "./$1"`,
    `}`,
  ];
  for (let index = 0; index < words.length;) {
    const [option, first, second] = words.slice(index, index + 3);
    if (option === "--tmpfs") {
      const path = quoteForShell(`.${first!}`);
      lines.push(`mkdir -p ${path}`, `mount -t tmpfs -o mode=0755 berth ${path}`);
      index += 2;
      continue;
    }
    if (option === "--dir" || option === "--remount-ro") {
      const path = quoteForShell(`.${first!}`);
      lines.push(option === "--dir" ? `mkdir -p ${path}` : `mount -o remount,bind,ro ${path} 2>/dev/null || :`);
      index += 2;
      continue;
    }
    const source = quoteForShell(first!);
    const target = quoteForShell(second!);
    if (option === "--symlink") lines.push(`ln -s ${source} ${quoteForShell(`.${second!}`)}`);
    else if (first === "/" && second === "/") lines.push(...wholeMachine(place));
    else {
      lines.push(`berth_bind ${source} ${target}`);
      if (option === "--ro-bind") lines.push(`berth_read_only ${target}`);
    }
    index += 3;
  }
  // The old root goes on top of the new one, and away; `.` is then the new one.
  lines.push("pivot_root . .", "umount -l .", "cd /", "mount -o remount,bind,ro / 2>/dev/null || :", "set +e");
  return lines.join("\n");
}

/** The whole machine at once means its top entries: the root itself is the tmpfs. */
function wholeMachine(place: string): string[] {
  return [
    `for berth_entry in /* /.[!.]*; do`,
    `  case $berth_entry in /dev | /proc) continue ;; esac`,
    `  if [ -L "$berth_entry" ]; then ln -s "$(readlink "$berth_entry")" ".$berth_entry"`,
    `  elif [ "$berth_entry" = ${place} ]; then mkdir ".$berth_entry"`,
    `  elif [ -e "$berth_entry" ]; then berth_bind "$berth_entry" "$berth_entry"; berth_read_only "$berth_entry"; fi`,
    `done`,
  ];
}
