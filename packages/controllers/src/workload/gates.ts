/** The gates of gangs: their scripts begin when all pods are up, workers before drivers. */
import { isReason, resources } from "@berth/client";
import { annotations } from "@berth/kinds";
import { type Context, timestamp } from "../context.ts";
import type { Attempt, AttemptPod, WorkloadRecord } from "../model/record.ts";
import type { Writer } from "../writer.ts";

export class Gates {
  readonly #context: Context;
  readonly #writer: Writer;

  constructor(context: Context, writer: Writer) {
    this.#context = context;
    this.#writer = writer;
  }

  /** Opens those that are closed; the time at which they were, which is that of the first. */
  open(record: WorkloadRecord, attempt: Attempt): string {
    const { client, log, signal, now } = this.#context;
    const openedAt =
      attempt.pods.find(isOpen)?.pod?.metadata.annotations?.[annotations.gateOpenedAt] ?? timestamp(now());
    const metadata = { annotations: { [annotations.gate]: "open", [annotations.gateOpenedAt]: openedAt } };
    const { namespace } = record;
    const openAll = (entries: AttemptPod[]): Promise<unknown> =>
      Promise.all(
        entries
          .filter((entry) => !isOpen(entry))
          .map(({ name }) => this.#writer.run(() => client.patch(resources.pods, name, { metadata }, { namespace }))),
      );
    void openAll(attempt.pods.filter(({ isDriver }) => !isDriver))
      .then(() => openAll(attempt.pods.filter(({ isDriver }) => isDriver)))
      .catch((error: unknown) => {
        if (signal.aborted || isReason(error, "NotFound", "Conflict")) return;
        log("error", `opening the gates failed: ${(error as Error).message}`, { jobId: record.jobId });
      });
    return openedAt;
  }
}

function isOpen({ pod }: AttemptPod): boolean {
  return pod?.metadata.annotations?.[annotations.gate] === "open";
}
