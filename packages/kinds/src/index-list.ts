/**
 * Sets of array indices and their written form, as in `spec.array.indices` and `status.array`:
 * comma-separated runs `FIRST`, `FIRST-LAST` or `FIRST-LAST:STEP` (`0-4,7,9-15:2`), or, where that
 * is shorter, `bitmap:BASE64` with bit k of byte b standing for index 8b + k. An empty string is
 * the empty set.
 */
import { maximumArrayTasks } from "./constants.ts";

const bitmapPrefix = "bitmap:";

/**
 * A set of integers 0 … 999,999 that can be changed in place: one bit an index, so that a million
 * tasks cost 125 kB, membership and change cost one step, and whole-set operations 31,250.
 */
export class IndexSet {
  #words: Uint32Array;
  #size = 0;

  /** @param capacity indices below this need no growing */
  constructor(capacity = 0) {
    this.#words = new Uint32Array((capacity + 31) >>> 5);
  }

  static of(...indices: number[]): IndexSet {
    const set = new IndexSet();
    for (const index of indices) set.add(index);
    return set;
  }

  /** Number of indices in the set. */
  get size(): number {
    return this.#size;
  }

  has(index: number): boolean {
    const word = this.#words[index >>> 5];
    return word !== undefined && (word & (1 << (index & 31))) !== 0;
  }

  /** @throws RangeError where the index is not an integer from 0 to 999,999 */
  add(index: number): void {
    checkIndex(index);
    this.#reserve((index >>> 5) + 1);
    const at = index >>> 5;
    const bit = 1 << (index & 31);
    const word = this.#words[at]!;
    if ((word & bit) === 0) {
      this.#words[at] = word | bit;
      this.#size++;
    }
  }

  /** Adds first, first + step, … up to last. */
  addRange(first: number, last: number, step = 1): void {
    checkIndex(first);
    checkIndex(last);
    this.#reserve((last >>> 5) + 1);
    if (step !== 1) {
      for (let index = first; index <= last; index += step) this.add(index);
      return;
    }
    let index = first;
    while (index <= last && (index & 31) !== 0) this.add(index++);
    for (; index + 31 <= last; index += 32) {
      this.#size += 32 - bitCount(this.#words[index >>> 5]!);
      this.#words[index >>> 5] = 0xffffffff;
    }
    while (index <= last) this.add(index++);
  }

  delete(index: number): void {
    if (!this.has(index)) return;
    this.#words[index >>> 5] = this.#words[index >>> 5]! & ~(1 << (index & 31));
    this.#size--;
  }

  clone(): IndexSet {
    const copy = new IndexSet();
    copy.#words = this.#words.slice();
    copy.#size = this.#size;
    return copy;
  }

  /** Adds every index of the other set to this one. */
  addAll(other: IndexSet): void {
    this.#reserve(other.#words.length);
    this.#combine(other, (mine, theirs) => mine | theirs);
  }

  /** Takes every index of the other set out of this one. */
  deleteAll(other: IndexSet): void {
    this.#combine(other, (mine, theirs) => mine & ~theirs);
  }

  /** Keeps only the indices that are in the other set too. */
  retainAll(other: IndexSet): void {
    const length = this.#words.length;
    this.#combine(other, (mine, theirs) => mine & theirs);
    for (let at = other.#words.length; at < length; at++) {
      this.#size -= bitCount(this.#words[at]!);
      this.#words[at] = 0;
    }
  }

  union(other: IndexSet): IndexSet {
    const result = this.clone();
    result.addAll(other);
    return result;
  }

  subtract(other: IndexSet): IndexSet {
    const result = this.clone();
    result.deleteAll(other);
    return result;
  }

  intersect(other: IndexSet): IndexSet {
    const result = this.clone();
    result.retainAll(other);
    return result;
  }

