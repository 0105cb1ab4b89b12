import type { Time } from "./types.ts";

/** What a running job is charged, a second. */
export interface Rate {
  billing: number;
  /** By resource index. */
  amounts: readonly number[];
}

/** Usage counts half after this time; Infinity: it never decays. */
export function decayOver(seconds: number, halfLifeSeconds: number): number {
  return halfLifeSeconds === Infinity ? 1 : 2 ** (-seconds / halfLifeSeconds);
}

/** What one second's rate of 1 amounts to after so many seconds, decayed meanwhile. */
export function accrued(seconds: number, halfLifeSeconds: number): number {
  if (halfLifeSeconds === Infinity) return seconds;
  return ((1 - decayOver(seconds, halfLifeSeconds)) * halfLifeSeconds) / Math.LN2;
}

/**
 * Usage that decays while it grows: `used` follows du/dt = rate − u·ln 2 / half-life exactly, so it costs nothing while nothing
 * starts or ends. What running jobs may still use until the end of their slots is known beside it.
 */
export class Meter {
  asOf: Time = -Infinity;
  /** Billing seconds; and amount × seconds by resource. */
  used = 0;
  readonly usedAmounts: number[];
  /** Of what runs now. */
  rate = 0;
  readonly inUse: number[];
  /** Sum of rate × end of the slot. */
  #ends = 0;
  readonly #endsOfAmounts: number[];
  #runs = 0;

  constructor(width: number) {
    this.usedAmounts = Array.from({ length: width }, () => 0);
    this.inUse = this.usedAmounts.slice();
    this.#endsOfAmounts = this.usedAmounts.slice();
  }

  /** Nothing was used. Amounts may have been although nothing is charged for them (a usage factor of 0). */
  get isEmpty(): boolean {
    return this.used === 0 && this.usedAmounts.every((amount) => amount === 0);
  }

  advance(now: Time, halfLifeSeconds: number): void {
    if (now <= this.asOf) return;
    if (this.asOf > -Infinity && (this.#runs > 0 || !this.isEmpty)) {
      const seconds = now - this.asOf;
      const kept = decayOver(seconds, halfLifeSeconds);
      const grown = accrued(seconds, halfLifeSeconds);
      this.used = this.used * kept + this.rate * grown;
      const { usedAmounts, inUse } = this;
      for (let index = 0; index < inUse.length; index += 1) {
        usedAmounts[index] = usedAmounts[index]! * kept + inUse[index]! * grown;
      }
    }
    this.asOf = now;
  }

  /** A job runs from `start`, which may be past, until `end`. */
  begin({ billing, amounts }: Rate, start: Time, end: Time, now: Time, halfLifeSeconds: number): void {
    this.advance(Math.max(now, start), halfLifeSeconds);
    if (start < this.asOf) this.#add({ billing, amounts }, accrued(this.asOf - start, halfLifeSeconds));
    this.#runs += 1;
    this.#change({ billing, amounts }, 1, end);
  }

  end(rate: Rate, end: Time, now: Time, halfLifeSeconds: number): void {
    this.advance(now, halfLifeSeconds);
    this.#runs -= 1;
    this.#change(rate, -1, end);
    if (this.#runs > 0) return;
    // What rounding left.
    this.rate = 0;
    this.#ends = 0;
  }

  /** The end of a running job's slot moved by so many seconds. */
  move({ billing, amounts }: Rate, seconds: number): void {
    this.#ends += billing * seconds;
    for (let index = 0; index < this.inUse.length; index += 1) {
      this.#endsOfAmounts[index]! += (amounts[index] ?? 0) * seconds;
    }
  }

  /** Replaces usage that is over: running jobs have used `running` of what is known. */
  set(billing: number, amounts: readonly number[]): void {
    this.used = billing;
    for (let index = 0; index < this.usedAmounts.length; index += 1) this.usedAmounts[index] = amounts[index] ?? 0;
  }

  /** Billing seconds used until `now`; the meter stays as it is. */
  usedAt(now: Time, halfLifeSeconds: number): number {
    const seconds = now - this.asOf;
    if (!(seconds > 0) || seconds === Infinity) return this.used;
    if (this.used === 0 && this.rate === 0) return 0;
    return this.used * decayOver(seconds, halfLifeSeconds) + this.rate * accrued(seconds, halfLifeSeconds);
  }

  usedAmountAt(resource: number, now: Time, halfLifeSeconds: number): number {
    const seconds = now - this.asOf;
    const used = this.usedAmounts[resource]!;
    if (!(seconds > 0) || seconds === Infinity) return used;
    return used * decayOver(seconds, halfLifeSeconds) + this.inUse[resource]! * accrued(seconds, halfLifeSeconds);
  }

  /** Billing seconds that running jobs may still use. */
  promisedAt(now: Time): number {
    return this.#runs === 0 ? 0 : Math.max(0, this.#ends - this.rate * now);
  }

  promisedAmountAt(resource: number, now: Time): number {
    return this.#runs === 0 ? 0 : Math.max(0, this.#endsOfAmounts[resource]! - this.inUse[resource]! * now);
  }

  /** Usage as if another's were its own. */
  addAll(other: Meter, halfLifeSeconds: number): void {
    this.advance(other.asOf, halfLifeSeconds);
    const kept =
      this.asOf > other.asOf && other.asOf > -Infinity ? decayOver(this.asOf - other.asOf, halfLifeSeconds) : 1;
    const grown =
      this.asOf > other.asOf && other.asOf > -Infinity ? accrued(this.asOf - other.asOf, halfLifeSeconds) : 0;
    this.used += other.used * kept + other.rate * grown;
    this.rate += other.rate;
    this.#ends += other.#ends;
    this.#runs += other.#runs;
    for (let index = 0; index < this.inUse.length; index += 1) {
      this.usedAmounts[index]! += other.usedAmounts[index]! * kept + other.inUse[index]! * grown;
      this.inUse[index]! += other.inUse[index]!;
      this.#endsOfAmounts[index]! += other.#endsOfAmounts[index]!;
    }
  }

  /** Becomes equal to another. */
  copy(other: Meter): void {
    this.asOf = other.asOf;
    this.used = other.used;
    this.rate = other.rate;
    this.#ends = other.#ends;
    this.#runs = other.#runs;
    for (let index = 0; index < this.inUse.length; index += 1) {
      this.usedAmounts[index] = other.usedAmounts[index]!;
      this.inUse[index] = other.inUse[index]!;
      this.#endsOfAmounts[index] = other.#endsOfAmounts[index]!;
    }
  }

  /** Forgets what runs, not what was used. */
  stopAll(): void {
    this.rate = 0;
    this.#ends = 0;
    this.#runs = 0;
    this.inUse.fill(0);
    this.#endsOfAmounts.fill(0);
  }

  #add({ billing, amounts }: Rate, seconds: number): void {
    this.used += billing * seconds;
    for (let index = 0; index < this.usedAmounts.length; index += 1) {
      this.usedAmounts[index]! += (amounts[index] ?? 0) * seconds;
    }
  }

  #change({ billing, amounts }: Rate, sign: 1 | -1, end: Time): void {
    this.rate += sign * billing;
    this.#ends += sign * billing * end;
    for (let index = 0; index < this.inUse.length; index += 1) {
      const amount = sign * (amounts[index] ?? 0);
      this.inUse[index]! += amount;
      this.#endsOfAmounts[index]! += amount * end;
    }
  }
}
