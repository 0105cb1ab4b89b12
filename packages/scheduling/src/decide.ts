import { settleClaims } from "./claims.ts";
import { resumeDue, settleSuspensions } from "./suspensions.ts";
import { compareHeads } from "./classes.ts";
import type { JobClass } from "./classes.ts";
import { Heap } from "./heap.ts";
import { improvableOn } from "./improve.ts";
import type { NodeRecord } from "./nodes.ts";
import { obstacleOf } from "./obstacles.ts";
import { ClassOrder } from "./order.ts";
import { rulesHold } from "./keep-rules.ts";
import { mayFitAtAll, mayFitNow } from "./room.ts";
import { PreemptionPass } from "./preemption.ts";
import { compareJobs, rankNow } from "./priority.ts";
import { isRuled, lacksPods } from "./rule-views.ts";
import type { JobRecord } from "./records.ts";
import { countsOnPods, wantsPods } from "./pod-rules.ts";
import { Refusals } from "./refusals.ts";
import { report } from "./report.ts";
import { blockOf, closureOf, reservationObstacle } from "./reservation-blocks.ts";
import { reserve, restore, startAsPlanned, startAsReserved, startNow, stillFits } from "./starting.ts";
import { lineOf } from "./shape.ts";
import type { Shape } from "./shape.ts";
import { storeOf } from "./store.ts";
import type { ClusterStore } from "./store.ts";
import type { ClusterState } from "./state-types.ts";
import type { Decisions, Start, Time, WaitReason } from "./types.ts";
import { wake } from "./wake.ts";

/**
 * Decides what starts now, what is reserved, and why the rest waits. Applies its starts to the state. Deterministic: the same
 * history of events gives the same decisions.
 *
 * Jobs are taken in order (tier, priority, submit time, id). Each starts if it fits for its whole slot beside everything that
 * runs or is reserved; the first `reservationDepth` of a queue that do not are given the earliest start there is; those behind
 * are started in backfill order where they fit. A reservation once given stays or moves to the front as room is gained; it moves
 * back only for a job that comes before it in order, for capacity that was lost (to an advance reservation too), for a running job
 * that outlived its slot, or for one that preempts; never for a job that was backfilled. Limits are counted as they are, not planned:
 * a job that has no reservation and is limited holds nobody back; one that has one keeps it until its time comes, and loses it if
 * a limit is still reached then. A job that finds no room may have others make room ({@link PreemptionPass}); what they leave it has
 * before all others. One that is suspended for another goes on where it is as soon as there is room, before all who may not preempt it.
 */
export function decide(state: ClusterState, now: Time): Decisions {
  return new Pass(storeOf(state), now).run();
}

class Pass {
  readonly #store: ClusterStore;
  readonly #now: Time;
  readonly #starts: Start[] = [];
  /** Reserved (or blocked) jobs of each line ({@link lineOf}) so far. */
  readonly #held = new Map<string, number>();
  readonly #heads = new Set<JobRecord>();
  readonly #visited = new Set<JobRecord>();
  readonly #preemption: PreemptionPass;
  /** Classes whose affinity asks for pods that are not there. */
  readonly #lacking: JobClass[] = [];
  /** Some affinity asks for more or other pods than there are. */
  #stuck = false;

  constructor(store: ClusterStore, now: Time) {
    this.#store = store;
    store.tick(now);
    this.#now = store.now;
    this.#preemption = new PreemptionPass(store);
  }

