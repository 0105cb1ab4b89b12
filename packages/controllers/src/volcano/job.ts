/** Jobs of batch.volcano.sh: what they ask for, with what Volcano fills in, and what of it cannot be had. Pure. */
import type { PodTemplate } from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";

export type JobPhase =
  | "Pending"
  | "Running"
  | "Restarting"
  | "Aborting"
  | "Aborted"
  | "Completing"
  | "Completed"
  | "Terminating"
  | "Terminated"
  | "Failed";

/** What follows an event. */
const jobActions = [
  "AbortJob",
  "RestartJob",
  "RestartTask",
  "RestartPod",
  "TerminateJob",
  "CompleteJob",
  "ResumeJob",
] as const;
export type JobAction = (typeof jobActions)[number];

/** `Unknown` never happens here: a gang begins whole. */
const jobEvents = ["*", "PodFailed", "PodEvicted", "PodPending", "TaskCompleted", "TaskFailed", "Unknown"] as const;
export type JobEvent = (typeof jobEvents)[number];

export interface LifecyclePolicy {
  action?: JobAction;
  event?: JobEvent;
  events?: JobEvent[];
  exitCode?: number;
  /** As Go writes durations: `10m`, `1h30m`. */
  timeout?: string;
}

interface StatedTask {
  name?: string;
  replicas?: number;
  minAvailable?: number;
  template?: PodTemplate;
  policies?: LifecyclePolicy[];
  maxRetry?: number;
  dependsOn?: { name?: string[]; iteration?: "any" | "all" };
}

export interface VolcanoJobSpec {
  schedulerName?: string;
  minAvailable?: number;
  minSuccess?: number;
  tasks?: StatedTask[];
  policies?: LifecyclePolicy[];
  plugins?: Record<string, string[] | null>;
  queue?: string;
  maxRetry?: number;
  ttlSecondsAfterFinished?: number;
  priorityClassName?: string;
  volumes?: JobVolume[];
}

interface JobVolume {
  mountPath: string;
  volumeClaimName?: string;
  volumeClaim?: Record<string, unknown>;
}

export interface VolcanoJobStatus {
  state?: { phase?: JobPhase; reason?: string; message?: string; lastTransitionTime?: string };
  minAvailable?: number;
  taskStatusCount?: Record<string, { phase: Record<string, number> }>;
  pending?: number;
  running?: number;
  succeeded?: number;
  failed?: number;
  terminating?: number;
  unknown?: number;
  /** Goes up when all is begun anew: pods of an earlier one are replaced. */
  version?: number;
  retryCount?: number;
  runningDuration?: string;
  controlledResources?: Record<string, string>;
  conditions?: { status: JobPhase; lastTransitionTime?: string }[];
}

export type VolcanoJob = KubernetesObject<VolcanoJobSpec, VolcanoJobStatus> & { spec: VolcanoJobSpec };

export interface Task {
  name: string;
  replicas: number;
  minimum: number;
  template: PodTemplate;
  policies: readonly LifecyclePolicy[];
  maxRetry: number;
  dependsOn: readonly string[];
  isAnyEnough: boolean;
  /** Of its pods the first so many belong to the gang; the others wait by themselves. */
  inGang: number;
}

export const defaultRetries = 3;
/** Most pod sets of a Workload. */
const mostTasks = 8;
/** Names of schedulers that stand for Berth here: those that examples of Volcano and kube-batch have. */
const ownSchedulers = new Set(["", "berth", "volcano", "kube-batch"]);

export const isFinished = (phase: JobPhase | undefined): boolean =>
  phase === "Completed" || phase === "Terminated" || phase === "Failed";

/** The tasks with all defaults; the gang is the least that Volcano would begin. */
export function tasksOf({ spec }: VolcanoJob): Task[] {
  const tasks = (spec.tasks ?? []).map((task, at): Task => {
    const { name = `default${at}`, replicas = 0, minAvailable = replicas, template, policies = [], maxRetry } = task;
    return {
      name,
      replicas,
      minimum: minAvailable,
      template: template ?? { spec: { containers: [] } },
      policies,
      maxRetry: maxRetry === undefined || maxRetry === 0 ? defaultRetries : maxRetry,
      dependsOn: task.dependsOn?.name ?? [],
      isAnyEnough: task.dependsOn?.iteration === "any",
      inGang: 0,
    };
  });
  const wanted = minimumOf(spec);
  const ofTasks = tasks.reduce((sum, { minimum }) => sum + minimum, 0);
  let left = wanted;
  const give = (task: Task, most: number): void => {
    const more = Math.min(left, most - task.inGang);
    if (more <= 0) return;
    task.inGang += more;
    left -= more;
  };
  // As its gang plugin has it: what each task needs counts only where the Job asks for as much.
  if (wanted >= ofTasks) for (const task of tasks) give(task, task.minimum);
  for (const task of tasks) give(task, task.replicas);
  return tasks;
}

/** How many pods begin together. */
export function minimumOf({ minAvailable = 0, tasks = [] }: VolcanoJobSpec): number {
  if (minAvailable > 0) return minAvailable;
  return tasks.reduce((sum, { replicas = 0, minAvailable: own = replicas }) => sum + own, 0);
}

export const replicasOf = (tasks: readonly Task[]): number => tasks.reduce((sum, { replicas }) => sum + replicas, 0);

