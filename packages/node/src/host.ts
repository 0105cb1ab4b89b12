import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/** Programs that the node may use, by absolute path; absent where the machine has none. */
export interface Tools {
  /** A POSIX shell that starts fast and tells signals from exit codes; dash where there is one. */
  shell: string;
  setsid?: string;
  setpriv?: string;
  unshare?: string;
  nsenter?: string;
  bwrap?: string;
  taskset?: string;
  script?: string;
  getent?: string;
}

const searchPath = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"];

function find(name: string): string | undefined {
  for (const directory of searchPath) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not there; the next place may have it.
    }
  }
  return undefined;
}

let tools: Tools | undefined;

export function hostTools(): Tools {
  tools ??= {
    shell: find("dash") ?? find("sh") ?? "/bin/sh",
    setsid: find("setsid"),
    setpriv: find("setpriv"),
    unshare: find("unshare"),
    nsenter: find("nsenter"),
    bwrap: find("bwrap"),
    taskset: find("taskset"),
    script: find("script"),
    getent: find("getent"),
  };
  return tools;
}

/** Changes with each start of the machine: a pid means nothing without it. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Seconds since the machine started, as launchers and the watchdog read it. */
export function uptimeSeconds(): number {
  return Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
}

/** Numbers of the cores that this process may use. */
export function usableCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  if (list === undefined) return Array.from({ length: availableParallelism() }, (_, core) => core);
  return list.split(",").flatMap((range) => {
    const [first, last] = range.split("-").map(Number);
    return Array.from({ length: (last ?? first!) - first! + 1 }, (_, index) => first! + index);
  });
}

export interface LocalUser {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
}

const users = new Map<number, LocalUser | undefined>();

/** The machine's entry for a uid, by `getent` so that LDAP and SSSD are asked too; remembered. */
export function userOf(uid: number): LocalUser | undefined {
  if (users.has(uid)) return users.get(uid);
  const user = parseUser(passwdLine(uid));
  users.set(uid, user);
  return user;
}

function passwdLine(uid: number): string | undefined {
  try {
    const local = readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((line) => line.split(":")[2] === String(uid));
    if (local !== undefined) return local;
  } catch {
    // A machine without /etc/passwd may still know its users by other means.
  }
  const { getent } = hostTools();
  if (getent === undefined) return undefined;
  const found = spawnSync(getent, ["passwd", String(uid)], { encoding: "utf8" });
  return found.status === 0 ? found.stdout.trim() : undefined;
}

function parseUser(line: string | undefined): LocalUser | undefined {
  const [name, , uid, gid, , home, shell] = line?.split(":") ?? [];
  if (name === undefined || uid === undefined || gid === undefined) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home: home || "/", shell: shell || "/bin/sh" };
}
