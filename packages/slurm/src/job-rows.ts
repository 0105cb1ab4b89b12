/** From Workloads to the rows of squeue. */
import {
  type ArrayStatus,
  formatIndexList,
  type IndexSet,
  isFinal,
  parseIndexList,
  type Pod,
  suspendedSeconds,
  type SuspensionReport,
  suspensionReportOf,
  type Workload,
} from "@berth/kinds";
import { elementId, podSetCpus } from "./environment.ts";
import { jobFiles } from "./file-names.ts";
import { slurmReason } from "./reasons.ts";
import type { JobRow } from "./rows.ts";
import { type JobState, jobStateOf } from "./states.ts";
import { formatDependencies } from "./values.ts";

/** A running element of an array, as its pods tell. */
export interface RunningElement {
  task: number;
  /** In the order of the pods. */
  nodes: string[];
  /** Seconds since 1970. */
  startSeconds?: number;
  state?: JobState;
  attempt?: number;
  suspension?: SuspensionReport;
}

const seconds = (time: string | undefined): number | undefined =>
  time === undefined ? undefined : Math.floor(Date.parse(time) / 1000);

function memoryBytes(quantity: string | number | undefined): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?$/.exec(String(quantity ?? ""));
  if (!match) return undefined;
  const factors: Record<string, number> = {
    Ki: 1024,
    Mi: 1024 ** 2,
    Gi: 1024 ** 3,
    Ti: 1024 ** 4,
    k: 1e3,
    M: 1e6,
    G: 1e9,
    T: 1e12,
  };
  return Math.floor(Number(match[1]) * (match[2] === undefined ? 1 : factors[match[2]]!));
}

/**
 * The lines of one Workload: of an array the packed rest that waits, and each element that runs; otherwise the job.
 * Ended elements of an array that goes on have none: they are
 * accounting's; of one that has ended they are packed by how they ended.
 * @param running what runs of an array; newer than `status`. Where it is empty, the elements that
 *   `status` says run are shown without their nodes
 */
export function jobRows(workload: Workload, nowSeconds: number, running: readonly RunningElement[] = []): JobRow[] {
  const { spec, status } = workload;
  if (!spec.array) return [jobRow(workload, nowSeconds)];
  if (isFinal(status?.phase)) return endedRows(workload, baseRow(workload), nowSeconds);
  const pending = parseIndexList(status?.array?.pending ?? (status?.array ? "" : spec.array.indices));
  // Pods are newer than the status, which follows them at leisure.
  for (const { task } of running) pending.delete(task);
  const rows = pending.size > 0 ? [restRow(workload, pending, nowSeconds)] : [];
  const elements: readonly RunningElement[] =
    running.length === 0 && status?.array
      ? [...parseIndexList(status.array.running)].map((task) => ({ task, nodes: [] }))
      : running;
  for (const element of elements) rows.push(elementRow(workload, element, nowSeconds));
  return rows;
}

/** The line of a job that is no array. */
export function jobRow(workload: Workload, nowSeconds: number): JobRow {
  const { status } = workload;
  const state = jobStateOf(status?.phase ?? "Pending");
  const start = state === "PENDING" ? seconds(status?.estimatedStart) : seconds(status?.startTime);
  const row: JobRow = { ...baseRow(workload), state, nodes: state === "PENDING" ? [] : (status?.nodes ?? []) };
  const stood = status?.suspendedSeconds;
  if (stood !== undefined && state !== "PENDING") {
    const since = status?.suspendedSince;
    row.suspension = { isSuspended: since !== undefined, since: since ?? "", seconds: stood };
  }
  setTimes(row, start, seconds(status?.endTime), nowSeconds);
  if (status?.exitCode !== undefined) row.exitCode = status.exitCode;
  if (status?.signal !== undefined) row.signal = status.signal;
  if (state !== "PENDING") row.reason = "None";
  setFiles(row, workload, undefined);
  return row;
}

/** The line of those elements of an array that wait. */
export function restRow(workload: Workload, pending: IndexSet, nowSeconds: number): JobRow {
  const { spec, status } = workload;
  const arrayJobId = elementId(workload, undefined);
  const row: JobRow = {
    ...baseRow(workload),
    jobId: arrayJobId,
    arrayJobId,
    arrayTasks: formatIndexList(pending),
    ...(spec.array?.maxRunning !== undefined && { arrayMaxRunning: spec.array.maxRunning }),
    state: "PENDING",
  };
  setTimes(row, seconds(status?.estimatedStart), undefined, nowSeconds);
  setFiles(row, workload, undefined);
  return row;
}

