import type { Time } from "./types.ts";

/**
 * What of one node is free from now on: a step function of time with a vector as value. Step `j` holds from `times[j]` to
 * `times[j + 1]`, the last one for ever; its vector is `free[j * width …]`. Values may be negative where a job outlived its slot
 * into another's: nothing fits there.
 */
export class Timeline {
  width: number;
  readonly times: Time[];
  free: number[];

  constructor(capacity: readonly number[], now: Time) {
    this.width = capacity.length;
    this.times = [now];
    this.free = capacity.slice();
  }

  /** Forgets the past. */
  advance(now: Time): void {
    const { times, free, width } = this;
    if (times[0]! >= now) return;
    let gone = 0;
    while (gone + 1 < times.length && times[gone + 1]! <= now) gone += 1;
    if (gone > 0) {
      times.splice(0, gone);
      free.splice(0, gone * width);
    }
    if (times[0]! < now) times[0] = now;
  }

  /** More columns, with nothing in them. */
  widen(width: number): void {
    const free: number[] = [];
    for (let step = 0; step < this.times.length; step += 1) {
      for (let index = 0; index < width; index += 1) {
        free.push(index < this.width ? this.free[step * this.width + index]! : 0);
      }
    }
    this.free = free;
    this.width = width;
  }

  /** The least that is free of each column throughout `[start, end)`. */
  leastFree(start: Time, end: Time): number[] {
    const { times, free, width } = this;
    let step = this.stepAt(start);
    const least = free.slice(step * width, (step + 1) * width);
    for (step += 1; step < times.length && times[step]! < end; step += 1) {
      for (let index = 0; index < width; index += 1) {
        if (free[step * width + index]! < least[index]!) least[index] = free[step * width + index]!;
      }
    }
    return least;
  }

  /** Adds `sign` × `amounts` (missing ones are 0) from `start` (at the earliest: the first step) to `end` (may be Infinity). */
  add(start: Time, end: Time, amounts: readonly number[], sign: 1 | -1): void {
    const { free, width } = this;
    const begin = Math.max(start, this.times[0]!);
    if (end <= begin) return;
    const first = this.#split(begin);
    const last = end === Infinity ? this.times.length : this.#split(end);
    const columns = Math.min(width, amounts.length);
    for (let step = first; step < last; step += 1) {
      const offset = step * width;
      for (let index = 0; index < columns; index += 1) free[offset + index]! += sign * amounts[index]!;
    }
    if (last < this.times.length) this.#merge(last);
    this.#merge(first);
  }

  /** The step that holds at `time`. */
  stepAt(time: Time): number {
    return lastUntil(this.times, time);
  }

  equals(other: Timeline): boolean {
    const { times, free } = this;
    if (times.length !== other.times.length) return false;
    for (let step = 0; step < times.length; step += 1) if (times[step] !== other.times[step]) return false;
    for (let index = 0; index < free.length; index += 1) if (free[index] !== other.free[index]) return false;
    return true;
  }

  copy(): Timeline {
    const result = new Timeline(this.free.slice(0, this.width), this.times[0]!);
    for (let step = 1; step < this.times.length; step += 1) result.times.push(this.times[step]!);
    for (let index = this.width; index < this.free.length; index += 1) result.free.push(this.free[index]!);
    return result;
  }

  /** The step that begins at `time`, made if there is none. */
  #split(time: Time): number {
    const { times, free, width } = this;
    const step = this.stepAt(time);
    if (times[step] === time) return step;
    times.splice(step + 1, 0, time);
    const from = (step + 1) * width;
    for (let index = 0; index < width; index += 1) free.push(0);
    for (let index = free.length - 1; index >= from + width; index -= 1) free[index] = free[index - width]!;
    for (let index = from; index < from + width; index += 1) free[index] = free[index - width]!;
    return step + 1;
  }

  /** Joins a step with the one before it if they are equal. */
  #merge(step: number): void {
    const { times, free, width } = this;
    if (step === 0) return;
    const offset = step * width;
    for (let index = 0; index < width; index += 1) {
      if (free[offset + index] !== free[offset + index - width]) return;
    }
    times.splice(step, 1);
    free.splice(offset, width);
  }
}

/** Position of the last of ascending times that is not after `time`; 0 where all are. */
export function lastUntil(times: readonly Time[], time: Time): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle]! <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}
