/** Who may do what on a real cluster: the least that the controllers need, and the roles that people are bound to. */
import type { KubernetesObject } from "@berth/machinery";
import { operateVerb } from "../admission-policies.ts";
import { accountingStateName, group, questionsApiService, questionsGroup, systemNamespace } from "../constants.ts";
import { controllersName } from "./labels.ts";
import { webhookName } from "./webhook.ts";

interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

const rbac = "rbac.authorization.k8s.io";
const read = ["get", "list", "watch"];
const write = [...read, "create", "update", "patch", "delete", "deletecollection"];

/** Kinds of the whole cluster that an operator sets. */
const operatorKinds = ["queues", "accounts", "memberships", "qualitiesofservice", "reservations", "sites"];

/** What informers do; whoever has them asks for no object by its name. */
const follow = ["list", "watch"];

const groupsOfPods = ["scheduling.x-k8s.io", "scheduling.volcano.sh"];

/** Of the controllers, in all namespaces. test/kube/rights.test.ts proves by their audit log that it is enough, and all used. */
const controllerRules: PolicyRule[] = [
  { apiGroups: [group], resources: ["workloads"], verbs: [...follow, "create", "patch", "delete"] },
  // Of a pod's wall time, which only operators make longer.
  { apiGroups: [group], resources: ["workloads"], verbs: [operateVerb] },
  { apiGroups: [group], resources: operatorKinds, verbs: follow },
  { apiGroups: [group], resources: ["usagecheckpoints"], verbs: ["list", "create", "patch"] },
  {
    apiGroups: [group],
    resources: ["workloads/status", "accounts/status", "reservations/status"],
    verbs: ["patch"],
  },
  // Where OwnerReferencesPermissionEnforcement is on, as on OpenShift, an owner reference needs this.
  { apiGroups: [group], resources: ["workloads/finalizers"], verbs: ["update"] },
  {
    apiGroups: [""],
    resources: ["pods"],
    verbs: ["get", ...follow, "create", "patch", "delete", "deletecollection"],
  },
  { apiGroups: [""], resources: ["pods/status"], verbs: ["patch"] },
  { apiGroups: [""], resources: ["pods/finalizers"], verbs: ["update"] },
  { apiGroups: [""], resources: ["pods/binding"], verbs: ["create"] },
  // A submission becomes its Workload's; none is listed or read.
  { apiGroups: [""], resources: ["secrets"], verbs: ["patch", "delete"] },
  { apiGroups: [""], resources: ["nodes", "namespaces"], verbs: follow },
  // As whom pods of a namespace run; a policy (berth-namespaces) lets them write nothing else of it.
  { apiGroups: [""], resources: ["namespaces"], verbs: ["patch"] },
  // Shared trees of queues; and claims that are bound once the node of their pod is known.
  { apiGroups: [""], resources: ["persistentvolumes"], verbs: [...follow, "create", "patch", "deletecollection"] },
  { apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: [...follow, "create", "patch"] },
  { apiGroups: ["storage.k8s.io"], resources: ["storageclasses", "csinodes"], verbs: follow },
  // Devices that pods claim, which are allocated with the node.
  {
    apiGroups: ["resource.k8s.io"],
    resources: ["resourceslices", "deviceclasses", "resourceclaimtemplates"],
    verbs: follow,
  },
  { apiGroups: ["resource.k8s.io"], resources: ["resourceclaims"], verbs: [...follow, "patch"] },
  { apiGroups: ["resource.k8s.io"], resources: ["resourceclaims/status"], verbs: ["patch"] },
  { apiGroups: ["node.k8s.io"], resources: ["runtimeclasses"], verbs: follow },
  { apiGroups: [""], resources: ["events"], verbs: ["create"] },
  // Jobs that are held as one are suspended and released, and fail where their Workload was refused or cancelled.
  { apiGroups: ["batch"], resources: ["jobs"], verbs: [...follow, "patch"] },
  { apiGroups: ["batch"], resources: ["jobs/status"], verbs: ["patch"] },
  // JobSets likewise, where they are served.
  { apiGroups: ["jobset.x-k8s.io"], resources: ["jobsets"], verbs: [...follow, "patch"] },
  { apiGroups: ["jobset.x-k8s.io"], resources: ["jobsets/status"], verbs: ["patch"] },
  // Groups that pods name; those of Kubernetes' own Workloads have no status.
  { apiGroups: groupsOfPods, resources: ["podgroups"], verbs: follow },
  { apiGroups: groupsOfPods, resources: ["podgroups/status"], verbs: ["patch"] },
  { apiGroups: ["scheduling.k8s.io"], resources: ["workloads"], verbs: follow },
  // Of questions: what who asks may, and whom the API server is to trust that hands them on.
  { apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"], verbs: ["create"] },
  {
    apiGroups: ["apiregistration.k8s.io"],
    resources: ["apiservices"],
    resourceNames: [questionsApiService],
    verbs: ["patch"],
  },
];

const ofVolcano = { job: "batch.volcano.sh", command: "bus.volcano.sh", queue: "scheduling.volcano.sh" };

/** What they need besides where they run Jobs of Volcano's; test/kube/volcano.test.ts proves it likewise. */
const volcanoRules: PolicyRule[] = [
  // Whose kinds they are.
  {
    apiGroups: ["apiextensions.k8s.io"],
    resources: ["customresourcedefinitions"],
    resourceNames: ["jobs.batch.volcano.sh"],
    verbs: follow,
  },
  { apiGroups: [ofVolcano.job], resources: ["jobs"], verbs: [...follow, "delete"] },
  { apiGroups: [ofVolcano.job], resources: ["jobs/status"], verbs: ["update", "patch"] },
  { apiGroups: [ofVolcano.job], resources: ["jobs/finalizers"], verbs: ["update"] },
  { apiGroups: [ofVolcano.command], resources: ["commands"], verbs: [...follow, "delete"] },
  { apiGroups: [ofVolcano.queue], resources: ["queues"], verbs: follow },
  { apiGroups: [ofVolcano.queue], resources: ["queues/status"], verbs: ["patch"] },
  { apiGroups: [group], resources: ["queues"], verbs: ["create", "patch"] },
  // What plugins svc and ssh need.
  { apiGroups: [""], resources: ["configmaps", "secrets", "services"], verbs: ["create"] },
  { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: ["create"] },
];
const volcanoUserRules: PolicyRule[] = [
  { apiGroups: [ofVolcano.job], resources: ["jobs"], verbs: write },
  { apiGroups: [ofVolcano.command], resources: ["commands"], verbs: write },
  { apiGroups: [ofVolcano.queue], resources: ["podgroups"], verbs: write },
];
const volcanoReaderRules: PolicyRule[] = [{ apiGroups: [ofVolcano.queue], resources: ["queues"], verbs: read }];
const volcanoOperatorRules: PolicyRule[] = [{ apiGroups: [ofVolcano.queue], resources: ["queues"], verbs: write }];

/** Of the controllers, in their own namespace. A name cannot be told of an object that is being created. */
const ownRules: PolicyRule[] = [
  { apiGroups: [""], resources: ["configmaps"], verbs: ["create"] },
  {
    apiGroups: [""],
    resources: ["configmaps"],
    resourceNames: ["job-ids", "usage", accountingStateName],
    verbs: ["get", "update", "patch"],
  },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] },
  {
    apiGroups: ["coordination.k8s.io"],
    resources: ["leases"],
    resourceNames: ["controllers"],
    verbs: ["get", "update"],
  },
];

