/**
 * Who may write what, where a kind's own rules cannot say it, because these do not see who asks: as ValidatingAdmissionPolicies, which
 * the embedded server evaluates too. Operators are those with the verb `operate` on workloads, which no role has but by `*`, or by
 * naming it.
 */
import type { KubernetesObject } from "@berth/machinery";
import { annotations, group, labels, version } from "./constants.ts";

interface Validation {
  expression: string;
  message: string;
  reason: "Forbidden";
}

/** The verb of operators on workloads. */
export const operateVerb = "operate";

const isOperator = `authorizer.group('${group}').resource('workloads').namespace(request.namespace).check('${operateVerb}').allowed()`;
const heldByAdmin = (object: string): string => `(has(${object}.spec.hold) && ${object}.spec.hold == 'Admin')`;
const annotationOf = (object: string, name: string): string => {
  const stated = `${object}.metadata.annotations`;
  return `(has(${stated}) && '${name}' in ${stated} ? ${stated}['${name}'] : '')`;
};

const ofWorkloads: Validation[] = [
  {
    expression: `${heldByAdmin("object")} == (request.operation == 'UPDATE' && ${heldByAdmin("oldObject")}) || ${isOperator}`,
    message: "only an operator holds a job as Admin, or releases one that is held so",
    reason: "Forbidden",
  },
  {
    expression:
      "request.operation == 'CREATE' || !has(object.spec.wallTimeSeconds) || " +
      "(has(oldObject.spec.wallTimeSeconds) && object.spec.wallTimeSeconds <= oldObject.spec.wallTimeSeconds) || " +
      "(!has(oldObject.spec.wallTimeSeconds) && has(oldObject.status) && has(oldObject.status.wallTimeSeconds) && " +
      `object.spec.wallTimeSeconds <= oldObject.status.wallTimeSeconds) || ${isOperator}`,
    message:
      "spec.wallTimeSeconds is made shorter by whose job it is, and longer by operators only: others are planned behind it",
    reason: "Forbidden",
  },
  {
    expression:
      `${annotationOf("object", annotations.suspend)} == (request.operation == 'UPDATE' ? ${annotationOf("oldObject", annotations.suspend)} : '') || ` +
      isOperator,
    message: "only an operator suspends a job, or resumes one",
    reason: "Forbidden",
  },
];

const ofPods: Validation[] = [
  [annotations.wallTimeSeconds, "the wall time of a pod is its Workload's: change spec.wallTimeSeconds there"] as const,
  [annotations.suspend, "a pod is suspended with its Workload, by an operator: scontrol suspend"] as const,
].map(([name, message]) => ({
  expression:
    `!has(oldObject.metadata.labels) || !('${labels.workload}' in oldObject.metadata.labels) || ` +
    `${annotationOf("object", name)} == ${annotationOf("oldObject", name)} || ${isOperator}`,
  message,
  reason: "Forbidden",
}));

function policy(
  name: string,
  rule: { apiGroups: string[]; apiVersions: string[]; resources: string[]; operations: string[] },
  validations: Validation[],
): KubernetesObject {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicy",
    metadata: { name },
    spec: { failurePolicy: "Fail", matchConstraints: { resourceRules: [rule] }, validations },
  } as KubernetesObject;
}

/** `admissionregistration.k8s.io/v1` ValidatingAdmissionPolicies. */
export const admissionPolicies: readonly KubernetesObject[] = [
  policy(
    `workloads.${group}`,
    { apiGroups: [group], apiVersions: [version], resources: ["workloads"], operations: ["CREATE", "UPDATE"] },
    ofWorkloads,
  ),
  policy(
    `pods.${group}`,
    { apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["UPDATE"] },
    ofPods,
  ),
];

/** Without a binding a kube-apiserver does not look at a policy. */
export const admissionPolicyBindings: readonly KubernetesObject[] = admissionPolicies.map(
  ({ apiVersion, metadata: { name } }) =>
    ({
      apiVersion,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name },
      spec: { policyName: name, validationActions: ["Deny"] },
    }) as KubernetesObject,
);
