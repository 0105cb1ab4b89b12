/** The part of core/v1 Node that Berth reads. */
import type { KubernetesObject } from "@berth/machinery";
import { group } from "./constants.ts";
import { type Amounts, amountsOf } from "./requests.ts";

export interface Taint {
  key: string;
  value?: string;
  effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
}

interface NodeSpec {
  unschedulable?: boolean;
  taints?: Taint[];
}
interface NodeStatus {
  allocatable?: Record<string, string>;
  capacity?: Record<string, string>;
  conditions?: { type: string; status: string; reason?: string; message?: string; lastTransitionTime?: string }[];
  features?: { supplementalGroupsPolicy?: boolean };
}
export type Node = KubernetesObject<NodeSpec, NodeStatus>;

/** What the nodes of an embedded cluster say they run their pods by; a kubelet's Node has no such label. */
const driverLabel = `${group}/driver`;

/** A node of Berth's own, which ends its pods at their wall time, shows them the machine's files as image `host`, and counts what they use. */
export function isEmbeddedNode(node: Pick<Node, "metadata">): boolean {
  return node.metadata.labels?.[driverLabel] !== undefined;
}

export function isReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

/** What pods may use of it, whatever runs there. */
export function capacityOf(node: Node): Amounts {
  return amountsOf(node.status?.allocatable ?? node.status?.capacity);
}
