/** What pods of a managed namespace may be, as CEL over `variables.spec`; the same for pods and for what pods are made from. */
import { annotations } from "../constants.ts";
import { literal, type Validation, type Variable } from "./admission.ts";

export const schedulerName = "berth";

/** Volumes that lead nowhere but to what the namespace has; those of Kubernetes' restricted pods. */
const volumeTypes = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

const containersOf = (spec: string): string =>
  `dyn(${spec}.containers) + dyn(${spec}.?initContainers.orValue([])) + dyn(${spec}.?ephemeralContainers.orValue([]))`;
const securityOf = (spec: string): string => `${spec}.?securityContext.orValue({})`;

/** Of `variables.spec`. */
export const specVariables: Variable[] = [
  { name: "containers", expression: containersOf("variables.spec") },
  { name: "security", expression: securityOf("variables.spec") },
];

/** What is refused of a pod's spec wherever it stands, as CEL of the spec, its containers and its securityContext. */
function refusalsOf(spec: string, containers: string, security: string): Validation[] {
  const everyContainer = (test: string): string => `(${containers}).all(c, ${test})`;
  return [
    {
      expression: `${spec}.?nodeName.orValue('') == ''`,
      message: "spec.nodeName: only Berth gives pods of this namespace their node; leave it out",
    },
    {
      expression: `![?${spec}.?hostNetwork, ?${spec}.?hostPID, ?${spec}.?hostIPC].exists(h, h)`,
      message:
        "spec.hostNetwork, hostPID, hostIPC: pods of this namespace have namespaces of their own; leave them out",
    },
    {
      expression: `${spec}.?volumes.orValue([]).all(v, ${volumeTypes.map((type) => `has(v.${type})`).join(" || ")})`,
      message: `spec.volumes: a volume may be one of ${volumeTypes.join(", ")}; other trees come as claims that the queue names`,
    },
    {
      expression: `!${spec}.?priorityClassName.orValue('').startsWith('system-')`,
      message: "spec.priorityClassName: classes system-… are for parts of the cluster; leave it out",
    },
    {
      expression: everyContainer(
        "!c.?securityContext.?privileged.orValue(false) && c.?securityContext.?capabilities.?add.orValue([]).size() == 0" +
          " && c.?securityContext.?procMount.orValue('Default') == 'Default'",
      ),
      message:
        "containers[].securityContext: no container has more rights than its owner; leave out privileged, capabilities.add and procMount",
    },
    {
      expression: everyContainer("!c.?securityContext.?allowPrivilegeEscalation.orValue(false)"),
      message:
        "containers[].securityContext.allowPrivilegeEscalation: true would let a pod become another user; it must be false",
    },
    {
      expression:
        `variables.uid == '' || [?${security}.?runAsUser].all(u, string(u) == variables.uid) && ` +
        everyContainer("[?c.?securityContext.?runAsUser].all(u, string(u) == variables.uid)"),
      message: "securityContext.runAsUser: pods run as the owner of their namespace",
      messageExpression:
        "'securityContext.runAsUser: pods of namespace ' + request.namespace + ' run as its owner ' + variables.owner + ', uid ' + variables.uid",
    },
    {
      expression:
        `variables.uid == '' || [?${security}.?runAsGroup].all(g, string(g) == variables.gid) && ` +
        everyContainer("[?c.?securityContext.?runAsGroup].all(g, string(g) == variables.gid)"),
      message: "securityContext.runAsGroup: pods run with the group of the owner of their namespace",
      messageExpression:
        "'securityContext.runAsGroup: pods of namespace ' + request.namespace + ' run with the group of its owner ' + variables.owner + ', gid ' + variables.gid",
    },
    {
      expression:
        "variables.uid == '' || " +
        `(dyn(${security}.?supplementalGroups.orValue([])) + dyn([?${security}.?fsGroup])).all(g, string(g) in variables.groups)`,
      message: "securityContext.supplementalGroups, fsGroup: pods have the groups of the owner of their namespace",
      messageExpression:
        "'securityContext.supplementalGroups, fsGroup: pods of namespace ' + request.namespace + ' have groups of its owner ' + variables.owner + ' only: ' + variables.groups.join(', ')",
    },
    {
      expression: `!has(${security}.fsGroup) || ${spec}.?volumes.orValue([]).all(v, !has(v.persistentVolumeClaim))`,
      message:
        "securityContext.fsGroup: a claim outlives the pod, and would become that group's as a whole; leave fsGroup out",
    },
  ];
}

