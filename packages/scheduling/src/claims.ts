/** What preemption makes free, and for whom: nobody else may take it. */
import { viewFor } from "./nodes.ts";
import type { NodeRecord } from "./nodes.ts";
import { applyCharges, longestSlot } from "./charges.ts";
import { pendingTasks } from "./records.ts";
import type { Charge, JobRecord, Placement, Run } from "./records.ts";
import { mayBegin } from "./keep-rules.ts";
import { begin } from "./starting.ts";
import { holdEnd, isInTheWay } from "./suspensions.ts";
import type { ClusterStore } from "./store.ts";
import type { Start, Time } from "./types.ts";

/**
 * A place of a job (one of its tasks, of an array) that others are leaving. Out of the timelines from its start on; a job has one
 * for each of its tasks at most.
 */
export interface Claim extends Placement {
  job: JobRecord;
  class: JobRecord["class"];
  start: Time;
  end: Time;
  victims: readonly Run[];
}

export function addClaim(store: ClusterStore, claim: Claim): void {
  const { job } = claim;
  store.plan.drop(job);
  store.claims.add(claim);
  (job.claims ??= []).push(claim);
  store.touched.add(job);
  store.refresh(job);
}

function forget(store: ClusterStore, claim: Claim): void {
  const { job } = claim;
  store.claims.delete(claim);
  job.claims = job.claims!.filter((one) => one !== claim);
  if (job.claims.length === 0) job.claims = undefined;
  store.touched.add(job);
}

/**
 * Before a pass: those for which all have left start, as soon as they can; those that somebody outlives wait on; those that mean
 * nothing any more (the job is gone, held or another one, a node is lost) are given up.
 */
export function settleClaims(store: ClusterStore): Start[] {
  const starts: Start[] = [];
  const { now, table, plan } = store;
  for (const claim of store.claims) {
    const { job, charges, end, start } = claim;
    const release = (): void => {
      applyCharges(table, charges, claim.start, claim.end, 1);
      forget(store, claim);
      plan.gained = true;
      if (store.jobs.get(job.id) === job) store.refresh(job);
    };
    if (!isMeant(store, claim)) {
      release();
      continue;
    }
    const seconds = end - start;
    const move = (to: Time): void => {
      applyCharges(table, charges, claim.start, claim.end, 1);
      applyCharges(table, charges, to, to + seconds, -1);
      claim.start = to;
      claim.end = to + seconds;
      for (const { node } of charges) plan.repair(node, now);
      store.touched.add(job);
    };
    const left = claim.victims.filter(isInTheWay);
    if (left.length > 0) {
      if (start <= now) move(Math.max(now + 1, ...left.map(holdEnd)));
      continue;
    }
    applyCharges(table, charges, start, end, 1);
    const fits = hasRoom(store, claim, seconds) && mayBegin(store, claim, now);
    applyCharges(table, charges, start, end, -1);
    if (!fits) {
      if (start <= now) release();
      continue;
    }
    const { deadline, overheadSeconds = 0 } = job.input;
    const limit = store.charging.limitIn(claim.class, claim.queue, now, { charges, seconds });
    if (limit !== undefined || (deadline !== undefined && now + seconds > deadline + overheadSeconds)) {
      release();
      continue;
    }
    if (start > now) move(now);
    forget(store, claim);
    starts.push(begin(store, job, claim, claim.end));
  }
  return starts;
}

/** Whether the job still wants the place, and may have it. */
function isMeant(store: ClusterStore, claim: Claim): boolean {
  const { job, charges, queue } = claim;
  if (store.jobs.get(job.id) !== job || job.class !== claim.class || job.claims!.length > pendingTasks(job))
    return false;
  const own = store.ownReason(job);
  if (own !== undefined && own !== "ArrayTaskLimit") return false;
  const state = store.queue(queue)?.state ?? "Up";
  if (state === "Down" || state === "Inactive") return false;
  return charges.every(
    ({ node }) =>
      node === store.table.licences ||
      (node.state === "Up" && viewFor(node, job.class.shape.input.reservation) !== undefined),
  );
}

/** Whether a claim that takes nothing at the moment has room from now on. */
function hasRoom({ now, table }: ClusterStore, { job, charges }: Claim, seconds: number): boolean {
  const amounts = new Map<NodeRecord, number[]>();
  for (const { node, amounts: taken } of charges) {
    const sum = amounts.get(node) ?? [];
    amounts.set(
      node,
      Array.from({ length: Math.max(sum.length, taken.length) }, (_, at) => (sum[at] ?? 0) + (taken[at] ?? 0)),
    );
  }
  for (const [node, taken] of amounts) {
    const view = node === table.licences ? node : viewFor(node, job.class.shape.input.reservation)!;
    view.timeline.advance(now);
    const charge: Charge = { node: view, amounts: taken };
    if (longestSlot([charge], now, seconds) < seconds) return false;
  }
  return true;
}
