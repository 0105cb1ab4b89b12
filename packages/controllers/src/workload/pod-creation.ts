/** How the pods of an attempt come to be. */
import { isReason, resources } from "@berth/client";
import type { Pod } from "@berth/kinds";
import type { Context } from "../context.ts";
import type { Attempt, WorkloadRecord } from "../model/record.ts";
import { isPodOf } from "../model/wrapped-pod.ts";
import { bindPod } from "../pod/binding.ts";
import { slimPod } from "../stores.ts";
import type { Writer } from "../writer.ts";

/**
 * A pod that is to be made, or, where its object has a uid, bound; its object only when its turn comes, because thousands may
 * wait for theirs.
 */
export interface PlannedPod {
  name: string;
  node: string;
  isDriver: boolean;
  build: () => Pod;
}

/**
 * Makes (or binds) a pod in its turn, and resolves to it; to the one that is there when an earlier leader had made it, and to nothing when
 * the attempt was stopped before the turn came. Throws what the API refused.
 */
export function makePod(
  { client }: Context,
  writer: Writer,
  record: WorkloadRecord,
  attempt: Attempt,
  name: string,
  build: PlannedPod["build"],
): Promise<Pod | undefined> {
  return writer.run(async () => {
    if (attempt.state === "TakingBack" || attempt.stopped !== undefined) return undefined;
    try {
      const pod = build();
      const isThere = pod.metadata.uid !== undefined;
      return slimPod(isThere ? await bindPod(client, pod) : await client.create<Pod>(resources.pods, pod));
    } catch (error) {
      if (!isReason(error, "AlreadyExists")) throw error;
      const found = await client.get<Pod>(resources.pods, name, { namespace: record.namespace });
      if (isPodOf(record, found)) return slimPod(found);
      throw error;
    }
  });
}
