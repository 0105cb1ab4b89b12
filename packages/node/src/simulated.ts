import { createHash } from "node:crypto";
import {
  annotations,
  attemptOf,
  attemptPodName,
  leaseOf,
  parseIndexList,
  suspendedSeconds,
  type SuspensionReport,
  suspensionReportOf,
} from "@berth/kinds";
import type { ContainerTerminated, Lease, LeasedEnd, Pod } from "@berth/kinds";
import { isFinished, timestamp, type PodFacts } from "./pod-status.ts";

/** Runs shorter than this are told in one write, start and end together. */
export const coalesceMs = 50;

/** A pod on a simulated node: it "runs" as long as an annotation says, and nothing is started. */
export class SimulatedPod {
  readonly facts: PodFacts;
  readonly #changed: (urgency: "soon" | "now") => void;
  #pod: Pod;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  readonly #lease: Lease | undefined;
  /** Tasks of the lease that are run, in this order; the others are left. */
  #taken: number[] = [];
  #ended: LeasedEnd[] = [];
  #suspension: SuspensionReport | undefined;

  constructor(pod: Pod, changed: (urgency: "soon" | "now") => void) {
    this.#pod = pod;
    this.#changed = changed;
    const begun = pod.status?.startTime;
    const gate = pod.metadata.annotations?.[annotations.gate];
    const startedAt = begun === undefined ? Date.now() : Date.parse(begun);
    this.facts = {
      pod,
      startedAt,
      init: [],
      main: pod.spec.containers.map((container) => ({ container, restartCount: 0, running: { startedAt } })),
      gateOpen: gate === undefined ? undefined : gate !== "closed",
      suspension: () => this.#suspension,
    };
    this.#suspension = suspensionReportOf(pod.status);
    this.#lease = leaseOf(pod);
    if (this.#lease !== undefined) this.#takeTasks(this.#lease);
    if (this.facts.gateOpen === false) changed("soon");
    else this.#start();
    this.#suspendOrResume();
  }

  /** This moment, less for how long it stood still. */
  get #clock(): number {
    const now = Date.now();
    return now - suspendedSeconds(this.#suspension, now) * 1000;
  }

  #suspendOrResume(): void {
    if (this.finished || this.#stopped || this.facts.gateOpen === false) return;
    const isWanted = (this.#pod.metadata.annotations?.[annotations.suspend] ?? "") !== "";
    const before = this.#suspension;
    if (isWanted === (before?.isSuspended ?? false)) return;
    const now = Date.now();
    this.#suspension = { isSuspended: isWanted, since: timestamp(now), seconds: suspendedSeconds(before, now) };
    clearTimeout(this.#timer);
    if (!isWanted) this.#start();
    this.#changed("now");
  }

  get #taskMs(): number {
    const { annotations: stated = {} } = this.#pod.metadata;
    const wallMs = Number(stated[annotations.wallTimeSeconds] ?? Infinity) * 1000;
    return Math.min(Number(stated[annotations.simulatedRunSeconds] ?? 0) * 1000, wallMs);
  }

  /** As many as begin within the lease's time, those left out that are cancelled before their turn. */
  #takeTasks({ tasks, seconds }: Lease): void {
    const asked = this.#pod.metadata.annotations?.[annotations.cancelTasks];
    const cancelled = asked === undefined ? undefined : parseIndexList(asked);
    const begun = this.#taken.slice(0, Math.floor((this.#clock - this.facts.startedAt) / this.#taskMs) + 1);
    const most = Math.floor((seconds * 1000) / this.#taskMs) + 1;
    const rest = tasks.filter((task) => !begun.includes(task) && cancelled?.has(task) !== true);
    this.#taken = [...begun, ...rest.slice(0, Math.max(0, most - begun.length))];
    this.facts.lease = () => {
      const ended = new Set(this.#ended.map(({ task }) => task));
      const running = this.#stopped || ended.size > 0 ? undefined : this.#taken[0];
      const left = running === undefined ? tasks.filter((task) => !ended.has(task)) : [];
      return { ended: this.#ended, running, left, skipped: [] };
    };
  }

  get pod(): Pod {
    return this.#pod;
  }

  get finished(): boolean {
    return isFinished(this.facts);
  }

  update(pod: Pod): void {
    const before = this.#pod.metadata.annotations?.[annotations.wallTimeSeconds];
    this.#pod = pod;
    this.facts.pod = pod;
    if (this.facts.gateOpen === false && pod.metadata.annotations?.[annotations.gate] !== "closed") {
      this.facts.gateOpen = true;
      this.#start();
    }
    if (
      this.#lease !== undefined &&
      !this.finished &&
      pod.metadata.annotations?.[annotations.cancelTasks] !== undefined
    ) {
      clearTimeout(this.#timer);
      this.#takeTasks(this.#lease);
      this.#start();
    }
    if (pod.metadata.deletionTimestamp !== undefined) this.end("deleted");
    else if (before !== pod.metadata.annotations?.[annotations.wallTimeSeconds]) this.#wallTimeChanged();
    this.#suspendOrResume();
  }

  #wallTimeChanged(): void {
    if (this.#lease !== undefined || this.finished || this.facts.gateOpen === false) return;
    clearTimeout(this.#timer);
    this.#start();
  }

  end(stage: string): void {
    clearTimeout(this.#timer);
    if (this.finished || this.#stopped) return;
    this.#stopped = true;
    if (stage === "timelimit")
      this.facts.ended = { reason: "DeadlineExceeded", message: "the job was ended at its wall time" };
    if (this.#lease !== undefined) this.#finishLease(this.#pod.metadata.annotations ?? {}, stage);
    else this.#finish(143, 15);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #start(): void {
    if (this.#suspension?.isSuspended === true) return;
    const stated = this.#pod.metadata.annotations ?? {};
    const runMs = Number(stated[annotations.simulatedRunSeconds] ?? 0) * 1000;
    const wallMs = Number(stated[annotations.wallTimeSeconds] ?? Infinity) * 1000;
    const opened = stated[annotations.gateOpenedAt];
    const since = opened === undefined ? this.facts.startedAt : Date.parse(opened);
    const lastsMs = this.#lease === undefined ? Math.min(runMs, wallMs) : this.#taskMs * this.#taken.length;
    const leftMs = Math.max(0, since + lastsMs - this.#clock);
    if (leftMs > coalesceMs) this.#changed("soon");
    // Longer times than a timer can hold (24 days) are waited for in parts.
    const wait = (milliseconds: number): void => {
      const part = Math.min(milliseconds, 2 ** 30);
      this.#timer = setTimeout(() => {
        if (milliseconds > part) wait(milliseconds - part);
        else if (this.#lease !== undefined) this.#finishLease(stated, runMs > wallMs ? "timelimit" : undefined);
        else if (runMs > wallMs) this.end("timelimit");
        else this.#finish(this.#exitCode(stated, this.#pod.metadata.name));
      }, part);
    };
    wait(leftMs);
  }

  /** Ends the tasks whose time is over, and with `ending` the one that is under way. */
  #finishLease(stated: Record<string, string>, ending?: string): void {
    const name = attemptOf(this.#pod);
    const { startedAt } = this.facts;
    const taskMs = this.#taskMs;
    const now = this.#clock;
    for (const [at, task] of this.#taken.entries()) {
      const begunAt = startedAt + at * taskMs;
      const isCut = ending !== undefined && (ending !== "deleted" || begunAt + taskMs > now);
      if (begunAt > now && ending === "deleted") break;
      const exitCode = isCut
        ? 143
        : this.#exitCode(stated, name === undefined ? "" : attemptPodName({ ...name, task }));
      const end: LeasedEnd = { task, exitCode, startedAt: begunAt, milliseconds: Math.min(taskMs, now - begunAt) };
      this.#ended.push(isCut ? { ...end, signal: 15, ending } : end);
    }
    this.#finish(Math.max(0, ...this.#ended.map(({ exitCode }) => exitCode)));
  }

  #exitCode(stated: Record<string, string>, name: string): number {
    const ratio = Number(stated[annotations.simulatedFailureRatio] ?? 0);
    if (ratio > 0) {
      const digest = createHash("sha256").update(name).digest();
      if (digest.readUInt32BE(0) / 2 ** 32 < ratio) return 1;
    }
    return Number(stated[annotations.simulatedExitCode] ?? 0);
  }

  #finish(exitCode: number, signal?: number): void {
    const now = timestamp(Date.now());
    // What it would have taken: this process may be late.
    const message = JSON.stringify({ runMilliseconds: Math.min(this.#taskMs, this.#clock - this.facts.startedAt) });
    for (const state of this.facts.main) {
      const startedAt = timestamp(state.running?.startedAt ?? this.facts.startedAt);
      const terminated: ContainerTerminated = {
        exitCode,
        ...(signal === undefined ? {} : { signal }),
        reason: exitCode === 0 ? "Completed" : "Error",
        startedAt,
        finishedAt: now,
        message,
      };
      state.running = undefined;
      state.terminated = terminated;
    }
    // Nothing starts again on a simulated node, whatever the restart policy says.
    if (!isFinished(this.facts)) this.facts.ended = { reason: "Completed", message: "simulated" };
    this.#changed("now");
  }
}
