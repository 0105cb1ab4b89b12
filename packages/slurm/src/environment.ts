/** The SLURM_* variables of a running job, from its Workload and where it runs. */
import { parseIndexList, type PodSet, type Workload } from "@berth/kinds";
import { compressHostlist } from "./hostlist.ts";
import { mebibytes } from "./memory.ts";

/** One attempt of one element, seen from one of its nodes. */
export interface RunningAttempt {
  /** Index of the array element; absent outside arrays. */
  task?: number;
  /** From 1. */
  attempt: number;
  /** Attempts that ended before and were begun again; default: attempt - 1. */
  restarts?: number;
  /** Names of all nodes, in the order of the pods. */
  nodes: readonly string[];
  /** Which of them this environment is for; default 0, where the script runs. */
  nodeIndex?: number;
  /** CPUs given on each node; default: what the pod sets ask for. */
  cpusPerNode?: readonly number[];
  /** Memory given where the job asked for none, per CPU. */
  defaultMemoryPerCpuBytes?: number;
  /** Seconds since 1970, where known. */
  startTimeSeconds?: number;
  clusterName?: string;
}

/** Id of an element: that of the array and its index; outside arrays the job's. */
export function elementId(workload: Workload, task: number | undefined): number {
  return (workload.status?.jobId ?? 0) + (task ?? 0);
}

/** CPUs that each node of a Workload is asked for, in the order of the pods. */
export function requestedCpusPerNode(workload: Workload): number[] {
  return workload.spec.podSets.flatMap((set) => Array<number>(set.count).fill(podSetCpus(set)));
}

/** CPUs that one pod of the set asks for, parts of one counted as one. */
export function podSetCpus(set: PodSet): number {
  let cpus = 0;
  for (const container of set.template.spec.containers) {
    const request = String(container.resources?.requests?.cpu ?? "0");
    cpus += request.endsWith("m") ? Number(request.slice(0, -1)) / 1000 : Number(request);
  }
  return Math.max(1, Math.ceil(cpus));
}

/** Tasks on each node: those asked for spread evenly, of a whole node with none asked for as many as it has CPUs. */
export function tasksPerNode(workload: Workload, cpusPerNode: readonly number[]): number[] {
  const { tasks, tasksPerNode: perNode, cpusPerTask = 1 } = workload.spec.submission ?? {};
  const count = cpusPerNode.length;
  if (tasks !== undefined) {
    return cpusPerNode.map((_cpus, index) => Math.floor(tasks / count) + (index < tasks % count ? 1 : 0));
  }
  if (perNode !== undefined) return cpusPerNode.map(() => perNode);
  if (workload.spec.placement?.exclusive) return cpusPerNode.map((cpus) => Math.max(1, Math.floor(cpus / cpusPerTask)));
  return cpusPerNode.map(() => 1);
}

/** Slurm's short form of a list of numbers: `3(x2),1`. */
export function compressCounts(counts: readonly number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < counts.length;) {
    let length = 1;
    while (counts[at + length] === counts[at]) length++;
    parts.push(length > 1 ? `${counts[at]}(x${length})` : `${counts[at]}`);
    at += length;
  }
  return parts.join(",");
}

/**
 * The variables that Slurm gives a batch job, and a few of Berth's own. Some are there only when the user asked for what they
 * say: scripts test for that.
 */
