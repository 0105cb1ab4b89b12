import type { AccountInput, MembershipInput, QualityOfServiceInput, UsageRecord } from "./account-types.ts";
import { AdvanceReservations } from "./advance-reservations.ts";
import { checkPriorityPolicy, checkQueue } from "./account-validation.ts";
import { Accounts } from "./accounts.ts";
import { Charging } from "./charging.ts";
import { ClassTable } from "./class-table.ts";
import type { Claim } from "./claims.ts";
import { copyState } from "./copy-state.ts";
import { DependencyLinks } from "./dependency-links.ts";
import { SchedulingError } from "./error.ts";
import { Heap } from "./heap.ts";
import { NodeTable } from "./nodes.ts";
import type { NodeRecord } from "./nodes.ts";
import { ownReason } from "./own-reason.ts";
import { withCores } from "./devices.ts";
import { applyCharges } from "./charges.ts";
import type { PlacementContext } from "./room.ts";
import { newArray, newRecord, pendingTasks, onNodes, placementOf, reservationOf } from "./records.ts";
import type { JobRecord, Placement, Run } from "./records.ts";
import { priorityRules } from "./priority.ts";
import type { PriorityRules } from "./priority.ts";
import { PodIndex } from "./pod-rules.ts";
import { PreemptionBounds } from "./preemption-bounds.ts";
import { RunGroups } from "./preemption-rules.ts";
import { ReservationPlan } from "./reservation-plan.ts";
import type { AdvanceReservation, AdvanceReservationInput } from "./reservation-types.ts";
import { RunSet } from "./runs.ts";
import { dense } from "./shape.ts";
import { Topology } from "./topology.ts";
import type { ClusterOptions, ClusterState, Ending } from "./state-types.ts";
import type {
  Allocation,
  JobInput,
  NodeInput,
  Policy,
  QueueInput,
  Reservation,
  TaskRuns,
  Time,
  WaitReason,
} from "./types.ts";
import type { Rate } from "./usage.ts";
import { checkJob, checkVector } from "./validation.ts";

export function storeOf(state: ClusterState): ClusterStore {
  if (!(state instanceof ClusterStore)) throw new TypeError("the state was not made by createClusterState");
  return state;
}

interface Totals {
  nodes: number;
  amounts: number[];
}

/** Until it is charged. */
const noRate: Rate = { billing: 0, amounts: [] };

const defaultPolicy: Policy = { reservationDepth: 1, backfill: "Arrival", overdue: "Extend" };

/** The state behind {@link ClusterState}: public methods take events, the fields are for `decide`, `explain` and `forecast`. */
export class ClusterStore implements ClusterState, PlacementContext {
  readonly resources: readonly string[];
  policy: Policy;
  readonly options: ClusterOptions;
  /** Indices of the resources that are made of single devices. */
  readonly deviceResources: ReadonlySet<number>;
  /** Levels of the topology, the largest domains first. */
  readonly topology: Topology;
  /** Runs that rules between pods can mean. */
  readonly pods = new PodIndex();
  licences: Readonly<Record<string, number>> = {};
  readonly table: NodeTable;
  readonly plan: ReservationPlan;
  /** What others are leaving for jobs that preempted them. */
  readonly claims = new Set<Claim>();
  readonly runGroups = new RunGroups();
  readonly preemptionBounds = new PreemptionBounds();
  readonly advance = new AdvanceReservations(this);
  readonly queues = new Map<string, QueueInput>();
  readonly classTable: ClassTable;
  readonly jobs = new Map<number, JobRecord>();
  readonly links = new DependencyLinks(this.jobs, (job) => this.refresh(job));
  now: Time = -Infinity;
  /** Grows when something changes that can be an obstacle to a whole class: queues, nodes. */
  version = 0;
  readonly accounts: Accounts;
  readonly charging: Charging;
  rules: PriorityRules;
  /** Grows when the part of priorities changes that does not change with time. */
  priorityVersion = 0;
  largestQueueFactor = 0;
  #totals: Totals = { nodes: 0, amounts: [] };
  #totalsVersion = -1;
  readonly touched = new Set<JobRecord>();
  /** Waiting jobs whose turn it is. */
  heads = new Set<JobRecord>();
  expired: number[] = [];
  readonly wakes = new Heap<{ time: Time; job: JobRecord }>(
    (a, b) => a.time < b.time || (a.time === b.time && a.job.id < b.job.id),
  );
  readonly ends = new Heap<{ time: Time; run: Run }>(
    (a, b) =>
      a.time < b.time ||
      (a.time === b.time && (a.run.job.id - b.run.job.id || (a.run.task ?? -1) - (b.run.task ?? -1)) < 0),
  );
  running = 0;
  /** A decision ends after so many starts, whatever else could start or be reserved: for estimates that are made in pieces. */
  mostStarts = Infinity;
  /** Equal tasks of an array that start at the same instant are one start: for estimates, of which nobody asks where each runs. */
  startsTogether = false;
  /** The last decision and what it said of the next, as long as nothing was told since: to decide again would be for nothing. */
  settled: { nextWake: Time | undefined } | undefined = undefined;
  readonly #matches: Map<string, Map<string, boolean>>;

