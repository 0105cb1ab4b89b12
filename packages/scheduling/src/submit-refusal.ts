import type { LimitHit } from "./account-types.ts";
import { limitAgainstSubmission } from "./limits.ts";
import { RunSet } from "./runs.ts";
import { requestOf } from "./shape.ts";
import { storeOf } from "./store.ts";
import type { ClusterState } from "./state-types.ts";
import type { JobInput } from "./types.ts";

/**
 * The limit that speaks against the submission of a job, in each of its queues: of jobs that are pending or running, or of what one
 * job may have; undefined: none does. An array counts all its tasks.
 */
export function submitRefusal(state: ClusterState, job: JobInput): LimitHit | undefined {
  const store = storeOf(state);
  if (!store.accounts.hasLimits) return undefined;
  store.charging.settle(store.now);
  const kinds = { resources: store.resources, devices: store.deviceResources };
  const amounts = store.resources.map(() => 0);
  for (const set of job.podSets) {
    for (const [index, amount] of requestOf(set, job, kinds).entries())
      amounts[index]! += (set.minCount ?? set.count) * amount;
  }
  const wallTimeSeconds = job.minWallTimeSeconds ?? job.wallTimeSeconds;
  const ask = { amounts, seconds: wallTimeSeconds + (job.overheadSeconds ?? 0), wallTimeSeconds };
  const tasks = job.array === undefined ? 1 : new RunSet(job.array.pending).size;
  const { user, account = "" } = job;
  const qos = job.qos ?? store.queue(job.queues[0] ?? "")?.qos;
  let first: LimitHit | undefined;
  for (const queue of job.queues) {
    const hit = limitAgainstSubmission(store.accounts.partiesOf({ account, user, queue, qos }), ask, tasks);
    if (hit === undefined) return undefined;
    first ??= hit;
  }
  return first;
}
