/** What of a pass is told: changes since the one before. */
import { licencesFrom } from "./licences.ts";
import { reasonOfLimit } from "./limits.ts";
import { pendingTasks, reservationOf } from "./records.ts";
import type { JobRecord, ReservationRecord } from "./records.ts";
import type { ClusterStore } from "./store.ts";
import type { Decisions, Reservation, Time, WaitReason } from "./types.ts";
import { nextWake } from "./wake.ts";

/** `heads`: the jobs that wait and whose turn it is. */
export function report(
  store: ClusterStore,
  heads: Set<JobRecord>,
): Omit<Decisions, "starts" | "preemptions" | "resumptions"> {
  const limitedUntil = obstacles(store);
  for (const job of heads) if (!store.heads.has(job)) store.touched.add(job);
  // Whether licences or nodes are what is missing changes without them.
  for (const job of heads) if (job.input.licences !== undefined) store.touched.add(job);
  for (const job of store.heads) if (!heads.has(job)) store.touched.add(job);
  store.heads = heads;
  const reservations: Reservation[] = [];
  const unreserved: number[] = [];
  const waiting: Decisions["waiting"] = [];
  for (const job of store.touched) {
    if (store.jobs.get(job.id) !== job) continue;
    const waits = pendingTasks(job) > 0;
    const reservation = job.reservation ?? job.claims?.[0];
    if (reservation !== undefined && !isSame(job.reported, reservation)) {
      reservations.push(reservationOf(job, reservation));
    }
    if (reservation === undefined && job.reported !== undefined && waits) unreserved.push(job.id);
    // A claim moves as it is.
    job.reported = reservation !== undefined && reservation !== job.reservation ? { ...reservation } : reservation;
    if (!waits) job.reason = "None";
    else {
      const reason = reasonOf(store, job);
      if (reason !== job.reason) waiting.push({ job: job.id, reason });
      job.reason = reason;
    }
  }
  store.touched.clear();
  const expired = store.expired;
  store.expired = [];
  return { reservations, unreserved, waiting, expired, nextWake: earliest(nextWake(store), limitedUntil) };
}

/** What keeps whole classes from starting, after the pass; returns when one of these things ends by itself. */
function obstacles(store: ClusterStore): Time | undefined {
  const { now, charging, accounts } = store;
  let until: Time | undefined;
  for (const jobClass of store.classTable.classes.values()) {
    if (jobClass.begin === jobClass.end) continue;
    let obstacle = jobClass.found;
    if (obstacle === undefined && accounts.hasLimits) {
      jobClass.limitHit = charging.limitOf(jobClass, now) ?? jobClass.limitHit;
      if (jobClass.limitHit !== undefined) {
        obstacle = reasonOfLimit(jobClass.limitHit);
        until = earliest(until, charging.limitedUntil(jobClass, jobClass.limitHit, now));
      }
    }
    if (obstacle === jobClass.obstacle) continue;
    jobClass.obstacle = obstacle;
    for (const job of jobClass.listed()) store.touched.add(job);
  }
  return until;
}

function earliest(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a;
}

function reasonOf(store: ClusterStore, job: JobRecord): WaitReason {
  if (!job.listed) return store.ownReason(job) ?? (job.claims === undefined ? "None" : "Resources");
  const { obstacle, block, shape } = job.class;
  if (obstacle !== undefined) return obstacle;
  if (!store.heads.has(job)) return (store.policy.backfill === "None" ? undefined : block) ?? "Priority";
  if (job.block !== undefined) return job.block;
  return licencesFrom(store.table, shape, store.now, shape.minSlotSeconds) > store.now ? "Licenses" : "Resources";
}

type Told = Pick<ReservationRecord, "start" | "queue" | "nodes">;

function isSame(a: Told | undefined, b: Told): boolean {
  if (a === b) return true;
  if (a === undefined || a.start !== b.start || a.queue !== b.queue) return false;
  return a.nodes.every((set, index) => {
    const other = b.nodes[index]!;
    return set.length === other.length && set.every((node, pod) => node === other[pod]);
  });
}
