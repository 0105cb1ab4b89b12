/** Who may do what on an embedded cluster: tokens of the parts, and the roles of parts and users. */
import { group, operateVerb, questionsGroup } from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";

/** Holders of the tokens that the parts of a cluster speak with. */
export const holders = {
  controllers: { user: "berth:controllers", groups: ["berth:controllers"] },
  node: { user: "berth:node", groups: ["system:nodes"] },
  /** What the API server shows to the nodes' own endpoints. */
  apiserver: { user: "berth:apiserver", groups: ["berth:apiserver"] },
} as const;

/** Group of everybody who proved to be a user of this machine. */
export const usersGroup = "berth:users";
/** Role of a user in the namespace that belongs to them. */
const userRole = "berth-user";

const rbac = "rbac.authorization.k8s.io";

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

const read = ["get", "list", "watch"];
const write = [...read, "create", "update", "patch", "delete", "deletecollection"];

function clusterRole(name: string, rules: Rule[]): KubernetesObject {
  return { apiVersion: `${rbac}/v1`, kind: "ClusterRole", metadata: { name }, rules } as KubernetesObject;
}

function bindingOf(role: string, groupName: string): KubernetesObject {
  return {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name: role },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name: role },
    subjects: [{ apiGroup: rbac, kind: "Group", name: groupName }],
  } as KubernetesObject;
}

/**
 * Roles and their bindings, made at each start. A user may see pods but not make any: what a pod may be is decided by the
 * controllers, who give it the user's own identity.
 */
export const accessObjects: readonly KubernetesObject[] = [
  clusterRole("berth-controllers", [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }]),
  bindingOf("berth-controllers", "berth:controllers"),
  clusterRole("berth-nodes", [
    { apiGroups: [""], resources: ["nodes", "nodes/status"], verbs: [...read, "create", "update", "patch"] },
    { apiGroups: [""], resources: ["pods"], verbs: [...read, "delete", "patch"] },
    { apiGroups: [""], resources: ["pods/status"], verbs: ["get", "update", "patch"] },
    { apiGroups: [""], resources: ["secrets", "configmaps", "namespaces"], verbs: read },
    { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch", "update"] },
    { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: write },
  ]),
  bindingOf("berth-nodes", "system:nodes"),
  clusterRole("berth-reader", [
    {
      apiGroups: [group],
      resources: ["queues", "accounts", "memberships", "qualitiesofservice", "reservations", "sites"],
      verbs: read,
    },
    // What is told of the jobs of others is the Site's to say.
    { apiGroups: [questionsGroup], resources: ["queueviews", "nodeviews", "fairshares"], verbs: ["get", "list"] },
    { apiGroups: [""], resources: ["nodes"], verbs: read },
  ]),
  bindingOf("berth-reader", usersGroup),
  // Who runs the cluster without being its admin: bind people to it, or give their tokens the group.
  clusterRole("berth-operator", [
    {
      apiGroups: [group],
      resources: ["queues", "accounts", "memberships", "qualitiesofservice", "reservations", "sites", "workloads"],
      verbs: write,
    },
    { apiGroups: [group], resources: ["workloads"], verbs: [operateVerb] },
    // Readers of accounts do not have it: whose usage is told is the Site's to say.
    { apiGroups: [group], resources: ["usagecheckpoints"], verbs: read },
    { apiGroups: [""], resources: ["nodes"], verbs: [...read, "patch"] },
  ]),
  bindingOf("berth-operator", "berth:operators"),
  clusterRole(userRole, [
    { apiGroups: [group], resources: ["workloads"], verbs: write },
    { apiGroups: [questionsGroup], resources: ["startestimates"], verbs: ["create"] },
    { apiGroups: [questionsGroup], resources: ["explanations"], verbs: ["get", "list"] },
    { apiGroups: [""], resources: ["secrets", "configmaps"], verbs: write },
    { apiGroups: [""], resources: ["pods", "pods/log", "pods/status", "events"], verbs: read },
    { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: read },
    { apiGroups: [""], resources: ["pods/exec"], verbs: ["get", "create"] },
  ]),
];

/** The namespace of a user and their rights in it. */
export function userObjects(namespace: string, user: string, ownerAnnotation: string): KubernetesObject[] {
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, annotations: { [ownerAnnotation]: user } } },
    {
      apiVersion: `${rbac}/v1`,
      kind: "RoleBinding",
      metadata: { name: userRole, namespace },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name: userRole },
      subjects: [{ apiGroup: rbac, kind: "User", name: user }],
    } as KubernetesObject,
  ];
}
