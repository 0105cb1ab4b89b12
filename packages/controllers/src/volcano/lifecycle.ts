/** What becomes of a Job of Volcano's: from what there is of it to its next status, and what is to be done. Pure. */
import type { Pod, Workload } from "@berth/kinds";
import { isActive, isFinal } from "@berth/kinds";
import { jsonEqual } from "@berth/machinery";
import { timestamp } from "../context.ts";
import { failureOf } from "../hosted/held-job.ts";
import { isTerminal } from "../model/ends.ts";
import { waitingReport } from "../pod/wrapping.ts";
import {
  defaultRetries,
  durationSeconds,
  eventsOf,
  isFinished,
  type JobAction,
  type JobEvent,
  type JobPhase,
  type LifecyclePolicy,
  minimumOf,
  podNameOf,
  replicasOf,
  type Task,
  type VolcanoJob,
  type VolcanoJobStatus,
} from "./job.ts";
import { volcanoLabels, volcanoPodAnnotations } from "./names.ts";

/** A pod that somebody else took away. */
export interface Eviction {
  task: string;
  pod: string;
  version: number;
  /** Milliseconds since 1970. */
  time: number;
}

export interface JobSeen {
  job: VolcanoJob;
  tasks: readonly Task[];
  pods: readonly Pod[];
  /** The Workload that stands for it and is not over, and the last one that is. */
  workload: Workload | undefined;
  last: Workload | undefined;
  /** Places were given, and are its own still. */
  hasPlaces: boolean;
  /** What was begun of it has not been let go of yet. */
  isHeldUp: boolean;
  evictions: readonly Eviction[];
  /** What somebody asks for. */
  command?: JobAction | undefined;
  problem: string | undefined;
  now: number;
}

export interface JobPlan {
  /** What is to be written first; the rest is looked at again when it is there. */
  status?: VolcanoJobStatus;
  remove: readonly Pod[];
  /** Pods that are missing. */
  make: readonly { task: Task; index: number }[];
  workload?: "Create" | "Cancel" | "Hold" | "Release" | "Succeeded" | "Failed" | "Cancelled";
  /** Its time is over. */
  isExpired?: true;
  lookAgainMs?: number;
}

const stopping: ReadonlySet<JobPhase | undefined> = new Set(["Aborting", "Completing", "Terminating"]);
const afterStop: Partial<Record<JobPhase, JobPhase>> = {
  Aborting: "Aborted",
  Completing: "Completed",
  Terminating: "Terminated",
};
const versionOf = ({ metadata }: Pod): number => Number(metadata.annotations?.[volcanoPodAnnotations.jobVersion] ?? 0);
export const taskOfPod = ({ metadata }: Pod): string => metadata.labels?.[volcanoLabels.taskSpec] ?? "";
const isGoing = ({ metadata }: Pod): boolean => metadata.deletionTimestamp !== undefined;
const isLiving = (pod: Pod): boolean => !isTerminal(pod) && !isGoing(pod);

