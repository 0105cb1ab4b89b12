import { AdvanceReservations } from "./advance-reservations.ts";
import { applyCharges } from "./charges.ts";
import { copyState } from "./copy-state.ts";
import { withCores } from "./devices.ts";
import { SchedulingError } from "./error.ts";
import { Heap } from "./heap.ts";
import { applyRun, inOrder, planResume, split } from "./suspensions.ts";
import { JobStore } from "./job-store.ts";
import { onNodes, pendingTasks, placementOf, reservationOf } from "./records.ts";
import type { JobRecord, Placement, Run } from "./records.ts";
import type { ClusterState, Ending } from "./state-types.ts";
import type { Allocation, Reservation, TaskRuns, Time, WaitReason } from "./types.ts";
import type { Rate } from "./usage.ts";

export function storeOf(state: ClusterState): ClusterStore {
  if (!(state instanceof ClusterStore)) throw new TypeError("the state was not made by createClusterState");
  return state;
}

/** Until it is charged. */
const noRate: Rate = { billing: 0, amounts: [] };

/** The state behind {@link ClusterState}: public methods take events, the fields are for `decide`, `explain` and `forecast`. */
export class ClusterStore extends JobStore implements ClusterState {
  readonly advance = new AdvanceReservations(this);
  readonly ends = new Heap<{ time: Time; run: Run }>(
    (a, b) =>
      a.time < b.time ||
      (a.time === b.time && (a.run.job.id - b.run.job.id || (a.run.task ?? -1) - (b.run.task ?? -1)) < 0),
  );
  running = 0;
  /** Runs that stand still for others, or are told to. */
  readonly standing = new Set<Run>();
  /** A decision ends after so many starts, whatever else could start or be reserved: for estimates that are made in pieces. */
  mostStarts = Infinity;
  /** Equal tasks of an array that start at the same instant are one start: for estimates, of which nobody asks where each runs. */
  startsTogether = false;

  // --- running jobs

  startJob(id: number, allocation: Allocation, task?: number, more: readonly number[] = []): void {
    this.settled = undefined;
    const job = this.known(id);
    for (const each of [task, ...more]) this.#requirePending(job, each);
    const placement = placementOf(this.table, job, allocation);
    const { startTime, endTime } = allocation;
    applyCharges(this.table, placement.charges, startTime, endTime, -1);
    this.begin(job, task, placement, startTime, endTime, more.length === 0 ? undefined : [task!, ...more]);
    for (const { node } of placement.charges) this.plan.repair(node, this.now);
  }

  /**
   * A job begins on a placement that is taken out of the timelines already. `tasks`: all of a lease. `together`: so many of its tasks
   * begin, which the placement is for.
   */
  begin(
    job: JobRecord,
    task: number | undefined,
    placement: Placement,
    start: Time,
    end: Time,
    tasks?: Iterable<number>,
    together = 1,
  ): Run {
    const { charges, nodes, queue } = onNodes(placement);
    const { groups } = job.class.shape.variants[0]!;
    const cpu = this.resources.indexOf("cpu");
    const grants = withCores(
      { nodes, grants: placement.grants },
      (set) => groups[job.class.shape.groupOf[set]!]!.request[cpu] ?? 0,
    );
    const run: Run = {
      charges,
      nodes,
      grants,
      queue,
      job,
      task,
      start,
      slotEnd: end,
      end,
      rate: noRate,
      chargedFrom: start,
      alive: true,
    };
    this.pods.add(run);
    job.reported = undefined;
    if (job.reservation !== undefined || job.lifted !== undefined) this.plan.drop(job);
    job.runs ??= new Map();
    if (tasks !== undefined) {
      run.tasks = new Set(tasks);
      job.sharing += run.tasks.size - 1;
    }
    if (together > 1) {
      run.together = job.array!.pending.takeLowest(together);
      job.sharing -= together - 1;
      job.runs.set(task!, run);
    }
    for (const each of together > 1 ? [] : (run.tasks ?? [task])) {
      job.runs.set(each ?? -1, run);
      if (each === undefined) continue;
      const { pending, blocked, never } = job.array!;
      if (pending.first() === each) pending.take();
      else for (const set of [pending, blocked, never]) set.remove(each);
    }
    job.lastStart = start;
    this.charging.begin(run, this.now);
    this.runGroups.add(this, run);
    this.running += 1;
    for (const { node } of run.charges) node.runs.add(run);
    this.ends.push({ time: end, run });
    if (this.ends.size > 1024 + 4 * this.running) this.ends.retain((end) => end.run.alive && end.run.end === end.time);
    this.refresh(job);
    this.links.tell(job);
    return run;
  }

