/** What the end of a pod means for its attempt. Pure. */
import type {
  ContainerTerminated,
  FinalPhase,
  LeasedEnd,
  Pod,
  PodStatus,
  StepReport,
  TerminationReport,
} from "@berth/kinds";
import { annotations, openFailureExitCode, suspendedSeconds, suspensionReportOf } from "@berth/kinds";
import { timestamp } from "../context.ts";

export interface AttemptEnd {
  phase: FinalPhase;
  exitCode: number;
  signal: number;
  peakMemoryBytes?: number;
  cpuMilliseconds?: number;
  startTime?: string;
  endTime?: string;
  /** How long it ran, where the node told. */
  runMilliseconds?: number;
  /** For how long it stood still between start and end. */
  suspendedSeconds?: number;
  /** What its script started by srun. */
  steps?: StepReport[];
  /** In words, where there is more to say than the phase does. */
  message?: string;
}

/** Reasons of a failed pod whose cause is the node's, not the job's: the attempt says nothing about the job. */
const nodeReasons = new Set([
  "NodeLost",
  "NodeShutdown",
  "NodeAffinity",
  "Shutdown",
  "Terminated",
  "Evicted",
  "Preempting",
  "UnexpectedAdmissionError",
]);

/** Conditions of pods that were ended for a cause outside of them: an eviction, a drained node, a pod of more priority. */
const disrupted = "DisruptionTarget";

/**
 * Why a kubelet did not take a pod that was bound to it, in its words: it has failed, and none of its containers ever began. Undefined
 * of all others.
 */
export function rejectionOf(pod: Pod): string | undefined {
  const { phase, reason, message = "", containerStatuses = [] } = pod.status ?? {};
  if (phase !== "Failed" || reason === undefined) return undefined;
  // Of what never began a kubelet tells at last that it has ended, with an exit code and without a start.
  const hasBegun = containerStatuses.some(
    ({ state }) => state?.running !== undefined || (state?.terminated?.startedAt ?? null) !== null,
  );
  const isRejection = message.startsWith("Pod was rejected") || reason.startsWith("OutOf") || rejections.has(reason);
  return hasBegun || !isRejection ? undefined : `${reason}: ${message.replace(/^Pod was rejected: /, "")}`;
}

/** Of kubelets that have no words before these, and of what they say while they end. */
const rejections = new Set(["NodeAffinity", "NodeShutdown", "TopologyAffinityError", "UnexpectedAdmissionError"]);

/** An eviction for what the pod itself did: it wrote more than its own limits of storage allow, and would again. */
function isOverItsLimit({ status }: Pod): boolean {
  return status?.reason === "Evicted" && /\bexceed(s|ed) (the|its)\b/.test(status.message ?? "");
}

export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

function reportOf(terminated: ContainerTerminated | undefined): TerminationReport {
  if (terminated?.message === undefined || !terminated.message.startsWith("{")) return {};
  try {
    return JSON.parse(terminated.message) as TerminationReport;
  } catch {
    return {};
  }
}

/** Of its first container; a kubelet tells of containers in the order of their names. */
function firstStatus({ spec, status }: Pod): NonNullable<PodStatus["containerStatuses"]>[number] | undefined {
  const name = spec.containers[0]?.name;
  return status?.containerStatuses?.find((each) => each.name === name) ?? status?.containerStatuses?.[0];
}

/** RFC 3339 start of the work in a pod: when its gate opened, else when its first container began; undefined before. */
export function startOf(pod: Pod): string | undefined {
  const opened = pod.metadata.annotations?.[annotations.gateOpenedAt];
  if (opened !== undefined) return opened;
  if (pod.metadata.annotations?.[annotations.gate] === "closed") return undefined;
  const state = firstStatus(pod)?.state;
  return state?.terminated?.startedAt ?? state?.running?.startedAt;
}

/**
 * The end of a pod that is terminal, or that is gone or lost with its node (then whatever its last status says counts).
 * @param stopped who stopped it, where it was stopped: that is its end unless it had ended by itself before
 */
