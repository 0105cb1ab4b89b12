/** All that is put on a real cluster, from one pure function: `berth install`, the chart and plain manifests are the same objects. */
import type { KubernetesObject } from "@berth/machinery";
import { admissionPolicies, admissionPolicyBindings } from "../admission-policies.ts";
import { systemNamespace } from "../constants.ts";
import { customResourceDefinitions } from "../custom-resource-definitions.ts";
import { mutatingManifests, validatingManifests } from "./admission.ts";
import { type ControllersSettings, controllersManifests } from "./controllers.ts";
import { formatAnnotation, installationFormat, managedByLabel, partOfLabel, versionLabel } from "./labels.ts";
import { mutatingPolicies } from "./mutations.ts";
import { namespacePolicy } from "./namespace-policy.ts";
import { validatingPolicies, volcanoJobsPolicy } from "./policies.ts";
import { accessManifests } from "./roles.ts";
import { volcanoDefinitions } from "./volcano-kinds.ts";
import { webhookManifests } from "./webhook.ts";

/** How policies are kept: by refusal with the line to add, or by filling that line in where it is missing, by the server or by us. */
export type PolicyLevel = "policies" | "mutating" | "webhook";

export interface ManifestSettings extends ControllersSettings {
  level: PolicyLevel;
  /** Version of admissionregistration.k8s.io in which the server has MutatingAdmissionPolicy; with level `mutating`. */
  mutatingVersion?: string;
  version: string;
  /** Jobs and Queues of Volcano's are run; absent: they are not. */
  volcano?: VolcanoSettings;
  /** What makes the objects: `berth`, or `Helm`. */
  managedBy: string;
}

export interface VolcanoSettings {
  /** Names of definitions that somebody else has put there: they stay as they are. */
  left: readonly string[];
}

function namespaceManifest(): KubernetesObject {
  const podSecurity = Object.fromEntries(
    ["enforce", "audit", "warn"].map((mode) => [`pod-security.kubernetes.io/${mode}`, "restricted"]),
  );
  return { apiVersion: "v1", kind: "Namespace", metadata: { name: systemNamespace, labels: podSecurity } };
}

function definitionManifests(): KubernetesObject[] {
  return customResourceDefinitions.map((definition) =>
    withMetadata(definition, { annotations: { [formatAnnotation]: String(installationFormat) } }),
  );
}

/** Where the cluster has none of these. */
function volcanoKinds(volcano: VolcanoSettings | undefined): KubernetesObject[] {
  if (volcano === undefined) return [];
  return volcanoDefinitions.filter(({ metadata }) => !volcano.left.includes(metadata.name));
}

function withMetadata(object: KubernetesObject, metadata: Partial<KubernetesObject["metadata"]>): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, ...metadata } };
}

function policyManifests({ level, volcano }: ManifestSettings, mutatingVersion = "v1"): KubernetesObject[] {
  return [
    // What holds wherever Workloads are, on the embedded server too.
    ...admissionPolicies,
    ...admissionPolicyBindings,
    ...validatingPolicies.flatMap(validatingManifests),
    ...(volcano === undefined ? [] : validatingManifests(volcanoJobsPolicy)),
    ...namespacePolicy,
    ...(level === "webhook" ? webhookManifests() : []),
    ...(level === "mutating" ? mutatingPolicies.flatMap((policy) => mutatingManifests(policy, mutatingVersion)) : []),
  ];
}

/** Objects in the order in which they are to be made. */
export function manifests(settings: ManifestSettings): KubernetesObject[] {
  const labels = { [managedByLabel]: settings.managedBy, [partOfLabel]: "berth", [versionLabel]: settings.version };
  return [
    namespaceManifest(),
    ...definitionManifests(),
    ...volcanoKinds(settings.volcano),
    ...accessManifests({ hasVolcano: settings.volcano !== undefined, hasWebhook: settings.level === "webhook" }),
    // Nobody may come before what keeps them.
    ...policyManifests(settings, settings.mutatingVersion),
    ...controllersManifests(settings, settings.level === "webhook"),
  ].map((object) => withMetadata(object, { labels: { ...labels, ...object.metadata.labels } }));
}
