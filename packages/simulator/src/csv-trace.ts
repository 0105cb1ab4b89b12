/** Workloads as tables: CSV with a line of column names, which Slurm's `sacct --parsable2` prints as well. */
import { delimiterOf, splitDelimited } from "./delimited-text.ts";
import { cleanRows, largestOf } from "./trace.ts";
import type { Trace, TraceProblem, TraceRow } from "./trace.ts";

/** Names of columns by what they say, without case, spaces, `_` and `-`; of several in a file the first here counts. */
const columnNames = {
  id: ["id", "jobidraw", "jobid", "job", "jobnumber"],
  submit: ["submit", "submittime"],
  start: ["start", "starttime"],
  end: ["end", "endtime"],
  wait: ["wait", "waittime"],
  run: ["run", "runtime", "elapsedraw", "elapsed"],
  requested: ["processors", "cpus", "reqcpus", "ncpus"],
  allocated: ["alloccpus"],
  requestedTime: ["requested", "requestedtime", "walltime"],
  limit: ["timelimitraw", "timelimit"],
  memory: ["memory", "reqmem"],
  gpus: ["gpus", "reqgpus", "ngpus"],
  requestedTres: ["reqtres"],
  allocatedTres: ["alloctres"],
  nodes: ["nodes", "reqnodes", "nnodes", "allocnodes"],
  user: ["user"],
  group: ["group"],
  account: ["account"],
  queue: ["queue", "partition"],
  qos: ["qos"],
  state: ["state"],
} as const satisfies Record<string, readonly string[]>;
type Column = keyof typeof columnNames;

/** Seconds since 1970 from which on a submission is a time of the calendar: 1973. */
const calendarFrom = 100_000_000;
/** What Slurm says of a time that is not, and others of nothing. */
const nothing = /^(|-1|unknown|none|n\/a|null|invalid)$/i;
const endless = /^(unlimited|infinite|partition_?limit)$/i;
/** What such a limit is counted as: Slurm too ends such a job after a year. */
const endlessSeconds = 365 * 86_400;
const unended =
  /^(pending|running|suspended|requeued|requeue_hold|resizing|completing|configuring|stopped|signaling)\b/i;

