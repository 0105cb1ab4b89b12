/** What a real API server refuses in namespaces that belong to somebody, in words and with the line that would be right. */
import { operateVerb } from "../admission-policies.ts";
import { accountingFinalizer, group, labels } from "../constants.ts";
import { literal, type ResourceRule, type Validation, type ValidatingPolicy, type Variable } from "./admission.ts";
import { claimVariables } from "./claims.ts";
import {
  mergesGroups,
  missingLines,
  missingRule,
  refusals,
  schedulerName,
  serviceAccountRule,
  specVariables,
  refusalsOfTemplates,
  unknownIdentity,
} from "./pod-rules.ts";

const isOperator = `authorizer.group(${literal(group)}).resource('workloads').namespace(request.namespace).check(${literal(operateVerb)}).allowed()`;

export const podResources: ResourceRule[] = [
  { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] },
];
export const templateResources: ResourceRule[] = [
  {
    apiGroups: ["apps"],
    apiVersions: ["v1"],
    operations: ["CREATE", "UPDATE"],
    resources: ["daemonsets", "deployments", "replicasets", "statefulsets"],
  },
  { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["replicationcontrollers"] },
  { apiGroups: ["batch"], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["jobs"] },
];
export const cronJobResources: ResourceRule[] = [
  { apiGroups: ["batch"], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["cronjobs"] },
];
/** Nothing is made from them by itself; who makes something by hand hears of it here. */
const podTemplateResources: ResourceRule[] = [
  { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["podtemplates"] },
];
const ephemeralContainers: ResourceRule = {
  apiGroups: [""],
  apiVersions: ["v1"],
  operations: ["UPDATE"],
  resources: ["pods/ephemeralcontainers"],
};

const spec = (expression: string): Variable => ({ name: "spec", expression });

/** Pods, and who enters them with a container of their own. */
const pods: ValidatingPolicy = {
  name: "berth-pods",
  resourceRules: [...podResources, ephemeralContainers],
  variables: [spec("object.spec"), mergesGroups, ...specVariables, ...missingLines],
  validations: [
    // A container that joins a pod finds it bound.
    ...refusals.map((rule, at): Validation => (at === 0 ? whereNew(rule) : rule)),
    whereNew(serviceAccountRule),
    whereNew(unknownIdentity),
    missingRule,
  ],
};

function whereNew(rule: Validation): Validation {
  return { ...rule, expression: `request.operation != 'CREATE' || (${rule.expression})` };
}

/** What pods are made from: whoever writes it hears at once what its pods would be refused for. */
function templates(name: string, resourceRules: ResourceRule[], path: string): ValidatingPolicy {
  const where = (rule: Validation): Validation => ({
    ...rule,
    // An object of before is left alone until its template changes, and one that only goes away always.
    expression: `!variables.changed || (${rule.expression})`,
  });
  return {
    name,
    resourceRules,
    variables: [
      spec(`object.${path}`),
      {
        name: "changed",
        expression: `request.operation == 'CREATE' || object.${path} != oldObject.${path}`,
      },
      mergesGroups,
      ...specVariables,
      ...missingLines,
    ],
    validations: [...refusals, serviceAccountRule, unknownIdentity, missingRule].map(where),
  };
}

/** What they lack is for who makes pods of them. */
const bareTemplates: ValidatingPolicy = {
  name: "berth-bare-templates",
  resourceRules: podTemplateResources,
  variables: [spec("object.template.spec"), ...specVariables],
  validations: [...refusals, serviceAccountRule],
};

/** Labels by which the controllers know the pods of an attempt. */
const marks = [labels.workload, labels.jobId, labels.task, labels.podSet, labels.podIndex, labels.attempt];
const finalizers = (object: string): string => `${object}.metadata.?finalizers.orValue([])`;

