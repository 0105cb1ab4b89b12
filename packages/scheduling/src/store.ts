import { classKey, dense, JobClass } from "./classes.ts";
import { afterEnd, fromOutcome, overall, sortFellows, statusOn } from "./dependencies.ts";
import { SchedulingError } from "./error.ts";
import { Heap } from "./heap.ts";
import { NodeTable } from "./nodes.ts";
import type { NodeRecord } from "./nodes.ts";
import { applyCharges } from "./place.ts";
import type { PlacementContext } from "./place.ts";
import { pendingTasks } from "./records.ts";
import type { ArrayRecord, Charge, DependencyRecord, JobRecord, Placement, ReservationRecord, Run } from "./records.ts";
import { RunSet } from "./runs.ts";
import type {
  Allocation,
  ClusterOptions,
  ClusterState,
  Ending,
  JobInput,
  NodeInput,
  Policy,
  QueueInput,
  Reservation,
  TaskRuns,
  Time,
  WaitReason,
} from "./types.ts";
import { checkJob, checkVector } from "./validation.ts";

const defaultPolicy: Policy = { reservationDepth: 1, backfill: "Arrival", overdue: "Extend" };

/** The state behind {@link ClusterState}: public methods take events, the fields are for `decide`, `explain` and `forecast`. */
export class ClusterStore implements ClusterState, PlacementContext {
  readonly resources: readonly string[];
  policy: Policy;
  readonly options: ClusterOptions;
  readonly table: NodeTable;
  readonly queues = new Map<string, QueueInput>();
  readonly classes = new Map<string, JobClass>();
  readonly jobs = new Map<number, JobRecord>();
  now: Time = -Infinity;
  /** Grows when something changes that can be an obstacle to a whole class: queues, nodes. */
  version = 0;
  /** Something became free since the last pass, so that reservations may move to the front. */
  gained = false;
  /** More changed than the log of gains tells (nodes, queues): every reservation is planned anew. */
  unsure = false;
  readonly touched = new Set<JobRecord>();
  /** Waiting jobs whose turn it is. */
  heads = new Set<JobRecord>();
  readonly reserved = new Set<JobRecord>();
  /** Jobs whose reservation was taken out of the timelines and awaits the next pass. */
  readonly lifted = new Set<JobRecord>();
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
  readonly #matches = new Map<string, Map<string, boolean>>();
  /** By user and name: ids alive, and of these the ones that wait by `Singleton`. */
  readonly #names = new Map<string, { alive: Set<number>; singletons: Set<number> }>();

  constructor(options: ClusterOptions) {
    this.options = options;
    this.resources = options.resources.slice();
    this.policy = { ...defaultPolicy, ...options.policy };
    this.table = new NodeTable(this.resources.length);
  }

  // --- policy, nodes, queues

  setPolicy(policy: Partial<Policy>): void {
    this.policy = { ...this.policy, ...policy };
    for (const job of [...this.reserved, ...this.lifted]) this.dropReservation(job);
    this.gained = true;
  }

  putNode(input: NodeInput): void {
    checkVector(input.capacity, this.resources, `capacity of node ${input.name}`);
    this.#put(input);
  }

  removeNode(name: string): void {
    const node = this.table.byName.get(name);
    if (node === undefined || node.state === "Gone") return;
    this.#put({ name, capacity: node.capacity, nodeClass: node.nodeClass, state: "Gone" as "Down" });
  }

