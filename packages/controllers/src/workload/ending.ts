/** What the end of a task, or that it was not begun, does to the record of its Workload. */
import type { FinalPhase } from "@berth/kinds";
import type { AttemptEnd } from "../model/ends.ts";
import { type Attempt, type EndedAttempt, nodeFailuresOf, type WorkloadRecord } from "../model/record.ts";
import { defaultRequeueLimit } from "@berth/kinds";

export interface EndingEvents {
  /** Its place is free; the task waits again where `requeue` says so. */
  ended(record: WorkloadRecord, ended: EndedAttempt, attempt: Attempt): void;
  /** They were decided to start, did not begin, and wait again: that was no attempt. */
  takenBack(record: WorkloadRecord, tasks: readonly number[], why: string | undefined): void;
}

/** Whether another attempt than this carries the task too, which tells what becomes of it. */
export function isHeldElsewhere(record: WorkloadRecord, attempt: Attempt, task: number): boolean {
  if (!record.overlaps) return false;
  for (const other of record.live.values()) {
    if (other === attempt) continue;
    if (other.lease === undefined ? other.task === task : other.lease.open.has(task)) return true;
  }
  return false;
}

/** The attempt of one task is over. Of an array: if it was not told before, by another pod that had the task too. */
export function endTask(
  events: EndingEvents,
  record: WorkloadRecord,
  attempt: Attempt,
  task: number,
  end: AttemptEnd,
): void {
  const { book } = record;
  if (book !== undefined && !book.isHeld(task)) return;
  const { requeue: asked } = record.workload.spec;
  const requeue =
    end.phase === "Preempted"
      ? attempt.preemption?.mode !== "Cancel" && asked?.onPreemption !== false
      : end.phase === "NodeFailed" &&
        asked?.onNodeFailure !== false &&
        nodeFailuresOf(record, task) < (asked?.limit ?? defaultRequeueLimit);
  const { number, pods, startTime } = attempt;
  const ended: EndedAttempt = { task, number, end, startTime, nodes: pods.map(({ node }) => node), requeue };
  record.toAccount.push(ended);
  const isFailure = requeue && end.phase === "NodeFailed";
  if (book === undefined) {
    record.endedAttempts = number;
    if (requeue) {
      record.restarts++;
      if (isFailure) record.nodeFailures++;
      record.startTime = undefined;
    }
    record.phase = requeue ? "Pending" : end.phase;
    record.exitCode = end.exitCode;
    record.signal = end.signal;
  } else if (requeue) book.requeue(task, isFailure);
  else {
    book.end(task, end.phase);
    record.exitCode = Math.max(record.exitCode, end.exitCode);
    record.signal = Math.max(record.signal, end.signal);
  }
  events.ended(record, ended, attempt);
}

/** Tasks of a lease that were not begun, and will not be by its pod: they wait again, or end where they were cancelled. */
export function leaveTasks(
  events: EndingEvents,
  record: WorkloadRecord,
  attempt: Attempt,
  tasks: readonly number[],
): void {
  const book = record.book!;
  const open = tasks.filter((task) => book.isHeld(task) && !isHeldElsewhere(record, attempt, task));
  // What made room before it began has lost nothing.
  const isStopped = attempt.stopped !== undefined && attempt.stopped !== "Preempted";
  const phase: FinalPhase = isStopped ? attempt.stopped! : "Cancelled";
  const isOver = (task: number): boolean => isStopped || attempt.lease?.cancelled?.has(task) === true;
  const [over, waiting] = [open.filter(isOver), open.filter((task) => !isOver(task))];
  for (const task of waiting) book.takeBack(task);
  if (waiting.length > 0) events.takenBack(record, waiting, undefined);
  if (over.length === 0) return;
  for (const task of over) {
    book.end(task, phase);
    const end: AttemptEnd = { phase, exitCode: 0, signal: 0 };
    events.ended(record, { task, number: attempt.number, end, nodes: [], requeue: false }, attempt);
  }
  record.toAccountPending.push({ phase, tasks: over });
}
