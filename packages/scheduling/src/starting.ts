/** One job at a time: whether it starts now, or from when on room is kept for it. */
import { placeEarliest } from "./earliest.ts";
import type { NodeRecord } from "./nodes.ts";
import { rulesHold, spoilsClaims } from "./keep-rules.ts";
import { applyCharges, longestSlot } from "./charges.ts";
import { mayPlaceTogether, place, placeTogether } from "./place.ts";
import { mayFitNow } from "./room.ts";
import { isRuled } from "./rule-views.ts";
import { mostRunning, runningNow } from "./records.ts";
import type { JobRecord, Levels, Placement, ReservationRecord } from "./records.ts";
import { mayUse } from "./shape.ts";
import type { Shape, Variant } from "./shape.ts";
import type { ClusterStore } from "./store.ts";
import type { Start, Time } from "./types.ts";

/**
 * Starts a job at once where there is room for its whole slot, or for the least it may shrink to. `isAlone`: one task of an array
 * even where equal ones are one start, as the next finds other things in its way.
 */
export function startNow(store: ClusterStore, job: JobRecord, isAlone = false): Start | undefined {
  const { shape } = job.class;
  if (!mayFitNow(store, shape)) return undefined;
  const { now } = store;
  for (const variant of shape.open) {
    const { slotSeconds, minSlotSeconds } = shape;
    let seconds = Math.min(slotSeconds, longest(store, job, variant));
    if (store.charging.limitIn(job.class, variant.queue, now) !== undefined) continue;
    const most = isAlone ? 1 : mostTogether(store, job, variant);
    if (most > 1) {
      const placement = placeTogether(store, shape, variant, most);
      if (placement === undefined) continue;
      return begin(store, job, placement, now + slotSeconds, { together: placement.jobs });
    }
    const lease = leaseOf(store, job);
    if (lease !== undefined) {
      const placement = placeNow(store, shape, variant, seconds + lease.seconds);
      if (placement !== undefined && isWithinLimits(store, job, placement, seconds + lease.seconds)) {
        return begin(store, job, placement, store.now + seconds + lease.seconds, { lease });
      }
    }
    let placement = placeNow(store, shape, variant, seconds);
    if (placement === undefined && minSlotSeconds < seconds) {
      placement = placeNow(store, shape, variant, minSlotSeconds);
      if (placement !== undefined) {
        applyCharges(store.table, placement.charges, now, now + minSlotSeconds, 1);
        seconds = longestSlot(placement.charges, now, seconds);
        applyCharges(store.table, placement.charges, now, now + seconds, -1);
      }
    }
    if (placement === undefined) continue;
    if (!isWithinLimits(store, job, placement, seconds)) {
      placement = shape.isElastic ? place(store, shape, variant, now, seconds, "Minimum") : undefined;
      if (placement === undefined || !isWithinLimits(store, job, placement, seconds)) continue;
    }
    return begin(store, job, placement, now + seconds);
  }
  return undefined;
}

/** Whether limits allow what the job was given, which may be more than the least that it asks for; if not it is given back. */
function isWithinLimits(store: ClusterStore, job: JobRecord, placement: Placement, seconds: number): boolean {
  if (!store.accounts.hasLimits) return true;
  const hit = store.charging.limitIn(job.class, placement.queue, store.now, { charges: placement.charges, seconds });
  job.class.limitHit = hit;
  if (hit === undefined) return true;
  applyCharges(store.table, placement.charges, store.now, store.now + seconds, 1);
  return false;
}

/** How many tasks of an array one start stands for, where they need not be told from each other: nothing counts or names them. */
function mostTogether(store: ClusterStore, job: JobRecord, variant: Variant): number {
  const { array, input, dependents } = job;
  const { shape } = job.class;
  if (!store.startsTogether || array === undefined || input.lease !== undefined) return 1;
  if (input.minWallTimeSeconds !== undefined || (dependents?.size ?? 0) > 0) return 1;
  if (!mayPlaceTogether(store, shape, variant) || store.charging.hasLimits(job.class, variant.queue)) return 1;
  return Math.min(array.pending.size, mostRunning(job) - runningNow(job));
}