export function planJob(seen: JobSeen): JobPlan {
  const { job, pods, workload } = seen;
  const { state = {}, version = 0, retryCount = 0 } = job.status ?? {};
  const { phase } = state;
  const living = pods.filter(isLiving);
  const isStill = living.length === 0 && !pods.some(isGoing);
  const nothing = { remove: [], make: [] };
  const move = (to: JobPhase, why: Change = {}, rest: Partial<JobPlan> = {}): JobPlan => ({
    ...nothing,
    ...rest,
    status: statusOf(seen, { phase: to, ...why }),
  });
  if (phase === undefined) {
    const { problem } = seen;
    return problem === undefined ? move("Pending") : move("Failed", { reason: "Invalid", message: problem });
  }
  const kept = { ...nothing, ...changedCounts(seen) };
  if (isFinished(phase)) return { ...kept, remove: living, ...letGo(seen, phase, isStill), ...expiry(seen) };
  if (stopping.has(phase)) {
    const isHeld =
      phase !== "Aborting" || (!seen.isHeldUp && (workload === undefined || workload.spec.hold === "User"));
    if (isStill && isHeld) return move(afterStop[phase]!, { reason: state.reason, message: state.message });
    return { ...kept, remove: living, ...(phase === "Aborting" && !isHeld ? { workload: "Hold" } : {}) };
  }
  if (phase === "Aborted") {
    if (seen.command === "TerminateJob") return move("Terminating");
    if (seen.command !== "ResumeJob") return { ...kept, remove: living };
    // What had succeeded need not be done again.
    const failed = pods.filter(({ status }) => status?.phase === "Failed");
    return move("Restarting", { retryCount: retryCount + 1, reason: "Resumed" }, { remove: failed });
  }
  const command = seen.command === "ResumeJob" ? undefined : seen.command;
  const due = command === undefined ? dueAction(seen) : { action: command };
  if (phase === "Restarting" && command === undefined) {
    if (retryCount >= (job.spec.maxRetry ?? defaultRetries))
      return move("Failed", {
        reason: "MaxRetry",
        message: `it was begun again ${retryCount} times: spec.maxRetry is ${job.spec.maxRetry ?? defaultRetries}`,
      });
    if (workload?.spec.hold === "User" && state.reason === "Resumed") return { ...kept, workload: "Release" };
    const outdated = pods.filter((pod) => versionOf(pod) < version && !isGoing(pod));
    if (outdated.length > 0) return { ...kept, remove: outdated };
    return pods.some(isGoing) ? kept : move("Pending");
  }
  const acted = due.action === undefined ? undefined : act(seen, due.action, due, move);
  if (acted !== undefined) return acted;
  const later = due.lookAgainMs === undefined ? {} : { lookAgainMs: due.lookAgainMs };
  const { running, succeeded, failed } = countsOf(pods);
  if (phase === "Pending" && running + succeeded + failed >= minimumOf(job.spec)) return move("Running");
  if (phase === "Running") {
    const end = endOf(seen);
    if (end !== undefined) return move(end.phase, end);
  }
  if (workload === undefined) {
    const { last } = seen;
    if (last === undefined) return { ...kept, ...later, workload: "Create" };
    const { reason, message } = failureOf(last);
    if (last.status?.phase === "Cancelled") return move("Terminating", { reason, message });
    return move("Failed", { reason, message });
  }
  if (
    phase === "Running" &&
    !seen.hasPlaces &&
    isFinal(workload.status?.phase) === false &&
    !isActive(workload.status?.phase)
  )
    return move("Pending", { reason: "MadeRoom" });
  return { ...kept, ...later, make: seen.hasPlaces ? missing(seen) : [] };
}

interface Change {
  phase?: JobPhase;
  reason?: string | undefined;
  message?: string | undefined;
  retryCount?: number;
  version?: number;
}

function act(
  { job, pods }: JobSeen,
  action: JobAction,
  { task, pod, why }: Due,
  move: (to: JobPhase, why?: Change, rest?: Partial<JobPlan>) => JobPlan,
): JobPlan | undefined {
  const { retryCount = 0, version = 0 } = job.status ?? {};
  const told = { reason: why === undefined ? "Commanded" : why.event, message: why?.message };
  const again = { ...told, retryCount: retryCount + 1 };
  switch (action) {
    case "AbortJob":
      return move("Aborting", told);
    case "TerminateJob":
      return move("Terminating", told);
    case "CompleteJob":
      return move("Completing", told);
    case "RestartJob":
      return move("Restarting", { ...again, version: version + 1 });
    case "RestartTask":
      return move("Restarting", again, { remove: pods.filter((each) => taskOfPod(each) === task && !isGoing(each)) });
    case "RestartPod":
      return move("Restarting", again, { remove: pods.filter(({ metadata }) => metadata.name === pod) });
    case "ResumeJob":
      return undefined;
  }
}

interface Due {
  action?: JobAction;
  task?: string;
  pod?: string;
  why?: { event: string; message: string };
  lookAgainMs?: number;
}

interface Happened {
  event: JobEvent;
  task: Task;
  pod?: string;
  exitCode?: number;
  /** Milliseconds since 1970. */
  time: number;
}

/** The first action that what happened asks for and whose time has come. */
function dueAction(seen: JobSeen): Due {
  let soonest: number | undefined;
  for (const happened of whatHappened(seen)) {
    const policy = policyFor(seen.job, happened);
    if (policy?.action === undefined) continue;
    const wait = happened.time + 1000 * (durationSeconds(policy.timeout ?? "0") ?? 0) - seen.now;
    if (wait > 0 && policy.timeout !== undefined) {
      soonest = Math.min(soonest ?? wait, wait);
      continue;
    }
    const { event, task, pod, exitCode } = happened;
    const who = pod === undefined ? `task ${task.name}` : `pod ${pod}`;
    const code = exitCode === undefined ? "" : `, exit code ${exitCode}`;
    const why = { event, message: `${event} of ${who}${code}: ${policy.action}` };
    return { action: policy.action, task: task.name, why, ...(pod === undefined ? {} : { pod }) };
  }
  return soonest === undefined ? {} : { lookAgainMs: Math.ceil(soonest) };
}

