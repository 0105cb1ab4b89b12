/**
 * The life of attempts whose pods somebody else makes: a Job's, or those of a group. What was decided is places; pods take them as
 * they come, and when one has ended another may follow it there. Whoever the pods belong to says when the attempt is over.
 */
import { isReason, resources } from "@berth/client";
import type { Pod } from "@berth/kinds";
import { annotations, attemptOf, defaultGraceSeconds, isActive, labels, startAllowanceSeconds } from "@berth/kinds";
import type { PodGrant } from "@berth/scheduling";
import { type Context, timestamp } from "../context.ts";
import { type AttemptEnd, endOfPod, isTerminal, startOf, worseEnd } from "../model/ends.ts";
import {
  type Attempt,
  type AttemptPod,
  currentAttempt,
  newAttempt,
  noTask,
  setState,
  type WorkloadRecord,
} from "../model/record.ts";
import { isHeldHost, isVolcanoJob } from "../model/hosts-of-pods.ts";
import { hostOf } from "../model/wrapped-pod.ts";
import { ClaimsUnsettled } from "../claims/settling.ts";
import { bindPod, PodUnavailable } from "../pod/binding.ts";
import { grantAnnotation } from "../scheduler/pods.ts";
import { wallTimeOf } from "../scheduler/snapshot.ts";
import { slimPod } from "../stores.ts";
import { pause, type Writer } from "../writer.ts";
import { attemptOfPods, findPod, markRunning, stopPods } from "./attempt-pods.ts";
import type { LifeEvents } from "./life-events.ts";
import type { PodRemoval } from "./pod-removal.ts";

const unsettledMs = 5000;

/** Whose the pods are. */
export interface HostEvents {
  /** Places were given, or one is free again. */
  changed(record: WorkloadRecord): void;
  /** Nobody is to make pods of it any more; resolves when that is sure, to whether its host deletes those that there are. */
  hold(record: WorkloadRecord): Promise<boolean>;
}

export interface HostedParts {
  context: Context;
  writer: Writer;
  events: LifeEvents;
  removal: PodRemoval;
  flushSoon(record: WorkloadRecord): void;
  /** The attempt is over, its `end` said. */
  finish(record: WorkloadRecord, attempt: Attempt): void;
}

/** A place that was decided. */
export interface PlannedPlace {
  podSet: string;
  index: number;
  node: string;
  grant?: PodGrant | null;
}

export class HostedLife {
  readonly #parts: HostedParts;
  /** Set before anything is decided. */
  host: HostEvents | undefined;

  constructor(parts: HostedParts) {
    this.#parts = parts;
  }

  begin(record: WorkloadRecord, wallTimeSeconds: number, places: readonly PlannedPlace[]): void {
    const attempt = this.#attempt(record, places, wallTimeSeconds);
    record.live.set(noTask, attempt);
    record.phase = "Starting";
    record.nodes = places.map(({ node }) => node);
    this.host?.changed(record);
    this.#parts.flushSoon(record);
  }