export const podNameOf = (job: string, task: string, index: number): string => `${job}-${task}-${index}`;

/** Seconds of a duration as Go writes it; undefined where it is none. */
export function durationSeconds(text: string): number | undefined {
  const units: Record<string, number> = { h: 3600, m: 60, s: 1, ms: 0.001, us: 1e-6, µs: 1e-6, ns: 1e-9 };
  if (text === "0") return 0;
  if (!/^(\d+(\.\d+)?(h|ms|m|s|us|µs|ns))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g))
    total += Number(number) * units[unit!]!;
  return total;
}

/** What speaks against running it, in words that name the field; the first that is found. */
export function problemOf(job: VolcanoJob, isPlugin: (name: string) => boolean): string | undefined {
  const { spec, metadata } = job;
  const tasks = tasksOf(job);
  const { schedulerName = "" } = spec;
  if (!ownSchedulers.has(schedulerName))
    return `spec.schedulerName: ${schedulerName} does not place pods of Jobs here; put volcano or berth, or leave it out`;
  if (tasks.length === 0) return "spec.tasks: a Job needs one task at least";
  if (tasks.length > mostTasks)
    return `spec.tasks: there are ${tasks.length}; a Job has ${mostTasks} at most here: put equal pods into one task`;
  const names = new Set<string>();
  for (const [at, task] of tasks.entries()) {
    const field = `spec.tasks[${at}]`;
    if (names.has(task.name)) return `${field}.name: another task is named ${task.name} already`;
    names.add(task.name);
    if (task.minimum > task.replicas)
      return `${field}.minAvailable: ${task.minimum} is more than its replicas, ${task.replicas}`;
    const named = task.template.spec?.["schedulerName"];
    if (typeof named === "string" && !ownSchedulers.has(named))
      return `${field}.template.spec.schedulerName: ${named} does not place pods of Jobs here; put volcano or berth, or leave it out`;
    if ((task.template.spec?.containers ?? []).length === 0)
      return `${field}.template.spec.containers: a pod needs one container at least`;
    if (podNameOf(metadata.name, task.name, Math.max(0, task.replicas - 1)).length > 63)
      return `${field}.name: the pods' names JOB-TASK-INDEX would be longer than 63 characters; shorten it, or the name of the Job`;
    const policy = problemOfPolicies(task.policies, `${field}.policies`);
    if (policy !== undefined) return policy;
    for (const other of task.dependsOn)
      if (!tasks.some(({ name }) => name === other)) return `${field}.dependsOn.name: there is no task ${other}`;
  }
  if (!hasOrder(tasks)) return "spec.tasks[].dependsOn: tasks wait for each other in a circle";
  const total = replicasOf(tasks);
  if (minimumOf(spec) > total)
    return `spec.minAvailable: ${minimumOf(spec)} is more than all tasks have replicas, ${total}`;
  if (minimumOf(spec) === 0) return "spec.minAvailable: a Job of no pods has nothing to run; give a task replicas";
  if (spec.minSuccess !== undefined && spec.minSuccess > total)
    return `spec.minSuccess: ${spec.minSuccess} is more than all tasks have replicas, ${total}`;
  const unknown = Object.keys(spec.plugins ?? {}).find((name) => !isPlugin(name));
  if (unknown !== undefined) return `spec.plugins: there is no plugin ${unknown} here`;
  return problemOfPolicies(spec.policies ?? [], "spec.policies");
}

function problemOfPolicies(policies: readonly LifecyclePolicy[], field: string): string | undefined {
  const seen = new Set<string | number>();
  for (const [at, policy] of policies.entries()) {
    const where = `${field}[${at}]`;
    const events = eventsOf(policy);
    if (events.length > 0 === (policy.exitCode !== undefined))
      return `${where}: a policy has either event (or events) or exitCode`;
    if (policy.exitCode === 0) return `${where}.exitCode: 0 is no failure`;
    if (policy.action === undefined || !jobActions.includes(policy.action))
      return `${where}.action: must be one of ${jobActions.join(", ")}, not ${policy.action ?? "missing"}`;
    const unknown = events.find((event) => !jobEvents.includes(event));
    if (unknown !== undefined) return `${where}.event: must be one of ${jobEvents.join(", ")}, not ${unknown}`;
    if (policy.timeout !== undefined && durationSeconds(policy.timeout) === undefined)
      return `${where}.timeout: ${policy.timeout} is no duration such as 90s, 10m or 1h30m`;
    for (const key of policy.exitCode === undefined ? events : [policy.exitCode]) {
      if (seen.has(key)) return `${where}: another policy is for ${key} already`;
      seen.add(key);
    }
  }
  return seen.has("*") && seen.size > 1 && [...seen].some((key) => typeof key === "string" && key !== "*")
    ? `${field}: event * is for all, so that no other event may stand beside it`
    : undefined;
}

export function eventsOf({ event, events = [] }: LifecyclePolicy): JobEvent[] {
  return [...new Set(event === undefined ? events : [...events, event])];
}

function hasOrder(tasks: readonly Task[]): boolean {
  const left = new Map(tasks.map((task) => [task.name, task]));
  for (;;) {
    const next = [...left.values()].filter(({ dependsOn }) => dependsOn.every((name) => !left.has(name)));
    if (next.length === 0) return left.size === 0;
    for (const { name } of next) left.delete(name);
  }
}
