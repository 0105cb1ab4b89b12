import { compareWithin } from "./classes.ts";
import { priorityNow, rankNow } from "./priority.ts";
import { pendingTasks } from "./records.ts";
import type { JobRecord } from "./records.ts";
import { storeOf } from "./store.ts";
import type { ClusterState } from "./state-types.ts";
import type { Time } from "./types.ts";

/** Ids of all that waits, in the order in which jobs are taken. Costs the priorities and the sorting of all of them. */
export function pendingOrder(state: ClusterState, now: Time): number[] {
  const store = storeOf(state);
  store.tick(now);
  rankNow(store);
  const waiting: { job: JobRecord; tier: number; priority: number }[] = [];
  for (const job of store.jobs.values()) {
    if (pendingTasks(job) === 0) continue;
    waiting.push({ job, tier: job.class.shape.tier, priority: priorityNow(store, job) });
  }
  waiting.sort((a, b) => b.tier - a.tier || b.priority - a.priority || compareWithin(a.job, b.job));
  return waiting.map(({ job }) => job.id);
}
