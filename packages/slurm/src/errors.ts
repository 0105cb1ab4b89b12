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

const times =
  "minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes or days-hours:minutes:seconds";
const bytes = "a whole number and K, M, G or T, such as 500M or 4G; without a letter megabytes are meant";
const moments = "a time such as 16:00, 2026-12-24, 2026-12-24T16:00, tomorrow, or now+2hours";

/** What an option's value may be, for who wrote something else: Slurm says no more than that it is wrong. */
const forms: Readonly<Record<string, string>> = {
  time: times,
  "time-min": times,
  mem: bytes,
  "mem-per-cpu": bytes,
  begin: moments,
  deadline: moments,
  signal: "[B:]SIGNAL[@SECONDS], such as USR1@120 or B:TERM@60",
  nice: "a whole number, such as 100",
  exclusive: "no value, or user",
  "open-mode": "append or truncate",
  "kill-on-invalid-dep": "yes or no",
  "mail-type": "NONE, BEGIN, END, FAIL, REQUEUE, ALL, TIME_LIMIT and others, joined by commas",
};

/** Slurm's refusal of a value that cannot be read: `Invalid --time specification`, exit code 255; then what it may be. */
export function invalidSpecification(option: string): SlurmError {
  const form = forms[option];
  return new SlurmError(
    255,
    `error: Invalid --${option} specification`,
    ...(form === undefined ? [] : [`: --${option} takes ${form}`]),
  );
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
