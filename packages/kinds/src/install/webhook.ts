/**
 * The third way to fill in what the policies would else ask for: a webhook that the controllers serve, where the server has no
 * MutatingAdmissionPolicy. What it may not let pass is refused by the policies still, so that nothing depends on it: while it does not
 * answer, requests go on without (`failurePolicy: Ignore`), and hear what to add.
 */
import type { KubernetesObject } from "@berth/machinery";
import { annotations, group, labels, questionsServiceName, systemNamespace } from "../constants.ts";
import { exemptNamespaces, notBerth, notKubelet, type ResourceRule } from "./admission.ts";
import { schedulerName } from "./pod-rules.ts";
import { cronJobResources, heldJobResources, podResources, servedResources, templateResources } from "./policies.ts";

/** Of the MutatingWebhookConfiguration. */
export const webhookName = "berth-fill";
/** Of its one webhook. */
export const webhookFullName = `fill.${group}`;
/** Of the Service of the controllers. */
export const webhookServicePort = 9443;
export const webhookPath = "/fill";
/** What the API server calls who serves it. */
export const webhookServerName = `${questionsServiceName}.${systemNamespace}.svc`;

const onCreate = (rules: readonly ResourceRule[]): ResourceRule[] =>
  rules.map((rule) => ({ ...rule, operations: ["CREATE"] }));

export function webhookManifests(): KubernetesObject[] {
  return [
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      metadata: { name: webhookName },
      webhooks: [
        {
          name: webhookFullName,
          admissionReviewVersions: ["v1"],
          sideEffects: "None",
          failurePolicy: "Ignore",
          timeoutSeconds: 2,
          matchPolicy: "Equivalent",
          reinvocationPolicy: "IfNeeded",
          namespaceSelector: {
            matchExpressions: [{ key: "kubernetes.io/metadata.name", operator: "NotIn", values: exemptNamespaces }],
          },
          matchConditions: [notBerth, notKubelet],
          rules: [
            ...onCreate([...podResources, ...templateResources, ...cronJobResources]),
            ...servedResources.map((rule): ResourceRule => ({ ...rule, operations: ["UPDATE"] })),
          ],
          // Who serves it sets caBundle.
          clientConfig: {
            service: {
              name: questionsServiceName,
              namespace: systemNamespace,
              port: webhookServicePort,
              path: webhookPath,
            },
          },
        },
      ],
    } as unknown as KubernetesObject,
  ];
}

type Fields = Record<string, unknown>;

export interface Patch {
  op: "add" | "replace";
  path: string;
  value: unknown;
}

export interface FillRequest {
  operation: string;
  /** As `request.resource` says it. */
  resource: { group: string; resource: string };
  object: KubernetesObject;
  /** Of the namespace. */
  annotations: Readonly<Record<string, string>>;
}

/** What a managed namespace's object lacks, as JSON Patch (RFC 6902); the same as the MutatingAdmissionPolicies do. */
export function fillIn({ operation, resource, object, annotations: said }: FillRequest): Patch[] {
  if ((said[annotations.owner] ?? "") === "") return [];
  const covers = (rules: readonly ResourceRule[]): boolean =>
    rules.some(
      ({ apiGroups, resources }) => apiGroups.includes(resource.group) && resources.includes(resource.resource),
    );
  const patches: Patch[] = [];
  if (operation === "CREATE") {
    if (covers(podResources)) patches.push(...fillPod(object, ["spec"], said));
    if (covers(templateResources)) patches.push(...fillPod(object, ["spec", "template", "spec"], said));
    if (covers(cronJobResources))
      patches.push(...fillPod(object, ["spec", "jobTemplate", "spec", "template", "spec"], said));
    if (covers(heldJobResources)) patches.push(...hold(object));
  }
  if (covers(servedResources)) patches.push(...passOn(object));
  return patches;
}

function at(object: unknown, path: readonly string[]): Fields {
  return (path.reduce<unknown>((found, name) => (found as Fields | undefined)?.[name], object) ?? {}) as Fields;
}

const pointer = (path: readonly (string | number)[]): string =>
  path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
const add = (path: readonly (string | number)[], value: unknown): Patch => ({ op: "add", path: pointer(path), value });

function fillPod(object: KubernetesObject, path: string[], said: Readonly<Record<string, string>>): Patch[] {
  const spec = at(object, path);
  const patches: Patch[] = [];
  if (((spec["schedulerName"] as string | undefined) ?? "default-scheduler") === "default-scheduler")
    patches.push(add([...path, "schedulerName"], schedulerName));
  const [uid = "", gid = "", groups = ""] = [annotations.uid, annotations.gid, annotations.groups].map(
    (key) => said[key],
  );
  const identity: Fields = {
    ...(uid === "" ? {} : { runAsUser: Number(uid) }),
    ...(gid === "" ? {} : { runAsGroup: Number(gid) }),
    ...(uid === "" || said[annotations.groupsPolicy] === "Merge" ? {} : { supplementalGroupsPolicy: "Strict" }),
    ...(groups === "" ? {} : { supplementalGroups: groups.split(",").map(Number) }),
  };
  const security = (spec["securityContext"] ?? {}) as Fields;
  const lacking = Object.entries(identity).filter(([key]) => security[key] === undefined || security[key] === null);
  if (lacking.length > 0)
    patches.push(add([...path, "securityContext"], { ...security, ...Object.fromEntries(lacking) }));
  for (const list of ["containers", "initContainers"]) {
    for (const [index, container] of ((spec[list] ?? []) as Fields[]).entries()) {
      const own = (container["securityContext"] ?? {}) as Fields;
      if (typeof own["allowPrivilegeEscalation"] === "boolean") continue;
      const allowPrivilegeEscalation = own["privileged"] === true;
      patches.push(add([...path, list, index, "securityContext"], { ...own, allowPrivilegeEscalation }));
    }
  }
  return patches;
}

const queueOf = (metadata: Fields): string | undefined =>
  (metadata["labels"] as Fields | undefined)?.[labels.queue] as string | undefined;

/** A Job that is held as one. */
function hold(object: KubernetesObject): Patch[] {
  const isHeld =
    queueOf(at(object, ["metadata"])) !== undefined &&
    queueOf(at(object, ["spec", "template", "metadata"])) === undefined;
  return isHeld ? [add(["spec", "suspend"], true)] : [];
}

/** Each replica waits in the queue that its owner's label names. */
function passOn(object: KubernetesObject): Patch[] {
  const queue = queueOf(at(object, ["metadata"]));
  const path = ["spec", "template", "metadata"];
  const metadata = at(object, path);
  if (queue === undefined || queueOf(metadata) === queue) return [];
  const now = { ...(metadata["labels"] as Fields | undefined), [labels.queue]: queue };
  return [add(path, { ...metadata, labels: now })];
}
