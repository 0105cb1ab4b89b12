/** What the benchmarks of scheduling have in common: clusters, and the jobs that wait for them. */
import { createClusterState } from "../../packages/scheduling/src/index.ts";
import type { ClusterState, JobInput, Policy } from "../../packages/scheduling/src/index.ts";

export const gigabyte = 2 ** 30;
const resources = ["cpu", "memory", "pods", "gpu"];

/** A small fixed generator (xorshift32): the same numbers on every run. */
export function generator(seed: number): (below: number) => number {
  let value = seed;
  return (below) => {
    value ^= value << 13;
    value ^= value >>> 17;
    value ^= value << 5;
    return (value >>> 0) % below;
  };
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export const round = (value: number): number => Math.round(value * 1000) / 1000;

export function cluster(nodes: number, policy: Partial<Policy>): ClusterState {
  const state = createClusterState({ resources, policy, matches: (selector, nodeClass) => selector === nodeClass });
  state.putQueue({ name: "standard" });
  for (let index = 0; index < nodes; index += 1) {
    const gpu = index % 5 === 0;
    state.putNode({
      name: `node-${index}`,
      capacity: [64_000, 256 * gigabyte, 110, gpu ? 4 : 0],
      nodeClass: gpu ? "gpu" : "cpu",
      state: "Up",
    });
  }
  return state;
}

/** Jobs of `classes` shapes: mostly parts of a node, one in eight a gang of up to 64 pods, one in ten wants GPUs. */
export function shapes(classes: number): Omit<JobInput, "id" | "submitTime">[] {
  const random = generator(42);
  return Array.from({ length: classes }, (_, index) => {
    const gpus = index % 10 === 0 ? 1 + random(4) : 0;
    const gang = index % 8 === 0 ? 2 + random(63) : 1;
    return {
      user: `user-${random(50)}`,
      queues: ["standard"],
      podSets: [{ count: gang, request: [1000 * (1 + random(32)), gigabyte * (1 + random(64)), 1, gpus] }],
      wallTimeSeconds: 600 * (1 + random(143)),
      overheadSeconds: 90,
    };
  });
}

/** As many jobs of each class, none of them decided of. */
export function backlog(pending: number, classes: number, nodes: number, policy: Partial<Policy>): ClusterState {
  const state = cluster(nodes, policy);
  const kinds = shapes(classes);
  for (let id = 0; id < pending; id += 1) state.addJob({ ...kinds[id % classes]!, id, submitTime: id >> 6 });
  return state;
}

/** As many tasks, in arrays of 10,000 of one pod each, none of them decided of. */
export function arrayBacklog(tasks: number, nodes: number, policy: Partial<Policy>): ClusterState {
  const perArray = 10_000;
  const state = cluster(nodes, policy);
  const kinds = shapes(500).filter(({ podSets }) => podSets[0]!.count === 1);
  for (let id = 0; id * perArray < tasks; id += 1) {
    state.addJob({ ...kinds[id % kinds.length]!, id, submitTime: id, array: { pending: [[0, perArray - 1]] } });
  }
  return state;
}
