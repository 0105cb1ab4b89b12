import { createClusterState, decide } from "@berth/scheduling";
import type { JobInput, Policy } from "@berth/scheduling";
import { measure } from "./metrics.ts";
import type { Metrics, ScheduledJob } from "./metrics.ts";
import type { TraceJob } from "./trace.ts";

/** Names of policies, as settings of the core's knobs; there is no policy here. */
export const policies = {
  fcfs: { reservationDepth: 0, backfill: "None" },
  easy: { reservationDepth: 1, backfill: "Arrival" },
  "easy-sjbf": { reservationDepth: 1, backfill: "Shortest" },
  conservative: { reservationDepth: -1, backfill: "Arrival" },
} as const satisfies Record<string, Partial<Policy>>;
export type PolicyName = keyof typeof policies;

export interface SimulateOptions {
  /** In any order; equal submit times keep their order here. */
  jobs: readonly TraceJob[];
  /** Of the machine: one pool, as the format knows no nodes. */
  processors: number;
  policy: PolicyName;
  /** Estimates are the run times. Default false. */
  clairvoyant?: boolean;
  /**
   * `Event` (default): one decision after each event, submissions before ends of the same second, as the published schedules
   * were made. `Cycle`: one decision for all events of a second, as the live loop does.
   */
  mode?: "Event" | "Cycle";
  /** By how much a slot is longer than the estimate (grace, start allowance), as live; default 0. */
  overheadSeconds?: number;
  /** Milliseconds of a monotonic clock, for `metrics.seconds`. */
  clock?: () => number;
}

export interface Simulation {
  metrics: Metrics;
  /** In the order of the jobs given. */
  schedule: ScheduledJob[];
}

interface Ending {
  time: number;
  index: number;
}

/** Plays a recorded workload in virtual time through the core's `decide`. A job that can never fit is an error in words. */
export function simulate(options: SimulateOptions): Simulation {
  const {
    jobs,
    processors,
    clairvoyant = false,
    mode = "Event",
    overheadSeconds,
    clock = () => performance.now(),
  } = options;
  const began = clock();
  for (const job of jobs) {
    if (job.processors > processors) {
      throw new RangeError(
        `job ${job.id} (line ${job.line}) needs ${job.processors} processors, the machine has ${processors}`,
      );
    }
  }
  const state = createClusterState({
    resources: ["processors"],
    policy: { ...policies[options.policy], overdue: mode === "Event" ? "Release" : "Extend" },
  });
  state.putNode({ name: "machine", capacity: [processors], nodeClass: "", state: "Up" });
  state.putQueue({ name: "trace" });

  const order = jobs.map((_, index) => index).sort((a, b) => jobs[a]!.submit - jobs[b]!.submit || a - b);
  const starts = new Float64Array(jobs.length).fill(-1);
  const ends = new EndQueue();
  let arrived = 0;
  let wake: number | undefined;

  const pass = (now: number): void => {
    const decisions = decide(state, now);
    for (const start of decisions.starts) {
      const job = jobs[start.job]!;
      starts[start.job] = now;
      ends.push({ time: now + job.runSeconds, index: start.job });
    }
    wake = decisions.nextWake;
  };

  for (;;) {
    const submission = arrived < order.length ? jobs[order[arrived]!]!.submit : Infinity;
    const ending = ends.first()?.time ?? Infinity;
    const now = Math.min(submission, ending, wake ?? Infinity);
    if (now === Infinity) break;
    if (mode === "Cycle") {
      for (; arrived < order.length && jobs[order[arrived]!]!.submit === now; arrived += 1) {
        state.addJob(jobInput(jobs, order[arrived]!, clairvoyant, overheadSeconds));
      }
      while (ends.first()?.time === now) state.endJob(ends.take().index, now, { ok: true });
    } else if (submission === now) {
      state.addJob(jobInput(jobs, order[arrived]!, clairvoyant, overheadSeconds));
      arrived += 1;
    } else if (ending === now) state.endJob(ends.take().index, now, { ok: true });
    pass(now);
  }

  const schedule = jobs.map((job, index): ScheduledJob => {
    const start = starts[index]!;
    if (start < 0) throw new Error(`job ${job.id} (line ${job.line}) never started`);
    const { id, submit } = job;
    return { id, submit, start, end: start + job.runSeconds, wait: start - submit, processors: job.processors };
  });
  return { metrics: measure(schedule, processors, (clock() - began) / 1000), schedule };
}

function jobInput(jobs: readonly TraceJob[], index: number, clairvoyant: boolean, overheadSeconds?: number): JobInput {
  const job = jobs[index]!;
  return {
    // The place in the list, so that equal submit times keep its order.
    id: index,
    user: String(job.user),
    queues: ["trace"],
    submitTime: job.submit,
    podSets: [{ count: 1, request: [job.processors] }],
    wallTimeSeconds: clairvoyant ? job.runSeconds : job.requestedSeconds,
    overheadSeconds,
  };
}

/** Ends to come, by time, then by the order in which they were pushed. */
class EndQueue {
  readonly #heap: (Ending & { order: number })[] = [];
  #pushed = 0;

  first(): Ending | undefined {
    return this.#heap[0];
  }

  push(ending: Ending): void {
    const heap = this.#heap;
    heap.push({ ...ending, order: this.#pushed });
    this.#pushed += 1;
    let child = heap.length - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!isBefore(heap[child]!, heap[parent]!)) break;
      [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
      child = parent;
    }
  }

  take(): Ending {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    heap[0] = last;
    for (let parent = 0; ;) {
      let child = 2 * parent + 1;
      if (child >= heap.length) return top;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, heap[parent]!)) return top;
      [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
      parent = child;
    }
  }
}

function isBefore(a: Ending & { order: number }, b: Ending & { order: number }): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}