  equals(other: IndexSet): boolean {
    if (this.#size !== other.#size) return false;
    const length = Math.min(this.#words.length, other.#words.length);
    // Equal sizes and equal common words leave nothing for the longer one.
    for (let at = 0; at < length; at++) if (this.#words[at] !== other.#words[at]) return false;
    return true;
  }

  /** The lowest index not below `from`, or undefined. */
  first(from = 0): number | undefined {
    if (from < 0) from = 0;
    const words = this.#words;
    let at = from >>> 5;
    if (at >= words.length) return undefined;
    let word = words[at]! & (0xffffffff << (from & 31));
    while (word === 0) {
      if (++at >= words.length) return undefined;
      word = words[at]!;
    }
    return at * 32 + (31 - Math.clz32(word & -word));
  }

  /** The lowest number not below `from` that is not in the set. */
  firstMissing(from = 0): number {
    const words = this.#words;
    let at = from >>> 5;
    if (at >= words.length) return from;
    let gaps = ~words[at]! & (0xffffffff << (from & 31));
    while (gaps === 0) {
      if (++at >= words.length) return at * 32;
      gaps = ~words[at]!;
    }
    return at * 32 + (31 - Math.clz32(gaps & -gaps));
  }

  /** The highest index, or undefined. */
  last(): number | undefined {
    for (let at = this.#words.length - 1; at >= 0; at--) {
      const word = this.#words[at]!;
      if (word !== 0) return at * 32 + 31 - Math.clz32(word);
    }
    return undefined;
  }

  /** The lowest `count` indices, ascending. */
  lowest(count: number): number[] {
    const result: number[] = [];
    for (let index = this.first(); index !== undefined && result.length < count; index = this.first(index + 1)) {
      result.push(index);
    }
    return result;
  }

  /** All indices, ascending. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let at = 0; at < this.#words.length; at++) {
      let word = this.#words[at]!;
      while (word !== 0) {
        const bit = word & -word;
        yield at * 32 + 31 - Math.clz32(bit);
        word ^= bit;
      }
    }
  }

  /** Bit k of byte b is index 8b + k; no trailing zero bytes. */
  toBitmap(): Uint8Array {
    const last = this.last();
    if (last === undefined) return new Uint8Array(0);
    const bytes = new Uint8Array((last >>> 3) + 1);
    for (let at = 0; at < bytes.length; at++) bytes[at] = this.#words[at >>> 2]! >>> ((at & 3) * 8);
    return bytes;
  }

  /** @throws RangeError where a bit stands for an index over 999,999 */
  static fromBitmap(bytes: Uint8Array): IndexSet {
    const set = new IndexSet(Math.min(bytes.length * 8, maximumArrayTasks));
    const words = set.#words;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === 0) continue;
      checkIndex(at * 8 + 31 - Math.clz32(byte));
      words[at >>> 2] = words[at >>> 2]! | (byte << ((at & 3) * 8));
      set.#size += bitCount(byte);
    }
    return set;
  }

  #reserve(words: number): void {
    if (words <= this.#words.length) return;
    const grown = new Uint32Array(Math.max(words, Math.min(this.#words.length * 2, maximumArrayTasks >>> 5)));
    grown.set(this.#words);
    this.#words = grown;
  }

  #combine(other: IndexSet, operation: (mine: number, theirs: number) => number): void {
    const length = Math.min(this.#words.length, other.#words.length);
    for (let at = 0; at < length; at++) {
      const before = this.#words[at]!;
      const after = operation(before, other.#words[at]!) >>> 0;
      if (after === before) continue;
      this.#words[at] = after;
      this.#size += bitCount(after) - bitCount(before);
    }
  }
}

/**
 * Reads a run list or a bitmap. Runs may stand in any order and overlap.
 * @throws RangeError in words: what is wrong with which run
 */
export function parseIndexList(text: string): IndexSet {
  if (text.startsWith(bitmapPrefix)) {
    const characters = atob(text.slice(bitmapPrefix.length));
    const bytes = new Uint8Array(characters.length);
    for (let at = 0; at < bytes.length; at++) bytes[at] = characters.charCodeAt(at);
    return IndexSet.fromBitmap(bytes);
  }
  const set = new IndexSet();
  if (text === "") return set;
  for (const run of text.split(",")) {
    const match = /^(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?$/.exec(run);
    if (!match) throw new RangeError(`"${run}" is not an index, FIRST-LAST or FIRST-LAST:STEP`);
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    const step = match[3] === undefined ? 1 : Number(match[3]);
    if (last < first) throw new RangeError(`"${run}" ends before it begins`);
    if (step === 0) throw new RangeError(`the step of "${run}" must be at least 1`);
    if (last >= maximumArrayTasks) {
      throw new RangeError(`"${run}": the largest index is ${maximumArrayTasks - 1}`);
    }
    set.addRange(first, last, step);
  }
  return set;
}

/**
 * The shortest run list that reading from the lowest index on finds: neighbours become `a-b`, three
 * or more of one distance `a-b:step`.
 * @param maximumLength the work stops once the text is longer; it is then not complete
 */
export function formatIndexList(set: IndexSet, maximumLength = Infinity): string {
  let text = "";
  let first = set.first();
  while (first !== undefined && text.length <= maximumLength) {
    let last = set.firstMissing(first) - 1;
    let next = set.first(last + 1);
    let step = 1;
    if (last === first && next !== undefined) {
      const distance = next - first;
      while (next !== undefined && next - last === distance) {
        last = next;
        next = set.first(last + 1);
      }
      step = distance;
      // Two that are not neighbours are no run: the second may begin a longer one.
      if (last - first === distance) {
        next = last;
        last = first;
      }
    }
    if (text !== "") text += ",";
    text += last === first ? `${first}` : step === 1 ? `${first}-${last}` : `${first}-${last}:${step}`;
    first = next;
  }
  return text;
}

/** A run list, or a bitmap where that is shorter: at most 170 kB however a million tasks ended. */
export function formatIndexListCompact(set: IndexSet): string {
  const last = set.last();
  if (last === undefined) return "";
  const bitmapLength = bitmapPrefix.length + 4 * Math.ceil(((last >>> 3) + 1) / 3);
  const runs = formatIndexList(set, bitmapLength);
  if (runs.length <= bitmapLength) return runs;
  const bytes = set.toBitmap();
  let characters = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    characters += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return bitmapPrefix + btoa(characters);
}

function checkIndex(index: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= maximumArrayTasks) {
    throw new RangeError(`${index} is not an array index: 0 to ${maximumArrayTasks - 1}`);
  }
}

function bitCount(word: number): number {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return (((word + (word >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
