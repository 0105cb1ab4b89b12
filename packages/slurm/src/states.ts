import type { WorkloadPhase } from "@berth/kinds";

/** Every job state that Slurm's commands know, with the short form of squeue. */
export const shortStates = {
  BOOT_FAIL: "BF",
  CANCELLED: "CA",
  COMPLETED: "CD",
  COMPLETING: "CG",
  CONFIGURING: "CF",
  DEADLINE: "DL",
  FAILED: "F",
  NODE_FAIL: "NF",
  OUT_OF_MEMORY: "OOM",
  PENDING: "PD",
  PREEMPTED: "PR",
  REQUEUED: "RQ",
  REQUEUE_FED: "RF",
  REQUEUE_HOLD: "RH",
  RESIZING: "RS",
  RESV_DEL_HOLD: "RD",
  REVOKED: "RV",
  RUNNING: "R",
  SIGNALING: "SI",
  SPECIAL_EXIT: "SE",
  STAGE_OUT: "SO",
  STOPPED: "ST",
  SUSPENDED: "S",
  TIMEOUT: "TO",
} as const;
export type JobState = keyof typeof shortStates;

const stateOfPhase: Record<WorkloadPhase, JobState> = {
  Pending: "PENDING",
  Starting: "CONFIGURING",
  Running: "RUNNING",
  Suspended: "SUSPENDED",
  Completing: "COMPLETING",
  Succeeded: "COMPLETED",
  Failed: "FAILED",
  TimedOut: "TIMEOUT",
  OutOfMemory: "OUT_OF_MEMORY",
  NodeFailed: "NODE_FAIL",
  Preempted: "PREEMPTED",
  Cancelled: "CANCELLED",
  DeadlineExceeded: "DEADLINE",
};

export function jobStateOf(phase: WorkloadPhase): JobState {
  return stateOfPhase[phase];
}

/** The phase behind a state, or undefined for states that Berth's jobs never have. */
export function phaseOf(state: JobState): WorkloadPhase | undefined {
  for (const [phase, candidate] of Object.entries(stateOfPhase)) {
    if (candidate === state) return phase as WorkloadPhase;
  }
  return undefined;
}

/** Reads a state in its long or short form, in any case; undefined when Slurm knows none of that name. */
export function parseJobState(text: string): JobState | undefined {
  const upper = text.toUpperCase();
  if (upper in shortStates) return upper as JobState;
  for (const [state, short] of Object.entries(shortStates)) {
    if (short === upper) return state as JobState;
  }
  return undefined;
}

/** States of jobs that wait or hold something: what squeue shows unasked. */
export const activeJobStates: readonly JobState[] = ["PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING"];

export interface JobEnd {
  state: JobState;
  exitCode?: number;
  signal?: number;
}

/**
 * `CODE:SIGNAL` as scontrol prints it: the script's exit code and the signal that ended it; an
 * out-of-memory kill is `0:125`, an ended wall time and a cancelled run `0:15`.
 */
export function formatExitCode({ state, exitCode = 0, signal = 0 }: JobEnd): string {
  if (state === "OUT_OF_MEMORY") return "0:125";
  if (state === "TIMEOUT") return "0:15";
  return signal > 0 ? `0:${signal}` : `${exitCode}:0`;
}

/**
 * `CODE:SIGNAL` as sacct prints it: codes from 128 on lose 128 (255 is `127:0`, and 137, a child
 * killed by signal 9, is `9:0`); jobs ended by others than themselves are `0:0`.
 */
export function formatAccountedExitCode({ state, exitCode = 0, signal = 0 }: JobEnd): string {
  if (state === "OUT_OF_MEMORY") return "0:125";
  if (state !== "FAILED" && state !== "COMPLETED" && state !== "DEADLINE") return "0:0";
  if (state === "DEADLINE") return "1:0";
  if (signal > 0) return `0:${signal}`;
  return `${exitCode >= 128 ? exitCode - 128 : exitCode}:0`;
}
