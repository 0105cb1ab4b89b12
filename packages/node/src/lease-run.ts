import type { Lease, LeaseReport } from "@berth/kinds";
import { annotations, parseIndexList } from "@berth/kinds";
import type { Pod } from "@berth/kinds";
import type { LeaseState } from "./lease-state.ts";
import type { Tasks } from "./tasks.ts";

/** How often a task is looked for that is to be ended and is just beginning. */
const pressMs = 20;

/** The tasks of a lease on their way: what became of them, and which of them are to be ended. */
export class LeaseRun {
  readonly run: string;
  readonly #tasks: Tasks;
  readonly #lease: Lease;
  /** Those that no other pod had taken. */
  readonly #own: readonly number[];
  readonly #left = new Set<number>();
  readonly #cancelled = new Set<number>();
  readonly #asked = new Map<number, number>();
  #killed: { stage: string; graceSeconds: number } | undefined;
  #graceSeconds = 0;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #state: LeaseState | undefined;

  readonly #stoodStill: ((fromUptime: number, toUptime: number) => number) | undefined;

  /** `stoodStill`: seconds that its pod did from one uptime to another. */
  constructor(
    tasks: Tasks,
    run: string,
    lease: Lease,
    own: readonly number[],
    stoodStill?: (fromUptime: number, toUptime: number) => number,
  ) {
    this.#tasks = tasks;
    this.#stoodStill = stoodStill;
    this.run = run;
    this.#lease = lease;
    this.#own = own;
  }

  /** It was handed to a launcher, by this agent or another. */
  begun(): void {
    this.#state = this.#tasks.follow(this.run, this.#stoodStill);
    this.#press();
  }

  get state(): LeaseState | undefined {
    return this.#state;
  }

  /** Reads what the launcher has told since; true where that is more. */
  look(): boolean {
    return this.#state?.update() ?? false;
  }

  report(): LeaseReport {
    const own = new Set(this.#own);
    return {
      ended: this.#state?.ended ?? [],
      running: this.#state?.running,
      left: this.#lease.tasks.filter((task) => this.#left.has(task)),
      skipped: this.#lease.tasks.filter((task) => !own.has(task)),
    };
  }

  /** Single tasks may have been cancelled since. */
  update(pod: Pod, graceSeconds: number): void {
    const asked = pod.metadata.annotations?.[annotations.cancelTasks];
    if (asked === undefined) return;
    this.#graceSeconds = graceSeconds;
    const before = this.#cancelled.size;
    for (const task of parseIndexList(asked)) this.#cancelled.add(task);
    if (this.#cancelled.size > before) this.#press();
  }

  /** Ends the task that runs, and begins no other. */
  end(stage: string, graceSeconds: number): void {
    this.#killed = { stage, graceSeconds };
    this.#press();
  }

  /**
   * Nothing of it runs any more: what was not begun never will be.
   * @param isUncertain the machine was restarted, and what was told last may be lost: all that is not known to have ended is
   */
  close(isUncertain = false): number[] {
    clearTimeout(this.#timer);
    this.#isOver = true;
    this.#state?.close(isUncertain ? this.#own : []);
    for (const task of this.#own) if (this.#state?.hasEnded.has(task) !== true) this.#left.add(task);
    return [...this.#left];
  }

  #press(): void {
    clearTimeout(this.#timer);
    const state = this.#state;
    if (state === undefined || this.#isOver) return;
    const wanted = this.#killed === undefined ? this.#own.filter((task) => this.#cancelled.has(task)) : this.#own;
    if (wanted.length === 0) return;
    state.update();
    let isBeginning = false;
    for (const task of wanted) {
      if (this.#left.has(task) || state.hasEnded.has(task)) continue;
      const { stage, graceSeconds } = this.#killed ?? { stage: "cancelled", graceSeconds: this.#graceSeconds };
      if (state.running === task) {
        if ((this.#asked.get(task) ?? Infinity) <= graceSeconds) continue;
        this.#asked.set(task, graceSeconds);
        this.#tasks.endTask(this.run, task, graceSeconds, stage);
      } else if (this.#tasks.withdraw(this.run, task)) this.#left.add(task);
      else isBeginning = true;
    }
    if (isBeginning) this.#timer = setTimeout(() => this.#press(), pressMs);
  }
}
