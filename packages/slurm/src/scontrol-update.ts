/** `scontrol update`: from its words to what changes of a Workload. */
import type { Dependency } from "@berth/kinds";
import { parseTimeLimit } from "./durations.ts";
import { SlurmError } from "./errors.ts";
import { parseMomentOption } from "./moments.ts";
import { parseDependencies, parseNice } from "./values.ts";

/** null: taken away. */
export interface JobChanges {
  /** Seconds; `TimeLimit=+10` and `-10` are said by `relative`. */
  wallTimeSeconds?: number;
  relativeTimeSeconds?: number;
  nice?: number;
  queue?: string;
  account?: string;
  beginTime?: number | null;
  deadline?: number;
  dependencies?: { any: boolean; of: Dependency[] } | null;
  maxRunning?: number | null;
  hold?: "User" | null;
}

export interface JobUpdate {
  /** As they stand there, with commas between them. */
  jobs: string;
  changes: JobChanges;
}

const settable: Record<string, (changes: JobChanges, value: string, nowSeconds: number) => void> = {
  timelimit: (changes, value) => {
    const sign = /^[+-]/.exec(value)?.[0];
    if (sign === undefined) changes.wallTimeSeconds = timeOf(value);
    else changes.relativeTimeSeconds = (sign === "-" ? -1 : 1) * timeOf(value.slice(1));
  },
  nice: (changes, value) => (changes.nice = parseNice(value)),
  partition: (changes, value) => (changes.queue = value),
  account: (changes, value) => (changes.account = value),
  starttime: (changes, value, now) => (changes.beginTime = parseMomentOption(value, now, "begin") ?? null),
  deadline: (changes, value, now) => (changes.deadline = parseMomentOption(value, now, "deadline")),
  dependency: (changes, value) => (changes.dependencies = parseDependencies(value) ?? null),
  arraytaskthrottle: (changes, value) => {
    if (!/^\d{1,7}$/.test(value)) throw invalid("ArrayTaskThrottle", value);
    changes.maxRunning = Number(value) || null;
  },
  priority: (changes, value) => {
    if (!/^\d{1,10}$/.test(value)) throw invalid("Priority", value);
    if (Number(value) !== 0) throw fixed("Priority", "the scheduler reckons it: set Nice");
    changes.hold = "User";
  },
};
const others: Record<string, string> = { eligibletime: "starttime" };

/** What Slurm changes, and a Workload does not once it is made. */
const fixedNames = new Set(
  "adminc comment batchfeatures burstbuffer clusters clusterfeatures command contiguous corespec cpuspertask delayboot excnodelist features gres jobname name licenses mailtype mailuser mcslabel mincpusnode minmemorycpu minmemorynode mintmpdisknode network numcpus numnodes numtasks ntaskspernode oversubscribe qos reboot reqcores reqnodelist reqnodes reqsockets reqthreads requeue reservationname reservation share stdout stepid switches threadspec timemin tres userid wait-for-switch wckey workdir".split(
    " ",
  ),
);

/** @throws SlurmError 1, in scontrol's words */
export function parseJobUpdate(words: readonly string[], nowSeconds: number): JobUpdate {
  let jobs: string | undefined;
  const changes: JobChanges = {};
  for (const word of words) {
    const match = /^([A-Za-z:_-]+?)([+-]?)=(.*)$/s.exec(word);
    if (match === null) throw unsupported(word);
    const [, given = "", sign = "", text = ""] = match;
    const name = given.toLowerCase();
    const value = sign + text;
    if (name === "jobid" || name === "job") {
      jobs = text;
      continue;
    }
    const set = complete(name);
    if (set !== undefined) settable[set]!(changes, value, nowSeconds);
    else if ([...fixedNames].some((each) => each.startsWith(name) && name.length >= 3))
      throw fixed(given, "submit a new job");
    else throw unsupported(word);
  }
  if (jobs === undefined) throw new SlurmError(1, "No changes specified");
  return { jobs, changes };
}

/** Names may be cut short, as long as it is clear what they mean. */
function complete(name: string): string | undefined {
  const found = [...Object.keys(settable), ...Object.keys(others)].filter((each) => each.startsWith(name));
  const exact = found.includes(name) ? name : found.length === 1 && name.length >= 3 ? found[0] : undefined;
  return exact === undefined ? undefined : (others[exact] ?? exact);
}

function timeOf(value: string): number {
  try {
    return parseTimeLimit(value);
  } catch {
    throw invalid("TimeLimit", value);
  }
}

function unsupported(word: string): SlurmError {
  return new SlurmError(1, `Update of this parameter is not supported: ${word}`, "Request aborted");
}

function invalid(name: string, value: string): SlurmError {
  return new SlurmError(1, `Invalid ${name} value: ${value}`, "Request aborted");
}

function fixed(name: string, instead: string): SlurmError {
  return new SlurmError(
    1,
    `Update of this parameter is not supported: ${name}`,
    `: a job that was submitted keeps its ${name}: ${instead}`,
  );
}
