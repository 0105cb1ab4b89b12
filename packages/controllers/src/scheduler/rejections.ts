/**
 * Nodes that would not take a pod although there seemed to be room (OutOfcpu, topology, …): that was no attempt, and the node is not
 * tried for this job until it has changed, or after growing pauses.
 */
import type { Context } from "../context.ts";
import type { WorkloadRecord } from "../model/record.ts";

const firstPauseMs = 5000;
const longestPauseMs = 600_000;

export class Rejections {
  readonly #context: Context;
  readonly #changed: (record: WorkloadRecord) => void;
  readonly #records = new Set<WorkloadRecord>();
  #timer: NodeJS.Timeout | undefined;

  /** @param changed told of records whose refused nodes are others now */
  constructor(context: Context, changed: (record: WorkloadRecord) => void) {
    this.#context = context;
    this.#changed = changed;
    context.signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  /** @param why in the node's words */
  rejected(record: WorkloadRecord, node: string, why: string): void {
    const { log, now } = this.#context;
    const times = (record.refusedBy.get(node)?.times ?? 0) + 1;
    const until = now() + Math.min(longestPauseMs, firstPauseMs * 3 ** (times - 1));
    log("info", `node ${node} did not take a pod: ${why}`, { jobId: record.jobId });
    record.refusedBy.set(node, { times, until, isOver: false, why });
    this.#records.add(record);
    this.#changed(record);
    this.#schedule();
  }

  /** A node has other labels, amounts or conditions now, or room was made on it. */
  nodeChanged(node: string): void {
    for (const record of this.#records) {
      if (record.refusedBy.delete(node)) this.#changed(record);
      if (record.refusedBy.size === 0) this.#records.delete(record);
    }
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    let next = Infinity;
    for (const record of this.#records) {
      if (record.live.size === 0 && record.isGone) this.#records.delete(record);
      for (const { until, isOver } of record.refusedBy.values()) if (!isOver) next = Math.min(next, until);
    }
    if (next === Infinity || this.#context.signal.aborted) return;
    this.#timer = setTimeout(() => this.#look(), Math.max(10, next - this.#context.now()));
  }

  #look(): void {
    const now = this.#context.now();
    for (const record of this.#records) {
      let isChanged = false;
      for (const refusal of record.refusedBy.values()) {
        if (refusal.isOver || refusal.until > now) continue;
        // How often it happened is remembered: the next pause is longer.
        refusal.isOver = true;
        isChanged = true;
      }
      if (isChanged) this.#changed(record);
    }
    this.#schedule();
  }
}

/** Nodes that the job is not to be tried on now. */
export function refusingNodes(record: Pick<WorkloadRecord, "refusedBy">): string[] {
  return [...record.refusedBy].flatMap(([node, { isOver }]) => (isOver ? [] : [node]));
}
