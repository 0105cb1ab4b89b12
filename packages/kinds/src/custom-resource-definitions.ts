/** The CustomResourceDefinitions that a real kube-apiserver and the embedded one both take. */
import type { KubernetesObject, ResourceKey } from "@berth/machinery";
import { group, questionsGroup, version } from "./constants.ts";
import type { KindDefinition, Schema } from "./definition.ts";
import { accountDefinition, membershipDefinition } from "./account.ts";
import { explanationDefinition } from "./explanation.ts";
import { fairShareDefinition } from "./fair-share.ts";
import { inquiryDefinition } from "./inquiry.ts";
import { nodeViewDefinition } from "./node-view.ts";
import { qualityOfServiceDefinition } from "./quality-of-service.ts";
import { queueViewDefinition } from "./queue-view.ts";
import { queueDefinition } from "./queue.ts";
import { reservationDefinition } from "./reservation.ts";
import { siteDefinition } from "./site.ts";
import { startEstimateDefinition } from "./start-estimate.ts";
import { usageCheckpointDefinition } from "./usage.ts";
import { workloadDefinition } from "./workload-definition.ts";

export const kindDefinitions: readonly KindDefinition[] = [
  workloadDefinition,
  queueDefinition,
  accountDefinition,
  membershipDefinition,
  qualityOfServiceDefinition,
  reservationDefinition,
  siteDefinition,
  usageCheckpointDefinition,
];

function schemaOf(definition: KindDefinition): Schema {
  return {
    type: "object",
    description: definition.description,
    required: ["spec"],
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec: definition.spec,
      ...(definition.status === undefined ? {} : { status: definition.status }),
    },
    ...(definition.rules === undefined ? {} : { "x-kubernetes-validations": definition.rules }),
  };
}

/** `apiextensions.k8s.io/v1` CustomResourceDefinition of one kind. */
export function customResourceDefinition(definition: KindDefinition, of: string = group): KubernetesObject {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${definition.plural}.${of}` },
    spec: {
      group: of,
      scope: definition.namespaced ? "Namespaced" : "Cluster",
      names: {
        plural: definition.plural,
        singular: definition.singular,
        kind: definition.kind,
        listKind: `${definition.kind}List`,
        ...(definition.shortNames === undefined ? {} : { shortNames: definition.shortNames }),
        ...(definition.categories === undefined ? {} : { categories: definition.categories }),
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schemaOf(definition) },
          ...(definition.status === undefined ? {} : { subresources: { status: {} } }),
          ...(definition.selectable === undefined
            ? {}
            : { selectableFields: definition.selectable.map((jsonPath) => ({ jsonPath })) }),
          additionalPrinterColumns: definition.columns,
        },
      ],
    },
  };
}

export const customResourceDefinitions: readonly KubernetesObject[] = kindDefinitions.map((definition) =>
  customResourceDefinition(definition),
);

/**
 * Kinds that are asked and never stored, in the same form. They are no CustomResourceDefinitions: a real kube-apiserver would
 * store their objects.
 */
export const questionDefinitions: readonly KubernetesObject[] = [
  customResourceDefinition(startEstimateDefinition, questionsGroup),
];

/**
 * Kinds that are read and never stored: a get or list of them becomes an Inquiry, which the leader answers from memory. Who may
 * list what `seenWhollyBy` names is told everything.
 */
export const viewDefinitions: {
  inquiry: KubernetesObject;
  kinds: readonly KubernetesObject[];
  seenWhollyBy: { group: string; resource: string };
} = {
  inquiry: customResourceDefinition(inquiryDefinition, questionsGroup),
  kinds: [explanationDefinition, queueViewDefinition, nodeViewDefinition, fairShareDefinition].map((definition) =>
    customResourceDefinition(definition, questionsGroup),
  ),
  seenWhollyBy: { group, resource: workloadDefinition.plural },
};

function key(definition: KindDefinition, of = group): ResourceKey {
  return { group: of, version, resource: definition.plural, kind: definition.kind, namespaced: definition.namespaced };
}

/** Resources of Berth's kinds, as clients name them. */
export const workloads: ResourceKey = key(workloadDefinition);
export const queues: ResourceKey = key(queueDefinition);
export const accounts: ResourceKey = key(accountDefinition);
export const memberships: ResourceKey = key(membershipDefinition);
export const qualitiesOfService: ResourceKey = key(qualityOfServiceDefinition);
export const reservations: ResourceKey = key(reservationDefinition);
export const sites: ResourceKey = key(siteDefinition);
export const usageCheckpoints: ResourceKey = key(usageCheckpointDefinition);
export const startEstimates: ResourceKey = key(startEstimateDefinition, questionsGroup);
export const explanations: ResourceKey = key(explanationDefinition, questionsGroup);
export const queueViews: ResourceKey = key(queueViewDefinition, questionsGroup);
export const inquiries: ResourceKey = key(inquiryDefinition, questionsGroup);
export const nodeViews: ResourceKey = key(nodeViewDefinition, questionsGroup);
export const fairShares: ResourceKey = key(fairShareDefinition, questionsGroup);
