/**
 * A clock for a whole cluster in one process: `Date`, `performance.now` and every timer of the process are its own, and it goes on
 * only when nothing happens any more, at once to the next timer. What takes real time (sockets, the disk, the store's thread) takes
 * none of it. So days pass in seconds, and all parts are the product's own code.
 */
import { channel } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import timers from "node:timers";
import timersPromises from "node:timers/promises";

/** Turns of the event loop without a request after which nothing happens any more: what one local socket's end writes, the other reads in the next. */
const quietTurns = 8;

interface Entry {
  time: number;
  order: number;
  run: () => void;
  timer?: VirtualTimer;
}

class VirtualTimer {
  entry: Entry | undefined;
  readonly #clock: VirtualClock;
  readonly #milliseconds: number;
  readonly #work: () => void;
  readonly #repeats: boolean;

  constructor(clock: VirtualClock, milliseconds: number, work: () => void, repeats: boolean) {
    this.#clock = clock;
    // As Node.js has it: less than 1 ms is 1 ms.
    this.#milliseconds = milliseconds >= 1 && milliseconds < 2 ** 31 ? milliseconds : 1;
    this.#work = work;
    this.#repeats = repeats;
    this.refresh();
  }

  refresh(): this {
    this.close();
    this.entry = this.#clock.at(this.#clock.now() + this.#milliseconds, () => {
      this.entry = undefined;
      if (this.#repeats) this.refresh();
      this.#work();
    });
    this.entry.timer = this;
    return this;
  }

  close(): this {
    if (this.entry !== undefined) this.#clock.remove(this.entry);
    this.entry = undefined;
    return this;
  }

  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return this.entry !== undefined;
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

export class VirtualClock implements Disposable {
  #now: number;
  #order = 0;
  readonly #requests = new Set<IncomingMessage>();
  #turnsWithoutRequest = 0;
  #queue: Entry[] = [];
  readonly #undo: (() => void)[] = [];
  readonly #immediate = setImmediate;
  readonly #realTimeout = setTimeout;

  /** Takes over the clock and timers of this process until it is disposed. @param start milliseconds since 1970 */
  constructor(start: number) {
    this.#now = start;
    this.#replaceClock(start);
    this.#replaceTimers();
    this.#countRequests();
  }

  now(): number {
    return this.#now;
  }

  /** Runs something at a time, however far off; timers of Node.js reach 24 days. */
  at(time: number, run: () => void): Entry {
    const entry: Entry = { time, order: (this.#order += 1), run };
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle]!;
      // The earliest stands last.
      if (other.time > time || (other.time === time && other.order > entry.order)) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, entry);
    return entry;
  }

  remove(entry: Entry): void {
    const at = this.#queue.indexOf(entry);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  /**
   * Lets time pass until `isOver`, which is asked whenever nothing happens. Resolves to the number of timers that ran. With
   * `patienceMs` nothing must have happened for so long in real time, for work that is no request (keys, files, threads).
   */
  async runUntil(isOver: () => boolean, patienceMs = 0): Promise<number> {
    for (let ran = 0; ;) {
      await this.#quiet();
      if (isOver()) return ran;
      if (patienceMs > 0) {
        await new Promise<void>((resolve) => this.#realTimeout(resolve, patienceMs));
        await this.#quiet();
        if (isOver()) return ran;
      }
      const next = this.#queue.at(-1);
      if (next === undefined) {
        if (patienceMs > 0) continue;
        throw new Error("nothing is left that could happen");
      }
      this.#now = Math.max(this.#now, next.time);
      while (this.#queue.length > 0 && this.#queue.at(-1)!.time <= this.#now) {
        ran += 1;
        this.#queue.pop()!.run();
      }
    }
  }

  async #quiet(): Promise<void> {
    this.#turnsWithoutRequest = 0;
    for (let turn = 0; this.#turnsWithoutRequest < quietTurns; turn += 1) {
      // While the disk is waited for, the machine is somebody else's.
      if (this.#requests.size > 0 && turn > 50) await new Promise<void>((resolve) => this.#realTimeout(resolve, 1));
      else await new Promise<void>((resolve) => this.#immediate(resolve));
      if (this.#requests.size > 0) this.#turnsWithoutRequest = 0;
      else this.#turnsWithoutRequest += 1;
    }
  }

  #replaceClock(start: number): void {
    const RealDate = Date;
    const now = (): number => this.#now;
    class VirtualDate extends RealDate {
      constructor(...given: unknown[]) {
        if (given.length === 0) super(now());
        else super(...(given as [number]));
      }
      static override now(): number {
        return now();
      }
    }
    this.#replace(globalThis, "Date", VirtualDate);
    this.#replace(performance, "now", () => this.#now - start);
  }

  #replaceTimers(): void {
    type Work = (...given: unknown[]) => void;
    const start =
      (repeats: boolean) =>
      (work: Work, milliseconds = 1, ...given: unknown[]): VirtualTimer =>
        new VirtualTimer(this, Number(milliseconds), () => work(...given), repeats);
    const stop = (timer: unknown): void => {
      if (timer instanceof VirtualTimer) timer.close();
    };
    const delay = (milliseconds = 1, value?: unknown, options: { signal?: AbortSignal } = {}): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const { signal } = options;
        const aborted = (): void => {
          timer.close();
          reject(new DOMException("The operation was aborted", "AbortError"));
        };
        const timer = new VirtualTimer(
          this,
          milliseconds,
          () => {
            signal?.removeEventListener("abort", aborted);
            resolve(value);
          },
          false,
        );
        if (signal?.aborted === true) aborted();
        else signal?.addEventListener("abort", aborted, { once: true });
      });
    for (const target of [globalThis, timers]) {
      this.#replace(target, "setTimeout", start(false));
      this.#replace(target, "setInterval", start(true));
      this.#replace(target, "clearTimeout", stop);
      this.#replace(target, "clearInterval", stop);
    }
    this.#replace(timersPromises, "setTimeout", delay);
    syncBuiltinESMExports();
    this.#undo.push(() => syncBuiltinESMExports());
  }

  /** Requests that are under way, watches left out: they never end. */
  #countRequests(): void {
    const began = ({ request }: { request: IncomingMessage }): void => {
      this.#turnsWithoutRequest = 0;
      if (/[?&]watch=(?:1|true)/.test(request.url ?? "")) return;
      this.#requests.add(request);
    };
    const ended = ({ request }: { request: IncomingMessage }): void => {
      this.#turnsWithoutRequest = 0;
      this.#requests.delete(request);
    };
    const on = (name: string, listener: (message: { request: IncomingMessage }) => void): void => {
      const subscriber = listener as (message: unknown) => void;
      channel(name).subscribe(subscriber);
      this.#undo.push(() => void channel(name).unsubscribe(subscriber));
    };
    on("http.server.request.start", began);
    on("http.server.response.finish", ended);
  }

  #replace(target: object, name: string, value: unknown): void {
    const before = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { configurable: true, enumerable: true, writable: true, value });
    this.#undo.unshift(() => {
      if (before === undefined) delete (target as Record<string, unknown>)[name];
      else Object.defineProperty(target, name, before);
    });
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo.splice(0)) undo();
    for (const { timer } of this.#queue.splice(0)) if (timer !== undefined) timer.entry = undefined;
  }
}