/** Whether the text begins with a line of column names. */
export function isCsvTrace(text: string): boolean {
  const first = firstLine(text);
  // A head is text, and no line of another format.
  const isText = /^[a-z_"' ]/i.test(first) && !/[\p{Cc}\uFFFD]/u.test(first.replaceAll("\t", " "));
  return isText && delimiterOf(first) !== undefined;
}

function firstLine(text: string): string {
  return /^\s*(.*)/.exec(text.replace(/^\uFEFF/, ""))![1]!;
}

/**
 * Reads a workload with a line of column names. Cleaning is that of {@link cleanRows}.
 * @throws RangeError in words where columns are missing without which there is no job
 */
export function parseCsvTrace(text: string, options: { processors?: number } = {}): Trace {
  const delimiter = delimiterOf(firstLine(text)) ?? ",";
  const { rows: lines, openQuoteLine } = splitDelimited(text.replace(/^\uFEFF/, ""), delimiter);
  const [head, ...body] = lines;
  const { columns, unused } = columnsOf(head?.fields ?? []);
  const broken: TraceProblem[] = [];
  const rows: TraceRow[] = [];
  for (const { line, fields } of body) {
    // A delimiter at the end of each line, as `sacct --parsable` prints, divides nothing.
    const isTooShort = fields.length < head!.fields.length;
    if (isTooShort || fields.slice(head!.fields.length).some((field) => field.trim() !== "")) {
      broken.push({ line, problem: `${fields.length} fields where the head has ${head!.fields.length}` });
      continue;
    }
    const row = rowOf(new Fields(columns, fields), line, rows.length + broken.length + 1);
    if (typeof row === "string") broken.push({ line, problem: row });
    else rows.push(row);
  }
  if (openQuoteLine !== undefined)
    broken.push({ line: openQuoteLine, problem: "a quote begins that is never closed; all after it is left out" });
  const first = rows.reduce((least, { submit }) => Math.min(least, submit), Infinity);
  const startTime = first >= calendarFrom && first < Infinity ? Math.floor(first) : 0;
  for (const row of rows) row.submit -= startTime;
  const processors = options.processors ?? largestOf(rows.filter(({ dropped }) => dropped === undefined));
  return {
    ...cleanRows(rows, processors, broken),
    header: {},
    broken,
    holes: [],
    ...(unused.length === 0 ? {} : { unused }),
    processors,
    ...(options.processors === undefined ? { isSizeGuessed: true } : {}),
    startTime,
  };
}

type Columns = Partial<Record<Column, { index: number; title: string }>>;

function columnsOf(titles: readonly string[]): { columns: Columns; unused: string[] } {
  const plain = titles.map((title) =>
    title
      .trim()
      .toLowerCase()
      .replace(/[\s_-]/g, "")
      .replace(/%\d+$/, ""),
  );
  const columns: Columns = {};
  for (const [column, names] of Object.entries(columnNames) as [Column, readonly string[]][]) {
    const name = names.find((one) => plain.includes(one));
    if (name === undefined) continue;
    const index = plain.indexOf(name);
    columns[column] = { index, title: titles[index]!.trim() };
  }
  const has = (...some: Column[]): boolean => some.every((column) => columns[column] !== undefined);
  const missing: string[] = [];
  if (!has("submit")) missing.push("when it was submitted (submit)");
  if (!has("run") && !has("start", "end") && !has("wait", "end"))
    missing.push("how long it ran (run or elapsed, or start and end)");
  if (!has("requested") && !has("allocated") && !has("requestedTres") && !has("allocatedTres"))
    missing.push("its processors (processors, ReqCPUS)");
  if (!has("requestedTime") && !has("limit")) missing.push("the time it asked for (requested, Timelimit)");
  if (missing.length > 0) {
    throw new RangeError(
      `the first line names the columns ${titles.slice(0, 30).join(", ")}; no column says of a job ${missing.join("; nor ")}. ` +
        "What is read: docs/reference/simulation.md",
    );
  }
  const known = new Set<string>(Object.values(columnNames).flat());
  return { columns, unused: titles.filter((title, index) => title.trim() !== "" && !known.has(plain[index]!)) };
}

class Fields {
  readonly #columns: Columns;
  readonly #fields: readonly string[];
  /** The first that was wrong, in words. */
  problem: string | undefined;

  constructor(columns: Columns, fields: readonly string[]) {
    this.#columns = columns;
    this.#fields = fields;
  }

  /** Undefined: there is no such column, or nothing in it. */
  text(column: Column): string | undefined {
    const at = this.#columns[column];
    const text = at === undefined ? "" : this.#fields[at.index]!.trim();
    return nothing.test(text) ? undefined : text;
  }

  read<T>(column: Column, parse: (text: string) => T | undefined, wanted: string): T | undefined {
    const text = this.text(column);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) this.problem ??= `${this.#columns[column]!.title} is "${text}", must be ${wanted}`;
    return value;
  }
}

const timeWords = "seconds, or a time such as 2026-11-01T08:00:00";
const lengthWords = "seconds, or [days-]hours:minutes:seconds";
const limitWords = "minutes, or [days-]hours:minutes:seconds";

/** The job of a line, or what is wrong with it. `number` is its own where the table has none. */
function rowOf(fields: Fields, line: number, number: number): TraceRow | string {
  const step = /^(\d+)(?:_\d+)?\.\S+$/.exec(fields.text("id") ?? "");
  const submit = fields.read("submit", timeOf, timeWords);
  if (step !== null) return rowOfStep(line, step[1]!, submit ?? 0);
  const id = fields.read("id", wholeNumber, "a whole number (of elements of arrays: JobIDRaw)") ?? number;
  const start = fields.read("start", timeOf, timeWords);
  const end = fields.read("end", timeOf, timeWords);
  const wait = fields.read("wait", lengthOf, lengthWords);
  const begin = start ?? (wait === undefined || submit === undefined ? undefined : submit + wait);
  const run = fields.read("run", lengthOf, lengthWords) ?? (end === undefined || begin === undefined ? 0 : end - begin);
  const tres = fields.read("requestedTres", tresOf, tresWords) ?? fields.read("allocatedTres", tresOf, tresWords);
  const allocated = fields.read("allocated", wholeNumber, "a whole number") ?? -1;
  const requested =
    fields.read("requested", wholeNumber, "a whole number") ?? wholeNumber(tres?.get("cpu") ?? "") ?? -1;
  const asked = fields.text("requestedTime") ?? fields.text("limit") ?? "nothing is said";
  const isUnlimited = endless.test(asked);
  const requestedTime = isUnlimited
    ? Math.max(endlessSeconds, run)
    : (fields.read("requestedTime", lengthOf, lengthWords) ?? fields.read("limit", limitOf, limitWords) ?? -1);
  const nodes = fields.read("nodes", wholeNumber, "a whole number") ?? wholeNumber(tres?.get("node") ?? "") ?? 1;
  const processors = Math.max(1, requested > 0 ? requested : allocated);
  const memory =
    fields.read("memory", (text) => memoryOf(text, processors, nodes), "bytes, or so many K, M, G or T") ??
    memoryOf(tres?.get("mem") ?? "", processors, nodes);
  const gpus = fields.read("gpus", wholeNumber, "a whole number") ?? gpusOf(tres);
  if (fields.problem !== undefined) return fields.problem;
  if (submit === undefined) return "it does not say when the job was submitted";
  const state = fields.text("state") ?? "";
  let dropped: string | undefined;
  if (unended.test(state)) dropped = `job ${id} had not ended: it was ${state}`;
  else if (run <= 0 && begin === undefined) dropped = `job ${id} never started`;
  else if (requestedTime <= 0) dropped = `job ${id} asked for no time: ${asked}`;
  return {
    id,
    submit,
    run,
    requested,
    allocated,
    requestedTime,
    ...(isUnlimited ? { isUnlimited } : {}),
    ...(memory === undefined || memory <= 0 ? {} : { memoryBytes: memory }),
    ...(gpus === 0 ? {} : { gpus }),
    ...texts(fields),
    ...(dropped === undefined ? {} : { dropped }),
    line,
  };
}

