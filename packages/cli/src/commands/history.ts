/** `berth history`: what has ended, newest first. */
import type { AttemptRow } from "@berth/accounting";
import { userInfo } from "node:os";
import { attemptName, readAttempts } from "../accounting.ts";
import { CommandError } from "../command-error.ts";
import { connect } from "../connect.ts";
import { readStartErrors, startErrorColumns } from "../start-errors.ts";
import { paint, printRows, type OutputFormat, type TableColumn } from "../table.ts";
import { formatBytes, formatDuration, formatTime } from "../times.ts";

export interface HistoryOptions {
  limit: string;
  since?: string;
  state?: string;
  all?: boolean;
  estimates?: boolean;
  output?: OutputFormat;
}

const columns: readonly TableColumn<AttemptRow>[] = [
  { title: "JOB", value: attemptName },
  { title: "NAME", value: ({ name }) => name },
  { title: "USER", value: ({ user }) => user, wide: true },
  { title: "QUEUE", value: ({ queue }) => queue },
  { title: "ACCOUNT", value: ({ account }) => account, wide: true },
  { title: "ENDED", value: ({ endTime }) => formatTime(endTime) },
  { title: "WAITED", value: waited, align: "right" },
  { title: "RAN", value: ran, align: "right" },
  { title: "STATE", value: ({ state }) => paint(state === "Succeeded" ? "green" : "red", state) },
  { title: "EXIT", value: ({ exitCode, signal }) => (signal > 0 ? `signal ${signal}` : exitCode), align: "right" },
  {
    title: "CPU",
    value: ({ cpuMilliseconds: used }) => (used === null ? undefined : formatDuration(used / 1000)),
    align: "right",
  },
  {
    title: "MEMORY",
    value: ({ peakMemoryBytes: peak }) => (peak === null ? undefined : formatBytes(peak)),
    align: "right",
  },
  { title: "ATTEMPT", value: ({ attempt }) => attempt, align: "right", wide: true },
  { title: "NODES", value: ({ nodes }) => nodes.join(",") || undefined, wide: true },
];

export async function history(options: HistoryOptions): Promise<number> {
  if (!/^[1-9]\d{0,6}$/.test(options.limit))
    throw new CommandError(`--limit ${options.limit}: this must be a whole number from 1`);
  const since = options.since === undefined ? undefined : Date.parse(options.since);
  if (since !== undefined && Number.isNaN(since))
    throw new CommandError(`--since ${options.since} is not a time like 2026-11-22 or 2026-11-22T14:05:00`);
  if (options.estimates === true) {
    // Figures name nobody, so those of all jobs are told to everybody.
    const query = {
      ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
      ...(options.all === true ? {} : { user: userInfo().username }),
    };
    const errors = await readStartErrors(await connect(), query);
    await printRows(startErrorColumns, errors, options.output, { items: errors });
    const isTable = options.output === undefined || options.output === "wide";
    if (isTable && errors.length === 0)
      process.stdout.write("no job that ended in this time was told a start: --since goes back further\n");
    return 0;
  }
  const rows = await readAttempts(await connect(), {
    limit: Number(options.limit),
    user: options.all === true ? undefined : [userInfo().username],
    state: options.state?.split(","),
    since: since === undefined ? undefined : new Date(since).toISOString(),
  });
  await printRows(columns, rows, options.output, { items: rows });
  return 0;
}

function waited({ submitTime, startTime, endTime }: AttemptRow): string {
  return formatDuration((Date.parse(startTime ?? endTime) - Date.parse(submitTime)) / 1000);
}

function ran({ startTime, endTime }: AttemptRow): string | undefined {
  return startTime === null ? undefined : formatDuration((Date.parse(endTime) - Date.parse(startTime)) / 1000);
}
