import type { AccountInput, MembershipInput, QualityOfServiceInput, UsageRecord } from "./account-types.ts";
import { checkPriorityPolicy, checkQueue } from "./account-validation.ts";
import { Accounts } from "./accounts.ts";
import type { AdvanceReservations } from "./advance-reservations.ts";
import { Charging } from "./charging.ts";
import type { Claim } from "./claims.ts";
import { ClassTable } from "./class-table.ts";
import { NodeTable } from "./nodes.ts";
import type { NodeRecord } from "./nodes.ts";
import { PodIndex } from "./pod-rules.ts";
import { priorityRules } from "./priority.ts";
import type { PriorityRules } from "./priority.ts";
import type { JobRecord } from "./records.ts";
import { ReservationPlan } from "./reservation-plan.ts";
import type { AdvanceReservation, AdvanceReservationInput } from "./reservation-types.ts";
import type { PlacementContext } from "./room.ts";
import { dense } from "./shape.ts";
import type { ClusterOptions } from "./state-types.ts";
import { Topology } from "./topology.ts";
import type { NodeInput, Policy, QueueInput, Time } from "./types.ts";
import { checkVector } from "./validation.ts";

interface Totals {
  nodes: number;
  amounts: number[];
}

const defaultPolicy: Policy = { reservationDepth: 1, backfill: "Arrival", overdue: "Extend" };

/** What there is to decide about, without its jobs: policy, nodes, queues, accounts, advance reservations. */
export abstract class SiteStore implements PlacementContext {
  readonly resources: readonly string[];
  policy: Policy;
  readonly options: ClusterOptions;
  /** Indices of the resources that are made of single devices. */
  readonly deviceResources: ReadonlySet<number>;
  /** Levels of the topology, the largest domains first. */
  readonly topology: Topology;
  /** Runs that rules between pods can mean. */
  readonly pods = new PodIndex();
  /** What others are leaving for jobs that preempted them. */
  readonly claims = new Set<Claim>();
  licences: Readonly<Record<string, number>> = {};
  readonly table: NodeTable;
  readonly plan: ReservationPlan;
  abstract readonly advance: AdvanceReservations;
  readonly queues = new Map<string, QueueInput>();
  readonly classTable: ClassTable;
  readonly jobs = new Map<number, JobRecord>();
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
  /** The last decision and what it said of the next, as long as nothing was told since: to decide again would be for nothing. */
  settled: { nextWake: Time | undefined } | undefined = undefined;
  /** What `matches` has answered: selector, class of nodes. */
  protected readonly answers: Map<string, Map<string, boolean>>;

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
    this.answers = matches;
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
    let known = this.answers.get(selector);
    if (known === undefined) this.answers.set(selector, (known = new Map()));
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

  tick(now: Time): void {
    if (now > this.now) this.now = now;
  }
}
