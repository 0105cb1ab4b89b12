/** Slurm's patterns in the names of a job's files. */
import { posix } from "node:path";
import type { Workload } from "@berth/kinds";
import { elementId } from "./environment.ts";

export interface FileNameValues {
  /** The element's own id. */
  jobId: number;
  /** Outside arrays the job's own id. */
  arrayJobId: number;
  /** Absent outside arrays: `%a` is then 4294967294, as in Slurm. */
  task?: number;
  jobName: string;
  user: string;
  /** Name of the first node. */
  node: string;
}

const notAnArrayTask = 4_294_967_294;

/**
 * Replaces `%j %A %a %x %u %N %n %t %s %J %b %%`, numbers also padded with zeros (`%8j`). A name with a backslash in it is taken
 * as it stands, a doubled backslash as one.
 */
export function expandFileName(pattern: string, values: FileNameValues): string {
  if (pattern.includes("\\")) return pattern.replace(/\\(\\?)/g, "$1");
  return pattern.replace(/%(\d*)([A-Za-z%])/g, (whole, width: string, letter: string) => {
    const number = (value: number) => String(value).padStart(Math.min(Number(width || 0), 10), "0");
    switch (letter) {
      case "%":
        return "%";
      case "A":
        return number(values.arrayJobId);
      case "a":
        return number(values.task ?? notAnArrayTask);
      case "b":
        return number((values.task ?? notAnArrayTask) % 10);
      case "J":
      case "j":
        return number(values.jobId);
      case "N":
        return values.node.split(".")[0]!;
      case "n":
      case "t":
        return number(0);
      case "s":
        return "batch";
      case "u":
        return values.user;
      case "x":
        return values.jobName;
      default:
        return whole;
    }
  });
}

export interface JobFiles {
  /** Absolute paths. */
  workingDirectory: string;
  standardOutput: string;
  /** Absent: the same file as the output. */
  standardError?: string;
  standardInput: string;
  openMode: "Append" | "Truncate";
}

/** The files of one element of a Workload that sbatch made, its first node known (or not yet: `%N` stays then). */
export function jobFiles(workload: Workload, task: number | undefined, node?: string): JobFiles {
  const { spec, status } = workload;
  const submission = spec.submission ?? {};
  const workingDirectory = submission.workingDirectory ?? status?.identity?.home ?? "/";
  const values: FileNameValues = {
    jobId: elementId(workload, task),
    arrayJobId: elementId(workload, undefined),
    ...(task !== undefined && { task }),
    jobName: spec.jobName ?? workload.metadata.name,
    user: status?.identity?.user ?? spec.user ?? "",
    node: node ?? "%N",
  };
  const path = (pattern: string) => posix.resolve(workingDirectory, expandFileName(pattern, values));
  const output = submission.standardOutput ?? (spec.array ? "slurm-%A_%a.out" : "slurm-%j.out");
  return {
    workingDirectory,
    standardOutput: path(output),
    ...(submission.standardError !== undefined && { standardError: path(submission.standardError) }),
    standardInput: submission.standardInput === undefined ? "/dev/null" : path(submission.standardInput),
    openMode: submission.openMode ?? "Truncate",
  };
}

/** What the wrapper of docs/runtime.md is told of a job's files. */
export function fileEnvironment(files: JobFiles): Record<string, string> {
  return {
    BERTH_CHDIR: files.workingDirectory,
    BERTH_OUTPUT: files.standardOutput,
    ...(files.standardError !== undefined && { BERTH_ERROR: files.standardError }),
    BERTH_INPUT: files.standardInput,
    BERTH_OPEN_MODE: files.openMode,
  };
}