  #attempt(record: WorkloadRecord, places: readonly PlannedPlace[], wallTimeSeconds: number): Attempt {
    const attempt = newAttempt({
      task: noTask,
      number: currentAttempt(record, noTask),
      pods: places.map(({ podSet, index, node, grant }) => ({
        name: "",
        node,
        isDriver: true,
        state: "Gone",
        place: { podSet, index, grant, hasBegun: false, isClosed: false },
      })),
      wallTimeSeconds,
      createdAt: this.#parts.context.now(),
    });
    attempt.isHosted = true;
    attempt.still = attempt.pods.length;
    attempt.byName = new Map();
    return attempt;
  }

  /**
   * Goes on with what an earlier leader began. The places of pods that are there stand on them; those of others in the status, once it
   * told of the start. Of one that had not, the rest was never given to anybody.
   */
  adopt(record: WorkloadRecord, pods: readonly Pod[]): void {
    const { status = {}, spec } = record.workload;
    const { nodes = [] } = status;
    const total = spec.podSets.reduce((sum, { count }) => sum + count, 0);
    const places: PlannedPlace[] = [];
    if (isActive(status.phase) && nodes.length === total) {
      for (const { name: podSet, count } of spec.podSets) {
        for (let index = 0; index < count; index++) places.push({ podSet, index, node: nodes[places.length]! });
      }
    }
    const isAt = (pod: Pod, place: { podSet: string; index: number }): boolean =>
      pod.metadata.labels?.[labels.podSet] === place.podSet &&
      pod.metadata.labels?.[labels.podIndex] === String(place.index);
    for (const pod of pods) {
      if (places.some((place) => isAt(pod, place))) continue;
      const { podSet, index } = attemptOf(pod)!;
      places.push({ podSet, index, node: pod.spec.nodeName ?? "" });
    }
    const attempt = this.#attempt(record, places, wallTimeOf(record.workload));
    if (pods.length > 0) {
      const { stopped, preemption } = attemptOfPods(record, { task: noTask, number: attempt.number }, [], pods, 0);
      Object.assign(attempt, { stopped, preemption });
    }
    record.live.set(noTask, attempt);
    record.phase = "Starting";
    record.nodes = places.map(({ node }) => node);
    this.#parts.events.adopted(record, attempt, [noTask]);
    const { startTime } = record;
    if (startTime !== undefined) this.#begun(record, attempt, startTime);
    // Whoever ended at a place was there before whoever has not.
    const order = (pod: Pod): string => `${isTerminal(pod) ? 0 : 1} ${pod.metadata.creationTimestamp}`;
    for (const pod of [...pods].sort((a, b) => (order(a) < order(b) ? -1 : 1))) {
      const entry = attempt.pods.find(({ place }) => isAt(pod, place!))!;
      this.#name(attempt, entry, pod.metadata.name);
      this.apply(record, attempt, entry, pod);
    }
    if (attempt.stopped !== undefined) this.stop(record, attempt);
  }

  /** Whether a pod has a place here, or is about to be given one. */
  has(attempt: Attempt, name: string): boolean {
    return findPod(attempt, name) !== undefined;
  }

  /** Gives a pod a free place of its pod set; false: there is none. */
  take(record: WorkloadRecord, attempt: Attempt, podSet: string, pod: Pod): boolean {
    const entry = attempt.pods.find(
      ({ state, place }) => place!.podSet === podSet && !place!.isClosed && (state === "Gone" || state === "Terminal"),
    );
    if (entry === undefined || attempt.stopped !== undefined) return false;
    this.#name(attempt, entry, pod.metadata.name);
    entry.pod = undefined;
    setState(attempt, entry, "Creating");
    void this.#bind(record, attempt, entry, pod);
    return true;
  }

  /** The place of that number, else one whose pod has ended; undefined: there is none that is free. */
  placeFor(attempt: Attempt, podSet: string, index: number): AttemptPod | undefined {
    const open = attempt.pods.filter(({ place }) => place!.podSet === podSet && !place!.isClosed);
    const own = open.find(({ state, place }) => place!.index === index && (state === "Gone" || state === "Terminal"));
    return own ?? open.find(({ state }) => state === "Terminal");
  }

  /**
   * Makes a pod at a place that is free, with its node and all that a binding would add, in one write; one that has claims is made without a
   * node, and bound when these are.
   */
  async make(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod, pod: Pod): Promise<void> {
    const { context, writer, removal } = this.#parts;
    const { name } = pod.metadata;
    this.#name(attempt, entry, name);
    entry.pod = undefined;
    setState(attempt, entry, "Creating");
    const isHere = (): boolean => entry.name === name && entry.state === "Creating";
    if (hasClaims(pod)) {
      try {
        const made = await writer.run(() => context.client.create<Pod>(resources.pods, pod));
        if (isHere()) await this.#bind(record, attempt, entry, slimPod(made));
      } catch (error) {
        if (isHere()) this.#free(record, attempt, entry);
        if (!isReason(error, "AlreadyExists")) throw error;
      }
      return;
    }
    const { metadata, spec } = boundPod(record, attempt, entry, pod);
    const placed: Pod = {
      ...pod,
      metadata: {
        ...pod.metadata,
        labels: { ...pod.metadata.labels, ...metadata.labels },
        annotations: { ...pod.metadata.annotations, ...metadata.annotations },
      },
      spec: {
        // It ends by itself with Berth dead.
        activeDeadlineSeconds: startAllowanceSeconds + attempt.wallTimeSeconds + graceSecondsOf(record),
        ...pod.spec,
        nodeName: spec.nodeName!,
      },
    };
    try {
      const made = await writer.run(() =>
        attempt.stopped === undefined ? context.client.create<Pod>(resources.pods, placed) : Promise.resolve(undefined),
      );
      if (!isHere()) return;
      if (made === undefined) {
        this.#free(record, attempt, entry);
        return;
      }
      this.apply(record, attempt, entry, slimPod(made));
      if (attempt.stopped !== undefined) await stopPods(removal, record, attempt, { pod: entry.pod });
    } catch (error) {
      if (isHere()) this.#free(record, attempt, entry);
      // One of that name goes still: when it is gone this is tried again.
      if (!isReason(error, "AlreadyExists")) throw error;
    }
  }

  #name(attempt: Attempt, entry: AttemptPod, name: string): void {
    attempt.byName!.delete(entry.name);
    entry.name = name;
    attempt.byName!.set(name, entry);
  }

  async #bind(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod, pod: Pod): Promise<void> {
    const { context, writer, removal } = this.#parts;
    const { name } = pod.metadata;
    const isHere = (): boolean => entry.name === name && entry.state === "Creating";
    try {
      await this.#settle(record, attempt, entry, pod);
      const bound = await writer.run(() =>
        attempt.stopped === undefined
          ? bindPod(context.client, boundPod(record, attempt, entry, pod))
          : Promise.resolve(undefined),
      );
      if (bound === undefined || !isHere()) {
        if (isHere()) this.#free(record, attempt, entry);
        return;
      }
      this.apply(record, attempt, entry, slimPod(bound));
      const { pod: late } = entry;
      if (attempt.stopped !== undefined)
        await stopPods(removal, record, attempt, { pod: late, isDeletedByHost: isOfJob(record) });
    } catch (error) {
      if (context.signal.aborted || !isHere()) return;
      const isGone = error instanceof PodUnavailable;
      if (!isGone) context.log("warn", `pod ${name}: ${(error as Error).message}`, { jobId: record.jobId });
      // The place is given again at once, to the same.
      if (error instanceof ClaimsUnsettled) await pause(unsettledMs, context.signal);
      this.#free(record, attempt, entry);
    }
  }

  async #settle(record: WorkloadRecord, attempt: Attempt, { place, node }: AttemptPod, pod: Pod): Promise<void> {
    const { namespace = "", name, uid = "" } = pod.metadata;
    const set = record.workload.spec.podSets.find((podSet) => podSet.name === place!.podSet);
    const isWanted = (): boolean => attempt.stopped === undefined;
    await this.#parts.events.settle({ namespace, name, uid, spec: set!.template.spec }, node, isWanted);
  }

  /** Nobody is here any more. */
  #free(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod): void {
    attempt.byName!.delete(entry.name);
    entry.name = "";
    entry.pod = undefined;
    setState(attempt, entry, "Gone");
    this.#stillness(record, attempt);
  }

  apply(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod, pod: Pod): void {
    entry.pod = pod;
    if (attempt.state === "Ended") return;
    const { phase } = pod.status ?? {};
    const wasStill = entry.state === "Terminal";
    setState(attempt, entry, isTerminal(pod) ? "Terminal" : phase === "Running" ? "Running" : "Created");
    if (phase === "Running" || isTerminal(pod)) entry.place!.hasBegun = true;
    this.#maybeBegun(record, attempt, pod);
    if (!isTerminal(pod) || wasStill) return;
    this.#note(attempt, pod);
    this.#parts.removal.discard(pod);
    this.#stillness(record, attempt);
  }

  /** The API has it no more, or its node is lost. */
  gone(record: WorkloadRecord, attempt: Attempt, entry: AttemptPod, isLost = false): void {
    if (isLost) entry.place!.isClosed = true;
    if (attempt.state === "Ended") return;
    if (entry.pod !== undefined) {
      if (entry.state !== "Terminal") this.#note(attempt, entry.pod);
      entry.place!.hasBegun = true;
      this.#maybeBegun(record, attempt, entry.pod);
    }
    if (isLost && attempt.stopped === undefined && attempt.pods.every(({ place }) => place!.isClosed)) {
      attempt.stopped = "NodeFailed";
      this.stop(record, attempt);
    }
    this.#free(record, attempt, entry);
  }

  /** Of these places nobody is left to take one: nobody waits for that. */
  settle(record: WorkloadRecord, attempt: Attempt): void {
    if (attempt.state !== "Starting" || attempt.creating > 0) return;
    for (const { place, state } of attempt.pods) if (state === "Gone") place!.hasBegun = true;
    const taken = attempt.pods.find(({ pod }) => pod !== undefined)?.pod;
    if (taken !== undefined) this.#maybeBegun(record, attempt, taken);
  }

  #maybeBegun(record: WorkloadRecord, attempt: Attempt, pod: Pod): void {
    if (attempt.state !== "Starting" || !this.#hasBegun(record, attempt)) return;
    this.#begun(record, attempt, startOf(pod) ?? timestamp(this.#parts.context.now()));
  }

  #note(attempt: Attempt, pod: Pod): void {
    const stopped = attempt.stopped ?? (pod.metadata.deletionTimestamp === undefined ? undefined : "Cancelled");
    attempt.worst = worseEnd(attempt.worst, endOfPod(pod, stopped));
  }

  /** A gang has begun when all of it has; a Job, some of whose pods may have ended before and be missed by nobody, with its first. */
  #hasBegun({ workload }: WorkloadRecord, { pods }: Attempt): boolean {
    return isOfJob({ workload }) || isVolcanoJob(hostOf(workload)!)
      ? pods.some(({ place }) => place!.hasBegun)
      : pods.every(({ place }) => place!.hasBegun);
  }

  #begun(record: WorkloadRecord, attempt: Attempt, startTime: string): void {
    attempt.state = "Running";
    attempt.startTime = startTime;
    markRunning(record, attempt);
    this.#parts.events.started(record, attempt);
    this.#parts.flushSoon(record);
    this.host?.changed(record);
  }

  /** To be called after `stopped` was set: nothing more comes, and what runs ends. */
  stop(record: WorkloadRecord, attempt: Attempt): void {
    const { context, removal, writer } = this.#parts;
    const held = async (): Promise<void> => {
      // A Job that is suspended deletes its pods by itself, and counts those as failed that somebody else deletes.
      if (isOfJob(record)) await stopPods(removal, record, attempt, { isDeletedByHost: true });
      const isDeletedByHost = (await writer.run(async () => this.host?.hold(record), "Urgent")) === true;
      if (!isDeletedByHost) void stopPods(removal, record, attempt);
      this.#stillness(record, attempt);
    };
    held().catch((error: unknown) => {
      if (context.signal.aborted) return;
      context.log("error", `holding its pods failed: ${(error as Error).message}`, { jobId: record.jobId });
    });
  }

  #stillness(record: WorkloadRecord, attempt: Attempt): void {
    const { stopped } = attempt;
    const isStill = attempt.still === attempt.pods.length;
    if (stopped !== undefined && isStill)
      this.end(record, { exitCode: 0, signal: 0, ...attempt.worst, phase: stopped });
    else this.host?.changed(record);
  }

  /** Whoever its pods belong to says that all is over, and how; `worst` of its pods where nobody else knows. */
  end(record: WorkloadRecord, end?: AttemptEnd): void {
    const attempt = record.live.get(noTask);
    if (attempt === undefined || attempt.state === "Ended") return;
    attempt.end = end ?? attempt.worst ?? { phase: attempt.stopped ?? "Cancelled", exitCode: 0, signal: 0 };
    this.#parts.finish(record, attempt);
    this.host?.changed(record);
  }
}

