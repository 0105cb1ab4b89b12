/** sacct's command line. */
import { type Common, hosts, type JobSelector, jobSelectors, names, put, read, shown } from "./command-line-parts.ts";
import { sacctOptions } from "./command-options.ts";
import { SlurmError } from "./errors.ts";
import { parseMoment } from "./moments.ts";
import { type JobState, parseJobState } from "./states.ts";

export interface SacctQuery extends Common {
  jobs?: JobSelector[];
  /** Absent with `allUsers` false: who asks. */
  users?: string[];
  allUsers: boolean;
  accounts?: string[];
  partitions?: string[];
  qos?: string[];
  jobNames?: string[];
  nodes?: string[];
  states?: readonly JobState[];
  /** Seconds since 1970; absent: no bound. */
  startSeconds?: number;
  endSeconds?: number;
  /** -D: earlier attempts too. */
  duplicates: boolean;
  allocationsOnly: boolean;
  array: boolean;
  brief: boolean;
  parsable?: "ended" | "between";
  delimiter?: string;
  helpFormat: boolean;
  units?: string;
  timeFormat?: string;
}

/**
 * Without --starttime: the jobs of today, of jobs named by --jobs all.
 * @throws SlurmError 1 in sacct's words
 */
export function readSacctCommandLine(
  words: readonly string[],
  nowSeconds: number,
  environment: Record<string, string | undefined> = {},
): SacctQuery {
  const { given, operands } = read(words, sacctOptions, "sacct");
  if (operands.length > 0) throw new SlurmError(1, `error: Unknown arguments:`, `error:  ${operands[0]}`);
  const states = given
    .get("state")
    ?.split(",")
    .map((word) => {
      const state = parseJobState(word.trim());
      if (state) return state;
      throw new SlurmError(1, `fatal: unrecognized job state value '${word.trim()}'`);
    });
  const moment = (name: string) => {
    const text = given.get(name);
    if (text === undefined) return undefined;
    const seconds = parsePastMoment(text, nowSeconds);
    if (seconds === undefined) throw new SlurmError(1, `Invalid time specification (pos=0): ${text}`);
    return seconds;
  };
  const jobs = given.get("jobs");
  const midnight = new Date(nowSeconds * 1000).setHours(0, 0, 0, 0) / 1000;
  const units = given.get("units")?.toUpperCase();
  if (units !== undefined && !/^[KMGTP]$/.test(units)) throw new SlurmError(1, `fatal: Invalid unit type: ${units}`);
  // With states the window defaults to this moment: what is in that state now.
  const standardStart = jobs ? undefined : states && !given.has("endtime") ? nowSeconds : midnight;
  return put<SacctQuery>(
    {
      ...shown(given),
      notes: [],
      noHeader: given.has("noheader"),
      long: given.has("long"),
      allUsers: given.has("allusers") || (jobs !== undefined && !given.has("uid")),
      duplicates: given.has("duplicates"),
      allocationsOnly: given.has("allocations"),
      array: given.has("array"),
      brief: given.has("brief"),
      helpFormat: given.has("helpformat"),
    },
    {
      format: given.get("format") ?? environment.SACCT_FORMAT,
      jobs: jobs
        ? jobSelectors(jobs, (word) => new SlurmError(1, `fatal: Bad job/step specified: ${word}`))
        : undefined,
      users: names(given.get("uid")),
      accounts: names(given.get("accounts")),
      partitions: names(given.get("partition")),
      qos: names(given.get("qos")),
      jobNames: names(given.get("name")),
      nodes: hosts(given.get("nodelist")),
      states,
      startSeconds: moment("starttime") ?? standardStart,
      endSeconds: moment("endtime"),
      parsable: given.has("parsable2") ? "between" : given.has("parsable") ? "ended" : undefined,
      delimiter: given.get("delimiter"),
      units,
      timeFormat: environment.SLURM_TIME_FORMAT,
    },
  );
}

/** As for --begin, but a time of day is today's: accounting looks back. */
function parsePastMoment(text: string, nowSeconds: number): number | undefined {
  const midnight = new Date(nowSeconds * 1000).setHours(0, 0, 0, 0) / 1000;
  if (/^now/i.test(text.trim())) return parseMoment(text, nowSeconds);
  return parseMoment(text, midnight);
}