/** The line of one element of an array that runs. */
export function elementRow(workload: Workload, element: RunningElement, nowSeconds: number): JobRow {
  const row: JobRow = {
    ...baseRow(workload),
    jobId: elementId(workload, element.task),
    arrayJobId: elementId(workload, undefined),
    arrayTaskId: element.task,
    state: element.state ?? "RUNNING",
    reason: "None",
    nodes: element.nodes,
    restarts: Math.max(0, (element.attempt ?? 1) - 1),
  };
  delete row.message;
  if (element.suspension !== undefined) row.suspension = element.suspension;
  setTimes(row, element.startSeconds, undefined, nowSeconds);
  setFiles(row, workload, element.task);
  return row;
}

const endStates: [keyof ArrayStatus, JobState][] = [
  ["succeeded", "COMPLETED"],
  ["failed", "FAILED"],
  ["timedOut", "TIMEOUT"],
  ["outOfMemory", "OUT_OF_MEMORY"],
  ["nodeFailed", "NODE_FAIL"],
  ["cancelled", "CANCELLED"],
];

/** Of an array that has ended as a whole: its elements packed by how they ended. */
function endedRows(workload: Workload, base: JobRow, nowSeconds: number): JobRow[] {
  const { status } = workload;
  const arrayJobId = elementId(workload, undefined);
  const rows: JobRow[] = [];
  for (const [key, state] of endStates) {
    const tasks = parseIndexList(String(status?.array?.[key] ?? ""));
    if (tasks.size === 0) continue;
    const arrayTasks = formatIndexList(tasks);
    const row: JobRow = { ...base, jobId: arrayJobId, arrayJobId, arrayTasks, state, reason: "None" };
    setTimes(row, seconds(status?.startTime), seconds(status?.endTime), nowSeconds);
    setFiles(row, workload, undefined);
    rows.push(row);
  }
  return rows;
}

/** What the pods of a Workload tell of the elements that run. Pods of ended or superseded attempts are passed over. */
export function runningElements(
  pods: readonly Pod[],
  of: (pod: Pod) => { task?: number; attempt: number } | undefined,
): RunningElement[] {
  const elements = new Map<number, RunningElement & { attempt: number; order: Map<string, string> }>();
  for (const pod of pods) {
    const name = of(pod);
    if (name?.task === undefined) continue;
    const phase = pod.status?.phase;
    if (phase === "Succeeded" || phase === "Failed") continue;
    const node = pod.spec.nodeName;
    let element = elements.get(name.task);
    if (element && element.attempt > name.attempt) continue;
    if (!element || element.attempt < name.attempt) {
      element = { task: name.task, attempt: name.attempt, nodes: [], order: new Map() };
      elements.set(name.task, element);
    }
    if (node !== undefined) element.order.set(pod.metadata.name, node);
    if (phase !== "Running") element.state = "CONFIGURING";
    if (pod.metadata.deletionTimestamp !== undefined) element.state = "COMPLETING";
    const suspension = suspensionReportOf(pod.status);
    if (suspension !== undefined) element.suspension = suspension;
    if (suspension?.isSuspended === true && pod.metadata.deletionTimestamp === undefined) element.state = "SUSPENDED";
    const start = seconds(pod.status?.startTime);
    if (start !== undefined) element.startSeconds = Math.max(element.startSeconds ?? 0, start);
  }
  return [...elements.values()]
    .toSorted((a, b) => a.task - b.task)
    .map(({ order, ...element }) => Object.assign(element, { nodes: [...order.values()] }));
}

