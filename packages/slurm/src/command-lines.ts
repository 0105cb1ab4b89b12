/** Command lines of squeue, scancel, sinfo and sacct: what to show, and of what. */
import { parseArguments, type ParsedOption } from "./arguments.ts";
import { sacctOptions, scancelOptions, sinfoOptions, squeueOptions } from "./command-options.ts";
import { SlurmError } from "./errors.ts";
import { expandHostlist } from "./hostlist.ts";
import { parseMoment } from "./moments.ts";
import type { OptionDefinition } from "./options.ts";
import { activeJobStates, type JobState, parseJobState } from "./states.ts";
import { parseSignalName } from "./values.ts";

/** A job as users name it: `348`, `348_3`, `348_[3-5]`, `348.batch`. */
export interface JobSelector {
  job: number;
  /** Indices of an array, as an index list. */
  tasks?: string;
  /** `batch`, or the number of a step. */
  step?: string;
}

/** Reads one selector; undefined where it is none. */
export function parseJobSelector(text: string): JobSelector | undefined {
  const match = /^(\d{1,15})(?:_(?:(\d{1,9})|\[([\d,:-]+)(?:%\d+)?\]|\*))?(?:[.+](batch|extern|\d+))?$/.exec(
    text.trim(),
  );
  if (!match) return undefined;
  const tasks = match[2] ?? match[3];
  return {
    job: Number(match[1]),
    ...(tasks !== undefined && { tasks }),
    ...(match[4] !== undefined && { step: match[4] }),
  };
}

/** Splits at commas that are not in brackets, and reads each. @throws SlurmError 1 with the program's words */
function jobSelectors(text: string, refuse: (word: string) => SlurmError): JobSelector[] {
  return (text.match(/(?:[^,[]|\[[^\]]*\])+/g) ?? []).map((word) => {
    const selector = parseJobSelector(word);
    if (!selector) throw refuse(word.trim());
    return selector;
  });
}

type Shown = "help" | "usage" | "version";

interface Common {
  show?: Shown;
  noHeader: boolean;
  format?: string;
  names?: string;
  long: boolean;
  /** Lines for standard error: what was accepted without effect. */
  notes: string[];
}

/** Reads options, refuses those not honoured, and hands each of the others on. */
function read(
  words: readonly string[],
  table: readonly OptionDefinition[],
  program: string,
): { given: Map<string, string>; operands: string[] } {
  const { options, operands } = parseArguments(words, table, program, false, 1);
  const given = new Map<string, string>();
  for (const { definition, value } of options) {
    if (definition.status === "refused") throw refusedOption({ definition });
    // Names and jobs may be given in several options; the rest is what was said last.
    const before = given.get(definition.name);
    const adds = before !== undefined && before !== "" && ["jobs", "user", "uid", "states"].includes(definition.name);
    given.set(definition.name, adds ? `${before},${value ?? ""}` : (value ?? ""));
  }
  return { given, operands };
}

function refusedOption({ definition }: ParsedOption): SlurmError {
  return new SlurmError(1, `error: --${definition.name} is known to Slurm but not yet honoured by Berth`);
}

function shown(given: Map<string, string>): { show?: Shown } {
  const show = (["help", "usage", "version"] as const).find((name) => given.has(name));
  return show ? { show } : {};
}

function names(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const list = text.split(",").map((name) => name.trim());
  return list.filter((name) => name !== "");
}

function hosts(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  try {
    return expandHostlist(text);
  } catch (error) {
    throw new SlurmError(1, `error: ${(error as Error).message}`);
  }
}

function put<T extends object>(target: T, values: Partial<T>): T {
  for (const [key, value] of Object.entries(values)) if (value !== undefined) Object.assign(target, { [key]: value });
  return target;
}

export interface SqueueQuery extends Common {
  jobs?: JobSelector[];
  users?: string[];
  /** The user who asks. */
  me: boolean;
  /** Absent: all. */
  states?: readonly JobState[];
  partitions?: string[];
  accounts?: string[];
  qos?: string[];
  jobNames?: string[];
  nodes?: string[];
  /** One line an array element. */
  array: boolean;
  start: boolean;
  steps: boolean;
  /** As given to --sort. */
  sort?: string;
  timeFormat?: string;
}

const validStates =
  "pending,running,suspended,completed,cancelled,failed,timeout,node_fail,preempted,boot_fail,deadline,out_of_memory,completing,configuring,resizing,resv_del_hold,requeued,requeue_fed,requeue_hold,revoked,signaling,special_exit,stage_out,stopped";

