/** Between a QueueView and a line of squeue. */
import type {
  PendingReason,
  QueueView,
  QueueViewSpec,
  QueueViewStatus,
  SuspensionReport,
  WorkloadPhase,
} from "@berth/kinds";
import { apiVersion, suspendedSeconds } from "@berth/kinds";
import { slurmReason } from "./reasons.ts";
import type { JobRow } from "./rows.ts";
import { jobStateOf, phaseOf } from "./states.ts";

/** What the scheduler knows of a job beside its row. */
export interface ViewFacts {
  /** Berth's own word; of the row Slurm's is known. */
  reason?: PendingReason;
  position?: number;
  /** May who asks read the Workload itself? Else where it lies and what it runs is withheld. */
  isOwn: boolean;
}

function time(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

function seconds(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Math.floor(Date.parse(text) / 1000);
}

/** Without what is undefined. */
function present<T extends object>(object: T): T {
  for (const key of Object.keys(object) as (keyof T)[]) if (object[key] === undefined) delete object[key];
  return object;
}

/** Name of the view of a row: `42`, of an element of an array `42-7`. */
function nameOf({ jobId, arrayJobId, arrayTaskId }: JobRow): string {
  return arrayTaskId === undefined ? `${arrayJobId ?? jobId}` : `${arrayJobId}-${arrayTaskId}`;
}

/** A row as a QueueView, which is sent as JSON: what is undefined in it is not there. */
export function viewOfRow(row: JobRow, facts: ViewFacts): QueueView {
  const isPending = row.state === "PENDING";
  const spec: QueueViewSpec = {
    queue: row.partition,
    jobId: row.jobId,
    arrayJobId: row.arrayJobId,
    task: row.arrayTaskId,
    tasks: row.arrayTasks,
    maxRunning: row.arrayMaxRunning,
    jobName: row.name,
    user: row.user,
    uid: row.uid,
    gid: row.gid,
    account: row.account,
    qos: row.qos,
    reservation: row.reservation,
    wallTimeSeconds: row.timeLimitSeconds,
    minWallTimeSeconds: row.minimumTimeLimitSeconds,
    deadline: time(row.deadline),
    nodes: row.nodeCount,
    cpus: row.cpus,
    tasksOfJob: row.tasks,
    cpusPerTask: row.cpusPerTask,
    memoryBytes: row.memoryBytes,
    memoryPerCpu: row.memoryPerCpu,
    devices: row.tresPerNode,
    features: row.features,
    exclusive: row.exclusive,
    nice: row.nice === 0 ? undefined : row.nice,
    namespace: row.namespace,
    workload: facts.isOwn ? row.workload : undefined,
    submission: facts.isOwn ? submissionOf(row) : undefined,
  };
  const status: QueueViewStatus = {
    phase: phaseOf(row.state),
    reason: isPending ? (facts.reason ?? "None") : undefined,
    message: isPending ? row.message : undefined,
    position: facts.position,
    priority: row.priority,
    priorityFactors: row.priorityFactors,
    submitTime: time(row.submitTime),
    eligibleTime: time(row.eligibleTime),
    startTime: isPending ? undefined : time(row.startTime),
    endTime: isPending ? undefined : time(row.endTime),
    estimatedStart: isPending ? time(row.startTime) : undefined,
    nodes: row.nodes.length === 0 ? undefined : row.nodes,
    plannedNodes: row.plannedNodes,
    restarts: row.restarts === 0 ? undefined : row.restarts,
    suspendedSeconds: isPending ? undefined : row.suspension?.seconds,
    suspendedSince: row.suspension?.isSuspended === true ? row.suspension.since : undefined,
  };
  return {
    apiVersion,
    kind: "QueueView",
    metadata: { name: nameOf(row), creationTimestamp: time(row.submitTime) },
    spec,
    status,
  };
}

function submissionOf(row: JobRow): QueueViewSpec["submission"] {
  return {
    workingDirectory: row.workingDirectory,
    command: row.command,
    comment: row.comment,
    standardOutput: row.standardOutput,
    standardError: row.standardError,
    standardInput: row.standardInput,
    host: row.submitHost,
    dependency: row.dependency,
    requiredNodes: row.requiredNodes,
    excludedNodes: row.excludedNodes,
    requeue: row.requeue,
  };
}

/** A QueueView as a row; undefined of one that only counts what is withheld. */
export function rowOfView({ spec, status = {} }: QueueView, nowSeconds: number): JobRow | undefined {
  if (spec.jobId === undefined) return undefined;
  const { submission } = spec;
  const state = jobStateOf((status.phase ?? "Pending") as WorkloadPhase);
  const isPending = state === "PENDING";
  const start = seconds(isPending ? status.estimatedStart : status.startTime);
  const { suspendedSeconds: before, suspendedSince: since } = status;
  const suspension: SuspensionReport | undefined =
    before === undefined ? undefined : { isSuspended: since !== undefined, since: since ?? "", seconds: before };
  const stood = suspendedSeconds(suspension, nowSeconds * 1000);
  const limit = spec.wallTimeSeconds;
  const end =
    seconds(status.endTime) ?? (isPending && start !== undefined && limit !== undefined ? start + limit : undefined);
  const required: JobRow = {
    jobId: spec.jobId,
    name: spec.jobName ?? "",
    user: spec.user ?? "",
    account: spec.account ?? "",
    partition: spec.queue,
    qos: spec.qos ?? "normal",
    state,
    reason: isPending ? slurmReason(status.reason, submission?.requiredNodes?.join(",")) : "None",
    elapsedSeconds: isPending || start === undefined ? 0 : Math.max(0, nowSeconds - start - stood),
    nodes: status.nodes ?? [],
    nodeCount: spec.nodes ?? 0,
    cpus: spec.cpus ?? 0,
    nice: spec.nice ?? 0,
    restarts: status.restarts ?? 0,
    requeue: submission?.requeue ?? true,
    namespace: spec.namespace ?? "",
    workload: spec.workload ?? "",
  };
  const optional: Partial<JobRow> = {
    arrayJobId: spec.arrayJobId,
    arrayTaskId: spec.task,
    arrayTasks: spec.tasks,
    arrayMaxRunning: spec.maxRunning,
    uid: spec.uid,
    gid: spec.gid,
    reservation: spec.reservation,
    timeLimitSeconds: limit,
    minimumTimeLimitSeconds: spec.minWallTimeSeconds,
    deadline: seconds(spec.deadline),
    tasks: spec.tasksOfJob,
    cpusPerTask: spec.cpusPerTask,
    memoryBytes: spec.memoryBytes,
    memoryPerCpu: spec.memoryPerCpu,
    tresPerNode: spec.devices,
    features: spec.features,
    exclusive: spec.exclusive,
    message: status.message,
    submitTime: seconds(status.submitTime),
    eligibleTime: seconds(status.eligibleTime),
    startTime: start,
    endTime: end,
    plannedNodes: status.plannedNodes,
    suspension,
    position: status.position,
    priority: status.priority,
    priorityFactors: status.priorityFactors,
    workingDirectory: submission?.workingDirectory,
    command: submission?.command,
    comment: submission?.comment,
    standardOutput: submission?.standardOutput,
    standardError: submission?.standardError,
    standardInput: submission?.standardInput,
    submitHost: submission?.host,
    dependency: submission?.dependency,
    requiredNodes: submission?.requiredNodes,
    excludedNodes: submission?.excludedNodes,
  };
  return Object.assign(required, present(optional));
}
