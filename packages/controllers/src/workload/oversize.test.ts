import { nodeClassOf } from "@berth/kinds";
import type { Queue, Workload, WorkloadSpec } from "@berth/kinds";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeKind } from "./admission.ts";
import { oversize } from "./oversize.ts";

const gibibyte = 1024 ** 3;
const kinds: NodeKind[] = [
  {
    nodeClass: nodeClassOf({}),
    capacity: { cpu: 4000, memory: 8 * gibibyte, pods: 100 },
    names: new Set(["n1", "n2", "n3"]),
    isEmbedded: true,
  },
  {
    nodeClass: nodeClassOf({ gpu: "yes" }),
    capacity: { cpu: 8000, memory: 8 * gibibyte, pods: 100, "nvidia.com/gpu": 2 },
    names: new Set(["g1"]),
    isEmbedded: true,
  },
];
const queue = { metadata: { name: "standard" }, spec: {} } as Queue;

function sizeOf(
  pods: number | [number, number],
  requests: Record<string, string>,
  placement?: WorkloadSpec["placement"],
  nodeSelector?: Record<string, string>,
): string | undefined {
  const template = { spec: { containers: [{ name: "main", resources: { requests } }], nodeSelector } };
  const podSets = [pods].flat().map((count, index) => ({ name: index === 0 ? "main" : "worker", count, template }));
  return oversize({ metadata: { name: "w" }, spec: { podSets, placement } } as unknown as Workload, queue, kinds);
}

test("sizes that can never be had, in words with the numbers", () => {
  const one = { cpu: "1" };
  const cases: [string | undefined, string | undefined][] = [
    [sizeOf([1, 3], one, { podsPerNode: 1 }), undefined],
    [sizeOf([1, 4], one, { podsPerNode: 1 }), "needs 5 nodes at once; 4 nodes of queue standard may be used by it"],
    [
      sizeOf([1, 3], one, { podsPerNode: 1, excludedNodes: ["n2"] }),
      "needs 4 nodes at once; 3 nodes of queue standard may be used by it",
    ],
    [
      sizeOf([1, 1], one, { podsPerNode: 1, nodes: ["n1"] }),
      "needs 2 nodes at once; 1 node of queue standard may be used by it",
    ],
    [sizeOf(1, { cpu: "8" }), undefined],
    [sizeOf(1, { cpu: "9" }), "a pod of set main needs 9 cpus on one node; the largest has 8 cpus (queue standard)"],
    [
      sizeOf(1, { cpu: "5" }, { nodes: ["n1"] }),
      "a pod of set main needs 5 cpus on one node; the largest has 4 cpus (queue standard)",
    ],
    [
      sizeOf(1, { cpu: "8", memory: "9Gi" }),
      "a pod of set main needs 9 GiB of memory on one node; the largest has 8 GiB of memory (queue standard)",
    ],
    [sizeOf(20, one), undefined],
    [sizeOf(21, one), "needs room for 21 pods of set main at once; 4 nodes of queue standard hold 20 when empty"],
    [sizeOf([10, 11], one), "needs 21 cpus at once; all nodes of queue standard that it may use have 20 cpus"],
    [sizeOf(1, one, { excludedNodes: ["n1", "n2", "n3", "g1"] }), "excludes all nodes of queue standard (4 nodes)"],
    [sizeOf(1, one, { nodes: ["other"] }), "none of the nodes that it may use is one of queue standard"],
    [
      sizeOf(3, { "nvidia.com/gpu": "1" }, undefined, { gpu: "yes" }),
      "needs room for 3 pods of set main at once; 1 node of queue standard hold 2 when empty",
    ],
  ];
  for (const [found, expected] of cases) assert.equal(found, expected);
});

test("no node at all: the job waits for the first", () => {
  const template = { spec: { containers: [{ name: "main" }] } };
  const workload = { metadata: { name: "w" }, spec: { podSets: [{ name: "main", count: 9, template }] } };
  assert.equal(oversize(workload as unknown as Workload, queue, []), undefined);
});