/** How many tasks one start may take, two or more, and how much longer its slot is for that; undefined: one. */
function leaseOf(store: ClusterStore, job: JobRecord): Lease | undefined {
  const { lease, deadline, minWallTimeSeconds } = job.input;
  if (lease === undefined || job.array === undefined || deadline !== undefined || minWallTimeSeconds !== undefined)
    return;
  const share = Math.ceil(job.array.pending.size / (2 * lease.places));
  const count = Math.min(lease.tasks, share);
  if (count < 2) return undefined;
  // Whoever waits for the start of a task would be told that of the first.
  for (const id of job.dependents ?? []) {
    const waits = store.jobs.get(id)?.dependencies.some(({ input }) => input.type === "After" && input.job === job.id);
    if (waits === true) return undefined;
  }
  return { count, seconds: lease.seconds };
}

interface Lease {
  count: number;
  seconds: number;
}

/** As many pods as fit, from the minimum of the gang to its full count. */
function placeNow(store: ClusterStore, shape: Shape, variant: Variant, seconds: number): Placement | undefined {
  const elastic = variant.groups.some((group) => group.minPods < group.pods);
  if (!elastic) return place(store, shape, variant, store.now, seconds, "Full");
  // With several groups the extra pods of one must not take the room that another needs.
  for (const count of variant.groups.length === 1 ? (["Most"] as const) : (["Full", "Most", "Minimum"] as const)) {
    const placement = place(store, shape, variant, store.now, seconds, count);
    if (placement !== undefined) return placement;
  }
  return undefined;
}

/** The longest slot that the queue and the deadline allow a job whose wall time may shrink. */
function longest(store: ClusterStore, job: JobRecord, variant: Variant): number {
  const overhead = job.input.overheadSeconds ?? 0;
  const limit = store.queue(variant.queue)?.maxWallTimeSeconds ?? Infinity;
  const untilDeadline = (job.input.deadline ?? Infinity) - store.now;
  return Math.max(job.class.shape.minSlotSeconds, Math.min(limit, untilDeadline) + overhead);
}

/** A reservation whose time has come is the start, if it is all that the job can get. */
export function startAsReserved(store: ClusterStore, job: JobRecord): Start | undefined {
  const { reservation } = job;
  if (reservation?.start !== store.now || job.class.shape.isElastic || isRuled(store, job.class.shape))
    return undefined;
  if (!mayStartSo(store, job, reservation)) return undefined;
  store.plan.claim(job);
  return begin(store, job, reservation, reservation.end);
}

/**
 * Where a job that may get more than was reserved found nothing by itself: what was planned for it, and taken out of the timelines, if
 * it still fits. That a search that takes one kind of pods after the other finds no room does not say that there is none.
 */
export function startAsPlanned(
  store: ClusterStore,
  job: JobRecord,
  kept: ReservationRecord | undefined,
): Start | undefined {
  if (kept === undefined || kept.start > store.now || job.class.limitHit !== undefined) return undefined;
  const planned = { ...kept, start: store.now, end: store.now + kept.end - kept.start };
  if (!mayStartSo(store, job, planned) || !stillFits(store, job, planned)) return undefined;
  applyCharges(store.table, planned.charges, planned.start, planned.end, -1);
  store.plan.drop(job);
  return begin(store, job, planned, planned.end);
}

/** Whether deadline, queue and limits let the job start with what was planned. */
function mayStartSo(store: ClusterStore, job: JobRecord, { charges, queue, start, end }: ReservationRecord): boolean {
  const { deadline, overheadSeconds = 0 } = job.input;
  if (deadline !== undefined && end > deadline + overheadSeconds) return false;
  const variant = job.class.shape.open.find((one) => one.queue === queue);
  const seconds = end - start;
  if (variant === undefined || seconds > longest(store, job, variant)) return false;
  return store.charging.limitIn(job.class, queue, store.now, { charges, seconds }) === undefined;
}

