/** Which arrays may have several of their tasks in one pod, and how many. */
import type { Queue, Workload } from "@berth/kinds";
import {
  annotations,
  capacityOf,
  effectiveRequests,
  isReady,
  type Lease,
  matchesClass,
  maximumLeaseTasks,
  type Node,
  nodeClassOf,
  queueSelectorOf,
  selectorOf,
} from "@berth/kinds";
import type { ClusterState, LeaseInput, Start } from "@berth/scheduling";
import { currentAttempt, type EndedAttempt, type WorkloadRecord } from "../model/record.ts";
import type { Stores } from "../stores.ts";
import { hasPlainFiles } from "./attempt-environment.ts";
import type { LiveCluster } from "./cluster.ts";
import { isGang } from "./snapshot.ts";

/** Tasks that run longer than this on the average get a pod each. */
const longestTaskMs = 500;
/** So much work goes into one pod; of large arrays, more, so that their pods do not get more than so many. */
const leaseMs = 1000;
const longestLeaseMs = 5000;
const manyPods = 5000;
/** How many pods of an array are begun before it is known how long its tasks run. */
const probes = 64;
/** The others wait for that until one has run for so long, and not longer than the second. */
const probeMs = 2000;
const longestProbeMs = 30_000;
/** So many pods at most are begun in the time of a lease, whatever room there is: a share is of that. */
const mostPlaces = 500;
const mostPods = 5000;
/** The mean is about that of so many tasks that ended last. */
const meanOver = 32;
const placesMs = 10_000;

interface Known {
  core: ClusterState;
  tasks: number | undefined;
  /** How much longer the slot is that the core gives. */
  seconds: number;
  places: number;
  countedAt: number;
}

export interface LeasingParts {
  cluster: LiveCluster;
  stores: Stores;
  signal: AbortSignal;
  begin(start: Start): void;
  /** Tasks that were decided to start and are to wait again. */
  giveBack(record: WorkloadRecord, tasks: readonly number[]): void;
}

export class Leasing {
  readonly #parts: LeasingParts;
  readonly #cluster: LiveCluster;
  readonly #stores: Stores;
  /** Starts that are decided and not begun: how many tasks they are to take is known when the first of the array has ended. */
  readonly #held = new Map<WorkloadRecord, { starts: Start[]; timer: NodeJS.Timeout }>();
  /** Arrays whose first tasks did not end in time: theirs are long. */
  readonly #long = new WeakSet<WorkloadRecord>();
  /** What the core was last told of an array. */
  readonly #known = new WeakMap<WorkloadRecord, Known>();

  constructor(parts: LeasingParts) {
    this.#parts = parts;
    this.#cluster = parts.cluster;
    this.#stores = parts.stores;
    parts.signal.addEventListener("abort", () => this.forgetHeld());
  }

  /** Whether a start is to wait until it is known how long the tasks of its array run. It keeps its place meanwhile. */
  holds(record: WorkloadRecord, start: Start): boolean {
    const isKnown = record.book === undefined || record.runMilliseconds !== undefined || this.#long.has(record);
    if (isKnown || record.live.size < probes || this.#look(record).places === 0) return false;
    const held = this.#held.get(record);
    if (held !== undefined) held.starts.push(start);
    else {
      const begun = performance.now();
      const timer = setInterval(() => {
        if (!isRunningLong(record) && performance.now() < begun + longestProbeMs) return;
        this.#long.add(record);
        this.#release(record);
      }, probeMs / 4);
      this.#held.set(record, { starts: [start], timer });
    }
    return true;
  }

  /** Begins what was held, or has it decided anew where several tasks may go together. */
  #release(record: WorkloadRecord): void {
    if (leasedTasks(record.runMilliseconds ?? Infinity, 0) !== undefined) this.giveBack(record);
    const held = this.#held.get(record);
    this.#held.delete(record);
    clearInterval(held?.timer);
    for (const start of held?.starts ?? []) this.#parts.begin(start);
  }

  /** The state is made anew: what was held waits in it. */
  forgetHeld(): void {
    for (const { timer } of this.#held.values()) clearInterval(timer);
    this.#held.clear();
  }

  /** What is held waits again, as if it had not been decided. */
  giveBack(record: WorkloadRecord): void {
    const held = this.#held.get(record);
    if (held === undefined) return;
    this.#held.delete(record);
    clearInterval(held.timer);
    this.#parts.giveBack(
      record,
      held.starts.flatMap(({ task, tasks }) => tasks ?? [task!]),
    );
  }

  /** The tasks of a start that its node can carry in one pod; the others are given back. Undefined where that is one. */
  leaseOf(record: WorkloadRecord, start: Start): Lease | undefined {
    if (start.tasks === undefined) return undefined;
    const [first, ...others] = start.tasks;
    const number = currentAttempt(record, first!);
    const node = this.#stores.nodes.get(undefined, start.nodes[0]?.[0] ?? "");
    const isAble = node !== undefined && canCarry(node, record.workload);
    const more = others.filter((task) => isAble && currentAttempt(record, task) === number);
    if (more.length < others.length) {
      this.#parts.giveBack(
        record,
        others.filter((task) => !more.includes(task)),
      );
    }
    if (more.length === 0) return undefined;
    return { tasks: [first!, ...more], seconds: this.#known.get(record)?.seconds ?? 1 };
  }

