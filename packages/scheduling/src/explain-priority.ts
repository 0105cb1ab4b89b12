import type { FairShareRow } from "./account-types.ts";
import type { SecondsLeft } from "./charging.ts";
import { fairShareRows } from "./fair-share-rows.ts";
import { ageFactor, priorityNow, queueFactor, sizeFactor } from "./priority.ts";
import type { PriorityExplanation } from "./priority-types.ts";
import { pendingTasks } from "./records.ts";
import { storeOf } from "./store.ts";
import type { ClusterState } from "./state-types.ts";
import type { Time } from "./types.ts";

/** The factors of a waiting job, their weighted parts and the sum, as Slurm's `sprio` tells them; undefined if it does not wait. */
export function explainPriority(state: ClusterState, id: number, now: Time): PriorityExplanation | undefined {
  const store = storeOf(state);
  store.tick(now);
  const job = store.jobs.get(id);
  if (job === undefined || pendingTasks(job) === 0) return undefined;
  store.charging.settle(store.now);
  store.accounts.rankAll(store.now);
  const { weights } = store.rules;
  const factors = {
    age: ageFactor(store.rules, job, store.now),
    fairShare: store.accounts.fairShareOf(job.class.association),
    jobSize: sizeFactor(store, job.class),
    queue: queueFactor(store, job.class),
    qos: store.accounts.qualityFactor(store.charging.qosOf(job.class)),
  };
  return {
    job: id,
    tier: job.class.shape.tier,
    priority: priorityNow(store, job),
    isSet: job.class.input.priority !== undefined,
    factors,
    weights: { ...weights },
    parts: {
      age: weights.age * factors.age,
      fairShare: weights.fairShare * factors.fairShare,
      jobSize: weights.jobSize * factors.jobSize,
      queue: weights.queue * factors.queue,
      qos: weights.qos * factors.qos,
    },
    nice: job.class.input.nice ?? 0,
  };
}

/**
 * The fair tree as Slurm's `sshare -a -l` tells it: depth first, members before the accounts below theirs. A slot is longer than the
 * wall time: who knows what is left of that tells it by `secondsLeft`.
 */
export function fairShares(state: ClusterState, now: Time, secondsLeft?: SecondsLeft): FairShareRow[] {
  const store = storeOf(state);
  store.tick(now);
  store.charging.settle(store.now);
  return fairShareRows(store.accounts, store.now, store.charging.stillToRun(store.now, secondsLeft));
}
