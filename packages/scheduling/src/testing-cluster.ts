/** For tests: the smallest cluster and job that a case written by hand needs. */
import { createClusterState } from "./index.ts";
import type { ClusterState, JobInput, Policy } from "./index.ts";

/** Nodes of 4 cpus each, one queue. */
export function cluster(nodes: number, policy: Partial<Policy> = {}): ClusterState {
  const state = createClusterState({ resources: ["cpu", "memory", "pods"], policy });
  state.putQueue({ name: "q" });
  for (let index = 0; index < nodes; index += 1) {
    state.putNode({ name: `n${index}`, capacity: [4, 100, 10], nodeClass: "", state: "Up" });
  }
  return state;
}

export function job(id: number, cpus: number, wallTimeSeconds: number, more: Partial<JobInput> = {}): JobInput {
  const podSets = [{ count: 1, request: [cpus, 0, 1] }];
  return { id, user: "ada", queues: ["q"], submitTime: 0, podSets, wallTimeSeconds, ...more };
}
