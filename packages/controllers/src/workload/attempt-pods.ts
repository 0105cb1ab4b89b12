/** What the pods of attempts say of them, and what that does to the record of their Workload. */
import type { FinalPhase, Lease, Pod, SuspensionReport, WorkloadPhase } from "@berth/kinds";
import {
  annotations,
  attemptOf,
  isFinal,
  leaseOf,
  preemptionModes,
  suspendMarkOf,
  suspensionReportOf,
  takenReason,
} from "@berth/kinds";
import {
  type Attempt,
  type AttemptPod,
  currentAttempt,
  newAttempt,
  openTasks,
  type Preempted,
  type WorkloadRecord,
} from "../model/record.ts";
import { isWrapped, wrappedPodOf } from "../model/wrapped-pod.ts";
import { type AttemptEnd, endOfPod, worseEnd } from "../model/ends.ts";
import type { PlannedPod } from "./pod-creation.ts";
import type { PodRemoval } from "./pod-removal.ts";

/** An attempt whose pods are to be made; the record has it, and its tasks are started. Of several tasks, `task` is the first of the lease. */
export function plannedAttempt(
  record: WorkloadRecord,
  planned: {
    task: number;
    wallTimeSeconds: number;
    plan: readonly PlannedPod[];
    lease: Lease | undefined;
    createdAt: number;
  },
): Attempt {
  const { task, wallTimeSeconds, plan, lease, createdAt } = planned;
  const attempt = newAttempt({
    task,
    number: currentAttempt(record, task),
    pods: plan.map(({ name, node, isDriver }) => ({ name, node, isDriver, state: "Creating" })),
    wallTimeSeconds,
    createdAt,
    lease: lease && { seconds: lease.seconds, open: new Set(lease.tasks) },
  });
  record.live.set(task, attempt);
  if (record.book === undefined) {
    record.phase = "Starting";
    record.suspension = undefined;
  } else for (const each of openTasks(attempt)) record.book.start(each);
  record.nodes = attempt.pods.map(({ node }) => node);
  return attempt;
}

/** An attempt that an earlier leader began, from its pods; of a lease with those of `tasks` that are not over. */
export function attemptOfPods(
  record: WorkloadRecord,
  { task, number }: { task: number; number: number },
  tasks: readonly number[],
  pods: readonly Pod[],
  now: number,
): Attempt {
  const attempt = newAttempt({
    task,
    number,
    pods: pods.map((pod) => ({
      name: pod.metadata.name,
      node: pod.spec.nodeName ?? "",
      isDriver: isDriver(record, pod),
      state: "Created",
      pod,
    })),
    wallTimeSeconds: Number(pods[0]!.metadata.annotations?.[annotations.wallTimeSeconds] ?? 0),
    // A pod that was bound may have been there long before.
    createdAt: (isWrapped(pods[0]!) ? NaN : Date.parse(pods[0]!.metadata.creationTimestamp ?? "")) || now,
  });
  attempt.suspension = suspensionOfPods(attempt);
  attempt.standsFor = pods.map((pod) => suspendMarkOf(pod).job).find((job) => job !== undefined);
  const stopped = pods.map(stoppedOf).find((told) => told !== undefined);
  attempt.stopped = stopped?.phase;
  attempt.preemption = stopped?.preemption;
  if (stopped?.by !== undefined) record.cancelledBy ??= stopped.by;
  const lease = leaseOf(pods[0]!);
  if (lease !== undefined) attempt.lease = { seconds: lease.seconds, open: new Set(tasks) };
  return attempt;
}

/** An attempt of which status tells that it was made, and of which nothing is left: it is not known to have ended well. */
export function vanishedAttempt(record: WorkloadRecord, task: number, now: number): Attempt {
  const attempt = newAttempt({
    task,
    number: currentAttempt(record, task),
    pods: [],
    wallTimeSeconds: 0,
    createdAt: now,
  });
  attempt.state = "Ending";
  attempt.end = {
    phase: wrappedPodOf(record.workload) === undefined ? "NodeFailed" : "Cancelled",
    exitCode: 0,
    signal: 0,
    startTime: record.book === undefined ? record.startTime : undefined,
    message: "its pod was removed by someone else",
  };
  return attempt;
}

/** Its script runs: the wall time counts from `startTime`. */
export function markRunning(record: WorkloadRecord, attempt: Attempt): void {
  if (record.book === undefined) {
    // A new leader may find it standing still.
    record.phase = attempt.suspension?.isSuspended === true ? "Suspended" : "Running";
    record.startTime = attempt.startTime;
    return;
  }
  if (attempt.lease === undefined) record.book.created(attempt.task);
  record.startTime ??= attempt.startTime;
}

/** How the pods of an attempt stand still: only together, since the last of them; undefined where none ever did. */
export function suspensionOfPods({ pods }: Attempt): SuspensionReport | undefined {
  const open = pods.filter(({ state }) => state !== "Terminal" && state !== "Gone");
  const told = (open.length === 0 ? pods : open).map(({ pod }) => suspensionReportOf(pod?.status));
  const reports = told.filter((report) => report !== undefined);
  if (reports.length === 0) return undefined;
  const isSuspended = open.length > 0 && told.every((report) => report?.isSuspended === true);
  const since = reports
    .map((report) => report.since)
    .toSorted()
    .at(-1)!;
  return { isSuspended, since, seconds: Math.max(...reports.map(({ seconds }) => seconds)) };
}

