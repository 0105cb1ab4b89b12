/** One job of a recorded workload, cleaned. */
export interface TraceJob {
  /** Number in the trace. */
  id: number;
  /** Seconds from the start of the trace. */
  submit: number;
  runSeconds: number;
  /** Requested time: the user's estimate, and a limit. */
  requestedSeconds: number;
  /** Requested processors. */
  processors: number;
  /** As in the trace; -1 unknown. */
  user: number;
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
  /** Lines that are no job line of the format. */
  broken: TraceProblem[];
  /** Job lines that the cleaning rules leave out: jobs that never ran, or cannot fit the machine. */
  dropped: TraceProblem[];
  /** Processors of the machine: as given, else from the header (MaxProcs), else the largest job. */
  processors: number;
}

/** Most numbers of a job line that are used; the format has 18, and -1 stands for unknown. */
const usedFields = 12;

/**
 * Reads the Standard Workload Format (Feitelson; Parallel Workloads Archive). Cleaning: a row with allocated or requested
 * processors beyond the machine is dropped; where only one of the two is positive it stands for both, where none is the row is
 * dropped; so are rows with run time ≤ 0, requested time ≤ 0 or submit < 0; where requested < run, run = requested (killed at
 * its limit).
 */
export function parseTrace(text: string, options: { processors?: number } = {}): Trace {
  const header: Record<string, string> = {};
  const broken: TraceProblem[] = [];
  const dropped: TraceProblem[] = [];
  const rows: { line: number; numbers: number[] }[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "") continue;
    if (line.startsWith(";")) {
      const match = /^;+\s*([A-Za-z][\w ]*?)\s*:\s*(.*)$/.exec(line);
      if (match !== null) header[match[1]!] ??= match[2]!;
      continue;
    }
    const words = line.split(/\s+/);
    const numbers = words.map(Number);
    const bad = numbers.findIndex((number) => !Number.isFinite(number));
    if (words.length < usedFields) {
      broken.push({ line: index + 1, problem: `${words.length} fields where a job line has 18` });
    } else if (bad >= 0) {
      broken.push({ line: index + 1, problem: `field ${bad + 1} is "${words[bad]}", must be a number` });
    } else rows.push({ line: index + 1, numbers });
  }
  const largest = rows.reduce((most, { numbers }) => Math.max(most, numbers[4]!, numbers[7]!), 0);
  const processors = options.processors ?? (Number.parseInt(header["MaxProcs"] ?? "", 10) || largest);

  const jobs: TraceJob[] = [];
  const seen = new Set<number>();
  for (const { line, numbers } of rows) {
    const [id, submit, , run, allocated, , , requested, requestedTime] = numbers as [number, ...number[]];
    const user = numbers[11]!;
    const problem = whyDropped(submit!, run!, allocated!, requested!, requestedTime!, processors);
    if (problem !== undefined) dropped.push({ line, problem });
    else if (seen.has(id)) broken.push({ line, problem: `job number ${id} stands on an earlier line too` });
    else {
      seen.add(id);
      jobs.push({
        id,
        submit: Math.round(submit!),
        runSeconds: Math.min(Math.ceil(run!), Math.ceil(requestedTime!)),
        requestedSeconds: Math.ceil(requestedTime!),
        processors: requested! > 0 ? requested! : allocated!,
        user,
        line,
      });
    }
  }
  broken.sort((a, b) => a.line - b.line);
  return { jobs, header, broken, dropped, processors };
}

function whyDropped(
  submit: number,
  run: number,
  allocated: number,
  requested: number,
  requestedTime: number,
  processors: number,
): string | undefined {
  if (allocated > processors) return `${allocated} processors allocated, the machine has ${processors}`;
  if (requested > processors) return `${requested} processors requested, the machine has ${processors}`;
  if (allocated <= 0 && requested <= 0) return "no processors allocated or requested";
  if (run <= 0) return `run time ${run}`;
  if (requestedTime <= 0) return `requested time ${requestedTime}`;
  if (submit < 0) return `submit time ${submit}`;
  return undefined;
}
