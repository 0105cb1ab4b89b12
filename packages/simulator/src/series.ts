import type { ScheduledJob } from "./metrics.ts";
import type { Simulation } from "./simulate.ts";

/** A step of time of a plot, and what was so during it, on average. */
export interface Series {
  /** Begin of the first bucket, and the length of each, in seconds of the trace. */
  from: number;
  bucketSeconds: number;
  values: number[];
}

/** Quantiles of waits, in seconds. */
export interface WaitSpread {
  name: string;
  jobs: number;
  low: number;
  median: number;
  high: number;
  /** 95 % waited no longer. */
  most: number;
}

interface FairnessLine {
  name: string;
  /** Part of the usage of all so far, faded by half each half-life. */
  share: Series;
  /** Part that its shares give it; absent: nobody has shares. */
  entitled?: number;
}

export interface ReportSeries {
  /** Part of the processors in use. */
  utilization: Series;
  /** Jobs that wait. */
  queueLength: Series;
  waitsBySize: WaitSpread[];
  waitsByAccount: WaitSpread[];
  fairness: FairnessLine[];
  /** After which usage counts half in `fairness`. */
  halfLifeSeconds: number;
  /** What `waitsByAccount` and `fairness` go by: accounts (groups of a trace) where jobs have any, else users. */
  by: "account" | "group" | "user";
}

const buckets = 300;
const most = 8;
const otherName = "others";
const defaultHalfLifeSeconds = 7 * 86_400;

/** @param halfLifeSeconds of usage in the lines of fairness */
export function reportSeries(
  simulation: Simulation,
  options: { entitled?: Readonly<Record<string, number>>; halfLifeSeconds?: number } = {},
): ReportSeries {
  const { schedule, assignments, processors } = simulation;
  const { entitled, halfLifeSeconds = defaultHalfLifeSeconds } = options;
  const span = spanOf(schedule);
  const used = new Buckets(span);
  const queued = new Buckets(span);
  for (const job of schedule) {
    for (const { start, end } of runsOf(job)) used.add(start, end, job.processors);
    let waits = job.submit;
    for (const { start, end } of runsOf(job)) {
      queued.add(waits, start, 1);
      waits = end;
    }
  }
  const hasAccounts = assignments.some(({ account }) => account !== undefined && account !== "");
  const names = assignments.map(({ account, user }) => (hasAccounts ? (account ?? "") : user) || "unknown");
  const shown = largest(schedule, names);
  const shownNames = names.map((name) => (shown.has(name) ? name : otherName));
  return {
    utilization: used.series(1 / processors),
    queueLength: queued.series(1),
    waitsBySize: spreads(
      schedule,
      (job) => sizeClass(job.processors),
      (a, b) => firstNumber(a) - firstNumber(b),
    ),
    waitsByAccount: spreads(schedule, (_, index) => shownNames[index]!, byRank([...shown, otherName])),
    fairness: fairness(schedule, shownNames, [...shown], span, { entitled, halfLifeSeconds }),
    halfLifeSeconds,
    by: hasAccounts ? simulation.accountsAre : "user",
  };
}

interface Span {
  from: number;
  bucketSeconds: number;
  count: number;
}

function spanOf(schedule: readonly ScheduledJob[]): Span {
  let from = Infinity;
  let to = -Infinity;
  for (const { submit, end } of schedule) {
    from = Math.min(from, submit);
    to = Math.max(to, end);
  }
  if (from === Infinity) return { from: 0, bucketSeconds: 1, count: 0 };
  // Whole seconds, as all times are: no edge is lost to rounding.
  const bucketSeconds = Math.max(1, Math.ceil((to - from) / buckets));
  return { from, bucketSeconds, count: Math.max(1, Math.ceil((to - from) / bucketSeconds)) };
}

/** When it was on the machine: what was cut short by preemption too. */
function runsOf(job: ScheduledJob): { start: number; end: number }[] {
  return [...(job.preempted ?? []), job];
}

