/** Admission policies as data, and how they become objects of admissionregistration.k8s.io. */
import type { KubernetesObject } from "@berth/machinery";
import { annotations, systemNamespace } from "../constants.ts";
import { controllersUser } from "./labels.ts";

const group = "admissionregistration.k8s.io";

/** What requests a policy sees, as `rules` of Kubernetes' webhooks say it. */
export interface ResourceRule {
  apiGroups: string[];
  apiVersions: string[];
  operations: ("CREATE" | "UPDATE" | "DELETE")[];
  resources: string[];
}

export interface Variable {
  name: string;
  expression: string;
}

interface Policy {
  name: string;
  resourceRules: ResourceRule[];
  /** Besides the exemption of the controllers. */
  matchConditions?: Variable[];
  variables: Variable[];
}

/** In a managed namespace `expression` must hold; else the request is refused with the message. */
export interface Validation {
  expression: string;
  /** Where the words are the same always. */
  message: string;
  /** Where they are not: CEL that makes them. */
  messageExpression?: string;
  reason?: "Forbidden" | "Invalid";
}

export interface ValidatingPolicy extends Policy {
  validations: Validation[];
}

export interface Mutation {
  patchType: "ApplyConfiguration" | "JSONPatch";
  /** CEL of an object, or of a list of patches, for a managed namespace. */
  expression: string;
}

export interface MutatingPolicy extends Policy {
  mutations: Mutation[];
}

/** CEL of a string as a literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** CEL of an annotation of the namespace, empty where it has none. */
function ofNamespace(annotation: string): string {
  return `namespaceObject.metadata.?annotations[?${literal(annotation)}].orValue('')`;
}

/** Whose the namespace is, and as whom its pods run. A namespace without an owner is not managed. */
const namespaceVariables: Variable[] = [
  { name: "owner", expression: ofNamespace(annotations.owner) },
  { name: "uid", expression: ofNamespace(annotations.uid) },
  { name: "gid", expression: ofNamespace(annotations.gid) },
  { name: "groupText", expression: ofNamespace(annotations.groups) },
  {
    name: "groups",
    expression:
      "variables.groupText == '' ? (variables.uid == '' ? [] : [variables.gid]) : [variables.gid] + variables.groupText.split(',')",
  },
];

/** Namespaces of the cluster itself, whatever is written on them. */
export const exemptNamespaces = ["kube-system", "kube-public", "kube-node-lease", systemNamespace];

export const notBerth: Variable = {
  name: "not-berth",
  expression: `request.userInfo.username != ${literal(controllersUser(systemNamespace))}`,
};
/** Kubelets speak for pods that run already. */
export const notKubelet: Variable = {
  name: "not-a-kubelet",
  expression: "!('system:nodes' in request.userInfo.groups)",
};

function objectOf(kind: string, version: string, name: string, spec: Record<string, unknown>): KubernetesObject {
  return { apiVersion: `${group}/${version}`, kind, metadata: { name }, spec };
}

function specOf(policy: Policy): Record<string, unknown> {
  return {
    failurePolicy: "Fail",
    matchConstraints: { resourceRules: policy.resourceRules, matchPolicy: "Equivalent" },
    matchConditions: [notBerth, notKubelet, ...(policy.matchConditions ?? [])],
    variables: [...namespaceVariables, ...policy.variables],
  };
}

function bindingSpec(name: string): Record<string, unknown> {
  return {
    policyName: name,
    matchResources: {
      namespaceSelector: {
        matchExpressions: [{ key: "kubernetes.io/metadata.name", operator: "NotIn", values: exemptNamespaces }],
      },
    },
  };
}

/** A ValidatingAdmissionPolicy and its binding. */
export function validatingManifests(policy: ValidatingPolicy): KubernetesObject[] {
  const validations = policy.validations.map(({ expression, message, messageExpression, reason = "Forbidden" }) => ({
    expression: `variables.owner == '' || (${expression})`,
    message,
    ...(messageExpression === undefined ? {} : { messageExpression }),
    reason,
  }));
  return [
    objectOf("ValidatingAdmissionPolicy", "v1", policy.name, { ...specOf(policy), validations }),
    objectOf("ValidatingAdmissionPolicyBinding", "v1", policy.name, {
      ...bindingSpec(policy.name),
      validationActions: ["Deny"],
    }),
  ];
}

/** A MutatingAdmissionPolicy and its binding, in the version of the API that the server has. */
export function mutatingManifests(policy: MutatingPolicy, version: string): KubernetesObject[] {
  const mutations = policy.mutations.map(({ patchType, expression }) =>
    patchType === "JSONPatch"
      ? { patchType, jsonPatch: { expression: `variables.owner == '' ? [] : (${expression})` } }
      : { patchType, applyConfiguration: { expression: `variables.owner == '' ? Object{} : ${expression}` } },
  );
  return [
    objectOf("MutatingAdmissionPolicy", version, policy.name, {
      ...specOf(policy),
      reinvocationPolicy: "IfNeeded",
      mutations,
    }),
    objectOf("MutatingAdmissionPolicyBinding", version, policy.name, bindingSpec(policy.name)),
  ];
}
