/** The Kubernetes object model: what every object has in common. */

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  name: string;
  generateName?: string;
  /** Absent on cluster-scoped objects. */
  namespace?: string;
  uid?: string;
  /** Decimal, compare by length and then by text; opaque to users. */
  resourceVersion?: string;
  /** Starts at 1, grows by one with each change of the spec. */
  generation?: number;
  /** RFC 3339 UTC, whole seconds. */
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: unknown[];
}

/** Any Kubernetes object. `Spec` and `Status` default to plain JSON objects. */
export interface KubernetesObject<Spec = Record<string, unknown>, Status = Record<string, unknown>> {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec?: Spec;
  status?: Status;
}

export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  /** One CamelCase word. */
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number;
}

/** A resource as discovery names it: `{group: "", version: "v1", resource: "pods", namespaced: true}`. */
export interface ResourceKey {
  /** Empty for the core group. */
  group: string;
  version: string;
  /** Plural, lower case. */
  resource: string;
  kind: string;
  namespaced: boolean;
}

/** `v1` or `group/version`, as objects write it. */
export function apiVersionOf(key: Pick<ResourceKey, "group" | "version">): string {
  return key.group === "" ? key.version : `${key.group}/${key.version}`;
}
