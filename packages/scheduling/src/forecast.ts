import { decide } from "./decide.ts";
import { preemptsAtAll } from "./preemption-rules.ts";
import { pendingTasks } from "./records.ts";
import { storeOf } from "./store.ts";
import type { ClusterStore } from "./store.ts";
import type { ExpectedStart, Forecast, ForecastOptions } from "./explanation-types.ts";
import type { ClusterState } from "./state-types.ts";
import type { Time } from "./types.ts";

const defaultStarts = 100_000;
const defaultHorizonSeconds = 365 * 86_400;
/** So many windows of reservations that come and go, with nobody running or starting: nobody ever will. */
export const mostIdleWakes = 300;
/** Where time goes on in steps, a step is this part of the time ahead, and of the mean slot. */
const stepShare = 0.05;
/** And a decision is one of no more starts, so that none takes long: the next goes on from there. */
const startsAtOnce = 500;

/**
 * When each waiting job is expected to start: plays the policy onwards on a copy of the state by the same {@link decide}, as if
 * nobody came later, every job lasted its whole slot and ended well. Without later arrivals and early ends it is exact, as far as
 * `exactStarts`. The cost is that of the decisions played, so call it off the critical path, or use {@link beginForecast}.
 */
export function forecast(state: ClusterState, now: Time, options: ForecastOptions = {}): Forecast {
  const run = beginForecast(state, now, options);
  run.advance(options.isOver);
  return run.forecast();
}

/** A forecast that is made a piece at a time, on a copy of the state as it was when it was begun. */
export interface ForecastRun {
  /** Goes on until `isOver`, asked before each decision and each piece of the copy, says true. True: there is nothing left to play. */
  advance(isOver?: () => boolean): boolean;
  /** The starts found since this was asked last. */
  take(): ExpectedStart[];
  /** What is known so far. */
  forecast(): Forecast;
}

/**
 * As {@link forecast}, for callers that have other things to do meanwhile. What the state is at the moment is taken down at once, at
 * little cost a job; the copy is made of that a piece at a time, before anything is played.
 */
export function beginForecast(state: ClusterState, now: Time, options: ForecastOptions = {}): ForecastRun {
  return new Play(storeOf(state), now, options);
}

class Play implements ForecastRun {
  readonly #copying: Generator<undefined, ClusterStore>;
  #copy: ClusterStore | undefined;
  readonly #reserved: ReadonlySet<number>;
  readonly #options: Required<Pick<ForecastOptions, "maxStarts" | "horizonSeconds" | "exactStarts">>;
  readonly #waiting = new Set<number>();
  readonly #starts: ExpectedStart[] = [];
  readonly #asOf: Time;
  #time: Time | undefined;
  #played = 0;
  /** Of all that was played. */
  #slotSeconds = 0;
  #idle = 0;
  #taken = 0;
  #isCutShort = false;
  #step = 0;
  /** Told starts that are no exact ones. */
  #isStepping = false;

  constructor(original: ClusterStore, now: Time, options: ForecastOptions) {
    const { maxStarts = defaultStarts, horizonSeconds = defaultHorizonSeconds, exactStarts = Infinity } = options;
    this.#options = { maxStarts, horizonSeconds, exactStarts };
    this.#copying = original.copying();
    this.#copying.next();
    this.#reserved = new Set([...original.plan.reserved].map(({ id }) => id));
    this.#asOf = Math.max(now, original.now);
    // Where nothing was told since the last decision, the next one is when something changes by itself.
    const { settled } = original;
    this.#time = settled === undefined || (settled.nextWake ?? Infinity) <= this.#asOf ? this.#asOf : settled.nextWake;
  }

  advance(isOver?: () => boolean): boolean {
    const { maxStarts, horizonSeconds } = this.#options;
    while (this.#copy === undefined) {
      if (isOver?.() === true) return false;
      const step = this.#copying.next();
      if (step.done === true) this.#copied(step.value);
    }
    const copy = this.#copy;
    while (this.#time !== undefined && this.#waiting.size > 0) {
      if (this.#time > this.#asOf + horizonSeconds || this.#played >= maxStarts) {
        this.#isCutShort = true;
        return true;
      }
      if (isOver?.() === true) return false;
      this.#time = this.#playAt(copy, this.#time);
    }
    return true;
  }

  #copied(copy: ClusterStore): void {
    this.#copy = copy;
    for (const job of copy.jobs.values()) if (pendingTasks(job) > 0) this.#waiting.add(job.id);
  }

  /** One decision; returns the time of the next. */
  #playAt(copy: ClusterStore, time: Time): Time | undefined {
    // What ends within half a step is taken to have ended: on the whole no start is too late.
    if (time > this.#asOf) copy.endAllUntil(time + this.#step / 2, time);
    // A victim would be all of them.
    copy.startsTogether = this.#isStepping && !preemptsAtAll(copy);
    copy.mostStarts = this.#isStepping ? startsAtOnce : Math.max(1, this.#options.exactStarts - this.#played);
    const { starts, nextWake } = decide(copy, time);
    this.#played += starts.length;
    for (const { job, startTime, endTime } of starts) {
      this.#slotSeconds += endTime - startTime;
      if (!this.#waiting.delete(job)) continue;
      const basis = this.#reserved.has(job) ? "Reserved" : this.#isStepping ? "Estimate" : "Forecast";
      this.#starts.push({ job, time: startTime, basis });
    }
    this.#idle = copy.running > 0 || starts.length > 0 ? 0 : this.#idle + 1;
    if (this.#idle > mostIdleWakes || nextWake === undefined) return undefined;
    if (this.#played < this.#options.exactStarts) return nextWake;
    if (!this.#isStepping && copy.policy.reservationDepth !== 0) copy.setPolicy({ reservationDepth: 1 });
    this.#isStepping = true;
    if (starts.length >= copy.mostStarts) return time;
    this.#step = Math.min(time - this.#asOf, this.#slotSeconds / Math.max(1, this.#played)) * stepShare;
    return Math.max(nextWake, Math.ceil(time + this.#step));
  }

  take(): ExpectedStart[] {
    const from = this.#taken;
    this.#taken = this.#starts.length;
    return this.#starts.slice(from);
  }

  forecast(): Forecast {
    const isPlayed = this.#copy !== undefined && (this.#waiting.size === 0 || this.#time === undefined);
    return { asOf: this.#asOf, starts: this.#starts.slice(), complete: isPlayed && !this.#isCutShort };
  }
}