  /** `matches` are answers that are known already. */
  constructor(options: ClusterOptions, matches = new Map<string, Map<string, boolean>>()) {
    this.options = options;
    this.resources = options.resources.slice();
    this.policy = { ...defaultPolicy, ...options.policy };
    checkPriorityPolicy(this.policy.priority ?? {});
    this.rules = priorityRules(this.policy.priority ?? {});
    const devices = (options.devices ?? []).map((name) => this.resources.indexOf(name)).filter((index) => index >= 0);
    this.deviceResources = new Set(devices);
    this.table = new NodeTable(this.resources, this.deviceResources);
    this.topology = new Topology(this.table);
    const kinds = { resources: this.resources, devices: this.deviceResources };
    const queueOf = (name: string): QueueInput | undefined => this.queues.get(name);
    this.accounts = new Accounts(this.resources, queueOf);
    this.accounts.halfLifeSeconds = this.rules.halfLifeSeconds;
    this.charging = new Charging(this.accounts, this.jobs, queueOf, this.resources.length);
    this.classTable = new ClassTable(kinds, (queue) => this.queues.get(queue)?.tier ?? 1, this.accounts);
    this.plan = new ReservationPlan(this.table, this.touched);
    this.#matches = matches;
  }

  // --- policy, nodes, queues

  setPolicy(policy: Partial<Policy>): void {
    this.settled = undefined;
    checkPriorityPolicy(policy.priority ?? {});
    this.policy = { ...this.policy, ...policy };
    this.rules = priorityRules(this.policy.priority ?? {});
    this.priorityVersion += 1;
    this.charging.settle(this.now);
    this.accounts.setHalfLife(this.rules.halfLifeSeconds, this.now);
    for (const job of [...this.plan.reserved, ...this.plan.lifted]) this.plan.drop(job);
    this.plan.gained = true;
  }

  putNode(input: NodeInput): void {
    checkVector(input.capacity, this.resources, `capacity of node ${input.name}`);
    this.#put(input, input.state);
  }

  removeNode(name: string): void {
    const node = this.table.byName.get(name);
    if (node === undefined || node.state === "Gone") return;
    this.#put(node.input, "Gone");
  }

