/** How the end of a container's task is told in the pod's status. */
import { readFileSync } from "node:fs";
import type { ContainerTerminated, LeasedEnd, StepReport, TerminationReport } from "@berth/kinds";
import { timestamp } from "./pod-status.ts";
import type { TaskEnd } from "./tasks.ts";

/** @param startedAt in milliseconds, where the task itself did not tell */
export function terminatedBy(
  end: TaskEnd,
  openFailure: TerminationReport,
  steps: readonly StepReport[],
  startedAt: number,
): ContainerTerminated {
  const exitCode = end.exitCode ?? 128;
  const report: TerminationReport = {
    cpuMilliseconds: end.cpuMilliseconds,
    ...(end.startedAtMs === undefined ? {} : { runMilliseconds: Math.max(0, end.endedAtMs - end.startedAtMs) }),
    peakMemoryBytes: end.peakMemoryBytes,
    ...(end.setupFailure === undefined ? {} : { failure: "exec", message: end.setupFailure }),
    ...openFailure,
    ...(steps.length === 0 ? {} : { steps: [...steps] }),
  };
  const reason = end.outOfMemory
    ? "OOMKilled"
    : end.setupFailure !== undefined
      ? "StartError"
      : exitCode === 0
        ? "Completed"
        : "Error";
  return {
    // An out-of-memory kill is a failure also where the script went on and ended well.
    exitCode: end.outOfMemory && exitCode === 0 ? 137 : exitCode,
    ...(end.signal === undefined ? {} : { signal: end.signal }),
    reason,
    message: JSON.stringify(report),
    startedAt: timestamp(end.startedAtMs ?? startedAt),
    finishedAt: timestamp(end.endedAtMs),
  };
}

/** Of the tasks of a lease together: the largest exit code, the sum of CPU time, the highest peak of memory. */
export function leaseTerminatedBy(
  end: TaskEnd,
  ended: readonly LeasedEnd[],
  words: string | undefined,
  startedAt: number,
): ContainerTerminated {
  const exitCode =
    end.setupFailure !== undefined ? 128 : ended.reduce((worst, one) => Math.max(worst, one.exitCode), 0);
  const report: TerminationReport = {
    cpuMilliseconds: ended.reduce((sum, one) => sum + (one.cpuMilliseconds ?? 0), 0),
    peakMemoryBytes: ended.reduce((most, one) => Math.max(most, (one.peakMemoryKibibytes ?? 0) * 1024), 0),
    ...(words === undefined ? {} : { failure: "exec", message: words }),
  };
  return {
    exitCode,
    reason: end.setupFailure !== undefined ? "StartError" : exitCode === 0 ? "Completed" : "Error",
    message: JSON.stringify(report),
    startedAt: timestamp(startedAt),
    finishedAt: timestamp(end.endedAtMs),
  };
}

/** What the wrapper said in its log when it could not open a file; see docs/runtime.md. */
export function openFailureOf(logPath: string): TerminationReport {
  try {
    const log = readFileSync(logPath, "utf8");
    const found = /^berth: error: (could not open the (output|input) file .*)$/m.exec(log);
    return found === null ? {} : { failure: found[2], message: found[1] };
  } catch {
    return {};
  }
}
