/** Pods that are there, and that no attempt has: they go. */
import { leaseOf, type Pod } from "@berth/kinds";
import { type Context, timestamp } from "../context.ts";
import { endOfPod, isTerminal } from "../model/ends.ts";
import type { WorkloadRecord } from "../model/record.ts";
import { persist } from "../writer.ts";
import { isDriver, isOver, isTaken, stoppedOf, tasksOf } from "./attempt-pods.ts";
import type { PodRemoval } from "./pod-removal.ts";
import { attemptRow } from "./rows.ts";

/** A pod that is left is looked at again after this where what its attempt came to may be just being written. */
const leftoverMs = 500;

export class Leftovers {
  readonly #context: Context;
  readonly #removal: PodRemoval;

  constructor(context: Context, removal: PodRemoval) {
    this.#context = context;
    this.#removal = removal;
  }

  /** A pod whose attempt is over and accounted (or was none): it goes. Pods that ended are accounted once more, which is free. */
  take(record: WorkloadRecord, pod: Pod, task: number, number: number): void {
    if (this.#removal.isUnderWay(pod) || !tasksOf(pod, task).every((each) => isOver(record, each, number))) return;
    // It goes with its attempt, when that is accounted.
    if (record.toRemove.some(({ pods }) => pods.some(({ name }) => name === pod.metadata.name))) return;
    if (record.isFlushing) {
      setTimeout(() => this.take(record, pod, task, number), leftoverMs);
      return;
    }
    if (!isTerminal(pod) || !isDriver(record, pod) || leaseOf(pod) !== undefined || isTaken(pod)) {
      this.#removal.discard(pod);
      return;
    }
    const { accounting, log, now, signal } = this.#context;
    const end = endOfPod(
      pod,
      stoppedOf(pod)?.phase ?? (pod.metadata.deletionTimestamp === undefined ? undefined : "Cancelled"),
    );
    const attempt = { task, number, end, nodes: [pod.spec.nodeName ?? ""], requeue: false };
    void persist(() => accounting.record([attemptRow(record, attempt, timestamp(now()))]), this.#context)
      .then(() => this.#removal.discard(pod))
      .catch((error: unknown) => {
        if (signal.aborted) return;
        const { jobId, name: workload } = record;
        log("error", `accounting a leftover pod failed: ${(error as Error).message}`, { jobId, workload });
      });
  }
}