function whatHappened({ job, tasks, pods, evictions }: JobSeen): Happened[] {
  const found: Happened[] = [];
  const version = job.status?.version ?? 0;
  const at = (time: string | undefined): number => (time === undefined ? 0 : Date.parse(time));
  for (const task of tasks) {
    const mine = pods.filter((pod) => taskOfPod(pod) === task.name && versionOf(pod) === version && !isGoing(pod));
    let restarts = 0;
    for (const { metadata, status = {} } of mine) {
      const [first] = status.containerStatuses ?? [];
      const common = { task, pod: metadata.name };
      const ended = first?.state?.terminated;
      if (status.phase === "Failed")
        found.push({ ...common, event: "PodFailed", exitCode: ended?.exitCode ?? 0, time: at(ended?.finishedAt) });
      else if (status.phase === undefined || status.phase === "Pending")
        found.push({ ...common, event: "PodPending", time: at(metadata.creationTimestamp) });
      if (!isTerminal({ status } as Pod))
        for (const each of status.containerStatuses ?? []) restarts += each.restartCount;
    }
    if (restarts >= task.maxRetry) found.push({ event: "TaskFailed", task, time: 0 });
    const done = mine.filter(({ status }) => status?.phase === "Succeeded");
    if (task.replicas > 0 && done.length >= task.replicas) {
      const ends = done.map(({ status }) => at(status?.containerStatuses?.[0]?.state?.terminated?.finishedAt));
      found.push({ event: "TaskCompleted", task, time: Math.max(...ends) });
    }
    for (const eviction of evictions)
      if (eviction.task === task.name && eviction.version === version)
        found.push({ event: "PodEvicted", task, pod: eviction.pod, time: eviction.time });
  }
  return found;
}

/** Of its task, else of the Job. What waits is an event only where a timeout says for how long. */
function policyFor(job: VolcanoJob, { event, exitCode, task }: Happened): LifecyclePolicy | undefined {
  const isFor = (policy: LifecyclePolicy): boolean => {
    if (policy.exitCode !== undefined) return policy.exitCode === exitCode;
    const events = eventsOf(policy);
    return (events.includes(event) || events.includes("*")) && (event !== "PodPending" || policy.timeout !== undefined);
  };
  return task.policies.find(isFor) ?? job.spec.policies?.find(isFor);
}

/** Whether it is over, and how: by Volcano's own rules. */
function endOf({ job, tasks, pods }: JobSeen): { phase: JobPhase; reason?: string; message?: string } | undefined {
  const { minSuccess } = job.spec;
  const { succeeded, failed } = countsOf(pods);
  if (minSuccess !== undefined && succeeded >= minSuccess) return { phase: "Completed" };
  const total = replicasOf(tasks);
  if (succeeded + failed < total || pods.some(isGoing)) return undefined;
  const minimum = minimumOf(job.spec);
  const failure = (what: string): { phase: JobPhase; reason: string; message: string } => ({
    phase: "Failed",
    reason: "PodsFailed",
    message: `${failed} of ${total} pods failed; ${what}`,
  });
  if (minimum >= tasks.reduce((sum, each) => sum + each.minimum, 0))
    for (const { name, minimum: least } of tasks) {
      const done = pods.filter((pod) => taskOfPod(pod) === name && pod.status?.phase === "Succeeded").length;
      if (done < least) return failure(`task ${name} needs ${least} that succeed`);
    }
  if (minSuccess !== undefined) return failure(`spec.minSuccess is ${minSuccess}`);
  return succeeded >= minimum ? { phase: "Completed" } : failure(`spec.minAvailable is ${minimum}`);
}

/** Pods that are to be and are not; those whose task waits for others come later. */
function missing({ job, tasks, pods }: JobSeen): { task: Task; index: number }[] {
  const there = new Set(pods.map(({ metadata }) => metadata.name));
  const found: { task: Task; index: number }[] = [];
  for (const task of tasks) {
    if (!mayBegin(task, tasks, pods)) continue;
    for (let index = 0; index < task.replicas; index++)
      if (!there.has(podNameOf(job.metadata.name, task.name, index))) found.push({ task, index });
  }
  return found;
}

