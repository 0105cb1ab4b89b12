/** How the pods of an attempt come to be. */
import { isReason, resources } from "@berth/client";
import type { Pod, PodSpec } from "@berth/kinds";
import type { Context } from "../context.ts";
import type { Attempt, WorkloadRecord } from "../model/record.ts";
import { isPodOf } from "../model/wrapped-pod.ts";
import { bindPod } from "../pod/binding.ts";
import { slimPod } from "../stores.ts";
import type { Writer } from "../writer.ts";
import type { LifeEvents } from "./life-events.ts";

/**
 * A pod that is to be made, or, where its object has a uid, bound; its object only when its turn comes, because thousands may
 * wait for theirs.
 */
export interface PlannedPod {
  name: string;
  node: string;
  isDriver: boolean;
  /** Its node is not told to the API before its claims are bound there. */
  isLate?: boolean;
  build: () => Pod;
}

export interface PodMaking {
  context: Context;
  writer: Writer;
  record: WorkloadRecord;
  attempt: Attempt;
  settle: LifeEvents["settle"];
  /** Told of a pod that is there and has no node yet. */
  made: (pod: Pod) => void;
}

/**
 * Makes (or binds) a pod in its turn, and resolves to it; to the one that is there when an earlier leader had made it, and to nothing when
 * the attempt was stopped before the turn came. One whose claims wait for their node is made without it, and bound when these are.
 * @throws what the API refused; ClaimsUnsettled
 */
export async function makePod(making: PodMaking, { name, build, isLate }: PlannedPod): Promise<Pod | undefined> {
  const { context, writer, record, attempt, settle, made } = making;
  const { client } = context;
  const isOver = (): boolean => attempt.state === "TakingBack" || attempt.stopped !== undefined;
  const pod = build();
  const node = pod.spec.nodeName!;
  const isThere = pod.metadata.uid !== undefined;
  const bind = async (): Promise<Pod | undefined> => (isOver() ? undefined : slimPod(await bindPod(client, pod)));
  const settled = (spec: PodSpec): Promise<void> =>
    settle({ namespace: record.namespace, name, uid: pod.metadata.uid!, spec }, node, () => !isOver());
  if (isThere) {
    await settled(record.workload.spec.podSets[0]!.template.spec);
    return writer.run(bind);
  }
  const create = async (): Promise<Pod | undefined> => {
    if (isOver()) return undefined;
    const { nodeName: _, ...unbound } = pod.spec;
    try {
      return await client.create<Pod>(resources.pods, isLate === true ? { ...pod, spec: unbound } : pod);
    } catch (error) {
      if (!isReason(error, "AlreadyExists")) throw error;
      const found = await client.get<Pod>(resources.pods, name, { namespace: record.namespace });
      if (isPodOf(record, found)) return found;
      throw error;
    }
  };
  const created = await writer.run(create);
  if (created === undefined || isLate !== true || (created.spec.nodeName ?? "") !== "")
    return created === undefined ? undefined : slimPod(created);
  pod.metadata.uid = created.metadata.uid;
  const { spec } = created;
  made(slimPod({ ...created, spec: { ...spec } }));
  await settled(spec);
  return writer.run(bind);
}
