/** Names of attempts and what a phase means. */
import { annotations, labels } from "./constants.ts";
import type { Pod } from "./pod.ts";
import type { FinalPhase, Workload, WorkloadPhase } from "./workload.ts";
import { activePhases, finalPhases } from "./workload.ts";

export interface AttemptName {
  workload: string;
  /** Index of the array element; absent outside arrays. */
  task?: number;
  podSet: string;
  /** From 0, within the pod set. */
  index: number;
  /** From 1. */
  attempt: number;
}

/**
 * Name of the pod of an attempt, `WORKLOAD[-tTASK]-PODSET-INDEX-aATTEMPT`. To create it again is a no-op (AlreadyExists),
 * which is why an attempt cannot start twice.
 */
export function attemptPodName(name: AttemptName): string {
  const task = name.task === undefined ? "" : `-t${name.task}`;
  return `${name.workload}${task}-${name.podSet}-${name.index}-a${name.attempt}`;
}

/** What the labels of a pod say about the attempt that it belongs to; undefined for pods that are not Berth's. */
export function attemptOf(pod: Pod): AttemptName | undefined {
  const of = pod.metadata.labels;
  const workload = of?.[labels.workload];
  const podSet = of?.[labels.podSet];
  const attempt = of?.[labels.attempt];
  if (of === undefined || workload === undefined || podSet === undefined || attempt === undefined) return undefined;
  const task = of[labels.task];
  return {
    workload,
    podSet,
    index: Number(of[labels.podIndex] ?? 0),
    attempt: Number(attempt),
    ...(task === undefined ? {} : { task: Number(task) }),
  };
}

const final: ReadonlySet<string> = new Set(finalPhases);
const active: ReadonlySet<string> = new Set(activePhases);

/** The Workload has ended and will not run again. */
export function isFinal(phase: WorkloadPhase | undefined): phase is FinalPhase {
  return phase !== undefined && final.has(phase);
}

/** Something of the Workload holds a place on a node. */
export function isActive(phase: WorkloadPhase | undefined): boolean {
  return phase !== undefined && active.has(phase);
}

/** Who asked for the end of a Workload, from annotation `berth.dev/cancel` (`WHO TIME`); undefined when nobody did. */
export function cancelRequest(workload: Pick<Workload, "metadata">): { by: string; time?: string } | undefined {
  const value = workload.metadata.annotations?.[annotations.cancel];
  if (value === undefined) return undefined;
  const [by = "", time] = value.trim().split(/\s+/);
  return { by, ...(time === undefined ? {} : { time }) };
}
