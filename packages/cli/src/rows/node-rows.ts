/** Nodes and Queues as the rows of sinfo. */
import type { AnyObject } from "@berth/client";
import type { NodeView, Pod, Queue, Reservation } from "@berth/kinds";
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

/** What is in use of a node; and what only the scheduler and the operators know of it. */
export interface NodeUse {
  milliCpus: number;
  memoryBytes: number;
  gpus: number;
  /** A job that waits is to have it. */
  planned?: boolean;
  /** It is in an advance reservation at the moment. */
  reserved?: "reserved" | "maint";
}

/** By the name of the node, from the pods that have not ended. */
export function useByPods(pods: readonly Pod[]): Map<string, NodeUse> {
  const used = new Map<string, NodeUse>();
  for (const { spec, status } of pods) {
    if (spec.nodeName === undefined || status?.phase === "Succeeded" || status?.phase === "Failed") continue;
    const sum = used.get(spec.nodeName) ?? { milliCpus: 0, memoryBytes: 0, gpus: 0 };
    used.set(spec.nodeName, sum);
    for (const { resources } of spec.containers) {
      sum.milliCpus += quantityToMilli(resources?.requests?.["cpu"] ?? 0);
      sum.memoryBytes += quantityToInteger(resources?.requests?.["memory"] ?? 0);
      sum.gpus += quantityToInteger(resources?.requests?.["nvidia.com/gpu"] ?? 0);
    }
  }
  return used;
}

/** By the name of the node, as the scheduler tells it: of jobs of others too. */
export function useByViews(views: readonly NodeView[]): Map<string, NodeUse> {
  return new Map(
    views.map(({ metadata, status }): [string, NodeUse] => {
      const { cpu = 0, memory = 0, "nvidia.com/gpu": gpus = 0 } = status?.used ?? {};
      return [metadata.name, { milliCpus: cpu, memoryBytes: memory, gpus, planned: status?.planned === true }];
    }),
  );
}

/** Marks the nodes that advance reservations hold at the moment. */
export function addReservations(used: Map<string, NodeUse>, reservations: readonly Reservation[]): void {
  for (const { spec, status } of reservations) {
    if (status?.phase !== "Active") continue;
    for (const name of status.nodes ?? []) {
      const use = used.get(name) ?? { milliCpus: 0, memoryBytes: 0, gpus: 0 };
      used.set(name, { ...use, reserved: spec.maintenance === true ? "maint" : "reserved" });
    }
  }
}

/** Rows of all nodes. */
export function nodeRows(nodes: readonly NodeObject[], used: ReadonlyMap<string, NodeUse>): NodeRow[] {
  return nodes.map((node) => {
    const { metadata, spec, status } = node;
    const use = used.get(metadata.name) ?? { milliCpus: 0, memoryBytes: 0, gpus: 0 };
    const { milliCpus, memoryBytes, gpus } = use;
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
      state: nodeState(responding, drained, cpusAllocated, cpus, use),
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

/** As sinfo says it: what an operator did comes before what jobs do; a plan is only told of nodes that are idle. */
function nodeState(
  responding: boolean,
  drained: boolean,
  allocated: number,
  cpus: number,
  { planned, reserved }: NodeUse,
): NodeRow["state"] {
  if (!responding) return "down";
  if (drained) return allocated > 0 ? "draining" : "drained";
  if (reserved === "maint") return "maint";
  if (allocated === 0) return reserved ?? (planned === true ? "planned" : "idle");
  return allocated >= cpus ? "allocated" : "mixed";
}

/** Rows of all queues, each with the names of its nodes: the default one first, as sites write them down. */
export function partitionRows(queues: readonly Queue[], nodes: readonly NodeObject[]): PartitionRow[] {
  const available = { Up: "up", Down: "down", Drained: "drain", Inactive: "inact" } as const;
  return queues
    .map(({ metadata, spec }) => ({
      name: metadata.name,
      default: spec.default === true,
      available: available[spec.state ?? "Up"],
      timeLimitSeconds: spec.maxWallTimeSeconds,
      defaultTimeSeconds: spec.defaultWallTimeSeconds,
      maxNodesPerJob: spec.maxNodesPerJob,
      groups: spec.allow?.flatMap((name) => (name.startsWith("@") ? [name.slice(1)] : [])),
      priorityTier: spec.tier,
      nodes: nodes.filter((node) => isIn(node, spec)).map((node) => node.metadata.name),
    }))
    .sort((a, b) => Number(b.default) - Number(a.default) || (a.name < b.name ? -1 : 1));
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
