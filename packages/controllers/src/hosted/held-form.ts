/** What is held and released as one by its `spec.suspend`: how each kind of it says what it asks for, and tells its end. Pure. */
import type { Pod, PodTemplate, Workload } from "@berth/kinds";
import { annotations, labels } from "@berth/kinds";
import type { Condition, KubernetesObject, ResourceKey } from "@berth/machinery";
import { timestamp } from "../context.ts";
import { isFinished, type Job } from "../job/job.ts";
import type { AttemptEnd } from "../model/ends.ts";
import { jobSetLabel, kindsOfHosts, replicatedJobLabel } from "../model/hosts-of-pods.ts";
import { WrappingError } from "../pod/wrapping.ts";
import { endOfJob, failedConditions, isHeld, placesOf, workloadOfJob } from "./held-job.ts";
import { hostedWorkload, placedTemplate, wallTimeOf } from "./templates.ts";

export type HeldObject = KubernetesObject<{ suspend?: boolean }, object> & { spec: { suspend?: boolean } };

export interface HeldForm<T extends HeldObject = HeldObject> {
  resource: ResourceKey;
  /** One of `kindsOfHosts`. */
  host: string;
  isHeld(object: T): boolean;
  isFinished(object: T): boolean;
  /** How many of its pods may run at once, by the names of pod sets; empty: it is not to run. */
  placesOf(object: T): ReadonlyMap<string, number>;
  /** @throws WrappingError */
  workloadOf(object: T, round: number): Workload;
  endOf(object: T, worst: AttemptEnd | undefined): AttemptEnd;
  podSetOf(pod: Pod, workload: Workload): string;
  /** Whether the pod is its own, and not of another of that name. */
  owns(pod: Pod, object: T): boolean;
  /** Its status once it has failed; undefined while pods of it are left. */
  failed(object: T, why: { reason: string; message: string }, now: number): object | undefined;
}

/** What a pod set is named that is the only one. */
const onlySet = "";

const jobs: HeldForm<Job> = {
  resource: { group: "batch", version: "v1", resource: "jobs", kind: "Job", namespaced: true },
  host: kindsOfHosts.job,
  isHeld,
  isFinished,
  placesOf: (job) => {
    const count = placesOf(job);
    return new Map(count === 0 ? [] : [[onlySet, count]]);
  },
  workloadOf: workloadOfJob,
  endOf: endOfJob,
  podSetOf: (_, { spec }) => spec.podSets[0]!.name,
  owns: ({ metadata }, { metadata: { uid } }) => metadata.ownerReferences?.some((owner) => owner.uid === uid) === true,
  failed: (job, why, now) => {
    const { active = 0, startTime } = job.status ?? {};
    const { terminating = 0 } = (job.status ?? {}) as { terminating?: number };
    // Its status is told again when its pods are gone.
    if (active > 0 || terminating > 0) return undefined;
    return { conditions: failedConditions(job, why, now), startTime: startTime ?? timestamp(now), ready: null };
  },
};

interface ReplicatedJob {
  name: string;
  replicas?: number;
  template: { spec: Job["spec"] };
}
interface JobSetStatus {
  conditions?: Condition[];
  replicatedJobsStatus?: { name: string; active?: number }[];
}
type JobSet = KubernetesObject<
  { suspend?: boolean; replicatedJobs?: ReplicatedJob[]; managedBy?: string },
  JobSetStatus
> & {
  spec: { suspend?: boolean; replicatedJobs?: ReplicatedJob[]; managedBy?: string };
};

const jobSetController = "jobset.sigs.k8s.io/jobset-controller";
const conditionOf = ({ status }: JobSet, wanted: string): Condition | undefined =>
  status?.conditions?.find(({ type, status: holds }) => type === wanted && holds === "True");
const replicatedJobs = ({ spec }: JobSet): ReplicatedJob[] => spec.replicatedJobs ?? [];
const templateOf = ({ template }: ReplicatedJob): PodTemplate => template.spec.template;