  setEnd(id: number, endTime: Time, now: Time, task?: number): void {
    this.settled = undefined;
    const run = this.#runOf(this.known(id), task);
    this.tick(now);
    const { suspended } = run;
    if (suspended !== undefined) {
      suspended.leftSeconds = Math.max(1, endTime - this.now);
      suspended.slotEnd = suspended.until + suspended.leftSeconds;
      planResume(this, run);
      return;
    }
    run.slotEnd = endTime;
    this.moveEnd(run, endTime);
  }

  /** Moves the assumed end of a run and mends the timelines. */
  moveEnd(run: Run, end: Time): void {
    if (end === run.end) return;
    const later = end > run.end;
    applyCharges(
      this.table,
      run.charges,
      Math.max(this.now, later ? run.end : end),
      later ? end : run.end,
      later ? -1 : 1,
    );
    this.charging.move(run, end, this.now);
    run.end = end;
    this.ends.push({ time: end, run });
    if (later) for (const { node } of run.charges) this.plan.repair(node, this.now);
    else this.plan.gained = true;
  }

  setCheckpoint(id: number, time: Time, task?: number): void {
    this.settled = undefined;
    this.#runOf(this.known(id), task).checkpoint = time;
  }

  suspendJob(id: number, now: Time, task?: number, by = 0): void {
    this.settled = undefined;
    const run = this.#runOf(this.known(id), task);
    this.tick(now);
    if (run.suspended?.isStill === true) return;
    applyRun(this, run, 1);
    const { suspended } = run;
    const { slotEnd } = suspended ?? { slotEnd: run.end };
    run.suspended = {
      ...(suspended ?? { by, since: now, ...split(this, run), resume: Math.min(now, run.end) }),
      isStill: true,
      until: this.now,
      slotEnd,
      leftSeconds: Math.max(1, slotEnd - this.now),
      seen: undefined,
    };
    applyRun(this, run, -1);
    this.standing.add(run);
    this.charging.setCharged(run, false, this.now);
    this.plan.gained = true;
  }

  resumeJob(id: number, now: Time, task?: number): void {
    this.settled = undefined;
    const run = this.#runOf(this.known(id), task);
    this.tick(now);
    if (run.suspended === undefined) return;
    const { isStill, leftSeconds, slotEnd } = run.suspended;
    applyRun(this, run, 1);
    const end = isStill ? this.now + leftSeconds : Math.max(this.now + 1, slotEnd);
    this.charging.move(run, end, this.now);
    run.end = end;
    run.slotEnd = end;
    run.suspended.resume = this.now;
    this.ends.push({ time: end, run });
    applyRun(this, run, -1);
    this.goOn(run);
    for (const { node } of run.charges) this.plan.repair(node, this.now);
    this.plan.gained = true;
  }

  /** A suspended run has its cores, in the timelines too. */
  goOn(run: Run): void {
    run.suspended = undefined;
    this.standing.delete(run);
    this.charging.setCharged(run, true, this.now);
  }

  setCharged(id: number, isCharged: boolean, now: Time, task?: number): void {
    const run = this.#runOf(this.known(id), task);
    this.tick(now);
    if (run.suspended === undefined) this.charging.setCharged(run, isCharged, this.now);
  }

  suspension(id: number, task?: number): ReturnType<ClusterState["suspension"]> {
    const suspended = this.jobs.get(id)?.runs?.get(task ?? -1)?.suspended;
    return suspended && { by: suspended.by, since: suspended.since, resume: suspended.resume };
  }

  endJob(id: number, now: Time, ending: Ending): void {
    this.settled = undefined;
    const job = this.known(id);
    const run = this.#runOf(job, ending.task);
    this.tick(now);
    const { task } = ending;
    job.runs!.delete(task ?? -1);
    run.tasks?.delete(task!);
    if ((run.tasks?.size ?? 0) > 0) job.sharing -= 1;
    else this.#release(run);
    this.touched.add(job);
    if (ending.requeue === true) {
      if (task !== undefined) job.array!.pending.add(task);
      this.watchDeadline(job);
      this.refresh(job);
      return;
    }
    if (job.array === undefined) {
      this.drop(job, ending.ok);
      return;
    }
    (ending.ok ? job.array.ok : job.array.notOk).add(task!);
    this.links.tellFellows(job, task!, task!, ending.ok);
    this.charging.count(job, this.now);
    this.settle(job);
  }

