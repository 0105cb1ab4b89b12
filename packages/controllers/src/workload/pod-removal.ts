/** How pods go: stopped with their last status kept, or removed once that is accounted. */
import { type AnyObject, isReason, resourcePath, resources } from "@berth/client";
import type { Pod } from "@berth/kinds";
import { accountingFinalizer, labels } from "@berth/kinds";
import { isWrapped } from "../model/wrapped-pod.ts";
import type { Context } from "../context.ts";
import type { Attempt, WorkloadRecord } from "../model/record.ts";
import type { Writer } from "../writer.ts";

/** So many tasks' pods are removed by one request; their indices stand in its query. */
const tasksPerDeletion = 200;
/** The answer is a list of all that was removed, of which nothing is needed. */
const namesOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

export interface Stopping {
  annotations?: Record<string, string>;
  graceSeconds?: number;
  /** Whoever the pod belongs to deletes it next. */
  isDeletedByHost?: boolean;
}

export class PodRemoval {
  readonly #context: Context;
  readonly #writer: Writer;
  /** Pods whose deletion is under way, by `namespace/name`. */
  readonly #discarding = new Set<string>();

  constructor(context: Context, writer: Writer) {
    this.#context = context;
    this.#writer = writer;
  }

  isUnderWay(pod: Pod): boolean {
    return this.#discarding.has(`${pod.metadata.namespace}/${pod.metadata.name}`);
  }

  /** To be called when the API has the pod no more. */
  isGone(pod: Pod): void {
    this.#discarding.delete(`${pod.metadata.namespace}/${pod.metadata.name}`);
  }

  /**
   * Deletes a pod that runs; the finalizer keeps its last status until that is accounted. Annotations are written before, so that
   * whoever finds it knows why it goes.
   */
  async stop(pod: Pod, how: Stopping = {}): Promise<void> {
    const { name, namespace } = pod.metadata;
    const { client } = this.#context;
    if (pod.metadata.deletionTimestamp !== undefined) return;
    try {
      await this.#writer.run(async () => {
        const isHeld = pod.metadata.finalizers?.includes(accountingFinalizer) === true;
        if (!isHeld || how.annotations !== undefined) {
          const { annotations } = how;
          // Added to those that it has by then, from which others may take theirs away meanwhile.
          const finalizers = [accountingFinalizer];
          const metadata = { ...(isHeld ? {} : { finalizers }), ...(annotations === undefined ? {} : { annotations }) };
          await client.patch(resources.pods, name, { metadata }, { namespace, type: "Strategic" });
        }
        if (how.isDeletedByHost === true) return;
        await client.delete(resources.pods, name, {
          namespace,
          preconditions: { uid: pod.metadata.uid },
          // 0 would be a removal that asks no node.
          ...(how.graceSeconds === undefined ? {} : { gracePeriodSeconds: Math.max(1, how.graceSeconds) }),
        });
      }, "Urgent");
    } catch (error) {
      // What is being deleted takes no finalizer any more.
      if (!isReason(error, "NotFound", "Conflict", "Invalid")) this.#failed(`stopping pod ${name}`, error);
    }
  }

  /** Stops what there is of an attempt's pods, as {@link stop} does. */
  async stopAll({ pods }: Attempt, how?: Stopping): Promise<void> {
    const running = pods.filter(({ state }) => state === "Created" || state === "Running");
    await Promise.all(running.map(({ pod }) => pod && this.stop(pod, how)));
  }

  /** Removes the pods of accounted attempts; tasks of an array whose lone pod ended by itself go many at a time. */
  accounted(record: WorkloadRecord, attempts: readonly Attempt[]): void {
    const together = new Map<number, Attempt[]>();
    for (const attempt of attempts) {
      const [first] = attempt.pods;
      const isPlain =
        record.workload.spec.array !== undefined &&
        attempt.pods.length === 1 &&
        first?.state === "Terminal" &&
        first.pod?.metadata.deletionTimestamp === undefined &&
        (first.pod?.metadata.finalizers?.length ?? 0) === 0;
      if (isPlain) {
        const group = together.get(attempt.number);
        if (group === undefined) together.set(attempt.number, [attempt]);
        else group.push(attempt);
        continue;
      }
      for (const { pod, state, isLost } of attempt.pods) {
        if (pod !== undefined && (state !== "Gone" || isLost === true)) this.discard(pod);
      }
    }
    for (const [number, group] of together) {
      for (let at = 0; at < group.length; at += tasksPerDeletion) {
        this.#discardTasks(record, number, group.slice(at, at + tasksPerDeletion));
      }
    }
  }

  /** One request for the pods of many tasks, chosen by their labels. */
  #discardTasks(record: WorkloadRecord, number: number, attempts: readonly Attempt[]): void {
    const { client } = this.#context;
    const { namespace } = record;
    const keys = attempts.map(({ pods }) => `${namespace}/${pods[0]!.name}`);
    for (const key of keys) this.#discarding.add(key);
    const tasks = attempts.map(({ task }) => task).join(",");
    const labelSelector = `${labels.workload}=${record.name},${labels.attempt}=${number},${labels.task} in (${tasks})`;
    this.#writer
      .run(
        () =>
          client.request({
            method: "DELETE",
            path: resourcePath(resources.pods, namespace),
            query: { labelSelector },
            body: { kind: "DeleteOptions", apiVersion: "v1", gracePeriodSeconds: 0 },
            accept: namesOnly,
          }),
        "Urgent",
      )
      .catch((error: unknown) => {
        for (const key of keys) this.#discarding.delete(key);
        this.#failed(`removing pods of ${record.name}`, error);
      });
  }

  /**
   * Removes a pod that holds nothing any more: its finalizer, if it has ours, and then itself, without grace. Of a pod that a user
   * made only the finalizer goes: it stays until its user deletes it.
   */
  discard(pod: Pod): void {
    const { name, namespace, uid, finalizers = [] } = pod.metadata;
    const key = `${namespace}/${name}`;
    const isUsers = isWrapped(pod);
    if (isUsers && !finalizers.includes(accountingFinalizer)) return;
    if (this.#discarding.has(key)) return;
    this.#discarding.add(key);
    const { client } = this.#context;
    const remove = async (): Promise<void> => {
      const rest = finalizers.filter((finalizer) => finalizer !== accountingFinalizer);
      if (rest.length < finalizers.length || pod.metadata.deletionTimestamp !== undefined) {
        const patch = { metadata: { uid, finalizers: rest.length === 0 ? null : rest } };
        await client.patch<AnyObject>(resources.pods, name, patch, { namespace });
      }
      if (isUsers) return;
      await client.delete(resources.pods, name, { namespace, gracePeriodSeconds: 0, preconditions: { uid } });
    };
    this.#writer.run(remove, "Urgent").catch((error: unknown) => {
      this.#discarding.delete(key);
      if (!isReason(error, "NotFound", "Conflict")) this.#failed(`removing pod ${name}`, error);
    });
  }

  #failed(what: string, error: unknown): void {
    const { log, signal } = this.#context;
    if (!signal.aborted) log("error", `${what} failed: ${(error as Error).message}`);
  }
}
