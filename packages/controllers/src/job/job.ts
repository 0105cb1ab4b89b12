/** batch/v1 Jobs as Workloads: one for all completions, and another for what failed, as often as backoffLimit allows. Pure. */
import type { PodTemplate, Workload } from "@berth/kinds";
import { annotations, apiVersion, group, isFinal, parseIndexList } from "@berth/kinds";
import type { Condition, KubernetesObject } from "@berth/machinery";
import { seconds, timestamp } from "../context.ts";

interface JobSpec {
  parallelism?: number;
  completions?: number;
  backoffLimit?: number;
  activeDeadlineSeconds?: number;
  ttlSecondsAfterFinished?: number;
  suspend?: boolean;
  completionMode?: "NonIndexed" | "Indexed";
  template: PodTemplate;
}

export interface JobStatus {
  startTime?: string;
  completionTime?: string;
  active?: number;
  ready?: number;
  succeeded?: number;
  failed?: number;
  completedIndexes?: string;
  conditions?: (Condition & { lastProbeTime?: string })[];
}
export type Job = KubernetesObject<JobSpec, JobStatus> & { spec: JobSpec };

/** On a Job's Workloads: how many came before it. */
const roundAnnotation = `${group}/job-round`;
/** Of Kubernetes' Job controller: ten seconds, doubled with each failure, six minutes at most. */
const firstBackoffSeconds = 10;
const longestBackoffSeconds = 360;

export interface JobPlan {
  /** Undefined where nothing changed. */
  status: JobStatus | undefined;
  create?: Workload;
  /** Name of a Workload that is to end: too much of it failed. */
  cancel?: string;
  /** Hold or release: name and value. */
  hold?: { name: string; hold: "User" | null };
}

export function isFinished(job: Job): boolean {
  return job.status?.conditions?.some(({ type, status }) => isEnd(type) && status === "True") === true;
}

function isEnd(type: string): boolean {
  return type === "Complete" || type === "Failed";
}

function roundOf(workload: Workload): number {
  return Number(workload.metadata.annotations?.[roundAnnotation] ?? 0);
}

function completionsOf({ spec }: Job): number {
  return spec.completions ?? Math.max(1, spec.parallelism ?? 1);
}

/** The Workload of one round. Wall time is the Job's (or its pods') deadline, or the queue's default. */
function workloadOf(job: Job, round: number, indices: string, beginTime?: string): Workload {
  const { metadata, spec } = job;
  const { nodeName, activeDeadlineSeconds, ...podSpec } = spec.template.spec;
  const wallTimeSeconds = spec.activeDeadlineSeconds ?? activeDeadlineSeconds;
  const isArray = completionsOf(job) > 1 || spec.completionMode === "Indexed";
  return {
    apiVersion,
    kind: "Workload",
    metadata: {
      name: `${metadata.name.slice(0, 54)}${round === 0 ? "" : `-r${round}`}`,
      namespace: metadata.namespace,
      annotations: { [roundAnnotation]: String(round) },
      ownerReferences: [
        { apiVersion: "batch/v1", kind: "Job", name: metadata.name, uid: metadata.uid ?? "", controller: true },
      ],
    },
    spec: {
      type: "Batch",
      jobName: metadata.name,
      queue: metadata.labels?.[`${group}/queue`],
      account: metadata.labels?.[`${group}/account`],
      wallTimeSeconds,
      beginTime,
      placement: nodeName === undefined ? undefined : { nodes: [nodeName] },
      podSets: [
        {
          name: "main",
          role: "Driver",
          count: 1,
          template: { metadata: spec.template.metadata, spec: podSpec },
        },
      ],
      array: isArray ? { indices, maxRunning: Math.max(1, spec.parallelism ?? 1) } : undefined,
    },
  };
}

interface Counts {
  active: number;
  succeeded: number;
  failed: number;
  /** Index list of what did not succeed. */
  unsuccessful: string;
}

