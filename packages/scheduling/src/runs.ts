import { SchedulingError } from "./error.ts";
import type { TaskRuns } from "./types.ts";

/** A set of task indices as sorted, disjoint, inclusive runs: a million equal tasks are two numbers. */
export class RunSet {
  /** first, last, first, last, … */
  #bounds: number[] = [];
  #size = 0;

  constructor(runs: TaskRuns = []) {
    for (const [first, last] of runs) this.add(first, last);
  }

  get size(): number {
    return this.#size;
  }

  first(): number | undefined {
    return this.#bounds[0];
  }

  has(task: number): boolean {
    const index = this.#firstRunEndingAtOrAfter(task);
    return index < this.#bounds.length && this.#bounds[index]! <= task;
  }

  /** Removes and returns the lowest. */
  take(): number | undefined {
    const first = this.#bounds[0];
    if (first === undefined) return undefined;
    if (first === this.#bounds[1]!) {
      this.#bounds.shift();
      this.#bounds.shift();
    } else this.#bounds[0] = first + 1;
    this.#size -= 1;
    return first;
  }

  /** Removes and returns the lowest `count`. */
  takeLowest(count: number): [number, number][] {
    const bounds = this.#bounds;
    const taken: [number, number][] = [];
    let left = Math.min(count, this.#size);
    this.#size -= left;
    let gone = 0;
    while (left > 0) {
      const first = bounds[gone]!;
      const last = Math.min(bounds[gone + 1]!, first + left - 1);
      taken.push([first, last]);
      left -= last - first + 1;
      if (last === bounds[gone + 1]!) gone += 2;
      else bounds[gone] = last + 1;
    }
    bounds.splice(0, gone);
    return taken;
  }

  add(first: number, last = first): void {
    if (!(Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 0 && first <= last)) {
      throw new SchedulingError(`task run ${first}-${last}: the first must be an integer from 0, the last not smaller`);
    }
    const bounds = this.#bounds;
    const from = this.#firstRunEndingAtOrAfter(first - 1);
    let to = from;
    let low = first;
    let high = last;
    let swallowed = 0;
    while (to < bounds.length && bounds[to]! <= last + 1) {
      low = Math.min(low, bounds[to]!);
      high = Math.max(high, bounds[to + 1]!);
      swallowed += bounds[to + 1]! - bounds[to]! + 1;
      to += 2;
    }
    bounds.splice(from, to - from, low, high);
    this.#size += high - low + 1 - swallowed;
  }

  /** Removes what of the run is in the set; returns how many that were. */
  remove(first: number, last = first): number {
    const bounds = this.#bounds;
    const from = this.#firstRunEndingAtOrAfter(first);
    let to = from;
    const kept: number[] = [];
    let removed = 0;
    while (to < bounds.length && bounds[to]! <= last) {
      const low = bounds[to]!;
      const high = bounds[to + 1]!;
      if (low < first) kept.push(low, first - 1);
      if (high > last) kept.push(last + 1, high);
      removed += Math.min(high, last) - Math.max(low, first) + 1;
      to += 2;
    }
    if (removed > 0) bounds.splice(from, to - from, ...kept);
    this.#size -= removed;
    return removed;
  }

  /** The lowest `count`, ascending. */
  lowest(count: number): number[] {
    const result: number[] = [];
    for (let index = 0; index < this.#bounds.length; index += 2) {
      for (let task = this.#bounds[index]!; task <= this.#bounds[index + 1]!; task += 1) {
        if (result.length === count) return result;
        result.push(task);
      }
    }
    return result;
  }

  runs(): [number, number][] {
    const result: [number, number][] = [];
    for (let index = 0; index < this.#bounds.length; index += 2) {
      result.push([this.#bounds[index]!, this.#bounds[index + 1]!]);
    }
    return result;
  }

  /** What of this set is in the other too. */
  intersection(other: RunSet): RunSet {
    const result = new RunSet();
    const mine = this.#bounds;
    const theirs = other.#bounds;
    let a = 0;
    let b = 0;
    while (a < mine.length && b < theirs.length) {
      const low = Math.max(mine[a]!, theirs[b]!);
      const high = Math.min(mine[a + 1]!, theirs[b + 1]!);
      if (low <= high) result.add(low, high);
      if (mine[a + 1]! < theirs[b + 1]!) a += 2;
      else b += 2;
    }
    return result;
  }

  copy(): RunSet {
    const result = new RunSet();
    result.#bounds = this.#bounds.slice();
    result.#size = this.#size;
    return result;
  }

  /** Offset of the first run whose last is not before `task`. */
  #firstRunEndingAtOrAfter(task: number): number {
    const bounds = this.#bounds;
    let low = 0;
    let high = bounds.length >> 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bounds[2 * middle + 1]! < task) low = middle + 1;
      else high = middle;
    }
    return 2 * low;
  }
}
