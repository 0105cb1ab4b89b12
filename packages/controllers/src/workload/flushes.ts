/** Writes what became of Workloads: rows, then status, then the pods' removal, for each Workload one after the other. */
import { isPassingTrouble, type AttemptRow } from "@berth/accounting";
import { isReason } from "@berth/client";
import { isFinal, workloads } from "@berth/kinds";
import { type Context, timestamp } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { type Attempt, noTask, type WorkloadRecord } from "../model/record.ts";
import { persist, type Writer } from "../writer.ts";
import type { PodRemoval } from "./pod-removal.ts";
import { attemptRow, pendingRow } from "./rows.ts";
import { lifePatch, phaseOf } from "./status.ts";

/** How long a start may go unseen before status tells of it: most are running by then, which saves a write. */
const startingDelayMs = 1000;
const arrayIntervalMs = 1000;
/** An array's lists may take this part of one core at most. */
const arrayCostFactor = 20;

export interface FlushParts {
  context: Context;
  ledger: Ledger;
  writer: Writer;
  removal: PodRemoval;
  /** The final status is written. */
  finished(record: WorkloadRecord): void;
}

/** What one write of a status is to say, and the rows that must be there before it. */
interface Taken {
  over: Attempt[];
  rows: AttemptRow[];
  patch: ReturnType<typeof lifePatch>;
  isLast: boolean;
}

export class Flushes {
  readonly #parts: FlushParts;

  constructor(parts: FlushParts) {
    this.#parts = parts;
  }

  /** Something began, which may go unseen for a while. */
  began(record: WorkloadRecord): void {
    this.#later(record, record.book === undefined ? startingDelayMs : arrayIntervalMs);
  }

  /** Writes what changed: at once, of an array that goes on at most once a second. */
  soon(record: WorkloadRecord): void {
    if (record.book !== undefined && !isFinal(phaseOf(record))) {
      const interval = Math.max(arrayIntervalMs, record.flushCost * arrayCostFactor);
      this.#later(record, Math.max(0, record.lastFlush + interval - performance.now()));
      return;
    }
    clearTimeout(record.flushTimer);
    record.flushTimer = undefined;
    this.#flush(record);
  }

  #later(record: WorkloadRecord, milliseconds: number): void {
    record.flushTimer ??= setTimeout(() => {
      record.flushTimer = undefined;
      // Pods that still wait to be made are nothing to tell.
      if ((record.live.get(noTask)?.creating ?? 0) > 0) this.#later(record, startingDelayMs);
      else this.#flush(record);
    }, milliseconds);
  }

  #flush(record: WorkloadRecord): void {
    if (record.isFlushing) {
      record.flushAgain = true;
      return;
    }
    record.isFlushing = true;
    record.flushAgain = false;
    void this.#write(record)
      .catch((error: unknown) => {
        const { log, signal } = this.#parts.context;
        if (signal.aborted) return false;
        const fields = { jobId: record.jobId, workload: record.name };
        log("error", `writing the status failed: ${(error as Error).message}`, fields);
        return false;
      })
      .then((isLast) => {
        record.isFlushing = false;
        record.lastFlush = performance.now();
        if (record.flushAgain) this.soon(record);
        // Not before: what is being written is not let go.
        else if (isLast === true) this.#parts.finished(record);
      });
  }

  /**
   * Row, then status, then the pods' deletion: a crash in between repeats a step, and skips none. Whether what was written is its
   * end.
   */
  async #write(record: WorkloadRecord): Promise<boolean> {
    const { context, ledger, writer, removal } = this.#parts;
    let taken: Taken | undefined;
    let accounted = false;
    const isOnlyBeginning = record.toAccount.length + record.toAccountPending.length + record.toRemove.length === 0;
    const turn = record.book !== undefined ? "Urgent" : isOnlyBeginning ? "Idle" : "Usual";
    const write = async (): Promise<void> => {
      // What is taken is taken in one step with what the status will say, so that it never says more than the rows.
      taken ??= this.#take(record);
      try {
        if (!accounted) await context.accounting.record(taken.rows);
        accounted = true;
      } catch (error) {
        if (isPassingTrouble(error)) return;
        throw error;
      }
      if (ledger.byUid(record.uid) !== record) return;
      const patch = { metadata: { uid: record.uid }, status: taken.patch };
      try {
        await context.client.patchStatus(workloads, record.name, patch, { namespace: record.namespace });
      } catch (error) {
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      }
    };
    await writer.run(write, turn);
    if (!accounted) {
      // Without a turn of the writer's: while accounting cannot be reached, others go on.
      await persist(() => context.accounting.record(taken!.rows), context);
      accounted = true;
      await writer.run(write, turn);
    }
    removal.accounted(record, taken!.over);
    return taken!.isLast;
  }

  #take(record: WorkloadRecord): Taken {
    const now = timestamp(this.#parts.context.now());
    const { toAccount, toAccountPending, toRemove: over } = record;
    record.toAccount = [];
    record.toAccountPending = [];
    record.toRemove = [];
    const rows = toAccount.map((attempt) => attemptRow(record, attempt, now));
    for (const ended of toAccountPending) rows.push(pendingRow(record, ended, now));
    const began = performance.now();
    const patch = lifePatch(record, now, toAccount.at(-1)?.end.message);
    record.flushCost = performance.now() - began;
    return { over, rows, patch, isLast: isFinal(patch.phase ?? undefined) };
  }
}
