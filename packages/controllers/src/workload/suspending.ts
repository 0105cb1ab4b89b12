/** What stands still because an operator asked for it, or for another job: nodes are told by the annotation of pods, and tell by a condition of theirs. */
import { isReason, resources } from "@berth/client";
import { annotations, formatSuspendMark, type SuspendRequest, suspendRequestOf } from "@berth/kinds";
import type { Context } from "../context.ts";
import { type Attempt, type AttemptPod, openTasks, type WorkloadRecord } from "../model/record.ts";
import type { Writer } from "../writer.ts";
import { suspensionOfPods } from "./attempt-pods.ts";

/** After what could not be written. */
const againMs = 1000;

export interface SuspendingParts {
  context: Context;
  writer: Writer;
  /** Whether a node can do it. */
  isEmbedded: (node: string) => boolean;
  /** It stands still now, or goes on. */
  changed: (record: WorkloadRecord, attempt: Attempt) => void;
}

export class Suspending {
  readonly #parts: SuspendingParts;

  constructor(parts: SuspendingParts) {
    this.#parts = parts;
  }

  /** Has what runs of a Workload stand still, or go on, as it asks. */
  apply(record: WorkloadRecord): void {
    const request = this.#requestOf(record);
    for (const attempt of record.live.values()) this.#tell(record, attempt, request);
  }

  /** Has an attempt stand still for a job, as the scheduler decided; undefined: no longer. */
  standFor(record: WorkloadRecord, attempt: Attempt, job: number | undefined): void {
    attempt.standsFor = job;
    this.#tell(record, attempt, this.#requestOf(record));
    // An operator had it stand still before.
    if (job !== undefined && attempt.suspension?.isSuspended === true) this.#parts.changed(record, attempt);
  }

  /** It began, or was found: what was asked for meanwhile holds. */
  begun(record: WorkloadRecord, attempt: Attempt): void {
    this.#tell(record, attempt, this.#requestOf(record));
  }

  /** To be called when a pod of it told something. */
  look(record: WorkloadRecord, attempt: Attempt): void {
    const before = attempt.suspension;
    const now = suspensionOfPods(attempt);
    if (now === undefined) return;
    const isGoing = attempt.state === "Running" && attempt.stopped === undefined;
    const phase = isGoing && record.book === undefined ? (now.isSuspended ? "Suspended" : "Running") : record.phase;
    const isSame = now.isSuspended === before?.isSuspended && now.seconds === before.seconds && phase === record.phase;
    if (isSame) return;
    attempt.suspension = now;
    if (record.book === undefined) record.suspension = now;
    record.phase = phase;
    this.#parts.changed(record, attempt);
  }

  /** What cannot be read is said, and means nothing. */
  #requestOf(record: WorkloadRecord): SuspendRequest | undefined {
    try {
      return suspendRequestOf(record.workload);
    } catch (error) {
      this.#parts.context.log("warn", (error as Error).message, { jobId: record.jobId });
      return undefined;
    }
  }

  #tell(record: WorkloadRecord, attempt: Attempt, request: SuspendRequest | undefined): void {
    if (attempt.state !== "Running" || attempt.stopped !== undefined) return;
    const isMeant =
      request !== undefined &&
      // What begins later was not meant.
      Date.parse(attempt.startTime ?? "") <= Date.parse(request.time) &&
      (request.tasks === undefined || openTasks(attempt).some((task) => request.tasks!.has(task)));
    const wanted = formatSuspendMark({ job: attempt.standsFor, ...(isMeant ? { by: request.by } : {}) });
    for (const entry of attempt.pods) {
      const { pod, state, node, suspendMark } = entry;
      if (pod === undefined || state === "Terminal" || state === "Gone") continue;
      // What was written may not have come back yet; what is being written is looked at again once it is.
      if (suspendMark?.isWritten === false) continue;
      if ((suspendMark?.value ?? pod.metadata.annotations?.[annotations.suspend] ?? "") === wanted) continue;
      if (!this.#parts.isEmbedded(node)) {
        this.#parts.context.log("warn", `node ${node} cannot suspend pods: ${pod.metadata.name} goes on`, {
          jobId: record.jobId,
        });
        continue;
      }
      this.#write(record, attempt, entry, wanted);
    }
  }

  #write(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod, value: string): void {
    const { context, writer } = this.#parts;
    const { name } = entry;
    entry.suspendMark = { value, isWritten: false };
    const again = (): void => {
      if (!context.signal.aborted) this.#tell(record, attempt, this.#requestOf(record));
    };
    const patch = { metadata: { annotations: { [annotations.suspend]: value } } };
    writer
      .run(() => context.client.patch(resources.pods, name, patch, { namespace: record.namespace }))
      .then(() => {
        entry.suspendMark = { value, isWritten: true };
        again();
      })
      .catch((error: unknown) => {
        entry.suspendMark = undefined;
        if (context.signal.aborted || isReason(error, "NotFound")) return;
        setTimeout(again, againMs).unref();
        if (isReason(error, "Conflict")) return;
        context.log("warn", `telling ${name} to stand still, or to go on, failed: ${(error as Error).message}`, {
          jobId: record.jobId,
        });
      });
  }
}
