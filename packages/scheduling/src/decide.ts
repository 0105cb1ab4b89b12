import { mayUse } from "./classes.ts";
import type { JobClass, Variant } from "./classes.ts";
import { placeEarliest } from "./earliest.ts";
import { Heap } from "./heap.ts";
import { improvableOn } from "./improve.ts";
import type { NodeRecord } from "./nodes.ts";
import { obstacleOf } from "./obstacles.ts";
import { applyCharges, longestSlot, mayFitNow, place } from "./place.ts";
import { compareJobs, pendingTasks, reservationOf } from "./records.ts";
import type { JobRecord, Levels, Placement, ReservationRecord } from "./records.ts";
import { ClusterStore } from "./store.ts";
import type { ClusterState, Decisions, Reservation, Start, Time, WaitReason } from "./types.ts";

/** An overdue job is taken to last as much longer as it is overdue, within these bounds. */
const leastExtensionSeconds = 30;
const mostExtensionSeconds = 3600;

export function storeOf(state: ClusterState): ClusterStore {
  if (!(state instanceof ClusterStore)) throw new TypeError("the state was not made by createClusterState");
  return state;
}

/**
 * Decides what starts now, what is reserved, and why the rest waits. Applies its starts to the state. Deterministic: the same
 * history of events gives the same decisions.
 *
 * Jobs are taken in order (tier, priority, submit time, id). Each starts if it fits for its whole slot beside everything that
 * runs or is reserved; the first `reservationDepth` of a queue that do not are given the earliest start there is; those behind
 * are started in backfill order where they fit. A reservation once given stays or moves to the front as room is gained; it moves
 * back only for a job that comes before it in order, for capacity that was lost, or for a running job that outlived its slot,
 * never for a job that was backfilled.
 */
export function decide(state: ClusterState, now: Time): Decisions {
  return new Pass(storeOf(state), now).run();
}

class Pass {
  readonly #store: ClusterStore;
  readonly #now: Time;
  readonly #starts: Start[] = [];
  /** Reserved (or blocked) jobs of each queue so far. */
  readonly #held = new Map<string, number>();
  readonly #heads = new Set<JobRecord>();
  readonly #visited = new Set<JobRecord>();

  constructor(store: ClusterStore, now: Time) {
    this.#store = store;
    store.tick(now);
    this.#now = store.now;
  }

  run(): Decisions {
    const store = this.#store;
    this.#wake();
    const open = this.#openClasses();
    this.#passOver();
    const behind = this.#inOrder(open);
    for (const job of [...store.plan.reserved, ...store.plan.lifted]) if (!this.#visited.has(job)) store.plan.drop(job);
    if (store.policy.backfill !== "None") this.#backfill(behind);
    store.plan.endPass();
    return this.#report();
  }

  /** What the mere passing of time does: begin times, delays, deadlines, slots that are over. */
  #wake(): void {
    const store = this.#store;
    const now = this.#now;
    for (let next = store.wakes.peek(); next !== undefined && next.time <= now; next = store.wakes.peek()) {
      store.wakes.pop();
      const { job } = next;
      if (store.jobs.get(job.id) !== job) continue;
      const { deadline, wallTimeSeconds, minWallTimeSeconds } = job.input;
      const late = deadline !== undefined && now + (minWallTimeSeconds ?? wallTimeSeconds) > deadline;
      if (late && !job.expired && pendingTasks(job) > 0) {
        job.expired = true;
        store.expired.push(job.id);
      }
      store.refresh(job);
    }
    for (let next = store.ends.peek(); next !== undefined && next.time <= now; next = store.ends.peek()) {
      store.ends.pop();
      const { run, time } = next;
      if (!run.alive || run.end !== time) continue;
      if (store.policy.overdue === "Release") for (const { node } of run.charges) store.table.touch(node);
      else {
        const overdue = now - run.slotEnd;
        store.moveEnd(run, now + Math.min(Math.max(overdue, leastExtensionSeconds), mostExtensionSeconds));
      }
    }
  }