function mayBegin({ dependsOn, isAnyEnough }: Task, tasks: readonly Task[], pods: readonly Pod[]): boolean {
  const isUp = (name: string): boolean => {
    const up = pods.filter((pod) => {
      const { phase, containerStatuses = [] } = pod.status ?? {};
      if (taskOfPod(pod) !== name) return false;
      return phase === "Succeeded" || (phase === "Running" && containerStatuses.every(({ ready }) => ready));
    });
    return up.length >= (tasks.find((task) => task.name === name)?.minimum ?? 0);
  };
  if (dependsOn.length === 0) return true;
  return isAnyEnough ? dependsOn.some(isUp) : dependsOn.every(isUp);
}

const workloadEnds = { Completed: "Succeeded", Failed: "Failed", Terminated: "Cancelled" } as const;

function letGo({ workload, hasPlaces, isHeldUp }: JobSeen, phase: JobPhase, isStill: boolean): Partial<JobPlan> {
  if (workload === undefined) return {};
  if (hasPlaces) return isStill ? { workload: workloadEnds[phase as keyof typeof workloadEnds] } : {};
  return isHeldUp ? {} : { workload: "Cancel" };
}

function expiry({ job, now }: JobSeen): Partial<JobPlan> {
  const { ttlSecondsAfterFinished: ttl } = job.spec;
  const since = job.status?.state?.lastTransitionTime;
  if (ttl === undefined || since === undefined) return {};
  const left = Date.parse(since) + ttl * 1000 - now;
  return left <= 0 ? { isExpired: true } : { lookAgainMs: left };
}

interface Counts {
  pending: number;
  running: number;
  succeeded: number;
  failed: number;
  terminating: number;
  unknown: number;
}

function countsOf(pods: readonly Pod[]): Counts {
  const counts: Counts = { pending: 0, running: 0, succeeded: 0, failed: 0, terminating: 0, unknown: 0 };
  for (const pod of pods) {
    if (isGoing(pod)) counts.terminating++;
    else counts[(pod.status?.phase ?? "Pending").toLowerCase() as keyof Counts]++;
  }
  return counts;
}

/** Only what is not so already; undefined where nothing is to be told. */
function changedCounts(seen: JobSeen): Partial<JobPlan> {
  const { job, workload } = seen;
  const report = workload === undefined || seen.hasPlaces ? undefined : waitingReport(workload);
  const { state = {} } = job.status ?? {};
  const isWaiting = state.phase === "Pending";
  const status = statusOf(seen, {
    reason: isWaiting ? report?.reason : state.reason,
    message: isWaiting ? report?.message : state.message,
  });
  const known = job.status ?? {};
  const isSame = Object.entries(status).every(([field, value]) =>
    jsonEqual(known[field as keyof VolcanoJobStatus], value),
  );
  return isSame ? {} : { status };
}

function statusOf({ job, pods, tasks, now }: JobSeen, change: Change): VolcanoJobStatus {
  const { state = {}, conditions = [], version = 0, retryCount = 0, runningDuration } = job.status ?? {};
  const time = timestamp(now);
  const isMoved = change.phase !== undefined && change.phase !== state.phase;
  const phase = change.phase ?? state.phase;
  const since = isMoved ? time : state.lastTransitionTime;
  const taskStatusCount: VolcanoJobStatus["taskStatusCount"] = {};
  for (const { name } of tasks) {
    const mine = pods.filter((pod) => taskOfPod(pod) === name && !isGoing(pod));
    if (mine.length === 0) continue;
    const phases: Record<string, number> = {};
    for (const { status } of mine) phases[status?.phase ?? "Pending"] = (phases[status?.phase ?? "Pending"] ?? 0) + 1;
    taskStatusCount[name] = { phase: Object.fromEntries(Object.entries(phases).sort(([a], [b]) => (a < b ? -1 : 1))) };
  }
  const lasted = isMoved ? Date.parse(time) - Date.parse(job.metadata.creationTimestamp ?? time) : undefined;
  return {
    state: {
      ...(phase === undefined ? {} : { phase }),
      ...(change.reason === undefined ? {} : { reason: change.reason }),
      ...(change.message === undefined ? {} : { message: change.message }),
      ...(since === undefined ? {} : { lastTransitionTime: since }),
    },
    minAvailable: minimumOf(job.spec),
    ...countsOf(pods),
    taskStatusCount,
    version: change.version ?? version,
    retryCount: change.retryCount ?? retryCount,
    ...(lasted === undefined
      ? runningDuration === undefined
        ? {}
        : { runningDuration }
      : { runningDuration: `${Math.max(0, lasted / 1000)}s` }),
    conditions: isMoved ? [...conditions, { status: phase!, lastTransitionTime: time }].slice(-32) : conditions,
  };
}
