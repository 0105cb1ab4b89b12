/** Expected starts of those that wait without a reservation, and of jobs that are not there; off the way of decisions. */
import { forecast, foresee, type Foresight } from "@berth/scheduling";
import type { Context } from "../context.ts";
import type { WorkloadRecord } from "../model/record.ts";
import type { LiveCluster } from "./cluster.ts";
import type { JobFeed } from "./job-feed.ts";
import { waitMessage, wantsNodes } from "./messages.ts";
import { jobInput } from "./snapshot.ts";

/** A forecast is played not more often than this, and takes not more than this part of one core. */
const intervalMs = 1000;
/** The first one after a rest waits for what comes together with the change that asks for it. */
const delayMs = 200;
const costFactor = 20;
const mostStarts = 2000;
/** Decisions wait for a forecast no longer than about this; what it has not reached by then has no expected start yet. */
const budgetMs = 250;
/** With more jobs waiting than this, what would become of another is not played onwards. */
const foreseenStarts = 500;

export class Forecasts {
  readonly #cluster: LiveCluster;
  readonly #jobs: JobFeed;
  readonly #expected: (job: number, time: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #costMs = 0;
  #end = -Infinity;

  /** @param expected told of each expected start, seconds since 1970 */
  constructor(context: Context, cluster: LiveCluster, jobs: JobFeed, expected: (job: number, time: number) => void) {
    this.#cluster = cluster;
    this.#jobs = jobs;
    this.#expected = expected;
    context.signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  /** Plays the plan onwards when there has been enough rest. */
  soon(): void {
    if (this.#timer !== undefined || this.#cluster.core.counts().pendingJobs === 0) return;
    const rest = Math.max(intervalMs, this.#costMs * costFactor);
    const pause = Math.max(delayMs, this.#end + rest - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const began = performance.now();
      const { starts } = forecast(this.#cluster.core, this.#cluster.now(), {
        maxStarts: mostStarts,
        isOver: budget(budgetMs),
      });
      for (const { job, time } of starts) this.#expected(job, time);
      this.#end = performance.now();
      this.#costMs = this.#end - began;
    }, pause);
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
