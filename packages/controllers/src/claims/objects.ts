/** The part of Kubernetes' claims, volumes and classes that Berth reads. */
import type { NodeSelectorTerm } from "@berth/kinds";
import type { KubernetesObject, ResourceKey } from "@berth/machinery";

const key = (group: string, version: string, resource: string, kind: string, namespaced: boolean): ResourceKey => {
  return { group, version, resource, kind, namespaced };
};

export const claimResources = {
  runtimeClasses: key("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", false),
  storageClasses: key("storage.k8s.io", "v1", "storageclasses", "StorageClass", false),
  csiNodes: key("storage.k8s.io", "v1", "csinodes", "CSINode", false),
  volumes: key("", "v1", "persistentvolumes", "PersistentVolume", false),
  volumeClaims: key("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true),
};

export interface RuntimeClass extends KubernetesObject {
  overhead?: { podFixed?: Record<string, string> };
  scheduling?: { nodeSelector?: Record<string, string>; tolerations?: [] };
}

export interface StorageClass extends KubernetesObject {
  provisioner: string;
  volumeBindingMode?: "Immediate" | "WaitForFirstConsumer";
  allowedTopologies?: { matchLabelExpressions?: { key: string; values: string[] }[] }[];
}

export type CsiNode = KubernetesObject<{ drivers?: { name: string; allocatable?: { count?: number } }[] }>;

interface NamedSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: "In" | "NotIn" | "Exists" | "DoesNotExist"; values?: string[] }[];
}

export interface VolumeClaimSpec {
  accessModes?: string[];
  resources?: { requests?: { storage?: string | number } };
  selector?: NamedSelector;
  storageClassName?: string;
  volumeMode?: string;
  volumeName?: string;
}
export type VolumeClaim = KubernetesObject<VolumeClaimSpec, { phase?: "Pending" | "Bound" | "Lost" }>;

export type Volume = KubernetesObject<
  {
    accessModes?: string[];
    capacity?: { storage?: string | number };
    claimRef?: { namespace?: string; name?: string; uid?: string };
    csi?: { driver: string };
    nodeAffinity?: { required?: { nodeSelectorTerms: NodeSelectorTerm[] } };
    storageClassName?: string;
    volumeMode?: string;
  },
  { phase?: string }
>;

export const selectedNode = "volume.kubernetes.io/selected-node";
export const bindCompleted = "pv.kubernetes.io/bind-completed";
export const defaultClass = "storageclass.kubernetes.io/is-default-class";
/** Of classes whose volumes are made by hand. */
export const noProvisioner = "kubernetes.io/no-provisioner";
