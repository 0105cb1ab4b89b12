import { mkdirSync, readFileSync, renameSync, rmSync, watch, writeFileSync, type FSWatcher } from "node:fs";
import { join } from "node:path";
import type { SuspensionReport } from "@berth/kinds";
import { bootId, uptimeSeconds } from "./host.ts";
import { timestamp } from "./pod-status.ts";
import type { TaskRecord } from "./task.ts";
import { isFull } from "./tasks.ts";
import type { Watchdog } from "./watchdog.ts";

/** A time that a pod stood still, whole seconds of uptime. */
type Span = readonly [from: number, to: number];

interface Decision {
  isStopped: boolean;
  /** Uptime, of what is stopped. */
  from: number;
  /** Grows with each, so that it is known which was followed. */
  number: number;
  boot: string;
  spans: Span[];
}

/** A run that is to stand still with its pod. */
export type StandingRun = Pick<TaskRecord, "depth" | "mark" | "freezer"> & { run: string };

const againMs = 1000;

/**
 * The pods that stand still, or did. What is wanted is one file a pod in `suspended`, written as a whole; the watchdog follows it, also
 * with no agent alive, and tells so in the pod's own folder: see shell-texts.ts.
 */
export class Suspensions {
  readonly #directory: string;
  readonly #pods: string;
  readonly #watchdog: Watchdog;

  constructor(directory: string, watchdog: Watchdog) {
    this.#directory = join(directory, "suspended");
    this.#pods = join(directory, "pods");
    this.#watchdog = watchdog;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
  }

  /** What is known of a pod, also from an earlier agent. `changed` is called when it stands, and when it goes on. */
  of(podUid: string, changed: () => void): Suspension {
    return new Suspension(join(this.#directory, podUid), join(this.#pods, podUid), this.#watchdog, changed);
  }

  forget(podUid: string): void {
    rmSync(join(this.#directory, podUid), { force: true });
  }
}

export class Suspension {
  readonly #path: string;
  readonly #folder: string;
  readonly #watchdog: Watchdog;
  readonly #changed: () => void;
  #decision: Decision | undefined;
  /** Lines of the file about what stands, or did last. */
  #runs = "";
  #told: { isSuspended: boolean; since: string } | undefined;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string, folder: string, watchdog: Watchdog, changed: () => void) {
    this.#path = path;
    this.#folder = folder;
    this.#watchdog = watchdog;
    this.#changed = changed;
    const known = read(path);
    if (known === undefined) {
      rmSync(path, { force: true });
      return;
    }
    this.#decision = known.decision;
    this.#runs = known.runs;
    if (this.#isFollowed()) this.#tell();
    else this.#wait();
  }

  /** Undefined of a pod that never stood still. */
  get report(): SuspensionReport | undefined {
    const { spans = [], isStopped } = this.#decision ?? {};
    if (this.#told === undefined) return undefined;
    // What it is asked to do and has not done is not told yet.
    const seconds = spans.reduce((sum, [from, to]) => sum + to - from, 0);
    const last = spans.at(-1);
    const isLate = this.#told.isSuspended && isStopped === false && last !== undefined;
    return { ...this.#told, seconds: isLate ? seconds - (last[1] - last[0]) : seconds };
  }

  /** Seconds that it stood still from one uptime to another. */
  between(from: number, to: number): number {
    const { spans = [], isStopped = false, from: since = 0 } = this.#decision ?? {};
    const all: Span[] = isStopped ? [...spans, [since, to]] : spans;
    return all.reduce((sum, [start, end]) => sum + Math.max(0, Math.min(end, to) - Math.max(start, from)), 0);
  }

  /** Has these runs stand still, or those that do go on. What is so already costs nothing. */
  set(isStopped: boolean, runs: readonly StandingRun[] = []): void {
    const before = this.#decision;
    if (before === undefined && !isStopped) return;
    const text = isStopped
      ? runs.map(({ run, depth, mark, freezer = "-" }) => `run ${depth} ${mark} ${freezer} ${run}\n`).join("")
      : this.#runs;
    if (before?.isStopped === isStopped && (!isStopped || text === this.#runs)) return;
    const now = uptimeSeconds();
    const spans = [...(before?.spans ?? [])];
    if (before?.isStopped === true && !isStopped) spans.push([before.from, Math.ceil(now)]);
    const from = before?.isStopped === true && isStopped ? before.from : Math.floor(now);
    const boot = bootId();
    const decision: Decision = { isStopped, from, number: (before?.number ?? 0) + 1, boot, spans };
    const told = `${firstLine(decision)}\n${text}${spans.map(([start, end]) => `span ${start} ${end}\n`).join("")}`;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      writeFileSync(`${this.#path}~`, told, { mode: 0o600 });
      renameSync(`${this.#path}~`, this.#path);
    } catch (error) {
      rmSync(`${this.#path}~`, { force: true });
      if (!isFull(error)) throw error;
      this.#timer = setTimeout(() => this.set(isStopped, runs), againMs).unref();
      return;
    }
    this.#decision = decision;
    this.#runs = text;
    this.#watchdog.wake();
    this.#wait();
  }

  /** Nothing of it runs any more. */
  finish(): void {
    this.#close();
    if (this.#decision !== undefined) this.#tell();
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Waits until the watchdog has done it. */
  #wait(): void {
    this.#close();
    const look = (): void => {
      if (!this.#isFollowed()) return;
      this.#close();
      this.#tell();
      this.#changed();
    };
    const again = (): void => {
      this.#watchdog.wake();
      look();
      if (this.#watcher !== undefined) this.#timer = setTimeout(again, againMs).unref();
    };
    this.#watcher = watch(this.#folder, { persistent: false }, look);
    this.#watcher.on("error", () => {});
    this.#timer = setTimeout(again, againMs).unref();
    look();
  }

  #isFollowed(): boolean {
    try {
      return readFileSync(join(this.#folder, "stands"), "utf8") === `${firstLine(this.#decision!)}\n`;
    } catch {
      return false;
    }
  }

  #tell(): void {
    const { isStopped, from, spans } = this.#decision!;
    if (this.#told?.isSuspended === isStopped) return;
    const at = isStopped ? from : (spans.at(-1)?.[1] ?? from);
    this.#told = { isSuspended: isStopped, since: timestamp(Date.now() - (uptimeSeconds() - at) * 1000) };
  }
}

function firstLine({ isStopped, from, number, boot }: Decision): string {
  return `${isStopped ? "stop" : "go"} ${from} ${number} ${boot}`;
}

/** Of before the machine was started anew nothing means anything. */
function read(path: string): { decision: Decision; runs: string } | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  const [first = "", ...rest] = text.trim().split("\n");
  const [wanted, from, number, boot] = first.split(" ");
  if (boot !== bootId()) return undefined;
  const spans = rest.flatMap((line): Span[] => {
    const [word, start, end] = line.split(" ");
    return word === "span" ? [[Number(start), Number(end)]] : [];
  });
  const runs = rest.flatMap((line) => (line.startsWith("run ") ? [`${line}\n`] : [])).join("");
  return { decision: { isStopped: wanted === "stop", from: Number(from), number: Number(number), boot, spans }, runs };
}
