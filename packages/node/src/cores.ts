/**
 * Cores of one node, given out whole. A pod that asks for whole cores gets its own; the others share what is left over, and
 * all of the node's where nothing is.
 */
export class CoreBinding {
  readonly all: readonly number[];
  readonly #free: Set<number>;
  readonly #held = new Map<string, number[]>();

  constructor(cores: readonly number[]) {
    this.all = cores;
    this.#free = new Set(cores);
  }

  /**
   * Cores for a pod; undefined where it asks for parts of cores or there are not so many. Asking again gives the same.
   * @param chosen those that the scheduler gave it: taken if nobody has them, else as many others
   */
  take(podUid: string, milliCpus: number, chosen?: readonly number[]): number[] | undefined {
    const known = this.#held.get(podUid);
    if (known !== undefined) return known;
    if (chosen !== undefined && chosen.length > 0 && chosen.every((core) => this.#free.has(core))) {
      this.keep(podUid, [...chosen]);
      return [...chosen];
    }
    const count = chosen === undefined ? milliCpus / 1000 : chosen.length;
    if (!Number.isInteger(count) || count < 1 || count > this.#free.size) return undefined;
    const cores = [...this.#free].sort((a, b) => a - b).slice(0, count);
    this.keep(podUid, cores);
    return cores;
  }

  /** Marks cores as a pod's: what a running pod has after a restart of the agent. */
  keep(podUid: string, cores: number[]): void {
    for (const core of cores) this.#free.delete(core);
    this.#held.set(podUid, cores);
  }

  release(podUid: string): void {
    for (const core of this.#held.get(podUid) ?? []) if (this.all.includes(core)) this.#free.add(core);
    this.#held.delete(podUid);
  }
}
