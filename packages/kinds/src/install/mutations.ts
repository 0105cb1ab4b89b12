/** Fills in what the policies would else ask for; where the server has MutatingAdmissionPolicy. */
import { literal, type MutatingPolicy, type Mutation, type ResourceRule } from "./admission.ts";
import { mergesGroups, schedulerName, specVariables } from "./pod-rules.ts";
import { labels } from "../constants.ts";
import {
  cronJobResources,
  heldJobResources,
  isHeldJob,
  isInQueue,
  podResources,
  servedResources,
  templateResources,
} from "./policies.ts";

/** `Object.spec{template: Object.spec.template{…}}` for the path `spec.template`. */
function nested(path: string, inner: (type: string) => string): string {
  const names = path.split(".");
  const build = (at: number, type: string): string => {
    if (at === names.length) return inner(type);
    const next = `${type}.${names[at]}`;
    return at === names.length - 1 ? `${names[at]}: ${inner(next)}` : `${names[at]}: ${next}{${build(at + 1, next)}}`;
  };
  return `Object{${build(0, "Object")}}`;
}

/** What stands there, or else a value where it is known. */
const filled = (field: string, isKnown: string, value: string): string =>
  `?${field}: has(variables.security.${field}) ? optional.of(variables.security.${field}) : (${isKnown} ? optional.of(${value}) : optional.none())`;

function fillPod(path: string): Mutation[] {
  const noEscalation = (type: string, list: string): string =>
    `variables.spec.?${list}.orValue([]).map(c, ${type}.${list}{name: c.name, securityContext: ${type}.${list}.securityContext{` +
    "allowPrivilegeEscalation: c.?securityContext.?allowPrivilegeEscalation.orValue(c.?securityContext.?privileged.orValue(false))}})";
  return [
    {
      patchType: "ApplyConfiguration",
      expression: nested(
        path,
        (type) =>
          `${type}{schedulerName: variables.spec.?schedulerName.orValue('default-scheduler') == 'default-scheduler' ? ${literal(schedulerName)} : variables.spec.schedulerName, ` +
          `securityContext: ${type}.securityContext{${[
            filled("runAsUser", "variables.uid != ''", "int(variables.uid)"),
            filled("runAsGroup", "variables.gid != ''", "int(variables.gid)"),
            filled("supplementalGroupsPolicy", "variables.uid != '' && !variables.mergesGroups", "'Strict'"),
          ].join(", ")}}, ` +
          `containers: ${noEscalation(type, "containers")}, initContainers: ${noEscalation(type, "initContainers")}}`,
      ),
    },
    {
      // A list that is replaced as a whole cannot be applied.
      patchType: "JSONPatch",
      expression:
        `variables.groupText == '' || has(object.${path}.securityContext.supplementalGroups) ? [] : ` +
        `[JSONPatch{op: 'add', path: '/${path.replaceAll(".", "/")}/securityContext/supplementalGroups', ` +
        "value: variables.groupText.split(',').map(g, int(g))}]",
    },
  ];
}

function filling(name: string, resourceRules: ResourceRule[], path: string): MutatingPolicy {
  return {
    name,
    // What is there already is changed by its owner only.
    resourceRules: resourceRules.map((rule) => ({ ...rule, operations: ["CREATE"] })),
    variables: [{ name: "spec", expression: `object.${path}` }, mergesGroups, ...specVariables],
    mutations: fillPod(path),
  };
}

export const mutatingPolicies: readonly MutatingPolicy[] = [
  filling("berth-fill-pods", podResources, "spec"),
  filling("berth-fill-pod-templates", templateResources, "spec.template.spec"),
  filling("berth-fill-cron-jobs", cronJobResources, "spec.jobTemplate.spec.template.spec"),
  {
    name: "berth-hold-jobs",
    resourceRules: heldJobResources,
    matchConditions: [isHeldJob],
    variables: [],
    mutations: [{ patchType: "ApplyConfiguration", expression: "Object{spec: Object.spec{suspend: true}}" }],
  },
  {
    name: "berth-queue-of-pods",
    resourceRules: servedResources,
    matchConditions: [isInQueue],
    variables: [],
    mutations: [
      {
        patchType: "ApplyConfiguration",
        expression: nested(
          "spec.template.metadata",
          (type) => `${type}{labels: {${literal(labels.queue)}: object.metadata.labels[${literal(labels.queue)}]}}`,
        ),
      },
    ],
  },
];
