/** Which rows squeue shows, and in what order. */
import { parseIndexList } from "@berth/kinds";
import type { JobFilter } from "./command-line-parts.ts";
import { SlurmError } from "./errors.ts";
import { expandArrayRow } from "./job-rows.ts";
import type { JobRow } from "./rows.ts";
import type { JobState } from "./states.ts";

/**
 * The rows that fit every filter given. A packed row of which only some elements are named is taken apart: those that are
 * named become rows of their own.
 */
export function selectJobs(rows: readonly JobRow[], filter: JobFilter): JobRow[] {
  const fits = (row: JobRow) =>
    matches(filter.users, row.user) &&
    matches(filter.states, row.state) &&
    matches(filter.partitions, row.partition) &&
    matches(filter.accounts, row.account) &&
    matches(filter.qos, row.qos) &&
    matches(filter.jobNames, row.name) &&
    (filter.nodes === undefined || row.nodes.some((node) => filter.nodes!.includes(node)));
  const result: JobRow[] = [];
  for (const row of rows) {
    if (!fits(row)) continue;
    if (filter.jobs === undefined) result.push(row);
    else result.push(...selected(row, filter.jobs));
  }
  return result;
}

function matches<T extends string>(wanted: readonly T[] | undefined, value: T): boolean {
  return wanted === undefined || wanted.includes(value);
}

function selected(row: JobRow, jobs: NonNullable<JobFilter["jobs"]>): JobRow[] {
  const whole = jobs.some(({ job, tasks }) => {
    if (tasks === undefined) return job === row.jobId || job === row.arrayJobId;
    return job === row.arrayJobId && row.arrayTaskId !== undefined && parseIndexList(tasks).has(row.arrayTaskId);
  });
  if (whole) return [row];
  if (row.arrayTasks === undefined) return [];
  return expandArrayRow(row).filter((element) => selected(element, jobs).length > 0);
}

const stateNumbers: Partial<Record<JobState, number>> = {
  PENDING: 0,
  RUNNING: 1,
  SUSPENDED: 2,
  COMPLETED: 3,
  CANCELLED: 4,
  FAILED: 5,
  TIMEOUT: 6,
  NODE_FAIL: 7,
  PREEMPTED: 8,
  DEADLINE: 10,
  OUT_OF_MEMORY: 11,
  CONFIGURING: 12,
  COMPLETING: 13,
};

const unknownTime = Number.MAX_SAFE_INTEGER;

const sortKeys: Record<string, (row: JobRow) => string | number> = {
  a: (row) => row.account,
  C: (row) => row.cpus,
  D: (row) => row.nodeCount,
  e: (row) => row.endTime ?? unknownTime,
  i: (row) => row.jobId,
  j: (row) => row.name,
  l: (row) => row.timeLimitSeconds ?? unknownTime,
  L: (row) => (row.timeLimitSeconds ?? unknownTime) - row.elapsedSeconds,
  m: (row) => row.memoryBytes ?? 0,
  M: (row) => row.elapsedSeconds,
  N: (row) => row.nodes[0] ?? "",
  p: (row) => row.priority ?? 0,
  P: (row) => row.partition,
  q: (row) => row.qos,
  Q: (row) => row.priority ?? 0,
  r: (row) => row.reason,
  R: (row) => row.nodes[0] ?? row.reason,
  S: (row) => row.startTime ?? unknownTime,
  t: (row) => stateNumbers[row.state] ?? 20,
  T: (row) => stateNumbers[row.state] ?? 20,
  u: (row) => row.user,
  V: (row) => row.submitTime ?? 0,
  y: (row) => row.nice,
};

/**
 * squeue's order: by `--sort` (letters of its format codes, `-` for descending), else partition, state, priority; of --start
 * the expected start. Equal ones by id.
 * @throws SlurmError 1 for a letter that cannot be sorted by
 */
export function sortJobs(rows: readonly JobRow[], sort: string | undefined, start = false): JobRow[] {
  const keys = [...(sort ?? (start ? "S" : "P,t,-p")).matchAll(/([+-]?)#?([A-Za-z])/g)].map(([, sign, letter]) => {
    const key = sortKeys[letter!];
    if (!key) throw new SlurmError(1, `error: Invalid sort specification: ${letter}`);
    return { key, factor: sign === "-" ? -1 : 1 };
  });
  // Of what waits with the same priority (all, where the site weighs nothing) the queue knows the order.
  if (sort === undefined) keys.push({ key: (row) => row.position ?? unknownTime, factor: 1 });
  keys.push({ key: sortKeys.i!, factor: 1 });
  return rows.toSorted((a, b) => {
    for (const { key, factor } of keys) {
      const [left, right] = [key(a), key(b)];
      if (left < right) return -factor;
      if (left > right) return factor;
    }
    return 0;
  });
}
