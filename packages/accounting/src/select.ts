/** Questions as SQL that SQLite and PostgreSQL both take: values stand as `?`, in order. */
import type { AttemptFilter, AttemptRow } from "./attempt-row.ts";
import { toSeconds, usageColumns } from "./columns.ts";

/** A statement and its values, one for each `?`. */
export interface Select {
  sql: string;
  values: (string | number)[];
}

const defaultLimit = 10_000;
/** More are not looked at: the newest ones say how it is now. */
const mostTold = 5000;

/** SELECT of a filter; the newest end first. Rows of task groups still need {@link holdsTask}. */
export function selectOf(filter: AttemptFilter): Select {
  const conditions: string[] = [];
  const values: Select["values"] = [];
  const oneOf = (column: string, wanted: readonly string[] | undefined): void => {
    if (wanted === undefined || wanted.length === 0) return;
    conditions.push(`${column} IN (${wanted.map(() => "?").join(", ")})`);
    values.push(...wanted);
  };
  oneOf('"user"', filter.users);
  oneOf("state", filter.states);
  oneOf("name", filter.names);
  oneOf("account", filter.accounts);
  oneOf("queue", filter.queues);
  if (filter.jobs !== undefined && filter.jobs.length > 0) {
    const jobs: string[] = [];
    for (const { job, task } of filter.jobs) {
      if (task === undefined) {
        // The id of the array itself means all of it, although element 0 has that id too.
        jobs.push("job_id = ?", "array_job_id = ?");
        values.push(job, job);
      } else {
        jobs.push("(array_job_id = ? AND (task = ? OR tasks IS NOT NULL))");
        values.push(job, task);
      }
    }
    conditions.push(`(${jobs.join(" OR ")})`);
  }
  if (filter.since !== undefined) {
    conditions.push("end_time >= ?");
    values.push(toSeconds(filter.since));
  }
  if (filter.until !== undefined) {
    conditions.push("submit_time <= ?");
    values.push(toSeconds(filter.until));
  }
  if (filter.lastAttemptOnly === true) {
    conditions.push(
      "NOT EXISTS (SELECT 1 FROM attempts later WHERE later.workload_uid = attempts.workload_uid " +
        "AND later.task = attempts.task AND later.attempt > attempts.attempt)",
    );
  }
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  values.push(filter.limit ?? defaultLimit);
  return {
    sql: `SELECT * FROM attempts ${where} ORDER BY end_time DESC, job_id DESC, attempt DESC, sequence DESC LIMIT ?`,
    values,
  };
}

/** Sums are of floating point: of a large site's bytes and seconds no integer of 64 bits holds them. */
export function usageSelect(window: { since: string; until: string }): Select {
  const [since, until] = [toSeconds(window.since), toSeconds(window.until)];
  const length =
    "((CASE WHEN end_time < ? THEN end_time ELSE ? END) - (CASE WHEN start_time > ? THEN start_time ELSE ? END))";
  const sumOf = (column: string): string => `sum(CAST(${column} AS DOUBLE PRECISION) * ${length})`;
  const ofLength = [until, until, since, since];
  return {
    sql: `
      SELECT "user", account, count(*) AS attempts,
        ${sumOf("requested_milli_cpus")} AS "milliCpuSeconds", ${sumOf("requested_memory_bytes")} AS "memoryByteSeconds"
      FROM attempts WHERE start_time IS NOT NULL AND end_time > ? AND start_time < ?
      GROUP BY "user", account ORDER BY "user", account`,
    values: [...ofLength, ...ofLength, since, until],
  };
}

export function toldStartsSelect(filter: { since: string; users?: readonly string[]; limit?: number }): Select {
  const { since, users = [], limit = mostTold } = filter;
  const ofUsers = users.length === 0 ? "" : `AND "user" IN (${users.map(() => "?").join(", ")})`;
  return {
    sql: `
      SELECT submit_time AS "submitTime", start_time AS "startTime", first_expected_start AS "firstExpectedStart",
        coalesce(last_expected_start, first_expected_start) AS "lastExpectedStart"
      FROM attempts WHERE end_time >= ? AND start_time IS NOT NULL AND first_expected_start IS NOT NULL
        AND array_job_id IS NULL AND attempt = 1 ${ofUsers} ORDER BY end_time DESC, sequence DESC LIMIT ?`,
    values: [toSeconds(since), ...users, limit],
  };
}

export function recordedSelect(after: number, since: number, limit: number): Select {
  return {
    sql: `SELECT ${usageColumns} FROM attempts WHERE sequence > ? AND end_time >= ? AND start_time IS NOT NULL ORDER BY sequence LIMIT ?`,
    values: [after, Math.floor(since), limit],
  };
}

/** Whole rows in the order of their numbers. */
export function rowsSelect(after: number, limit: number): Select {
  return { sql: "SELECT * FROM attempts WHERE sequence > ? ORDER BY sequence LIMIT ?", values: [after, limit] };
}

function inRuns(runs: string, task: number): boolean {
  return runs.split(",").some((run) => {
    const [range = "", step = "1"] = run.split(":");
    const [first = "", last = first] = range.split("-");
    return task >= Number(first) && task <= Number(last) && (task - Number(first)) % Number(step) === 0;
  });
}

/** Whether a row that stands for a group of elements holds one that was asked for. */
export function holdsTask(row: AttemptRow, filter: AttemptFilter): boolean {
  if (row.tasks === null || filter.jobs === undefined || filter.jobs.length === 0) return true;
  return filter.jobs.some(
    ({ job, task }) =>
      (task === undefined && (job === row.jobId || job === row.arrayJobId)) ||
      (task !== undefined && job === row.arrayJobId && inRuns(row.tasks!, task)),
  );
}
