/** Runs a task for each key that is added, a bounded number side by side; a key added while it runs, runs again. */
export class KeyedQueue<Key> {
  private readonly waiting = new Set<Key>();
  private readonly running = new Set<Key>();
  private readonly again = new Set<Key>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly failures = new Map<Key, number>();
  private scheduled = false;
  private stopped = false;
  private readonly work: (key: Key) => Promise<void>;
  private readonly failed: (key: Key, error: unknown) => void;
  private readonly concurrency: number;

  /** `failed` hears of errors; the key is tried again after a pause that grows to half a minute. */
  constructor(work: (key: Key) => Promise<void>, failed: (key: Key, error: unknown) => void, concurrency = 64) {
    this.work = work;
    this.failed = failed;
    this.concurrency = concurrency;
  }

  add(key: Key): void {
    if (this.stopped) return;
    if (this.running.has(key)) this.again.add(key);
    else this.waiting.add(key);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled || this.waiting.size === 0) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      for (const key of this.waiting) {
        if (this.running.size >= this.concurrency || this.stopped) return;
        this.waiting.delete(key);
        void this.run(key);
      }
    });
  }

  private async run(key: Key): Promise<void> {
    this.running.add(key);
    try {
      await this.work(key);
      this.failures.delete(key);
    } catch (error) {
      if (!this.stopped) {
        this.failed(key, error);
        const count = (this.failures.get(key) ?? 0) + 1;
        this.failures.set(key, count);
        const timer = setTimeout(
          () => {
            this.timers.delete(timer);
            this.add(key);
          },
          Math.min(30_000, 100 * 2 ** count),
        );
        this.timers.add(timer);
      }
    }
    this.running.delete(key);
    if (this.again.delete(key)) this.waiting.add(key);
    this.schedule();
  }

  stop(): void {
    this.stopped = true;
    this.waiting.clear();
    for (const timer of this.timers) clearTimeout(timer);
  }
}
