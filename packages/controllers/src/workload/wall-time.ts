/** How nodes are told of the wall time of what runs, or is about to: by the annotation of its pods. */
import { isReason, resources } from "@berth/client";
import { annotations, type Pod } from "@berth/kinds";
import type { Context } from "../context.ts";
import { isTerminal } from "../model/ends.ts";
import type { Attempt, WorkloadRecord } from "../model/record.ts";
import { wallTimeOf } from "../scheduler/snapshot.ts";
import type { Writer } from "../writer.ts";

export class WallTimes {
  readonly #context: Context;
  readonly #writer: Writer;

  constructor(context: Context, writer: Writer) {
    this.#context = context;
    this.#writer = writer;
  }

  /** The wall time of an attempt is another. */
  set(record: WorkloadRecord, attempt: Attempt, seconds: number): void {
    attempt.wallTimeSeconds = seconds;
    for (const { pod } of attempt.pods) if (pod !== undefined) this.tell(record, attempt, pod);
  }

  /** A leader before this one may have died before it told of a change; who may be given less than is asked keeps what it has. */
  resume(record: WorkloadRecord, attempt: Attempt): void {
    const { wallTimeSeconds: has } = attempt;
    const asked = wallTimeOf(record.workload);
    const mayHaveLess = record.workload.spec.minWallTimeSeconds !== undefined;
    if ((asked > 0 && asked < has) || (asked > has && has > 0 && !mayHaveLess)) this.set(record, attempt, asked);
  }

  /** Tells a pod's node, where its pod says something else. */
  tell(record: WorkloadRecord, { wallTimeSeconds }: Attempt, pod: Pod): void {
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
}
