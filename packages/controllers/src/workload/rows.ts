/** Accounting rows of ended attempts. Pure. */
import type { AttemptRow } from "@berth/accounting";
import type { FinalPhase, PendingReason, Workload } from "@berth/kinds";
import { formatIndexList, IndexSet, podRequests } from "@berth/kinds";
import { seconds } from "../context.ts";
import { type EndedAttempt, noTask, taskJobId, type WorkloadRecord } from "../model/record.ts";
import { wallTimeOf } from "../scheduler/snapshot.ts";

/** `AfterOk:41,AfterAny:42_3`. */
function dependencyText(workload: Workload): string {
  const { dependencies } = workload.spec;
  if (dependencies === undefined) return "";
  return dependencies.of
    .map(({ type, job, task, delaySeconds }) => {
      const of = job === undefined ? "" : `:${job}${task === undefined ? "" : `_${task}`}`;
      return `${type}${of}${delaySeconds === undefined ? "" : `+${delaySeconds}s`}`;
    })
    .join(dependencies.any === true ? "?" : ",");
}

interface Requested {
  requestedMilliCpus: number;
  requestedMemoryBytes: number;
  requestedNodes: number;
}

/** Counted once a Workload: an array of a million tasks asks for the same each time. */
const requestedOf = new WeakMap<Workload["spec"], Requested>();

function requested(workload: Workload): Requested {
  const known = requestedOf.get(workload.spec);
  if (known !== undefined) return known;
  const sum: Requested = { requestedMilliCpus: 0, requestedMemoryBytes: 0, requestedNodes: 0 };
  for (const { count, template } of workload.spec.podSets) {
    const amounts = podRequests(template.spec);
    sum.requestedMilliCpus += count * (amounts["cpu"] ?? 1000);
    sum.requestedMemoryBytes += count * (amounts["memory"] ?? 0);
    sum.requestedNodes += count;
  }
  requestedOf.set(workload.spec, sum);
  return sum;
}

/** Seconds waited by reason: what the record has, and the time since for the reason that it still shows. */
export function waitSeconds(record: WorkloadRecord, until: string): Partial<Record<PendingReason, number>> {
  const { waiting } = record;
  const waited = { ...waiting.seconds };
  const last = Math.max(0, (seconds(until) ?? 0) - (seconds(waiting.since) ?? 0));
  if (last > 0) waited[waiting.reason] = (waited[waiting.reason] ?? 0) + last;
  return waited;
}

function base(record: WorkloadRecord, endTime: string): Omit<AttemptRow, "task" | "attempt" | "jobId" | "state"> {
  const { workload } = record;
  const { spec, status = {}, metadata } = workload;
  return {
    workloadUid: record.uid,
    arrayJobId: spec.array === undefined ? null : (record.jobId ?? null),
    tasks: null,
    namespace: record.namespace,
    workload: record.name,
    name: spec.jobName ?? record.name,
    user: status.identity?.user ?? spec.user ?? "",
    uid: status.identity?.uid ?? -1,
    account: status.account ?? "",
    queue: status.queue ?? "",
    qos: status.qos ?? spec.qos ?? null,
    ...requested(workload),
    wallTimeSeconds: wallTimeOf(workload),
    submitTime: status.submitTime ?? metadata.creationTimestamp ?? endTime,
    eligibleTime: status.eligibleTime ?? null,
    startTime: null,
    endTime,
    waitSecondsByReason: waitSeconds(record, record.startTime ?? endTime) as Record<string, number>,
    firstExpectedStart: record.waiting.firstEstimatedStart ?? null,
    lastExpectedStart: record.waiting.estimatedStart ?? null,
    exitCode: 0,
    signal: 0,
    nodes: [],
    peakMemoryBytes: null,
    cpuMilliseconds: null,
    dependencies: dependencyText(workload),
    workingDirectory: spec.submission?.workingDirectory ?? null,
    command: spec.submission?.command ?? null,
    cancelledBy: record.cancelledBy ?? null,
    billing: null,
    allocated: null,
    suspendedSeconds: null,
    steps: null,
  };
}

/** The row of an attempt that ended. */
export function attemptRow(record: WorkloadRecord, attempt: EndedAttempt, nowTimestamp: string): AttemptRow {
  const { end } = attempt;
  return Object.assign(base(record, end.endTime ?? nowTimestamp), {
    task: attempt.task,
    attempt: attempt.number,
    jobId: taskJobId(record, attempt.task),
    state: end.phase,
    startTime: end.startTime ?? attempt.startTime ?? null,
    exitCode: end.exitCode,
    signal: end.signal,
    nodes: attempt.nodes,
    peakMemoryBytes: end.peakMemoryBytes ?? null,
    cpuMilliseconds: end.cpuMilliseconds ?? null,
    cancelledBy: end.phase === "Cancelled" ? (record.cancelledBy ?? null) : null,
    billing: attempt.charge?.billing ?? null,
    allocated: attempt.charge?.allocated ?? null,
    suspendedSeconds: end.suspendedSeconds || null,
    steps: end.steps ?? null,
  });
}

/** The one row of what ended without having been started: a job, or tasks of an array together. */
export function pendingRow(
  record: WorkloadRecord,
  ended: { phase: FinalPhase; tasks: readonly number[] | undefined },
  nowTimestamp: string,
): AttemptRow {
  const first = ended.tasks?.[0];
  return Object.assign(base(record, nowTimestamp), {
    task: first ?? noTask,
    attempt: 0,
    jobId: taskJobId(record, first ?? noTask),
    tasks: ended.tasks === undefined ? null : formatIndexList(setOf(ended.tasks)),
    state: ended.phase,
  });
}

function setOf(tasks: readonly number[]): IndexSet {
  const set = new IndexSet();
  for (const task of tasks) set.add(task);
  return set;
}
