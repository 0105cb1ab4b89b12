/** For tests: the kinds of groups as their projects define them, as far as anything here reads or writes them. */
import type { AnyObject } from "@berth/client";

const integer = { type: "integer", format: "int32" };
const whole = { ...integer, minimum: 0 };
const text = { type: "string" };
const amounts = {
  type: "object",
  additionalProperties: { anyOf: [{ type: "integer" }, { type: "string" }], "x-kubernetes-int-or-string": true },
};

function definition(group: string, version: string, annotations: Record<string, string>, spec: object, status: object) {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `podgroups.${group}`, annotations },
    spec: {
      group,
      scope: "Namespaced",
      names: { plural: "podgroups", singular: "podgroup", kind: "PodGroup", listKind: "PodGroupList" },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: {
                apiVersion: text,
                kind: text,
                metadata: { type: "object" },
                spec: { type: "object", properties: spec },
                status: { type: "object", properties: status },
              },
            },
          },
        },
      ],
    },
  } as unknown as AnyObject;
}

const counts = { running: whole, succeeded: whole, failed: whole };

export const coschedulingGroups = definition(
  "scheduling.x-k8s.io",
  "v1alpha1",
  { "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/scheduler-plugins/pull/50" },
  { minMember: { ...integer, minimum: 1 }, minResources: amounts, scheduleTimeoutSeconds: integer },
  { ...counts, phase: text, occupiedBy: text, scheduleStartTime: { type: "string", format: "date-time" } },
);

const condition = {
  type: "object",
  properties: {
    type: text,
    status: text,
    transitionID: text,
    lastTransitionTime: { type: "string", format: "date-time" },
    reason: text,
    message: text,
  },
};

export const volcanoGroups = definition(
  "scheduling.volcano.sh",
  "v1beta1",
  {},
  {
    minMember: whole,
    minTaskMember: { type: "object", additionalProperties: integer },
    queue: { ...text, default: "default" },
    priorityClassName: text,
    minResources: amounts,
    networkTopology: { type: "object", properties: { mode: text } },
  },
  { ...counts, phase: text, conditions: { type: "array", items: condition } },
);
