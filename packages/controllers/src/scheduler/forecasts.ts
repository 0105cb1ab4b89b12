/** Expected starts of those that wait without a reservation, and of jobs that are not there; off the way of decisions. */
import {
  beginForecast,
  type ClusterState,
  type Decisions,
  type ForecastRun,
  foresee,
  type Foresight,
} from "@berth/scheduling";
import type { Context } from "../context.ts";
import type { WorkloadRecord } from "../model/record.ts";
import type { LiveCluster } from "./cluster.ts";
import type { JobFeed } from "./job-feed.ts";
import { waitMessage, wantsNodes } from "./messages.ts";
import { jobInput } from "./snapshot.ts";

/** The first one after a rest waits for what comes together with the change that asks for it. */
const delayMs = 200;
/** The next one waits at least so long, and so many times as long as the one before took: at most a quarter of one core. */
const intervalMs = 1000;
const costFactor = 3;
/** What is decided, written or asked meanwhile waits for one piece, and has a part of that time for itself before the next. */
const pieceMs = 6;
const pauseShare = 1 / 3;
/** So many starts are exact; the rest are played in steps of time. */
const exactStarts = 2000;
const mostStarts = 200_000;
/** The answer to one question waits no longer than about this. */
const budgetMs = 250;
/** With more jobs waiting than this, what would become of another is not played onwards. */
const foreseenStarts = 500;

/** What is played onwards. */
export interface Playable {
  readonly core: ClusterState;
  /** Seconds since 1970. */
  now(): number;
}

type Told = Pick<Decisions, "starts" | "waiting" | "reservations" | "unreserved">;

/**
 * The expected starts of all that waits. A forecast is made of the state as it is when it begins, a piece at a time, and goes on to
 * its end whatever changes meanwhile, so that constant change does not keep any from being told; then comes the next.
 */
export class ForecastLoop {
  readonly #cluster: Playable;
  readonly #expected: (job: number, time: number) => void;
  readonly #signal: AbortSignal;
  #run: ForecastRun | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What was decided of since the forecast began: that is newer. */
  readonly #decided = new Set<number>();
  /** Something changed since the forecast began. */
  #isOutdated = false;
  #costMs = 0;
  #end = -Infinity;

  /** @param expected told of each expected start, seconds since 1970 */
  constructor(cluster: Playable, expected: (job: number, time: number) => void, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#expected = expected;
    this.#signal = signal;
    signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  /** Whether one is being made. */
  get isPlaying(): boolean {
    return this.#run !== undefined;
  }

  /** What was decided asks for a new forecast, and is newer than the one that is being made. */
  decided({ starts, waiting, reservations, unreserved }: Told): void {
    if (this.#run !== undefined) {
      this.#isOutdated = true;
      for (const { job } of starts) this.#decided.add(job);
      for (const { job } of waiting) this.#decided.add(job);
      for (const { job } of reservations) this.#decided.add(job);
      for (const job of unreserved) this.#decided.add(job);
    } else if (this.#timer === undefined && this.#cluster.core.hasPending()) {
      const rest = Math.max(intervalMs, this.#costMs * costFactor);
      this.#in(Math.max(delayMs, this.#end + rest - performance.now()), () => this.#begin());
    }
  }

  #in(milliseconds: number, next: () => void): void {
    if (this.#signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      next();
    }, milliseconds);
  }

  #begin(): void {
    const began = performance.now();
    this.#decided.clear();
    this.#isOutdated = false;
    this.#run = beginForecast(this.#cluster.core, this.#cluster.now(), { maxStarts: mostStarts, exactStarts });
    this.#costMs = performance.now() - began;
    this.#in(this.#costMs * pauseShare, () => this.#play(this.#run!));
  }

  #play(run: ForecastRun): void {
    const began = performance.now();
    const isOver = run.advance(() => performance.now() - began > pieceMs);
    for (const { job, time } of run.take()) if (!this.#decided.has(job)) this.#expected(job, time);
    const spent = performance.now() - began;
    this.#costMs += spent;
    if (!isOver) {
      this.#in(spent * pauseShare, () => this.#play(run));
      return;
    }
    this.#run = undefined;
    this.#end = performance.now();
    if (this.#isOutdated) this.decided({ starts: [], waiting: [], reservations: [], unreserved: [] });
  }
}

export class Forecasts {
  readonly #cluster: LiveCluster;
  readonly #jobs: JobFeed;
  readonly #loop: ForecastLoop;

  /** @param expected told of each expected start, seconds since 1970 */
  constructor(context: Context, cluster: LiveCluster, jobs: JobFeed, expected: (job: number, time: number) => void) {
    this.#cluster = cluster;
    this.#jobs = jobs;
    this.#loop = new ForecastLoop(cluster, expected, context.signal);
  }

  /** After each decision. */
  decided(decisions: Decisions): void {
    this.#loop.decided(decisions);
  }

  /** When a job would start that is not there: of a record that has an id and is in no ledger. Costs about a forecast. */
  foresee(record: WorkloadRecord): Foresight & { message: string | undefined; cpus: number } {
    const job = jobInput(record, this.#jobs.contextOf(record));
    const now = this.#cluster.now();
    const { core, resources } = this.#cluster;
    const found = foresee(core, job, now, { maxStarts: foreseenStarts, isOver: budget(budgetMs) });
    const { explanation, start } = found;
    const message =
      explanation === undefined ? undefined : waitMessage(explanation, resources, now, wantsNodes(record.workload));
    const nodes = start?.nodes.flat() ?? [];
    const milliCpus =
      job.exclusive === true && start !== undefined
        ? [...new Set(nodes)].reduce((sum, name) => sum + (this.#cluster.amountsOf(name)?.["cpu"] ?? 0), 0)
        : job.podSets.reduce((sum, { count, request }) => sum + count * (request[0] ?? 0), 0);
    return { ...found, message, cpus: Math.ceil(milliCpus / 1000) };
  }
}

function budget(milliseconds: number): () => boolean {
  const end = performance.now() + milliseconds;
  return () => performance.now() > end;
}
