import { decide } from "@berth/scheduling";
import type { ClusterState, JobInput, Preemption, WaitReason } from "@berth/scheduling";
import { EndQueue } from "./end-queue.ts";

export interface PlayOptions {
  /** With its nodes, queues and accounts, and no job. */
  state: ClusterState;
  /** How many jobs there are; they are known by their index. */
  jobs: number;
  /** Called once for each job, when it is submitted; its id must be the index. */
  input: (index: number) => JobInput;
  submitTime: (index: number) => number;
  runSeconds: (index: number) => number;
  /**
   * `Event`: one decision after each event, submissions before ends of the same second, as the published schedules were made.
   * `Cycle`: one decision for all events of a second, as the live loop does.
   */
  mode: "Event" | "Cycle";
  /** Why a job is refused at its submission (a limit of submitted jobs); absent: never. */
  refusal?: (job: JobInput) => string | undefined;
  /** Told after each decision how many jobs have been submitted. */
  progress?: (submitted: number) => void;
}

/** A job's time on the machine; a preempted job has several. */
interface PlayedAttempt {
  start: number;
  end: number;
  /** How it ended where not by itself. */
  preempted?: Preemption["mode"];
}

export interface Played {
  /** By job, in order of time; none: it never started. */
  attempts: PlayedAttempt[][];
  /** Jobs that were refused at submission, with why; and those that wait for ever, with their reason at the end. */
  refused: { index: number; reason: string }[];
  unstarted: { index: number; reason: WaitReason }[];
  preemptions: number;
  decisions: number;
}

/** With nothing left but the core's own wakes, so many without a start mean that nothing will start any more. */
const idleWakes = 10_000;

/**
 * Plays a workload in virtual time through the core's `decide`; there is no policy here. A preempted job keeps its place for its
 * grace, or ends by itself within it; then it waits again, with all of its run before it (`Requeue`), or with what is left
 * (`Checkpoint`), or is gone (`Cancel`), or stands still where it is until the core has it go on (`Suspend`).
 */
export function play(options: PlayOptions): Played {
  const { state, jobs, input, submitTime, runSeconds, mode, refusal, progress } = options;
  const order = Array.from({ length: jobs }, (_, index) => index);
  order.sort((a, b) => submitTime(a) - submitTime(b) || a - b);
  const attempts: PlayedAttempt[][] = Array.from({ length: jobs }, () => []);
  /** What a job that was stopped has still to run. */
  const left = new Map<number, number>();
  const stopping = new Map<number, Preemption>();
  const waiting = new Set<number>();
  const standing = new Set<number>();
  const isRunning = new Uint8Array(jobs);
  const refused: Played["refused"] = [];
  const ends = new EndQueue();
  let arrived = 0;
  let wake: number | undefined;
  let preemptions = 0;
  let decisions = 0;
  let idle = 0;

  const submit = (index: number): void => {
    const job = input(index);
    const reason = refusal?.(job);
    if (reason !== undefined) refused.push({ index, reason });
    else {
      state.addJob(job);
      waiting.add(index);
    }
  };
  /** Ends that came too late: the job was stopped before. */
  const firstEnd = (): number => {
    for (;;) {
      const end = ends.first();
      if (end === undefined) return Infinity;
      if (isRunning[end.index] === 1 && end.attempt === attempts[end.index]!.length) return end.time;
      ends.take();
    }
  };
  const endFirst = (now: number): void => {
    const { index } = ends.take();
    const attempt = attempts[index]!.at(-1)!;
    const preemption = stopping.get(index);
    stopping.delete(index);
    isRunning[index] = 0;
    attempt.end = now;
    const ranSeconds = now - attempt.start;
    const allSeconds = left.get(index) ?? runSeconds(index);
    if (preemption === undefined || ranSeconds >= allSeconds) {
      state.endJob(index, now, { ok: true });
      return;
    }
    attempt.preempted = preemption.mode;
    if (preemption.mode === "Suspend") {
      state.suspendJob(index, now);
      standing.add(index);
      left.set(index, allSeconds - ranSeconds);
      return;
    }
    const requeue = preemption.mode !== "Cancel";
    state.endJob(index, now, { ok: false, requeue });
    if (!requeue) return;
    waiting.add(index);
    if (preemption.mode !== "Requeue") left.set(index, allSeconds - ranSeconds);
  };
  const pass = (now: number): void => {
    const decided = decide(state, now);
    decisions += 1;
    for (const { job } of [...decided.resumptions, ...decided.starts]) {
      const own = attempts[job]!;
      standing.delete(job);
      own.push({ start: now, end: now + (left.get(job) ?? runSeconds(job)) });
      waiting.delete(job);
      isRunning[job] = 1;
      ends.push({ time: own.at(-1)!.end, index: job, attempt: own.length });
    }
    for (const preemption of decided.preemptions) {
      const own = attempts[preemption.job]!;
      preemptions += 1;
      stopping.set(preemption.job, preemption);
      const stop = now + preemption.graceSeconds;
      if (stop < own.at(-1)!.end) ends.push({ time: stop, index: preemption.job, attempt: own.length });
    }
    for (const job of decided.expired) {
      state.removeJob(job, now);
      waiting.delete(job);
    }
    idle = decided.starts.length === 0 ? idle + 1 : 0;
    wake = decided.nextWake;
  };

  for (;;) {
    const submission = arrived < jobs ? submitTime(order[arrived]!) : Infinity;
    const ending = firstEnd();
    const now = Math.min(submission, ending, wake ?? Infinity);
    if (now === Infinity) break;
    if (
      submission === Infinity &&
      ending === Infinity &&
      ((waiting.size === 0 && standing.size === 0) || idle > idleWakes)
    )
      break;
    if (mode === "Cycle") {
      for (; arrived < jobs && submitTime(order[arrived]!) === now; arrived += 1) submit(order[arrived]!);
      while (firstEnd() === now) endFirst(now);
    } else if (submission === now) {
      submit(order[arrived]!);
      arrived += 1;
    } else if (ending === now) endFirst(now);
    pass(now);
    progress?.(arrived);
  }
  const unstarted = [...waiting].map((index) => ({ index, reason: state.reason(index) ?? "None" }));
  return { attempts, refused, unstarted, preemptions, decisions };
}
