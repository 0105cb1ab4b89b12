/** One job of a recorded workload, cleaned. */
export interface TraceJob {
  /** Number in the trace. */
  id: number;
  /** Whole seconds from the start of the trace. */
  submit: number;
  runSeconds: number;
  /** Requested time: the user's estimate, and a limit. */
  requestedSeconds: number;
  /** It asked for no limit: the year is cut to the longest that its queue gives, where a site says so. */
  isUnlimited?: true;
  /** Requested processors. */
  processors: number;
  /** Memory of one processor; absent: unknown. */
  memoryBytes?: number;
  /** Of the job; parts of one are below 1. Absent: none, or unknown. */
  gpus?: number;
  /** Names; in SWF numbers. Absent: unknown. */
  user?: string;
  group?: string;
  queue?: string;
  /** Only Berth's own accounting tells these. */
  account?: string;
  qos?: string;
  /** Line in the file, from 1. */
  line: number;
}

export interface TraceProblem {
  line: number;
  problem: string;
}

export interface Trace {
  /** In the order of the file. */
  jobs: TraceJob[];
  /** Comment lines of the form `; Name: value`. */
  header: Record<string, string>;
  /** Lines that are no job line of the format: left out. */
  broken: TraceProblem[];
  /** Job lines that the cleaning rules leave out: jobs that never ran, or cannot fit the machine. */
  dropped: TraceProblem[];
  /** Lines whose job was submitted before that of the line above: they are put in order of submission. */
  unsorted: TraceProblem[];
  /** Numbers that are missing between one line and the next, and references to jobs that make no sense; nothing is done about them. */
  holes: TraceProblem[];
  /** Columns that mean nothing here. */
  unused?: string[];
  /** Processors of the machine: as given, else from the header (MaxProcs), else the largest job. */
  processors: number;
  /** Nobody said how large the machine is. */
  isSizeGuessed?: boolean;
  /** Unix time of second 0 of the trace; 0 where it is not said. */
  startTime: number;
}

/** A job as a line of a trace has it, before cleaning. Numbers that are not known are -1 or less. */
export interface TraceRow extends Pick<
  TraceJob,
  "id" | "submit" | "line" | "memoryBytes" | "gpus" | "isUnlimited" | "user" | "group" | "queue" | "account" | "qos"
> {
  run: number;
  allocated: number;
  requested: number;
  requestedTime: number;
  /** Why it is no job that ran, where the line says so. */
  dropped?: string;
}

/**
 * The jobs of a trace. Cleaning: a row with allocated or requested processors beyond the machine is dropped; where only one of the two
 * is positive it stands for both, where none is the row is dropped; so are rows with run time ≤ 0, requested time ≤ 0 or submit < 0;
 * where requested < run, run = requested (killed at its limit). `broken` gets the rows whose number was used before.
 */
export function cleanRows(
  rows: readonly TraceRow[],
  processors: number,
  broken: TraceProblem[],
): Pick<Trace, "jobs" | "dropped" | "unsorted"> {
  const jobs: TraceJob[] = [];
  const dropped: TraceProblem[] = [];
  const unsorted: TraceProblem[] = [];
  const seen = new Set<number>();
  let before = -Infinity;
  for (const row of rows) {
    const { run, requestedTime, allocated, requested, dropped: reason, ...known } = row;
    const { line, id, submit } = known;
    const problem = reason ?? whyDropped(row, processors);
    if (problem !== undefined) dropped.push({ line, problem });
    else if (seen.has(id)) broken.push({ line, problem: `job number ${id} stands on an earlier line too` });
    else {
      if (submit < before) {
        unsorted.push({ line, problem: `submitted at ${submit}, before the job above it (${before})` });
      }
      before = submit;
      seen.add(id);
      jobs.push({
        ...known,
        submit: Math.round(submit),
        runSeconds: Math.min(Math.ceil(run), Math.ceil(requestedTime)),
        requestedSeconds: Math.ceil(requestedTime),
        processors: requested > 0 ? requested : allocated,
      });
    }
  }
  broken.sort((a, b) => a.line - b.line);
  return { jobs, dropped, unsorted };
}

export function largestOf(rows: readonly TraceRow[]): number {
  return rows.reduce((most, { allocated, requested }) => Math.max(most, allocated, requested), 0);
}

function whyDropped(row: TraceRow, processors: number): string | undefined {
  const { submit, run, allocated, requested, requestedTime } = row;
  if (allocated > processors) return `${allocated} processors allocated, the machine has ${processors}`;
  if (requested > processors) return `${requested} processors requested, the machine has ${processors}`;
  if (allocated <= 0 && requested <= 0) return "no processors allocated or requested";
  if (run <= 0) return `run time ${run}`;
  if (requestedTime <= 0) return `requested time ${requestedTime}`;
  if (submit < 0) return `submit time ${submit}`;
  return undefined;
}
