/** Decides after each change, begins what is decided, and tells of what waits: the parts of scheduling put together. */
import type { Checkpoint, Membership, Node, Pod, QualityOfService, Queue, Reservation, Workload } from "@berth/kinds";
import { isFinal, parseIndexList } from "@berth/kinds";
import {
  type Decisions,
  explain,
  type Foresight,
  type Preemption,
  type Resumption,
  type Start,
  submitRefusal,
} from "@berth/scheduling";
import { type Claims, mayDemand } from "../claims/claims.ts";
import type { SettledPod } from "../claims/settling.ts";
import type { Context } from "../context.ts";
import { runsOf } from "../model/array-book.ts";
import type { Ledger } from "../model/ledger.ts";
import {
  byJobId,
  type Attempt,
  attemptOfTask,
  currentAttempt,
  type EndedAttempt,
  noTask,
  openTasks,
  type WorkloadRecord,
} from "../model/record.ts";
import { hostOf } from "../model/wrapped-pod.ts";
import { plannedBinding } from "../pod/binding.ts";
import type { Stores } from "../stores.ts";
import type { AttemptLife } from "../workload/life.ts";
import type { LifeEvents } from "../workload/life-events.ts";
import type { Writer } from "../writer.ts";
import { attemptEnvironment, type AttemptPlace, taskVariables } from "./attempt-environment.ts";
import { LiveCluster } from "./cluster.ts";
import { Forecasts } from "./forecasts.ts";
import { JobFeed } from "./job-feed.ts";
import { limitMessage } from "./limit-message.ts";
import { Leasing } from "./leasing.ts";
import { waitMessage, wantsNodes } from "./messages.ts";
import { type Meter, meterOf } from "./meter.ts";
import { SharedTrees } from "../namespaces/shared-trees.ts";
import { type AttemptPlan, plannedPlaces, plannedPods } from "./pods.ts";
import { Refusals } from "./refusals.ts";
import { Rejections } from "./rejections.ts";
import { claimProblem, graceSecondsOf, jobInput } from "./snapshot.ts";
import { StandingEnds } from "./standing-ends.ts";
import { UsageBook } from "./usage-book.ts";
import { WaitingReports } from "./waiting.ts";
import { WallTimes } from "./wall-times.ts";

/** Slurm's PriorityCalcPeriod. */
const prioritySeconds = 300;

export class Scheduling implements LifeEvents {
  readonly #context: Context;
  readonly #ledger: Ledger;
  readonly #cluster: LiveCluster;
  readonly #jobs: JobFeed;
  readonly #trees: SharedTrees;
  readonly #leasing: Leasing;
  readonly #forecasts: Forecasts;
  readonly #reports: WaitingReports;
  readonly #usage: UsageBook;
  readonly #meter: Meter;
  readonly #wallTimes: WallTimes;
  readonly #rejections: Rejections;
  readonly #standing: StandingEnds;
  readonly #refusals: Refusals;
  #life!: AttemptLife;
  /** Those that other objects may say something of. */
  readonly #demanding = new Set<WorkloadRecord>();
  #isRunning = false;
  #isScheduled = false;
  #wakeTimer: NodeJS.Timeout | undefined;
  #costMs = 0;
  /** Told of Workloads whose final status is written. */
  readonly #finished: (record: WorkloadRecord) => void;

