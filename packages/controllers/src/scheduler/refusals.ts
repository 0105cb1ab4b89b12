/**
 * Jobs whose pods the API refused. Rights, quotas and policies change without a word to who waits, so that such a job is tried again after
 * growing pauses.
 */
import { isFinal } from "@berth/kinds";
import type { Context } from "../context.ts";
import type { WorkloadRecord } from "../model/record.ts";

const firstPauseMs = 30_000;
const longestPauseMs = 600_000;

export class Refusals {
  readonly #context: Context;
  readonly #changed: (record: WorkloadRecord) => void;
  /** How often in a row each was refused. */
  readonly #times = new WeakMap<WorkloadRecord, number>();
  readonly #timers = new Map<WorkloadRecord, NodeJS.Timeout>();

  /** @param changed told of records that may be tried again */
  constructor(context: Context, changed: (record: WorkloadRecord) => void) {
    this.#context = context;
    this.#changed = changed;
    const forget = (): void => {
      for (const timer of this.#timers.values()) clearTimeout(timer);
      this.#timers.clear();
    };
    context.signal.addEventListener("abort", forget, { once: true });
  }

  refused(record: WorkloadRecord): void {
    // Of an array each task says it.
    if (this.#timers.has(record) || this.#context.signal.aborted) return;
    const times = this.#times.get(record) ?? 0;
    this.#times.set(record, times + 1);
    const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** times);
    this.#timers.set(
      record,
      setTimeout(() => this.#again(record), pause),
    );
  }

  /** One of its pods was made and began. */
  taken(record: WorkloadRecord): void {
    this.#times.delete(record);
  }

  #again(record: WorkloadRecord): void {
    this.#timers.delete(record);
    // Its owner changed it, and it was tried since.
    if (record.blocked === undefined || record.isGone || isFinal(record.phase)) return;
    record.blocked = undefined;
    this.#changed(record);
  }
}
