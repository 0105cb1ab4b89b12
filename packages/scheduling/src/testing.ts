/** For the tests: a cluster in virtual time whose jobs end as a script says, and that checks the laws after every decision. */
import assert from "node:assert/strict";
import { decide, SchedulingError } from "./index.ts";
import type {
  AdvanceReservationInput,
  ClusterState,
  Decisions,
  DependencyOutcome,
  JobInput,
  NodeInput,
  Preemption,
  Start,
  Time,
} from "./index.ts";
import type { ClusterStore } from "./store.ts";
import type { Scenario } from "./testing-scenarios.ts";
import { checkTimelines, emptyState, matches, resources } from "./testing-state.ts";
import { windowAfter } from "./windows.ts";

interface Running {
  start: Start;
  input: JobInput;
  endTime: Time;
  ok: boolean;
  /** Of a lease: when no further task of it begins, and which are left. */
  lease?: { until: Time; seconds: number; rest: number[] };
  /** When it goes for another job. */
  preempted?: { at: Time; mode: Preemption["mode"] };
  /** When it stands still for another job, and once it does, for how long it will go on to run. */
  suspended?: { at: Time; left?: Time };
}

export class World {
  readonly state: ClusterState;
  readonly running = new Map<string, Running>();
  readonly startTimes = new Map<number, Time>();
  readonly starts: Start[] = [];
  readonly reasons = new Map<number, string>();
  readonly reserved = new Map<number, Time>();
  readonly nodes: Map<string, NodeInput>;
  readonly inputs = new Map<number, JobInput>();
  readonly reservations = new Map<string, AdvanceReservationInput>();
  readonly scenario: Scenario;
  readonly #ended = new Map<number, DependencyOutcome>();
  readonly #okTasks = new Map<number, [number, number][]>();
  readonly #removed = new Set<number>();
  /** Jobs of which a task was cancelled for others. */
  readonly #cancelled = new Set<number>();
  readonly #begun = new Set<string>();
  now: Time = 0;
  decisions: Decisions | undefined;
  beforeDecide: ((now: Time) => void) | undefined;
  onDecide: ((decisions: Decisions, now: Time) => void) | undefined;

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.state = emptyState(scenario);
    this.nodes = new Map(scenario.nodes.map((node) => [node.name, node]));
  }

  /** Plays the scenario to its end. */
  play(): void {
    const { jobs, acts } = this.scenario;
    const arrivals = jobs.toSorted((a, b) => a.input.submitTime - b.input.submitTime || a.input.id - b.input.id);
    const pendingActs = acts.toSorted((a, b) => a.time - b.time);
    const pendingReservations = (this.scenario.reservations ?? []).toSorted((a, b) => a.time - b.time);
    let wake: Time | undefined;
    let idle = 0;
    for (let step = 0; ; step += 1) {
      assert.ok(step < 5000, "the scenario ends");
      const nextEnd = Math.min(
        ...[...this.running.values()].map(({ endTime, suspended }) =>
          suspended?.left === undefined ? Math.min(endTime, suspended?.at ?? Infinity) : Infinity,
        ),
      );
      const times = [arrivals[0]?.input.submitTime, pendingActs[0]?.time, pendingReservations[0]?.time].map(
        (time) => time ?? Infinity,
      );
      const event = Math.min(nextEnd, ...times);
      // Windows of repeating reservations come and go for ever.
      idle = event === Infinity ? idle + 1 : 0;
      const now = Math.min(event, wake ?? Infinity);
      // Windows without a gap are over after a hundred years.
      if (now === Infinity || idle > 400 || now >= 100 * 365 * 86_400) return;
      assert.ok(now >= this.now, "time goes on");
      this.now = now;
      for (const [key, run] of this.running) {
        if (run.suspended?.left !== undefined) continue;
        if (run.endTime > now && run.suspended !== undefined && run.suspended.at <= now) {
          run.suspended.left = run.endTime - now;
          if (run.lease !== undefined) run.lease.until -= now;
          this.state.suspendJob(run.start.job, now, run.start.task);
        }
        if (run.endTime > now || run.suspended?.left !== undefined) continue;
        const { job, task } = run.start;
        if (run.preempted?.at === now) {
          this.running.delete(key);
          const requeue = run.preempted.mode !== "Cancel";
          if (!requeue) this.#cancelled.add(job);
          for (const each of [task, ...(run.lease?.rest ?? [])]) {
            this.state.endJob(job, now, { task: each, ok: false, requeue });
            this.#begun.delete(`${job}/${each ?? ""}`);
          }
          this.#noteEnd(job, false);
          continue;
        }
        this.state.endJob(job, now, { task, ok: run.ok });
        const next = run.lease?.rest.shift();
        if (next === undefined) this.running.delete(key);
        else if (now < run.lease!.until) {
          this.#begin(job, next);
          run.start = { ...run.start, task: next };
          run.endTime = now + run.lease!.seconds;
        } else {
          this.running.delete(key);
          for (const left of [next, ...run.lease!.rest])
            this.state.endJob(job, now, { task: left, ok: false, requeue: true });
        }
        if (run.ok && task !== undefined) this.#okTasks.set(job, [...(this.#okTasks.get(job) ?? []), [task, task]]);
        this.#noteEnd(job, run.ok);
      }
      while (arrivals[0]?.input.submitTime === now) {
        const { input } = arrivals.shift()!;
        this.inputs.set(input.id, input);
        this.state.addJob(this.withOutcomes(input));
      }
      while (pendingActs[0]?.time === now) this.#act(pendingActs.shift()!);
      while (pendingReservations[0]?.time === now) this.#reserve(pendingReservations.shift()!);
      this.step();
      wake = this.decisions!.nextWake;
      // Overdue jobs wake for ever while nothing else happens; their real end is among the events.
      if (wake !== undefined && wake <= now) assert.fail(`nextWake ${wake} is not after ${now}`);
      const isQuiet = arrivals.length === 0 && pendingActs.length === 0 && pendingReservations.length === 0;
      if (wake !== undefined && this.running.size === 0 && isQuiet) {
        assert.ok(step < 4000, "an idle cluster comes to rest");
      }
    }
  }

  /** What became of jobs that the state holds no more, as a caller would remember it. */
  withOutcomes(input: JobInput): JobInput {
    const of = input.dependencies?.of.map((dependency) => {
      const outcome = this.#ended.get(dependency.job ?? -1);
      return outcome === undefined ? dependency : { ...dependency, outcome };
    });
    return of === undefined ? input : { ...input, dependencies: { of } };
  }

  #noteEnd(job: number, ok: boolean): void {
    if (this.state.has(job)) return;
    const startTime = this.starts.findLast((start) => start.job === job)?.startTime;
    const isArray = this.inputs.get(job)!.array !== undefined;
    const okTasks = isArray ? (this.#okTasks.get(job) ?? []) : undefined;
    const isWell = ok && !this.#removed.has(job) && !this.#cancelled.has(job);
    this.#ended.set(job, { ended: true, ok: isWell, startTime, okTasks });
  }

  step(): void {
    this.beforeDecide?.(this.now);
    const decisions = decide(this.state, this.now);
    this.decisions = decisions;
    for (const start of decisions.starts) this.#take(start);
    for (const preemption of decisions.preemptions) this.#preempt(preemption);
    for (const { job, task } of decisions.resumptions) {
      const run = this.#runOf(job, task)!;
      // Each task of a lease is told; they are one run.
      if (run.suspended === undefined && task !== run.start.task) continue;
      assert.ok(run.suspended?.left !== undefined, `job ${job} stood still`);
      const { left } = run.suspended;
      run.suspended = undefined;
      run.endTime = this.now + left;
      if (run.lease !== undefined) run.lease.until += this.now;
    }
    for (const { job, reason } of decisions.waiting) this.reasons.set(job, reason);
    for (const job of decisions.unreserved)
      assert.ok(this.reserved.delete(job), `job ${job} had a reservation to lose`);
    for (const { job, startTime } of decisions.reservations) this.reserved.set(job, startTime);
    this.check();
    this.onDecide?.(decisions, this.now);
  }

  #runOf(job: number, task: number | undefined): Running | undefined {
    return [...this.running.values()].find(({ start, lease }) => {
      return start.job === job && (start.task === task || lease?.rest.includes(task ?? -1) === true);
    });
  }

  #preempt({ job, task, mode, graceSeconds, by }: Preemption): void {
    const run = this.#runOf(job, task);
    assert.ok(run !== undefined && job !== by, `job ${job} runs and is preempted by another`);
    if (mode === "Suspend") {
      assert.ok(run.suspended === undefined || run.lease !== undefined, "it runs");
      run.suspended ??= { at: this.now + 1 };
      return;
    }
    if (run.preempted !== undefined) assert.ok(run.lease !== undefined, "it is preempted once");
    // Some leave sooner than they must, at once at the soonest.
    const { leaveShare = 1 } = this.scenario;
    const at = this.now + Math.max(leaveShare === 1 ? 1 : 0, Math.floor(graceSeconds * leaveShare));
    run.preempted = { at, mode };
    run.endTime = Math.min(run.endTime, at);
  }

  #take(start: Start): void {
    const input = this.inputs.get(start.job)!;
    const key = `${start.job}/${start.task ?? ""}`;
    assert.ok(!this.running.has(key), `${key} starts once`);
    assert.equal(start.startTime, this.now);
    const { runShare, ok } = this.scenario.jobs.find((job) => job.input.id === start.job)!;
    const seconds = Math.max(1, Math.floor(start.wallTimeSeconds * runShare));
    const [, ...rest] = start.tasks ?? [];
    const until = this.now + (input.lease?.seconds ?? 0);
    const lease = start.tasks === undefined ? undefined : { until, seconds, rest };
    this.#begin(start.job, start.task);
    assert.ok(rest.length < (input.lease?.tasks ?? 1), "not more tasks than a lease may have");
    assert.equal(
      start.endTime - start.startTime,
      start.wallTimeSeconds + (input.overheadSeconds ?? 0) + (lease ? input.lease!.seconds : 0),
    );
    this.running.set(key, { start, input, endTime: this.now + seconds, ok, lease });
    if (!this.startTimes.has(start.job)) this.startTimes.set(start.job, this.now);
    this.starts.push(start);
    this.reserved.delete(start.job);
    this.#checkWindows(start, input);
    // Gangs are whole, on nodes that they may use.
    const perNode = new Map<string, number>();
    assert.equal(start.nodes.length, input.podSets.length);
    for (const [index, set] of input.podSets.entries()) {
      const placed = start.nodes[index]!;
      assert.ok(placed.length <= set.count && placed.length >= (set.minCount ?? set.count), "the gang is whole");
      const queue = this.scenario.queues.find(({ name }) => name === start.queue)!;
      for (const name of placed) {
        const node = this.nodes.get(name)!;
        assert.equal(node.state, "Up");
        assert.ok(matches(set.selector ?? "any", node.nodeClass) && matches(queue.selector ?? "any", node.nodeClass));
        assert.ok(set.nodes === undefined || set.nodes.includes(name));
        assert.ok(!(input.excludedNodes ?? []).includes(name));
        assert.ok(input.nodes === undefined || input.nodes.includes(name));
        perNode.set(name, (perNode.get(name) ?? 0) + 1);
      }
      assert.ok(perNode.size <= (queue.maxNodesPerJob ?? Infinity), "not on more nodes than the queue gives");
    }
    for (const pods of perNode.values()) assert.ok(pods <= (input.podsPerNode ?? Infinity));
    assert.ok(start.wallTimeSeconds <= input.wallTimeSeconds);
    assert.ok(start.wallTimeSeconds >= (input.minWallTimeSeconds ?? input.wallTimeSeconds));
    assert.ok(input.beginTime === undefined || input.beginTime <= this.now);
    assert.ok(input.deadline === undefined || this.now + start.wallTimeSeconds <= input.deadline);
  }

  #begin(job: number, task: number | undefined): void {
    const key = `${job}/${task ?? ""}`;
    assert.ok(!this.#begun.has(key), `${key} begins once`);
    this.#begun.add(key);
  }

  #reserve({ put, remove }: NonNullable<Scenario["reservations"]>[number]): void {
    (this.state as ClusterStore).tick(this.now);
    try {
      if (put !== undefined) {
        this.state.putReservation(put);
        this.reservations.set(put.name, put);
      }
      if (remove !== undefined) {
        this.state.removeReservation(remove);
        this.reservations.delete(remove);
      }
    } catch (error) {
      assert.ok(error instanceof SchedulingError);
    }
  }

  /** The slot of a start lies in no window but its own reservation's, and in that wholly. */
  #checkWindows(start: Start, input: JobInput): void {
    const used = new Set(start.nodes.flat());
    for (const { name, nodes } of this.state.advanceReservations(this.now)) {
      if (!nodes.some((node) => used.has(node))) continue;
      const reservation = this.reservations.get(name)!;
      const window = windowAfter(reservation, start.startTime);
      if (window === undefined) continue;
      const label = `job ${start.job} at ${start.startTime} until ${start.endTime}, ${name} ${window.start} to ${window.end}`;
      if (name !== input.reservation) assert.ok(start.endTime <= window.start, label);
      else if (reservation.everySeconds !== reservation.durationSeconds) {
        assert.ok(window.start <= start.startTime && start.endTime <= window.end, label);
        const isMember = this.#accountsOf(input).some((name) => reservation.accounts?.includes(name));
        assert.ok(reservation.users?.includes(input.user) === true || isMember, "it is for them");
      }
    }
    if (input.reservation === undefined) return;
    const own = this.state.advanceReservations(this.now).find(({ name }) => name === input.reservation);
    assert.ok(own !== undefined && start.nodes.flat().every((node) => own.nodes.includes(node)), "on its nodes");
  }

  /** The account of a job and all above it. */
  #accountsOf({ account }: JobInput): string[] {
    const names: string[] = [];
    for (let name = account; name !== undefined;) {
      names.push(name);
      name = this.scenario.accounts?.find((one) => one.name === name)?.parent;
    }
    return names;
  }

  #act({ act, index }: Scenario["acts"][number]): void {
    const { nodes, jobs } = this.scenario;
    const nodeName = nodes[index % nodes.length]!.name;
    const { id } = jobs[index % jobs.length]!.input;
    const waits = this.state.reason(id) !== undefined;
    const states = { Drain: "Drained", Down: "Down", Up: "Up" } as const;
    if (act === "Drain" || act === "Down" || act === "Up") {
      const node = { ...this.nodes.get(nodeName)!, state: states[act] };
      this.nodes.set(nodeName, node);
      this.state.putNode(node);
    } else if (act === "Remove") {
      if (!waits) return;
      this.state.removeJob(id, this.now);
      this.#removed.add(id);
      this.#noteEnd(id, false);
      this.reasons.delete(id);
      this.reserved.delete(id);
    } else if (waits) {
      const change = { Hold: { hold: "User" as const }, Release: { hold: undefined }, Raise: { priority: 5 } };
      if (act !== "Lengthen") this.state.updateJob(id, change[act], this.now);
    } else if (act === "Lengthen") {
      for (const run of this.running.values()) {
        if (run.start.job === id && run.suspended === undefined)
          this.state.setEnd(id, run.start.endTime + 20, this.now, run.start.task);
      }
    }
  }

  check(): void {
    // No node is over-committed, and who has one exclusively has it alone.
    for (const node of this.nodes.values()) {
      const used = node.capacity.map(() => 0);
      const jobs = new Set<Running>();
      for (const run of this.running.values()) {
        for (const [index, set] of run.start.nodes.entries()) {
          for (const name of set) {
            if (name !== node.name) continue;
            const isStill = run.suspended?.left !== undefined;
            if (!isStill) jobs.add(run);
            for (const [resource, amount] of run.input.podSets[index]!.request.entries()) {
              // Memory and the rest stay in use.
              if (!isStill || resource !== 0) used[resource]! += amount;
            }
          }
        }
      }
      for (const [resource, amount] of used.entries()) {
        assert.ok(
          amount <= node.capacity[resource]!,
          `${node.name}: ${amount} of ${resources[resource]} at ${this.now}`,
        );
      }
      if ([...jobs].some(({ input }) => input.exclusive === true)) assert.equal(jobs.size, 1, "exclusive");
    }
    for (const [id, input] of this.inputs) {
      const tasks = [...this.running.values()].filter(({ start }) => start.job === id).length;
      assert.ok(tasks <= (input.array?.maxRunning ?? (input.array === undefined ? 1 : Infinity)), "maxRunning");
      assert.ok(tasks <= (input.lease?.atMost ?? Infinity), "atMost");
      // Exactly one reason, told by the changes alone.
      const reason = this.state.reason(id);
      if (reason !== undefined) {
        assert.notEqual(reason, "None");
        assert.equal(this.reasons.get(id), reason, `reason of job ${id}`);
      } else this.reasons.delete(id);
      assert.equal(this.reserved.get(id), this.state.reservation(id)?.startTime, `reservation of job ${id}`);
    }
    checkTimelines(this.state as ClusterStore);
  }
}

