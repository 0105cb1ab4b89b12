/** Pods without a node as Workloads, and what their status tells while they wait. Pure. */
import type { Pod, PodSpec, PodStatus, Workload } from "@berth/kinds";
import { annotations, apiVersion, isFinal, labels } from "@berth/kinds";
import { isTerminal } from "../model/ends.ts";

/** Who places a pod that names nobody. */
const defaultScheduler = "default-scheduler";
const ownScheduler = "berth";
const longestGraceSeconds = 86_400;

/** The pod asks for something that no Workload can be made of; its message is for the user. */
export class WrappingError extends Error {
  override name = "InvalidPod";
}

/**
 * Whether Berth is to find a node for the pod.
 * @param isAlone no other scheduler takes pods that name none
 */
export function isUnscheduled(pod: Pod, isAlone: boolean): boolean {
  const { nodeName, schedulerName = defaultScheduler } = pod.spec;
  if ((nodeName ?? "") !== "" || isTerminal(pod) || pod.metadata.deletionTimestamp !== undefined) return false;
  if (pod.metadata.labels?.[labels.workload] !== undefined) return false;
  const gates = pod.spec["schedulingGates"];
  if (Array.isArray(gates) && gates.length > 0) return false;
  return schedulerName === ownScheduler || (isAlone && schedulerName === defaultScheduler);
}

/** Whether Berth finds the pod its node, or found it: others' pods, and what they belong to, are theirs. */
export function isOurs({ metadata, spec }: Pod, isAlone: boolean): boolean {
  const { schedulerName = defaultScheduler } = spec;
  if (metadata.labels?.[labels.workload] !== undefined || schedulerName === ownScheduler) return true;
  return isAlone && schedulerName === defaultScheduler;
}

/** Name of the Workload of a pod: the same for the same pod, another for a later pod of that name. */
export function workloadNameOf({ metadata }: Pod): string {
  return `${metadata.name.slice(0, 54).replaceAll(".", "-")}-${(metadata.uid ?? "").slice(0, 8)}`;
}

/** Whoever makes these makes another when one ends. */
const makersOfReplicas = new Set(["ReplicaSet", "ReplicationController", "StatefulSet"]);

/** Whether the pod is one of several that are to run for as long as somebody wants them. */
function isReplica({ metadata }: Pod): boolean {
  return metadata.ownerReferences?.some(({ kind, controller }) => controller && makersOfReplicas.has(kind)) === true;
}

function wallTimeSecondsOf(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[annotations.wallTimeSeconds];
  if (pod.spec.activeDeadlineSeconds !== undefined) return pod.spec.activeDeadlineSeconds;
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new WrappingError(`annotation ${annotations.wallTimeSeconds}: ${text} is not a whole number of seconds`);
  }
  return Number(text);
}

/** What scheduling and admission look at; what the API server filled in of itself asks for nothing. */
function templateSpecOf(pod: Pod): PodSpec {
  const { nodeName: _, schedulerName: _s, activeDeadlineSeconds: _a, serviceAccount: _d, ...spec } = pod.spec;
  if (spec["serviceAccountName"] === "default") delete spec["serviceAccountName"];
  return spec;
}

/** By which rules between pods know it. */
function labelsOf({ metadata }: Pod): { metadata?: { labels: Record<string, string> } } {
  return metadata.labels === undefined ? {} : { metadata: { labels: metadata.labels } };
}

/** Where work waits, and on whose account. */
export interface Association {
  queue?: string;
  account?: string;
}

/**
 * The Workload that stands for a pod: owned by it, of the namespace's owner, and never tried twice, because a pod is bound once.
 * @param of what it belongs to says where it says nothing itself
 * @throws WrappingError
 */
export function workloadOf(pod: Pod, of: Association = {}): Workload {
  const { name, namespace, uid = "", labels: has = {} } = pod.metadata;
  const graceSeconds = pod.spec.terminationGracePeriodSeconds;
  const wallTimeSeconds = wallTimeSecondsOf(pod);
  return {
    apiVersion,
    kind: "Workload",
    metadata: {
      name: workloadNameOf(pod),
      namespace,
      ownerReferences: [{ apiVersion: "v1", kind: "Pod", name, uid, controller: true }],
    },
    spec: {
      // One that names its wall time has that, and no lease that is renewed.
      type: isReplica(pod) && wallTimeSeconds === undefined ? "Service" : "Batch",
      jobName: name,
      queue: has[labels.queue] ?? of.queue,
      account: has[labels.account] ?? of.account,
      wallTimeSeconds,
      graceSeconds: graceSeconds === undefined ? undefined : Math.min(longestGraceSeconds, graceSeconds),
      podSets: [{ name: "main", role: "Driver", count: 1, template: { ...labelsOf(pod), spec: templateSpecOf(pod) } }],
      requeue: { onNodeFailure: false, onPreemption: false, limit: 0 },
    },
  };
}

export interface WaitingReport {
  /** Why, in one word: an event is told once for each. */
  reason: string;
  message: string;
  /** It will never have a node. */
  isOver: boolean;
}

/** Why the pod of this Workload has no node; undefined while nothing is known. */
export function waitingReport({ status = {} }: Workload): WaitingReport | undefined {
  const { phase, reason, message } = status;
  if (isFinal(phase)) {
    const refusal = status.conditions?.find(({ type, status: holds }) => type === "Admitted" && holds === "False");
    const words = refusal?.message ?? message ?? `its Workload ended as ${phase} before it had a node`;
    return { reason: refusal?.reason ?? phase, message: words, isOver: true };
  }
  if (phase !== "Pending" || reason === undefined || reason === "None") return undefined;
  return { reason, message: message ?? `waits: ${reason}`, isOver: false };
}

/**
 * The status that tells of waiting in kube-scheduler's way, as a merge patch; undefined where the pod says so already. A pod that
 * will never have a node is failed.
 */
export function waitingStatus(pod: Pod, report: WaitingReport, now: string): PodStatus | undefined {
  const { reason, message, isOver } = report;
  const conditions = pod.status?.conditions ?? [];
  const known = conditions.find(({ type }) => type === "PodScheduled");
  const isSame = known?.status === "False" && known.reason === "Unschedulable" && known.message === message;
  if (isSame && (!isOver || isReplica(pod))) return undefined;
  const condition = {
    type: "PodScheduled",
    status: "False",
    reason: "Unschedulable",
    message,
    lastTransitionTime: known?.status === "False" ? (known.lastTransitionTime ?? now) : now,
  };
  return {
    conditions: [...conditions.filter(({ type }) => type !== "PodScheduled"), condition],
    // A replica that failed would at once be followed by another, which failed the same.
    ...(isOver && !isReplica(pod) ? { phase: "Failed", reason, message } : {}),
  };
}
