/** The end of what stands still moves on with time: as if it went on now, for nobody knows when it will. */
import type { Context } from "../context.ts";
import type { Attempt, WorkloadRecord } from "../model/record.ts";

const everyMs = 60_000;

export class StandingEnds {
  readonly #context: Context;
  readonly #move: (record: WorkloadRecord, attempt: Attempt) => void;
  readonly #standing = new Map<Attempt, WorkloadRecord>();
  #timer: NodeJS.Timeout | undefined;

  /** `move`: its slot is over at another time. */
  constructor(context: Context, move: (record: WorkloadRecord, attempt: Attempt) => void) {
    this.#context = context;
    this.#move = move;
    context.signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  changed(record: WorkloadRecord, attempt: Attempt): void {
    if (attempt.suspension?.isSuspended === true) this.#standing.set(attempt, record);
    else this.#standing.delete(attempt);
    this.#wait();
  }

  ended(attempt: Attempt): void {
    this.#standing.delete(attempt);
  }

  #wait(): void {
    if (this.#standing.size === 0 || this.#timer !== undefined || this.#context.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      for (const [attempt, record] of this.#standing) this.#move(record, attempt);
      this.#wait();
    }, everyMs);
  }
}
