import { compareWithin } from "./classes.ts";
import type { JobClass } from "./classes.ts";
import type { PriorityFactor, PriorityPolicy } from "./priority-types.ts";
import type { JobRecord } from "./records.ts";
import type { ClusterStore } from "./store.ts";

const defaultHalfLifeSeconds = 7 * 86_400;

/** The policy of priority with nothing left open. */
export interface PriorityRules {
  weights: Record<PriorityFactor, number>;
  maxAgeSeconds: number;
  halfLifeSeconds: number;
  favorSmall: boolean;
}

export function priorityRules({
  weights = {},
  maxAgeSeconds,
  halfLifeSeconds,
  favorSmall,
}: PriorityPolicy): PriorityRules {
  const { age = 0, fairShare = 0, jobSize = 0, queue = 0, qos = 0 } = weights;
  return {
    weights: { age, fairShare, jobSize, queue, qos },
    maxAgeSeconds: maxAgeSeconds ?? 7 * 86_400,
    halfLifeSeconds: halfLifeSeconds === "None" ? Infinity : (halfLifeSeconds ?? defaultHalfLifeSeconds),
    favorSmall: favorSmall ?? false,
  };
}

export function ageFactor({ maxAgeSeconds }: PriorityRules, job: JobRecord, now: number): number {
  return Math.min(1, Math.max(0, now - job.input.submitTime) / maxAgeSeconds);
}

/**
 * Slurm's job size factor (priority_multifactor.html; as Slurm 22.05 computes it): the mean of the part of all nodes and the part of all
 * CPUs that the job asks for, so that what asks for the whole machine has 1; with `favorSmall` what that leaves of 1. Nodes are those
 * that the request itself makes necessary, by `podsPerNode`: one, where it does not say. Without a resource `cpu` the first one counts.
 */
export function sizeFactor(store: ClusterStore, { shape }: JobClass): number {
  const { nodes, amounts } = store.totals();
  const { podsPerNode = Infinity, podSets } = shape.input;
  const pods = podSets.reduce((sum, { count, minCount = count }) => sum + minCount, 0);
  const cpu = Math.max(0, store.resources.indexOf("cpu"));
  const part = (asked: number, of: number): number => (asked <= 0 ? 0 : of > 0 ? Math.min(1, asked / of) : 1);
  const size = (part(Math.max(1, Math.ceil(pods / podsPerNode)), nodes) + part(shape.total[cpu]!, amounts[cpu]!)) / 2;
  return store.rules.favorSmall ? 1 - size : size;
}

export function queueFactor(store: ClusterStore, { shape }: JobClass): number {
  const factor = store.queue(shape.input.queues[0] ?? "")?.priorityFactor ?? 1;
  return store.largestQueueFactor === 0 ? 0 : Math.min(1, factor / store.largestQueueFactor);
}

/** What does not change with time, and is the same for all of a class. */
function fixedPart(store: ClusterStore, jobClass: JobClass): number {
  if (jobClass.fixedVersion !== store.priorityVersion) {
    const { weights } = store.rules;
    let sum = -(jobClass.input.nice ?? 0);
    if (weights.jobSize > 0) sum += weights.jobSize * sizeFactor(store, jobClass);
    if (weights.queue > 0) sum += weights.queue * queueFactor(store, jobClass);
    if (weights.qos > 0) sum += weights.qos * store.accounts.qualityFactor(store.charging.qosOf(jobClass));
    jobClass.fixedVersion = store.priorityVersion;
    jobClass.fixedPriority = sum;
  }
  return jobClass.fixedPriority;
}

/** Priority of a job without the part of its association: between jobs of one association it tells the order. */
export function ownPriority(store: ClusterStore, jobClass: JobClass, job: JobRecord): number {
  const { priority } = jobClass.input;
  if (priority !== undefined) return priority;
  const { age } = store.rules.weights;
  return fixedPart(store, jobClass) + (age > 0 ? age * ageFactor(store.rules, job, store.now) : 0);
}

/** The part that all jobs of an association have in common. */
export function sharePriority(store: ClusterStore, jobClass: JobClass): number {
  const { fairShare } = store.rules.weights;
  if (fairShare === 0 || jobClass.input.priority !== undefined) return 0;
  return fairShare * store.accounts.fairShareOf(jobClass.association);
}

/** Brings fair share factors up to date, if they count. */
export function rankNow(store: ClusterStore): void {
  store.charging.settle(store.now);
  if (store.rules.weights.fairShare > 0) store.accounts.rankAll(store.now);
}

/** Priority of a job at this moment, with fair share as of {@link rankNow}: higher first. */
export function priorityNow(store: ClusterStore, job: JobRecord): number {
  return ownPriority(store, job.class, job) + sharePriority(store, job.class);
}

/** The order of jobs at this moment: tier, priority, submit time, id. Negative: `a` first. */
export function compareJobs(store: ClusterStore, a: JobRecord, b: JobRecord): number {
  return (
    b.class.shape.tier - a.class.shape.tier || priorityNow(store, b) - priorityNow(store, a) || compareWithin(a, b)
  );
}
