/** Between rows of the API and columns of SQLite: camelCase and snake_case, RFC 3339 and whole seconds. */
import type { SQLInputValue } from "node:sqlite";
import type { AttemptRow, UsageEntry } from "./attempt-row.ts";

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
];

const columns = fields.map(([field]) => field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));

/** The row's values, and its sequence. */
export const insertStatement = `INSERT OR IGNORE INTO attempts (${columns.join(", ")}, sequence) VALUES (${columns.map(() => "?").join(", ")}, ?)`;

/** Whole seconds since 1970 of an RFC 3339 time. */
export function toSeconds(time: string): number {
  const milliseconds = Date.parse(time);
  if (Number.isNaN(milliseconds)) throw new Error(`"${time}" is not a time like 2026-11-22T14:05:00Z`);
  return Math.floor(milliseconds / 1000);
}

function fromSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/** Values in the order of {@link insertStatement}, without the sequence. */
export function valuesOf(row: AttemptRow): SQLInputValue[] {
  return fields.map(([field, conversion]) => {
    const value = row[field];
    if (value === null || value === undefined) return null;
    if (conversion === "json") return JSON.stringify(value);
    return conversion === "time" ? toSeconds(value as string) : (value as SQLInputValue);
  });
}

export function rowOf(record: Record<string, unknown>): AttemptRow {
  const row: Record<string, unknown> = {};
  for (let at = 0; at < fields.length; at++) {
    const [field, conversion] = fields[at]!;
    const value = record[columns[at]!];
    if (conversion === "json") row[field] = value === null ? null : JSON.parse(value as string);
    else if (conversion === "time") row[field] = value === null ? null : fromSeconds(value as number);
    else row[field] = value;
  }
  return row as unknown as AttemptRow;
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
}

export const usageColumns =
  "sequence, user, account, queue, qos, start_time, end_time, billing, allocated, requested_milli_cpus, requested_memory_bytes";

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
    billing: of.billing ?? of.requested_milli_cpus / 1000,
    allocated:
      of.allocated === null
        ? { cpu: of.requested_milli_cpus, memory: of.requested_memory_bytes }
        : (JSON.parse(of.allocated) as Record<string, number>),
  };
}