  /** A task ended: how long it ran says how many of those that wait one start may take. */
  ended(record: WorkloadRecord, { end }: EndedAttempt): void {
    const ran = end.runMilliseconds;
    if (record.book === undefined || ran === undefined) return;
    const mean = record.runMilliseconds;
    record.measuredRuns = Math.min(meanOver, record.measuredRuns + 1);
    record.runMilliseconds = mean === undefined ? ran : mean + (ran - mean) / record.measuredRuns;
    const { core } = this.#cluster;
    if (!core.has(record.jobId!)) return;
    const known = this.#look(record);
    const tasks = known.places === 0 ? undefined : leasedTasks(record.runMilliseconds, record.book.pending.size);
    if (isNear(tasks, known.tasks)) {
      if (mean === undefined) this.#release(record);
      return;
    }
    known.tasks = tasks;
    known.seconds = leaseSeconds((tasks ?? 1) * record.runMilliseconds);
    const lease: LeaseInput | undefined =
      tasks === undefined
        ? undefined
        : {
            tasks,
            seconds: known.seconds,
            places: known.places,
            atMost: mostPods,
          };
    core.updateJob(record.jobId!, { lease }, this.#cluster.now());
    this.#release(record);
  }

  #look(record: WorkloadRecord): Known {
    const { core } = this.#cluster;
    const known = this.#known.get(record);
    const now = performance.now();
    if (known?.core === core && now <= known.countedAt + placesMs) return known;
    const places = this.#placesOf(record);
    if (known?.core === core && places === known.places) {
      known.countedAt = now;
      return known;
    }
    const fresh: Known = { core, tasks: undefined, seconds: 1, places, countedAt: now };
    this.#known.set(record, fresh);
    return fresh;
  }

  /** How many pods of the array its nodes that can carry several tasks would hold at once, within reason; 0: it is to have a pod for each task. */
  #placesOf({ workload }: WorkloadRecord): number {
    const queue = this.#stores.queues.get(undefined, workload.status?.queue ?? "");
    if (queue === undefined || !isLeasable(workload, queue)) return 0;
    const { template } = workload.spec.podSets[0]!;
    const request = Object.entries(effectiveRequests(template.spec, queue.spec)).filter(([, amount]) => amount > 0);
    const selectors = [queueSelectorOf(queue.spec), selectorOf(template.spec, queue.spec)];
    let places = 0;
    for (const node of this.#stores.nodes.values()) {
      if (!canCarry(node, workload) || !isReady(node) || node.spec?.unschedulable === true) continue;
      const nodeClass = nodeClassOf(node.metadata.labels, node.spec?.taints);
      if (!selectors.every((selector) => selector === undefined || matchesClass(selector, nodeClass))) continue;
      const capacity = capacityOf(node);
      places += Math.min(...request.map(([resource, amount]) => Math.floor((capacity[resource] ?? 0) / amount)));
    }
    return Math.min(places, mostPlaces, workload.spec.array?.maxRunning ?? Infinity);
  }
}

/** How many tasks of this mean length go into one pod when so many wait; undefined: one. */
export function leasedTasks(meanMs: number, pending: number): number | undefined {
  const within = (milliseconds: number): number => Math.floor(milliseconds / Math.max(1, meanMs));
  const wanted = Math.max(within(leaseMs), Math.min(within(longestLeaseMs), Math.ceil(pending / manyPods)));
  const count = Math.min(maximumLeaseTasks, wanted);
  return meanMs > longestTaskMs || count < 2 ? undefined : count;
}

/** After this a node begins no further task of a lease: they may turn out longer than those before. */
function leaseSeconds(milliseconds: number): number {
  return Math.ceil(Math.max(leaseMs, milliseconds) / 1000) + 1;
}

/** Whether a task of the array is known to have run for longer than is waited for. */
function isRunningLong(record: WorkloadRecord): boolean {
  const since = Date.now() - probeMs;
  for (const { state, startTime } of record.live.values()) {
    // Times of starts are whole seconds.
    if (state === "Running" && startTime !== undefined && Date.parse(startTime) + 1000 < since) return true;
  }
  return false;
}

function isNear(tasks: number | undefined, known: number | undefined): boolean {
  if (tasks === undefined || known === undefined) return tasks === known;
  return Math.abs(tasks - known) <= known / 4;
}

function canCarry(node: Node, workload: Workload): boolean {
  const says = node.metadata.annotations?.[annotations.leases];
  return says === "Any" || (says === "Submissions" && workload.spec.submission?.secretName !== undefined);
}

const leasableVolumes = ["secret", "configMap", "hostPath"];
/** What a template may say that would differ from task to task, or that must be new for each. */
const perTask = /\$\((?:SLURM|BERTH|JOB)_|"fieldPath":"metadata\./;

/** Whether nothing in an array's pods is the task's alone but what a node can work out. */
export function isLeasable(workload: Workload, { spec }: Queue): boolean {
  const { array, deadline, minWallTimeSeconds, placement, podSets } = workload.spec;
  if (array === undefined || isGang(workload) || deadline !== undefined || minWallTimeSeconds !== undefined)
    return false;
  if (placement?.exclusive === true || !hasPlainFiles(workload)) return false;
  const specs = [podSets[0]!.template.spec, ...(spec.podDefaults?.spec === undefined ? [] : [spec.podDefaults.spec])];
  if (specs.some(({ containers, initContainers }) => (containers?.length ?? 0) > 1 || initContainers !== undefined))
    return false;
  const volumes = specs.flatMap((one) => one.volumes ?? []);
  if (volumes.some((volume) => !leasableVolumes.some((kind) => volume[kind] !== undefined))) return false;
  return !perTask.test(JSON.stringify(specs));
}
