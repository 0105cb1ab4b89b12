/** squeue's command line. */
import { type Common, hosts, type JobSelector, jobSelectors, names, put, read, shown } from "./command-line-parts.ts";
import { squeueOptions } from "./command-options.ts";
import { SlurmError } from "./errors.ts";
import { activeJobStates, type JobState, parseJobState } from "./states.ts";

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
