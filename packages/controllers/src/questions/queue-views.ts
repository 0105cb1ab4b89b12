/** Answers lists of QueueViews: the jobs of all queues, as far as who asks may know them. */
import type { InquirySpec, QueueView, Workload, WorkloadPhase } from "@berth/kinds";
import { isFinal, questionsApiVersion } from "@berth/kinds";
import { elementRow, jobRow, type JobRow, type JobState, jobStateOf, restRow, viewOfRow } from "@berth/slurm";
import { seconds, timestamp } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { type Attempt, noTask, taskJobId, type WorkloadRecord } from "../model/record.ts";
import type { Scheduling } from "../scheduler/scheduling.ts";
import type { Stores } from "../stores.ts";
import type { Answer } from "./inquiries.ts";
import { priorityOf } from "./priority.ts";
import { type Privacy, privacyFor } from "./privacy.ts";
import {
  entriesOf,
  isStill,
  isWaiting,
  type QueueEntry,
  queueOf,
  type QueueOrders,
  restOfArray,
} from "./queue-order.ts";
import { Readings } from "./readings.ts";

interface QueueViewParts {
  ledger: Ledger;
  stores: Pick<Stores, "memberships" | "sites">;
  scheduling: Pick<Scheduling, "inspected">;
  orders: QueueOrders;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** A line that only counts what is withheld of a queue. */
interface HiddenCount {
  queue: string;
  pending: number;
  running: number;
}
type Line = QueueEntry | HiddenCount;

type Fields = NonNullable<InquirySpec["fields"]>;

export class QueueViews {
  readonly #parts: QueueViewParts;
  readonly #readings = new Readings<Line>();

  constructor(parts: QueueViewParts) {
    this.#parts = parts;
  }

  answer(spec: InquirySpec): Answer {
    if (spec.verb === "get") return this.#get(spec);
    const privacy = privacyFor(spec.asker, this.#parts.stores);
    return this.#readings.page(
      spec,
      () => this.#select(spec, privacy),
      (line) => this.#view(line, privacy),
    );
  }

  #get({ name = "", asker }: InquirySpec): Answer {
    const match = /^(\d{1,15})(?:-(\d{1,7}))?$/.exec(name);
    const found = match === null ? undefined : this.#parts.ledger.byJobId(Number(match[1]));
    if (found === undefined || found.task !== undefined) return { items: [] };
    const isMeant = ({ task }: QueueEntry): boolean =>
      match![2] === undefined ? task < 0 : task === Number(match![2]);
    const entry = entriesOf(found.record).find(isMeant);
    const view = entry && this.#view(entry, privacyFor(asker, this.#parts.stores));
    return { items: view === undefined ? [] : [view] };
  }

