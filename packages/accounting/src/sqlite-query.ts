/** Filters as SQL. */
import type { SQLInputValue } from "node:sqlite";
import type { AttemptFilter, AttemptRow } from "./attempt-row.ts";
import { toSeconds } from "./sqlite-rows.ts";

const defaultLimit = 10_000;

/** SELECT of a filter and its values; the newest end first. Rows of task groups still need {@link holdsTask}. */
export function selectOf(filter: AttemptFilter): { sql: string; values: SQLInputValue[] } {
  const conditions: string[] = [];
  const values: SQLInputValue[] = [];
  const oneOf = (column: string, wanted: readonly string[] | undefined): void => {
    if (wanted === undefined || wanted.length === 0) return;
    conditions.push(`${column} IN (${wanted.map(() => "?").join(", ")})`);
    values.push(...wanted);
  };
  oneOf("user", filter.users);
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
    sql: `SELECT * FROM attempts ${where} ORDER BY end_time DESC, job_id DESC, attempt DESC LIMIT ?`,
    values,
  };
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
