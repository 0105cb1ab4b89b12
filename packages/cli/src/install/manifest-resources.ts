/** Kinds of objects that an installation has, as requests name them. */
import type { KubernetesObject, ResourceKey } from "@berth/machinery";

const table: readonly [kind: string, resource: string, namespaced?: "namespaced"][] = [
  ["Namespace", "namespaces"],
  ["CustomResourceDefinition", "customresourcedefinitions"],
  ["ClusterRole", "clusterroles"],
  ["ClusterRoleBinding", "clusterrolebindings"],
  ["Role", "roles", "namespaced"],
  ["RoleBinding", "rolebindings", "namespaced"],
  ["ValidatingAdmissionPolicy", "validatingadmissionpolicies"],
  ["ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"],
  ["MutatingAdmissionPolicy", "mutatingadmissionpolicies"],
  ["MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings"],
  ["MutatingWebhookConfiguration", "mutatingwebhookconfigurations"],
  ["ServiceAccount", "serviceaccounts", "namespaced"],
  ["PersistentVolumeClaim", "persistentvolumeclaims", "namespaced"],
  ["ConfigMap", "configmaps", "namespaced"],
  ["Deployment", "deployments", "namespaced"],
  ["Service", "services", "namespaced"],
  ["APIService", "apiservices"],
];

/** @throws TypeError for a kind that no installation has */
export function resourceOf({ apiVersion, kind }: Pick<KubernetesObject, "apiVersion" | "kind">): ResourceKey {
  const row = table.find(([name]) => name === kind);
  if (row === undefined) throw new TypeError(`${kind} is no kind of an installation`);
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  return { group: group!, version: version!, resource: row[1], kind, namespaced: row[2] !== undefined };
}

/** `Deployment berth-system/berth-controllers`. */
export function nameOf({ kind, metadata: { name, namespace } }: Pick<KubernetesObject, "kind" | "metadata">): string {
  return `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}
