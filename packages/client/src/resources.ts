import { apiVersionOf, type ResourceKey } from "@berth/machinery";

function key(group: string, version: string, resource: string, kind: string, namespaced: boolean): ResourceKey {
  return { group, version, resource, kind, namespaced };
}

/** The built-in resources that Berth's parts use; other kinds bring their own {@link ResourceKey}. */
export const resources = {
  namespaces: key("", "v1", "namespaces", "Namespace", false),
  nodes: key("", "v1", "nodes", "Node", false),
  pods: key("", "v1", "pods", "Pod", true),
  secrets: key("", "v1", "secrets", "Secret", true),
  configMaps: key("", "v1", "configmaps", "ConfigMap", true),
  serviceAccounts: key("", "v1", "serviceaccounts", "ServiceAccount", true),
  events: key("", "v1", "events", "Event", true),
  leases: key("coordination.k8s.io", "v1", "leases", "Lease", true),
  jobs: key("batch", "v1", "jobs", "Job", true),
  roles: key("rbac.authorization.k8s.io", "v1", "roles", "Role", true),
  roleBindings: key("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true),
  clusterRoles: key("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false),
  clusterRoleBindings: key("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false),
  customResourceDefinitions: key(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    false,
  ),
  subjectAccessReviews: key("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false),
  tokenReviews: key("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false),
} as const satisfies Record<string, ResourceKey>;

/** What a request needs of a {@link ResourceKey}. */
export type ResourceReference = Pick<ResourceKey, "group" | "version" | "resource" | "namespaced">;

/**
 * Path of a collection or, with a name, of one object. A namespaced resource without a namespace is the collection
 * over all namespaces, which has no objects by name: that is refused.
 */
export function resourcePath(
  resource: ResourceReference,
  namespace: string | undefined,
  name?: string,
  subresource?: string,
): string {
  const root = resource.group === "" ? "/api/v1" : `/apis/${apiVersionOf(resource)}`;
  const inNamespace =
    resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  if (name !== undefined && resource.namespaced && inNamespace === "") {
    throw new TypeError(`${resource.resource} ${name}: an object of a namespaced resource needs a namespace`);
  }
  const collection = `${root}${inNamespace}/${resource.resource}`;
  if (name === undefined) return collection;
  return `${collection}/${encodeURIComponent(name)}${subresource === undefined ? "" : `/${subresource}`}`;
}
