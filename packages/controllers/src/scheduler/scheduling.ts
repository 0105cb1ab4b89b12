/** Keeps the state of `scheduling` from objects, decides after each change, and begins what is decided. */
import type { Amounts, Node, Pod, Queue } from "@berth/kinds";
import {
  capacityOf,
  defaultQueueName,
  isFinal,
  matchesClass,
  nodeInput,
  parseIndexList,
  podRequests,
  policyInput,
  queueInput,
  resourcesOf,
} from "@berth/kinds";
import {
  type Allocation,
  type ClusterState,
  createClusterState,
  createJournalledState,
  decide,
  type Decisions,
  explain,
  type Foresight,
  forecast,
  foresee,
  type Journalled,
  type Start,
} from "@berth/scheduling";
import { type Context, seconds } from "../context.ts";
import { runsOf } from "../model/array-book.ts";
import { isTerminal } from "../model/ends.ts";
import type { Ledger } from "../model/ledger.ts";
import { type Attempt, currentAttempt, noTask, type WorkloadRecord } from "../model/record.ts";
import type { Stores } from "../stores.ts";
import type { AttemptLife, LifeEvents } from "../workload/life.ts";
import type { Writer } from "../writer.ts";
import { plannedBinding } from "../pod/binding.ts";
import { attemptEnvironment } from "./attempt-environment.ts";
import { waitMessage } from "./messages.ts";
import { recordOutcome } from "./outcomes.ts";
import { type AttemptPlan, plannedPods } from "./pods.ts";
import { addAmounts, allowanceSecondsOf, graceSecondsOf, jobInput, wallTimeOf } from "./snapshot.ts";
import { WaitingReports } from "./waiting.ts";

/** A forecast is played not more often than this, and takes not more than this part of one core. */
const forecastIntervalMs = 1000;
/** The first one after a rest waits for what comes together with the change that asks for it. */
const forecastDelayMs = 200;
const forecastCostFactor = 20;
const forecastStarts = 2000;
/** Decisions wait for a forecast no longer than about this; what it has not reached by then has no expected start yet. */
const forecastBudgetMs = 250;
/** With more jobs waiting than this, what would become of another is not played onwards. */
const foreseenStarts = 500;

export class Scheduling implements LifeEvents {
  readonly #context: Context;
  readonly #ledger: Ledger;
  readonly #stores: Stores;
  readonly #reports: WaitingReports;
  #life!: AttemptLife;
  #resources: string[] = [];
  #core!: ClusterState;
  #decideAt!: (now: number) => Decisions;
  /** What pods that are not Berth's use, by node; and what each of them was counted as. */
  readonly #foreign = new Map<string, Amounts>();
  readonly #foreignPods = new Map<string, { node: string; amounts: Amounts }>();
  #isRunning = false;
  #isScheduled = false;
  #wakeTimer: NodeJS.Timeout | undefined;
  #lastNow = 0;
  #costMs = 0;
  #forecastTimer: NodeJS.Timeout | undefined;
  #forecastCostMs = 0;
  #forecastEnd = -Infinity;
  /** Told of Workloads whose final status is written. */
  readonly #finished: (record: WorkloadRecord) => void;

