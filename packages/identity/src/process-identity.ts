/** Which process is meant: a pid alone is given again to another after some time, or after the next boot. */
import { readFileSync } from "node:fs";

export interface ProcessIdentity {
  pid: number;
  /** Clock ticks from boot to the start of the process (field 22 of /proc/PID/stat). */
  startTime: string;
  bootId: string;
}

/**
 * The identity of a living process; undefined when there is none of this pid. A zombie counts as none, once all of its threads have ended:
 * until then its files and ports are open.
 */
export function processIdentity(pid: number = process.pid): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in parentheses and may contain anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const startTime = fields[19];
    if (startTime === undefined || (fields[0] === "Z" && Number(fields[17]) <= 1)) return undefined;
    return { pid, startTime, bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim() };
  } catch {
    return undefined;
  }
}

/** Whether exactly this process still lives. */
export function isAlive(identity: ProcessIdentity): boolean {
  const found = processIdentity(identity.pid);
  return found !== undefined && found.startTime === identity.startTime && found.bootId === identity.bootId;
}

/** Reads an identity out of parsed JSON; undefined when it is none. */
export function asProcessIdentity(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { pid, startTime, bootId } = value as Record<string, unknown>;
  if (!Number.isSafeInteger(pid) || typeof startTime !== "string" || typeof bootId !== "string") return undefined;
  return { pid: pid as number, startTime, bootId };
}
