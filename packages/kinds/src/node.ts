/** The part of core/v1 Node that Berth reads. */
import type { KubernetesObject } from "@berth/machinery";
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
  conditions?: { type: string; status: string; reason?: string; message?: string }[];
}
export type Node = KubernetesObject<NodeSpec, NodeStatus>;

export function isReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

/** What pods may use of it, whatever runs there. */
export function capacityOf(node: Node): Amounts {
  return amountsOf(node.status?.allocatable ?? node.status?.capacity);
}
