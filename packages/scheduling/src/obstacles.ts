import type { JobClass, Variant } from "./classes.ts";
import { nodesWhenEmpty } from "./place.ts";
import type { ClusterStore } from "./store.ts";
import type { WaitReason } from "./types.ts";

/** What keeps every job of the class from ever starting as queues and nodes are now; undefined: nothing. */
export function obstacleOf(store: ClusterStore, jobClass: JobClass): WaitReason | undefined {
  if (jobClass.obstacleVersion === store.version) return jobClass.obstacle;
  jobClass.obstacleVersion = store.version;
  jobClass.limit = undefined;
  jobClass.obstacle = undefined;
  jobClass.open = [];
  let first: WaitReason | undefined;
  let limit: number | undefined;
  for (const variant of jobClass.variants) {
    const found = obstacleIn(store, jobClass, variant);
    if (found === undefined) jobClass.open.push(variant);
    else if (first === undefined || first === "QueueDown") {
      first = found.reason;
      limit = found.limit;
    }
  }
  if (jobClass.open.length > 0) return undefined;
  jobClass.limit = limit;
  jobClass.obstacle = first;
  return first;
}

function obstacleIn(
  store: ClusterStore,
  jobClass: JobClass,
  variant: Variant,
): { reason: WaitReason; limit?: number } | undefined {
  const queue = store.queue(variant.queue);
  const state = queue?.state ?? "Up";
  if (queue === undefined || state === "Down" || state === "Inactive") return { reason: "QueueDown" };
  const { wallTimeSeconds, minWallTimeSeconds, nodes } = jobClass.input;
  if (queue.maxWallTimeSeconds !== undefined && (minWallTimeSeconds ?? wallTimeSeconds) > queue.maxWallTimeSeconds) {
    return { reason: "QueueTimeLimit", limit: queue.maxWallTimeSeconds };
  }
  if (nodes?.some((name) => store.table.byName.get(name)?.state !== "Up") === true)
    return { reason: "NodeUnavailable" };
  const fewest = nodesWhenEmpty(store, jobClass, variant);
  if (fewest === undefined) return { reason: "NodesUnavailable" };
  if (queue.maxNodesPerJob !== undefined && fewest > queue.maxNodesPerJob) {
    return { reason: "QueueNodeLimit", limit: queue.maxNodesPerJob };
  }
  return undefined;
}
