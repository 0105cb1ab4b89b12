/**
 * The life of attempts: from the creation of their pods to the row of their end. What it decides rests on pods alone, so that a
 * new leader goes on where the last one stopped; every step may be repeated.
 */
import type { FinalPhase, IndexSet, Lease, Pod } from "@berth/kinds";
import { annotations, attemptOf, takenReason } from "@berth/kinds";
import { type Context, timestamp } from "../context.ts";
import { type AttemptEnd, endOfPod, isTerminal, rejectionOf, startOf, usageOfGang } from "../model/ends.ts";
import type { Ledger } from "../model/ledger.ts";
import {
  type Attempt,
  type AttemptPod,
  type LeasedTasks,
  noTask,
  openTasks,
  type Preempted,
  setState,
  type WorkloadRecord,
} from "../model/record.ts";
import { hostOf, isPodOf, isWrapped } from "../model/wrapped-pod.ts";
import { ClaimsUnsettled } from "../claims/settling.ts";
import { PodUnavailable } from "../pod/binding.ts";
import type { Writer } from "../writer.ts";
import {
  attemptOfPods,
  countDriver,
  carriesSame,
  findPod,
  isGated,
  isOver,
  markDeletedByUser,
  markRunning,
  plannedAttempt,
  stopPods,
  takeOver,
  tasksOf,
  vanishedAttempt,
  waitAgain,
} from "./attempt-pods.ts";
import { endTask, isHeldElsewhere, leaveTasks } from "./ending.ts";
import { Flushes } from "./flushes.ts";
import { Gates } from "./gates.ts";
import { HostedLife, type PlannedPlace } from "./hosted-life.ts";
import { LeaseLife } from "./lease-life.ts";
import { Leftovers } from "./leftovers.ts";
import type { LifeEvents } from "./life-events.ts";
import { makePod, type PlannedPod } from "./pod-creation.ts";
import { PodRemoval } from "./pod-removal.ts";
import { Suspending } from "./suspending.ts";
import { WallTimes } from "./wall-time.ts";

export class AttemptLife {
  readonly #context: Context;
  readonly #ledger: Ledger;
  readonly #writer: Writer;
  readonly #events: LifeEvents;
  readonly #removal: PodRemoval;
  readonly #flushes: Flushes;
  readonly #gates: Gates;
  readonly #leases: LeaseLife;
  readonly #leftovers: Leftovers;
  readonly #wallTimes: WallTimes;
  /** Of attempts whose pods somebody else makes. */
  readonly hosted: HostedLife;
  readonly #suspending: Suspending;

