/**
 * A refusal in Slurm's words: the lines for standard error and the exit code (255 for an option's
 * value that cannot be read, 1 for what Slurm's controller refuses).
 *
 * A line that starts with `error: ` or `fatal: ` is printed behind the program's name; `: …` too,
 * without the word; any other stands alone, as Slurm does with some.
 */
export class SlurmError extends Error {
  readonly lines: readonly string[];
  readonly exitCode: number;

  constructor(exitCode: number, ...lines: string[]) {
    super(lines.map((line) => line.replace(/^(error|fatal)?: /, "")).join(" "));
    this.name = "SlurmError";
    this.exitCode = exitCode;
    this.lines = lines;
  }

  /** The text for standard error, each line ended. */
  format(program: string): string {
    return this.lines
      .map((line) => {
        if (/^(error|fatal): /.test(line)) return `${program}: ${line}\n`;
        return line.startsWith(": ") ? `${program}${line}\n` : `${line}\n`;
      })
      .join("");
  }
}

/** Slurm's refusal of a value that cannot be read: `Invalid --time specification`, exit code 255. */
export function invalidSpecification(option: string): SlurmError {
  return new SlurmError(255, `error: Invalid --${option} specification`);
}

/** Slurm's refusal by the controller, exit code 1. Lines before it say more. */
export function submissionFailed(why: string, ...before: string[]): SlurmError {
  return new SlurmError(1, ...before, `error: Batch job submission failed: ${why}`);
}

/** The words of Slurm's controller for the refusals that Berth makes too. */
export const refusals = {
  partition: "Invalid partition name specified",
  partitionGroup: "User's group not permitted to use this partition",
  partitionUnavailable: "Required partition not available (inactive or drain)",
  account: "Invalid account or account/partition combination specified",
  qos: "Invalid qos specification",
  nodeConfiguration: "Requested node configuration is not available",
  nodeName: "Invalid node name specified",
  nodeCount: "Node count specification invalid",
  feature: "Invalid feature specification",
  array: "Invalid job array specification",
  dependency: "Job dependency problem",
  time: "Requested time limit is invalid (missing or exceeds some limit)",
  minimumTime: "Invalid time-min specification (exceeds job's time or other limits)",
  nice: "Invalid --nice value",
  reservation: "Requested reservation is invalid",
  reservationAccess: "Access denied to requested reservation",
  license: "Invalid license specification",
  tooLong: "Pathname of a file, directory or other parameter too long",
  limits: "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
  notSupported: "Requested operation not supported on this system",
} as const;
