/**
 * Leases: a pod of an array that carries several of its short tasks in turn. All are of one attempt number; the pod is named and
 * labelled by the first. What became of them stands in a condition of the pod's status. See docs/runtime.md.
 */
import { type AttemptName, attemptOf } from "./attempts.ts";
import { annotations, leaseCondition } from "./constants.ts";
import type { Pod, PodStatus } from "./pod.ts";

export interface Lease {
  /** Ascending; two or more. */
  tasks: number[];
  /** The node begins no further task when so much time has passed since it began the first. */
  seconds: number;
}

/** How one task of a lease ended. */
export interface LeasedEnd {
  task: number;
  exitCode: number;
  /** Number of the signal that ended it. */
  signal?: number;
  /**
   * What ended it, where it did not end by itself: `timelimit`, `activedeadline`, `deleted` (its pod), `cancelled` (only it), `memory`,
   * `lost` (nothing is known but that it is gone); or why its script never began: `output`, `input`, `setup`.
   */
  ending?: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  milliseconds: number;
  cpuMilliseconds?: number;
  peakMemoryKibibytes?: number;
  /** Of `milliseconds`: for how long it stood still. */
  suspendedSeconds?: number;
}

export interface LeaseReport {
  ended: LeasedEnd[];
  running?: number;
  /** Not begun, and never will be by this pod: they wait again. */
  left: number[];
  /** Taken by another pod before: that one tells what became of them. */
  skipped: number[];
}

/** The lease that a pod carries; undefined of a pod of one task. */
export function leaseOf(pod: Pick<Pod, "metadata">): Lease | undefined {
  const tasks = pod.metadata.annotations?.[annotations.tasks];
  if (tasks === undefined) return undefined;
  return {
    tasks: parseTasks(tasks),
    seconds: Number(pod.metadata.annotations?.[annotations.leaseSeconds] ?? 1),
  };
}

/** The attempt that a pod runs now: of several tasks the one that it told last. Undefined where that is none, or not Berth's. */
export function runningAttemptOf(pod: Pod): AttemptName | undefined {
  const name = attemptOf(pod);
  if (name === undefined || leaseOf(pod) === undefined) return name;
  const report = leaseReportOf(pod.status);
  const task = report === undefined || report.ended.length === 0 ? (report?.running ?? name.task) : report.running;
  return task === undefined ? undefined : { ...name, task };
}

/** An index list of a few indices: sets are made for arrays as a whole, and cost with the largest index. */
export function formatTasks(tasks: Iterable<number>): string {
  const runs: string[] = [];
  let first = -1;
  let last = -2;
  const close = (): void => {
    if (first >= 0) runs.push(first === last ? `${first}` : `${first}-${last}`);
  };
  for (const task of [...tasks].sort((a, b) => a - b)) {
    if (task === last) continue;
    if (task !== last + 1) {
      close();
      first = task;
    }
    last = task;
  }
  close();
  return runs.join(",");
}

/** What {@link formatTasks} wrote, ascending. */
function parseTasks(text: string): number[] {
  const tasks: number[] = [];
  if (text === "") return tasks;
  for (const run of text.split(",")) {
    const [first, last = first] = run.split("-").map(Number) as [number, number?];
    for (let task = first; task <= last!; task += 1) tasks.push(task);
  }
  return tasks;
}

/** The condition's message: small, for it is written about once a second and holds up to 256 tasks. */
export function formatLeaseReport(report: LeaseReport): string {
  const base = report.ended[0]?.startedAt ?? 0;
  const ended = report.ended.map((end) =>
    [
      end.task,
      end.exitCode,
      end.startedAt - base,
      end.milliseconds,
      end.cpuMilliseconds ?? "",
      end.peakMemoryKibibytes ?? "",
      end.signal ?? "",
      end.ending ?? "",
      end.suspendedSeconds ?? "",
    ]
      .join(",")
      .replace(/,+$/, ""),
  );
  return JSON.stringify({
    ...(report.running === undefined ? {} : { running: report.running }),
    ...(report.left.length === 0 ? {} : { left: formatTasks(report.left) }),
    ...(report.skipped.length === 0 ? {} : { skipped: formatTasks(report.skipped) }),
    ...(ended.length === 0 ? {} : { base, ended: ended.join(" ") }),
  });
}

/** What the pod's status tells of its lease; undefined where it tells nothing yet. */
export function leaseReportOf(status: PodStatus | undefined): LeaseReport | undefined {
  const text = status?.conditions?.find(({ type }) => type === leaseCondition)?.message;
  if (text === undefined) return undefined;
  const {
    running,
    left = "",
    skipped = "",
    base = 0,
    ended = "",
  } = JSON.parse(text) as Partial<{
    running: number;
    left: string;
    skipped: string;
    base: number;
    ended: string;
  }>;
  const number = (field: string | undefined): number | undefined =>
    field === undefined || field === "" ? undefined : Number(field);
  return {
    running,
    left: parseTasks(left),
    skipped: parseTasks(skipped),
    ended:
      ended === ""
        ? []
        : ended.split(" ").map((entry): LeasedEnd => {
            const [task, code, start, milliseconds, cpu, peak, signal, ending, suspended] = entry.split(",");
            const stood = number(suspended);
            const end: LeasedEnd = {
              task: Number(task),
              exitCode: Number(code),
              startedAt: base + Number(start),
              milliseconds: Number(milliseconds),
              cpuMilliseconds: number(cpu),
              peakMemoryKibibytes: number(peak),
              signal: number(signal),
              ending: ending === "" ? undefined : ending,
            };
            if (stood !== undefined) end.suspendedSeconds = stood;
            return end;
          }),
  };
}

/**
 * Variables that differ from task to task of a lease, as parts: text, or a number of the task (`task` its index, `job` its job id,
 * `digit` the last digit of its index), with zeros in front up to `width`.
 */
export type TaskVariables = Record<string, (string | TaskNumber)[]>;
export interface TaskNumber {
  of: "task" | "job" | "digit";
  width?: number;
}

export function taskNumber({ of, width = 0 }: TaskNumber, task: number, firstJobId: number): string {
  const number = of === "task" ? task : of === "job" ? firstJobId + task : task % 10;
  return String(number).padStart(width, "0");
}
