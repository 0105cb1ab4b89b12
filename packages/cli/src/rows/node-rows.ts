/** Nodes and Queues as the rows of sinfo. */
import type { AnyObject } from "@berth/client";
import type { Pod, Queue } from "@berth/kinds";
import { quantityToInteger, quantityToMilli } from "@berth/machinery";
import { featureLabelPrefix, type NodeRow, type PartitionRow } from "@berth/slurm";
import { seconds } from "../times.ts";

export interface NodeObject extends AnyObject {
  spec?: { unschedulable?: boolean; taints?: { key: string; effect: string; timeAdded?: string; value?: string }[] };
  status?: {
    capacity?: Record<string, string>;
    allocatable?: Record<string, string>;
    conditions?: { type: string; status: string; reason?: string; message?: string; lastTransitionTime?: string }[];
    nodeInfo?: { kubeletVersion?: string };
  };
}

/** Rows of all nodes; what is in use comes from the pods that have not ended. */
export function nodeRows(nodes: readonly NodeObject[], pods: readonly Pod[]): NodeRow[] {
  const used = new Map<string, { milliCpus: number; memoryBytes: number; gpus: number; exclusive: boolean }>();
  for (const { spec, status } of pods) {
    if (spec.nodeName === undefined || status?.phase === "Succeeded" || status?.phase === "Failed") continue;
    const sum = used.get(spec.nodeName) ?? { milliCpus: 0, memoryBytes: 0, gpus: 0, exclusive: false };
    used.set(spec.nodeName, sum);
    for (const { resources } of spec.containers) {
      sum.milliCpus += quantityToMilli(resources?.requests?.["cpu"] ?? 0);
      sum.memoryBytes += quantityToInteger(resources?.requests?.["memory"] ?? 0);
      sum.gpus += quantityToInteger(resources?.requests?.["nvidia.com/gpu"] ?? 0);
    }
  }
  return nodes.map((node) => {
    const { metadata, spec, status } = node;
    const { milliCpus = 0, memoryBytes = 0, gpus = 0 } = used.get(metadata.name) ?? {};
    const allocatable = status?.allocatable ?? {};
    const cpus = Math.floor(quantityToMilli(allocatable["cpu"] ?? 0) / 1000);
    const total = quantityToInteger(allocatable["memory"] ?? 0);
    const gpuCount = quantityToInteger(allocatable["nvidia.com/gpu"] ?? 0);
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    const responding = ready?.status === "True";
    const cpusAllocated = Math.min(cpus, Math.ceil(milliCpus / 1000));
    const drained = spec?.unschedulable === true;
    const why = drained ? spec?.taints?.find(({ key }) => key === "node.kubernetes.io/unschedulable") : undefined;
    return {
      name: metadata.name,
      hostName: metadata.labels?.["kubernetes.io/hostname"],
      state: nodeState(responding, drained, cpusAllocated, cpus),
      responding,
      cpus,
      cpusAllocated,
      memoryBytes: total,
      memoryAllocatedBytes: memoryBytes,
      freeMemoryBytes: Math.max(0, total - memoryBytes),
      features: Object.keys(metadata.labels ?? {}).flatMap((label) =>
        label.startsWith(featureLabelPrefix) ? [label.slice(featureLabelPrefix.length)] : [],
      ),
      ...(gpuCount > 0 ? { gres: `gpu:${gpuCount}`, gresUsed: `gpu:${gpus}` } : {}),
      ...(responding
        ? {}
        : { reason: ready?.message ?? "Not responding", reasonTime: seconds(ready?.lastTransitionTime) }),
      ...(why === undefined ? {} : { reason: "cordoned", reasonTime: seconds(why.timeAdded) }),
      version: status?.nodeInfo?.kubeletVersion,
    };
  });
}

function nodeState(responding: boolean, drained: boolean, allocated: number, cpus: number): NodeRow["state"] {
  if (!responding) return "down";
  if (drained) return allocated > 0 ? "draining" : "drained";
  if (allocated === 0) return "idle";
  return allocated >= cpus ? "allocated" : "mixed";
}

/** Rows of all queues, each with the names of its nodes. */
export function partitionRows(queues: readonly Queue[], nodes: readonly NodeObject[]): PartitionRow[] {
  const available = { Up: "up", Down: "down", Drained: "drain", Inactive: "inact" } as const;
  return queues.map(({ metadata, spec }) => ({
    name: metadata.name,
    default: spec.default === true,
    available: available[spec.state ?? "Up"],
    timeLimitSeconds: spec.maxWallTimeSeconds,
    defaultTimeSeconds: spec.defaultWallTimeSeconds,
    maxNodesPerJob: spec.maxNodesPerJob,
    groups: spec.allow?.flatMap((name) => (name.startsWith("@") ? [name.slice(1)] : [])),
    priorityTier: spec.tier,
    nodes: nodes.filter((node) => isIn(node, spec)).map((node) => node.metadata.name),
  }));
}

function isIn({ metadata, spec }: NodeObject, queue: Queue["spec"]): boolean {
  const selected = Object.entries(queue.nodeSelector ?? {}).every(
    ([label, value]) => metadata.labels?.[label] === value,
  );
  const tolerated = (spec?.taints ?? []).every(
    ({ key, effect, value }) =>
      // What Kubernetes itself puts on a node for a time does not change whose it is.
      key.startsWith("node.kubernetes.io/") ||
      effect === "PreferNoSchedule" ||
      (queue.tolerations ?? []).some(
        (toleration) =>
          (toleration.key === undefined || toleration.key === key) &&
          (toleration.effect === undefined || toleration.effect === effect) &&
          (toleration.operator === "Exists" || (toleration.value ?? "") === (value ?? "")),
      ),
  );
  return selected && tolerated;
}