  #select({ fields = [] }: InquirySpec, privacy: Privacy): Line[] {
    const lines: Line[] = [];
    const hidden = new Map<string, HiddenCount>();
    for (const entry of this.#candidates(fields)) {
      const { record } = entry;
      if (!fits(entry, fields)) continue;
      if (knowledgeOf(record, privacy) !== "Counted") {
        lines.push(entry);
        continue;
      }
      const queue = queueOf(record);
      let count = hidden.get(queue);
      if (count === undefined) hidden.set(queue, (count = { queue, pending: 0, running: 0 }));
      count[isWaiting(entry) ? "pending" : "running"]++;
    }
    // Numbers by user or account would tell what is withheld.
    const tells = fields.every(({ field }) => field === "spec.queue" || field === "status.phase");
    if (tells) for (const count of [...hidden.values()].sort((a, b) => (a.queue < b.queue ? -1 : 1))) lines.push(count);
    return lines;
  }

  /** All entries in order; of a job that is named only its own, so that what came a moment ago is found. */
  #candidates(fields: Fields): readonly QueueEntry[] {
    const id = fields.find(({ field, operator }) => field === "spec.jobId" && operator === "=")?.value;
    if (id === undefined) return this.#parts.orders.current().entries;
    const found = /^\d+$/.test(id) ? this.#parts.ledger.byJobId(Number(id)) : undefined;
    return found === undefined ? [] : entriesOf(found.record);
  }

  #view(line: Line, privacy: Privacy): QueueView | undefined {
    if (!("record" in line)) return hiddenView(line);
    const knowledge = knowledgeOf(line.record, privacy);
    // It may have ended, or begun, since the list was begun.
    if (!isStill(line) || knowledge === "Counted") return undefined;
    const { core, now } = this.#parts.scheduling.inspected;
    const { record } = line;
    const waits = isWaiting(line);
    const row = rowOf(line, Math.floor(this.#parts.now() / 1000));
    const id = record.jobId!;
    if (waits) {
      const reservation = core.has(id) ? core.reservation(id) : undefined;
      if (reservation !== undefined) {
        row.startTime = reservation.startTime;
        row.plannedNodes = [...new Set(reservation.nodes.flat())];
      }
      const priority = core.has(id) ? priorityOf(core, id, now) : undefined;
      if (priority !== undefined) {
        // As in Slurm, what is held has none until it is released.
        const isHeld = record.workload.spec.hold !== undefined;
        row.priority = isHeld ? 0 : priority.value;
        if (!isHeld) row.priorityFactors = priority.factors;
      }
    }
    const position = line.position || (waits ? this.#parts.orders.current().positionOf(record)?.queue : undefined);
    return viewOfRow(row, {
      isOwn: knowledge === "Whole",
      ...(waits ? { reason: record.waiting.reason } : {}),
      ...(position === undefined ? {} : { position }),
    });
  }
}

export function userOf({ workload }: WorkloadRecord): string {
  return workload.status?.identity?.user ?? workload.spec.user ?? "";
}

export function accountOf({ workload }: WorkloadRecord): string {
  return workload.status?.account ?? workload.spec.account ?? "";
}

function knowledgeOf(record: WorkloadRecord, privacy: Privacy): ReturnType<Privacy["ofJobs"]> {
  return privacy.ofJobs(userOf(record), accountOf(record));
}

const values: Record<string, (entry: QueueEntry) => readonly string[]> = {
  "metadata.name": ({ record, task }) => [task < 0 ? `${record.jobId}` : `${record.jobId}-${task}`],
  "spec.queue": ({ record }) => [queueOf(record)],
  "spec.user": ({ record }) => [userOf(record)],
  "spec.account": ({ record }) => [accountOf(record)],
  // The id of an array names all of it.
  "spec.jobId": ({ record, task }) => [`${record.jobId}`, `${taskJobId(record, Math.max(task, noTask))}`],
  "spec.arrayJobId": ({ record }) => (record.book === undefined ? [] : [`${record.jobId}`]),
  "spec.namespace": ({ record }) => [record.namespace],
  "status.phase": (entry) => [phaseOfEntry(entry)],
};

function fits(entry: QueueEntry, fields: Fields): boolean {
  return fields.every(({ field, operator, value }) => {
    const has = values[field]?.(entry).includes(value) ?? false;
    return has === (operator === "=");
  });
}

function phaseOfEntry(entry: QueueEntry): string {
  if (isWaiting(entry)) return "Pending";
  const attempt = entry.record.live.get(entry.task);
  return attempt === undefined || entry.record.book === undefined
    ? phaseOfRecord(entry.record)
    : phaseOfAttempt(attempt);
}

/** What has ended and is just being accounted completes. */
function phaseOfRecord({ phase = "Pending" }: WorkloadRecord): WorkloadPhase {
  return isFinal(phase) ? "Completing" : phase;
}

function phaseOfAttempt({ state, stopped, suspension }: Attempt): "Starting" | "Running" | "Suspended" | "Completing" {
  if (state === "Running") return suspension?.isSuspended === true && stopped === undefined ? "Suspended" : "Running";
  return state === "Starting" || state === "TakingBack" ? "Starting" : "Completing";
}

/** The Workload with what the controllers know by now. */
function currentWorkload(record: WorkloadRecord): Workload {
  const { workload, waiting, startTime, nodes, eligibleTime, suspension } = record;
  const status = { ...workload.status, phase: phaseOfRecord(record), reason: waiting.reason };
  const suspended = {
    suspendedSeconds: suspension?.seconds,
    suspendedSince: suspension?.isSuspended === true ? suspension.since : undefined,
  };
  const known = { message: waiting.message, estimatedStart: waiting.estimatedStart, startTime, nodes, eligibleTime };
  return { ...workload, status: { ...status, ...known, ...suspended } };
}

function rowOf(entry: QueueEntry, nowSeconds: number): JobRow {
  const { record, task } = entry;
  const workload = currentWorkload(record);
  if (record.book === undefined) {
    const row = jobRow(workload, nowSeconds);
    // What is only being created holds its nodes already.
    return row.state === "PENDING" && !isWaiting(entry) ? { ...row, state: "CONFIGURING", reason: "None" } : row;
  }
  if (task === restOfArray) return restRow(workload, record.book.pending.union(record.book.leased), nowSeconds);
  const attempt = record.live.get(task)!;
  const state: JobState = jobStateOf(phaseOfAttempt(attempt));
  const start = seconds(attempt.startTime);
  const element = {
    task: attempt.lease?.running ?? task,
    nodes: [...new Set(attempt.pods.map(({ node }) => node))],
    attempt: attempt.number,
    state,
    ...(attempt.suspension === undefined ? {} : { suspension: attempt.suspension }),
  };
  return elementRow(workload, start === undefined ? element : { ...element, startSeconds: start }, nowSeconds);
}

function hiddenView({ queue, pending, running }: HiddenCount): QueueView {
  return {
    apiVersion: questionsApiVersion,
    kind: "QueueView",
    metadata: { name: `others.${queue}`, creationTimestamp: timestamp(Date.now()) },
    spec: { queue, jobName: `(${pending} pending and ${running} running of others)` },
    status: { hidden: { pending, running } },
  };
}
