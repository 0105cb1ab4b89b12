import type { LimitHit, StillToRun, UsageRecord } from "./account-types.ts";
import type { Accounts } from "./accounts.ts";
import type { JobClass } from "./classes.ts";
import { limitAgainst } from "./limits.ts";
import type { Party } from "./parties.ts";
import { pendingTasks, runsOf } from "./records.ts";
import type { Charge, JobRecord, Run } from "./records.ts";
import type { QueueInput, Time } from "./types.ts";
import { accrued, decayOver } from "./usage.ts";
import type { Rate } from "./usage.ts";

/** How much is left of the wall time of a running job (task); undefined: the caller does not know better than the slot tells. */
export type SecondsLeft = (job: number, task: number | undefined) => number | undefined;

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
    if (this.#counted !== version) this.recount(now);
  }

  recount(now: Time): void {
    // Users among parties are made anew: what classes know of them is forgotten.
    this.#accounts.version += 1;
    this.#counted = this.#accounts.version;
    this.#accounts.recount(this.runs(), (run) => this.#ofRun(run), now);
    for (const job of this.#jobs.values()) {
      if (job.counted === 0) continue;
      for (const party of this.#ofSubmitted(job)) party.submitted += job.counted;
    }
  }

  *runs(): IterableIterator<Run> {
    for (const job of this.#jobs.values()) yield* runsOf(job);
  }

  #ofRun(run: Run): readonly Party[] {
    return this.partiesOf(run.job.class, run.queue);
  }

  #ofSubmitted(job: JobRecord): readonly Party[] {
    return this.partiesOf(job.class, job.class.shape.input.queues[0] ?? "");
  }

  /** The number of tasks that wait and run may have changed. */
  count(job: JobRecord, now: Time, tasks = pendingTasks(job) + (job.runs?.size ?? 0)): void {
    if (tasks === job.counted) return;
    this.settle(now);
    for (const party of this.#ofSubmitted(job)) party.submitted += tasks - job.counted;
    job.counted = tasks;
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

  /** What stands still uses nothing that is billed; the amounts that it holds count on. */
  setCharged(run: Run, isCharged: boolean, now: Time): void {
    if ((run.isUnbilled !== true) === isCharged) return;
    this.settle(now);
    const parties = this.#ofRun(run);
    this.#accounts.end(run, parties, now);
    if (now > run.chargedFrom) {
      (run.chargedBefore ??= []).push({ from: run.chargedFrom, to: now, rate: run.rate });
      run.chargedFrom = now;
    }
    run.isUnbilled = !isCharged;
    const rate = this.#accounts.rateOf(run.queue, this.qosOf(run.job.class), amountsOf(run.charges, this.#width));
    run.rate = isCharged ? rate : { ...rate, billing: 0 };
    this.#accounts.begin(run, parties, now);
  }

  /** The end of the slot is about to move. */
  move(run: Run, end: Time, now: Time): void {
    this.settle(now);
    for (const { meter } of this.#ofRun(run)) meter.move(run.rate, end - run.end);
  }

  setUsage(usage: UsageRecord, now: Time): void {
    const known = Math.max(now, usage.asOf);
    this.#accounts.setUsage(usage, known, this.#charged(known));
  }

  usage(now: Time): UsageRecord[] {
    this.settle(now);
    return this.#accounts.usage(this.#charged(now), now);
  }

  /**
   * What running jobs may still use, by whose they are. `secondsLeft`: of the wall time of a run; undefined: it is reckoned from the slot.
   */
  stillToRun(now: Time, secondsLeft: SecondsLeft = () => undefined): Map<Party, StillToRun> {
    this.settle(now);
    const sums = new Map<Party, StillToRun>();
    for (const run of this.runs()) {
      const { job, task, slotEnd, rate, nodes } = run;
      const seconds = secondsLeft(job.id, task) ?? Math.max(0, slotEnd - (job.input.overheadSeconds ?? 0) - now);
      if (seconds === 0) continue;
      const nodeCount = new Set(nodes.flat()).size;
      for (const party of this.#ofRun(run)) {
        let sum = sums.get(party);
        if (sum === undefined) {
          const resourceSeconds = Array.from({ length: this.#width }, () => 0);
          sums.set(party, (sum = { resourceSeconds, nodeSeconds: 0, billingSeconds: 0 }));
        }
        sum.nodeSeconds += nodeCount * seconds;
        sum.billingSeconds += rate.billing * seconds;
        for (const [index, amount] of rate.amounts.entries()) sum.resourceSeconds[index]! += amount * seconds;
      }
    }
    return sums;
  }

  /** What of the usage that is known is that of running jobs. */
  #charged(now: Time): Map<Party, Rate> {
    const charged = new Map<Party, { billing: number; amounts: number[] }>();
    for (const run of this.runs()) {
      const { halfLifeSeconds } = this.#accounts;
      const spans = [...(run.chargedBefore ?? []), { from: run.chargedFrom, to: now, rate: run.rate }];
      for (const { from, to, rate } of spans) {
        const seconds = accrued(Math.max(0, to - from), halfLifeSeconds) * decayOver(now - to, halfLifeSeconds);
        for (const party of this.#ofRun(run)) {
          let sum = charged.get(party);
          if (sum === undefined) {
            sum = { billing: 0, amounts: Array.from({ length: this.#width }, () => 0) };
            charged.set(party, sum);
          }
          sum.billing += rate.billing * seconds;
          for (const [index, amount] of rate.amounts.entries()) sum.amounts[index]! += amount * seconds;
        }
      }
    }
    return charged;
  }

  /** A job is about to change its class: what it is counted and charged for is taken away, to be given back by {@link enter}. */
  leave(job: JobRecord, now: Time): void {
    this.count(job, now, 0);
    for (const run of runsOf(job)) this.end(run, now);
  }

  enter(job: JobRecord, now: Time): void {
    this.count(job, now);
    for (const run of runsOf(job)) {
      this.settle(now);
      // What it used so far stays with those whom it belonged to.
      run.chargedFrom = Math.max(run.start, now);
      run.chargedBefore = undefined;
      this.#accounts.begin(run, this.#ofRun(run), now);
    }
  }

  /**
   * The limit that keeps a job of the class from running in a queue now; undefined: none. `charges` and `seconds` as placed; absent:
   * the least that it may get.
   */
  limitIn(
    jobClass: JobClass,
    queue: string,
    now: Time,
    placed?: { charges: readonly Charge[]; seconds: number },
  ): LimitHit | undefined {
    if (!this.#accounts.hasLimits) return undefined;
    this.settle(now);
    const { shape } = jobClass;
    const amounts = placed === undefined ? shape.least : amountsOf(placed.charges, this.#width);
    const seconds = placed?.seconds ?? shape.minSlotSeconds;
    const wallTimeSeconds = seconds - (shape.input.overheadSeconds ?? 0);
    return limitAgainst(this.#accounts, this.partiesOf(jobClass, queue), { amounts, seconds, wallTimeSeconds }, now);
  }

  /** Whether limits say anything of the class in a queue. */
  hasLimits(jobClass: JobClass, queue: string): boolean {
    return this.#accounts.hasLimits && this.partiesOf(jobClass, queue).some(({ limits }) => limits !== undefined);
  }

  /** When usage that decays no longer speaks against the class; undefined: never, or only when something ends. */
  limitedUntil(jobClass: JobClass, { of, what, resource, limit, asked }: LimitHit, now: Time): Time | undefined {
    const { halfLifeSeconds } = this.#accounts;
    if (what !== "ResourceMinutes" || halfLifeSeconds === Infinity || asked > limit) return undefined;
    const parties = jobClass.shape.open.flatMap(({ queue }) => this.partiesOf(jobClass, queue));
    const meter = parties.find(({ holder }) => holder === of)?.meter;
    if (meter === undefined) return undefined;
    const left = (limit - asked) * 60;
    const isFree = (time: Time): boolean =>
      meter.usedAmountAt(resource!, time, halfLifeSeconds) + meter.promisedAmountAt(resource!, time) <= left;
    let [low, high] = [now, now + 1];
    while (!isFree(high)) {
      if (high - now > 1000 * halfLifeSeconds) return undefined;
      [low, high] = [high, high + 2 * (high - now)];
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (isFree(middle)) high = middle;
      else low = middle;
    }
    return high;
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