function hasClaims({ spec }: Pod): boolean {
  const isClaim = (volume: Record<string, unknown>): boolean =>
    volume["persistentVolumeClaim"] !== undefined || volume["ephemeral"] !== undefined;
  return spec["resourceClaims"] !== undefined || spec.volumes?.some(isClaim) === true;
}

function graceSecondsOf({ workload }: WorkloadRecord): number {
  return workload.spec.graceSeconds ?? defaultGraceSeconds;
}

function isOfJob({ workload }: Pick<WorkloadRecord, "workload">): boolean {
  return isHeldHost(hostOf(workload)!);
}

/** The pod as it is to be bound: what the binding adds to it. */
function boundPod(record: WorkloadRecord, attempt: Attempt, { place, node }: AttemptPod, pod: Pod): Pod {
  const { name, namespace, uid } = pod.metadata;
  const { status = {} } = record.workload;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace,
      uid,
      labels: {
        [labels.workload]: record.name,
        [labels.jobId]: String(record.jobId),
        [labels.podSet]: place!.podSet,
        [labels.podIndex]: String(place!.index),
        [labels.attempt]: String(attempt.number),
        ...(status.queue === undefined ? {} : { [labels.queue]: status.queue }),
        ...(status.account === undefined ? {} : { [labels.account]: status.account }),
      },
      annotations: {
        [annotations.wallTimeSeconds]: String(attempt.wallTimeSeconds),
        ...grantAnnotation(place!.grant),
      },
    },
    spec: { nodeName: node, containers: [] },
  };
}
