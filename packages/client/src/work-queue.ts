import { isReason } from "./errors.ts";
import { jitter } from "./transport.ts";

export interface WorkQueueOptions<K> {
  /**
   * Does what is due for a key. Never runs twice at once for one key; a key added while it runs is run again after.
   * A returned number of milliseconds asks for another run after that time; a throw for one after a growing pause.
   */
  process(key: K, signal: AbortSignal): Promise<number | void> | number | void;
  /** Default 1. */
  concurrency?: number;
  /** Pause after the first failure of a key, doubled with each further one. Defaults 20 ms and 60 s. */
  firstDelayMs?: number;
  longestDelayMs?: number;
  /** Told of each failure but conflicts, which are an everyday reason to look again. */
  onError?(key: K, error: unknown, failures: number): void;
  signal: AbortSignal;
}

/** Keys that wait to be processed: each at most once in the queue, in order of arrival, failures with backoff. */
export class WorkQueue<K> {
  readonly #options: WorkQueueOptions<K>;
  readonly #waiting = new Set<K>();
  readonly #running = new Set<K>();
  readonly #again = new Set<K>();
  readonly #failures = new Map<K, number>();
  readonly #later = new Map<K, { at: number; timer: NodeJS.Timeout }>();
  #idle: (() => void)[] = [];
  #scheduled = false;

  constructor(options: WorkQueueOptions<K>) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  /** Waiting, running and postponed keys. */
  get size(): number {
    return this.#waiting.size + this.#running.size + this.#later.size;
  }

  add(key: K): void {
    if (this.#options.signal.aborted) return;
    const later = this.#later.get(key);
    if (later !== undefined) {
      clearTimeout(later.timer);
      this.#later.delete(key);
    }
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#schedule();
  }

  /** Adds the key after a time; of two such times the earlier holds. */
  addAfter(key: K, milliseconds: number): void {
    if (this.#options.signal.aborted) return;
    const at = Date.now() + milliseconds;
    const known = this.#later.get(key);
    if (known !== undefined && known.at <= at) return;
    clearTimeout(known?.timer);
    const timer = setTimeout(() => {
      this.#later.delete(key);
      this.add(key);
    }, milliseconds);
    this.#later.set(key, { at, timer });
  }

  /** Resolves when nothing waits, runs or is postponed. */
  async idle(): Promise<void> {
    if (this.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // All changes of one tick are one pass.
    setImmediate(() => {
      this.#scheduled = false;
      this.#fill();
    });
  }

  #fill(): void {
    const concurrency = this.#options.concurrency ?? 1;
    for (const key of this.#waiting) {
      if (this.#running.size >= concurrency || this.#options.signal.aborted) return;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#process(key);
    }
  }

  async #process(key: K): Promise<void> {
    const { process, signal } = this.#options;
    try {
      const after = await process(key, signal);
      this.#failures.delete(key);
      if (typeof after === "number") this.addAfter(key, after);
    } catch (error) {
      if (!signal.aborted) this.#retry(key, error);
    }
    this.#running.delete(key);
    if (this.#again.delete(key)) this.add(key);
    if (this.#waiting.size > 0) this.#schedule();
    this.#tellIdle();
  }

  #retry(key: K, error: unknown): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    if (!isReason(error, "Conflict")) this.#options.onError?.(key, error, failures);
    const { firstDelayMs = 20, longestDelayMs = 60_000 } = this.#options;
    this.addAfter(key, jitter(Math.min(longestDelayMs, firstDelayMs * 2 ** (failures - 1))));
  }

  #tellIdle(): void {
    if (this.size > 0) return;
    const waiters = this.#idle;
    this.#idle = [];
    for (const resolve of waiters) resolve();
  }

  #stop(): void {
    for (const { timer } of this.#later.values()) clearTimeout(timer);
    this.#later.clear();
    this.#waiting.clear();
    this.#again.clear();
    this.#tellIdle();
  }
}
