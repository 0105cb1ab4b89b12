/** Ended attempts, and jobs that live, as the rows of sacct. */
import type { AttemptRow, StepRow } from "@berth/accounting";
import { finalPhases, suspendedSeconds, type FinalPhase } from "@berth/kinds";
import {
  expandHostlist,
  jobStateOf,
  slurmReason,
  type AccountingRow,
  type AccountingStep,
  type JobRow,
} from "@berth/slurm";
import { seconds } from "../times.ts";

/** The row of an ended attempt. */
export function endedRow(row: AttemptRow): AccountingRow {
  const startTime = seconds(row.startTime);
  const endTime = seconds(row.endTime);
  const reasons = Object.keys(row.waitSecondsByReason);
  const cancelledBy = row.cancelledBy === null ? undefined : Number(row.cancelledBy);
  return {
    jobId: row.jobId,
    ...(row.arrayJobId === null ? {} : { arrayJobId: row.arrayJobId }),
    ...(row.arrayJobId !== null && row.tasks === null ? { arrayTaskId: row.task } : {}),
    ...(row.tasks === null ? {} : { arrayTasks: row.tasks }),
    attempt: row.attempt,
    jobName: row.name,
    user: row.user,
    uid: row.uid,
    account: row.account,
    partition: row.queue,
    qos: row.qos ?? "normal",
    state: isFinalPhase(row.state) ? jobStateOf(row.state) : "REQUEUED",
    ...(cancelledBy === undefined ? {} : { cancelledBy: Number.isNaN(cancelledBy) ? row.uid : cancelledBy }),
    exitCode: row.exitCode,
    signal: row.signal,
    submitTime: seconds(row.submitTime),
    eligibleTime: seconds(row.eligibleTime),
    startTime,
    endTime,
    elapsedSeconds:
      startTime === undefined || endTime === undefined
        ? 0
        : Math.max(0, endTime - startTime - (row.suspendedSeconds ?? 0)),
    suspendedSeconds: row.suspendedSeconds ?? undefined,
    timeLimitSeconds: row.wallTimeSeconds,
    allocatedCpus: startTime === undefined ? 0 : Math.ceil(row.requestedMilliCpus / 1000),
    requestedCpus: Math.ceil(row.requestedMilliCpus / 1000),
    requestedNodes: row.requestedNodes,
    nodes: row.nodes,
    requestedMemoryBytes: row.requestedMemoryBytes,
    peakMemoryBytes: row.peakMemoryBytes ?? undefined,
    cpuMilliseconds: row.cpuMilliseconds ?? undefined,
    reason: reasons.length === 0 ? "None" : slurmReason(reasons.at(-1) as Parameters<typeof slurmReason>[0]),
    workingDirectory: row.workingDirectory ?? undefined,
    ...(row.command === null ? {} : { submitLine: row.command }),
    ...(row.steps === null || row.steps === undefined ? {} : { steps: row.steps.map(stepOf) }),
  };
}

function stepOf({ id, name, tasks, cpus, nodeList, startedAt, endedAt, exitCode, peakMemoryKibibytes }: StepRow) {
  const step: AccountingStep = {
    id,
    name,
    tasks,
    cpus,
    nodes: expandHostlist(nodeList),
    startTime: Math.floor(startedAt / 1000),
  };
  if (endedAt !== undefined) step.endTime = Math.floor(endedAt / 1000);
  if (exitCode !== undefined) step.exitCode = exitCode;
  if (peakMemoryKibibytes !== undefined) step.peakMemoryBytes = peakMemoryKibibytes * 1024;
  return step;
}

const finalNames: ReadonlySet<string> = new Set(finalPhases);

function isFinalPhase(state: string): state is FinalPhase {
  return finalNames.has(state);
}

/** The row of a job that waits or runs, from its row in squeue. */
export function livingRow(row: JobRow): AccountingRow {
  const waits = row.state === "PENDING";
  return {
    jobId: row.jobId,
    arrayJobId: row.arrayJobId,
    arrayTaskId: row.arrayTaskId,
    arrayTasks: row.arrayTasks,
    arrayMaxRunning: row.arrayMaxRunning,
    attempt: row.restarts + 1,
    jobName: row.name,
    user: row.user,
    uid: row.uid,
    gid: row.gid,
    account: row.account,
    partition: row.partition,
    qos: row.qos,
    state: row.state,
    submitTime: row.submitTime,
    eligibleTime: row.eligibleTime,
    startTime: waits ? undefined : row.startTime,
    elapsedSeconds: row.elapsedSeconds,
    suspendedSeconds: suspendedSeconds(row.suspension, Date.now()) || undefined,
    timeLimitSeconds: row.timeLimitSeconds,
    allocatedCpus: waits ? 0 : row.cpus,
    requestedCpus: row.cpus,
    requestedNodes: row.nodeCount,
    nodes: row.nodes,
    requestedMemoryBytes: row.memoryBytes,
    reason: row.reason,
    workingDirectory: row.workingDirectory,
    comment: row.comment,
    standardOutput: row.standardOutput,
    standardError: row.standardError,
    standardInput: row.standardInput,
  };
}
