/**
 * Ends attempts at their wall time where the node does not do it by itself: on kubelets, which know only `activeDeadlineSeconds`, and
 * that ends a job even with Berth dead.
 */
import type { Context } from "../context.ts";
import type { Attempt, WorkloadRecord } from "../model/record.ts";

/** Longer timers overflow. */
const longestMs = 2 ** 31 - 1;

export interface WallTimesParts {
  context: Context;
  /** Whether the node ends its pods by itself. */
  isEmbedded: (node: string) => boolean;
  end: (record: WorkloadRecord, attempt: Attempt) => void;
}

export class WallTimes {
  readonly #parts: WallTimesParts;
  readonly #timers = new Map<Attempt, NodeJS.Timeout>();

  constructor(parts: WallTimesParts) {
    this.#parts = parts;
    parts.context.signal.addEventListener("abort", () => this.#forgetAll(), { once: true });
  }

  /** Its wall time counts from now on; or it has another. */
  started(record: WorkloadRecord, attempt: Attempt): void {
    const { context, isEmbedded, end } = this.#parts;
    if (context.signal.aborted || attempt.startTime === undefined || attempt.state === "Ended") return;
    if (attempt.pods.every(({ node }) => isEmbedded(node))) return;
    clearTimeout(this.#timers.get(attempt));
    const dueMs = Date.parse(attempt.startTime) + attempt.wallTimeSeconds * 1000 - context.now();
    const look = (): void => {
      this.#timers.delete(attempt);
      if (dueMs > longestMs) this.started(record, attempt);
      else end(record, attempt);
    };
    this.#timers.set(attempt, setTimeout(look, Math.min(longestMs, Math.max(0, dueMs))));
  }

  /** The wall time of what runs is another. */
  changed(record: WorkloadRecord): void {
    for (const attempt of record.live.values()) if (this.#timers.has(attempt)) this.started(record, attempt);
  }

  ended(attempt: Attempt): void {
    const timer = this.#timers.get(attempt);
    if (timer === undefined) return;
    clearTimeout(timer);
    this.#timers.delete(attempt);
  }

  #forgetAll(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
