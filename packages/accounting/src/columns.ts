/** Between rows of the API and columns of SQL: camelCase and snake_case, RFC 3339 and whole seconds. */
import type { AttemptRow, NumberedRow, UsageEntry } from "./attempt-row.ts";

type Conversion = "plain" | "time" | "json";

/** Fields in the order of the columns. */
const fields: readonly [keyof AttemptRow, Conversion][] = [
  ["workloadUid", "plain"],
  ["task", "plain"],
  ["attempt", "plain"],
  ["jobId", "plain"],
  ["arrayJobId", "plain"],
  ["tasks", "plain"],
  ["namespace", "plain"],
  ["workload", "plain"],
  ["name", "plain"],
  ["user", "plain"],
  ["uid", "plain"],
  ["account", "plain"],
  ["queue", "plain"],
  ["qos", "plain"],
  ["requestedMilliCpus", "plain"],
  ["requestedMemoryBytes", "plain"],
  ["requestedNodes", "plain"],
  ["wallTimeSeconds", "plain"],
  ["submitTime", "time"],
  ["eligibleTime", "time"],
  ["startTime", "time"],
  ["endTime", "time"],
  ["waitSecondsByReason", "json"],
  ["firstExpectedStart", "time"],
  ["lastExpectedStart", "time"],
  ["state", "plain"],
  ["exitCode", "plain"],
  ["signal", "plain"],
  ["nodes", "json"],
  ["peakMemoryBytes", "plain"],
  ["cpuMilliseconds", "plain"],
  ["dependencies", "plain"],
  ["workingDirectory", "plain"],
  ["command", "plain"],
  ["cancelledBy", "plain"],
  ["billing", "plain"],
  ["allocated", "json"],
  ["suspendedSeconds", "plain"],
  ["steps", "json"],
];

const names = fields.map(([field]) => field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));

/** Of the values of {@link valuesOf}, as SQL. `user` is a word of PostgreSQL's own. */
export const columns: readonly string[] = names.map((name) => (name === "user" ? '"user"' : name));

/** Whole seconds since 1970 of an RFC 3339 time. */
export function toSeconds(time: string): number {
  const milliseconds = Date.parse(time);
  if (Number.isNaN(milliseconds)) throw new Error(`"${time}" is not a time like 2026-11-22T14:05:00Z`);
  return Math.floor(milliseconds / 1000);
}

function fromSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

export type ColumnValue = string | number | null;

/** PostgreSQL takes neither NUL nor half a character in its text; a row must not be refused for one that a user put in a name. */
function textOf(value: string): string {
  return value.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** Values in the order of {@link columns}. */
export function valuesOf(row: AttemptRow): ColumnValue[] {
  return fields.map(([field, conversion]) => {
    const value = row[field];
    if (value === null || value === undefined) return null;
    if (conversion === "json") return JSON.stringify(value);
    if (conversion === "time") return toSeconds(value as string);
    return typeof value === "string" ? textOf(value) : (value as number);
  });
}

export function rowOf(record: Record<string, unknown>): AttemptRow {
  const row: Record<string, unknown> = {};
  for (let at = 0; at < fields.length; at++) {
    const [field, conversion] = fields[at]!;
    const value = record[names[at]!];
    if (conversion === "json") row[field] = value === null ? null : JSON.parse(value as string);
    else if (conversion === "time") row[field] = value === null ? null : fromSeconds(value as number);
    else row[field] = value;
  }
  return row as unknown as AttemptRow;
}

/** A row and its number. */
export function numberedRowOf(record: Record<string, unknown>): NumberedRow {
  return { sequence: Number(record["sequence"]), row: rowOf(record) };
}

interface UsageRecord {
  sequence: number;
  user: string;
  account: string;
  queue: string;
  qos: string | null;
  start_time: number;
  end_time: number;
  billing: number | null;
  allocated: string | null;
  requested_milli_cpus: number;
  requested_memory_bytes: number;
  suspended_seconds: number | null;
}

export const usageColumns =
  'sequence, "user", account, queue, qos, start_time, end_time, billing, allocated, requested_milli_cpus, requested_memory_bytes, suspended_seconds';

export function usageEntryOf(record: Record<string, unknown>): UsageEntry {
  const of = record as unknown as UsageRecord;
  return {
    sequence: of.sequence,
    user: of.user,
    account: of.account,
    queue: of.queue,
    qos: of.qos,
    startTime: of.start_time,
    endTime: of.end_time,
    suspendedSeconds: Number(of.suspended_seconds ?? 0),
    billing: of.billing ?? of.requested_milli_cpus / 1000,
    allocated:
      of.allocated === null
        ? { cpu: of.requested_milli_cpus, memory: of.requested_memory_bytes }
        : (JSON.parse(of.allocated) as Record<string, number>),
  };
}
