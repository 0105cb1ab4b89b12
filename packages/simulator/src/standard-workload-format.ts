/** The Standard Workload Format (Feitelson; Parallel Workloads Archive). */
import { cleanRows, largestOf } from "./trace.ts";
import type { Trace, TraceJob, TraceProblem, TraceRow } from "./trace.ts";

/** Most numbers of a job line that are used; the format has 18, and -1 stands for unknown. */
const usedFields = 12;
const fieldNames = 18;
/** Beyond that a number is a broken one: as seconds 30,000 years. */
const mostOfAField = 1e12;
/** Job number, and processors allocated and requested. */
const wholeFields = [1, 5, 8];

/** Fields of a job line by their number in the format, from 1. */
interface Line {
  line: number;
  numbers: number[];
}

/** Reads a workload; what its lines are cleaned by: {@link cleanRows}. */
export function parseTrace(text: string, options: { processors?: number } = {}): Trace {
  const header: Record<string, string> = {};
  const broken: TraceProblem[] = [];
  const lines: Line[] = [];
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
    const bad = numbers.findIndex((number) => !(Math.abs(number) <= mostOfAField));
    if (words.length < usedFields) {
      broken.push({ line: index + 1, problem: `${words.length} fields where a job line has ${fieldNames}` });
    } else if (bad >= 0) {
      broken.push({ line: index + 1, problem: `field ${bad + 1} is ${quoted(words[bad]!)}, must be a number` });
    } else if (wholeFields.some((field) => !Number.isSafeInteger(numbers[field - 1]))) {
      const field = wholeFields.find((one) => !Number.isSafeInteger(numbers[one - 1]))!;
      broken.push({ line: index + 1, problem: `field ${field} is "${words[field - 1]}", must be a whole number` });
    } else lines.push({ line: index + 1, numbers });
  }
  const rows = lines.map(rowOf);
  const inHeader = Number.parseInt(header["MaxProcs"] ?? "", 10);
  const said = options.processors ?? (inHeader > 0 ? inHeader : undefined);
  const processors = said ?? largestOf(rows);
  return {
    ...cleanRows(rows, processors, broken),
    header,
    broken,
    holes: holesOf(lines),
    processors,
    ...(said === undefined ? { isSizeGuessed: true } : {}),
    startTime: Math.max(0, Math.floor(Number(header["UnixStartTime"] ?? 0)) || 0),
  };
}

/** Short, and without anything that a terminal would obey. */
function quoted(word: string): string {
  return JSON.stringify(word.length <= 40 ? word : `${word.slice(0, 39)}…`).replace(
    /[\x7f-\x9f]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
}

function rowOf({ line, numbers }: Line): TraceRow {
  const [id, submit, , run, allocated, , , requested, requestedTime, memoryKilobytes] = numbers as [
    number,
    ...number[],
  ];
  return {
    id,
    submit: submit!,
    run: run!,
    allocated: allocated!,
    requested: requested!,
    requestedTime: requestedTime!,
    ...(memoryKilobytes! > 0 ? { memoryBytes: Math.ceil(memoryKilobytes! * 1024) } : {}),
    ...named("user", numbers[11]),
    ...named("group", numbers[12]),
    ...named("queue", numbers[14]),
    line,
  };
}

function named<Name extends string>(name: Name, number: number | undefined): { [_ in Name]?: string } {
  return (number === undefined || number < 0 ? {} : { [name]: String(number) }) as { [_ in Name]?: string };
}

/** Missing job numbers; and preceding jobs (field 17) that are the job itself, not there, or wait for each other in a circle. */
function holesOf(rows: readonly Line[]): TraceProblem[] {
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
