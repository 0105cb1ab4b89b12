/** What pods tell of the tasks of an array that they carry in turn, and how single ones of these are cancelled. */
import { isReason, resources } from "@berth/client";
import { annotations, formatTasks, type IndexSet, leaseReportOf } from "@berth/kinds";
import type { Context } from "../context.ts";
import { type AttemptEnd, endOfPod, endOfTask } from "../model/ends.ts";
import { type Attempt, type AttemptPod, type LeasedTasks, openTasks, type WorkloadRecord } from "../model/record.ts";
import type { Writer } from "../writer.ts";
import { endTask, type EndingEvents, isHeldElsewhere, leaveTasks } from "./ending.ts";

export class LeaseLife {
  readonly #context: Context;
  readonly #writer: Writer;
  readonly #events: EndingEvents;

  constructor(context: Context, writer: Writer, events: EndingEvents) {
    this.#context = context;
    this.#writer = writer;
    this.#events = events;
  }

  /** Takes the ends that the pod tells; gives the tasks that it has left, which are not the attempt's any more. */
  take(record: WorkloadRecord, attempt: Attempt, lease: LeasedTasks, { pod }: AttemptPod): number[] {
    const report = leaseReportOf(pod?.status);
    for (const told of report?.ended ?? []) {
      if (!lease.open.delete(told.task)) continue;
      endTask(this.#events, record, attempt, told.task, endOfTask(told, attempt.stopped));
    }
    lease.running = report?.running;
    if (report?.running !== undefined && lease.open.has(report.running)) record.book!.created(report.running);
    // The first is begun, or there is a cause that the next pod of its name would meet as well.
    const mayLeave = (task: number): boolean =>
      task !== attempt.task || attempt.stopped !== undefined || lease.cancelled?.has(task) === true;
    const left = report?.left.filter((task) => lease.open.has(task) && mayLeave(task)) ?? [];
    for (const task of left) lease.open.delete(task);
    return left;
  }

  /** Nothing of a lease runs any more, and of these tasks it did not tell what became of them. */
  endOpen(record: WorkloadRecord, attempt: Attempt, lease: LeasedTasks, { pod, state }: AttemptPod): void {
    if (lease.open.size === 0) return;
    const report = leaseReportOf(pod?.status);
    const skipped = new Set(report?.skipped);
    const lost: AttemptEnd = { phase: attempt.stopped ?? "NodeFailed", exitCode: 0, signal: 0 };
    const end = pod === undefined ? lost : endOfPod(pod, attempt.stopped);
    const rest: number[] = [];
    for (const task of lease.open) {
      lease.open.delete(task);
      if (!skipped.has(task)) rest.push(task);
      // Another pod had it, and that is gone without a word.
      else if (!isHeldElsewhere(record, attempt, task)) endTask(this.#events, record, attempt, task, lost);
    }
    if (report !== undefined || state !== "Terminal" || end.phase !== "Failed") {
      for (const task of rest) endTask(this.#events, record, attempt, task, report === undefined ? end : lost);
      return;
    }
    // It could not be set up, and nothing of it began: the first has this end, the others are tried again.
    const [first, ...others] = rest;
    if (first !== undefined) endTask(this.#events, record, attempt, first, end);
    leaveTasks(this.#events, record, attempt, others);
  }

  /** Ends single tasks: the one of them that runs, and those that have not begun. */
  cancel(record: WorkloadRecord, attempt: Attempt, lease: LeasedTasks, wanted: IndexSet): void {
    const asked = openTasks(attempt).filter((task) => wanted.has(task) && lease.cancelled?.has(task) !== true);
    if (asked.length === 0 || attempt.stopped !== undefined) return;
    lease.cancelled ??= new Set();
    for (const task of asked) lease.cancelled.add(task);
    const [entry] = attempt.pods;
    if (entry?.pod !== undefined) this.tellCancelled(record, lease, entry);
  }

  /** The node is told by the pod, once there is one. */
  tellCancelled(record: WorkloadRecord, { cancelled }: LeasedTasks, { name }: AttemptPod): void {
    if (cancelled === undefined) return;
    const { client, log, signal } = this.#context;
    const patch = { metadata: { annotations: { [annotations.cancelTasks]: formatTasks(cancelled) } } };
    this.#writer
      .run(() => client.patch(resources.pods, name, patch, { namespace: record.namespace }))
      .catch((error: unknown) => {
        if (signal.aborted || isReason(error, "NotFound", "Conflict")) return;
        log("error", `cancelling tasks of ${name} failed: ${(error as Error).message}`, { jobId: record.jobId });
      });
  }
}
