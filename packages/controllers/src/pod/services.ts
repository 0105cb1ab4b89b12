/**
 * Replicas that run for as long as somebody wants them. Their wall time is a lease, so that what is planned behind them has an end; it is
 * made longer for as long as their owner may use the queue.
 */
import { isReason, WorkQueue } from "@berth/client";
import type { Workload } from "@berth/kinds";
import { workloads } from "@berth/kinds";
import type { Context } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import type { WorkloadRecord } from "../model/record.ts";
import { wallTimeOf } from "../scheduler/snapshot.ts";
import type { Stores } from "../stores.ts";
import type { Admission } from "../workload/admission.ts";
import type { Refusal } from "../workload/refusal.ts";

/** Longer timers overflow. */
const longestMs = 86_400_000;

export interface ServicesParts {
  context: Context;
  stores: Stores;
  ledger: Ledger;
  /** Whether it would be let in today, as if it asked for no wall time of its own. */
  judge(record: WorkloadRecord): Promise<Admission | Refusal>;
}

/** Starts to make leases longer until the context's signal aborts. */
export function renewServices({ context, stores, ledger, judge }: ServicesParts): void {
  const { client, log, now, signal } = context;
  const queue = new WorkQueue<string>({
    process: (key) => renew(key),
    concurrency: 2,
    onError: (key, error) => log("warn", `renewing ${key}: ${(error as Error).message}`),
    signal,
  });

  async function renew(key: string): Promise<number | void> {
    const workload = stores.workloads.getByKey(key);
    const start = Date.parse(workload?.status?.startTime ?? "");
    const record = ledger.byUid(workload?.metadata.uid ?? "");
    if (workload === undefined || !isRunningService(workload) || record === undefined || Number.isNaN(start)) return;
    const { metadata, spec } = workload;
    const verdict = await judge({
      ...record,
      workload: { ...workload, spec: { ...spec, wallTimeSeconds: undefined } },
    });
    const termMs = "reason" in verdict ? 0 : verdict.wallTimeSeconds * 1000;
    const endMs = start + wallTimeOf(workload) * 1000;
    // A quarter of it is left for another try, also by another leader.
    const dueMs = endMs - termMs / 4 - now();
    if ("reason" in verdict) {
      log("info", `${key} is not renewed: ${verdict.message}`, { jobId: record.jobId });
      return;
    }
    if (dueMs > 0) return Math.min(dueMs, longestMs);
    const wallTimeSeconds = Math.ceil((now() - start + termMs) / 1000);
    await client
      .patch(workloads, metadata.name, { spec: { wallTimeSeconds } }, { namespace: metadata.namespace })
      .catch((error: unknown) => {
        if (!isReason(error, "NotFound")) throw error;
      });
  }

  const look = (workload: Workload): void => {
    if (isRunningService(workload)) queue.add(`${workload.metadata.namespace}/${workload.metadata.name}`);
  };
  stores.workloads.addHandler({ add: look, update: look });
}

function isRunningService({ spec, status, metadata }: Workload): boolean {
  return spec.type === "Service" && status?.phase === "Running" && metadata.deletionTimestamp === undefined;
}
