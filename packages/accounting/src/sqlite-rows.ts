/** Between rows of the API and columns of SQLite: camelCase and snake_case, RFC 3339 and whole seconds. */
import type { SQLInputValue } from "node:sqlite";
import type { AttemptRow } from "./attempt-row.ts";

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
];

const columns = fields.map(([field]) => field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));

export const insertStatement = `INSERT OR IGNORE INTO attempts (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`;

/** Whole seconds since 1970 of an RFC 3339 time. */
export function toSeconds(time: string): number {
  const milliseconds = Date.parse(time);
  if (Number.isNaN(milliseconds)) throw new Error(`"${time}" is not a time like 2026-11-22T14:05:00Z`);
  return Math.floor(milliseconds / 1000);
}

function fromSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/** Values in the order of {@link insertStatement}. */
export function valuesOf(row: AttemptRow): SQLInputValue[] {
  return fields.map(([field, conversion]) => {
    const value = row[field];
    if (conversion === "json") return JSON.stringify(value);
    if (value === null || value === undefined) return null;
    return conversion === "time" ? toSeconds(value as string) : (value as SQLInputValue);
  });
}

export function rowOf(record: Record<string, unknown>): AttemptRow {
  const row: Record<string, unknown> = {};
  for (let at = 0; at < fields.length; at++) {
    const [field, conversion] = fields[at]!;
    const value = record[columns[at]!];
    if (conversion === "json") row[field] = JSON.parse(value as string);
    else if (conversion === "time") row[field] = value === null ? null : fromSeconds(value as number);
    else row[field] = value;
  }
  return row as unknown as AttemptRow;
}