function baseRow(workload: Workload): JobRow {
  const { spec, status } = workload;
  const submission = spec.submission ?? {};
  let cpus = 0;
  let nodeCount = 0;
  let gpus = 0;
  for (const set of spec.podSets) {
    cpus += podSetCpus(set) * set.count;
    nodeCount += set.count;
  }
  const main = spec.podSets.find((set) => set.role === "Driver") ?? spec.podSets[0];
  const requests = main?.template.spec.containers[0]?.resources?.requests ?? {};
  for (const [resource, count] of Object.entries(requests))
    if (resource.startsWith("nvidia.com/")) gpus += Number(count);
  const features = Object.keys(main?.template.spec.nodeSelector ?? {})
    .filter((label) => label.startsWith("berth.dev/feature-"))
    .map((label) => label.slice("berth.dev/feature-".length));
  const memory = submission.memoryPerCpuBytes ?? submission.memoryPerNodeBytes ?? memoryBytes(requests.memory);
  const missing = spec.placement?.nodes?.join(",");
  const row: JobRow = {
    jobId: status?.jobId ?? 0,
    name: spec.jobName ?? workload.metadata.name,
    user: status?.identity?.user ?? spec.user ?? "",
    account: status?.account ?? spec.account ?? "",
    partition: status?.queue ?? spec.queue ?? "",
    qos: status?.qos ?? spec.qos ?? "normal",
    state: "PENDING",
    reason: slurmReason(status?.reason, missing),
    elapsedSeconds: 0,
    nodes: [],
    nodeCount,
    cpus,
    nice: spec.nice ?? 0,
    restarts: status?.restarts ?? 0,
    requeue: spec.requeue?.onNodeFailure ?? true,
    namespace: workload.metadata.namespace ?? "",
    workload: workload.metadata.name,
  };
  const optional: Partial<JobRow> = {
    reservation: spec.reservation,
    uid: status?.identity?.uid,
    gid: status?.identity?.gid,
    message: status?.message,
    submitTime: seconds(status?.submitTime ?? workload.metadata.creationTimestamp),
    eligibleTime: seconds(status?.eligibleTime),
    timeLimitSeconds: status?.wallTimeSeconds ?? spec.wallTimeSeconds,
    minimumTimeLimitSeconds: spec.minWallTimeSeconds,
    deadline: seconds(spec.deadline),
    tasks: submission.tasks,
    cpusPerTask: submission.cpusPerTask,
    memoryBytes: memory,
    memoryPerCpu: submission.memoryPerCpuBytes === undefined ? undefined : true,
    tresPerNode: gpus > 0 ? `gres/gpu:${gpus}` : undefined,
    comment: submission.comment,
    dependency: dependencyText(workload),
    workingDirectory: submission.workingDirectory,
    command:
      submission.command === undefined ? undefined : [submission.command, ...(submission.arguments ?? [])].join(" "),
    features: features.length > 0 ? features.join("&") : undefined,
    exclusive: spec.placement?.exclusive,
    requiredNodes: spec.placement?.nodes,
    excludedNodes: spec.placement?.excludedNodes,
    submitHost: submission.host,
  };
  for (const [key, value] of Object.entries(optional)) if (value !== undefined) Object.assign(row, { [key]: value });
  return row;
}

/** What is left to wait for: nothing once the job waits for something else, or has begun. */
function dependencyText({ spec, status }: Workload): string | undefined {
  if (!spec.dependencies || (status?.phase ?? "Pending") !== "Pending") return undefined;
  const reason = status?.reason ?? "None";
  if (["Resources", "Priority", "ArrayTaskLimit", "UserJobLimit", "Licenses", "PodAffinity"].includes(reason))
    return undefined;
  return formatDependencies(spec.dependencies, () =>
    reason === "DependencyNeverSatisfied" ? "failed" : "unfulfilled",
  );
}

function setTimes(row: JobRow, start: number | undefined, end: number | undefined, nowSeconds: number): void {
  const stood = suspendedSeconds(row.suspension, (end ?? nowSeconds) * 1000);
  if (start !== undefined) {
    row.startTime = start;
    if (row.timeLimitSeconds !== undefined) row.endTime = start + row.timeLimitSeconds + stood;
  }
  if (end !== undefined) row.endTime = end;
  if (row.state !== "PENDING" && start !== undefined)
    row.elapsedSeconds = Math.max(0, (end ?? nowSeconds) - start - stood);
}

function setFiles(row: JobRow, workload: Workload, task: number | undefined): void {
  if (workload.spec.submission === undefined) return;
  const files = jobFiles(workload, task);
  row.standardOutput = files.standardOutput;
  row.standardInput = files.standardInput;
  if (files.standardError !== undefined) row.standardError = files.standardError;
}

/** One row for each element of a packed row: `squeue --array`. */
export function expandArrayRow(row: JobRow): JobRow[] {
  if (row.arrayTasks === undefined) return [row];
  const tasks: IndexSet = parseIndexList(row.arrayTasks);
  return [...tasks].map((task) => {
    const { arrayTasks: _tasks, arrayMaxRunning: _maxRunning, ...element } = row;
    return Object.assign(element, { jobId: (row.arrayJobId ?? row.jobId) + task, arrayTaskId: task });
  });
}