export const refusals: readonly Validation[] = refusalsOf(
  "variables.spec",
  "variables.containers",
  "variables.security",
);

/** The same of templates in a list, such as the pod sets of a Workload. */
export function refusalsOfTemplates(list: string): Validation[] {
  const rules = refusalsOf("s.template.spec", containersOf("s.template.spec"), securityOf("s.template.spec"));
  return rules.map((rule) => Object.assign(rule, { expression: `${list}.all(s, ${rule.expression})` }));
}

/** A service account other than `default` is for who may act as it anyway. Kubernetes' own controllers were checked at the template. */
export const serviceAccountRule: Validation = {
  expression:
    "variables.spec.?serviceAccountName.orValue('') in ['', 'default'] || " +
    "request.userInfo.username == 'system:kube-controller-manager' || " +
    "'system:serviceaccounts:kube-system' in request.userInfo.groups || " +
    "authorizer.group('').resource('serviceaccounts').namespace(request.namespace).name(variables.spec.serviceAccountName).check('impersonate').allowed()",
  message:
    "spec.serviceAccountName: you may not act as this service account (verb impersonate), so your pods may not either; use default",
};

/** Lines that a spec lacks. */
export const missingLines: Variable[] = [
  {
    name: "missing",
    expression: [
      `(variables.spec.?schedulerName.orValue('') == ${literal(schedulerName)} ? [] : ['schedulerName: ${schedulerName}'])`,
      "(variables.uid == '' || has(variables.security.runAsUser) ? [] : ['securityContext.runAsUser: ' + variables.uid])",
      "(variables.uid == '' || has(variables.security.runAsGroup) ? [] : ['securityContext.runAsGroup: ' + variables.gid])",
      "(variables.uid == '' || variables.mergesGroups || variables.security.?supplementalGroupsPolicy.orValue('') == 'Strict' ? [] : ['securityContext.supplementalGroupsPolicy: Strict'])",
      "(variables.containers.all(c, has(c.securityContext) && has(c.securityContext.allowPrivilegeEscalation)) ? [] : ['containers[].securityContext.allowPrivilegeEscalation: false'])",
    ].join(" + "),
  },
];

/** Nodes with an old container runtime know one way only to make the groups of a process. */
export const mergesGroups: Variable = {
  name: "mergesGroups",
  expression: `namespaceObject.metadata.?annotations[?${literal(annotations.groupsPolicy)}].orValue('') == 'Merge'`,
};

export const missingRule: Validation = {
  expression: "variables.missing.size() == 0",
  message: `spec: a pod of this namespace needs schedulerName: ${schedulerName} and the identity of the owner`,
  messageExpression:
    "'namespace ' + request.namespace + ' belongs to ' + variables.owner + ' and is managed by Berth; add to the spec of the pod: ' + variables.missing.join(', ')",
  reason: "Invalid",
};
/** As whom is not known: nobody may run there but the controllers, who know. */
export const unknownIdentity: Validation = {
  expression: "variables.uid.matches('^[1-9][0-9]*$') && variables.gid.matches('^[1-9][0-9]*$')",
  message: `annotations ${annotations.uid} and ${annotations.gid} of this namespace do not say as whom its pods run`,
  messageExpression: `'namespace ' + request.namespace + ' belongs to ' + variables.owner + ', but does not say as whom its pods run; an operator sets it: kubectl annotate namespace ' + request.namespace + ' ${annotations.uid}=UID ${annotations.gid}=GID ${annotations.groups}=GID,GID'`,
};
