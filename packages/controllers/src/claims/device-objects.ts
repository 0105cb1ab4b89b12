/** The part of resource.k8s.io/v1 that Berth reads, and what it does not allocate. Pure. */
import type { NodeSelectorTerm, PodSpec } from "@berth/kinds";
import type { KubernetesObject, ResourceKey } from "@berth/machinery";

const key = (resource: string, kind: string, namespaced: boolean): ResourceKey => {
  return { group: "resource.k8s.io", version: "v1", resource, kind, namespaced };
};

export const deviceResources = {
  slices: key("resourceslices", "ResourceSlice", false),
  classes: key("deviceclasses", "DeviceClass", false),
  claims: key("resourceclaims", "ResourceClaim", true),
  templates: key("resourceclaimtemplates", "ResourceClaimTemplate", true),
};

interface Selector {
  cel?: { expression: string };
}

interface Device {
  name: string;
  attributes?: Record<string, { string?: string; int?: number; bool?: boolean; version?: string }>;
  capacity?: Record<string, { value: string | number }>;
  allowMultipleAllocations?: boolean;
  bindingConditions?: unknown[];
  consumesCounters?: unknown[];
  taints?: { effect: string }[];
}

export type ResourceSlice = KubernetesObject<{
  driver: string;
  pool: { name: string; generation: number; resourceSliceCount: number };
  nodeName?: string;
  devices?: Device[];
}>;

export type DeviceClass = KubernetesObject<{ selectors?: Selector[]; config?: { opaque?: unknown }[] }>;

interface Exactly {
  deviceClassName: string;
  selectors?: Selector[];
  allocationMode?: string;
  count?: number;
  adminAccess?: boolean;
  tolerations?: unknown[];
  capacity?: unknown;
}

interface ClaimSpec {
  devices?: {
    requests?: { name: string; exactly?: Exactly; firstAvailable?: unknown[] }[];
    constraints?: unknown[];
    config?: { requests?: string[]; opaque?: unknown }[];
  };
}

interface Consumer {
  apiGroup?: string;
  resource: string;
  name: string;
  uid: string;
}

export type ResourceClaim = KubernetesObject<
  ClaimSpec,
  {
    allocation?: {
      devices?: { results?: { request: string; driver: string; pool: string; device: string }[] };
      nodeSelector?: { nodeSelectorTerms: NodeSelectorTerm[] };
    };
    reservedFor?: Consumer[];
  }
>;

export type ResourceClaimTemplate = KubernetesObject<{ spec: ClaimSpec }>;

/** On claims that were made of a template: by which name the pod knows it. */
export const podClaimName = "resource.kubernetes.io/pod-claim-name";
/** On claims whose devices are given back when nobody uses them any more. */
export const claimFinalizer = "resource.kubernetes.io/delete-protection";
/** As many pods may share a claim. */
export const mostConsumers = 256;

export interface PodClaim {
  name: string;
  resourceClaimName?: string;
  resourceClaimTemplateName?: string;
}

export function podClaims(spec: PodSpec): PodClaim[] {
  return (spec["resourceClaims"] as PodClaim[] | undefined) ?? [];
}

/** Whether Berth gives out a device: whole, to one claim, at once, and healthy. */
export function isPlain({ allowMultipleAllocations, bindingConditions, consumesCounters, taints }: Device): boolean {
  return (
    allowMultipleAllocations !== true &&
    (bindingConditions ?? []).length === 0 &&
    (consumesCounters ?? []).length === 0 &&
    taints?.some(({ effect }) => effect === "NoSchedule" || effect === "NoExecute") !== true
  );
}

export interface DeviceRequest extends Exactly {
  name: string;
  count: number;
}

/** What a claim asks for; a sentence where that is more than a number of devices of a class. */
export function requestsOf({ devices }: ClaimSpec): DeviceRequest[] | string {
  const found: DeviceRequest[] = [];
  if ((devices?.constraints ?? []).length > 0)
    return "spec.devices.constraints (devices that match one another) are not supported by Berth; leave them out";
  for (const { name, exactly, firstAvailable } of devices?.requests ?? []) {
    const where = `request ${name}`;
    const refuse = (field: string, what: string): string =>
      `${where}: ${field} (${what}) is not supported by Berth; ask exactly for a number of devices of a class`;
    if (firstAvailable !== undefined || exactly === undefined)
      return refuse("firstAvailable", "a list of alternatives");
    if (exactly.adminAccess === true) return refuse("adminAccess", "devices that others use");
    if ((exactly.allocationMode ?? "ExactCount") !== "ExactCount")
      return refuse(`allocationMode ${exactly.allocationMode}`, "all devices of a node");
    if ((exactly.tolerations ?? []).length > 0) return refuse("tolerations", "devices with taints");
    if (exactly.capacity !== undefined) return refuse("capacity", "parts of a device");
    found.push({ ...exactly, name, count: exactly.count ?? 1 });
  }
  return found;
}
