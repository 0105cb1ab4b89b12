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

  /** Cores for a pod; undefined where it asks for parts of cores or there are not so many. Asking again gives the same. */
  take(podUid: string, milliCpus: number): number[] | undefined {
    const known = this.#held.get(podUid);
    if (known !== undefined) return known;
    const count = milliCpus / 1000;
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