/** What Berth writes on pods and Workloads is Berth's. */
const ownMarks: ValidatingPolicy = {
  name: "berth-marks",
  resourceRules: [
    { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["pods"] },
    { apiGroups: [group], apiVersions: ["*"], operations: ["UPDATE"], resources: ["workloads"] },
  ],
  variables: [
    { name: "before", expression: "request.operation == 'CREATE' ? {} : oldObject.metadata.?labels.orValue({})" },
  ],
  validations: [
    {
      expression: `object.kind != 'Pod' || [${marks.map(literal).join(", ")}].all(l, object.metadata.?labels[?l] == variables.before[?l])`,
      message: `metadata.labels: ${marks.join(", ")} are written by Berth, which knows its pods by them; leave them as they are`,
    },
    {
      expression:
        `request.operation == 'CREATE' || !(${literal(accountingFinalizer)} in ${finalizers("oldObject")}) || ` +
        `${literal(accountingFinalizer)} in ${finalizers("object")} || ${isOperator}`,
      message: `metadata.finalizers: ${accountingFinalizer} holds this object until its end is accounted; only an operator may take it away`,
    },
  ],
};

const bindings: ValidatingPolicy = {
  name: "berth-bindings",
  resourceRules: [
    { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods/binding", "bindings"] },
  ],
  variables: [],
  validations: [{ expression: "false", message: "only Berth gives pods of this namespace their node" }],
};

/** Its pods are made by the controllers, whom no policy on pods meets: what a user may not be is refused here. */
const workloads: ValidatingPolicy = {
  name: "berth-workloads",
  resourceRules: [
    { apiGroups: [group], apiVersions: ["*"], operations: ["CREATE", "UPDATE"], resources: ["workloads"] },
  ],
  variables: claimVariables,
  validations: [
    whereNew({
      expression:
        "variables.claimedUid == '' || request.userInfo.username != variables.owner || " +
        "variables.claimedUid == variables.uid && variables.claimedGid == variables.gid && variables.claimedGroups == variables.groupText",
      message: "what your token says of your ids is not what the namespace says: renew its annotations",
      messageExpression:
        "'your token says that you are uid ' + variables.claimedUid + ', gid ' + variables.claimedGid + ', groups ' + variables.claimedGroups + '; namespace ' + request.namespace + ' says uid ' + variables.uid + ', gid ' + variables.gid + ', groups ' + variables.groupText + '; to renew it: kubectl annotate --overwrite namespace ' + request.namespace + ' berth.dev/uid=' + variables.claimedUid + ' berth.dev/gid=' + variables.claimedGid + ' berth.dev/groups=' + variables.claimedGroups",
    }),
    {
      expression: "!has(object.spec.user) || object.spec.user == variables.owner",
      message: "spec.user: must be the owner of the namespace",
      messageExpression:
        "'spec.user: namespace ' + request.namespace + ' belongs to ' + variables.owner + '; put user: ' + variables.owner + ', or leave it out'",
    },
    whereNew({
      expression: "authorizer.group('').resource('pods').namespace(request.namespace).check('create').allowed()",
      message: "a Workload makes pods: only who may create pods in this namespace may create one",
    }),
    ...refusalsOfTemplates("object.spec.podSets").map(whereNew),
    whereNew({
      expression: `object.spec.podSets.all(s, s.template.spec.?schedulerName.orValue('') in ['', ${literal(schedulerName)}])`,
      message: "spec.podSets[].template.spec.schedulerName: a Workload is scheduled by Berth; leave it out",
    }),
    whereNew({
      // The second is its former name, which Kubernetes takes for it still.
      expression:
        "object.spec.podSets.all(s, [s.template.spec.?serviceAccountName, s.template.spec.?serviceAccount].all(a, a.orValue('') in ['', 'default']))",
      message: "spec.podSets[].template.spec.serviceAccountName: jobs have no account of the API; leave it out",
    }),
  ],
};

/** The pods of these are made by the controllers too, and what is refused of a Workload is refused here. */
export const volcanoJobsPolicy: ValidatingPolicy = {
  name: "berth-volcano-jobs",
  resourceRules: [
    { apiGroups: ["batch.volcano.sh"], apiVersions: ["*"], operations: ["CREATE", "UPDATE"], resources: ["jobs"] },
  ],
  variables: [],
  validations: [
    whereNew({
      expression: "authorizer.group('').resource('pods').namespace(request.namespace).check('create').allowed()",
      message: "a Job makes pods: only who may create pods in this namespace may create one",
    }),
    ...refusalsOfTemplates("object.spec.tasks").map(whereNew),
    whereNew({
      expression:
        "object.spec.tasks.all(s, [s.template.spec.?serviceAccountName, s.template.spec.?serviceAccount].all(a, a.orValue('') in ['', 'default']))",
      message: "spec.tasks[].template.spec.serviceAccountName: jobs have no account of the API; leave it out",
    }),
    {
      expression: "request.operation == 'CREATE' || object.spec == oldObject.spec",
      message: "spec: a Job of Volcano's stays as it was made here; delete it, and make it anew",
    },
  ],
};

export const heldJobResources: ResourceRule[] = [
  { apiGroups: ["batch"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["jobs"] },
];
const hasLabel = (metadata: string): string =>
  `${metadata}.?labels.orValue({}).exists(l, l == ${literal(labels.queue)})`;
/** Not where the label stands on its pods, which then wait one by one: a Job without labels is given those of its pods. */
export const isHeldJob: Variable = {
  name: "is-held-as-one",
  expression: `${hasLabel("object.metadata")} && !${hasLabel("object.spec.template.?metadata")}`,
};

/** A Job that is held as one must not begin before it is released. */
const heldJobs: ValidatingPolicy = {
  name: "berth-held-jobs",
  resourceRules: heldJobResources,
  matchConditions: [isHeldJob],
  variables: [],
  validations: [
    {
      expression: "object.spec.?suspend.orValue(false)",
      message: `spec.suspend: a Job with the label ${labels.queue} waits in that queue as one until Berth releases it; add suspend: true to the spec of the Job`,
      reason: "Invalid",
    },
  ],
};

/** Likewise a JobSet. */
const heldJobSets: ValidatingPolicy = {
  name: "berth-held-jobsets",
  resourceRules: [
    { apiGroups: ["jobset.x-k8s.io"], apiVersions: ["*"], operations: ["CREATE"], resources: ["jobsets"] },
  ],
  matchConditions: [{ name: "has-a-queue", expression: hasLabel("object.metadata") }],
  variables: [],
  validations: [
    {
      expression: "object.spec.?suspend.orValue(false)",
      message: `spec.suspend: a JobSet with the label ${labels.queue} waits in that queue as one until Berth releases it; add suspend: true to the spec of the JobSet`,
      reason: "Invalid",
    },
  ],
};

export const servedResources: ResourceRule[] = [
  {
    apiGroups: ["apps"],
    apiVersions: ["v1"],
    operations: ["CREATE", "UPDATE"],
    resources: ["deployments", "statefulsets"],
  },
];
export const isInQueue: Variable = { name: "is-in-a-queue", expression: hasLabel("object.metadata") };

/** Each replica waits by itself, in the queue that its own label names. */
const served: ValidatingPolicy = {
  name: "berth-served",
  resourceRules: servedResources,
  matchConditions: [isInQueue],
  variables: [],
  validations: [
    {
      expression: `object.spec.template.?metadata.?labels[?${literal(labels.queue)}].orValue('') == object.metadata.labels[${literal(labels.queue)}]`,
      message: `spec.template.metadata.labels: each replica waits in a queue by itself; put the label ${labels.queue} on the pods too`,
      messageExpression: `'spec.template.metadata.labels: each replica waits in a queue by itself; add there ${labels.queue}: ' + object.metadata.labels[${literal(labels.queue)}]`,
      reason: "Invalid",
    },
  ],
};

export const validatingPolicies: readonly ValidatingPolicy[] = [
  pods,
  templates("berth-pod-templates", templateResources, "spec.template.spec"),
  bareTemplates,
  templates("berth-cron-jobs", cronJobResources, "spec.jobTemplate.spec.template.spec"),
  ownMarks,
  bindings,
  workloads,
  heldJobs,
  heldJobSets,
  served,
];
