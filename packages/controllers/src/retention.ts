/** Everything made has a stated end: finished Workloads by age and number, Secrets of submissions that never became one. */
import { type AnyObject, isReason, resources } from "@berth/client";
import { defaultFinishedKeepCount, defaultFinishedKeepSeconds, isFinal, labels, workloads } from "@berth/kinds";
import { type Context, seconds } from "./context.ts";
import type { WorkloadRecord } from "./model/record.ts";
import type { Stores } from "./stores.ts";
import type { Writer } from "./writer.ts";

const orphanSeconds = 600;

export class Retention {
  readonly #context: Context;
  readonly #stores: Stores;
  readonly #writer: Writer;
  /** Finished Workloads, the oldest end first. */
  readonly #finished = new Map<string, { record: WorkloadRecord; endedAt: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(context: Context, stores: Stores, writer: Writer) {
    this.#context = context;
    this.#stores = stores;
    this.#writer = writer;
    context.signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  /** To be called with Workloads found finished, before {@link finished} is. */
  begin(records: Iterable<WorkloadRecord>): void {
    // Not those that end at this moment: they are told as finished once their status is written.
    const found = [...records].filter(({ workload }) => isFinal(workload.status?.phase));
    const now = Math.floor(this.#context.now() / 1000);
    const endOf = ({ workload }: WorkloadRecord): number => seconds(workload.status?.endTime) ?? now;
    found.sort((a, b) => endOf(a) - endOf(b));
    for (const record of found) this.#finished.set(record.uid, { record, endedAt: endOf(record) });
    this.#sweep();
    this.#orphans();
    const timer = setInterval(() => this.#orphans(), orphanSeconds * 1000);
    this.#context.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  finished(record: WorkloadRecord): void {
    this.#finished.set(record.uid, { record, endedAt: Math.floor(this.#context.now() / 1000) });
    this.#sweep();
  }

  removed(uid: string): void {
    this.#finished.delete(uid);
  }

  siteChanged(): void {
    this.#sweep();
  }

  /** Removes what is too old or too many, and comes back when the oldest that stays will be too old. */
  #sweep(): void {
    clearTimeout(this.#timer);
    if (this.#context.signal.aborted) return;
    const limits = this.#stores.sites.get(undefined, "site")?.spec.finishedWorkloads;
    const keepSeconds = limits?.keepSeconds ?? defaultFinishedKeepSeconds;
    const keepCount = limits?.keepCount ?? defaultFinishedKeepCount;
    const now = this.#context.now() / 1000;
    for (const [uid, { record, endedAt }] of this.#finished) {
      const due = endedAt + keepSeconds;
      if (this.#finished.size <= keepCount && due > now) {
        this.#timer = setTimeout(() => this.#sweep(), Math.min((due - now) * 1000 + 10, 2 ** 31 - 1));
        return;
      }
      this.#finished.delete(uid);
      this.#remove(record);
    }
  }

  #remove({ name, namespace, uid }: WorkloadRecord): void {
    const { client, log, signal } = this.#context;
    this.#writer
      .run(() => client.delete(workloads, name, { namespace, preconditions: { uid } }))
      .catch((error: unknown) => {
        if (signal.aborted || isReason(error, "NotFound", "Conflict")) return;
        log("warn", `removing finished Workload ${namespace}/${name} failed: ${(error as Error).message}`);
      });
  }

  /** Secrets whose submitter died before it made the Workload. */
  #orphans(): void {
    const { client, log, now, signal } = this.#context;
    const labelSelector = `${labels.submission}=true,!${labels.workload}`;
    client
      .listAll<AnyObject>(resources.secrets, { labelSelector, signal })
      .then(async ({ items }) => {
        for (const { metadata } of items) {
          const age = now() / 1000 - seconds(metadata.creationTimestamp ?? "");
          if (age < orphanSeconds || (metadata.ownerReferences?.length ?? 0) > 0) continue;
          const { name, namespace, uid } = metadata;
          await this.#writer.run(() => client.delete(resources.secrets, name, { namespace, preconditions: { uid } }));
        }
      })
      .catch((error: unknown) => {
        // Where the controllers may not see Secrets, those that nobody took on stay.
        if (signal.aborted || isReason(error, "Forbidden")) return;
        log("warn", `looking for orphaned submissions failed: ${(error as Error).message}`);
      });
  }
}