/** Plays a scenario to its end: a reservation never moves back, is never lost, and is kept. */
export function neverDelayed(scenario: Scenario): void {
  const world = new World(scenario);
  const promised = new Map<number, number>();
  world.onDecide = (decisions, now) => {
    for (const { job, startTime } of decisions.reservations) {
      const before = promised.get(job) ?? Infinity;
      assert.ok(startTime <= before, `job ${job}: ${startTime} after ${before}`);
      assert.ok(startTime > now);
      promised.set(job, startTime);
    }
    assert.deepEqual(decisions.unreserved, []);
    for (const { job, startTime } of decisions.starts) assert.ok(startTime <= (promised.get(job) ?? Infinity));
  };
  world.play();
}

/** A state told only what is so now, as a new leader is. */
export function rebuild(world: World, now: number): ClusterStore {
  const state = emptyState({ ...world.scenario, nodes: [...world.nodes.values()] }) as ClusterStore;
  const original = world.state as ClusterStore;
  state.tick(now);
  for (const usage of original.usage(now)) state.setUsage(usage);
  for (const { name, nodes } of original.advanceReservations(now)) {
    const input = world.reservations.get(name)!;
    state.putReservation({
      ...input,
      chosenNodes: input.nodeCount === undefined ? undefined : nodes,
      ignoreJobs: true,
    });
  }
  for (const [id, input] of world.inputs) {
    const job = original.jobs.get(id);
    if (job === undefined) continue;
    const change: Partial<JobInput> = {};
    if (job.array !== undefined) {
      const waiting = [job.array.pending, job.array.blocked, job.array.never].flatMap((set) => set.runs());
      const running = [...(job.runs?.keys() ?? [])].map((task) => [task, task] as [number, number]);
      change.array = {
        pending: [...waiting, ...running],
        maxRunning: input.array?.maxRunning,
        ended: { ok: job.array.ok.runs(), notOk: job.array.notOk.runs() },
      };
    }
    state.addJob({ ...world.withOutcomes(input), ...change });
  }
  for (const { start } of world.running.values()) {
    const run = original.jobs.get(start.job)!.runs!.get(start.task ?? -1)!;
    const more = [...(run.tasks ?? [])].filter((task) => task !== start.task);
    const slot = { nodes: start.nodes, queue: start.queue, startTime: start.startTime, endTime: run.slotEnd };
    state.startJob(start.job, slot, start.task, more);
    // An extension of an overdue job is counted from when it was made.
    if (run.suspended !== undefined) throw new Error("not for what stands still");
    state.moveEnd(state.jobs.get(start.job)!.runs!.get(start.task ?? -1)!, run.end);
  }
  return state;
}
