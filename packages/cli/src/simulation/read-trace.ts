/** Recorded workloads from files: the Standard Workload Format, CSV (also sacct's), Berth's own accounting; plain or gzipped. */
import { type AttemptRow, openSqliteReader } from "@berth/accounting";
import { deviceParts, isDevice, partialGpu } from "@berth/kinds";
import { isCsvTrace, parseCsvTrace, parseTrace, type Trace, type TraceJob, type TraceProblem } from "@berth/simulator";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { CommandError } from "../command-error.ts";

const sqliteMagic = "SQLite format 3\0";
const everything = 100_000_000;

/** @throws CommandError when it cannot be read, or is none of the formats */
export async function readTrace(path: string, options: { processors?: number }): Promise<Trace> {
  const bytes = readBytes(path);
  if (bytes.subarray(0, sqliteMagic.length).toString("latin1") === sqliteMagic) {
    const reader = openSqliteReader(path);
    try {
      return accountingTrace(await reader.query({ limit: everything, lastAttemptOnly: true }), options);
    } finally {
      await reader.close();
    }
  }
  const text = bytes.toString("latin1");
  if (/^\s*[{[]/.test(text)) return accountingTrace(rowsOf(path, bytes.toString("utf8")), options);
  if (!isCsvTrace(text)) return parseTrace(text, options);
  try {
    return parseCsvTrace(bytes.toString("utf8"), options);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CommandError(`${path} is refused: ${error.message}`);
  }
}

function readBytes(path: string): Buffer {
  try {
    const bytes = readFileSync(path);
    // The two bytes with which every gzip file begins.
    return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const words = {
      ENOENT: "there is no such file",
      EISDIR: "it is a folder",
      Z_BUF_ERROR: "the gzip file ends too early",
    };
    throw new CommandError(`${path} cannot be read: ${words[code as keyof typeof words] ?? message}`);
  }
}

function rowsOf(path: string, text: string): AttemptRow[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CommandError(`${path} begins as JSON and is none: ${(error as Error).message}`);
  }
  const items = Array.isArray(value) ? value : (value as { items?: unknown }).items;
  if (!Array.isArray(items))
    throw new CommandError(`${path} is JSON without items; a trace is what berth history -a -n 1000000 -o json prints`);
  return items as AttemptRow[];
}

function gpusOf({ allocated }: AttemptRow): { gpus?: number } {
  let gpus = 0;
  for (const [name, amount] of Object.entries(allocated ?? {})) {
    if (isDevice(name)) gpus += amount;
    else if (name === partialGpu) gpus += amount / deviceParts;
  }
  return gpus > 0 ? { gpus } : {};
}

/** Ended attempts as jobs of a trace, in order of submission; second 0 is the first submission. */
function accountingTrace(rows: readonly AttemptRow[], options: { processors?: number }): Trace {
  const broken: TraceProblem[] = [];
  const dropped: TraceProblem[] = [];
  const jobs: TraceJob[] = [];
  const seconds = (time: string | null): number => Math.floor(Date.parse(time ?? "") / 1000);
  const numbered = rows.map((row, index) => ({ row, line: index + 1 }));
  const sorted = numbered.toSorted(
    (a, b) => seconds(a.row.submitTime) - seconds(b.row.submitTime) || a.row.jobId - b.row.jobId,
  );
  const startTime = Math.min(...sorted.map(({ row }) => seconds(row.submitTime)).filter(Number.isFinite));
  for (const { row, line } of sorted) {
    const [submit, start, end] = [seconds(row.submitTime), seconds(row.startTime), seconds(row.endTime)];
    const { jobId, wallTimeSeconds, requestedMilliCpus } = row;
    if (![submit, end, jobId, wallTimeSeconds, requestedMilliCpus].every(Number.isFinite)) {
      broken.push({ line, problem: "this is no row of Berth's accounting" });
    } else if (!Number.isFinite(start)) dropped.push({ line, problem: `job ${jobId} never started` });
    else if (row.state === "Requeued") dropped.push({ line, problem: `job ${jobId} was requeued after this attempt` });
    else {
      const processors = Math.max(1, Math.ceil(requestedMilliCpus / 1000));
      const runSeconds = Math.max(1, end - start);
      jobs.push({
        id: jobId,
        submit: submit - startTime,
        runSeconds,
        requestedSeconds: Math.max(runSeconds, wallTimeSeconds),
        processors,
        memoryBytes: Math.ceil(row.requestedMemoryBytes / processors),
        ...gpusOf(row),
        user: row.user,
        account: row.account,
        queue: row.queue,
        ...(row.qos === null ? {} : { qos: row.qos }),
        line,
      });
    }
  }
  return {
    jobs,
    header: {},
    broken,
    dropped,
    unsorted: [],
    holes: [],
    ...(options.processors === undefined ? { isSizeGuessed: true } : {}),
    processors: options.processors ?? jobs.reduce((most, { processors }) => Math.max(most, processors), 0),
    startTime: Number.isFinite(startTime) ? startTime : 0,
  };
}