  /** Tasks that began together end well. */
  #endTogether(run: Run, tasks: TaskRuns, now: Time): void {
    const { job } = run;
    this.settled = undefined;
    this.tick(now);
    job.runs!.delete(run.task!);
    job.sharing -= 1;
    this.#release(run);
    this.touched.add(job);
    for (const [first, last] of tasks) {
      job.sharing += last - first + 1;
      job.array!.ok.add(first, last);
    }
    this.charging.count(job, this.now);
    this.settle(job);
  }

  /** Gives back what a run held. */
  #release(run: Run): void {
    run.alive = false;
    this.charging.end(run, this.now);
    this.runGroups.remove(run);
    this.running -= 1;
    this.pods.remove(run);
    for (const { node } of run.charges) node.runs.delete(run);
    this.standing.delete(run);
    if (run.end > this.now) applyRun(this, run, 1);
    else for (const { node } of run.charges) this.table.touch(node);
    this.plan.gained = true;
  }

  // --- questions

  has(id: number): boolean {
    return this.jobs.has(id);
  }

  reason(id: number): WaitReason | undefined {
    const job = this.jobs.get(id);
    return job === undefined || pendingTasks(job) === 0 ? undefined : job.reason;
  }

  reservation(id: number): Reservation | undefined {
    const job = this.jobs.get(id);
    const kept = job?.reservation ?? job?.claims?.[0];
    return kept === undefined ? undefined : reservationOf(job!, kept);
  }

  reservations(): Reservation[] {
    const claiming = new Set([...this.claims].map(({ job }) => job));
    return [...this.plan.reserved, ...claiming]
      .map((job) => reservationOf(job, job.reservation ?? job.claims![0]!))
      .sort((a, b) => a.startTime - b.startTime || a.job - b.job);
  }

  hasPending(): boolean {
    for (const { begin, end } of this.classTable.classes.values()) if (begin < end) return true;
    for (const job of this.jobs.values()) if (pendingTasks(job) > 0) return true;
    return false;
  }

  counts(): ReturnType<ClusterState["counts"]> {
    let pendingJobs = 0;
    let tasks = 0;
    for (const job of this.jobs.values()) {
      const pending = pendingTasks(job);
      if (pending > 0) pendingJobs += 1;
      tasks += pending;
    }
    const nodes = [...this.table.byName.values()].filter((node) => node.state !== "Gone").length;
    return { nodes, pendingJobs, pendingTasks: tasks, running: this.running };
  }

  // --- for decide and forecast

  /** At a time has those stand still that were to until another. */
  #standStillUntil(until: Time, time: Time): void {
    for (const { job, task, suspended } of inOrder(this.standing)) {
      if (!suspended!.isStill && suspended!.until <= until) this.suspendJob(job.id, time, task);
    }
  }

  /** At a time ends all runs well whose assumed end comes until another. */
  endAllUntil(until: Time, time = until): void {
    if (this.standing.size > 0) this.#standStillUntil(until, time);
    for (let end = this.ends.peek(); end !== undefined && end.time <= until; end = this.ends.peek()) {
      this.ends.pop();
      const { run } = end;
      if (!run.alive || run.end !== end.time) continue;
      if (run.together !== undefined) {
        this.#endTogether(run, run.together, time);
        continue;
      }
      const requeue = run.preempted !== undefined && run.preempted.mode !== "Cancel";
      for (const task of run.tasks ?? [run.task]) this.endJob(run.job.id, time, { task, ok: true, requeue });
    }
  }

  /** A state with the same future that shares nothing that changes. */
  copy(): ClusterStore {
    const copying = this.copying();
    for (;;) {
      const step = copying.next();
      if (step.done === true) return step.value;
    }
  }

  /** The same in pieces: as the state was when the first was done. */
  *copying(): Generator<undefined, ClusterStore> {
    this.advance.settle();
    const copy = new ClusterStore({ ...this.options, policy: this.policy }, this.answers);
    this.charging.settle(this.now);
    yield* copyState(this, copy);
    return copy;
  }

  #runOf(job: JobRecord, task: number | undefined): Run {
    const run = job.runs?.get(task ?? -1);
    if (run === undefined)
      throw new SchedulingError(`job ${job.id}${task === undefined ? "" : `, task ${task},`} does not run`);
    return run;
  }

  #requirePending(job: JobRecord, task: number | undefined): void {
    const { array } = job;
    if (array === undefined && task === undefined && pendingTasks(job) === 1) return;
    if (array !== undefined && task !== undefined && !(job.runs?.has(task) ?? false)) return;
    throw new SchedulingError(`job ${job.id}${task === undefined ? "" : `, task ${task},`} is not pending`);
  }
}
