/** Writes to the API: so many at a time, each tried again until the API has answered. */
import { isPassingTrouble } from "@berth/accounting";
import { ConnectionError } from "@berth/client";
import type { Log } from "./context.ts";

const firstPauseMs = 50;
const longestPauseMs = 5000;

export interface WriterOptions {
  /** Writes under way at once; default 32. */
  concurrency?: number;
  log: Log;
  signal: AbortSignal;
}

/** True for failures that another try may mend without anything being changed: no connection, an overloaded server, a full disk, accounting that cannot be reached. */
function isPassing(error: unknown): boolean {
  return error instanceof ConnectionError || codeOf(error) === 429 || codeOf(error) >= 500 || isPassingTrouble(error);
}

/**
 * Refusals of an API server that has just begun: it serves before it has read roles, tokens and service accounts. Rights that are really
 * missing are told after some seconds.
 */
function isOfBeginning(error: unknown): boolean {
  if (codeOf(error) === 401) return true;
  return (
    codeOf(error) === 403 && /\bcannot \w+ resource\b|error looking up service account/.test((error as Error).message)
  );
}

/** With their pauses about twelve seconds. */
const triesOfBeginning = 9;

function codeOf(error: unknown): number {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "number" ? code : 0;
}

/**
 * Does it until it goes well, again after growing pauses for as long as only something that passes is in the way.
 * @throws what else is wrong; the signal's reason when that aborts
 */
export async function persist<T>(
  write: () => Promise<T>,
  { log, signal }: Pick<WriterOptions, "log" | "signal">,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    signal.throwIfAborted();
    try {
      return await write();
    } catch (error) {
      const mayPass = isPassing(error) || (failures < triesOfBeginning && isOfBeginning(error));
      if (signal.aborted || !mayPass) throw error;
      if (failures === 3) log("warn", `a write waits, and is tried again: ${(error as Error).message}`);
      await pause(Math.min(longestPauseMs, firstPauseMs * 2 ** failures), signal);
    }
  }
}

/**
 * When a write's turn comes. `Urgent` goes before all others: what makes room, and tells what happened, is not to wait for what begins.
 * `Idle` goes after them, but for every eighth turn: what nobody waits for.
 */
export type Turn = "Urgent" | "Usual" | "Idle";

/** So many turns may pass before one that is idle has its own. */
const idleEvery = 8;

export class Writer {
  readonly #options: WriterOptions;
  readonly #concurrency: number;
  #underWay = 0;
  readonly #urgent = new Line();
  readonly #usual = new Line();
  readonly #idle = new Line();
  #sinceIdle = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#concurrency = options.concurrency ?? 32;
  }

  /** Nothing waits for a slot: there is room for writes that are not urgent. */
  get isQuiet(): boolean {
    return this.queued === 0 && this.#underWay < this.#concurrency / 2;
  }

  get queued(): number {
    return this.#usual.length + this.#idle.length;
  }

  /**
   * Runs one write when its turn comes, and again after growing pauses for as long as there is no connection.
   * @param write makes the request; asked anew for each try, so that it can send what is then true
   * @throws what the API answered otherwise; the signal's reason when that aborts
   */
  async run<T>(write: () => Promise<T>, turn: Turn = "Usual"): Promise<T> {
    if (this.#underWay >= this.#concurrency) {
      const line = turn === "Urgent" ? this.#urgent : turn === "Usual" ? this.#usual : this.#idle;
      await new Promise<void>((resolve) => line.push(resolve));
    } else this.#underWay++;
    try {
      return await persist(write, this.#options);
    } finally {
      this.#release();
    }
  }

  #release(): void {
    const next = this.#next();
    if (next === undefined) this.#underWay--;
    else next();
  }

  #next(): (() => void) | undefined {
    if (this.#idle.length > 0 && ++this.#sinceIdle >= idleEvery) {
      this.#sinceIdle = 0;
      return this.#idle.shift();
    }
    return this.#urgent.shift() ?? this.#usual.shift() ?? this.#idle.shift();
  }
}

/** First come, first served, for tens of thousands: an array is shifted seldom, and its head moves. */
class Line {
  #members: (() => void)[] = [];
  #head = 0;

  get length(): number {
    return this.#members.length - this.#head;
  }

  push(member: () => void): void {
    this.#members.push(member);
  }

  shift(): (() => void) | undefined {
    if (this.length === 0) return undefined;
    const first = this.#members[this.#head++];
    if (this.#head > 1024 && this.#head * 2 > this.#members.length) {
      this.#members = this.#members.slice(this.#head);
      this.#head = 0;
    } else if (this.length === 0) {
      this.#members = [];
      this.#head = 0;
    }
    return first;
  }
}

/** Also over when the signal aborts. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end, { once: true });
  });
}