/** Of a webhook: whoever serves it says how it is known. */
const webhookRules: PolicyRule[] = [
  {
    apiGroups: ["admissionregistration.k8s.io"],
    resources: ["mutatingwebhookconfigurations"],
    resourceNames: [webhookName],
    verbs: ["get", "patch"],
  },
];

const viewRules: PolicyRule[] = [
  { apiGroups: [group], resources: ["workloads"], verbs: read },
  { apiGroups: [questionsGroup], resources: ["explanations"], verbs: ["get", "list"] },
];
const editRules: PolicyRule[] = [
  { apiGroups: [group], resources: ["workloads"], verbs: write },
  { apiGroups: [questionsGroup], resources: ["startestimates"], verbs: ["create"] },
];
/** What sbatch and its like do in the namespace of their user; a Workload may be made by who may make pods. */
const userRules: PolicyRule[] = [
  ...editRules,
  // What their token says of their ids; a policy (berth-namespaces) lets them write nothing else of it.
  { apiGroups: [""], resources: ["namespaces"], verbs: ["get", "patch"] },
  { apiGroups: [questionsGroup], resources: ["explanations"], verbs: ["get", "list"] },
  { apiGroups: [""], resources: ["secrets", "configmaps"], verbs: write },
  { apiGroups: [""], resources: ["pods"], verbs: [...read, "create", "delete"] },
  { apiGroups: [""], resources: ["pods/log", "pods/status", "events"], verbs: read },
  { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: read },
  { apiGroups: [""], resources: ["pods/exec"], verbs: ["get", "create"] },
];
const readerRules: PolicyRule[] = [
  { apiGroups: [group], resources: operatorKinds, verbs: read },
  // What is told of the jobs of others is the Site's to say; of accounting each sees their own.
  {
    apiGroups: [questionsGroup],
    resources: ["queueviews", "nodeviews", "fairshares", "accounting"],
    verbs: ["get", "list"],
  },
];
const operatorRules: PolicyRule[] = [
  { apiGroups: [group], resources: [...operatorKinds, "workloads"], verbs: write },
  { apiGroups: [group], resources: ["workloads"], verbs: [operateVerb] },
  { apiGroups: [""], resources: ["nodes"], verbs: [...read, "patch"] },
];

