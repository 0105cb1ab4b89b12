import type { KubernetesObject } from "@berth/machinery";
import type { PolicyRule } from "./rules.ts";

const group = "rbac.authorization.k8s.io";
const read = ["get", "list", "watch"];
const write = ["create", "delete", "deletecollection", "patch", "update"];

function role(
  name: string,
  rules: PolicyRule[],
  labels: Record<string, string> = {},
  aggregates?: string,
): KubernetesObject {
  const selector = { matchLabels: { [`${group}/aggregate-to-${aggregates}`]: "true" } };
  return {
    apiVersion: `${group}/v1`,
    kind: "ClusterRole",
    metadata: { name, labels: { "kubernetes.io/bootstrapping": "rbac-defaults", ...labels } },
    ...(aggregates === undefined ? {} : { aggregationRule: { clusterRoleSelectors: [selector] } }),
    rules,
  } as unknown as KubernetesObject;
}

function binding(name: string, groups: string[]): KubernetesObject {
  return {
    apiVersion: `${group}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name, labels: { "kubernetes.io/bootstrapping": "rbac-defaults" } },
    roleRef: { apiGroup: group, kind: "ClusterRole", name },
    subjects: groups.map((one) => ({ apiGroup: group, kind: "Group", name: one })),
  } as unknown as KubernetesObject;
}

/** Resources that whoever uses a namespace reads and writes. */
const ordinary: PolicyRule[] = [
  {
    apiGroups: [""],
    resources: [
      "configmaps",
      "endpoints",
      "persistentvolumeclaims",
      "pods",
      "podtemplates",
      "serviceaccounts",
      "services",
    ],
    verbs: [],
  },
  { apiGroups: ["batch"], resources: ["jobs"], verbs: [] },
  { apiGroups: ["apps"], resources: ["controllerrevisions"], verbs: [] },
  { apiGroups: ["berth.dev"], resources: ["workloads"], verbs: [] },
];

function withVerbs(verbs: string[]): PolicyRule[] {
  return ordinary.map(({ apiGroups, resources }) => ({ apiGroups, resources, verbs }));
}

const viewRules: PolicyRule[] = [
  ...withVerbs(read),
  { apiGroups: [""], resources: ["events", "namespaces", "pods/log", "pods/status", "namespaces/status"], verbs: read },
  { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: read },
  { apiGroups: ["batch", "berth.dev"], resources: ["jobs/status", "workloads/status"], verbs: read },
  { apiGroups: ["questions.berth.dev"], resources: ["explanations"], verbs: ["get", "list"] },
];
const editRules: PolicyRule[] = [
  ...withVerbs(write),
  { apiGroups: ["questions.berth.dev"], resources: ["startestimates"], verbs: ["create"] },
  { apiGroups: [""], resources: ["secrets"], verbs: [...read, ...write] },
  {
    apiGroups: [""],
    resources: ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy"],
    verbs: ["get", ...write],
  },
  { apiGroups: [""], resources: ["pods/eviction", "serviceaccounts/token"], verbs: ["create"] },
  { apiGroups: [""], resources: ["serviceaccounts"], verbs: ["impersonate"] },
  { apiGroups: [""], resources: ["events"], verbs: write },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: [...read, ...write] },
];
const adminRules: PolicyRule[] = [
  { apiGroups: ["authorization.k8s.io"], resources: ["localsubjectaccessreviews"], verbs: ["create"] },
  { apiGroups: [group], resources: ["roles", "rolebindings"], verbs: [...read, ...write] },
];

/** Roles and bindings that every cluster has from its start, as in Kubernetes; berth's own are added by the caller. */
export function defaultRoles(): KubernetesObject[] {
  const aggregate = (...names: string[]): Record<string, string> =>
    Object.fromEntries(names.map((name) => [`${group}/aggregate-to-${name}`, "true"]));
  const everybody = ["system:authenticated"];
  return [
    role("cluster-admin", [
      { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
      { nonResourceURLs: ["*"], verbs: ["*"] },
    ]),
    binding("cluster-admin", ["system:masters"]),
    role("admin", [], {}, "admin"),
    role("edit", [], aggregate("admin"), "edit"),
    role("view", [], aggregate("edit"), "view"),
    role("system:aggregate-to-admin", adminRules, aggregate("admin")),
    role("system:aggregate-to-edit", editRules, aggregate("edit")),
    role("system:aggregate-to-view", viewRules, aggregate("view")),
    role("system:discovery", [
      {
        nonResourceURLs: [
          "/api",
          "/api/*",
          "/apis",
          "/apis/*",
          "/healthz",
          "/livez",
          "/openapi",
          "/openapi/*",
          "/readyz",
          "/version",
          "/version/",
        ],
        verbs: ["get"],
      },
    ]),
    binding("system:discovery", everybody),
    role("system:public-info-viewer", [
      { nonResourceURLs: ["/healthz", "/livez", "/readyz", "/version", "/version/"], verbs: ["get"] },
    ]),
    binding("system:public-info-viewer", [...everybody, "system:unauthenticated"]),
    role("system:basic-user", [
      {
        apiGroups: ["authorization.k8s.io"],
        resources: ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        verbs: ["create"],
      },
      { apiGroups: ["authentication.k8s.io"], resources: ["selfsubjectreviews"], verbs: ["create"] },
    ]),
    binding("system:basic-user", everybody),
    role("system:node", [
      { apiGroups: [""], resources: ["nodes", "nodes/status"], verbs: [...read, "create", "patch", "update"] },
      { apiGroups: [""], resources: ["pods", "pods/status"], verbs: [...read, "create", "delete", "patch", "update"] },
      { apiGroups: [""], resources: ["configmaps", "secrets", "persistentvolumeclaims"], verbs: read },
      { apiGroups: [""], resources: ["serviceaccounts/token"], verbs: ["create"] },
      { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch", "update"] },
      {
        apiGroups: ["coordination.k8s.io"],
        resources: ["leases"],
        verbs: [...read, "create", "delete", "patch", "update"],
      },
      { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
      {
        apiGroups: ["authorization.k8s.io"],
        resources: ["subjectaccessreviews", "localsubjectaccessreviews"],
        verbs: ["create"],
      },
    ]),
    binding("system:node", ["system:nodes"]),
  ];
}