  #put(input: NodeInput): void {
    const { node, changed } = this.table.put(input, dense(input.capacity, this.resources.length), this.now);
    if (!changed) return;
    this.version += 1;
    this.gained = true;
    this.unsure = true;
    for (const job of node.reserved) this.liftReservation(job);
  }

  putQueue(queue: QueueInput): void {
    const before = this.queues.get(queue.name);
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(queue)) return;
    this.queues.set(queue.name, { ...queue });
    this.#queueChanged(queue.name, before?.selector !== queue.selector || before === undefined);
  }

  removeQueue(name: string): void {
    if (this.queues.delete(name)) this.#queueChanged(name, true);
  }

  #queueChanged(name: string, nodesToo: boolean): void {
    this.version += 1;
    this.gained = true;
    this.unsure = true;
    if (nodesToo) this.table.invalidate();
    for (const job of this.jobs.values()) {
      if (!job.input.queues.includes(name)) continue;
      const tier = this.#tier(job.input);
      if (job.reservation?.queue === name || job.lifted?.queue === name) this.dropReservation(job);
      if (tier === job.tier) continue;
      this.#unlist(job);
      job.tier = tier;
      this.refresh(job);
    }
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

  // --- pending jobs

  addJob(input: JobInput): void {
    if (this.jobs.has(input.id)) throw new SchedulingError(`job ${input.id} is known already`);
    checkJob(input, this.resources);
    const jobClass = this.#classOf(input);
    const job: JobRecord = {
      id: input.id,
      input: { ...input, podSets: jobClass.podSets },
      tier: this.#tier(input),
      priority: (input.priority ?? 0) - (input.nice ?? 0),
      class: jobClass,
      listed: false,
      expired: false,
      array: undefined,
      dependencies: [],
      dependents: undefined,
      runs: undefined,
      lastStart: undefined,
      reservation: undefined,
      lifted: undefined,
      reason: "None",
      reported: undefined,
    };
    jobClass.members += 1;
    this.jobs.set(job.id, job);
    this.#name(job).alive.add(job.id);
    if (input.array !== undefined) {
      job.array = newArray(input.array);
      job.input.array = undefined;
    }
    this.#linkDependencies(job);
    this.#wakeAt(job, input.beginTime);
    this.#watchDeadline(job);
    this.touched.add(job);
    this.refresh(job);
  }

  updateJob(id: number, changes: Partial<Omit<JobInput, "id">>, now: Time): void {
    const job = this.#known(id);
    const input: JobInput = { ...job.input, ...changes, id };
    checkJob(input, this.resources);
    this.tick(now);
    this.#unlist(job);
    const jobClass = this.#classOf(input);
    jobClass.members += 1;
    this.#leaveClass(job);
    job.class = jobClass;
    if (changes.user !== undefined || "name" in changes) this.#forgetName(job);
    job.input = { ...input, podSets: jobClass.podSets, array: undefined };
    this.#name(job).alive.add(id);
    job.tier = this.#tier(input);
    job.priority = (input.priority ?? 0) - (input.nice ?? 0);
    if (changes.array !== undefined) job.array = newArray(changes.array, job.array);
    if ("dependencies" in changes || changes.array !== undefined) this.#linkDependencies(job);
    this.#wakeAt(job, input.beginTime);
    job.expired = false;
    this.#watchDeadline(job);
    this.touched.add(job);
    this.refresh(job);
  }

  removeJob(id: number, now: Time, tasks?: TaskRuns): void {
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
          this.#tellFellows(job, low, high, false);
        }
      }
    }
    this.touched.add(job);
    this.#settle(job);
  }

  // --- running jobs

  startJob(id: number, allocation: Allocation, task?: number): void {
    const job = this.#known(id);
    this.#requirePending(job, task);
    const amounts = new Map<NodeRecord, number[]>();
    const nodes = allocation.nodes.map((names, set) =>
      names.flatMap((name) => {
        const node = this.table.byName.get(name);
        if (node === undefined) return [];
        const sum = amounts.get(node) ?? node.capacity.map(() => 0);
        const request = job.class.podSets[set]?.request ?? [];
        amounts.set(
          node,
          job.input.exclusive === true
            ? node.capacity.slice()
            : sum.map((amount, index) => amount + (request[index] ?? 0)),
        );
        return [node];
      }),
    );
    const charges: Charge[] = [...amounts].map(([node, amounts]) => ({ node, amounts }));
    applyCharges(this.table, charges, allocation.startTime, allocation.endTime, -1);
    this.begin(
      job,
      task,
      { charges, nodes, queue: job.input.queues[0] ?? "" },
      allocation.startTime,
      allocation.endTime,
    );
    for (const { node } of charges) this.repair(node);
  }

  /** A job begins on a placement that is taken out of the timelines already. */
  begin(job: JobRecord, task: number | undefined, placement: Placement, start: Time, end: Time): Run {
    const { charges, nodes, queue } = placement;
    const run: Run = { charges, nodes, queue, job, task, start, slotEnd: end, end, alive: true };
    job.reported = undefined;
    if (job.reservation !== undefined || job.lifted !== undefined) this.dropReservation(job);
    if (task !== undefined) {
      const { pending, blocked, never } = job.array!;
      if (pending.first() === task) pending.take();
      else for (const set of [pending, blocked, never]) set.remove(task);
    }
    (job.runs ??= new Map()).set(task ?? -1, run);
    job.lastStart = start;
    this.running += 1;
    for (const { node } of run.charges) node.runs.add(run);
    this.ends.push({ time: end, run });
    if (this.ends.size > 1024 + 4 * this.running) this.ends.retain((end) => end.run.alive && end.run.end === end.time);
    this.refresh(job);
    if (job.dependents !== undefined) this.#tellDependents(job);
    return run;
  }

  setEnd(id: number, endTime: Time, now: Time, task?: number): void {
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
    run.end = end;
    this.ends.push({ time: end, run });
    if (later) for (const { node } of run.charges) this.repair(node);
    else this.gained = true;
  }

  endJob(id: number, now: Time, ending: Ending): void {
    const job = this.#known(id);
    const run = this.#runOf(job, ending.task);
    this.tick(now);
    run.alive = false;
    this.running -= 1;
    job.runs!.delete(run.task ?? -1);
    for (const { node } of run.charges) node.runs.delete(run);
    if (run.end > this.now) applyCharges(this.table, run.charges, this.now, run.end, 1);
    else for (const { node } of run.charges) this.table.touch(node);
    this.gained = true;
    this.touched.add(job);
    if (ending.requeue === true) {
      if (run.task !== undefined) job.array!.pending.add(run.task);
      this.#watchDeadline(job);
      this.refresh(job);
      return;
    }
    if (job.array === undefined) {
      this.#drop(job, ending.ok);
      return;
    }
    (ending.ok ? job.array.ok : job.array.notOk).add(run.task!);
    this.#tellFellows(job, run.task!, run.task!, ending.ok);
    this.#settle(job);
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
    return job?.reservation === undefined ? undefined : reservationOf(job, job.reservation);
  }

  reservations(): Reservation[] {
    return [...this.reserved]
      .map((job) => reservationOf(job, job.reservation!))
      .sort((a, b) => a.startTime - b.startTime || a.job - b.job);
  }

  counts(): ReturnType<ClusterState["counts"]> {
    let pendingJobs = 0;
    let tasks = 0;
    for (const job of this.jobs.values()) {
      const pending = pendingTasks(job);
      if (pending > 0) pendingJobs += 1;
      tasks += pending;
    }
    const nodes = this.table.nodes.filter((node) => node.state !== "Gone").length;
    return { nodes, pendingJobs, pendingTasks: tasks, running: this.running };
  }

  // --- for decide and forecast

  /** Ids of jobs of the same user and name that `Singleton` waits for. */
  namesakesBefore(job: JobRecord): number[] {
    return [...this.#name(job).alive].filter((id) => id < job.id).sort((a, b) => a - b);
  }

  /** Ends well all runs whose assumed end has come. */
  endAllUntil(time: Time): void {
    for (let end = this.ends.peek(); end !== undefined && end.time <= time; end = this.ends.peek()) {
      this.ends.pop();
      const { run } = end;
      if (run.alive && run.end === end.time) this.endJob(run.job.id, time, { task: run.task, ok: true });
    }
  }

  /** A state with the same future that shares nothing that changes. */
  copy(): ClusterStore {
    const copy = new ClusterStore({ ...this.options, policy: this.policy });
    copy.now = this.now;
    for (const [name, queue] of this.queues) copy.queues.set(name, queue);
    for (const [selector, known] of this.#matches) copy.#matches.set(selector, known);
    for (const { name, capacity, nodeClass, state } of this.table.nodes) {
      copy.table.put({ name, capacity, nodeClass, state: state as NodeInput["state"] }, capacity.slice(), this.now);
    }
    const own = <P extends Placement>(placement: P): P => ({
      ...placement,
      charges: placement.charges.map(({ node, amounts }) => ({ node: copy.table.nodes[node.index]!, amounts })),
      nodes: placement.nodes.map((set) => set.map((node) => copy.table.nodes[node.index]!)),
    });
    for (const job of this.jobs.values()) {
      copy.addJob({ ...job.input, dependencies: undefined });
      const twin = copy.jobs.get(job.id)!;
      twin.input = job.input;
      twin.dependencies = job.dependencies.map((dependency) => ({ ...dependency }));
      twin.dependents = job.dependents && new Set(job.dependents);
      twin.lastStart = job.lastStart;
      twin.expired = job.expired;
      twin.reason = job.reason;
      if (job.dependencies.some(({ input }) => input.type === "Singleton")) copy.#name(twin).singletons.add(job.id);
      if (job.array !== undefined) {
        const { pending, blocked, never, maxRunning, ok, notOk } = job.array;
        twin.array = {
          pending: pending.copy(),
          blocked: blocked.copy(),
          never: never.copy(),
          maxRunning,
          ok: ok.copy(),
          notOk: notOk.copy(),
        };
      }
    }
    for (const job of this.jobs.values()) {
      const twin = copy.jobs.get(job.id)!;
      for (const run of job.runs?.values() ?? []) {
        const placement = own({ charges: run.charges, nodes: run.nodes, queue: run.queue });
        applyCharges(copy.table, placement.charges, run.start, run.end, -1);
        copy.begin(twin, run.task, placement, run.start, run.end).slotEnd = run.slotEnd;
      }
      twin.lastStart = job.lastStart;
    }
    for (const job of this.jobs.values()) {
      const twin = copy.jobs.get(job.id)!;
      copy.refresh(twin);
      const kept = job.reservation ?? job.lifted;
      if (kept === undefined || !twin.listed) continue;
      const reservation = own(kept);
      applyCharges(copy.table, reservation.charges, reservation.start, reservation.end, -1);
      copy.setReservation(twin, reservation);
      if (job.lifted !== undefined) copy.liftReservation(twin);
    }
    copy.gained = this.gained;
    copy.unsure = true;
    return copy;
  }

  tick(now: Time): void {
    if (now > this.now) this.now = now;
  }

  /** The reason that lies in the job itself, or undefined: it may start when there is room. */
  ownReason(job: JobRecord): WaitReason | undefined {
    const { input, array } = job;
    if (input.hold !== undefined) return input.hold === "Admin" ? "HeldByAdmin" : "HeldByUser";
    if (input.blocked !== undefined) return input.blocked;
    const { status, readyAt } = overall(job, this.now);
    if (status === "Never") return "DependencyNeverSatisfied";
    if (status === "Waiting") {
      this.#wakeAt(job, readyAt);
      return "Dependency";
    }
    if (array !== undefined && array.pending.size === 0) {
      return array.blocked.size > 0 ? "Dependency" : "DependencyNeverSatisfied";
    }
    if (input.beginTime !== undefined && input.beginTime > this.now) return "BeginTime";
    if (array !== undefined && (job.runs?.size ?? 0) >= array.maxRunning) return "ArrayTaskLimit";
    return job.expired ? "Resources" : undefined;
  }

  /** Lists the job with its class or takes it off, as its own state says. */
  refresh(job: JobRecord): void {
    const ready = pendingTasks(job) > 0 && this.ownReason(job) === undefined;
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
    this.dropReservation(job);
    if (!job.listed) return;
    job.class.remove(job);
    job.listed = false;
  }

  setReservation(job: JobRecord, reservation: ReservationRecord): void {
    job.reservation = reservation;
    this.table.gains.isRecording = true;
    reservation.testedAt = this.table.gains.end;
    job.lifted = undefined;
    this.lifted.delete(job);
    this.reserved.add(job);
    this.touched.add(job);
    for (const { node } of reservation.charges) node.reserved.add(job);
  }

  /** Takes a reservation out of the timelines for now; the next pass puts it back if it still fits, or plans anew. */
  liftReservation(job: JobRecord): void {
    const { reservation } = job;
    if (reservation === undefined) return;
    applyCharges(this.table, reservation.charges, reservation.start, reservation.end, 1);
    for (const { node } of reservation.charges) node.reserved.delete(job);
    job.reservation = undefined;
    job.lifted = reservation;
    this.reserved.delete(job);
    this.lifted.add(job);
    this.touched.add(job);
  }

  /** Takes the mark of a reservation away and leaves what it takes in the timelines, for the run that it becomes. */
  claimReservation(job: JobRecord): ReservationRecord {
    const reservation = job.reservation!;
    for (const { node } of reservation.charges) {
      node.reserved.delete(job);
      // Time alone changed what is free there now.
      this.table.touch(node);
    }
    job.reservation = undefined;
    this.reserved.delete(job);
    this.touched.add(job);
    return reservation;
  }

  dropReservation(job: JobRecord): void {
    if (job.reservation !== undefined) {
      this.liftReservation(job);
      this.gained = true;
    }
    job.lifted = undefined;
    this.lifted.delete(job);
  }

  /** After a pass all reservations are as good as they can be. */
  endPass(): void {
    this.gained = false;
    this.unsure = false;
    const { gains } = this.table;
    let oldest = gains.end;
    for (const job of this.reserved) oldest = Math.min(oldest, job.reservation!.testedAt);
    gains.forgetBefore(oldest);
    gains.isRecording = this.reserved.size > 0;
  }

  /** After something took more of a node than was planned: reservations that can no longer hold there give way. */
  repair(node: NodeRecord): void {
    if (node.reserved.size === 0) return;
    node.timeline.advance(this.now);
    if (node.timeline.free.every((amount) => amount >= 0)) return;
    for (const job of node.reserved) this.liftReservation(job);
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

  #tier(input: JobInput): number {
    return this.queues.get(input.queues[0] ?? "")?.tier ?? 1;
  }

  #classOf(input: JobInput): JobClass {
    const key = classKey(input);
    let jobClass = this.classes.get(key);
    if (jobClass === undefined) {
      jobClass = new JobClass(key, input, this.resources.length);
      this.classes.set(key, jobClass);
    }
    return jobClass;
  }

  #leaveClass(job: JobRecord): void {
    job.class.members -= 1;
    if (job.class.members === 0) this.classes.delete(job.class.key);
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
    if (job.dependents !== undefined) this.#tellDependents(job);
  }

  #drop(job: JobRecord, ok: boolean): void {
    this.#unlist(job);
    this.jobs.delete(job.id);
    this.touched.delete(job);
    this.#leaveClass(job);
    for (const dependency of job.dependencies) {
      if (dependency.input.job !== undefined) this.jobs.get(dependency.input.job)?.dependents?.delete(job.id);
    }
    for (const id of job.dependents ?? []) {
      const dependent = this.jobs.get(id);
      if (dependent === undefined) continue;
      for (const dependency of dependent.dependencies) {
        if (dependency.input.job !== job.id || dependency.status !== "Waiting") continue;
        if (job.array !== undefined && dependency.input.task !== undefined) {
          Object.assign(dependency, statusOn(dependency.input, job));
        } else Object.assign(dependency, afterEnd(dependency.input, ok, job.lastStart));
        if (dependent.array !== undefined && dependency.input.type === "AfterCorr" && job.array !== undefined) {
          dependency.status = "Met";
          for (const [first, last] of dependent.array.blocked.runs()) dependent.array.never.add(first, last);
          dependent.array.blocked = new RunSet();
        }
      }
      this.refresh(dependent);
    }
    this.#forgetName(job);
  }

  #name(job: JobRecord): { alive: Set<number>; singletons: Set<number> } {
    const key = `${job.input.user}\0${job.input.name ?? ""}`;
    let entry = this.#names.get(key);
    if (entry === undefined) this.#names.set(key, (entry = { alive: new Set(), singletons: new Set() }));
    return entry;
  }

  #forgetName(job: JobRecord): void {
    const entry = this.#name(job);
    entry.alive.delete(job.id);
    entry.singletons.delete(job.id);
    if (entry.alive.size === 0) this.#names.delete(`${job.input.user}\0${job.input.name ?? ""}`);
    for (const id of entry.singletons) {
      const other = this.jobs.get(id)!;
      this.#checkSingleton(other, entry.alive);
      this.refresh(other);
    }
  }

  #checkSingleton(job: JobRecord, alive: Set<number>): void {
    let first = true;
    for (const id of alive) if (id < job.id) first = false;
    for (const dependency of job.dependencies) {
      if (dependency.input.type === "Singleton") dependency.status = first ? "Met" : "Waiting";
    }
  }

  #linkDependencies(job: JobRecord): void {
    for (const { input } of job.dependencies) {
      if (input.job !== undefined) this.jobs.get(input.job)?.dependents?.delete(job.id);
    }
    const entry = this.#name(job);
    entry.singletons.delete(job.id);
    job.dependencies = [];
    for (const input of job.input.dependencies?.of ?? []) {
      const dependency: DependencyRecord = { input, status: "Waiting" };
      job.dependencies.push(dependency);
      if (input.type === "Singleton") {
        entry.singletons.add(job.id);
        continue;
      }
      const target = input.job === undefined ? undefined : this.jobs.get(input.job);
      if (target !== undefined) (target.dependents ??= new Set()).add(job.id);
      const fellows = input.type === "AfterCorr" && job.array !== undefined && input.task === undefined;
      if (fellows && (target === undefined ? input.outcome !== undefined : target.array !== undefined)) {
        sortFellows(job, target, input.outcome);
        dependency.status = "Met";
      } else if (target !== undefined) Object.assign(dependency, statusOn(input, target));
      else Object.assign(dependency, fromOutcome(input, input.outcome));
    }
    if (entry.singletons.has(job.id)) this.#checkSingleton(job, entry.alive);
  }

  #tellDependents(job: JobRecord): void {
    for (const id of job.dependents!) {
      const dependent = this.jobs.get(id);
      if (dependent === undefined) continue;
      for (const dependency of dependent.dependencies) {
        if (dependency.input.job !== job.id || dependency.status !== "Waiting") continue;
        Object.assign(dependency, statusOn(dependency.input, job));
      }
      this.refresh(dependent);
    }
  }

  /** Tasks of an array ended: fellows in arrays that depend on it by `AfterCorr` may start, or never will. */
  #tellFellows(job: JobRecord, first: number, last: number, ok: boolean): void {
    for (const id of job.dependents ?? []) {
      const dependent = this.jobs.get(id);
      if (dependent?.array === undefined) continue;
      if (!dependent.dependencies.some(({ input }) => input.type === "AfterCorr" && input.job === job.id)) continue;
      const fellows = dependent.array.blocked.intersection(new RunSet([[first, last]]));
      for (const [low, high] of fellows.runs()) {
        dependent.array.blocked.remove(low, high);
        (ok ? dependent.array.pending : dependent.array.never).add(low, high);
      }
      this.refresh(dependent);
    }
  }
}

function newArray(input: NonNullable<JobInput["array"]>, before?: ArrayRecord): ArrayRecord {
  return {
    pending: new RunSet(input.pending),
    blocked: new RunSet(),
    never: new RunSet(),
    maxRunning: input.maxRunning ?? Infinity,
    ok: input.ended?.ok === undefined ? (before?.ok ?? new RunSet()) : new RunSet(input.ended.ok),
    notOk: input.ended?.notOk === undefined ? (before?.notOk ?? new RunSet()) : new RunSet(input.ended.notOk),
  };
}

export function reservationOf(job: JobRecord, reservation: ReservationRecord): Reservation {
  const task = job.array?.pending.first();
  return {
    job: job.id,
    ...(task === undefined ? {} : { task }),
    queue: reservation.queue,
    nodes: reservation.nodes.map((set) => set.map((node) => node.name)),
    startTime: reservation.start,
    endTime: reservation.end,
  };
}