/** Deleting a pod is how its user ends it. */
export function markDeletedByUser(record: WorkloadRecord, attempt: Attempt, pod: Pod): void {
  if (!isWrapped(pod) || attempt.stopped !== undefined) return;
  attempt.stopped = "Cancelled";
  record.cancelledBy ??= "deletion";
}

/**
 * Counts the end of a driver pod; whether that is the end of the attempt, which then is `Ending`: of several drivers one that was lost
 * ends all, for the rest of the work is to be done again anyway.
 */
export function countDriver(attempt: Attempt, entry: AttemptPod): boolean {
  entry.isCounted = true;
  attempt.driversLeft--;
  const end: AttemptEnd =
    entry.pod === undefined
      ? { phase: attempt.stopped ?? "NodeFailed", exitCode: 0, signal: 0 }
      : endOfPod(entry.pod, attempt.stopped);
  attempt.worst = worseEnd(attempt.worst, end);
  if (attempt.driversLeft > 0 && end.phase !== "NodeFailed") return false;
  attempt.end = attempt.worst;
  attempt.state = "Ending";
  return true;
}

/** The Workload has an attempt whose pods were found; the tasks that no other attempt was known to have. */
export function takeOver(record: WorkloadRecord, attempt: Attempt, tasks: readonly number[]): readonly number[] {
  const { book } = record;
  record.live.set(attempt.task, attempt);
  record.nodes = attempt.pods.map(({ node }) => node);
  if (book === undefined) {
    record.phase = "Starting";
    return tasks;
  }
  // Their pod was found: whatever it says of them, also that it has left them, they have not vanished.
  for (const each of tasks) book.wasRunning.delete(each);
  const free = tasks.filter((each) => book.pending.has(each));
  for (const each of free) book.start(each);
  if (free.length < tasks.length) record.overlaps = true;
  return free;
}

/** Of an attempt that was taken back nothing is left: its tasks, which it returns, wait as if it had not been, or for the next. */
export function waitAgain(record: WorkloadRecord, attempt: Attempt): readonly number[] {
  record.live.delete(attempt.task);
  const tasks = openTasks(attempt);
  if (record.book === undefined) {
    record.phase = "Pending";
    if (attempt.isSpent === true) record.endedAttempts = attempt.number;
  } else if (attempt.isSpent === true) record.book.requeue(attempt.task);
  else for (const task of tasks) record.book.takeBack(task);
  return tasks;
}

/**
 * Stops pods of an attempt, all that there are by default, each of which says before what its end is: a new leader that finds it goes on
 * with that, and one that finds none knows of nothing.
 */
export async function stopPods(
  removal: PodRemoval,
  { cancelledBy }: WorkloadRecord,
  attempt: Attempt,
  { pod, isDeletedByHost }: { pod?: Pod; isDeletedByHost?: boolean } = {},
): Promise<void> {
  const { stopped = "", preemption } = attempt;
  const words =
    preemption === undefined
      ? [stopped, ...(stopped === "Cancelled" && cancelledBy !== undefined ? [cancelledBy] : [])]
      : [stopped, preemption.by, preemption.mode, preemption.graceSeconds];
  const graceSeconds = preemption?.graceSeconds;
  const how = { annotations: { [annotations.stopped]: words.join(" ") }, graceSeconds, isDeletedByHost };
  await (pod === undefined ? removal.stopAll(attempt, how) : removal.stop(pod, how));
}

/** What a pod says of who stopped it, and for what. */
export function stoppedOf(pod: Pod): { phase: FinalPhase; by?: string; preemption?: Preempted } | undefined {
  const [told, by, word, graceSeconds] = pod.metadata.annotations?.[annotations.stopped]?.split(" ") ?? [];
  const phase = told as WorkloadPhase | undefined;
  if (!isFinal(phase)) return undefined;
  const mode = preemptionModes.find((known) => known === word);
  if (phase !== "Preempted") return { phase, by };
  return mode && { phase, preemption: { by: Number(by), mode, graceSeconds: Number(graceSeconds) } };
}

/** The attempt's pod of that name. */
export function findPod(attempt: Attempt, name: string): AttemptPod | undefined {
  if (attempt.pods.length < 8 && attempt.isHosted !== true) return attempt.pods.find((entry) => entry.name === name);
  attempt.byName ??= new Map(attempt.pods.map((entry) => [entry.name, entry]));
  return attempt.byName.get(name);
}

/** The tasks that a pod carries; of a pod of one task, that. */
export function tasksOf(pod: Pod, task: number): readonly number[] {
  return leaseOf(pod)?.tasks ?? [task];
}

/** Whether this attempt of a task is over, and its end told. */
export function isOver(record: WorkloadRecord, task: number, number: number): boolean {
  return isFinal(record.phase) || record.book?.hasEnded(task) === true || number < currentAttempt(record, task);
}

/** Whether another pod had its tasks first. */
export function isTaken(pod: Pod): boolean {
  return pod.status?.reason === takenReason;
}

export function isGated(pod: Pod): boolean {
  return pod.metadata.annotations?.[annotations.gate] !== undefined;
}

/** Whether the pod that the API has carries the tasks that were decided. */
export function carriesSame(attempt: Attempt, pod: Pod): boolean {
  const tasks = leaseOf(pod)?.tasks;
  if (tasks === undefined || attempt.lease === undefined) return tasks === attempt.lease;
  return tasks.length === attempt.lease.open.size && tasks.every((task) => attempt.lease!.open.has(task));
}

export function isDriver(record: WorkloadRecord, pod: Pod): boolean {
  const set = attemptOf(pod)?.podSet;
  return record.workload.spec.podSets.find(({ name }) => name === set)?.role !== "Worker";
}
