/**
 * What running jobs tell of their checkpoints. It is in annotations of their Workload, where a new leader finds it. Of an array each task
 * tells by an annotation of its own; where they are many they become a summary in one write, which also takes in what several tasks
 * told at once before that is overwritten. So nothing told is lost, and its size is bounded.
 */
import { isReason } from "@berth/client";
import {
  annotations,
  type Checkpoint,
  formatCheckpoints,
  isTaskCheckpoint,
  readCheckpoints,
  type Workload,
  workloads,
} from "@berth/kinds";
import { type Context, seconds } from "../context.ts";
import type { WorkloadRecord } from "../model/record.ts";
import type { Scheduling } from "../scheduler/scheduling.ts";
import type { Writer } from "../writer.ts";

/** So many annotations of single tasks stay as they are. */
const mostOfTasks = 64;
/** A patch has at most 10,000 operations. */
const mostAtOnce = 4000;

interface Operation {
  op: "add" | "remove" | "test";
  path: string;
  value?: string;
}

interface Parts {
  context: Context;
  writer: Writer;
  scheduling: Pick<Scheduling, "checkpointed">;
}

export class Checkpoints {
  readonly #parts: Parts;
  /** To be summed up once the write that is under way is done, or what changed meanwhile was told. */
  readonly #owed = new Set<WorkloadRecord>();
  readonly #underWay = new Set<WorkloadRecord>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The annotations of an admitted Workload may have changed. */
  updated(record: WorkloadRecord, before: Workload): void {
    const told = record.workload.metadata.annotations ?? {};
    const toldBefore = before.metadata.annotations ?? {};
    let ofTasks = 0;
    for (const [key, text] of Object.entries(told)) {
      const isOfTask = isTaskCheckpoint(key);
      if (isOfTask) ofTasks += 1;
      if ((!isOfTask && key !== annotations.checkpointedAt) || text === toldBefore[key]) continue;
      for (const checkpoint of this.#read(record, key, text)) this.#parts.scheduling.checkpointed(record, checkpoint);
      if (!isOfTask && record.book !== undefined) this.#owed.add(record);
    }
    if (ofTasks > mostOfTasks) this.#owed.add(record);
    if (this.#owed.has(record)) void this.#sumUp(record);
  }

  /** What cannot be read is said, and means nothing. */
  #read(record: WorkloadRecord, key: string, text: string): Checkpoint[] {
    try {
      return readCheckpoints(key, text);
    } catch (error) {
      this.#parts.context.log("warn", (error as Error).message, { jobId: record.jobId });
      return [];
    }
  }

  async #sumUp(record: WorkloadRecord): Promise<void> {
    if (this.#underWay.has(record)) return;
    const { context, writer } = this.#parts;
    this.#underWay.add(record);
    const { name, namespace, jobId } = record;
    let { workload } = record;
    while (this.#owed.delete(record) && !record.isGone) {
      try {
        await writer.run(() => {
          workload = record.workload;
          return context.client.patch(workloads, name, summary(record), { namespace, type: "Json" });
        });
      } catch (error) {
        if (context.signal.aborted || isReason(error, "NotFound")) break;
        this.#owed.add(record);
        const isOutdated = isReason(error, "Invalid", "Conflict");
        if (!isOutdated) context.log("warn", `checkpoints wait to be kept: ${(error as Error).message}`, { jobId });
        // What was told meanwhile is heard of already, or will be: then all is summed up.
        if (!isOutdated || workload === record.workload) break;
      }
    }
    this.#underWay.delete(record);
  }
}

/** Changes the annotations only if all that goes is as it was when it was read. */
function summary(record: WorkloadRecord): Operation[] {
  const times = new Map<number, number>();
  for (const { checkpoint, startTime, createdAt } of record.live.values()) {
    const start = seconds(startTime) ?? Math.floor(createdAt / 1000);
    if (checkpoint !== undefined && checkpoint.time >= start) times.set(checkpoint.task, checkpoint.time);
  }
  const path = (key: string): string => `/metadata/annotations/${key.replaceAll("/", "~1")}`;
  const operations: Operation[] = [
    { op: "add", path: path(annotations.checkpointedTasks), value: formatCheckpoints(times) },
  ];
  const told = Object.entries(record.workload.metadata.annotations ?? {}).filter(([key]) => isTaskCheckpoint(key));
  for (const [key, value] of told.slice(0, mostAtOnce)) {
    operations.push({ op: "test", path: path(key), value }, { op: "remove", path: path(key) });
  }
  return operations;
}