  constructor(
    context: Context,
    ledger: Ledger,
    stores: Stores,
    writer: Writer,
    finished: (record: WorkloadRecord) => void,
  ) {
    this.#context = context;
    this.#ledger = ledger;
    this.#stores = stores;
    this.#finished = finished;
    this.#reports = new WaitingReports(context, writer, (record) => this.#messageOf(record));
    context.signal.addEventListener(
      "abort",
      () => {
        clearTimeout(this.#wakeTimer);
        clearTimeout(this.#forecastTimer);
      },
      { once: true },
    );
  }

  #now(): number {
    // Never backwards, whatever the machine's clock does.
    this.#lastNow = Math.max(this.#lastNow, Math.floor(this.#context.now() / 1000));
    return this.#lastNow;
  }

  // The state

  /** Makes the state from what the stores hold. Jobs are added after that, then {@link start} begins to decide. */
  prepare(life: AttemptLife): void {
    this.#life = life;
    this.#resources = resourcesOf(this.#stores.nodes.values());
    const options = {
      resources: this.#resources,
      matches: matchesClass,
      policy: policyInput(this.#stores.sites.get(undefined, "site")),
    };
    const { journal } = this.#context;
    const plain = (core: ClusterState): Journalled => ({ state: core, decide: (now) => decide(core, now) });
    const made = journal === undefined ? plain(createClusterState(options)) : createJournalledState(options, journal);
    this.#core = made.state;
    this.#decideAt = made.decide;
    for (const queue of this.#stores.queues.values()) this.#core.putQueue(queueInput(queue));
    for (const pod of this.#stores.pods.values()) this.countForeign(pod, false);
    for (const node of this.#stores.nodes.values()) this.#putNode(node);
  }

  start(): void {
    this.#isRunning = true;
    this.wake();
  }

  #putNode(node: Node): void {
    const unknown = Object.keys(capacityOf(node)).filter(
      (name) => name.includes("/") && !this.#resources.includes(name),
    );
    if (unknown.length > 0 && this.#isRunning) {
      // The order of resources is the state's for life: with a new kind of device it is made anew.
      this.#rebuild();
      return;
    }
    this.#core.putNode(nodeInput(node, this.#resources, this.#foreign.get(node.metadata.name)));
  }

  #rebuild(): void {
    this.prepare(this.#life);
    for (const record of this.#ledger.values()) {
      if (record.jobId === undefined || isFinal(record.phase)) continue;
      this.#core.addJob(jobInput(record, this.#jobContext(record)));
      for (const attempt of record.live.values()) this.adopted(record, attempt);
    }
    this.wake();
  }

  putNode(node: Node): void {
    this.#putNode(node);
    this.wake();
  }

  removeNode(name: string): void {
    this.#core.removeNode(name);
    this.wake();
  }

  putQueue(queue: Queue): void {
    this.#core.putQueue(queueInput(queue));
    this.wake();
  }

  removeQueue(name: string): void {
    this.#core.removeQueue(name);
    this.wake();
  }

  siteChanged(): void {
    this.#core.setPolicy(policyInput(this.#stores.sites.get(undefined, "site")));
    this.wake();
  }

  /** Pods of others take room too, from when they have a node until they end. */
  countForeign(pod: Pod, isDeleted: boolean): void {
    const uid = pod.metadata.uid ?? "";
    const counted = this.#foreignPods.get(uid);
    const node = pod.spec.nodeName;
    const holds = !isDeleted && node !== undefined && !isTerminal(pod) && !isOwn(pod);
    if (holds === (counted !== undefined)) return;
    if (counted !== undefined) {
      this.#foreignPods.delete(uid);
      addAmounts(this.#foreign.get(counted.node)!, counted.amounts, -1);
    } else {
      const amounts = { ...podRequests(pod.spec), pods: 1 };
      this.#foreignPods.set(uid, { node: node!, amounts });
      if (!this.#foreign.has(node!)) this.#foreign.set(node!, {});
      addAmounts(this.#foreign.get(node!)!, amounts, 1);
    }
    const found = this.#stores.nodes.get(undefined, counted?.node ?? node!);
    if (found === undefined || !this.#isRunning) return;
    this.#putNode(found);
    this.wake();
  }

  // Jobs

  #queueOf(record: WorkloadRecord): Queue {
    const name = record.workload.status?.queue ?? record.workload.spec.queue ?? defaultQueueName;
    return (
      this.#stores.queues.get(undefined, name) ?? {
        apiVersion: "berth.dev/v1alpha1",
        kind: "Queue",
        metadata: { name },
        spec: {},
      }
    );
  }

  #jobContext(record: WorkloadRecord): Parameters<typeof jobInput>[1] {
    return {
      resources: this.#resources,
      queue: this.#queueOf(record),
      site: this.#stores.sites.get(undefined, "site"),
      outcomeOf: (jobId) => {
        const known = this.#ledger.byJobId(jobId);
        if (known === undefined) return { outcome: record.history?.get(jobId) };
        return { outcome: recordOutcome(known.record), task: known.task };
      },
    };
  }

  /** An admitted Workload that is not finished. */
  add(record: WorkloadRecord): void {
    this.#core.addJob(jobInput(record, this.#jobContext(record)));
    this.wake();
  }

  /** Its spec changed (hold, nice, wall time, queue, dependencies …). */
  update(record: WorkloadRecord): void {
    const id = record.jobId;
    if (id === undefined || !this.#core.has(id)) return;
    const { id: _, array, submitTime: _submitted, ...changes } = jobInput(record, this.#jobContext(record));
    const now = this.#now();
    this.#core.updateJob(
      id,
      array === undefined ? changes : { ...changes, array: { pending: array.pending, maxRunning: array.maxRunning } },
      now,
    );
    for (const attempt of record.live.values()) {
      if (attempt.startTime === undefined) continue;
      attempt.wallTimeSeconds = Math.min(attempt.wallTimeSeconds, wallTimeOf(record.workload));
      this.#core.setEnd(id, this.#endOf(record, attempt), now, taskOf(attempt));
    }
    this.wake();
  }

  /** What of it waits goes; of an array these tasks, or all that wait. */
  removePending(record: WorkloadRecord, tasks?: readonly (readonly [number, number])[]): void {
    const id = record.jobId!;
    if (!this.#core.has(id)) return;
    this.#core.removeJob(id, this.#now(), tasks);
    this.wake();
  }

  #endOf(record: WorkloadRecord, attempt: Attempt): number {
    const site = this.#stores.sites.get(undefined, "site");
    const start = seconds(attempt.startTime) ?? Math.floor(attempt.createdAt / 1000);
    const allowance = attempt.startTime === undefined ? allowanceSecondsOf(record.workload) : 0;
    return start + allowance + attempt.wallTimeSeconds + graceSecondsOf(record.workload, site);
  }

  // What attempts tell

  adopted(record: WorkloadRecord, attempt: Attempt): void {
    const id = record.jobId!;
    if (!this.#core.has(id)) return;
    const allocation: Allocation = {
      nodes: nodesBySet(record, attempt),
      startTime: Math.min(this.#now(), Math.floor(attempt.createdAt / 1000)),
      endTime: Math.max(this.#now(), this.#endOf(record, attempt)),
    };
    this.#core.startJob(id, allocation, taskOf(attempt));
  }

  started(record: WorkloadRecord, attempt: Attempt): void {
    if (!this.#core.has(record.jobId!)) return;
    this.#core.setEnd(record.jobId!, this.#endOf(record, attempt), this.#now(), taskOf(attempt));
    this.wake();
  }

  ended(record: WorkloadRecord, attempt: Attempt): void {
    if (!this.#core.has(record.jobId!)) return;
    this.#core.endJob(record.jobId!, this.#now(), {
      task: taskOf(attempt),
      ok: attempt.end?.phase === "Succeeded",
      requeue: attempt.requeue === true,
    });
    this.wake();
  }

  takenBack(record: WorkloadRecord, attempt: Attempt, why: string | undefined): void {
    if (!this.#core.has(record.jobId!)) return;
    this.#core.endJob(record.jobId!, this.#now(), { task: taskOf(attempt), ok: false, requeue: true });
    if (why !== undefined) this.#core.updateJob(record.jobId!, { blocked: "InvalidTemplate" }, this.#now());
    this.wake();
  }

  unavailable(record: WorkloadRecord): void {
    this.endPending(record, "Cancelled");
  }

  finished(record: WorkloadRecord): void {
    this.#finished(record);
  }

  // Deciding

  /** Something changed: one decision for all changes of this turn of the event loop, and with pauses when decisions are costly. */
  wake(): void {
    if (this.#isScheduled || !this.#isRunning || this.#context.signal.aborted) return;
    this.#isScheduled = true;
    const run = (): void => {
      this.#isScheduled = false;
      if (!this.#context.signal.aborted) this.#decide();
    };
    if (this.#costMs < 2) setImmediate(run);
    else setTimeout(run, this.#costMs);
  }

  #decide(): void {
    clearTimeout(this.#wakeTimer);
    const began = performance.now();
    const now = this.#now();
    const decisions = this.#decideAt(now);
    for (const start of decisions.starts) this.#begin(start);
    this.#report(decisions);
    for (const id of decisions.expired) this.#expire(id);
    if (decisions.nextWake !== undefined) {
      const milliseconds = Math.max(10, decisions.nextWake * 1000 - this.#context.now());
      // Longer timers overflow; to wake too early is harmless.
      this.#wakeTimer = setTimeout(() => this.wake(), Math.min(milliseconds, 2 ** 31 - 1));
    }
    this.#costMs = performance.now() - began;
    this.#forecastSoon();
  }

  #begin(start: Start): void {
    const found = this.#ledger.byJobId(start.job);
    if (found === undefined) return;
    const { record } = found;
    const task = start.task ?? noTask;
    const { workload } = record;
    const queue = this.#queueOf(record);
    const attempt = currentAttempt(record, task);
    const environment = attemptEnvironment({
      workload,
      queue,
      task: start.task,
      attempt,
      nodes: start.nodes.flat(),
      wholeNode: (name) => this.#amountsOf(name),
      clusterName: this.#stores.sites.get(undefined, "site")?.spec.clusterName,
    });
    const plan: AttemptPlan = {
      workload,
      queue,
      task: start.task,
      attempt,
      nodes: start.nodes,
      wallTimeSeconds: start.wallTimeSeconds,
      graceSeconds: graceSecondsOf(workload, this.#stores.sites.get(undefined, "site")),
      wholeNode: (name) => this.#amountsOf(name),
      environment,
    };
    record.eligibleTime ??= workload.status?.submitTime;
    this.#life.begin(record, task, start.wallTimeSeconds, plannedBinding(plan) ?? plannedPods(plan));
    if (record.book === undefined || record.book.pending.size === 0) this.#reports.reason(record, "None");
  }

  #amountsOf(nodeName: string): Amounts | undefined {
    const node = this.#stores.nodes.get(undefined, nodeName);
    if (node === undefined) return undefined;
    const amounts = { ...capacityOf(node) };
    addAmounts(amounts, this.#foreign.get(nodeName) ?? {}, -1);
    return amounts;
  }

  #expire(id: number): void {
    const record = this.#ledger.byJobId(id)?.record;
    if (record === undefined) return;
    this.endPending(record, "DeadlineExceeded");
  }

  /** Ends all that waits of a Workload. */
  endPending(record: WorkloadRecord, phase: "DeadlineExceeded" | "Cancelled", among?: string): void {
    if (record.book === undefined) {
      if (record.live.size > 0) return;
      this.removePending(record);
      this.#life.endPending(record, phase, undefined);
      return;
    }
    const tasks =
      among === undefined ? record.book.pending.clone() : record.book.pending.intersect(parseIndexList(among));
    if (tasks.size === 0) return;
    this.removePending(record, runsOf(tasks));
    record.book.endPending(tasks, phase);
    this.#life.endPending(record, phase, [...tasks]);
  }

  // Telling

  #report(decisions: Decisions): void {
    for (const { job, reason } of decisions.waiting) {
      const record = this.#ledger.byJobId(job)?.record;
      if (record === undefined) continue;
      this.#reports.reason(record, reason);
      if (reason !== "Resources" && reason !== "Priority") this.#reports.estimate(record, undefined);
      if (reason === "DependencyNeverSatisfied" && record.workload.spec.dependencies?.cancelOnInvalid === true) {
        record.cancelledBy ??= "dependency";
        this.endPending(record, "Cancelled");
      }
    }
    for (const reservation of decisions.reservations) {
      const record = this.#ledger.byJobId(reservation.job)?.record;
      if (record !== undefined) this.#reports.estimate(record, reservation.startTime);
    }
  }

  /** When a job would start that is not there: of a record that has an id and is in no ledger. Costs about a forecast. */
  foresee(record: WorkloadRecord): Foresight & { message: string | undefined; cpus: number } {
    const job = jobInput(record, this.#jobContext(record));
    const now = this.#now();
    const found = foresee(this.#core, job, now, { maxStarts: foreseenStarts, isOver: budget(forecastBudgetMs) });
    const { explanation, start } = found;
    const message = explanation === undefined ? undefined : waitMessage(explanation, this.#resources, now);
    const nodes = start?.nodes.flat() ?? [];
    const milliCpus =
      job.exclusive === true && start !== undefined
        ? [...new Set(nodes)].reduce((sum, name) => sum + (this.#amountsOf(name)?.["cpu"] ?? 0), 0)
        : job.podSets.reduce((sum, { count, request }) => sum + count * (request[0] ?? 0), 0);
    return { ...found, message, cpus: Math.ceil(milliCpus / 1000) };
  }

  #messageOf(record: WorkloadRecord): string | undefined {
    if (record.blocked !== undefined) return record.blocked;
    const explanation = explain(this.#core, record.jobId!, this.#now());
    return explanation === undefined ? undefined : waitMessage(explanation, this.#resources, this.#now());
  }

  #forecastSoon(): void {
    if (this.#forecastTimer !== undefined || this.#core.counts().pendingJobs === 0) return;
    const rest = Math.max(forecastIntervalMs, this.#forecastCostMs * forecastCostFactor);
    const pause = Math.max(forecastDelayMs, this.#forecastEnd + rest - performance.now());
    this.#forecastTimer = setTimeout(() => {
      this.#forecastTimer = undefined;
      const began = performance.now();
      const { starts } = forecast(this.#core, this.#now(), {
        maxStarts: forecastStarts,
        isOver: budget(forecastBudgetMs),
      });
      for (const { job, time } of starts) {
        const record = this.#ledger.byJobId(job)?.record;
        if (record !== undefined) this.#reports.estimate(record, time);
      }
      this.#forecastEnd = performance.now();
      this.#forecastCostMs = this.#forecastEnd - began;
    }, pause);
  }
}

function budget(milliseconds: number): () => boolean {
  const end = performance.now() + milliseconds;
  return () => performance.now() > end;
}

function taskOf(attempt: Attempt): number | undefined {
  return attempt.task === noTask ? undefined : attempt.task;
}

function isOwn(pod: Pod): boolean {
  return pod.metadata.labels?.["berth.dev/workload"] !== undefined;
}

/** Node names in the shape of an allocation; only the sum on each node counts. */
function nodesBySet(record: WorkloadRecord, attempt: Attempt): string[][] {
  const { podSets } = record.workload.spec;
  const bySet = podSets.map((): string[] => []);
  for (const entry of attempt.pods) {
    const set = podSets.findIndex(({ name }) => entry.pod?.metadata.labels?.["berth.dev/pod-set"] === name);
    bySet[Math.max(0, set)]!.push(entry.node);
  }
  return bySet;
}
