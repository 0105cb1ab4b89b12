/** batch/v1 Jobs that are held and released as one: what each asks for, and what its end means. Pure. */
import type { Workload } from "@berth/kinds";
import { annotations, labels } from "@berth/kinds";
import type { Condition } from "@berth/machinery";
import { timestamp } from "../context.ts";
import type { Job } from "../job/job.ts";
import type { AttemptEnd } from "../model/ends.ts";
import { kindsOfHosts } from "../model/hosts-of-pods.ts";
import { WrappingError } from "../pod/wrapping.ts";
import { hostedWorkload, placedTemplate, wallTimeOf } from "./templates.ts";

/** Who runs a Job where nobody else is named. */
const ownController = "kubernetes.io/job-controller";

/**
 * Whether the Job waits as one. Where the label stands on its pods they wait one by one; Kubernetes gives a Job without labels those of
 * its pods.
 */
export function isHeld({ metadata, spec }: Job): boolean {
  const { managedBy = ownController } = spec as { managedBy?: string };
  return (
    metadata.labels?.[labels.queue] !== undefined &&
    spec.template.metadata?.labels?.[labels.queue] === undefined &&
    managedBy === ownController
  );
}

/** How many of its pods may run at once; 0: it is not to run. */
export function placesOf({ spec, status }: Job): number {
  const { parallelism = 1, completions } = spec;
  if (completions === undefined) return parallelism;
  return Math.min(parallelism, Math.max(1, completions - (status?.succeeded ?? 0)));
}

/** @throws WrappingError */
export function workloadOfJob(job: Job, round: number): Workload {
  const { metadata, spec } = job;
  const { name, namespace = "", uid = "" } = metadata;
  const { schedulerName, terminationGracePeriodSeconds: graceSeconds, activeDeadlineSeconds } = spec.template.spec;
  if (schedulerName !== "berth") {
    throw new WrappingError(
      `spec.template.spec.schedulerName is ${schedulerName ?? "not set"}: who holds a Job in a queue finds its pods their nodes; put schedulerName: berth`,
    );
  }
  return hostedWorkload({
    host: `${kindsOfHosts.job}/${name}`,
    namespace,
    round,
    uid,
    jobName: name,
    owner: { apiVersion: "batch/v1", kind: "Job", name, uid, controller: true },
    podSets: [{ template: placedTemplate(spec.template), count: placesOf(job) }],
    queue: metadata.labels?.[labels.queue],
    account: metadata.labels?.[labels.account] ?? spec.template.metadata?.labels?.[labels.account],
    wallTimeSeconds:
      spec.activeDeadlineSeconds ??
      activeDeadlineSeconds ??
      wallTimeOf(metadata.annotations?.[annotations.wallTimeSeconds]),
    graceSeconds,
    comesAgain: true,
  });
}

/** What the end of a Job is to its attempt. */
export function endOfJob({ status }: Job, worst: AttemptEnd | undefined): AttemptEnd {
  const conditions = status?.conditions ?? [];
  const failed = conditions.find(({ type, status: holds }) => type === "Failed" && holds === "True");
  const { endTime, ...used } = worst ?? { exitCode: 0, signal: 0 };
  if (failed === undefined)
    return { ...used, exitCode: 0, signal: 0, phase: "Succeeded", endTime: status?.completionTime };
  const { reason, message } = failed;
  return {
    ...used,
    phase: reason === "DeadlineExceeded" ? "TimedOut" : "Failed",
    exitCode: used.exitCode || 1,
    message: `Job failed: ${reason}${message ? `: ${message}` : ""}`,
    ...(endTime === undefined ? {} : { endTime }),
  };
}

/** Why the Job of a Workload that ended before it is to fail. */
export function failureOf({ metadata, status = {} }: Workload): { reason: string; message: string } {
  const refusal = status.conditions?.find(({ type, status: holds }) => type === "Admitted" && holds === "False");
  if (refusal !== undefined && status.phase === "Failed")
    return { reason: refusal.reason ?? "Refused", message: refusal.message ?? "" };
  const by = status.cancelledBy === undefined ? "" : ` by ${status.cancelledBy}`;
  switch (status.phase) {
    case "Cancelled":
      return { reason: "Cancelled", message: `its Workload ${metadata.name} was cancelled${by}` };
    case "TimedOut":
      return {
        reason: "DeadlineExceeded",
        message: `it was ended at its wall time of ${status.wallTimeSeconds} seconds`,
      };
    default:
      return { reason: status.phase ?? "Failed", message: status.message ?? `its Workload ended as ${status.phase}` };
  }
}

/** The conditions by which a Job has failed. */
export function failedConditions(job: Job, why: { reason: string; message: string }, now: number): Condition[] {
  const time = timestamp(now);
  const known = (job.status?.conditions ?? []).filter(({ type }) => type !== "FailureTarget" && type !== "Failed");
  const made = (type: string): Condition & { lastProbeTime: string } => ({
    type,
    status: "True",
    ...why,
    lastProbeTime: time,
    lastTransitionTime: time,
  });
  return [...known, made("FailureTarget"), made("Failed")];
}
