/** What stands still because an operator asked for it: nodes are told by the annotation of pods, and tell by a condition of theirs. */
import { isReason, resources } from "@berth/client";
import { annotations, type SuspendRequest, suspendRequestOf } from "@berth/kinds";
import type { Context } from "../context.ts";
import { type Attempt, openTasks, type WorkloadRecord } from "../model/record.ts";
import type { Writer } from "../writer.ts";
import { suspensionOfPods } from "./attempt-pods.ts";

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
    const wanted = isMeant ? request.by : "";
    for (const { pod, state, node } of attempt.pods) {
      if (pod === undefined || state === "Terminal" || state === "Gone") continue;
      if ((pod.metadata.annotations?.[annotations.suspend] ?? "") === wanted) continue;
      if (!this.#parts.isEmbedded(node)) {
        this.#parts.context.log("warn", `node ${node} cannot suspend pods: ${pod.metadata.name} goes on`, {
          jobId: record.jobId,
        });
        continue;
      }
      this.#write(record, pod.metadata.name, wanted);
    }
  }

  #write(record: WorkloadRecord, name: string, value: string): void {
    const { context, writer } = this.#parts;
    const patch = { metadata: { annotations: { [annotations.suspend]: value } } };
    writer
      .run(() => context.client.patch(resources.pods, name, patch, { namespace: record.namespace }))
      .catch((error: unknown) => {
        if (context.signal.aborted || isReason(error, "NotFound", "Conflict")) return;
        context.log("warn", `telling ${name} to stand still, or to go on, failed: ${(error as Error).message}`, {
          jobId: record.jobId,
        });
      });
  }
}
