import { ClusterStore } from "./store.ts";
import type { ClusterOptions, ClusterState } from "./state-types.ts";

/** An empty state: no node, no queue, no job. */
export function createClusterState(options: ClusterOptions): ClusterState {
  return new ClusterStore(options);
}
