import { createHash } from "node:crypto";
import { annotations } from "@berth/kinds";
import type { ContainerTerminated, Pod } from "@berth/kinds";
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
    };
    if (this.facts.gateOpen === false) changed("soon");
    else this.#start();
  }

  get pod(): Pod {
    return this.#pod;
  }

  get finished(): boolean {
    return isFinished(this.facts);
  }

  update(pod: Pod): void {
    this.#pod = pod;
    this.facts.pod = pod;
    if (this.facts.gateOpen === false && pod.metadata.annotations?.[annotations.gate] !== "closed") {
      this.facts.gateOpen = true;
      this.#start();
    }
    if (pod.metadata.deletionTimestamp !== undefined) this.end("deleted");
  }

  end(stage: string): void {
    clearTimeout(this.#timer);
    if (this.finished || this.#stopped) return;
    this.#stopped = true;
    if (stage === "timelimit")
      this.facts.ended = { reason: "DeadlineExceeded", message: "the job was ended at its wall time" };
    this.#finish(143, 15);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #start(): void {
    const stated = this.#pod.metadata.annotations ?? {};
    const runMs = Number(stated[annotations.simulatedRunSeconds] ?? 0) * 1000;
    const wallMs = Number(stated[annotations.wallTimeSeconds] ?? Infinity) * 1000;
    const opened = stated[annotations.gateOpenedAt];
    const since = opened === undefined ? this.facts.startedAt : Date.parse(opened);
    const leftMs = Math.max(0, since + Math.min(runMs, wallMs) - Date.now());
    if (leftMs > coalesceMs) this.#changed("soon");
    // Longer times than a timer can hold (24 days) are waited for in parts.
    const wait = (milliseconds: number): void => {
      const part = Math.min(milliseconds, 2 ** 30);
      this.#timer = setTimeout(() => {
        if (milliseconds > part) wait(milliseconds - part);
        else if (runMs > wallMs) this.end("timelimit");
        else this.#finish(this.#exitCode(stated));
      }, part);
    };
    wait(leftMs);
  }

  #exitCode(stated: Record<string, string>): number {
    const ratio = Number(stated[annotations.simulatedFailureRatio] ?? 0);
    if (ratio > 0) {
      const digest = createHash("sha256").update(this.#pod.metadata.name).digest();
      if (digest.readUInt32BE(0) / 2 ** 32 < ratio) return 1;
    }
    return Number(stated[annotations.simulatedExitCode] ?? 0);
  }

  #finish(exitCode: number, signal?: number): void {
    const now = timestamp(Date.now());
    for (const state of this.facts.main) {
      const startedAt = timestamp(state.running?.startedAt ?? this.facts.startedAt);
      const terminated: ContainerTerminated = {
        exitCode,
        ...(signal === undefined ? {} : { signal }),
        reason: exitCode === 0 ? "Completed" : "Error",
        startedAt,
        finishedAt: now,
      };
      state.running = undefined;
      state.terminated = terminated;
    }
    // Nothing starts again on a simulated node, whatever the restart policy says.
    if (!isFinished(this.facts)) this.facts.ended = { reason: "Completed", message: "simulated" };
    this.#changed("now");
  }
}
