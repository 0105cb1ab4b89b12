/** Writes why jobs wait and when they are expected to start: only what changed, and only so many a second. */
import { isReason } from "@berth/client";
import type { PendingReason } from "@berth/kinds";
import { isFinal, workloads } from "@berth/kinds";
import { type Context, seconds, timestamp } from "../context.ts";
import type { WorkloadRecord } from "../model/record.ts";
import type { Writer } from "../writer.ts";
import { isWorthTelling } from "./messages.ts";

const writesPerRound = 10;
const roundMs = 100;

export class WaitingReports {
  readonly #context: Context;
  readonly #writer: Writer;
  readonly #message: (record: WorkloadRecord) => string | undefined;
  /** Records whose status does not say what is true, in the order in which they became so. */
  readonly #dirty = new Set<WorkloadRecord>();
  #timer: NodeJS.Timeout | undefined;

  /** @param message words for the reason of a record that waits, made when it is written */
  constructor(context: Context, writer: Writer, message: (record: WorkloadRecord) => string | undefined) {
    this.#context = context;
    this.#writer = writer;
    this.#message = message;
    context.signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  /** The reason changed. */
  reason(record: WorkloadRecord, reason: PendingReason): void {
    const { waiting } = record;
    if (waiting.reason === reason) return;
    const now = timestamp(this.#context.now());
    const passed = Math.max(0, seconds(now) - seconds(waiting.since));
    if (passed > 0) waiting.seconds[waiting.reason] = (waiting.seconds[waiting.reason] ?? 0) + passed;
    waiting.since = now;
    waiting.reason = reason;
    waiting.message = undefined;
    if (reason === "Resources" || reason === "Priority") record.eligibleTime ??= now;
    this.#add(record);
  }

  /** What is told with its reason is another. */
  reworded(record: WorkloadRecord): void {
    this.#add(record);
  }

  /** It ran from `startTime` on (absent: it never did) and waits again: only what it waited is waiting. */
  again({ waiting }: WorkloadRecord, startTime: string | undefined): void {
    const now = timestamp(this.#context.now());
    const passed = Math.max(0, (seconds(startTime) ?? seconds(now)) - seconds(waiting.since));
    if (passed > 0) waiting.seconds[waiting.reason] = (waiting.seconds[waiting.reason] ?? 0) + passed;
    waiting.since = now;
  }

  /** A new expected start, seconds since 1970; undefined: none is known. */
  estimate(record: WorkloadRecord, start: number | undefined): void {
    const { waiting } = record;
    const submitTime = seconds(record.workload.status?.submitTime) ?? 0;
    if (!isWorthTelling(seconds(waiting.estimatedStart), start, submitTime)) return;
    waiting.estimatedStart = start === undefined ? undefined : timestamp(start * 1000);
    waiting.firstEstimatedStart ??= waiting.estimatedStart;
    this.#add(record);
  }

  #add(record: WorkloadRecord): void {
    this.#dirty.add(record);
    if (this.#context.signal.aborted) return;
    this.#timer ??= setTimeout(() => this.#round(), roundMs);
  }

  #round(): void {
    this.#timer = undefined;
    let left = this.#writer.isQuiet ? writesPerRound : 0;
    for (const record of this.#dirty) {
      if (left === 0) break;
      this.#dirty.delete(record);
      if (this.#isWaiting(record)) {
        left--;
        this.#write(record);
      }
    }
    if (this.#dirty.size > 0) this.#timer = setTimeout(() => this.#round(), roundMs);
  }

  /** A job that has started, or ended, in the meantime has nothing to say here. */
  #isWaiting(record: WorkloadRecord): boolean {
    if (isFinal(record.phase)) return false;
    return record.book === undefined ? record.live.size === 0 : record.book.pending.size > 0;
  }

  #write(record: WorkloadRecord): void {
    const { client, log, signal } = this.#context;
    const write = async (): Promise<void> => {
      if (!this.#isWaiting(record)) return;
      const { waiting } = record;
      waiting.message = this.#message(record);
      const status = {
        reason: waiting.reason,
        message: waiting.message ?? null,
        estimatedStart: waiting.estimatedStart ?? null,
        firstEstimatedStart: waiting.firstEstimatedStart ?? null,
        eligibleTime: record.eligibleTime ?? null,
        waits: { since: waiting.since, seconds: waiting.seconds },
      };
      await client.patchStatus(
        workloads,
        record.name,
        { metadata: { uid: record.uid }, status },
        { namespace: record.namespace },
      );
    };
    this.#writer.run(write).catch((error: unknown) => {
      if (signal.aborted || isReason(error, "NotFound", "Conflict")) return;
      log("error", `writing why job ${record.jobId} waits failed: ${(error as Error).message}`);
    });
  }
}