/** @throws SlurmError 1 in squeue's words */
export function readSqueueCommandLine(
  words: readonly string[],
  environment: Record<string, string | undefined> = {},
): SqueueQuery {
  const { given, operands } = read(words, squeueOptions, "squeue");
  if (operands.length > 0)
    throw new SlurmError(1, `error: Unrecognized option: ${operands[0]}`, 'Try "squeue --help" for more information');
  const statesText = given.get("states") ?? environment.SQUEUE_STATES;
  const states = squeueStates(statesText, given.has("start"));
  const jobs = given.get("jobs");
  const format = given.get("format") ?? (given.has("Format") ? undefined : environment.SQUEUE_FORMAT);
  return put<SqueueQuery>(
    {
      ...shown(given),
      notes: [],
      noHeader: given.has("noheader"),
      long: given.has("long"),
      me: given.has("me"),
      array: given.has("array") || given.has("array-unique") || environment.SQUEUE_ARRAY !== undefined,
      start: given.has("start"),
      steps: given.has("steps"),
    },
    {
      // A format of one's own goes before -l.
      format,
      names: given.get("Format") ?? (format === undefined ? environment.SQUEUE_FORMAT2 : undefined),
      jobs: jobs ? jobSelectors(jobs, (word) => new SlurmError(1, `error: Invalid job id: ${word}`)) : undefined,
      users: names(given.get("user") ?? environment.SQUEUE_USERS),
      states,
      partitions: names(given.get("partition") ?? environment.SQUEUE_PARTITION),
      accounts: names(given.get("account") ?? environment.SQUEUE_ACCOUNT),
      qos: names(given.get("qos") ?? environment.SQUEUE_QOS),
      jobNames: names(given.get("name") ?? environment.SQUEUE_NAMES),
      nodes: hosts(given.get("nodelist")),
      sort: given.get("sort") ?? environment.SQUEUE_SORT,
      timeFormat: environment.SLURM_TIME_FORMAT,
    },
  );
}

function squeueStates(text: string | undefined, start: boolean): readonly JobState[] | undefined {
  if (text === undefined || text === "") return start ? ["PENDING"] : activeJobStates;
  if (text.toLowerCase() === "all") return undefined;
  return text.split(",").map((word) => {
    const state = parseJobState(word.trim());
    if (state) return state;
    throw new SlurmError(
      1,
      `error: Invalid job state specified: ${word.trim()}`,
      `error: Valid job states include: ${validStates}`,
      "",
    );
  });
}

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

export interface SinfoQuery extends Common {
  byNode: boolean;
  summarize: boolean;
  listReasons: boolean;
  partitions?: string[];
  nodes?: string[];
  /** Words of sinfo (`idle`, `mixed`, `down`, …), lower case, long form. */
  states?: string[];
  /** --responding and --dead. */
  responding?: boolean;
  timeFormat?: string;
}

const nodeStateWords: Record<string, string> = {
  alloc: "allocated",
  comp: "completing",
  drain: "drain",
  drng: "draining",
  mix: "mixed",
  plnd: "planned",
  resv: "reserved",
  unk: "unknown",
};
const nodeStates =
  "allocated completing down drain drained draining fail idle maint mixed planned reserved unknown".split(" ");

/** @throws SlurmError 1 in sinfo's words */
export function readSinfoCommandLine(
  words: readonly string[],
  environment: Record<string, string | undefined> = {},
): SinfoQuery {
  const { given, operands } = read(words, sinfoOptions, "sinfo");
  if (operands.length > 0)
    throw new SlurmError(1, `error: Unrecognized option: ${operands[0]}`, 'Try "sinfo --help" for more information');
  const states = names(given.get("states"))
    ?.filter((word) => word.toLowerCase() !== "all")
    .map((word) => {
      const state = nodeStateWords[word.toLowerCase()] ?? word.toLowerCase();
      if (nodeStates.includes(state)) return state;
      throw new SlurmError(
        1,
        `error: Bad state string: "${word}"`,
        `error: Valid node states include: ${nodeStates.join(" ").toUpperCase()}`,
      );
    });
  const format = given.get("format") ?? (given.has("Format") ? undefined : environment.SINFO_FORMAT);
  return put<SinfoQuery>(
    {
      ...shown(given),
      notes: [],
      noHeader: given.has("noheader"),
      long: given.has("long"),
      byNode: given.has("Node"),
      summarize: given.has("summarize"),
      listReasons: given.has("list-reasons"),
    },
    {
      format,
      names: given.get("Format"),
      partitions: names(given.get("partition") ?? environment.SINFO_PARTITION),
      nodes: hosts(given.get("nodes")),
      states: states && states.length > 0 ? states : undefined,
      responding: given.has("responding") ? true : given.has("dead") ? false : undefined,
      timeFormat: environment.SLURM_TIME_FORMAT,
    },
  );
}

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

/** What of a table squeue and scancel take: rows that fit every filter that is given. */
export interface JobFilter {
  jobs?: readonly JobSelector[];
  users?: readonly string[];
  states?: readonly JobState[];
  partitions?: readonly string[];
  accounts?: readonly string[];
  qos?: readonly string[];
  jobNames?: readonly string[];
  nodes?: readonly string[];
}