const aggregateTo = (name: string): Record<string, string> => ({ [`${rbac}/aggregate-to-${name}`]: "true" });

function role(
  name: string,
  rules: PolicyRule[],
  options: { namespace?: string; labels?: Record<string, string> } = {},
) {
  const { namespace, labels } = options;
  return {
    apiVersion: `${rbac}/v1`,
    kind: namespace === undefined ? "ClusterRole" : "Role",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), ...(labels === undefined ? {} : { labels }) },
    rules,
  } as KubernetesObject;
}

type Subject = { kind: "ServiceAccount"; name: string; namespace: string } | { kind: "Group"; name: string };

function binding(name: string, subjects: Subject[], namespace?: string, roleName = name): KubernetesObject {
  return {
    apiVersion: `${rbac}/v1`,
    kind: namespace === undefined ? "ClusterRoleBinding" : "RoleBinding",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    roleRef: { apiGroup: rbac, kind: namespace === undefined ? "ClusterRole" : "Role", name: roleName },
    subjects: subjects.map((subject) => (subject.kind === "Group" ? { apiGroup: rbac, ...subject } : subject)),
  } as KubernetesObject;
}

/**
 * Roles and bindings, in the order in which they may be made.
 * @param parts.hasVolcano Jobs and Queues of Volcano's are run
 * @param parts.hasWebhook the controllers serve the webhook
 */
export function accessManifests({
  hasVolcano,
  hasWebhook,
}: {
  hasVolcano: boolean;
  hasWebhook: boolean;
}): KubernetesObject[] {
  const controllers: Subject[] = [{ kind: "ServiceAccount", name: controllersName, namespace: systemNamespace }];
  return [
    role(controllersName, [
      ...controllerRules,
      ...(hasVolcano ? volcanoRules : []),
      ...(hasWebhook ? webhookRules : []),
    ]),
    binding(controllersName, controllers),
    role(controllersName, ownRules, { namespace: systemNamespace }),
    binding(controllersName, controllers, systemNamespace),
    // Kubernetes' own role: how to know the API server that hands questions on.
    binding(
      `${controllersName}-authentication`,
      controllers,
      "kube-system",
      "extension-apiserver-authentication-reader",
    ),
    // Whoever may see or change what is in a namespace may do so with its Workloads.
    role("berth-view", viewRules, { labels: aggregateTo("view") }),
    role("berth-edit", [...editRules, ...(hasVolcano ? volcanoUserRules : [])], { labels: aggregateTo("edit") }),
    role("berth-user", [...userRules, ...(hasVolcano ? volcanoUserRules : [])]),
    role("berth-reader", [...readerRules, ...(hasVolcano ? volcanoReaderRules : [])]),
    binding("berth-reader", [{ kind: "Group", name: "system:authenticated" }]),
    role("berth-operator", [...operatorRules, ...(hasVolcano ? volcanoOperatorRules : [])]),
    binding("berth-operator", [{ kind: "Group", name: "berth:operators" }]),
  ];
}