export function begin(
  store: ClusterStore,
  job: JobRecord,
  placement: Placement,
  end: Time,
  { lease, together }: { lease?: Lease; together?: number } = {},
): Start {
  const task = job.array?.pending.first();
  const tasks = lease === undefined ? undefined : job.array!.pending.lowest(lease.count);
  const { grants } = store.begin(job, task, placement, store.now, end, tasks, together);
  return {
    job: job.id,
    ...(task === undefined ? {} : { task }),
    ...(tasks === undefined ? {} : { tasks }),
    queue: placement.queue,
    nodes: placement.nodes.map((set) => set.map((node) => node.name)),
    ...(grants === undefined ? {} : { grants }),
    startTime: store.now,
    endTime: end,
    wallTimeSeconds: end - store.now - (lease?.seconds ?? 0) - (job.input.overheadSeconds ?? 0),
  };
}

/** Gives the job the earliest start there is, never later than the one it had if that still holds. */
export function reserve(
  store: ClusterStore,
  job: JobRecord,
  kept: ReservationRecord | undefined,
  where: readonly NodeRecord[] | "Anywhere",
): ReservationRecord | undefined {
  const holds = kept !== undefined && kept.start > store.now && stillFits(store, job, kept);
  const { shape } = job.class;
  let best: ReservationRecord | undefined;
  const levels: Levels = { times: [], sums: [] };
  for (const variant of shape.open) {
    if (store.charging.limitIn(job.class, variant.queue, store.now) !== undefined) continue;
    if (best !== undefined) applyCharges(store.table, best.charges, best.start, best.end, 1);
    const before = best?.start ?? (holds ? kept.start : Infinity);
    const only = holds && where !== "Anywhere" ? where : undefined;
    const found = placeEarliest(store, shape, variant, before, { levels, only });
    if (found !== undefined) best = { ...found, end: found.start + shape.slotSeconds, testedAt: 0, place: 0 };
    else if (best !== undefined) applyCharges(store.table, best.charges, best.start, best.end, -1);
  }
  const planned = best ?? (holds ? kept : undefined);
  if (planned !== undefined && levels.times.length > 0) planned.levels = levels;
  if (best === undefined && holds) return restore(store, job, kept);
  if (best === undefined) {
    store.plan.drop(job);
    return undefined;
  }
  store.plan.set(job, best);
  return best;
}

/** Puts a lifted reservation back. */
export function restore(store: ClusterStore, job: JobRecord, kept: ReservationRecord): ReservationRecord {
  applyCharges(store.table, kept.charges, kept.start, kept.end, -1);
  store.plan.set(job, kept);
  return kept;
}

/** Whether there is still room for a reservation that takes nothing at the moment. */
export function stillFits(store: ClusterStore, job: JobRecord, kept: ReservationRecord): boolean {
  const { shape } = job.class;
  const variant = shape.open.find(({ queue }) => queue === kept.queue);
  if (variant === undefined) return false;
  // A repeating reservation that was put since has windows there that the timelines may not know yet.
  store.advance.extend(kept.end);
  if (store.advance.knownUntil < kept.end) return false;
  if (!inOneDomain(store, shape, kept.nodes) || !rulesHold(store, shape, kept)) return false;
  if (shape.concernsPods && spoilsClaims(store, shape.podSets, kept, kept.start, kept.end)) return false;
  for (const [set, nodes] of kept.nodes.entries()) {
    const group = variant.groups[shape.groupOf[set]!]!;
    if (nodes.some((node) => !mayUse(node, shape, variant, group, store))) return false;
  }
  for (const charge of kept.charges) {
    // Several charges may share a node: all of them together must fit.
    const same = kept.charges.filter(({ node }) => node === charge.node);
    const width = Math.max(...same.map(({ amounts }) => amounts.length));
    const amounts = Array.from({ length: width }, (_, index) =>
      same.reduce((sum, { amounts }) => sum + (amounts[index] ?? 0), 0),
    );
    const length = kept.end - kept.start;
    if (longestSlot([{ node: charge.node, amounts }], kept.start, length) < length) return false;
  }
  return true;
}

/** Labels of nodes may have changed since it was planned. */
function inOneDomain(store: ClusterStore, shape: Shape, nodes: readonly (readonly NodeRecord[])[]): boolean {
  const { topology } = shape.input;
  if (topology?.mode !== "Required") return true;
  const domains = store.topology.domains(topology.level);
  const all = new Set(nodes.flat().map((node) => domains.of[node.index]!));
  return all.size <= 1 && !all.has(-1);
}