function rowOfStep(line: number, job: string, submit: number): TraceRow {
  const dropped = `a step of job ${job}, no job`;
  return { id: 0, submit, run: 0, requested: 0, allocated: 0, requestedTime: 0, dropped, line };
}

function texts(fields: Fields): Pick<TraceRow, "user" | "group" | "account" | "queue" | "qos"> {
  const names = ["user", "group", "account", "queue", "qos"] as const;
  const said = names.map((name) => [name, fields.text(name)] as const).filter(([, text]) => text !== undefined);
  return Object.fromEntries(said);
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

const tresWords = "a list such as cpu=4,mem=8G,node=1,gres/gpu=2";

/** Trackable resources by name, as Slurm writes them. */
function tresOf(text: string): Map<string, string> | undefined {
  const found = new Map<string, string>();
  for (const part of text.split(",")) {
    const match = /^([a-z]+(?:\/[^=,\s]+)?)=([^=,\s]+)$/i.exec(part.trim());
    if (match === null) return undefined;
    found.set(match[1]!.toLowerCase(), match[2]!);
  }
  return found;
}

/** All of them together; where only those of some type are told, their sum. */
function gpusOf(tres: ReadonlyMap<string, string> | undefined): number {
  const all = tres?.get("gres/gpu");
  if (all !== undefined) return wholeNumber(all) ?? 0;
  let sum = 0;
  for (const [name, count] of tres ?? []) if (name.startsWith("gres/gpu:")) sum += wholeNumber(count) ?? 0;
  return sum;
}

/** Seconds; a time of the calendar without a zone is UTC. */
function timeOf(text: string): number | undefined {
  if (/^\d{1,12}(\.\d+)?$/.test(text)) return Number(text);
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d:?\d\d)?)?$/.exec(text);
  if (match === null) return undefined;
  const [, day, time = "00:00", zone = "Z"] = match;
  const at = Date.parse(`${day}T${time}${zone.replace(/^([+-]\d\d)(\d\d)$/, "$1:$2")}`);
  return Number.isNaN(at) ? undefined : at / 1000;
}

/** Seconds of `90`, `1:30`, `01:00:00`, `2-00:00:00`. */
function lengthOf(text: string): number | undefined {
  if (/^\d{1,12}(\.\d+)?$/.test(text)) return Number(text);
  const match = /^(?:(\d{1,6})-)?(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2})(\.\d+)?$/.exec(text);
  if (match === null) return undefined;
  const [, days = 0, hours = 0, minutes, seconds] = match;
  return Number(days) * 86_400 + Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

/** As Slurm has it: a plain number is of minutes. */
function limitOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? 60 * Number(text) : lengthOf(text);
}

/** Bytes of one processor. Of the job, of a node (Slurm's `n`) or of a processor (`c`). */
function memoryOf(text: string, processors: number, nodes: number): number | undefined {
  const match = /^(\d{1,15}(?:\.\d+)?)([KMGTP]?)(?:i?B)?([nc]?)$/i.exec(text);
  if (match === null) return undefined;
  const [, amount, unit, of] = match;
  const bytes = Number(amount) * 1024 ** ["", "K", "M", "G", "T", "P"].indexOf(unit!.toUpperCase());
  const all = of === "c" ? bytes * processors : of === "n" ? bytes * nodes : bytes;
  return Math.ceil(all / processors);
}
