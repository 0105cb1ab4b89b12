/** What of each node is in use. */
import { isReason } from "@berth/client";
import { nodeViews, type NodeView } from "@berth/kinds";
import type { Cluster } from "../connect.ts";
import { listPods } from "../living-jobs.ts";
import { useByPods, useByViews, type NodeUse } from "../rows/node-rows.ts";

/** As the scheduler tells; where it does not answer, from the pods that this user may see. */
export async function nodeUse(cluster: Cluster): Promise<Map<string, NodeUse>> {
  try {
    return useByViews((await cluster.client.listAll<NodeView>(nodeViews, { limit: 2000 })).items);
  } catch (error) {
    if (
      !isReason(
        error,
        "NotFound",
        "Forbidden",
        "MethodNotAllowed",
        "NotImplemented",
        "Timeout",
        "Gone",
        "Expired",
        "ServiceUnavailable",
      )
    )
      throw error;
    return useByPods(await listPods(cluster));
  }
}
