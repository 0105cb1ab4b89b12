/** The parts of a Workload's status that its life writes, as merge patches. Pure. */
import type { FinalPhase, WorkloadPhase, WorkloadStatus } from "@berth/kinds";
import { isActive, isFinal } from "@berth/kinds";
import type { Condition } from "@berth/machinery";
import { noTask, type WorkloadRecord } from "../model/record.ts";
import { wallTimeOf } from "../scheduler/snapshot.ts";
import { waitSeconds } from "./rows.ts";

/** A merge patch: null removes. */
export type StatusPatch = { [field in keyof WorkloadStatus]: WorkloadStatus[field] | null };

export function condition(
  type: string,
  status: "True" | "False",
  reason: string,
  message: string,
  time: string,
  generation: number | undefined,
): Condition {
  return { type, status, reason, message, lastTransitionTime: time, observedGeneration: generation };
}

const sentences: Record<FinalPhase, string> = {
  Succeeded: "ended with exit code 0",
  Failed: "ended with another exit code than 0",
  TimedOut: "was ended at its wall time",
  OutOfMemory: "used more memory than it asked for",
  NodeFailed: "its node was lost",
  Preempted: "made room for another job",
  Cancelled: "was cancelled",
  DeadlineExceeded: "could not have ended before its deadline",
};

/** Phase of an array while it is not finished, of others what was last decided. */
export function phaseOf(record: WorkloadRecord): WorkloadPhase {
  const { book, phase = "Pending" } = record;
  if (isFinal(phase)) return phase;
  if (book === undefined) {
    // Until the API has its pods, nobody could tell it from one that waits.
    const attempt = record.live.get(noTask);
    return phase === "Starting" && attempt?.isHosted !== true && (attempt?.creating ?? 0) > 0 ? "Pending" : phase;
  }
  if (book.isFinished) return book.phase;
  if (book.held === 0) return "Pending";
  for (const attempt of record.live.values()) if (attempt.state !== "Starting") return "Running";
  return "Starting";
}

function conditionsOf(record: WorkloadRecord, phase: WorkloadPhase, now: string): Condition[] {
  const { workload } = record;
  const { generation } = workload.metadata;
  const before = new Map(workload.status?.conditions?.map((known) => [known.type, known]));
  const set = (wanted: Condition): void => {
    const known = before.get(wanted.type);
    const isSame = known?.status === wanted.status && known.reason === wanted.reason;
    before.set(wanted.type, isSame ? { ...wanted, lastTransitionTime: known.lastTransitionTime } : wanted);
  };
  if (record.startTime !== undefined) {
    set(condition("Started", "True", "Started", "its script began", record.startTime, generation));
  } else if (before.has("Started")) {
    set(condition("Started", "False", "Requeued", "waits for another attempt", now, generation));
  }
  const { preempted, suspension } = record;
  if (suspension !== undefined) {
    const { isSuspended } = suspension;
    const job = record.live.get(noTask)?.standsFor;
    const why = job === undefined ? "which it keeps" : `where job ${job} has its cores meanwhile`;
    const words = isSuspended ? `stands still on its nodes, ${why}` : "goes on";
    const wanted = condition(
      "Suspended",
      isSuspended ? "True" : "False",
      isSuspended ? (job === undefined ? "ByOperator" : "Preempted") : "Resumed",
      words,
      suspension.since === "" ? now : suspension.since,
      generation,
    );
    set(wanted);
  }
  if (preempted !== undefined) {
    const { by, mode, time } = preempted;
    // Each time anew: it tells of the last.
    before.set("Preempted", condition("Preempted", "True", mode, `made room for job ${by}`, time, generation));
  }
  if (isFinal(phase)) set(condition("Finished", "True", phase, sentences[phase], now, generation));
  return [...before.values()];
}

/**
 * Everything of the status that is not admission's or waiting's, from the record as it is now.
 * @param message of the last end, where it says more than the phase
 */
export function lifePatch(record: WorkloadRecord, now: string, message?: string): StatusPatch {
  const phase = phaseOf(record);
  const hasEnded = isFinal(phase);
  const isWaiting = phase === "Pending";
  const patch: StatusPatch = {
    phase,
    conditions: conditionsOf(record, phase, now),
    startTime: record.startTime ?? null,
    eligibleTime: record.eligibleTime ?? null,
    observedGeneration: record.workload.metadata.generation,
  };
  const wallTimeSeconds = wallTimeOf(record.workload);
  const told = record.workload.status?.wallTimeSeconds;
  if (told !== undefined && told !== wallTimeSeconds) patch.wallTimeSeconds = wallTimeSeconds;
  if (!isWaiting) {
    patch.reason = null;
    patch.message = message ?? null;
    patch.waits = { since: now, seconds: waitSeconds(record, record.startTime ?? now) };
  } else patch.waits = { since: record.waiting.since, seconds: record.waiting.seconds };
  if (record.book === undefined) {
    patch.nodes = record.nodes.length === 0 ? null : record.nodes;
    // One that is only being created is not told yet: a new leader would count it as ended.
    patch.attempts = record.endedAttempts + (isActive(phase) ? 1 : 0);
    patch.restarts = record.restarts === 0 ? null : record.restarts;
    patch.nodeFailures = record.nodeFailures === 0 ? null : record.nodeFailures;
    patch.suspendedSeconds = record.suspension?.seconds ?? null;
    patch.suspendedSince = phase === "Suspended" ? record.suspension!.since : null;
  } else {
    patch.array = record.book.toStatus() as WorkloadStatus["array"];
  }
  if (hasEnded) {
    patch.endTime = now;
    patch.estimatedStart = null;
    patch.exitCode = record.exitCode;
    patch.signal = record.signal === 0 ? null : record.signal;
    patch.cancelledBy = phase === "Cancelled" ? (record.cancelledBy ?? null) : null;
  }
  return patch;
}
