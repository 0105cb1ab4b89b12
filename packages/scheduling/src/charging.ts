import type { LimitHit } from "./account-types.ts";
import type { Accounts } from "./accounts.ts";
import type { JobClass } from "./classes.ts";
import { limitAgainst } from "./limits.ts";
import type { Party } from "./parties.ts";
import { pendingTasks } from "./records.ts";
import type { Charge, JobRecord, Run } from "./records.ts";
import type { QueueInput, Time } from "./types.ts";

/** Counts and charges jobs to whom they belong, as they wait, run and end. */
export class Charging {
  readonly #accounts: Accounts;
  readonly #jobs: ReadonlyMap<number, JobRecord>;
  readonly #queueOf: (name: string) => QueueInput | undefined;
  readonly #width: number;
  /** Version of the accounts that everything is counted for. */
  #counted = 0;

  constructor(
    accounts: Accounts,
    jobs: ReadonlyMap<number, JobRecord>,
    queueOf: (name: string) => QueueInput | undefined,
    width: number,
  ) {
    this.#accounts = accounts;
    this.#jobs = jobs;
    this.#queueOf = queueOf;
    this.#width = width;
  }

  /** The quality of service of a class. */
  qosOf(jobClass: JobClass): string | undefined {
    return jobClass.input.qos ?? this.#queueOf(jobClass.shape.input.queues[0] ?? "")?.qos;
  }

  /** All whose jobs those of a class are in one of its queues. */
  partiesOf(jobClass: JobClass, queue: string): readonly Party[] {
    const { version } = this.#accounts;
    if (jobClass.partiesVersion !== version) {
      jobClass.partiesVersion = version;
      jobClass.parties.clear();
    }
    let parties = jobClass.parties.get(queue);
    if (parties === undefined) {
      const { account = "", user } = jobClass.input;
      parties = this.#accounts.partiesOf({ account, user, queue, qos: this.qosOf(jobClass) });
      jobClass.parties.set(queue, parties);
    }
    return parties;
  }

  /** Counts anew where accounts, limits or usage changed since. */
  settle(now: Time): void {
    const { version } = this.#accounts;
    if (this.#counted === version) return;
    this.#counted = version;
    this.#accounts.recount(this.runs(), (run) => this.#ofRun(run), now);
    for (const job of this.#jobs.values()) {
      if (job.counted === 0) continue;
      for (const party of this.#ofPending(job)) party.pending += job.counted;
    }
  }

  *runs(): IterableIterator<Run> {
    for (const job of this.#jobs.values()) if (job.runs !== undefined) yield* job.runs.values();
  }

  #ofRun(run: Run): readonly Party[] {
    return this.partiesOf(run.job.class, run.queue);
  }

  #ofPending(job: JobRecord): readonly Party[] {
    return this.partiesOf(job.class, job.class.shape.input.queues[0] ?? "");
  }

  /** The number of tasks that wait may have changed. */
  count(job: JobRecord, now: Time, pending = pendingTasks(job)): void {
    if (pending === job.counted) return;
    this.settle(now);
    for (const party of this.#ofPending(job)) party.pending += pending - job.counted;
    job.counted = pending;
  }

  begin(run: Run, now: Time): void {
    this.settle(now);
    run.rate = this.#accounts.rateOf(run.queue, this.qosOf(run.job.class), amountsOf(run.charges, this.#width));
    this.#accounts.begin(run, this.#ofRun(run), now);
  }

  end(run: Run, now: Time): void {
    this.settle(now);
    this.#accounts.end(run, this.#ofRun(run), now);
  }

  /** The end of the slot is about to move. */
  move(run: Run, end: Time, now: Time): void {
    this.settle(now);
    for (const { meter } of this.#ofRun(run)) meter.move(run.rate, end - run.end);
  }

  /** A job is about to change its class: what it is counted and charged for is taken away, to be given back by {@link enter}. */
  leave(job: JobRecord, now: Time): void {
    this.count(job, now, 0);
    for (const run of job.runs?.values() ?? []) this.end(run, now);
  }

  enter(job: JobRecord, now: Time): void {
    this.count(job, now);
    for (const run of job.runs?.values() ?? []) {
      this.settle(now);
      // What it used so far stays with those whom it belonged to.
      this.#accounts.begin({ ...run, start: Math.max(run.start, now) }, this.#ofRun(run), now);
    }
  }

  /**
   * The limit that keeps a job of the class from running in a queue now; undefined: none. `charges` and `seconds` as placed; absent:
   * the least that it may get.
   */
  limitIn(jobClass: JobClass, queue: string, now: Time, placed?: { charges: readonly Charge[]; seconds: number }): LimitHit | undefined {
    if (!this.#accounts.hasLimits) return undefined;
    this.settle(now);
    const { shape } = jobClass;
    const amounts = placed === undefined ? shape.least : amountsOf(placed.charges, this.#width);
    const seconds = placed?.seconds ?? shape.minSlotSeconds;
    const wallTimeSeconds = seconds - (shape.input.overheadSeconds ?? 0);
    return limitAgainst(this.#accounts, this.partiesOf(jobClass, queue), { amounts, seconds, wallTimeSeconds }, now);
  }

  /** The limit that keeps the class from running in any of its queues. */
  limitOf(jobClass: JobClass, now: Time): LimitHit | undefined {
    if (!this.#accounts.hasLimits) return undefined;
    let first: LimitHit | undefined;
    for (const { queue } of jobClass.shape.open) {
      const hit = this.limitIn(jobClass, queue, now);
      if (hit === undefined) return undefined;
      first ??= hit;
    }
    return first;
  }
}

/** What the charges take of all nodes together. */
function amountsOf(charges: readonly Charge[], width: number): number[] {
  if (charges.length === 1) return charges[0]!.amounts.slice(0, width);
  const sum = Array.from({ length: width }, () => 0);
  for (const { amounts } of charges) for (let index = 0; index < width; index += 1) sum[index]! += amounts[index] ?? 0;
  return sum;
}
