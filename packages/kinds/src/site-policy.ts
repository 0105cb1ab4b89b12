/**
 * From the kinds that an operator writes to the input of `scheduling`: one mapping for the live controllers and for site files.
 * Pure; what it gives fits the types of `scheduling` by shape, in its units: whole seconds, milli-cpu, bytes, counts.
 */
import { capacityOf, isReady, type Node } from "./node.ts";
import type { Queue } from "./queue.ts";
import type { Amounts } from "./requests.ts";
import { nodeClassOf, queueSelectorOf } from "./selectors.ts";
import type { Site } from "./site.ts";

/** Resources that every state has, by index; extended ones (devices, with a `/` in their name) follow in order. */
export const basicResources = ["cpu", "memory", "pods"] as const;

/** All resources of these nodes, in the order of the vectors. */
export function resourcesOf(nodes: Iterable<Node>): string[] {
  const names = new Set<string>();
  for (const node of nodes) for (const name of Object.keys(capacityOf(node))) if (name.includes("/")) names.add(name);
  return [...basicResources, ...[...names].sort()];
}

export function vectorOf(amounts: Amounts, resources: readonly string[]): number[] {
  return resources.map((resource) => amounts[resource] ?? 0);
}

/**
 * @param foreign what pods that are not Berth's use there
 */
export function nodeInput(
  node: Node,
  resources: readonly string[],
  foreign: Amounts = {},
): { name: string; capacity: number[]; nodeClass: string; state: "Up" | "Drained" | "Down" } {
  const amounts = capacityOf(node);
  const isOut = node.spec?.taints?.some(({ key }) => key === "node.kubernetes.io/out-of-service") === true;
  return {
    name: node.metadata.name,
    capacity: resources.map((resource) => Math.max(0, (amounts[resource] ?? 0) - (foreign[resource] ?? 0))),
    nodeClass: nodeClassOf(node.metadata.labels, node.spec?.taints),
    state: !isReady(node) || isOut ? "Down" : node.spec?.unschedulable === true ? "Drained" : "Up",
  };
}

export function queueInput(queue: Queue): {
  name: string;
  tier?: number;
  selector?: string;
  placement?: "Pack" | "Spread";
  state?: "Up" | "Down" | "Drained" | "Inactive";
  maxNodesPerJob?: number;
  maxWallTimeSeconds?: number;
} {
  const { spec } = queue;
  return {
    name: queue.metadata.name,
    tier: spec.tier,
    selector: queueSelectorOf(spec),
    placement: spec.placement,
    state: spec.state,
    maxNodesPerJob: spec.maxNodesPerJob,
    maxWallTimeSeconds: spec.maxWallTimeSeconds,
  };
}

/** The policy of a cluster whose Site says this; undefined: of one without. */
export function policyInput(site: Site | undefined): {
  reservationDepth: number;
  backfill: "None" | "Arrival" | "Shortest" | "Priority";
} {
  return { reservationDepth: site?.spec.reservationDepth ?? 1, backfill: site?.spec.backfill ?? "Arrival" };
}