export function jobEnvironment(workload: Workload, attempt: RunningAttempt): Record<string, string> {
  const { spec, status } = workload;
  const submission = spec.submission ?? {};
  const nodeIndex = attempt.nodeIndex ?? 0;
  const node = attempt.nodes[nodeIndex] ?? "";
  const cpus = attempt.cpusPerNode ?? requestedCpusPerNode(workload).slice(0, attempt.nodes.length);
  const tasks = tasksPerNode(workload, cpus);
  const jobId = String(elementId(workload, attempt.task));
  const nodeList = compressHostlist(attempt.nodes);
  const nodeCount = String(attempt.nodes.length);
  const firstTask = tasks.slice(0, nodeIndex).reduce((sum, count) => sum + count, 0);
  const environment: Record<string, string> = {
    ENVIRONMENT: "BATCH",
    HOSTNAME: node,
    TMPDIR: "/tmp",
    SLURMD_NODENAME: node,
    SLURM_CLUSTER_NAME: attempt.clusterName ?? "berth",
    SLURM_CPUS_ON_NODE: String(cpus[nodeIndex] ?? 1),
    SLURM_GTIDS: String(firstTask),
    SLURM_JOBID: jobId,
    SLURM_JOB_ID: jobId,
    SLURM_JOB_ACCOUNT: status?.account ?? spec.account ?? "",
    SLURM_JOB_CPUS_PER_NODE: compressCounts(cpus),
    SLURM_JOB_NAME: spec.jobName ?? workload.metadata.name,
    SLURM_JOB_NODELIST: nodeList,
    SLURM_JOB_NUM_NODES: nodeCount,
    SLURM_JOB_PARTITION: status?.queue ?? spec.queue ?? "",
    SLURM_JOB_QOS: status?.qos ?? spec.qos ?? "normal",
    SLURM_JOB_USER: status?.identity?.user ?? spec.user ?? "",
    SLURM_LOCALID: "0",
    SLURM_NNODES: nodeCount,
    SLURM_NODEID: String(nodeIndex),
    SLURM_NODELIST: nodeList,
    SLURM_PRIO_PROCESS: "0",
    SLURM_PROCID: String(firstTask),
    SLURM_SUBMIT_HOST: submission.host ?? "",
    SLURM_TASKS_PER_NODE: compressCounts(tasks),
    SLURM_TOPOLOGY_ADDR: node,
    SLURM_TOPOLOGY_ADDR_PATTERN: "node",
    BERTH_JOB_ID: jobId,
    BERTH_WORKLOAD: workload.metadata.name,
    BERTH_NAMESPACE: workload.metadata.namespace ?? "",
    BERTH_ATTEMPT: String(attempt.attempt),
  };
  const set = (name: string, value: string | number | undefined) => {
    if (value !== undefined) environment[name] = String(value);
  };
  // A submission's environment file knows the directory of the command itself, which --chdir does not change.
  if (submission.secretName === undefined) set("SLURM_SUBMIT_DIR", submission.workingDirectory);
  set("SLURM_JOB_UID", status?.identity?.uid);
  set("SLURM_JOB_GID", status?.identity?.gid);
  set("SLURM_JOB_RESERVATION", spec.reservation);
  set("SLURM_CPUS_PER_TASK", submission.cpusPerTask);
  set("SLURM_NTASKS_PER_NODE", submission.tasksPerNode);
  if (submission.tasks !== undefined || submission.tasksPerNode !== undefined) {
    const sum = tasks.reduce((total, count) => total + count, 0);
    set("SLURM_NTASKS", sum);
    set("SLURM_NPROCS", sum);
  }
  if (submission.memoryPerNodeBytes) set("SLURM_MEM_PER_NODE", mebibytes(submission.memoryPerNodeBytes));
  else if (submission.memoryPerNodeBytes === undefined) {
    const perCpu = submission.memoryPerCpuBytes ?? attempt.defaultMemoryPerCpuBytes;
    if (perCpu !== undefined) set("SLURM_MEM_PER_CPU", mebibytes(perCpu));
  }
  set("SLURM_GPUS_ON_NODE", gpusOf(workload, nodeIndex));
  const restarts = attempt.restarts ?? attempt.attempt - 1;
  if (restarts > 0) set("SLURM_RESTART_COUNT", restarts);
  if (attempt.startTimeSeconds !== undefined) {
    const wallTime = status?.wallTimeSeconds ?? spec.wallTimeSeconds;
    set("SLURM_JOB_START_TIME", attempt.startTimeSeconds);
    if (wallTime !== undefined) set("SLURM_JOB_END_TIME", attempt.startTimeSeconds + wallTime);
  }
  if (spec.array && attempt.task !== undefined) {
    const { minimum, maximum, count, step } = arrayBounds(spec.array.indices);
    set("SLURM_ARRAY_JOB_ID", status?.jobId);
    set("SLURM_ARRAY_TASK_ID", attempt.task);
    set("SLURM_ARRAY_TASK_COUNT", count);
    set("SLURM_ARRAY_TASK_MIN", minimum);
    set("SLURM_ARRAY_TASK_MAX", maximum);
    set("SLURM_ARRAY_TASK_STEP", step);
  }
  return environment;
}

interface ArrayBounds {
  minimum: number;
  maximum: number;
  count: number;
  /** That of a regular array, else 1. */
  step: number;
}

// Each element that starts asks for the same array's bounds, and an array may have a million.
const knownBounds = new Map<string, ArrayBounds>();
const mostKnownBounds = 256;

function arrayBounds(text: string): ArrayBounds {
  const known = knownBounds.get(text);
  if (known) return known;
  const indices = parseIndexList(text);
  const minimum = indices.first() ?? 0;
  const maximum = indices.last() ?? 0;
  const count = indices.size;
  const step = (indices.first(minimum + 1) ?? minimum + 1) - minimum;
  let regular = count > 1 && minimum + (count - 1) * step === maximum;
  for (let index = minimum; regular && index <= maximum; index += step) regular = indices.has(index);
  const bounds = { minimum, maximum, count, step: regular ? step : 1 };
  if (knownBounds.size >= mostKnownBounds) knownBounds.clear();
  knownBounds.set(text, bounds);
  return bounds;
}

function gpusOf(workload: Workload, nodeIndex: number): number | undefined {
  let before = 0;
  const set = workload.spec.podSets.find((candidate) => (before += candidate.count) > nodeIndex);
  let gpus = 0;
  for (const container of set?.template.spec.containers ?? []) {
    for (const [resource, count] of Object.entries(container.resources?.requests ?? {})) {
      if (resource.startsWith("nvidia.com/")) gpus += Number(count);
    }
  }
  return gpus > 0 ? gpus : undefined;
}