/** Amounts × seconds by bucket. */
class Buckets {
  readonly #span: Span;
  readonly sums: Float64Array;

  constructor(span: Span) {
    this.#span = span;
    this.sums = new Float64Array(span.count);
  }

  add(start: number, end: number, amount: number): void {
    const { from, bucketSeconds, count } = this.#span;
    for (let at = start; at < end;) {
      const bucket = Math.min(count - 1, Math.floor((at - from) / bucketSeconds));
      const next = bucket === count - 1 ? end : Math.min(end, from + (bucket + 1) * bucketSeconds);
      this.sums[bucket]! += (next - at) * amount;
      at = next;
    }
  }

  series(factor: number): Series {
    const { from, bucketSeconds } = this.#span;
    return { from, bucketSeconds, values: [...this.sums].map((sum) => (sum * factor) / bucketSeconds) };
  }
}

/** The accounts (users) that used most; ties by name. */
function largest(schedule: readonly ScheduledJob[], names: readonly string[]): Set<string> {
  const used = new Map<string, number>();
  for (const [index, job] of schedule.entries()) {
    for (const { start, end } of runsOf(job)) {
      used.set(names[index]!, (used.get(names[index]!) ?? 0) + (end - start) * job.processors);
    }
  }
  const sorted = [...used].sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1));
  return new Set(sorted.slice(0, most).map(([name]) => name));
}

/** 1, 2, 3–4, 5–8, …: each twice the one before. */
function sizeClass(processors: number): string {
  if (processors <= 2) return String(processors);
  const power = Math.ceil(Math.log2(processors));
  return `${2 ** (power - 1) + 1}–${2 ** power}`;
}

function firstNumber(name: string): number {
  return Number.parseInt(name, 10);
}

function byRank(names: readonly string[]): (a: string, b: string) => number {
  return (a, b) => names.indexOf(a) - names.indexOf(b);
}

function spreads(
  schedule: readonly ScheduledJob[],
  nameOf: (job: ScheduledJob, index: number) => string,
  order: (a: string, b: string) => number,
): WaitSpread[] {
  const waits = new Map<string, number[]>();
  for (const [index, job] of schedule.entries()) {
    const name = nameOf(job, index);
    const known = waits.get(name);
    if (known === undefined) waits.set(name, [job.wait]);
    else known.push(job.wait);
  }
  return [...waits]
    .sort(([a], [b]) => order(a, b))
    .map(([name, list]) => {
      list.sort((a, b) => a - b);
      const at = (part: number): number => list[Math.min(list.length - 1, Math.floor(part * list.length))]!;
      return { name, jobs: list.length, low: at(0.25), median: at(0.5), high: at(0.75), most: at(0.95) };
    });
}

function fairness(
  schedule: readonly ScheduledJob[],
  names: readonly string[],
  shown: readonly string[],
  span: Span,
  options: { entitled: Readonly<Record<string, number>> | undefined; halfLifeSeconds: number },
): FairnessLine[] {
  const used = new Map<string, Buckets>();
  for (const [index, job] of schedule.entries()) {
    const name = names[index]!;
    if (!used.has(name)) used.set(name, new Buckets(span));
    for (const { start, end } of runsOf(job)) used.get(name)!.add(start, end, job.processors);
  }
  const { bucketSeconds, count, from } = span;
  const keep = 0.5 ** (bucketSeconds / options.halfLifeSeconds);
  const sums = new Map([...used.keys()].map((name) => [name, 0]));
  const lines = new Map(shown.map((name) => [name, [] as number[]]));
  for (let bucket = 0; bucket < count; bucket += 1) {
    let all = 0;
    for (const [name, buckets] of used) {
      const sum = sums.get(name)! * keep + buckets.sums[bucket]!;
      sums.set(name, sum);
      all += sum;
    }
    for (const [name, values] of lines) values.push(all === 0 ? 0 : (sums.get(name) ?? 0) / all);
  }
  return [...lines].map(([name, values]) => {
    return { name, share: { from, bucketSeconds, values }, entitled: options.entitled?.[name] };
  });
}