  /** Reservations of jobs that can no longer have one go first. */
  #passOver(): void {
    const store = this.#store;
    for (const job of [...store.plan.reserved, ...store.plan.lifted]) {
      if (obstacleOf(store, job.class) !== undefined) store.plan.drop(job);
    }
  }

  #openClasses(): JobClass[] {
    const open: JobClass[] = [];
    for (const jobClass of this.#store.classes.values()) {
      if (jobClass.begin === jobClass.end) continue;
      const before = jobClass.obstacle;
      const obstacle = obstacleOf(this.#store, jobClass);
      if (obstacle !== before) for (const job of jobClass.listed()) this.#store.touched.add(job);
      if (obstacle !== undefined) continue;
      jobClass.cursor = jobClass.begin;
      open.push(jobClass);
    }
    return open;
  }

  /** Starts and reserves in order until each queue has its reservations; returns the classes that are left. */
  #inOrder(open: JobClass[]): JobClass[] {
    const store = this.#store;
    const behind: JobClass[] = [];
    const heap = new Heap<JobClass>((a, b) => compareJobs(a.at(a.cursor)!, b.at(b.cursor)!) < 0, open);
    let ahead = store.plan.reserved.size;
    const queues = new Set(open.flatMap((jobClass) => jobClass.open.map(({ queue }) => queue)));
    for (let jobClass = heap.pop(); jobClass !== undefined; jobClass = heap.pop()) {
      const job = jobClass.at(jobClass.cursor)!;
      if (!jobClass.open.some((variant) => this.#mayHold(variant.queue))) {
        behind.push(jobClass);
        if ([...queues].some((queue) => this.#mayHold(queue))) continue;
        behind.push(...heap.items());
        break;
      }
      if (job.reservation !== undefined) ahead -= 1;
      else if (ahead > 0) {
        // All that are reserved and not yet visited come after this job and must not be in its way.
        for (const later of store.plan.reserved) if (!this.#visited.has(later)) store.plan.lift(later);
        ahead = 0;
      }
      this.#visited.add(job);
      const kept = job.reservation ?? job.lifted;
      let where: readonly NodeRecord[] | "Anywhere" = "Anywhere";
      if (kept !== undefined && kept.start > this.#now) {
        where = store.plan.gained || job.lifted !== undefined ? improvableOn(store, job, kept) : [];
        if (where.length === 0 && (job.reservation !== undefined || this.#stillFits(job, kept))) {
          if (job.reservation === undefined) this.#restore(job, kept);
          this.#hold(job, kept.queue);
          jobClass.cursor += 1;
          if (jobClass.cursor < jobClass.end) heap.push(jobClass);
          continue;
        }
      }
      if (job.reservation !== undefined && this.#startAsReserved(job, job.reservation)) {
        if (jobClass.cursor < jobClass.end) heap.push(jobClass);
        continue;
      }
      store.plan.lift(job);
      if (this.#tryStart(job)) {
        if (jobClass.cursor < jobClass.end) heap.push(jobClass);
        continue;
      }
      const reservation = store.policy.reservationDepth === 0 ? undefined : this.#reserve(job, kept, where);
      this.#hold(job, reservation?.queue ?? jobClass.open[0]!.queue);
      jobClass.cursor += 1;
      if (jobClass.cursor < jobClass.end) heap.push(jobClass);
    }
    return behind;
  }

  /** Whether the queue may hold another job back: it has fewer reservations than the depth, or nobody waits yet. */
  #mayHold(queue: string): boolean {
    const { reservationDepth, backfill } = this.#store.policy;
    const held = this.#held.get(queue) ?? 0;
    if (backfill === "None") return held === 0;
    return held === 0 || reservationDepth < 0 || held < reservationDepth;
  }

  #hold(job: JobRecord, queue: string): void {
    this.#heads.add(job);
    this.#held.set(queue, (this.#held.get(queue) ?? 0) + 1);
  }

  #backfill(behind: JobClass[]): void {
    const order = this.#store.policy.backfill;
    const compare = (a: JobClass, b: JobClass): number => {
      const first = a.at(a.cursor)!;
      const second = b.at(b.cursor)!;
      if (order === "Shortest") return a.slotSeconds - b.slotSeconds || compareJobs(first, second);
      if (order === "Priority") return compareJobs(first, second);
      return first.input.submitTime - second.input.submitTime || first.id - second.id;
    };
    // Nothing becomes free from here on, so a class that finds no room now finds none later in the pass.
    const fitting = behind.filter((jobClass) => mayFitNow(this.#store, jobClass));
    const heap = new Heap<JobClass>((a, b) => compare(a, b) < 0, fitting);
    for (let jobClass = heap.pop(); jobClass !== undefined; jobClass = heap.pop()) {
      const job = jobClass.at(jobClass.cursor)!;
      // What one of a class is refused, all are refused: the next of the class is not tried.
      if (this.#tryStart(job) && jobClass.cursor < jobClass.end) heap.push(jobClass);
    }
  }

  #tryStart(job: JobRecord): boolean {
    const store = this.#store;
    const jobClass = job.class;
    if (!mayFitNow(store, jobClass)) return false;
    const now = this.#now;
    for (const variant of jobClass.open) {
      const { slotSeconds, minSlotSeconds } = jobClass;
      let seconds = Math.min(slotSeconds, this.#longest(job, variant));
      let placement = this.#placeNow(jobClass, variant, seconds);
      if (placement === undefined && minSlotSeconds < seconds) {
        placement = this.#placeNow(jobClass, variant, minSlotSeconds);
        if (placement !== undefined) {
          applyCharges(store.table, placement.charges, now, now + minSlotSeconds, 1);
          seconds = longestSlot(placement.charges, now, seconds);
          applyCharges(store.table, placement.charges, now, now + seconds, -1);
        }
      }
      if (placement === undefined) continue;
      this.#start(job, placement, now + seconds);
      return true;
    }
    return false;
  }

  /** As many pods as fit, from the minimum of the gang to its full count. */
  #placeNow(jobClass: JobClass, variant: Variant, seconds: number): Placement | undefined {
    const elastic = variant.groups.some((group) => group.minPods < group.pods);
    if (!elastic) return place(this.#store, jobClass, variant, this.#now, seconds, "Full");
    // With several groups the extra pods of one must not take the room that another needs.
    for (const count of variant.groups.length === 1 ? (["Most"] as const) : (["Full", "Most", "Minimum"] as const)) {
      const placement = place(this.#store, jobClass, variant, this.#now, seconds, count);
      if (placement !== undefined) return placement;
    }
    return undefined;
  }

  /** The longest slot that the queue and the deadline allow a job whose wall time may shrink. */
  #longest(job: JobRecord, variant: Variant): number {
    const overhead = job.input.overheadSeconds ?? 0;
    const limit = this.#store.queue(variant.queue)?.maxWallTimeSeconds ?? Infinity;
    const untilDeadline = (job.input.deadline ?? Infinity) - this.#now;
    return Math.max(job.class.minSlotSeconds, Math.min(limit, untilDeadline) + overhead);
  }

  /** A reservation whose time has come is the start, if it is all that the job can get. */
  #startAsReserved(job: JobRecord, reservation: ReservationRecord): boolean {
    if (reservation.start !== this.#now) return false;
    const isElastic = job.class.podSets.some((set) => (set.minCount ?? set.count) < set.count);
    const late =
      job.input.deadline !== undefined && reservation.end > job.input.deadline + (job.input.overheadSeconds ?? 0);
    const variant = job.class.open.find(({ queue }) => queue === reservation.queue);
    if (isElastic || late || variant === undefined) return false;
    if (reservation.end - reservation.start > this.#longest(job, variant)) return false;
    this.#store.plan.claim(job);
    this.#start(job, reservation, reservation.end);
    return true;
  }

  #start(job: JobRecord, placement: Placement, end: Time): void {
    const task = job.array?.pending.first();
    this.#starts.push({
      job: job.id,
      ...(task === undefined ? {} : { task }),
      queue: placement.queue,
      nodes: placement.nodes.map((set) => set.map((node) => node.name)),
      startTime: this.#now,
      endTime: end,
      wallTimeSeconds: end - this.#now - (job.input.overheadSeconds ?? 0),
    });
    this.#store.begin(job, task, placement, this.#now, end);
  }

  /** Gives the job the earliest start there is, never later than the one it had if that still holds. */
  #reserve(
    job: JobRecord,
    kept: ReservationRecord | undefined,
    where: readonly NodeRecord[] | "Anywhere",
  ): ReservationRecord | undefined {
    const store = this.#store;
    const holds = kept !== undefined && kept.start > this.#now && this.#stillFits(job, kept);
    let best: ReservationRecord | undefined;
    const levels: Levels = { times: [], sums: [] };
    for (const variant of job.class.open) {
      if (best !== undefined) applyCharges(store.table, best.charges, best.start, best.end, 1);
      const before = best?.start ?? (holds ? kept.start : Infinity);
      const only = holds && where !== "Anywhere" ? where : undefined;
      const found = placeEarliest(store, job.class, variant, before, { levels, only });
      if (found !== undefined) best = { ...found, end: found.start + job.class.slotSeconds, testedAt: 0 };
      else if (best !== undefined) applyCharges(store.table, best.charges, best.start, best.end, -1);
    }
    const planned = best ?? (holds ? kept : undefined);
    if (planned !== undefined && levels.times.length > 0) planned.levels = levels;
    if (best === undefined && holds) return this.#restore(job, kept);
    if (best === undefined) {
      store.plan.drop(job);
      return undefined;
    }
    store.plan.set(job, best);
    return best;
  }

  #restore(job: JobRecord, kept: ReservationRecord): ReservationRecord {
    applyCharges(this.#store.table, kept.charges, kept.start, kept.end, -1);
    this.#store.plan.set(job, kept);
    return kept;
  }

  #stillFits(job: JobRecord, kept: ReservationRecord): boolean {
    const variant = job.class.open.find(({ queue }) => queue === kept.queue);
    if (variant === undefined) return false;
    const group = variant.groups[0]!;
    for (const charge of kept.charges) {
      if (!mayUse(charge.node, job.class, variant, group, this.#store)) return false;
      // Several charges may share a node: all of them together must fit.
      const same = kept.charges.filter(({ node }) => node === charge.node);
      const amounts = charge.amounts.map((_, index) => same.reduce((sum, { amounts }) => sum + amounts[index]!, 0));
      const length = kept.end - kept.start;
      if (longestSlot([{ node: charge.node, amounts }], kept.start, length) < length) return false;
    }
    return true;
  }

  #report(): Decisions {
    const store = this.#store;
    for (const job of this.#heads) if (!store.heads.has(job)) store.touched.add(job);
    for (const job of store.heads) if (!this.#heads.has(job)) store.touched.add(job);
    store.heads = this.#heads;
    const reservations: Reservation[] = [];
    const unreserved: number[] = [];
    const waiting: Decisions["waiting"] = [];
    for (const job of store.touched) {
      if (store.jobs.get(job.id) !== job) continue;
      const waits = pendingTasks(job) > 0;
      const { reservation } = job;
      if (reservation !== undefined && !isSame(job.reported, reservation))
        reservations.push(reservationOf(job, reservation));
      if (reservation === undefined && job.reported !== undefined && waits) unreserved.push(job.id);
      job.reported = reservation;
      if (!waits) job.reason = "None";
      else {
        const reason = this.#reasonOf(job);
        if (reason !== job.reason) waiting.push({ job: job.id, reason });
        job.reason = reason;
      }
    }
    store.touched.clear();
    const expired = store.expired;
    store.expired = [];
    return {
      starts: this.#starts,
      preemptions: [],
      reservations,
      unreserved,
      waiting,
      expired,
      nextWake: this.#nextWake(),
    };
  }

  #reasonOf(job: JobRecord): WaitReason {
    if (!job.listed) return this.#store.ownReason(job) ?? "None";
    return job.class.obstacle ?? (this.#heads.has(job) ? "Resources" : "Priority");
  }

  #nextWake(): Time | undefined {
    const store = this.#store;
    let next = store.wakes.peek()?.time ?? Infinity;
    for (const job of store.plan.reserved) next = Math.min(next, job.reservation!.start);
    if (store.policy.overdue === "Extend") {
      for (let end = store.ends.peek(); end !== undefined; end = store.ends.peek()) {
        if (end.run.alive && end.run.end === end.time) {
          next = Math.min(next, end.time);
          break;
        }
        store.ends.pop();
      }
    }
    return next === Infinity ? undefined : next;
  }
}

function isSame(a: ReservationRecord | undefined, b: ReservationRecord): boolean {
  if (a === b) return true;
  if (a === undefined || a.start !== b.start || a.queue !== b.queue) return false;
  return a.nodes.every((set, index) => {
    const other = b.nodes[index]!;
    return set.length === other.length && set.every((node, pod) => node === other[pod]);
  });
}
