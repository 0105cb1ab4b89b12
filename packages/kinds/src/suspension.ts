/** What stands still: who asked for it, and what nodes tell of it. See docs/runtime.md. */
import type { Condition } from "@berth/machinery";
import { annotations, suspensionCondition } from "./constants.ts";
import { type IndexSet, parseIndexList } from "./index-list.ts";
import type { Pod, PodStatus } from "./pod.ts";
import type { Workload } from "./workload.ts";

/** Of a Workload, from annotation `berth.dev/suspend` (`WHO TIME [INDICES]`). */
export interface SuspendRequest {
  by: string;
  /** RFC 3339. */
  time: string;
  /** Tasks of an array; absent: all of it. */
  tasks?: IndexSet;
}

/** Who asked that a Workload stand still; undefined where nobody does. Throws in words where the annotation cannot be read. */
export function suspendRequestOf({ metadata }: Pick<Workload, "metadata">): SuspendRequest | undefined {
  const value = metadata.annotations?.[annotations.suspend];
  if (value === undefined) return undefined;
  const [by = "", time = "", indices] = value.trim().split(/\s+/);
  if (by === "" || Number.isNaN(Date.parse(time))) {
    throw new Error(
      `annotation ${annotations.suspend}: "${value}" is not like "ada 2026-11-22T14:05:00Z" or "ada 2026-11-22T14:05:00Z 3-5"`,
    );
  }
  return { by, time, ...(indices === undefined ? {} : { tasks: parseIndexList(indices) }) };
}

export function formatSuspendRequest({ by, time, tasks }: { by: string; time: string; tasks?: string }): string {
  return `${by} ${time}${tasks === undefined ? "" : ` ${tasks}`}`;
}

/** Of a pod, from annotation `berth.dev/suspend`: for which job it stands still, and which operator wants it to. */
export interface SuspendMark {
  job?: number;
  by?: string;
}

export function suspendMarkOf({ metadata }: Pick<Pod, "metadata">): SuspendMark {
  const mark: SuspendMark = {};
  for (const word of (metadata.annotations?.[annotations.suspend] ?? "").split(" ")) {
    const job = /^job\/(\d+)$/.exec(word)?.[1];
    if (job !== undefined) mark.job = Number(job);
    else if (word !== "") mark.by = word;
  }
  return mark;
}

/** Empty: it is to go on. */
export function formatSuspendMark({ job, by }: SuspendMark): string {
  return [job === undefined ? "" : `job/${job}`, by ?? ""].filter((word) => word !== "").join(" ");
}

/** What a node tells of a pod that was suspended since it began. */
export interface SuspensionReport {
  isSuspended: boolean;
  /** RFC 3339: since when that is so. */
  since: string;
  /** For how long it stood still before `since`. */
  seconds: number;
}

export function suspensionReportOf(status: PodStatus | undefined): SuspensionReport | undefined {
  const told = status?.conditions?.find(({ type }) => type === suspensionCondition);
  if (told === undefined) return undefined;
  const seconds = Number(/^\d+/.exec(told.message ?? "")?.[0] ?? 0);
  return { isSuspended: told.status === "True", since: told.lastTransitionTime ?? "", seconds };
}

/** The condition that {@link suspensionReportOf} reads. */
export function suspensionConditionOf({ isSuspended, since, seconds }: SuspensionReport): Condition {
  return {
    type: suspensionCondition,
    status: isSuspended ? "True" : "False",
    reason: isSuspended ? "Suspended" : "Resumed",
    message: `${seconds} seconds ${isSuspended ? "before this" : "in all"}`,
    lastTransitionTime: since,
  };
}

/** For how long it stood still until a time (milliseconds since 1970), in whole seconds. */
export function suspendedSeconds(report: SuspensionReport | undefined, untilMs: number): number {
  if (report === undefined) return 0;
  const now = report.isSuspended ? Math.max(0, Math.floor((untilMs - Date.parse(report.since)) / 1000)) : 0;
  return report.seconds + (Number.isNaN(now) ? 0 : now);
}