function countsOf(workload: Workload): Counts {
  const { status = {} } = workload;
  const { array } = status;
  if (workload.spec.array === undefined || array === undefined) {
    const hasEnded = isFinal(status.phase);
    const ok = status.phase === "Succeeded";
    return {
      active: ["Running", "Starting", "Suspended"].includes(status.phase ?? "") ? 1 : 0,
      succeeded: ok ? 1 : 0,
      failed: hasEnded && !ok ? 1 : 0,
      unsuccessful: ok ? "" : (workload.spec.array?.indices ?? "0"),
    };
  }
  const lists = [array.failed, array.timedOut, array.outOfMemory, array.nodeFailed, array.cancelled];
  const failed = lists.map((list) => parseIndexList(list ?? ""));
  return {
    active: parseIndexList(array.running).size,
    succeeded: parseIndexList(array.succeeded).size,
    failed: failed.reduce((sum, set) => sum + set.size, 0),
    unsuccessful: lists.filter((list) => list !== undefined && list !== "").join(","),
  };
}

function refusalOf(workload: Workload): Condition | undefined {
  return workload.status?.conditions?.find(({ type, status }) => type === "Admitted" && status === "False");
}

/**
 * What is to be done for a Job.
 * @param workloads those that the Job owns
 */
export function planJob(job: Job, workloads: readonly Workload[], nowMilliseconds: number): JobPlan {
  if (job.metadata.deletionTimestamp !== undefined || isFinished(job)) return { status: undefined };
  const rounds = [...workloads].sort((a, b) => roundOf(a) - roundOf(b));
  const last = rounds.at(-1);
  const now = timestamp(nowMilliseconds);
  if (last === undefined) {
    if (job.spec.suspend === true) return { status: undefined };
    return { status: undefined, create: workloadOf(job, 0, `0-${completionsOf(job) - 1}`) };
  }
  const counts = rounds.map(countsOf);
  const sum = (of: keyof Omit<Counts, "unsuccessful">): number => counts.reduce((total, each) => total + each[of], 0);
  const status: JobStatus = {
    startTime: job.status?.startTime ?? last.metadata.creationTimestamp ?? now,
    active: sum("active"),
    ready: sum("active"),
    succeeded: sum("succeeded"),
    failed: sum("failed"),
  };
  const end = (type: "Complete" | "Failed", reason: string, message: string): JobPlan => ({
    status: {
      ...status,
      ...(type === "Complete" ? { completionTime: now } : {}),
      conditions: [
        ...(job.status?.conditions ?? []),
        {
          type: type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget",
          status: "True",
          reason,
          message,
          lastTransitionTime: now,
        },
        { type, status: "True", reason, message, lastTransitionTime: now },
      ],
    },
  });
  const backoffLimit = job.spec.backoffLimit ?? 6;
  const failures = status.failed ?? 0;
  if (!isFinal(last.status?.phase)) {
    const plan: JobPlan = { status };
    if (failures > backoffLimit && last.metadata.annotations?.[annotations.cancel] === undefined) {
      plan.cancel = last.metadata.name;
    }
    const wanted = job.spec.suspend === true ? "User" : undefined;
    // What an operator holds is not the Job's to release.
    if (wanted !== last.spec.hold && last.spec.hold !== "Admin")
      plan.hold = { name: last.metadata.name, hold: wanted ?? null };
    return plan;
  }
  const refusal = refusalOf(last);
  if (refusal !== undefined) return end("Failed", refusal.reason, refusal.message);
  if ((status.succeeded ?? 0) >= completionsOf(job)) {
    return end("Complete", "CompletionsReached", "Reached expected number of succeeded pods");
  }
  if (failures > backoffLimit)
    return end("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
  if (last.status?.phase === "Cancelled")
    return end("Failed", "Cancelled", `its Workload ${last.metadata.name} was cancelled`);
  if (last.status?.phase === "TimedOut")
    return end("Failed", "DeadlineExceeded", "Job was active longer than specified deadline");
  const pause = Math.min(longestBackoffSeconds, firstBackoffSeconds * 2 ** roundOf(last));
  const endedAt = seconds(last.status?.endTime ?? now);
  const next = workloadOf(job, roundOf(last) + 1, counts.at(-1)!.unsuccessful, timestamp((endedAt + pause) * 1000));
  return { status, create: next };
}

/** Whether a status patch would change anything. */
export function differs(job: Job, status: JobStatus): boolean {
  const { conditions, ...rest } = status;
  const known = job.status ?? {};
  if ((conditions?.length ?? 0) > (known.conditions?.length ?? 0)) return true;
  return Object.entries(rest).some(([field, value]) => (known[field as keyof JobStatus] ?? 0) !== (value ?? 0));
}
