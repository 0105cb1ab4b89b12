/**
 * The life of attempts: from the creation of their pods to the row of their end. What it decides rests on pods alone, so that a
 * new leader goes on where the last one stopped; every step may be repeated.
 */
import { isReason, resources } from "@berth/client";
import type { FinalPhase, IndexSet, Lease, Pod } from "@berth/kinds";
import { annotations, attemptOf, isFinal, leaseOf, preemptionModes, takenReason } from "@berth/kinds";
import { type Context, timestamp } from "../context.ts";
import { type AttemptEnd, endOfPod, isTerminal, rejectionOf, startOf, worseEnd } from "../model/ends.ts";
import type { Ledger } from "../model/ledger.ts";
import {
  type Attempt,
  type AttemptPod,
  currentAttempt,
  type LeasedTasks,
  newAttempt,
  noTask,
  openTasks,
  type Preempted,
  setState,
  type WorkloadRecord,
} from "../model/record.ts";
import { isPodOf, isWrapped, wrappedPodOf } from "../model/wrapped-pod.ts";
import { wallTimeOf } from "../scheduler/snapshot.ts";
import { bindPod, PodUnavailable } from "../pod/binding.ts";
import { slimPod } from "../stores.ts";
import type { Writer } from "../writer.ts";
import { endTask, type EndingEvents, isHeldElsewhere, leaveTasks } from "./ending.ts";
import { Flushes } from "./flushes.ts";
import { Gates } from "./gates.ts";
import { LeaseLife } from "./lease-life.ts";
import { PodRemoval } from "./pod-removal.ts";
import { attemptRow } from "./rows.ts";

/** What scheduling is told. */
export interface LifeEvents extends EndingEvents {
  /** An attempt that a pod was found of; its place is taken. `tasks`: those that no other attempt was known to have. */
  adopted(record: WorkloadRecord, attempt: Attempt, tasks: readonly number[]): void;
  /** Its script began: the wall time counts from here. */
  started(record: WorkloadRecord, attempt: Attempt): void;
  /** A node did not take one of its pods: nothing of the attempt has begun. */
  rejected(record: WorkloadRecord, node: string, why: string): void;
  /** The pod that it stands for cannot be had any more: nothing of it is to wait. */
  unavailable(record: WorkloadRecord): void;
  /** The final status is written. */
  finished(record: WorkloadRecord): void;
}

/**
 * A pod that is to be made, or, where its object has a uid, bound; its object only when its turn comes, because thousands may
 * wait for theirs.
 */
export interface PlannedPod {
  name: string;
  node: string;
  isDriver: boolean;
  build: () => Pod;
}

/** A pod that is left is looked at again after this where what its attempt came to may be just being written. */
const leftoverMs = 500;

export class AttemptLife {
  readonly #context: Context;
  readonly #ledger: Ledger;
  readonly #writer: Writer;
  readonly #events: LifeEvents;
  readonly #removal: PodRemoval;
  readonly #flushes: Flushes;
  readonly #gates: Gates;
  readonly #leases: LeaseLife;

