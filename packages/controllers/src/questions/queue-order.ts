/** All jobs that wait or run, queue by queue in their order, as of a moment. */
import { isFinal } from "@berth/kinds";
import { pendingOrder } from "@berth/scheduling";
import { seconds } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { noTask, type WorkloadRecord } from "../model/record.ts";
import type { Scheduling } from "../scheduler/scheduling.ts";

/** In place of a task: all that wait of an array. */
export const restOfArray = -2;

/** One line of a queue: a job ({@link noTask}), an element of an array that runs, or the rest of it ({@link restOfArray}). */
export interface QueueEntry {
  record: WorkloadRecord;
  task: number;
  /** Among those that wait in its queue, from 1; 0 of what runs. */
  position: number;
}

export interface QueueOrder {
  /** By the names of the queues; in each what runs, by its start, and then what waits. */
  entries: readonly QueueEntry[];
  /** Of a record that waits: its place, and how many wait in its queue. */
  positionOf(record: WorkloadRecord): { queue: number; of: number } | undefined;
}

/** An order is used again for so many times what it cost to make: many who ask at one time share it, and few jobs are always new. */
const costFactor = 20;

export class QueueOrders {
  readonly #ledger: Ledger;
  readonly #scheduling: Pick<Scheduling, "inspected">;
  #made: QueueOrder | undefined;
  #madeUntil = 0;

  constructor(ledger: Ledger, scheduling: Pick<Scheduling, "inspected">) {
    this.#ledger = ledger;
    this.#scheduling = scheduling;
  }

  current(): QueueOrder {
    const began = performance.now();
    if (this.#made !== undefined && began < this.#madeUntil) return this.#made;
    const { core, now } = this.#scheduling.inspected;
    this.#made = orderOf(this.#ledger.values(), pendingOrder(core, now));
    const end = performance.now();
    this.#madeUntil = end + (end - began) * costFactor;
    return this.#made;
  }
}

export function queueOf(record: WorkloadRecord): string {
  return record.workload.status?.queue ?? record.workload.spec.queue ?? "";
}

/** Nothing of it is left in the queue: its end is accounted and told. Until then it completes, so that it is always somewhere. */
function isPast({ workload, isGone, phase }: WorkloadRecord): boolean {
  return isGone || (isFinal(phase) && (workload.spec.array !== undefined || isFinal(workload.status?.phase)));
}

/** The entries of one record, without their positions: elements of an array that run, and what waits. */
export function entriesOf(record: WorkloadRecord): QueueEntry[] {
  if (record.jobId === undefined || isPast(record)) return [];
  if (record.book === undefined) return [{ record, task: noTask, position: 0 }];
  const entries = [...record.live.keys()].sort((a, b) => a - b).map((task) => ({ record, task, position: 0 }));
  if (record.book.pending.size > 0) entries.push({ record, task: restOfArray, position: 0 });
  return entries;
}

/** Whether {@link entriesOf} its record still tells it. */
export function isStill({ record, task }: QueueEntry): boolean {
  if (isPast(record)) return false;
  if (record.book === undefined) return true;
  return task === restOfArray ? record.book.pending.size > 0 : record.live.has(task);
}

export function isWaiting({ record, task }: QueueEntry): boolean {
  return task === restOfArray || (task === noTask && record.live.size === 0 && !isFinal(record.phase));
}

function orderOf(records: Iterable<WorkloadRecord>, order: readonly number[]): QueueOrder {
  const rank = new Map(order.map((id, index) => [id, index]));
  const queues = new Map<string, { running: QueueEntry[]; waiting: QueueEntry[] }>();
  for (const record of records) {
    for (const entry of entriesOf(record)) {
      const name = queueOf(record);
      let queue = queues.get(name);
      if (queue === undefined) queues.set(name, (queue = { running: [], waiting: [] }));
      (isWaiting(entry) ? queue.waiting : queue.running).push(entry);
    }
  }
  const rankOf = ({ record }: QueueEntry): number => rank.get(record.jobId!) ?? Infinity;
  const entries: QueueEntry[] = [];
  const positions = new Map<WorkloadRecord, { queue: number; of: number }>();
  for (const name of [...queues.keys()].sort()) {
    const { running, waiting } = queues.get(name)!;
    running.sort((a, b) => startOf(a) - startOf(b) || a.record.jobId! - b.record.jobId! || a.task - b.task);
    waiting.sort((a, b) => rankOf(a) - rankOf(b) || a.record.jobId! - b.record.jobId!);
    for (const entry of running) entries.push(entry);
    for (const [index, entry] of waiting.entries()) {
      entry.position = index + 1;
      entries.push(entry);
      positions.set(entry.record, { queue: entry.position, of: waiting.length });
    }
  }
  return { entries, positionOf: (record) => positions.get(record) };
}

/** Seconds; what is only starting comes last. */
function startOf({ record, task }: QueueEntry): number {
  return seconds(record.live.get(task)?.startTime ?? record.startTime) ?? Number.MAX_SAFE_INTEGER;
}
