/** Roles, bindings and questions about rights. */
import { get, inNamespace, patch, post, put, remove, table, type Script } from "../script.ts";

const group = "rbac.authorization.k8s.io";
const roles = inNamespace("roles", `${group}/v1`);
const bindings = inNamespace("rolebindings", `${group}/v1`);
const clusterRoles = `/apis/${group}/v1/clusterroles`;
const clusterBindings = `/apis/${group}/v1/clusterrolebindings`;
const rule = { apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] };
const roleRef = { apiGroup: group, kind: "Role", name: "reader" };
const object = (kind: string, name: string, more: object): object => ({
  apiVersion: `${group}/v1`,
  kind,
  metadata: { name },
  ...more,
});
const review = (kind: string, spec: object): object => ({ apiVersion: "authorization.k8s.io/v1", kind, spec });
const reviews = "/apis/authorization.k8s.io/v1";
const asks = (user: string, verb: string, resource: string): object =>
  review("SubjectAccessReview", { user, resourceAttributes: { namespace: "$ns", verb, resource } });

export const rightScripts: Script[] = [
  {
    name: "rights",
    steps: [
      post(roles, object("Role", "reader", { rules: [rule] })),
      get(`${roles}/reader`, { accept: table }),
      post(roles, object("Role", "empty", { rules: [{ verbs: [] }] })),
      post(roles, object("Role", "paths", { rules: [{ nonResourceURLs: ["/x"], verbs: ["get"] }] })),
      post(bindings, object("RoleBinding", "ada", { roleRef, subjects: [{ kind: "User", name: "ada" }] })),
      get(`${bindings}/ada`, { accept: table }),
      get(bindings, { accept: table }),
      post(
        bindings,
        object("RoleBinding", "robot", { roleRef, subjects: [{ kind: "ServiceAccount", name: "robot" }] }),
      ),
      post(
        bindings,
        object("RoleBinding", "bad", { roleRef: { kind: "Role" }, subjects: [{ kind: "Robot", name: "x" }] }),
      ),
      patch("merge", `${bindings}/ada`, { roleRef: { name: "other" } }),
      post(`${reviews}/subjectaccessreviews`, asks("ada", "list", "pods")),
      post(`${reviews}/subjectaccessreviews`, asks("ada", "delete", "pods")),
      post(`${reviews}/subjectaccessreviews`, asks("bob", "list", "pods")),
      post(`${reviews}/subjectaccessreviews`, review("SubjectAccessReview", { user: "ada" })),
      post(
        `${reviews}/selfsubjectaccessreviews`,
        review("SelfSubjectAccessReview", { resourceAttributes: { verb: "*", group: "*", resource: "*" } }),
      ),
      post(
        `${reviews}/namespaces/$ns/localsubjectaccessreviews`,
        review("LocalSubjectAccessReview", {
          user: "ada",
          resourceAttributes: { namespace: "$ns", verb: "get", resource: "pods" },
        }),
      ),
      post(
        `${reviews}/namespaces/$ns/localsubjectaccessreviews`,
        review("LocalSubjectAccessReview", { user: "ada", resourceAttributes: { namespace: "other", verb: "get" } }),
      ),
      post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {
        apiVersion: "authentication.k8s.io/v1",
        kind: "SelfSubjectReview",
      }),
      post("/apis/authentication.k8s.io/v1/tokenreviews", {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenReview",
        spec: { token: "nonsense" },
      }),
      post(clusterRoles, object("ClusterRole", "conformance-all", { rules: [{ ...rule, verbs: ["*"] }] })),
      put(
        `${clusterRoles}/conformance-all`,
        object("ClusterRole", "conformance-all", { aggregationRule: { clusterRoleSelectors: [] }, rules: [] }),
      ),
      get(`${clusterRoles}/conformance-all`, { accept: table }),
      post(
        clusterBindings,
        object("ClusterRoleBinding", "conformance-all", {
          roleRef: { ...roleRef, kind: "ClusterRole", name: "conformance-all" },
          subjects: [{ kind: "Group", name: "g", apiGroup: group }],
        }),
      ),
      get(`${clusterBindings}/conformance-all`, { accept: table }),
      remove(`${clusterBindings}/conformance-all`),
      remove(`${clusterRoles}/conformance-all`),
      remove(roles),
      remove(bindings),
    ],
  },
];