  #put(input: NodeInput, state: NodeRecord["state"]): void {
    this.#changed(this.table.put(input, state, dense(input.capacity, this.resources.length), this.now));
  }

  #changed({ node, changed }: { node: NodeRecord; changed: boolean }): void {
    this.settled = undefined;
    if (!changed) return;
    this.version += 1;
    this.priorityVersion += 1;
    this.plan.doubt();
    for (const job of node.reserved) this.plan.lift(job);
    this.advance.nodeChanged(node);
  }

  setTopology(levels: readonly string[]): void {
    this.settled = undefined;
    if (JSON.stringify(levels) === JSON.stringify(this.topology.levels)) return;
    this.topology.levels = levels.slice();
    this.table.invalidate();
    this.version += 1;
    this.plan.doubt();
  }

  setLicences(licences: Readonly<Record<string, number>>): void {
    const names = Object.keys(licences);
    checkVector(Object.values(licences), names, "licences");
    if (names.length === 0 && this.table.licences === undefined) return;
    this.licences = { ...licences };
    this.#changed(this.table.putLicences(licences, this.now));
  }

  putQueue(queue: QueueInput): void {
    checkQueue(queue, this.resources);
    if (queue.preemptMode === "Suspend") {
      throw new SchedulingError(
        `queue ${queue.name}: jobs cannot be suspended; preemptMode may be Requeue, Cancel or Checkpoint`,
      );
    }
    const before = this.queues.get(queue.name);
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(queue)) return;
    this.queues.set(queue.name, { ...queue });
    this.#queueChanged(queue.name, before?.selector !== queue.selector || before === undefined);
  }

  removeQueue(name: string): void {
    if (this.queues.delete(name)) this.#queueChanged(name, true);
  }

  #queueChanged(name: string, nodesToo: boolean): void {
    this.settled = undefined;
    this.version += 1;
    this.plan.doubt();
    if (nodesToo) this.table.invalidate();
    this.classTable.queueChanged(name);
    this.accounts.queueChanged(name);
    this.#prioritiesChanged();
    for (const job of [...this.plan.reserved, ...this.plan.lifted]) {
      if ((job.reservation ?? job.lifted)?.queue === name) this.plan.drop(job);
    }
  }

  // --- accounts, qualities of service, usage

  putAccount(account: AccountInput): void {
    this.settled = undefined;
    this.accounts.putAccount(account);
  }

  removeAccount(name: string): void {
    this.settled = undefined;
    this.accounts.removeAccount(name);
  }

  putMembership(membership: MembershipInput): void {
    this.settled = undefined;
    this.accounts.putMembership(membership);
  }

  removeMembership(account: string, user: string): void {
    this.settled = undefined;
    this.accounts.removeMembership(account, user);
  }

  putQualityOfService(qos: QualityOfServiceInput): void {
    this.settled = undefined;
    if (qos.preemptMode === "Suspend") {
      throw new SchedulingError(
        `QOS ${qos.name}: jobs cannot be suspended; preemptMode may be Requeue, Cancel or Checkpoint`,
      );
    }
    this.accounts.putQualityOfService(qos);
    this.#prioritiesChanged();
  }

  removeQualityOfService(name: string): void {
    this.settled = undefined;
    this.accounts.removeQualityOfService(name);
    this.#prioritiesChanged();
  }

  #prioritiesChanged(): void {
    this.priorityVersion += 1;
    this.largestQueueFactor = 0;
    for (const { priorityFactor = 1 } of this.queues.values()) {
      this.largestQueueFactor = Math.max(this.largestQueueFactor, priorityFactor);
    }
  }

  setUsage(usage: UsageRecord): void {
    this.settled = undefined;
    this.charging.settle(this.now);
    this.charging.setUsage(usage, this.now);
  }

  usage(now: Time): UsageRecord[] {
    this.tick(now);
    return this.charging.usage(this.now);
  }

  borrowed(account: string): number[] {
    this.charging.settle(this.now);
    return this.accounts.borrowed(account);
  }

  /** How many nodes there are, and what all of them together have, by resource. */
  totals(): Totals {
    if (this.#totalsVersion !== this.version) {
      this.#totalsVersion = this.version;
      this.#totals = { nodes: 0, amounts: this.resources.map(() => 0) };
      // Without the views of nodes, and what stands for licences.
      for (const { state, capacity } of this.table.byName.values()) {
        if (state === "Gone") continue;
        this.#totals.nodes += 1;
        for (const index of this.#totals.amounts.keys()) this.#totals.amounts[index]! += capacity[index] ?? 0;
      }
    }
    return this.#totals;
  }

  /** An account and all above it. */
  accountsFrom(account: string): string[] {
    const names = [account];
    const known = this.accounts.accounts;
    for (let above = known.get(account)?.input?.parent; above !== undefined; above = known.get(above)?.input?.parent) {
      names.push(above);
    }
    return names;
  }

  queue(name: string): QueueInput | undefined {
    return this.queues.get(name);
  }

  matches(selector: string, nodeClass: string): boolean {
    const { matches } = this.options;
    if (matches === undefined) return true;
    let known = this.#matches.get(selector);
    if (known === undefined) this.#matches.set(selector, (known = new Map()));
    let answer = known.get(nodeClass);
    if (answer === undefined) known.set(nodeClass, (answer = matches(selector, nodeClass)));
    return answer;
  }

  // --- advance reservations

  putReservation(input: AdvanceReservationInput): void {
    this.settled = undefined;
    this.advance.put(input);
  }

  removeReservation(name: string): void {
    this.settled = undefined;
    this.advance.remove(name);
  }

  advanceReservations(now: Time): AdvanceReservation[] {
    return this.advance.list(Math.max(now, this.now));
  }

  // --- pending jobs

  addJob(input: JobInput): void {
    this.settled = undefined;
    if (this.jobs.has(input.id)) throw new SchedulingError(`job ${input.id} is known already`);
    checkJob(input, this.resources, this.deviceResources);
    const job = newRecord(input, this.classTable.join(input));
    this.jobs.set(job.id, job);
    this.links.enroll(job);
    this.links.link(job);
    this.watch(job);
    this.touched.add(job);
    this.charging.count(job, this.now);
    this.refresh(job);
  }

  /** What the passing of time does to a job. */
  watch(job: JobRecord): void {
    this.#wakeAt(job, job.input.beginTime);
    this.#watchDeadline(job);
  }

  updateJob(id: number, changes: Partial<Omit<JobInput, "id">>, now: Time): void {
    this.settled = undefined;
    const job = this.#known(id);
    const input: JobInput = { ...job.input, ...changes, id };
    checkJob(input, this.resources, this.deviceResources);
    this.tick(now);
    // How many tasks one start takes changes nothing of what waits and why.
    if (Object.keys(changes).join() === "lease") {
      job.input = { ...job.input, lease: changes.lease };
      this.refresh(job);
      return;
    }
    this.#unlist(job);
    const jobClass = this.classTable.join(input);
    const isOther = jobClass !== job.class;
    if (isOther) this.charging.leave(job, this.now);
    if (isOther) this.runGroups.forget();
    this.classTable.leave(job.class);
    job.class = jobClass;
    if (changes.user !== undefined || "name" in changes) this.links.forgetName(job);
    job.input = { ...input, podSets: jobClass.shape.podSets, array: undefined };
    this.links.enroll(job);
    if (changes.array !== undefined) job.array = newArray(changes.array, job.array);
    if (isOther) this.charging.enter(job, this.now);
    else this.charging.count(job, this.now);
    if ("dependencies" in changes || changes.array !== undefined) this.links.link(job);
    this.#wakeAt(job, input.beginTime);
    job.expired = false;
    this.#watchDeadline(job);
    this.touched.add(job);
    this.refresh(job);
  }

  removeJob(id: number, now: Time, tasks?: TaskRuns): void {
    this.settled = undefined;
    const job = this.#known(id);
    this.tick(now);
    if (job.array === undefined) {
      if (pendingTasks(job) === 0) throw new SchedulingError(`job ${id} runs: end it, do not remove it`);
      this.#drop(job, false);
      return;
    }
    const { array } = job;
    for (const set of [array.pending, array.blocked, array.never]) {
      for (const [first, last] of tasks ?? set.runs()) {
        const gone = new RunSet([[first, last]]).intersection(set);
        for (const [low, high] of gone.runs()) {
          set.remove(low, high);
          array.notOk.add(low, high);
          this.links.tellFellows(job, low, high, false);
        }
      }
    }
    this.touched.add(job);
    this.charging.count(job, this.now);
    this.#settle(job);
  }

  // --- running jobs

  startJob(id: number, allocation: Allocation, task?: number, more: readonly number[] = []): void {
    this.settled = undefined;
    const job = this.#known(id);
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
    const run = this.#runOf(this.#known(id), task);
    this.tick(now);
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
    this.#runOf(this.#known(id), task).checkpoint = time;
  }

  endJob(id: number, now: Time, ending: Ending): void {
    this.settled = undefined;
    const job = this.#known(id);
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
      this.#watchDeadline(job);
      this.refresh(job);
      return;
    }
    if (job.array === undefined) {
      this.#drop(job, ending.ok);
      return;
    }
    (ending.ok ? job.array.ok : job.array.notOk).add(task!);
    this.links.tellFellows(job, task!, task!, ending.ok);
    this.charging.count(job, this.now);
    this.#settle(job);
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
    this.#settle(job);
  }

  /** Gives back what a run held. */
  #release(run: Run): void {
    run.alive = false;
    this.charging.end(run, this.now);
    this.runGroups.remove(run);
    this.running -= 1;
    this.pods.remove(run);
    for (const { node } of run.charges) node.runs.delete(run);
    if (run.end > this.now) applyCharges(this.table, run.charges, this.now, run.end, 1);
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

  /** At a time ends all runs well whose assumed end comes until another. */
  endAllUntil(until: Time, time = until): void {
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
    const copy = new ClusterStore({ ...this.options, policy: this.policy }, this.#matches);
    this.charging.settle(this.now);
    yield* copyState(this, copy);
    return copy;
  }

  tick(now: Time): void {
    if (now > this.now) this.now = now;
  }

  ownReason(job: JobRecord): WaitReason | undefined {
    const found = ownReason(job, this.now);
    this.#wakeAt(job, found?.until);
    return found?.reason;
  }

  /** Lists the job with its class or takes it off, as its own state says. */
  refresh(job: JobRecord): void {
    const ready = pendingTasks(job) > (job.claims?.length ?? 0) && this.ownReason(job) === undefined;
    if (ready === job.listed) {
      if (!ready) this.touched.add(job);
      return;
    }
    this.touched.add(job);
    if (!ready) {
      this.#unlist(job);
      return;
    }
    job.listed = true;
    job.class.insert(job);
  }

  #unlist(job: JobRecord): void {
    this.plan.drop(job);
    if (!job.listed) return;
    job.class.remove(job);
    job.listed = false;
  }

  // --- the life of a record

  #known(id: number): JobRecord {
    const job = this.jobs.get(id);
    if (job === undefined) throw new SchedulingError(`job ${id} is not known`);
    return job;
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

  #wakeAt(job: JobRecord, time: Time | undefined): void {
    if (time !== undefined && time > this.now) this.wakes.push({ time, job });
  }

  #watchDeadline(job: JobRecord): void {
    const { deadline, wallTimeSeconds, minWallTimeSeconds } = job.input;
    if (deadline === undefined) return;
    const latest = deadline - (minWallTimeSeconds ?? wallTimeSeconds);
    this.wakes.push({ time: latest + 1, job });
  }

  /** An array after a task is gone: forgotten with the last. */
  #settle(job: JobRecord): void {
    if (pendingTasks(job) === 0 && (job.runs?.size ?? 0) === 0) {
      this.#drop(job, job.array!.notOk.size === 0);
      return;
    }
    this.refresh(job);
    this.links.tell(job);
  }

  #drop(job: JobRecord, ok: boolean): void {
    this.#unlist(job);
    this.charging.count(job, this.now, 0);
    this.jobs.delete(job.id);
    this.touched.delete(job);
    this.classTable.leave(job.class);
    this.links.gone(job, ok);
  }
}
