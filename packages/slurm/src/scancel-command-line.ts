/** scancel's command line. */
import { hosts, type JobSelector, jobSelectors, names, put, read, type Shown, shown } from "./command-line-parts.ts";
import { scancelOptions } from "./command-options.ts";
import { SlurmError } from "./errors.ts";
import { type JobState, parseJobState } from "./states.ts";
import { parseSignalName } from "./values.ts";

export interface ScancelRequest {
  show?: Shown;
  jobs: JobSelector[];
  users?: string[];
  me: boolean;
  jobNames?: string[];
  partitions?: string[];
  accounts?: string[];
  qos?: string[];
  nodes?: string[];
  states?: readonly JobState[];
  /** Number of the signal; absent: end the job. */
  signal?: number;
  /** --batch: to the script's shell only; --full: to the script and all its processes. */
  to?: "Batch" | "Full";
  verbose: boolean;
  quiet: boolean;
}

/** @throws SlurmError 1 in scancel's words */
export function readScancelCommandLine(words: readonly string[]): ScancelRequest {
  const { given, operands } = read(words, scancelOptions, "scancel");
  const show = shown(given);
  const signalText = given.get("signal");
  const signal = signalText === undefined ? undefined : parseSignalName(signalText);
  if (signalText !== undefined && signal === undefined) throw new SlurmError(1, `Unknown job signal: ${signalText}`);
  const stateText = given.get("state");
  const states = stateText?.split(",").map((word) => {
    const state = parseJobState(word.trim());
    if (state === "PENDING" || state === "RUNNING" || state === "SUSPENDED") return state;
    throw new SlurmError(
      1,
      `Invalid job state specified: ${word.trim()}`,
      "Valid job states are PENDING, RUNNING, and SUSPENDED",
    );
  });
  const jobs = operands.flatMap((operand) =>
    jobSelectors(operand, (word) => new SlurmError(1, `error: Invalid job id ${word}`)),
  );
  const filters = ["user", "me", "jobname", "partition", "account", "qos", "nodelist", "state"];
  if (!show.show && jobs.length === 0 && !filters.some((name) => given.has(name))) {
    throw new SlurmError(1, "error: No job identification provided");
  }
  return put<ScancelRequest>(
    { ...show, jobs, me: given.has("me"), verbose: given.has("verbose"), quiet: given.has("quiet") },
    {
      users: names(given.get("user")),
      jobNames: names(given.get("jobname")),
      partitions: names(given.get("partition")),
      accounts: names(given.get("account")),
      qos: names(given.get("qos")),
      nodes: hosts(given.get("nodelist")),
      states,
      signal,
      to: given.has("full") ? "Full" : given.has("batch") ? "Batch" : undefined,
    },
  );
}
