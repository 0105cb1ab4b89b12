/** Who may say whose a namespace is and as whom its pods run: all other policies believe it. */
import type { KubernetesObject } from "@berth/machinery";
import { operateVerb } from "../admission-policies.ts";
import { annotations, group, systemNamespace } from "../constants.ts";
import { literal } from "./admission.ts";
import { claimVariables } from "./claims.ts";
import { controllersUser } from "./labels.ts";

const name = "berth-namespaces";
const admission = "admissionregistration.k8s.io";

const identity = [annotations.uid, annotations.gid, annotations.groups];
const ours = [annotations.owner, ...identity, annotations.groupsPolicy];
const list = (words: readonly string[]): string => `[${words.map(literal).join(", ")}]`;
const now = (annotation: string): string => `variables.now[?${literal(annotation)}].orValue('')`;

const variables = [
  { name: "before", expression: "request.operation == 'CREATE' ? {} : oldObject.metadata.?annotations.orValue({})" },
  { name: "now", expression: "object.metadata.?annotations.orValue({})" },
  { name: "changed", expression: `${list(ours)}.filter(a, variables.before[?a] != variables.now[?a])` },
  // They may operate on Workloads, for wall times.
  { name: "isBerth", expression: `request.userInfo.username == ${literal(controllersUser(systemNamespace))}` },
  {
    name: "isOperator",
    expression: `!variables.isBerth && authorizer.group(${literal(group)}).resource('workloads').namespace(object.metadata.name).check(${literal(operateVerb)}).allowed()`,
  },
  // Whose it is already, or is to be from its beginning.
  {
    name: "isOwner",
    expression:
      `${now(annotations.owner)} == request.userInfo.username && ` +
      `(request.operation == 'CREATE' || variables.before[?${literal(annotations.owner)}].orValue('') == request.userInfo.username)`,
  },
  ...claimVariables,
  {
    name: "saysClaims",
    expression:
      `variables.claimedUid.matches('^[1-9][0-9]{0,9}$') && ${now(annotations.uid)} == variables.claimedUid && ` +
      `variables.claimedGid.matches('^[1-9][0-9]{0,9}$') && ${now(annotations.gid)} == variables.claimedGid && ` +
      `${now(annotations.groups)} == variables.claimedGroups`,
  },
  {
    name: "nothingElse",
    expression:
      "request.operation == 'CREATE' || " +
      "object.metadata.?labels == oldObject.metadata.?labels && object.metadata.?finalizers == oldObject.metadata.?finalizers && " +
      `variables.now.all(a, a in ${list(ours)} || variables.before[?a] == variables.now[?a]) && ` +
      `variables.before.all(a, a in ${list(ours)} || a in variables.now)`,
  },
];

const validations = [
  {
    expression:
      "variables.changed.size() == 0 || variables.isOperator || " +
      `variables.isBerth && variables.changed.all(a, a in ${list(identity)}) || ` +
      `variables.isOwner && !(${literal(annotations.groupsPolicy)} in variables.changed) && ` +
      `(variables.saysClaims || variables.changed.all(a, a == ${literal(annotations.owner)}))`,
    message: "metadata.annotations: whose a namespace is, and as whom its pods run, is said by operators",
    messageExpression:
      "'metadata.annotations: ' + variables.changed.join(', ') + ' say whose a namespace is and as whom its pods run: operators write them, " +
      "and the owner what a token claims of their ids' + (variables.claimedUid == '' ? '' : ', which is uid ' + variables.claimedUid + ', gid ' + variables.claimedGid + ', groups ' + variables.claimedGroups)",
    reason: "Forbidden",
  },
  {
    // A person takes a name that is theirs.
    expression:
      "variables.isOperator || variables.isBerth || request.operation != 'CREATE' || variables.changed.size() == 0 || " +
      "object.metadata.name == request.userInfo.username || " +
      "!request.userInfo.username.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')",
    message: "metadata.name: who makes a namespace of their own gives it their own name; others are made by operators",
    reason: "Forbidden",
  },
  {
    // Whose right to write a namespace is for their ids may not take off what keeps them.
    expression: "variables.isOperator || !(variables.isBerth || variables.isOwner) || variables.nothingElse",
    message: "metadata: of their namespace its owner writes what a token claims of their ids, and nothing else",
    reason: "Forbidden",
  },
];

/** A ValidatingAdmissionPolicy and its binding; the namespace is what is written, so that no variable of others holds. */
export const namespacePolicy: readonly KubernetesObject[] = [
  {
    apiVersion: `${admission}/v1`,
    kind: "ValidatingAdmissionPolicy",
    metadata: { name },
    spec: {
      failurePolicy: "Fail",
      matchConstraints: {
        resourceRules: [
          { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["namespaces"] },
        ],
        matchPolicy: "Equivalent",
      },
      variables,
      validations,
    },
  } as KubernetesObject,
  {
    apiVersion: `${admission}/v1`,
    kind: "ValidatingAdmissionPolicyBinding",
    metadata: { name },
    spec: { policyName: name, validationActions: ["Deny"] },
  } as KubernetesObject,
];