  constructor(context: Context, ledger: Ledger, writer: Writer, events: LifeEvents) {
    this.#context = context;
    this.#ledger = ledger;
    this.#writer = writer;
    this.#events = events;
    this.#removal = new PodRemoval(context, writer);
    this.#gates = new Gates(context, writer);
    this.#wallTimes = new WallTimes(context, writer);
    this.#leftovers = new Leftovers(context, this.#removal);
    this.#suspending = new Suspending({
      context,
      writer,
      isEmbedded: (node) => events.isEmbedded(node),
      changed: (record, attempt) => {
        events.suspended(record, attempt);
        this.flushSoon(record);
      },
    });
    this.#leases = new LeaseLife(context, writer, events);
    this.#flushes = new Flushes({
      context,
      ledger,
      writer,
      removal: this.#removal,
      finished: (record) => events.finished(record),
    });
    this.hosted = new HostedLife({
      context,
      writer,
      events,
      removal: this.#removal,
      flushSoon: (record) => this.flushSoon(record),
      finish: (record, attempt) => this.#finish(record, attempt),
    });
  }

  #timestamp(): string {
    return timestamp(this.#context.now());
  }

  // Beginning

  /** Creates the pods of an attempt that the scheduler decided to start; of several tasks, `task` is the first of the lease. */
  begin(
    record: WorkloadRecord,
    task: number,
    wallTimeSeconds: number,
    plan: readonly PlannedPod[],
    lease?: Lease,
  ): Attempt {
    const attempt = plannedAttempt(record, { task, wallTimeSeconds, plan, lease, createdAt: this.#context.now() });
    attempt.pods.forEach((entry, at) => void this.#create(record, attempt, entry, plan[at]!));
    this.#flushes.began(record);
    return attempt;
  }

  /** The same where somebody else makes the pods, which take these places as they come. */
  beginHosted(record: WorkloadRecord, wallTimeSeconds: number, places: readonly PlannedPlace[]): void {
    this.hosted.begin(record, wallTimeSeconds, places);
  }

  async #create(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod, planned: PlannedPod): Promise<void> {
    const { log, signal } = this.#context;
    try {
      const made = await makePod(
        {
          context: this.#context,
          writer: this.#writer,
          record,
          attempt,
          settle: (pod, node, isWanted) => this.#events.settle(pod, node, isWanted),
          made: (pod) => {
            if (entry.state === "Creating") this.#apply(record, attempt, entry, pod);
          },
        },
        planned,
      );
      if (entry.state !== "Creating") return;
      if (made === undefined) this.#applyGone(record, attempt, entry);
      else if (!carriesSame(attempt, made)) this.#replace(record, attempt, made);
      else this.#apply(record, attempt, entry, made);
    } catch (error) {
      if (signal.aborted) return;
      const message = (error as Error).message;
      if (error instanceof ClaimsUnsettled) {
        this.#unsettled(record, attempt, entry, message);
        return;
      }
      log("warn", `pod ${entry.name} cannot be made: ${message}`, { jobId: record.jobId });
      if (planned.isLate === true && entry.state === "Created") {
        // It is there, and could not be bound.
        this.#takeBack(record, attempt, error instanceof PodUnavailable ? undefined : message);
        return;
      }
      if (entry.state !== "Creating") return;
      setState(attempt, entry, "Gone");
      if (!(error instanceof PodUnavailable)) {
        this.#takeBack(record, attempt, message);
        return;
      }
      this.#takeBack(record, attempt);
      if (attempt.stopped !== undefined) return;
      record.cancelledBy ??= "deletion";
      this.#events.unavailable(record);
    }
  }

  /** Its claims are not to be had on this node: another may do. */
  #unsettled(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod, why: string): void {
    if (attempt.state !== "Starting" || record.live.get(attempt.task) !== attempt) return;
    if (entry.state === "Creating") setState(attempt, entry, "Gone");
    this.#events.rejected(record, entry.node, why);
    this.#takeBack(record, attempt);
  }

  /** An earlier leader had made this pod, with other tasks: those are what it carries. */
  #replace(record: WorkloadRecord, attempt: Attempt, pod: Pod): void {
    const tasks = openTasks(attempt).filter((task) => record.book!.isHeld(task));
    record.live.delete(attempt.task);
    attempt.state = "Ended";
    leaveTasks(this.#events, record, attempt, tasks);
    this.adopt(record, attempt.task, attempt.number, [pod]);
    this.flushSoon(record);
  }

  /** Ends what there is of a gang that did not become whole; its scripts have not begun. */
  #takeBack(record: WorkloadRecord, attempt: Attempt, why?: string): void {
    if (attempt.state !== "TakingBack") {
      attempt.state = "TakingBack";
      for (const entry of attempt.pods)
        if (entry.pod !== undefined && entry.state !== "Gone") this.#removal.discard(entry.pod);
    }
    if (why !== undefined) record.blocked ??= why;
    if (attempt.pods.some(({ state }) => state !== "Gone") || record.live.get(attempt.task) !== attempt) return;
    if (attempt.stopped !== undefined) {
      // Stopped meanwhile: what there was is over, and nothing of it waits.
      attempt.end = { phase: attempt.stopped, exitCode: 0, signal: 0 };
      this.#finish(record, attempt);
      return;
    }
    this.#events.takenBack(record, waitAgain(record, attempt), record.blocked);
    this.flushSoon(record);
  }

  // What pods tell

  /** To be called for each event of a pod of Berth's. */
  onPod(pod: Pod, isDeleted: boolean): void {
    const name = attemptOf(pod);
    if (name === undefined) return;
    const { namespace = "" } = pod.metadata;
    if (isDeleted) this.#removal.isGone(pod);
    const record = this.#ledger.byName(namespace, name.workload);
    if (record === undefined || !isPodOf(record, pod)) return;
    const task = name.task ?? noTask;
    const attempt = record.live.get(task);
    const entry = attempt?.number === name.attempt ? findPod(attempt, pod.metadata.name) : undefined;
    if (attempt === undefined || entry === undefined) {
      if (isDeleted) return;
      // Of an array: a leader before this one had asked for it, and died.
      const isLate = record.book !== undefined && attempt === undefined && !isGated(pod);
      if (isLate && tasksOf(pod, task).some((each) => !isOver(record, each, name.attempt))) {
        this.adopt(record, task, name.attempt, [pod]);
      } else this.#leftovers.take(record, pod, task, name.attempt);
      return;
    }
    if (attempt.isHosted === true) {
      if (isDeleted) this.hosted.gone(record, attempt, entry);
      else this.hosted.apply(record, attempt, entry, pod);
      return;
    }
    entry.pod = pod;
    if (entry.state !== "Terminal" && (isDeleted || pod.metadata.deletionTimestamp !== undefined)) {
      markDeletedByUser(record, attempt, pod);
    }
    if (isDeleted) this.#applyGone(record, attempt, entry);
    else this.#apply(record, attempt, entry, pod);
  }

  /**
   * Takes over what an earlier leader began: the pods of one attempt, found at the start. Attempts of a task are to be given in
   * the order of their numbers.
   */
  adopt(record: WorkloadRecord, task: number, number: number, pods: readonly Pod[]): void {
    if (hostOf(record.workload) !== undefined && !isOver(record, task, number)) {
      this.hosted.adopt(record, pods);
      return;
    }
    const tasks = tasksOf(pods[0]!, task).filter((each) => !isOver(record, each, number));
    if (tasks.length === 0) {
      for (const pod of pods) this.#leftovers.take(record, pod, task, number);
      return;
    }
    const attempt = attemptOfPods(record, { task, number }, tasks, pods, this.#context.now());
    this.#wallTimes.resume(record, attempt);
    const stopping = pods.find(({ metadata }) => metadata.deletionTimestamp !== undefined);
    if (stopping !== undefined) markDeletedByUser(record, attempt, stopping);
    const free = takeOver(record, attempt, tasks);
    if (free.length > 0) this.#events.adopted(record, attempt, free);
    const driver = attempt.pods.find((entry) => entry.isDriver);
    const gates = new Set(attempt.pods.map(({ pod }) => pod?.metadata.annotations?.[annotations.gate]));
    const size = Number(pods[0]!.metadata.annotations?.[annotations.gangSize]);
    const isWhole = pods.length === size && stopping === undefined;
    const isUnbound = pods.some((pod) => pod.spec.nodeName === undefined);
    if ((gates.has("closed") && !gates.has("open") && !isWhole) || isUnbound) {
      // Where the rest of its pods was to go is not known; its driver's script has not begun.
      attempt.isSpent = true;
      this.#takeBack(record, attempt);
      return;
    }
    if (attempt.stopped !== undefined) void stopPods(this.#removal, record, attempt);
    // The gang was whole once: the rest of the gates is opened, at the time at which the first was.
    if (gates.has("open")) this.#openGates(record, attempt);
    for (const entry of attempt.pods) this.#apply(record, attempt, entry, entry.pod!);
    if (driver === undefined) {
      attempt.state = "Ending";
      attempt.end = { phase: "NodeFailed", exitCode: 0, signal: 0, message: "the pod of its driver is gone" };
      if (attempt.stopped === undefined) void this.#removal.stopAll(attempt);
      if (attempt.still === attempt.pods.length) this.#finish(record, attempt);
    }
  }

  /** An attempt of which status tells that it was made, and of which nothing is left: it is not known to have ended well. */
  vanished(record: WorkloadRecord, task: number): void {
    const attempt = vanishedAttempt(record, task, this.#context.now());
    record.live.set(task, attempt);
    record.book?.start(task);
    this.#events.adopted(record, attempt, [task]);
    this.#finish(record, attempt);
  }

  #apply(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod, pod: Pod): void {
    entry.pod = pod;
    if (attempt.state === "Ended") return;
    const wasCreating = entry.state === "Creating";
    if (attempt.state === "TakingBack") {
      if (wasCreating) setState(attempt, entry, "Created");
      this.#removal.discard(pod);
      return;
    }
    if (isTerminal(pod)) setState(attempt, entry, "Terminal");
    else if (entry.state !== "Gone") setState(attempt, entry, pod.status?.phase === "Running" ? "Running" : "Created");
    if (attempt.lease !== undefined) record.book?.lease(attempt.lease.open);
    else if (attempt.creating === 0 && attempt.pods.length === 1) record.book?.created(attempt.task);
    if (wasCreating && attempt.stopped !== undefined && entry.state !== "Terminal")
      void stopPods(this.#removal, record, attempt, { pod });
    // It may have been changed while the pod was being made.
    if (wasCreating) this.#wallTimes.tell(record, attempt, pod);
    if (wasCreating && attempt.lease !== undefined) this.#leases.tellCancelled(record, attempt.lease, entry);
    this.#evaluate(record, attempt, entry);
    this.#suspending.look(record, attempt);
  }

  #applyGone(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod): void {
    setState(attempt, entry, "Gone");
    if (attempt.state === "TakingBack") this.#takeBack(record, attempt);
    else if (attempt.state !== "Ended") this.#evaluate(record, attempt, entry);
  }

  #evaluate(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod): void {
    const isStill = entry.state === "Terminal" || entry.state === "Gone";
    if (attempt.lease !== undefined) {
      this.#evaluateLease(record, attempt, attempt.lease, entry, isStill);
      return;
    }
    if (record.book !== undefined && isStill && entry.pod?.status?.reason === takenReason) {
      const end: AttemptEnd = { ...endOfPod(entry.pod), phase: "NodeFailed" };
      this.#close(record, attempt);
      if (!isHeldElsewhere(record, attempt, attempt.task)) endTask(this.#events, record, attempt, attempt.task, end);
      this.flushSoon(record);
      return;
    }
    if (attempt.state === "Starting") {
      if (isStill && attempt.stopped === undefined && entry.pod !== undefined && !isWrapped(entry.pod)) {
        const why = rejectionOf(entry.pod);
        if (why !== undefined) {
          this.#events.rejected(record, entry.node, why);
          this.#takeBack(record, attempt);
          return;
        }
      }
      if (attempt.pods.length > 1) {
        if (isStill && attempt.stopped === undefined) {
          this.#takeBack(record, attempt);
          return;
        }
        if (attempt.running === attempt.pods.length) {
          this.#openGates(record, attempt);
        }
      } else if (entry.state === "Running" || entry.state === "Terminal") this.#begun(record, attempt, entry.pod!);
    }
    if (!isStill) return;
    if (entry.isDriver && entry.isCounted !== true && attempt.end === undefined) {
      if (!countDriver(attempt, entry)) return;
      if (attempt.still < attempt.pods.length) {
        if (record.book === undefined) record.phase = "Completing";
        if (attempt.stopped === undefined) void this.#removal.stopAll(attempt);
        this.flushSoon(record);
      }
    }
    if (attempt.state !== "Ending" || attempt.end === undefined) return;
    if (attempt.still === attempt.pods.length) this.#finish(record, attempt);
  }

  #evaluateLease(
    record: WorkloadRecord,
    attempt: Attempt,
    lease: LeasedTasks,
    entry: AttemptPod,
    isStill: boolean,
  ): void {
    if (entry.pod !== undefined && (entry.state === "Running" || entry.state === "Terminal"))
      this.#begun(record, attempt, entry.pod);
    const open = lease.open.size;
    const left = this.#leases.take(record, attempt, lease, entry);
    if (isStill) this.#close(record, attempt);
    leaveTasks(this.#events, record, attempt, left);
    if (isStill) this.#leases.endOpen(record, attempt, lease, entry);
    if (isStill || lease.open.size < open) this.flushSoon(record);
  }

  /** The attempt is over; its pods go when what there is to account is written. */
  #close(record: WorkloadRecord, attempt: Attempt): void {
    attempt.state = "Ended";
    record.live.delete(attempt.task);
    record.toRemove.push(attempt);
  }

  #begun(record: WorkloadRecord, attempt: Attempt, pod: Pod): void {
    if (attempt.state !== "Starting") return;
    attempt.state = "Running";
    attempt.startTime = startOf(pod) ?? this.#timestamp();
    markRunning(record, attempt);
    this.#events.started(record, attempt);
    this.#suspending.begun(record, attempt);
    if (!isTerminal(pod)) this.flushSoon(record);
  }

  #openGates(record: WorkloadRecord, attempt: Attempt): void {
    attempt.state = "Running";
    attempt.startTime = this.#gates.open(record, attempt);
    markRunning(record, attempt);
    this.#events.started(record, attempt);
    this.#suspending.begun(record, attempt);
    this.flushSoon(record);
  }

  // Stopping

  /** Ends an attempt: TERM, grace, KILL, all by the node. Its end will be `phase` unless it has ended by itself. */
  stop(record: WorkloadRecord, attempt: Attempt, phase: FinalPhase): void {
    if (attempt.stopped !== undefined || attempt.end !== undefined) return;
    attempt.stopped = phase;
    if (attempt.state === "TakingBack") return;
    if (attempt.isHosted === true) this.hosted.stop(record, attempt);
    else void stopPods(this.#removal, record, attempt);
    if (record.book === undefined) record.phase = "Completing";
    this.flushSoon(record);
  }

  /** Ends an attempt because another job needs its place. */
  preempt(record: WorkloadRecord, attempt: Attempt, preemption: Preempted): void {
    if (attempt.stopped !== undefined || attempt.end !== undefined) return;
    attempt.preemption = preemption;
    record.preempted = { ...preemption, time: this.#timestamp() };
    this.stop(record, attempt, "Preempted");
  }

  /** Has an attempt stand still because another job needs its cores. */
  standFor(record: WorkloadRecord, attempt: Attempt, by: number): void {
    if (attempt.stopped !== undefined || attempt.end !== undefined) return;
    record.preempted = { by, mode: "Suspend", graceSeconds: 0, time: this.#timestamp() };
    this.#suspending.standFor(record, attempt, by);
    this.flushSoon(record);
  }

  /** Its cores are free again. */
  goOn(record: WorkloadRecord, attempt: Attempt): void {
    this.#suspending.standFor(record, attempt, undefined);
  }

  /** The wall time of what runs, or is about to, is another: the node is told. */
  setWallTime(record: WorkloadRecord, attempt: Attempt, seconds: number): void {
    this.#wallTimes.set(record, attempt, seconds);
  }

  /** Has what runs stand still, or go on, as the Workload asks. */
  suspend(record: WorkloadRecord): void {
    this.#suspending.apply(record);
  }

  /** Ends those of these tasks that the attempt carries, as {@link stop} does: the others of a lease go on. */
  stopTasks(record: WorkloadRecord, attempt: Attempt, wanted: IndexSet): void {
    if (attempt.lease !== undefined) this.#leases.cancel(record, attempt, attempt.lease, wanted);
    else if (attempt.task !== noTask && wanted.has(attempt.task)) this.stop(record, attempt, "Cancelled");
  }

  /**
   * The pod's node is gone for good: whatever it last told is its end.
   * @param silentSince milliseconds since 1970 from which on nothing was heard of the node
   */
  lost(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod, silentSince: number): void {
    if (attempt.isHosted === true) {
      this.hosted.gone(record, attempt, entry, true);
      return;
    }
    if (entry.state === "Terminal" || entry.state === "Gone") return;
    entry.isLost = true;
    // Its wall time passed while nothing was heard: that it reached it nobody knows.
    const { startTime, wallTimeSeconds, stopped } = attempt;
    if (stopped === "TimedOut" && silentSince < Date.parse(startTime ?? "") + wallTimeSeconds * 1000)
      attempt.stopped = undefined;
    this.#applyGone(record, attempt, entry);
  }

  // Ending

  #finish(record: WorkloadRecord, attempt: Attempt): void {
    if (attempt.state === "Ended") return;
    const end = attempt.end!;
    if (attempt.pods.length > 1) Object.assign(end, usageOfGang(attempt.pods.flatMap(({ pod }) => pod ?? [])));
    this.#close(record, attempt);
    for (const task of openTasks(attempt)) endTask(this.#events, record, attempt, task, end);
    this.flushSoon(record);
  }

  /** Ends what waits without having been started: the whole job, or tasks of an array. Scheduling must know already. */
  endPending(record: WorkloadRecord, phase: FinalPhase, tasks: readonly number[] | undefined): void {
    if (record.book === undefined) {
      record.phase = phase;
      record.exitCode = phase === "DeadlineExceeded" ? 1 : 0;
    }
    record.toAccountPending.push({ phase, tasks });
    this.flushSoon(record);
  }

  /** The final status of one that never was in scheduling is written. */
  tellFinished(record: WorkloadRecord): void {
    this.#events.finished(record);
  }

  /** Writes what changed: at once, of an array that goes on at most once a second. */
  flushSoon(record: WorkloadRecord): void {
    this.#flushes.soon(record);
  }
}