  run(): Decisions {
    const store = this.#store;
    store.advance.settle();
    wake(store);
    if (store.claims.size > 0) this.#starts.push(...settleClaims(store));
    settleSuspensions(store);
    rankNow(store);
    const open = this.#openClasses();
    this.#passOver();
    const behind = this.#inOrder(open);
    for (const job of [...store.plan.reserved, ...store.plan.lifted]) if (!this.#visited.has(job)) store.plan.drop(job);
    if (store.policy.backfill !== "None") this.#backfill(behind);
    store.plan.endPass();
    const { preemptions, retryAt } = this.#preemption;
    // Those that were visited before may move to where their victims leave more than is needed.
    if (preemptions.length > 0) store.plan.gained = true;
    this.#noteBlocks(open);
    const resumptions = resumeDue(store);
    const told = report(store, this.#heads);
    // What started or was reserved in this very pass may be what they wait for.
    const soon = this.#now + 1;
    const came = this.#starts.some(({ job }) => store.jobs.get(job)?.class.shape.concernsPods === true);
    const mayGo =
      (came && (this.#stuck || [...this.#heads].some(({ input }) => countsOnPods(input.podSets)))) ||
      this.#lacking.some(({ shape }) => !lacksPods(store, shape));
    if (mayGo && !(told.nextWake !== undefined && told.nextWake < soon)) told.nextWake = soon;
    if (retryAt < (told.nextWake ?? Infinity)) told.nextWake = retryAt;
    store.settled = { nextWake: told.nextWake };
    return { starts: this.#starts, preemptions, resumptions, ...told };
  }

  /** Sets a class aside that waits for pods to be there, as one that waits for a dependency. */
  #lacksPods(jobClass: JobClass): boolean {
    if (!jobClass.shape.concernsPods || !lacksPods(this.#store, jobClass.shape)) return false;
    jobClass.found = "PodAffinity";
    this.#lacking.push(jobClass);
    return true;
  }

  /** Reservations of jobs that can no longer have one go first. */
  #passOver(): void {
    const store = this.#store;
    for (const job of [...store.plan.reserved, ...store.plan.lifted]) {
      if (job.class.found !== undefined) store.plan.drop(job);
    }
  }

  #openClasses(): JobClass[] {
    const open: JobClass[] = [];
    for (const jobClass of this.#store.classTable.classes.values()) {
      if (jobClass.begin === jobClass.end) continue;
      const ofShape = obstacleOf(this.#store, jobClass.shape);
      jobClass.found = reservationObstacle(this.#store, jobClass) ?? ofShape ?? closureOf(this.#store, jobClass.shape);
      jobClass.limitHit = undefined;
      if (jobClass.found !== undefined) continue;
      jobClass.cursor = jobClass.begin;
      open.push(jobClass);
    }
    return open;
  }

  /** Which classes wait only for what advance reservations keep from them. */
  #noteBlocks(open: JobClass[]): void {
    const store = this.#store;
    const blocks = new Map<Shape, WaitReason | undefined>();
    const isReserved = store.advance.boundary < Infinity;
    for (const jobClass of open) {
      if (jobClass.begin === jobClass.end) continue;
      const { shape } = jobClass;
      if (isReserved && !blocks.has(shape)) blocks.set(shape, blockOf(store, shape));
      const block = blocks.get(shape);
      if (block !== jobClass.block) for (const job of jobClass.listed()) store.touched.add(job);
      jobClass.block = block;
    }
    for (const job of this.#heads) {
      const block = blockOf(store, job.class.shape, job.reservation);
      if (block !== job.block) store.touched.add(job);
      job.block = block;
    }
  }

  /** Starts and reserves in order until each queue has its reservations; returns the classes that are left. */
  #inOrder(open: JobClass[]): JobClass[] {
    const store = this.#store;
    const behind: JobClass[] = [];
    const order = new ClassOrder(store, open);
    const reserved = [...store.plan.reserved].sort((a, b) => a.reservation!.place - b.reservation!.place);
    let next = 0;
    let lines: Set<string> | undefined;
    for (let jobClass = order.pop(); jobClass !== undefined; jobClass = order.pop()) {
      if (this.#isFull()) break;
      const job = jobClass.at(jobClass.cursor)!;
      if (this.#lacksPods(jobClass)) continue;
      if (!jobClass.shape.open.some(({ line }) => this.#mayHold(line))) {
        behind.push(jobClass);
        lines ??= new Set(open.flatMap(({ shape }) => shape.open.map(({ line }) => line)));
        if (lines.values().some((line) => this.#mayHold(line))) continue;
        behind.push(...order.rest());
        break;
      }
      this.#visited.add(job);
      const isLimited = this.#isLimited(jobClass);
      if (isLimited && ((job.reservation ?? job.lifted)?.start ?? -Infinity) <= this.#now) {
        store.plan.drop(job);
        continue;
      }
      if (reserved[next] === job) {
        do next += 1;
        while (next < reserved.length && this.#visited.has(reserved[next]!));
      } else if (next < reserved.length) {
        // All that hold a reservation and were not visited yet come after this job and must not be in its way.
        for (const later of reserved) if (!this.#visited.has(later)) store.plan.lift(later);
        store.plan.gained = true;
        next = reserved.length;
      }
      const kept = job.reservation ?? job.lifted;
      if (isLimited) {
        // What was started since it was reserved uses up a limit, perhaps no longer when its time comes.
        if (job.reservation === undefined && !stillFits(store, job, kept!)) {
          store.plan.drop(job);
          continue;
        }
        if (job.reservation === undefined) restore(store, job, kept!);
        this.#hold(job, kept!.queue);
        jobClass.cursor += 1;
        if (jobClass.cursor < jobClass.end) order.push(jobClass);
        continue;
      }
      let where: readonly NodeRecord[] | "Anywhere" = "Anywhere";
      const ruled = isRuled(store, jobClass.shape);
      if (ruled && kept !== undefined) {
        // What others do changes where it may go: it is looked at anew, with nobody that comes after it in its way.
        if (kept.start > this.#now && !rulesHold(store, jobClass.shape, kept)) {
          for (const later of store.plan.reserved) if (!this.#visited.has(later)) store.plan.lift(later);
        }
        store.plan.gained = true;
      } else if (kept !== undefined && kept.start > this.#now) {
        where = store.plan.gained || job.lifted !== undefined ? improvableOn(store, job, kept) : [];
        if (where.length === 0 && (job.reservation !== undefined || stillFits(store, job, kept))) {
          if (this.#preemption.mayPreempt(jobClass)) {
            store.plan.lift(job);
            if (this.#preemption.attempt(job)) {
              if (jobClass.cursor < jobClass.end) order.push(jobClass);
              continue;
            }
          }
          if (job.reservation === undefined) restore(store, job, kept);
          this.#hold(job, kept.queue);
          jobClass.cursor += 1;
          if (jobClass.cursor < jobClass.end) order.push(jobClass);
          continue;
        }
      }
      let start = startAsReserved(store, job);
      if (start === undefined) {
        store.plan.lift(job);
        // What is reserved behind it stands beside its own reservation; for a next task of its array, which has none, that makes way.
        const isAlone = next < reserved.length;
        start = startNow(store, job, isAlone) ?? startAsPlanned(store, job, kept);
      }
      if (start !== undefined) {
        this.#starts.push(start);
        order.started(jobClass);
        if (jobClass.cursor < jobClass.end) order.push(jobClass);
        continue;
      }
      if (jobClass.limitHit !== undefined) {
        store.plan.drop(job);
        continue;
      }
      if (this.#preemption.attempt(job)) {
        if (jobClass.cursor < jobClass.end) order.push(jobClass);
        continue;
      }
      const reservation = store.policy.reservationDepth === 0 ? undefined : reserve(store, job, kept, where);
      if (reservation === undefined && store.policy.reservationDepth !== 0 && ruled && wantsPods(job.input.podSets)) {
        // Where such pods are there will be no room as things stand: it waits for others to come, and holds nobody back.
        jobClass.found = "PodAffinity";
        this.#stuck = true;
        continue;
      }
      this.#hold(job, reservation?.queue ?? jobClass.shape.open[0]!.queue);
      jobClass.cursor += 1;
      if (jobClass.cursor < jobClass.end) order.push(jobClass);
    }
    return behind;
  }

  /** Whether a limit keeps all of the class from starting now: they hold nobody back, as those with another obstacle. */
  #isLimited(jobClass: JobClass): boolean {
    jobClass.limitHit = this.#store.charging.limitOf(jobClass, this.#now);
    return jobClass.limitHit !== undefined;
  }

  #isFull(): boolean {
    return this.#starts.length >= this.#store.mostStarts;
  }

  /** Whether the queue may hold another job back: it has fewer reservations than the depth, or nobody waits yet. */
  #mayHold(line: string): boolean {
    const { reservationDepth, backfill } = this.#store.policy;
    const held = this.#held.get(line) ?? 0;
    if (backfill === "None") return held === 0;
    return held === 0 || reservationDepth < 0 || held < reservationDepth;
  }

  #hold(job: JobRecord, queue: string): void {
    if (job.reservation !== undefined) job.reservation.place = this.#heads.size;
    this.#heads.add(job);
    const line = lineOf(queue, job.class.shape.input);
    this.#held.set(line, (this.#held.get(line) ?? 0) + 1);
  }

  #backfill(behind: JobClass[]): void {
    const store = this.#store;
    // Nothing becomes free from here on, so a class that finds no room now finds none later in the pass.
    const hopeful = behind.filter((jobClass) => !this.#lacksPods(jobClass) && mayFitAtAll(store, jobClass.shape));
    const order = backfillOrder(store, hopeful);
    const refusals = new Refusals(store.table);
    for (let jobClass = order.pop(); jobClass !== undefined; jobClass = order.pop()) {
      if (this.#isFull()) return;
      // Only now: those before it have taken most of what became free, so that there is little left to look at.
      const { shape } = jobClass;
      if (refusals.covers(shape)) continue;
      if (!mayFitNow(store, shape)) {
        refusals.add(shape);
        continue;
      }
      if (this.#isLimited(jobClass)) continue;
      const start = startNow(store, jobClass.at(jobClass.cursor)!);
      // What one of a class is refused, all are refused: the next of the class is not tried.
      if (start === undefined) {
        if (jobClass.limitHit === undefined) refusals.add(shape);
        continue;
      }
      this.#starts.push(start);
      order.started(jobClass);
      if (jobClass.cursor < jobClass.end) order.push(jobClass);
    }
    if (!this.#isFull()) this.#preemptBehind(behind);
  }

  /** Those behind may have others make room too, where that is in the way of nobody who is reserved. */
  #preemptBehind(behind: JobClass[]): void {
    const able = behind.filter(
      (of) => of.cursor < of.end && of.limitHit === undefined && this.#preemption.mayPreempt(of),
    );
    able.sort((a, b) => compareJobs(this.#store, a.at(a.cursor)!, b.at(b.cursor)!));
    for (const jobClass of able) {
      if (this.#lacking.includes(jobClass)) continue;
      while (jobClass.cursor < jobClass.end && !this.#isLimited(jobClass)) {
        if (!this.#preemption.attempt(jobClass.at(jobClass.cursor)!)) break;
      }
    }
  }
}

function backfillOrder(store: ClusterStore, classes: JobClass[]): BackfillOrder {
  const order = store.policy.backfill;
  if (order === "Priority") return new ClassOrder(store, classes);
  const before =
    order === "Arrival"
      ? (a: JobClass, b: JobClass): boolean => compareHeads(a, b) < 0
      : (a: JobClass, b: JobClass): boolean =>
          (a.shape.slotSeconds - b.shape.slotSeconds || compareJobs(store, a.at(a.cursor)!, b.at(b.cursor)!)) < 0;
  for (const jobClass of classes) jobClass.come();
  const heap = new Heap(before, classes);
  const push = (jobClass: JobClass): void => {
    jobClass.come();
    heap.push(jobClass);
  };
  return { pop: () => heap.pop(), push, started: () => {} };
}

interface BackfillOrder {
  pop(): JobClass | undefined;
  push(jobClass: JobClass): void;
  started(jobClass: JobClass): void;
}