export function endOfPod(pod: Pod, stopped?: FinalPhase): AttemptEnd {
  const statuses = pod.status?.containerStatuses ?? [];
  const terminated = firstStatus(pod)?.state?.terminated;
  const report = reportOf(terminated);
  const reason = pod.status?.reason;
  const end: AttemptEnd = {
    phase: "Succeeded",
    exitCode: terminated?.exitCode ?? 0,
    signal: terminated?.signal ?? 0,
    peakMemoryBytes: report.peakMemoryBytes,
    cpuMilliseconds: report.cpuMilliseconds,
    runMilliseconds: report.runMilliseconds,
    ...(report.steps === undefined ? {} : { steps: report.steps }),
    startTime: startOf(pod),
    endTime: terminated?.finishedAt,
    message: report.message ?? pod.status?.message,
  };
  const suspension = suspensionReportOf(pod.status);
  const endedAt = terminated?.finishedAt;
  if (suspension !== undefined) {
    end.suspendedSeconds = suspendedSeconds(suspension, Date.parse(endedAt ?? suspension.since));
  }
  if (stopped !== undefined && (pod.metadata.deletionTimestamp !== undefined || !isTerminal(pod))) {
    return { ...end, phase: stopped };
  }
  if (!isTerminal(pod)) return { ...end, phase: "NodeFailed" };
  const isReason = (word: string): boolean =>
    reason === word || statuses.some((status) => status.state?.terminated?.reason === word);
  if (isReason("DeadlineExceeded")) return { ...end, phase: "TimedOut" };
  if (isReason("OOMKilled")) return { ...end, phase: "OutOfMemory" };
  if (reason !== undefined && (nodeReasons.has(reason) || reason.startsWith("OutOf")) && !isOverItsLimit(pod)) {
    return { ...end, phase: "NodeFailed" };
  }
  if (pod.status?.phase === "Succeeded") return end;
  const disruption = pod.status?.conditions?.find(({ type, status }) => type === disrupted && status === "True");
  if (isOverItsLimit(pod)) return { ...end, phase: "Failed", exitCode: end.exitCode || 1 };
  if (disruption !== undefined) return { ...end, phase: "NodeFailed", message: disruption.message ?? end.message };
  // Its files could not be opened, and its script never began: Slurm's 0:53.
  if (report.failure === "output" || report.failure === "input") {
    return { ...end, phase: "Failed", exitCode: 0, signal: openFailureExitCode };
  }
  // A failed pod with no failed container never ran: exit code 1, as Slurm gives to launches that failed.
  return { ...end, phase: "Failed", exitCode: terminated === undefined ? 1 : end.exitCode };
}

/** What the pods of a gang used together: the highest peak of memory, and all CPU time; undefined where no pod tells. */
export function usageOfGang(pods: readonly Pod[]): Pick<AttemptEnd, "peakMemoryBytes" | "cpuMilliseconds"> {
  const usage: Pick<AttemptEnd, "peakMemoryBytes" | "cpuMilliseconds"> = {
    peakMemoryBytes: undefined,
    cpuMilliseconds: undefined,
  };
  for (const { peakMemoryBytes, cpuMilliseconds } of pods.map((pod) => endOfPod(pod))) {
    if (peakMemoryBytes !== undefined) usage.peakMemoryBytes = Math.max(usage.peakMemoryBytes ?? 0, peakMemoryBytes);
    if (cpuMilliseconds !== undefined) usage.cpuMilliseconds = (usage.cpuMilliseconds ?? 0) + cpuMilliseconds;
  }
  return usage;
}

/**
 * The end of one task of a lease.
 * @param stopped whoever stopped its pod wants it to have
 */
export function endOfTask(told: LeasedEnd, stopped?: FinalPhase): AttemptEnd {
  const { exitCode, signal = 0, ending, startedAt, milliseconds } = told;
  const end: AttemptEnd = {
    phase: exitCode === 0 ? "Succeeded" : "Failed",
    exitCode,
    signal,
    cpuMilliseconds: told.cpuMilliseconds,
    startTime: timestamp(startedAt),
    endTime: timestamp(startedAt + milliseconds),
    runMilliseconds: milliseconds - 1000 * (told.suspendedSeconds ?? 0),
    ...(told.suspendedSeconds === undefined ? {} : { suspendedSeconds: told.suspendedSeconds }),
  };
  if (told.peakMemoryKibibytes !== undefined) end.peakMemoryBytes = told.peakMemoryKibibytes * 1024;
  switch (ending) {
    case "timelimit":
    case "activedeadline":
      return { ...end, phase: "TimedOut" };
    case "memory":
      return { ...end, phase: "OutOfMemory" };
    case "cancelled":
      return { ...end, phase: "Cancelled" };
    case "deleted":
      return { ...end, phase: stopped ?? "Failed" };
    case "lost":
      return { ...end, phase: stopped ?? "NodeFailed", exitCode: 0 };
    case "output":
    case "input":
      return { ...end, exitCode: 0, signal: openFailureExitCode, message: `could not open the ${ending} file` };
    default:
      return end;
  }
}

const severity: readonly FinalPhase[] = [
  "Succeeded",
  "Failed",
  "OutOfMemory",
  "TimedOut",
  "DeadlineExceeded",
  "Preempted",
  "Cancelled",
  "NodeFailed",
];

/** Of two ends of driver pods the one that the job is to have; its exit code is the larger. */
export function worseEnd(one: AttemptEnd | undefined, other: AttemptEnd): AttemptEnd {
  if (one === undefined) return other;
  const worse = severity.indexOf(other.phase) > severity.indexOf(one.phase) ? other : one;
  return { ...worse, exitCode: Math.max(one.exitCode, other.exitCode), endTime: latest(one.endTime, other.endTime) };
}

function latest(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one > other ? one : other;
}
