/** One job of a recorded workload, cleaned. */
export interface TraceJob {
  /** Number in the trace. */
  id: number;
  /** Whole seconds from the start of the trace. */
  submit: number;
  runSeconds: number;
  /** Requested time: the user's estimate, and a limit. */
  requestedSeconds: number;
  /** Requested processors. */
  processors: number;
  /** Memory of one processor; absent: unknown. */
  memoryBytes?: number;
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
  /** Processors of the machine: as given, else from the header (MaxProcs), else the largest job. */
  processors: number;
  /** Unix time of second 0 of the trace; 0 where it is not said. */
  startTime: number;
}

/** Most numbers of a job line that are used; the format has 18, and -1 stands for unknown. */
const usedFields = 12;
const fieldNames = 18;

/** Fields of a job line by their number in the format, from 1. */
interface Row {
  line: number;
  numbers: number[];
}

/**
 * Reads the Standard Workload Format (Feitelson; Parallel Workloads Archive). Cleaning: a row with allocated or requested
 * processors beyond the machine is dropped; where only one of the two is positive it stands for both, where none is the row is
 * dropped; so are rows with run time ≤ 0, requested time ≤ 0 or submit < 0; where requested < run, run = requested (killed at
 * its limit).
 */
export function parseTrace(text: string, options: { processors?: number } = {}): Trace {
  const header: Record<string, string> = {};
  const broken: TraceProblem[] = [];
  const rows: Row[] = [];
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
      broken.push({ line: index + 1, problem: `${words.length} fields where a job line has ${fieldNames}` });
    } else if (bad >= 0) {
      broken.push({ line: index + 1, problem: `field ${bad + 1} is "${words[bad]}", must be a number` });
    } else rows.push({ line: index + 1, numbers });
  }
  const largest = rows.reduce((most, { numbers }) => Math.max(most, numbers[4]!, numbers[7]!), 0);
  const processors = options.processors ?? (Number.parseInt(header["MaxProcs"] ?? "", 10) || largest);
  const kept = clean(rows, processors, broken);
  broken.sort((a, b) => a.line - b.line);
  return {
    ...kept,
    header,
    broken,
    holes: holesOf(rows),
    processors,
    startTime: Math.max(0, Math.floor(Number(header["UnixStartTime"] ?? 0)) || 0),
  };
}

function clean(
  rows: readonly Row[],
  processors: number,
  broken: TraceProblem[],
): Pick<Trace, "jobs" | "dropped" | "unsorted"> {
  const jobs: TraceJob[] = [];
  const dropped: TraceProblem[] = [];
  const unsorted: TraceProblem[] = [];
  const seen = new Set<number>();
  let before = -Infinity;
  for (const { line, numbers } of rows) {
    const [id, submit, , run, allocated, , , requested, requestedTime] = numbers as [number, ...number[]];
    if (submit! < before) {
      unsorted.push({ line, problem: `submitted at ${submit}, before the job of the line above (${before})` });
    }
    before = submit!;
    const problem = whyDropped(submit!, run!, allocated!, requested!, requestedTime!, processors);
    if (problem !== undefined) dropped.push({ line, problem });
    else if (seen.has(id)) broken.push({ line, problem: `job number ${id} stands on an earlier line too` });
    else {
      seen.add(id);
      const memoryKilobytes = numbers[9]!;
      jobs.push({
        id,
        submit: Math.round(submit!),
        runSeconds: Math.min(Math.ceil(run!), Math.ceil(requestedTime!)),
        requestedSeconds: Math.ceil(requestedTime!),
        processors: requested! > 0 ? requested! : allocated!,
        ...(memoryKilobytes > 0 ? { memoryBytes: Math.ceil(memoryKilobytes * 1024) } : {}),
        ...named("user", numbers[11]),
        ...named("group", numbers[12]),
        ...named("queue", numbers[14]),
        line,
      });
    }
  }
  return { jobs, dropped, unsorted };
}

function named<Name extends string>(name: Name, number: number | undefined): { [_ in Name]?: string } {
  return (number === undefined || number < 0 ? {} : { [name]: String(number) }) as { [_ in Name]?: string };
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

/** Missing job numbers; and preceding jobs (field 17) that are the job itself, not there, or wait for each other in a circle. */
function holesOf(rows: readonly Row[]): TraceProblem[] {
  const holes: TraceProblem[] = [];
  const precedingOf = new Map<number, number>();
  for (const { numbers } of rows) if ((numbers[16] ?? -1) > 0) precedingOf.set(numbers[0]!, numbers[16]!);
  const ids = new Set(rows.map(({ numbers }) => numbers[0]!));
  let before: number | undefined;
  for (const { line, numbers } of rows) {
    const id = numbers[0]!;
    if (before !== undefined && id > before + 1) {
      const last = id - 1;
      holes.push({
        line,
        problem:
          last === before + 1 ? `job number ${last} is missing` : `job numbers ${before + 1} to ${last} are missing`,
      });
    }
    before = Math.max(before ?? id, id);
    const preceding = precedingOf.get(id);
    if (preceding === undefined) continue;
    if (!ids.has(preceding)) holes.push({ line, problem: `preceding job ${preceding} is not in the trace` });
    else if (inCircle(id, precedingOf))
      holes.push({ line, problem: `job ${id} waits for itself by its preceding jobs` });
  }
  return holes;
}

function inCircle(id: number, precedingOf: ReadonlyMap<number, number>): boolean {
  const passed = new Set<number>();
  for (let job = precedingOf.get(id); job !== undefined && !passed.has(job); job = precedingOf.get(job)) {
    if (job === id) return true;
    passed.add(job);
  }
  return false;
}

/** Writes jobs in the Standard Workload Format, in their order, with `header` as its comment lines. */
export function formatTrace(jobs: readonly TraceJob[], header: Readonly<Record<string, string | number>>): string {
  const head = Object.entries(header).map(([name, value]) => `; ${name}: ${value}`);
  const number = (name: string | undefined): string => (name !== undefined && /^\d+$/.test(name) ? name : "-1");
  const lines = jobs.map((job) => {
    const memory = job.memoryBytes === undefined ? -1 : Math.ceil(job.memoryBytes / 1024);
    return [
      job.id,
      job.submit,
      -1,
      job.runSeconds,
      job.processors,
      -1,
      -1,
      job.processors,
      job.requestedSeconds,
      memory,
      1,
      number(job.user),
      number(job.group),
      -1,
      number(job.queue),
      -1,
      -1,
      -1,
    ].join(" ");
  });
  return `${[...head, ...lines].join("\n")}\n`;
}