  constructor(
    context: Context,
    ledger: Ledger,
    stores: Stores,
    writer: Writer,
    finished: (record: WorkloadRecord) => void,
    claims?: Claims,
  ) {
    this.#context = context;
    this.#ledger = ledger;
    this.#finished = finished;
    const events = { changed: () => this.wake(), outgrown: () => this.#rebuild() };
    this.#cluster = new LiveCluster(context, stores, writer, events, claims);
    this.#trees = new SharedTrees(context, writer);
    this.#jobs = new JobFeed(this.#cluster, ledger);
    this.#leasing = new Leasing({
      cluster: this.#cluster,
      stores,
      signal: context.signal,
      begin: (start) => this.#begin(start),
      giveBack: (record, tasks) => this.takenBack(record, tasks, undefined),
    });
    this.#forecasts = new Forecasts(context, this.#cluster, this.#jobs, (job, time) => {
      const record = ledger.byJobId(job)?.record;
      if (record !== undefined) this.#reports.estimate(record, time);
    });
    this.#usage = new UsageBook(context, stores);
    this.#meter = meterOf(context.metrics);
    this.#wallTimes = new WallTimes({
      context,
      isEmbedded: (node) => this.#cluster.isEmbedded(node),
      end: (record, attempt) => this.#life.stop(record, attempt, "TimedOut"),
    });
    this.#standing = new StandingEnds(context, (record, attempt) => {
      if (this.#jobs.started(record, attempt)) this.wake();
    });
    this.#rejections = new Rejections(context, (record) => this.update(record));
    this.#refusals = new Refusals(context, (record) => this.update(record));
    this.#reports = new WaitingReports(context, writer, (record) => this.#messageOf(record));
    context.signal.addEventListener("abort", () => clearTimeout(this.#wakeTimer), { once: true });
  }

  /** Makes the state from what the stores hold. Jobs are added after that, then {@link start} begins to decide. */
  async prepare(life: AttemptLife): Promise<void> {
    this.#life = life;
    await this.#usage.read();
    this.#cluster.make();
    this.#followClaims();
    this.#usage.feed(this.#cluster.core, this.#cluster.resources);
  }

  /** In an orderly stop: what is known of usage is written, so that the next leader need not count again. */
  async stop(): Promise<void> {
    await this.#usage.checkpoint();
  }

  start(): void {
    this.#isRunning = true;
    this.#cluster.reservations.retry();
    this.wake();
  }

  #followClaims(): void {
    const { claims } = this.#cluster;
    if (claims === undefined) return;
    claims.changed = () => {
      for (const record of this.#demanding) {
        if (record.isGone || isFinal(record.phase)) this.#demanding.delete(record);
        else if (this.#cluster.lacks(record.workload)) {
          // All jobs are told anew.
          this.#rebuild();
          this.wake();
        } else if (this.#jobs.update(record)) {
          const { reason, message } = record.waiting;
          if (reason === "Claims" && message !== this.claimProblem(record)) this.#reports.reworded(record);
          this.wake();
        }
      }
    };
    claims.nodeChanged = (name) => this.#cluster.refreshNode(name);
  }

  #rebuild(): void {
    this.#leasing.forgetHeld();
    this.#cluster.remake();
    const waiting = [...this.#ledger.values()].filter(({ jobId, phase }) => jobId !== undefined && !isFinal(phase));
    for (const record of waiting.sort(byJobId)) {
      this.#jobs.add(record);
      const known = new Set<number>();
      for (const attempt of record.live.values()) {
        const tasks = openTasks(attempt).filter((task) => !known.has(task));
        for (const task of tasks) known.add(task);
        if (tasks.length > 0) this.#jobs.adopted(record, attempt, tasks);
      }
    }
    this.#cluster.reservations.retry();
  }

  // What changes around jobs

  putNode(node: Node): void {
    this.#rejections.nodeChanged(node.metadata.name);
    this.#cluster.putNode(node);
  }

  removeNode(name: string): void {
    this.#cluster.removeNode(name);
  }

  putQueue(queue: Queue): void {
    this.#cluster.putQueue(queue);
  }

  removeQueue(name: string): void {
    this.#cluster.removeQueue(name);
  }

  siteChanged(): void {
    this.#cluster.siteChanged();
  }

  accountsChanged(): void {
    this.#cluster.accountsChanged();
  }

  membershipChanged(membership: Membership, isDeleted: boolean): void {
    this.#cluster.membershipChanged(membership, isDeleted);
  }

  qualityOfServiceChanged(qos: QualityOfService, isDeleted: boolean): void {
    this.#cluster.qualityOfServiceChanged(qos, isDeleted);
  }

  reservationChanged(reservation: Reservation, isDeleted: boolean): void {
    this.#cluster.reservationChanged(reservation, isDeleted);
  }

  /** Whether there are limits that a submission may be refused by. */
  get hasLimits(): boolean {
    return this.#cluster.associations.hasLimits;
  }

  /** Why the account cannot be used as it stands, in words. */
  accountProblem(account: string): string | undefined {
    return this.#cluster.associations.problemOf(account);
  }

  /** The limit that speaks against the submission of a job that is not there, in words; undefined: none does. */
  submissionLimit(record: WorkloadRecord): string | undefined {
    const hit = submitRefusal(this.#cluster.core, jobInput(record, this.#jobs.contextOf(record)));
    return hit === undefined ? undefined : limitMessage(hit, this.#cluster.resources);
  }

  /** What claims of its pods ask for that Berth never allocates, in words; undefined: nothing. */
  unsupportedClaim({ spec, metadata: { namespace = "" } }: Workload): string | undefined {
    for (const { name, template } of spec.podSets) {
      const refusal = this.#cluster.claims?.demandOf(namespace, template.spec)?.refusal;
      if (refusal !== undefined) return `spec.podSets[${name}]: ${refusal}`;
    }
    return undefined;
  }

  countForeign(pod: Pod, isDeleted: boolean): void {
    this.#cluster.countForeign(pod, isDeleted);
  }

  // Jobs

  /** An admitted Workload that is not finished. */
  add(record: WorkloadRecord): void {
    if (this.#cluster.learnRules(record.workload)) this.#rebuild();
    if (record.workload.spec.podSets.some(({ template }) => mayDemand(template.spec))) this.#demanding.add(record);
    if (!this.#cluster.core.has(record.jobId!)) this.#jobs.add(record);
    this.wake();
  }

  /** Its spec changed (hold, nice, wall time, queue, dependencies …). */
  update(record: WorkloadRecord): void {
    this.#leasing.giveBack(record);
    this.#wallTimes.changed(record);
    if (this.#jobs.update(record)) this.wake();
  }

  /** It told that it has saved its state. */
  checkpointed(record: WorkloadRecord, checkpoint: Checkpoint): void {
    this.#jobs.checkpointed(record, checkpoint);
  }

  /** What of it waits goes; of an array these tasks, or all that wait. */
  removePending(record: WorkloadRecord, tasks?: readonly (readonly [number, number])[]): void {
    if (this.#jobs.removePending(record, tasks)) this.wake();
  }

  // What attempts tell

  adopted(record: WorkloadRecord, attempt: Attempt, tasks: readonly number[]): void {
    this.#jobs.adopted(record, attempt, tasks);
  }

  started(record: WorkloadRecord, attempt: Attempt): void {
    this.#refusals.taken(record);
    this.#wallTimes.started(record, attempt);
    if (this.#jobs.started(record, attempt)) this.wake();
  }

  ended(record: WorkloadRecord, ended: EndedAttempt, attempt: Attempt): void {
    this.#usage.changed();
    this.#meter.ended(ended.end.phase);
    this.#wallTimes.ended(attempt);
    this.#standing.ended(attempt);
    if (ended.requeue && record.book === undefined) this.#reports.again(record, ended.end.startTime ?? ended.startTime);
    if (!this.#jobs.ended(record, ended, attempt)) return;
    this.#leasing.ended(record, ended);
    this.wake();
  }

  suspended(record: WorkloadRecord, attempt: Attempt): void {
    this.#standing.changed(record, attempt);
    if (this.#jobs.suspended(record, attempt)) this.wake();
  }

  isEmbedded(node: string): boolean {
    return this.#cluster.isEmbedded(node);
  }

  async settle(pod: SettledPod, node: string, isWanted: () => boolean): Promise<void> {
    await this.#cluster.claims?.settle(pod, node, isWanted);
  }

  takenBack(record: WorkloadRecord, tasks: readonly number[], why: string | undefined): void {
    if (why !== undefined) this.#refusals.refused(record);
    if (this.#jobs.takenBack(record, tasks, why)) this.wake();
  }

  rejected(record: WorkloadRecord, node: string, why: string): void {
    this.#rejections.rejected(record, node, why);
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
    const decisions = this.#cluster.decide();
    for (const preemption of decisions.preemptions) this.#preempt(preemption);
    for (const resumption of decisions.resumptions) this.#resume(resumption);
    for (const start of decisions.starts) this.#begin(start);
    this.#report(decisions);
    this.#cluster.reservations.tell(this.#cluster.now());
    for (const id of decisions.expired) this.#expire(id);
    const nextWake = Math.min(decisions.nextWake ?? Infinity, this.#nextPriorities());
    if (nextWake < Infinity) {
      const milliseconds = Math.max(10, nextWake * 1000 - this.#context.now());
      // Longer timers overflow; to wake too early is harmless.
      this.#wakeTimer = setTimeout(() => this.wake(), Math.min(milliseconds, 2 ** 31 - 1));
    }
    this.#costMs = performance.now() - began;
    this.#meter.decided(this.#costMs / 1000);
    this.#forecasts.decided(decisions);
  }

  /** When priorities are looked at again although nothing happens: they change with age and with fading usage. */
  #nextPriorities(): number {
    const weights = this.#cluster.site?.spec.priority?.weights;
    const areMoving = (weights?.age ?? 0) > 0 || (weights?.fairShare ?? 0) > 0;
    if (!areMoving || !this.#cluster.core.hasPending()) return Infinity;
    return this.#cluster.now() + prioritySeconds;
  }

  /** Ends what has to make room, as if it had been cancelled; its end brings it back where the mode says so. */
  /** A leader may have ended between a pod and its claims. */
  keepTrees(): void {
    for (const record of this.#ledger.values()) {
      if (record.live.size > 0) this.#trees.ensure(record.namespace, this.#cluster.queueOf(record));
    }
  }

  /** The namespace is gone. */
  namespaceRemoved(namespace: string): void {
    this.#trees.removed(namespace);
  }

  #preempt({ job, task, by, mode, graceSeconds }: Preemption): void {
    const record = this.#ledger.byJobId(job)?.record;
    const attempt = record === undefined ? undefined : attemptOfTask(record, task ?? noTask);
    if (record === undefined || attempt === undefined) return;
    if (mode === "Suspend") this.#life.standFor(record, attempt, by);
    else this.#life.preempt(record, attempt, { by, mode, graceSeconds });
  }

  #resume({ job, task }: Resumption): void {
    const record = this.#ledger.byJobId(job)?.record;
    const attempt = record === undefined ? undefined : attemptOfTask(record, task ?? noTask);
    if (record === undefined || attempt === undefined) return;
    this.#life.goOn(record, attempt);
    this.#jobs.suspended(record, attempt);
  }

  #begin(start: Start): void {
    const found = this.#ledger.byJobId(start.job);
    if (found === undefined) return;
    const { record } = found;
    if (this.#leasing.holds(record, start)) return;
    const task = start.task ?? noTask;
    const { workload } = record;
    const queue = this.#cluster.queueOf(record);
    const attempt = currentAttempt(record, task);
    const place: AttemptPlace = {
      workload,
      queue,
      task: start.task,
      attempt,
      nodes: start.nodes.flat(),
      wholeNode: (name) => this.#cluster.amountsOf(name),
      clusterName: this.#cluster.site?.spec.clusterName,
    };
    const lease = this.#leasing.leaseOf(record, start);
    const plan: AttemptPlan = {
      workload,
      queue,
      task: start.task,
      attempt,
      nodes: start.nodes,
      grants: start.grants,
      givesDevices: (name) => this.#cluster.isEmbedded(name),
      kubelet: (name) => this.#cluster.kubeletTraits(name),
      wallTimeSeconds: start.wallTimeSeconds,
      graceSeconds: graceSecondsOf(workload, this.#cluster.site),
      wholeNode: (name) => this.#cluster.amountsOf(name),
      environment: attemptEnvironment(place),
      isLate: (template) => {
        const { claims } = this.#cluster;
        return claims?.demandOf(record.namespace, template.spec, queue.spec)?.isLate === true;
      },
      lease: lease && { ...lease, variables: () => taskVariables(place) },
    };
    if (start.nodes.some((set) => set.some((name) => this.#cluster.kubeletTraits(name) !== undefined)))
      this.#trees.ensure(record.namespace, queue);
    record.eligibleTime ??= workload.status?.submitTime;
    this.#meter.started(place.nodes.length);
    if (hostOf(workload) !== undefined) {
      this.#life.beginHosted(record, start.wallTimeSeconds, plannedPlaces(plan));
    } else this.#life.begin(record, task, start.wallTimeSeconds, plannedBinding(plan) ?? plannedPods(plan), lease);
    if (record.book === undefined || record.book.pending.size === 0) this.#reports.reason(record, "None");
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
    this.#leasing.giveBack(record);
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
    if (this.#cluster.learnRules(record.workload)) this.#rebuild();
    return this.#forecasts.foresee(record);
  }

  /** The state as it stands, for questions: nothing may be changed through it. */
  get inspected(): { core: LiveCluster["core"]; resources: readonly string[]; now: number } {
    const { core, resources } = this.#cluster;
    return { core, resources, now: this.#cluster.now() };
  }

  /** What claims of its pods lack, in words; undefined: nothing. */
  claimProblem(record: WorkloadRecord): string | undefined {
    return claimProblem(record.workload, this.#jobs.contextOf(record));
  }

  #messageOf(record: WorkloadRecord): string | undefined {
    const lacking = record.blocked ?? this.claimProblem(record);
    if (lacking !== undefined) return lacking;
    const now = this.#cluster.now();
    const explanation = explain(this.#cluster.core, record.jobId!, now);
    if (explanation === undefined) return undefined;
    const message = waitMessage(explanation, this.#cluster.resources, now, wantsNodes(record.workload));
    const refusal = [...record.refusedBy].find(([, { isOver }]) => !isOver);
    return refusal === undefined ? message : `node ${refusal[0]} did not take it (${refusal[1].why}); ${message}`;
  }
}
