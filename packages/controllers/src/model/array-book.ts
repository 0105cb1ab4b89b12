/** What became of the tasks of one array: index sets in memory, index lists in `status.array`. */
import type { ArrayStatus, FinalPhase } from "@berth/kinds";
import { formatIndexListCompact, IndexSet, parseIndexList } from "@berth/kinds";

/** How a task can end, and the field of `status.array` that tells so. */
const fieldOf = {
  Succeeded: "succeeded",
  Failed: "failed",
  TimedOut: "timedOut",
  OutOfMemory: "outOfMemory",
  NodeFailed: "nodeFailed",
  Cancelled: "cancelled",
  Preempted: "cancelled",
  DeadlineExceeded: "cancelled",
} as const satisfies Record<FinalPhase, keyof ArrayStatus>;

const endedFields = ["succeeded", "failed", "timedOut", "outOfMemory", "nodeFailed", "cancelled"] as const;
type EndedField = (typeof endedFields)[number];

/** Phase of an array all of whose tasks ended: the first of these that any task has. */
const worstFirst: readonly [EndedField, FinalPhase][] = [
  ["failed", "Failed"],
  ["outOfMemory", "OutOfMemory"],
  ["timedOut", "TimedOut"],
  ["nodeFailed", "NodeFailed"],
  ["cancelled", "Cancelled"],
];

export class ArrayBook {
  readonly indices: IndexSet;
  readonly pending: IndexSet;
  /** Decided to start; the API has not said yet that it has their pods: status still calls them pending. */
  readonly creating = new IndexSet();
  /** In a pod that carries several tasks, and not known to have begun: status tells of them apart. */
  readonly leased = new IndexSet();
  readonly running = new IndexSet();
  /** What the status that it was made of called running or leased: those without pods have vanished. */
  readonly wasRunning: IndexSet;
  readonly #ended: Record<EndedField, IndexSet>;
  /** Attempts that ended and were begun again, by task; none is 0. */
  readonly #restarts = new Map<number, number>();
  /** Of these, those after which a node was lost. */
  readonly #nodeFailures = new Map<number, number>();

  /**
   * @param indices `spec.array.indices`
   * @param status what was last written; tasks that it calls running wait until their pods are found
   */
  constructor(indices: string, status?: ArrayStatus) {
    this.indices = parseIndexList(indices);
    const read = (field: EndedField): IndexSet => parseIndexList(status?.[field] ?? "");
    this.#ended = {
      succeeded: read("succeeded"),
      failed: read("failed"),
      timedOut: read("timedOut"),
      outOfMemory: read("outOfMemory"),
      nodeFailed: read("nodeFailed"),
      cancelled: read("cancelled"),
    };
    this.pending = this.indices.clone();
    this.wasRunning = parseIndexList(status?.running ?? "").union(parseIndexList(status?.leased ?? ""));
    for (const field of endedFields) this.pending.deleteAll(this.#ended[field]);
    for (const [task, count] of Object.entries(status?.attempts ?? {})) this.#restarts.set(Number(task), count);
    for (const [task, count] of Object.entries(status?.nodeFailures ?? {})) this.#nodeFailures.set(Number(task), count);
  }