const jobSets: HeldForm<JobSet> = {
  resource: { group: "jobset.x-k8s.io", version: "v1alpha2", resource: "jobsets", kind: "JobSet", namespaced: true },
  host: kindsOfHosts.jobSet,
  isHeld: (set) =>
    set.metadata.labels?.[labels.queue] !== undefined &&
    (set.spec.managedBy ?? jobSetController) === jobSetController &&
    replicatedJobs(set).every((each) => templateOf(each).metadata?.labels?.[labels.queue] === undefined),
  isFinished: (set) => conditionOf(set, "Completed") !== undefined || conditionOf(set, "Failed") !== undefined,
  placesOf: (set) =>
    new Map(
      replicatedJobs(set).flatMap(({ name, replicas = 1, template }) => {
        const { parallelism = 1, completions = parallelism } = template.spec;
        const count = replicas * Math.min(parallelism, completions);
        return count === 0 ? [] : [[name, count] as const];
      }),
    ),
  workloadOf: (set, round) => {
    const { name, namespace = "", uid = "", labels: own = {}, annotations: stated = {} } = set.metadata;
    const parts = replicatedJobs(set);
    for (const part of parts) {
      const { schedulerName } = templateOf(part).spec;
      if (schedulerName !== "berth")
        throw new WrappingError(
          `spec.replicatedJobs (${part.name}): template.spec.template.spec.schedulerName is ${schedulerName ?? "not set"}: who holds a JobSet in a queue finds its pods their nodes; put schedulerName: berth`,
        );
    }
    const times = parts.map((part) => part.template.spec.activeDeadlineSeconds);
    const graces = parts.flatMap((part) => templateOf(part).spec.terminationGracePeriodSeconds ?? []);
    const counts = jobSets.placesOf(set);
    return hostedWorkload({
      host: `${kindsOfHosts.jobSet}/${name}`,
      namespace,
      round,
      uid,
      jobName: name,
      owner: { apiVersion: "jobset.x-k8s.io/v1alpha2", kind: "JobSet", name, uid, controller: true },
      podSets: parts
        .filter((part) => counts.has(part.name))
        .map((part) => ({
          name: part.name.slice(0, 40),
          template: placedTemplate(templateOf(part)),
          count: counts.get(part.name)!,
        })),
      queue: own[labels.queue],
      account: own[labels.account],
      wallTimeSeconds:
        wallTimeOf(stated[annotations.wallTimeSeconds]) ??
        (times.every((time) => time !== undefined) ? Math.max(...times) : undefined),
      graceSeconds: graces.length === 0 ? undefined : Math.max(...graces),
      comesAgain: true,
    });
  },
  endOf: (set, worst) => {
    const failed = conditionOf(set, "Failed");
    const { endTime: _, ...used } = worst ?? { exitCode: 0, signal: 0 };
    if (failed === undefined)
      return {
        ...used,
        exitCode: 0,
        signal: 0,
        phase: "Succeeded",
        endTime: conditionOf(set, "Completed")?.lastTransitionTime,
      };
    return {
      ...used,
      phase: "Failed",
      exitCode: used.exitCode || 1,
      message: `JobSet failed: ${failed.reason}${failed.message ? `: ${failed.message}` : ""}`,
    };
  },
  podSetOf: (pod) => (pod.metadata.labels?.[replicatedJobLabel] ?? "").slice(0, 40),
  // Its pods belong to its Jobs; a pod that is none of these has no such owner.
  owns: ({ metadata }, set) =>
    metadata.labels?.[jobSetLabel] === set.metadata.name &&
    metadata.ownerReferences?.some(({ apiVersion, kind }) => apiVersion === "batch/v1" && kind === "Job") === true,
  failed: (set, why, now) => {
    if ((set.status?.replicatedJobsStatus ?? []).some(({ active = 0 }) => active > 0)) return undefined;
    const others = (set.status?.conditions ?? []).filter(({ type }) => type !== "Failed");
    const condition = { type: "Failed", status: "True", ...why, lastTransitionTime: timestamp(now) };
    return { conditions: [...others, condition], terminalState: "Failed" };
  },
};

export const heldForms = { jobs, jobSets } as unknown as Record<"jobs" | "jobSets", HeldForm>;
