import { quoteForShell } from "@berth/kinds";
import type { Tools } from "./host.ts";
import { mountArguments, type MountNeeds } from "./mounts.ts";

/**
 * The same sandbox without bubblewrap: util-linux' `unshare` makes the namespaces and sh lays the mounts that bubblewrap's
 * arguments describe, below a tmpfs that becomes the root.
 */
export function unshareWrapping(
  nodeName: string,
  needs: MountNeeds,
  namespaces: "privileged" | "user",
  tools: Tools,
): string[] {
  const user = namespaces === "user" ? ["--user", "--map-current-user", "--keep-caps"] : [];
  const script = `${setup(mountArguments(needs), nodeName)}\nexec "$@"`;
  return [tools.unshare!, ...user, "--mount", "--ipc", "--uts", "--", tools.shell, "-c", script, "berth-sandbox"];
}

const newRoot = "/tmp";

function setup(words: string[], nodeName: string): string {
  const lines = [
    "set -e",
    `hostname ${quoteForShell(nodeName)} 2>/dev/null || echo ${quoteForShell(nodeName)} >/proc/sys/kernel/hostname || :`,
    // The old root stays reachable below the new one until the end: sources are taken from there.
    `mount -t tmpfs -o mode=0755 berth ${newRoot}`,
    `mkdir ${newRoot}/.old`,
    `cd ${newRoot}`,
    "pivot_root . .old",
    "cd /",
    `berth_point() { if [ -d "/.old$1" ] || [ "$3" = directory ]; then mkdir -p "$2"; else mkdir -p "\${2%/*}"; [ -e "$2" ] || : >"$2"; fi; }`,
    `berth_bind() { [ "$2" = / ] || berth_point "$1" "$2"; mount --rbind "/.old$1" "$2"; }`,
    `berth_read_only() { mount -o remount,bind,ro "$1" 2>/dev/null || mount -o "remount,bind,ro,$(berth_flags "$1")" "$1"; }`,
    `berth_flags() { while read -r berth_device berth_path berth_type berth_options berth_rest; do [ "$berth_path" = "$1" ] && berth_last=$berth_options; done </proc/self/mounts; echo "$berth_last"; }`,
  ];
  for (let index = 0; index < words.length;) {
    const [option, first, second] = words.slice(index, index + 3);
    if (option === "--tmpfs") {
      lines.push(`mkdir -p ${quoteForShell(first!)}`, `mount -t tmpfs -o mode=0755 berth ${quoteForShell(first!)}`);
      index += 2;
      continue;
    }
    const source = quoteForShell(first!);
    const target = quoteForShell(second!);
    if (option === "--symlink") lines.push(`ln -s ${source} ${target}`);
    else if (first === "/" && second === "/") {
      // The whole machine at once: its top entries, for the root itself is the tmpfs.
      lines.push(
        `for berth_entry in /.old/* /.old/.[!.]*; do`,
        `  berth_name=/\${berth_entry##*/}`,
        `  case $berth_name in /.old | /dev | /proc) continue ;; esac`,
        `  if [ -L "$berth_entry" ]; then ln -s "$(readlink "$berth_entry")" "$berth_name"`,
        `  elif [ -e "$berth_entry" ]; then berth_bind "$berth_name" "$berth_name"; berth_read_only "$berth_name"; fi`,
        `done`,
      );
    } else {
      lines.push(`berth_bind ${source} ${target}`);
      if (option === "--ro-bind") lines.push(`berth_read_only ${target}`);
    }
    index += 3;
  }
  lines.push(
    "umount -l /.old",
    "rmdir /.old 2>/dev/null || :",
    "mount -o remount,ro / 2>/dev/null || :",
    "set +e",
    "cd /",
  );
  return lines.join("\n");
}