  /** Number of the attempt that would be (or is) the task's current one, from 1. */
  attemptOf(task: number): number {
    return (this.#restarts.get(task) ?? 0) + 1;
  }

  nodeFailuresOf(task: number): number {
    return this.#nodeFailures.get(task) ?? 0;
  }

  hasEnded(task: number): boolean {
    return endedFields.some((field) => this.#ended[field].has(task));
  }

  start(task: number): void {
    this.pending.delete(task);
    this.creating.add(task);
  }

  created(task: number): void {
    if (!this.creating.has(task) && !this.leased.has(task)) return;
    this.creating.delete(task);
    this.leased.delete(task);
    this.running.add(task);
  }

  /** The pod that carries these tasks is there; which of them run is told by it. */
  lease(tasks: Iterable<number>): void {
    for (const task of tasks) {
      if (!this.creating.has(task)) continue;
      this.creating.delete(task);
      this.leased.add(task);
    }
  }

  /** Whether a pod holds the task, or is to. */
  isHeld(task: number): boolean {
    return this.creating.has(task) || this.leased.has(task) || this.running.has(task);
  }

  /** How many tasks pods hold that the API has. */
  get held(): number {
    return this.leased.size + this.running.size;
  }

  /** Back to waiting, as if it had not been started. */
  takeBack(task: number): void {
    this.creating.delete(task);
    this.leased.delete(task);
    this.running.delete(task);
    this.pending.add(task);
  }

  /** Back to waiting for another attempt. */
  requeue(task: number, isNodeFailure = false): void {
    this.#restarts.set(task, this.attemptOf(task));
    if (isNodeFailure) this.#nodeFailures.set(task, this.nodeFailuresOf(task) + 1);
    this.takeBack(task);
  }

  end(task: number, phase: FinalPhase): void {
    this.pending.delete(task);
    this.creating.delete(task);
    this.leased.delete(task);
    this.running.delete(task);
    this.#ended[fieldOf[phase]].add(task);
  }

  /** Takes tasks that wait to an end together. */
  endPending(tasks: IndexSet, phase: FinalPhase): void {
    this.pending.deleteAll(tasks);
    this.#ended[fieldOf[phase]].addAll(tasks);
  }

  get isFinished(): boolean {
    return this.pending.size === 0 && this.creating.size === 0 && this.held === 0;
  }

  get succeeded(): IndexSet {
    return this.#ended.succeeded;
  }

  /** Tasks that ended in any way but well. */
  get notSucceeded(): IndexSet {
    const set = new IndexSet();
    for (const field of endedFields) if (field !== "succeeded") set.addAll(this.#ended[field]);
    return set;
  }

  /** Of a finished array. */
  get phase(): FinalPhase {
    return worstFirst.find(([field]) => this.#ended[field].size > 0)?.[1] ?? "Succeeded";
  }

  /** The whole of `status.array`; fields of sets that are empty and optional are null, which removes them in a merge patch. */
  toStatus(): { [field in keyof ArrayStatus]: ArrayStatus[field] | null } {
    const waiting = this.pending.clone();
    for (const set of [this.creating, this.leased]) if (set.size > 0) waiting.addAll(set);
    const optional = (set: IndexSet): string | null => (set.size === 0 ? null : formatIndexListCompact(set));
    return {
      tasks: this.indices.size,
      pending: formatIndexListCompact(waiting),
      leased: optional(this.leased),
      running: formatIndexListCompact(this.running),
      succeeded: formatIndexListCompact(this.#ended.succeeded),
      failed: formatIndexListCompact(this.#ended.failed),
      timedOut: optional(this.#ended.timedOut),
      outOfMemory: optional(this.#ended.outOfMemory),
      nodeFailed: optional(this.#ended.nodeFailed),
      cancelled: optional(this.#ended.cancelled),
      ...counts("attempts", this.#restarts),
      ...counts("nodeFailures", this.#nodeFailures),
    };
  }
}

function counts(
  field: "attempts" | "nodeFailures",
  of: ReadonlyMap<number, number>,
): Pick<ArrayStatus, "attempts" | "nodeFailures"> {
  return of.size === 0 ? {} : { [field]: Object.fromEntries([...of].map(([task, count]) => [String(task), count])) };
}

/** Index set as sorted runs, the form of `scheduling`. */
export function runsOf(set: IndexSet): [number, number][] {
  const runs: [number, number][] = [];
  let first: number | undefined;
  let last = -2;
  for (const index of set) {
    if (first !== undefined && index === last + 1) last = index;
    else {
      if (first !== undefined) runs.push([first, last]);
      first = index;
      last = index;
    }
  }
  if (first !== undefined) runs.push([first, last]);
  return runs;
}