  constructor(context: Context, ledger: Ledger, writer: Writer, events: LifeEvents) {
    this.#context = context;
    this.#ledger = ledger;
    this.#writer = writer;
    this.#events = events;
    this.#removal = new PodRemoval(context, writer);
    this.#gates = new Gates(context, writer);
    this.#leases = new LeaseLife(context, writer, events);
    this.#flushes = new Flushes({
      context,
      ledger,
      writer,
      removal: this.#removal,
      finished: (record) => events.finished(record),
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
    const attempt = newAttempt({
      task,
      number: currentAttempt(record, task),
      pods: plan.map(({ name, node, isDriver }) => ({ name, node, isDriver, state: "Creating" })),
      wallTimeSeconds,
      createdAt: this.#context.now(),
      lease: lease && { seconds: lease.seconds, open: new Set(lease.tasks) },
    });
    record.live.set(task, attempt);
    if (record.book === undefined) record.phase = "Starting";
    else for (const each of openTasks(attempt)) record.book.start(each);
    record.nodes = attempt.pods.map(({ node }) => node);
    attempt.pods.forEach((entry, at) => void this.#create(record, attempt, entry, plan[at]!.build));
    this.#flushes.began(record);
    return attempt;
  }

  async #create(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod, build: () => Pod): Promise<void> {
    const { client, log, signal } = this.#context;
    try {
      const made = await this.#writer.run(async () => {
        // While it waited for its turn, the attempt may have been stopped.
        if (attempt.state === "TakingBack" || attempt.stopped !== undefined) return undefined;
        try {
          const pod = build();
          const isThere = pod.metadata.uid !== undefined;
          return slimPod(isThere ? await bindPod(client, pod) : await client.create<Pod>(resources.pods, pod));
        } catch (error) {
          if (!isReason(error, "AlreadyExists")) throw error;
          const found = await client.get<Pod>(resources.pods, entry.name, { namespace: record.namespace });
          if (isPodOf(record, found)) return slimPod(found);
          throw error;
        }
      });
      if (entry.state !== "Creating") return;
      if (made === undefined) this.#applyGone(record, attempt, entry);
      else if (!carriesSame(attempt, made)) this.#replace(record, attempt, made);
      else this.#apply(record, attempt, entry, made);
    } catch (error) {
      if (signal.aborted) return;
      const message = (error as Error).message;
      log("warn", `pod ${entry.name} cannot be made: ${message}`, { jobId: record.jobId });
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
    record.live.delete(attempt.task);
    const tasks = openTasks(attempt);
    if (record.book === undefined) {
      record.phase = "Pending";
      if (attempt.isSpent === true) record.endedAttempts = attempt.number;
    } else if (attempt.isSpent === true) record.book.requeue(attempt.task);
    else for (const task of tasks) record.book.takeBack(task);
    this.#events.takenBack(record, tasks, record.blocked);
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
      } else this.#leftover(record, pod, task, name.attempt);
      return;
    }
    entry.pod = pod;
    if (entry.state !== "Terminal" && (isDeleted || pod.metadata.deletionTimestamp !== undefined)) {
      this.#deletedByUser(record, attempt, pod);
    }
    if (isDeleted) this.#applyGone(record, attempt, entry);
    else this.#apply(record, attempt, entry, pod);
  }

  /** Deleting a pod is how its user ends it. */
  #deletedByUser(record: WorkloadRecord, attempt: Attempt, pod: Pod): void {
    if (!isWrapped(pod) || attempt.stopped !== undefined) return;
    attempt.stopped = "Cancelled";
    record.cancelledBy ??= "deletion";
  }

  /**
   * Takes over what an earlier leader began: the pods of one attempt, found at the start. Attempts of a task are to be given in
   * the order of their numbers.
   */
  adopt(record: WorkloadRecord, task: number, number: number, pods: readonly Pod[]): void {
    const tasks = tasksOf(pods[0]!, task).filter((each) => !isOver(record, each, number));
    if (tasks.length === 0) {
      for (const pod of pods) this.#leftover(record, pod, task, number);
      return;
    }
    const wallTimeSeconds = Number(pods[0]!.metadata.annotations?.[annotations.wallTimeSeconds] ?? 0);
    const attempt = newAttempt({
      task,
      number,
      pods: pods.map((pod) => ({
        name: pod.metadata.name,
        node: pod.spec.nodeName ?? "",
        isDriver: isDriver(record, pod),
        state: "Created",
        pod,
      })),
      wallTimeSeconds,
      // A pod that was bound may have been there long before.
      createdAt:
        (isWrapped(pods[0]!) ? NaN : Date.parse(pods[0]!.metadata.creationTimestamp ?? "")) || this.#context.now(),
    });
    attempt.preemption = pods.map(preemptionOf).find((told) => told !== undefined);
    if (attempt.preemption !== undefined) attempt.stopped = "Preempted";
    // A leader before this one may have died before it told of a change; who may be given less than is asked keeps what it has.
    const asked = wallTimeOf(record.workload);
    const mayHaveLess = record.workload.spec.minWallTimeSeconds !== undefined;
    if ((asked > 0 && asked < wallTimeSeconds) || (asked > wallTimeSeconds && wallTimeSeconds > 0 && !mayHaveLess))
      this.setWallTime(record, attempt, asked);
    const lease = leaseOf(pods[0]!);
    if (lease !== undefined) attempt.lease = { seconds: lease.seconds, open: new Set(tasks) };
    const stopping = pods.find(({ metadata }) => metadata.deletionTimestamp !== undefined);
    if (stopping !== undefined) this.#deletedByUser(record, attempt, stopping);
    record.live.set(task, attempt);
    if (record.book === undefined) record.phase = "Starting";
    // Their pod was found: whatever it says of them, also that it has left them, they have not vanished.
    for (const each of tasks) record.book?.wasRunning.delete(each);
    const free = record.book === undefined ? tasks : tasks.filter((each) => record.book!.pending.has(each));
    for (const each of free) record.book?.start(each);
    if (free.length < tasks.length) record.overlaps = true;
    record.nodes = attempt.pods.map(({ node }) => node);
    if (free.length > 0) this.#events.adopted(record, attempt, free);
    const driver = attempt.pods.find((entry) => entry.isDriver);
    const gates = new Set(attempt.pods.map(({ pod }) => pod?.metadata.annotations?.[annotations.gate]));
    const size = Number(pods[0]!.metadata.annotations?.[annotations.gangSize]);
    const isWhole = pods.length === size && stopping === undefined;
    if (gates.has("closed") && !gates.has("open") && !isWhole) {
      // Where the rest of its pods was to go is not known; its driver's script has not begun.
      attempt.isSpent = true;
      this.#takeBack(record, attempt);
      return;
    }
    if (attempt.preemption !== undefined) this.#stopPreempted(attempt);
    // The gang was whole once: the rest of the gates is opened, at the time at which the first was.
    if (gates.has("open")) this.#openGates(record, attempt);
    for (const entry of attempt.pods) this.#apply(record, attempt, entry, entry.pod!);
    if (driver === undefined) {
      attempt.state = "Ending";
      attempt.end = { phase: "NodeFailed", exitCode: 0, signal: 0, message: "the pod of its driver is gone" };
      this.#stopOthers(attempt);
      if (attempt.still === attempt.pods.length) this.#finish(record, attempt);
    }
  }

  /** An attempt of which status tells that it was made, and of which nothing is left: it is not known to have ended well. */
  vanished(record: WorkloadRecord, task: number): void {
    const attempt = newAttempt({
      task,
      number: currentAttempt(record, task),
      pods: [],
      wallTimeSeconds: 0,
      createdAt: this.#context.now(),
    });
    attempt.state = "Ending";
    attempt.end = {
      phase: wrappedPodOf(record.workload) === undefined ? "NodeFailed" : "Cancelled",
      exitCode: 0,
      signal: 0,
      startTime: record.book === undefined ? record.startTime : undefined,
      message: "its pod was removed by someone else",
    };
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
    if (wasCreating && attempt.stopped !== undefined && entry.state !== "Terminal") void this.#removal.stop(pod);
    // It may have been changed while the pod was being made.
    if (wasCreating) this.#tellWallTime(record, attempt, pod);
    if (wasCreating && attempt.lease !== undefined) this.#leases.tellCancelled(record, attempt.lease, entry);
    this.#evaluate(record, attempt, entry);
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
      entry.isCounted = true;
      attempt.driversLeft--;
      const end = this.#endOf(attempt, entry);
      attempt.worst = worseEnd(attempt.worst, end);
      // Of several drivers one that was lost ends all: the rest of the work is to be done again anyway.
      if (attempt.driversLeft > 0 && end.phase !== "NodeFailed") return;
      attempt.end = attempt.worst;
      attempt.state = "Ending";
      if (attempt.still < attempt.pods.length) {
        if (record.book === undefined) record.phase = "Completing";
        this.#stopOthers(attempt);
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
    // Of a pod that was lost with its node the API still has the object.
    if (attempt.pods[0]?.state === "Gone") attempt.end ??= { phase: "NodeFailed", exitCode: 0, signal: 0 };
    record.live.delete(attempt.task);
    record.toRemove.push(attempt);
  }

  #endOf(attempt: Attempt, entry: AttemptPod): AttemptEnd {
    if (entry.pod === undefined) return { phase: attempt.stopped ?? "NodeFailed", exitCode: 0, signal: 0 };
    return endOfPod(entry.pod, attempt.stopped);
  }

  #begun(record: WorkloadRecord, attempt: Attempt, pod: Pod): void {
    if (attempt.state !== "Starting") return;
    attempt.state = "Running";
    attempt.startTime = startOf(pod) ?? this.#timestamp();
    this.#nowRunning(record, attempt);
    if (!isTerminal(pod)) this.flushSoon(record);
  }

  #openGates(record: WorkloadRecord, attempt: Attempt): void {
    attempt.state = "Running";
    attempt.startTime = this.#gates.open(record, attempt);
    this.#nowRunning(record, attempt);
    this.flushSoon(record);
  }

  #nowRunning(record: WorkloadRecord, attempt: Attempt): void {
    if (record.book === undefined) {
      record.phase = "Running";
      record.startTime = attempt.startTime;
    } else {
      if (attempt.lease === undefined) record.book.created(attempt.task);
      record.startTime ??= attempt.startTime;
    }
    this.#events.started(record, attempt);
  }

  // Stopping

  /** Ends an attempt: TERM, grace, KILL, all by the node. Its end will be `phase` unless it has ended by itself. */
  stop(record: WorkloadRecord, attempt: Attempt, phase: FinalPhase): void {
    if (attempt.stopped !== undefined || attempt.end !== undefined) return;
    attempt.stopped = phase;
    if (attempt.state === "TakingBack") return;
    for (const entry of attempt.pods) {
      if (entry.pod !== undefined && (entry.state === "Created" || entry.state === "Running"))
        void this.#removal.stop(entry.pod);
    }
    if (record.book === undefined) record.phase = "Completing";
    this.flushSoon(record);
  }

  /**
   * Ends an attempt because another job needs its place. Its pods say so before they are asked to end: a new leader that finds
   * them goes on with it, and one that finds none of them marked knows of nothing, as if it had not been decided.
   */
  preempt(record: WorkloadRecord, attempt: Attempt, preemption: Preempted): void {
    if (attempt.stopped !== undefined || attempt.end !== undefined) return;
    attempt.preemption = preemption;
    attempt.stopped = "Preempted";
    record.preempted = { ...preemption, time: this.#timestamp() };
    if (attempt.state === "TakingBack") return;
    this.#stopPreempted(attempt);
    if (record.book === undefined) record.phase = "Completing";
    this.flushSoon(record);
  }

  #stopPreempted(attempt: Attempt): void {
    const { by, mode, graceSeconds } = attempt.preemption!;
    const how = { annotations: { [annotations.preempted]: `${by} ${mode} ${graceSeconds}` }, graceSeconds };
    for (const { pod, state } of attempt.pods) {
      if (pod !== undefined && (state === "Created" || state === "Running")) void this.#removal.stop(pod, how);
    }
  }

  /** The wall time of what runs, or is about to, is another: the node is told by the annotation of the pods. */
  setWallTime(record: WorkloadRecord, attempt: Attempt, seconds: number): void {
    attempt.wallTimeSeconds = seconds;
    for (const { pod } of attempt.pods) if (pod !== undefined) this.#tellWallTime(record, attempt, pod);
  }

  #tellWallTime(record: WorkloadRecord, { wallTimeSeconds }: Attempt, pod: Pod): void {
    const value = String(wallTimeSeconds);
    const { name, annotations: has } = pod.metadata;
    if (isTerminal(pod) || has?.[annotations.wallTimeSeconds] === value) return;
    const { client, log, signal } = this.#context;
    const patch = { metadata: { annotations: { [annotations.wallTimeSeconds]: value } } };
    this.#writer
      .run(() => client.patch(resources.pods, name, patch, { namespace: record.namespace }))
      .catch((error: unknown) => {
        if (signal.aborted || isReason(error, "NotFound", "Conflict")) return;
        log("warn", `telling ${name} of its wall time failed: ${(error as Error).message}`, { jobId: record.jobId });
      });
  }

  /** Ends those of these tasks that the attempt carries, as {@link stop} does: the others of a lease go on. */
  stopTasks(record: WorkloadRecord, attempt: Attempt, wanted: IndexSet): void {
    if (attempt.lease !== undefined) this.#leases.cancel(record, attempt, attempt.lease, wanted);
    else if (attempt.task !== noTask && wanted.has(attempt.task)) this.stop(record, attempt, "Cancelled");
  }

  #stopOthers(attempt: Attempt): void {
    if (attempt.stopped !== undefined) return;
    for (const entry of attempt.pods) {
      if (entry.pod === undefined) continue;
      if (entry.state === "Created" || entry.state === "Running") void this.#removal.stop(entry.pod);
    }
  }

  /** The pod's node is gone for good: whatever it last told is its end. */
  lost(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod): void {
    if (entry.state === "Terminal" || entry.state === "Gone") return;
    this.#applyGone(record, attempt, entry);
  }

  // Ending

  #finish(record: WorkloadRecord, attempt: Attempt): void {
    if (attempt.state === "Ended") return;
    const end = attempt.end!;
    if (attempt.pods.length > 1) {
      end.peakMemoryBytes = undefined;
      end.cpuMilliseconds = undefined;
      for (const { pod } of attempt.pods) {
        if (pod === undefined) continue;
        const { peakMemoryBytes, cpuMilliseconds } = endOfPod(pod);
        if (peakMemoryBytes !== undefined) end.peakMemoryBytes = Math.max(end.peakMemoryBytes ?? 0, peakMemoryBytes);
        if (cpuMilliseconds !== undefined) end.cpuMilliseconds = (end.cpuMilliseconds ?? 0) + cpuMilliseconds;
      }
    }
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

  /** A pod whose attempt is over and accounted (or was none): it goes. Pods that ended are accounted once more, which is free. */
  #leftover(record: WorkloadRecord, pod: Pod, task: number, number: number): void {
    if (this.#removal.isUnderWay(pod) || !tasksOf(pod, task).every((each) => isOver(record, each, number))) return;
    // It goes with its attempt, when that is accounted.
    if (record.toRemove.some(({ pods }) => pods.some(({ name }) => name === pod.metadata.name))) return;
    if (record.isFlushing) {
      setTimeout(() => this.#leftover(record, pod, task, number), leftoverMs);
      return;
    }
    if (!isTerminal(pod) || !isDriver(record, pod) || leaseOf(pod) !== undefined || isTaken(pod)) {
      this.#removal.discard(pod);
      return;
    }
    const end = endOfPod(pod, pod.metadata.deletionTimestamp === undefined ? undefined : "Cancelled");
    const attempt = { task, number, end, nodes: [pod.spec.nodeName ?? ""], requeue: false };
    void this.#writer
      .run(() => this.#context.accounting.record([attemptRow(record, attempt, this.#timestamp())]))
      .then(() => this.#removal.discard(pod))
      .catch((error: unknown) => this.#failed("accounting a leftover pod", record, error));
  }

  #failed(what: string, record: WorkloadRecord | undefined, error: unknown): void {
    const { log, signal } = this.#context;
    if (signal.aborted) return;
    log("error", `${what} failed: ${(error as Error).message}`, { jobId: record?.jobId, workload: record?.name });
  }
}

/** What a pod says of the job that it makes room for. */
function preemptionOf(pod: Pod): Preempted | undefined {
  const [by, mode, graceSeconds] = pod.metadata.annotations?.[annotations.preempted]?.split(" ") ?? [];
  const found = preemptionModes.find((known) => known === mode);
  return found === undefined ? undefined : { by: Number(by), mode: found, graceSeconds: Number(graceSeconds) };
}

function findPod(attempt: Attempt, name: string): AttemptPod | undefined {
  if (attempt.pods.length < 8) return attempt.pods.find((entry) => entry.name === name);
  attempt.byName ??= new Map(attempt.pods.map((entry) => [entry.name, entry]));
  return attempt.byName.get(name);
}

/** The tasks that a pod carries; of a pod of one task, that. */
function tasksOf(pod: Pod, task: number): readonly number[] {
  return leaseOf(pod)?.tasks ?? [task];
}

/** Whether this attempt of a task is over, and its end told. */
function isOver(record: WorkloadRecord, task: number, number: number): boolean {
  return isFinal(record.phase) || record.book?.hasEnded(task) === true || number < currentAttempt(record, task);
}

function isTaken(pod: Pod): boolean {
  return pod.status?.reason === takenReason;
}

function isGated(pod: Pod): boolean {
  return pod.metadata.annotations?.[annotations.gate] !== undefined;
}

/** Whether the pod that the API has carries the tasks that were decided. */
function carriesSame(attempt: Attempt, pod: Pod): boolean {
  const tasks = leaseOf(pod)?.tasks;
  if (tasks === undefined || attempt.lease === undefined) return tasks === attempt.lease;
  return tasks.length === attempt.lease.open.size && tasks.every((task) => attempt.lease!.open.has(task));
}

function isDriver(record: WorkloadRecord, pod: Pod): boolean {
  const set = attemptOf(pod)?.podSet;
  return record.workload.spec.podSets.find(({ name }) => name === set)?.role !== "Worker";
}
