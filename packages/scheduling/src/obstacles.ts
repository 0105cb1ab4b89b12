import type { Shape, Variant } from "./shape.ts";
import { missingLicence } from "./licences.ts";
import { nodesWhenEmpty } from "./when-empty.ts";
import { keepsRulesWhenEmpty } from "./rules-when-empty.ts";
import type { ClusterStore } from "./store.ts";
import type { WaitReason } from "./types.ts";

/** What keeps every job of a shape from ever starting as queues and nodes are now; undefined: nothing. */
export function obstacleOf(store: ClusterStore, shape: Shape): WaitReason | undefined {
  if (shape.obstacleVersion === store.version) return shape.obstacle;
  shape.obstacleVersion = store.version;
  shape.limit = undefined;
  shape.obstacle = undefined;
  shape.open = [];
  let first: WaitReason | undefined;
  let limit: number | undefined;
  for (const variant of shape.variants) {
    const found = obstacleIn(store, shape, variant);
    if (found === undefined) shape.open.push(variant);
    else if (first === undefined || first === "QueueDown") {
      first = found.reason;
      limit = found.limit;
    }
  }
  if (shape.open.length > 0) return undefined;
  shape.limit = limit;
  shape.obstacle = first;
  return first;
}

function obstacleIn(
  store: ClusterStore,
  shape: Shape,
  variant: Variant,
): { reason: WaitReason; limit?: number } | undefined {
  const queue = store.queue(variant.queue);
  const state = queue?.state ?? "Up";
  if (queue === undefined || state === "Down" || state === "Inactive") return { reason: "QueueDown" };
  const { wallTimeSeconds, minWallTimeSeconds, nodes } = shape.input;
  if (queue.maxWallTimeSeconds !== undefined && (minWallTimeSeconds ?? wallTimeSeconds) > queue.maxWallTimeSeconds) {
    return { reason: "QueueTimeLimit", limit: queue.maxWallTimeSeconds };
  }
  if (nodes?.some((name) => store.table.byName.get(name)?.state !== "Up") === true)
    return { reason: "NodeUnavailable" };
  const licence = missingLicence(store.table, shape);
  if (licence !== undefined) return { reason: "Licenses", limit: licence.total };
  const fewest = nodesWhenEmpty(store, shape, variant);
  if (fewest === undefined) return { reason: "NodesUnavailable" };
  if (!keepsRulesWhenEmpty(store, shape, variant)) return { reason: "NodesUnavailable" };
  if (queue.maxNodesPerJob !== undefined && fewest > queue.maxNodesPerJob) {
    return { reason: "QueueNodeLimit", limit: queue.maxNodesPerJob };
  }
  return undefined;
}
