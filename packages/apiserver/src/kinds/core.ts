import type { FieldError, KubernetesObject } from "@berth/machinery";
import {
  checkConfigMapKey,
  checkDns1035Label,
  checkDns1123Label,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  forbidden,
  jsonEqual,
} from "@berth/machinery";
import type { Kind } from "../registry/kind.ts";
import type { Printable } from "./define.ts";
import { defineBuiltin } from "./define.ts";
import { defaultPodSpec } from "./pod.ts";

type Json = Record<string, unknown>;
const none = "<none>";
const size = (value: unknown): number => Object.keys((value ?? {}) as object).length;
const fieldsOf = (object: KubernetesObject): Json => object as unknown as Json;

/** A ConfigMap or Secret holds at most 1 MiB. */
const largestDataBytes = 1 << 20;

function validateData(object: KubernetesObject): FieldError[] {
  const errors: FieldError[] = [];
  let total = 0;
  for (const field of ["data", "binaryData"]) {
    for (const [key, value] of Object.entries((fieldsOf(object)[field] ?? {}) as Json)) {
      errors.push(...checkConfigMapKey(key).map((message) => fieldInvalid(`${field}[${key}]`, key, message)));
      total += String(value).length;
    }
  }
  if (total > largestDataBytes * 1.4) {
    errors.push({ type: "FieldValueTooLong", field: "", detail: `may not be more than ${largestDataBytes} bytes` });
  }
  return errors;
}

/** Keys that a Secret of a type must have, all of a group or one of it. */
const secretKeys: Record<string, { all?: string[]; any?: string[] }> = {
  "kubernetes.io/tls": { all: ["tls.crt", "tls.key"] },
  "kubernetes.io/ssh-auth": { all: ["ssh-privatekey"] },
  "kubernetes.io/dockercfg": { all: [".dockercfg"] },
  "kubernetes.io/dockerconfigjson": { all: [".dockerconfigjson"] },
  "kubernetes.io/basic-auth": { any: ["username", "password"] },
};

function validateSecretType(object: KubernetesObject): FieldError[] {
  const { type, data = {} } = fieldsOf(object) as { type?: string; data?: Json };
  const { all = [], any = [] } = secretKeys[type ?? ""] ?? {};
  const missing = any.some((key) => key in data) ? [] : any;
  return [...all.filter((key) => !(key in data)), ...missing].map((key) => fieldRequired(`data[${key}]`));
}

function validateLease(object: KubernetesObject): FieldError[] {
  const { leaseDurationSeconds, leaseTransitions } = (object.spec ?? {}) as Record<string, number | undefined>;
  const errors: FieldError[] = [];
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0)
    errors.push(fieldInvalid("spec.leaseDurationSeconds", leaseDurationSeconds, "must be greater than 0"));
  if (leaseTransitions !== undefined && leaseTransitions < 0)
    errors.push(fieldInvalid("spec.leaseTransitions", leaseTransitions, "must be greater than or equal to 0"));
  return errors;
}

function validateImmutable(object: KubernetesObject, old: KubernetesObject): FieldError[] {
  const now = fieldsOf(object);
  const before = fieldsOf(old);
  const errors: FieldError[] = [];
  if (before["immutable"] === true) {
    if (now["immutable"] !== true)
      errors.push(fieldForbidden("immutable", "field is immutable when `immutable` is set"));
    for (const field of ["data", "binaryData"]) {
      if (!jsonEqual(now[field] ?? {}, before[field] ?? {})) {
        errors.push(fieldForbidden(field, "field is immutable when `immutable` is set"));
      }
    }
  }
  return errors;
}

function nodeStatus(object: Printable): string {
  const conditions: Json[] = (object.status?.["conditions"] as Json[]) ?? [];
  const ready = conditions.find((one) => one["type"] === "Ready");
  const words = [ready === undefined ? "Unknown" : ready["status"] === "True" ? "Ready" : "NotReady"];
  if (object.spec?.["unschedulable"] === true) words.push("SchedulingDisabled");
  return words.join(",");
}

function nodeAddress(object: Printable, type: string): string {
  const addresses = (object.status?.["addresses"] ?? []) as Json[];
  return String(addresses.find((one) => one["type"] === type)?.["address"] ?? none);
}

function nodeRoles(object: Printable): string {
  const roles = Object.entries(object.metadata.labels ?? {}).flatMap(([key, value]) =>
    key.startsWith("node-role.kubernetes.io/")
      ? [key.slice("node-role.kubernetes.io/".length)]
      : key === "kubernetes.io/role"
        ? [value]
        : [],
  );
  return roles.length === 0 ? none : [...new Set(roles)].sort().join(",");
}

const taintEffects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

function validateTaints(object: KubernetesObject): FieldError[] {
  return ((object.spec?.["taints"] ?? []) as { effect?: string }[]).flatMap(({ effect }, index) =>
    taintEffects.includes(effect ?? "")
      ? []
      : [fieldNotSupported(`metadata.taints[${index}].effect`, effect ?? "", taintEffects)],
  );
}

const immortalNamespaces = new Set(["default", "kube-system", "kube-public"]);

const nodeInfo = (name: string) => (object: Printable) =>
  ((object.status?.["nodeInfo"] ?? {}) as Json)[name] || "<unknown>";

/** Built-in kinds that are data: no rules of their own beyond what stands here. */
export function coreKinds(): Kind[] {
  return [
    defineBuiltin({
      resource: "configmaps",
      columns: [{ name: "Data", type: "string", cell: (object) => size(object["data"]) + size(object["binaryData"]) }],
      strategy: { validate: validateData, validateUpdate: validateImmutable },
    }),
    defineBuiltin({
      resource: "secrets",
      selectable: ["type"],
      columns: [
        { name: "Type", type: "string", cell: (object) => object["type"] },
        { name: "Data", type: "string", cell: (object) => size(object["data"]) },
      ],
      default: (object) => {
        const secret = fieldsOf(object);
        secret["type"] ??= "Opaque";
        const plain = secret["stringData"];
        if (typeof plain === "object" && plain !== null) {
          const data = { ...(secret["data"] as Json | undefined) };
          for (const [key, value] of Object.entries(plain)) data[key] = Buffer.from(String(value)).toString("base64");
          secret["data"] = data;
        }
        delete secret["stringData"];
      },
      strategy: {
        validate: (object) => [...validateData(object), ...validateSecretType(object)],
        validateUpdate: (object, old) => {
          const errors = validateImmutable(object, old);
          if (fieldsOf(object)["type"] !== fieldsOf(old)["type"]) {
            errors.push(fieldInvalid("type", fieldsOf(object)["type"], "field is immutable"));
          }
          return errors;
        },
      },
    }),
    defineBuiltin({
      resource: "serviceaccounts",
      returnsDeletedObject: true,
      subresources: ["token"],
    }),
    defineBuiltin({
      resource: "leases",
      group: "coordination.k8s.io",
      unconditionalUpdate: false,
      strategy: { validate: validateLease },
      columns: [{ name: "Holder", type: "string", cell: (object) => object.spec?.["holderIdentity"] ?? "" }],
    }),
    defineBuiltin({
      resource: "nodes",
      selectable: ["spec.unschedulable"],
      default: (object) => {
        const status = object.status;
        if (status?.["capacity"] !== undefined) status["allocatable"] ??= status["capacity"];
      },
      strategy: { validate: validateTaints },
      columns: [
        { name: "Status", type: "string", cell: nodeStatus },
        { name: "Roles", type: "string", cell: nodeRoles },
        { name: "Version", type: "string", afterAge: true, cell: (object) => nodeInfo("kubeletVersion")(object) },
        { name: "Internal-IP", type: "string", priority: 1, cell: (object) => nodeAddress(object, "InternalIP") },
        { name: "External-IP", type: "string", priority: 1, cell: (object) => nodeAddress(object, "ExternalIP") },
        { name: "OS-Image", type: "string", priority: 1, cell: nodeInfo("osImage") },
        { name: "Kernel-Version", type: "string", priority: 1, cell: nodeInfo("kernelVersion") },
        { name: "Container-Runtime", type: "string", priority: 1, cell: nodeInfo("containerRuntimeVersion") },
      ],
    }),
    defineBuiltin({
      resource: "services",
      returnsDeletedObject: true,
      selectable: ["spec.clusterIP", "spec.type"],
      default: (object) => {
        const spec = (object.spec ??= {});
        spec["type"] ??= "ClusterIP";
        spec["sessionAffinity"] ??= "None";
        // No addresses are handed out here: every service is headless.
        if (spec["type"] !== "ExternalName") spec["clusterIP"] ??= "None";
        for (const port of (spec["ports"] ?? []) as Json[]) {
          port["protocol"] ??= "TCP";
          port["targetPort"] ??= port["port"];
        }
        object.status ??= { loadBalancer: {} };
      },
      columns: [
        { name: "Type", type: "string", cell: (object) => object.spec?.["type"] },
        { name: "Cluster-IP", type: "string", cell: (object) => object.spec?.["clusterIP"] || none },
        { name: "External-IP", type: "string", cell: (object) => object.spec?.["externalName"] || none },
        {
          name: "Port(s)",
          type: "string",
          cell: (object) =>
            ((object.spec?.["ports"] ?? []) as Json[]).map((port) => `${port["port"]}/${port["protocol"]}`).join(",") ||
            none,
        },
        {
          name: "Selector",
          type: "string",
          priority: 1,
          cell: (object) =>
            Object.entries((object.spec?.["selector"] ?? {}) as Json)
              .map(([key, value]) => `${key}=${String(value)}`)
              .join(",") || none,
        },
      ],
      strategy: { validateName: checkDns1035Label },
    }),
    defineBuiltin({
      resource: "endpoints",
      columns: [
        {
          name: "Endpoints",
          type: "string",
          cell: (object) =>
            ((object["subsets"] ?? []) as { addresses?: Json[]; ports?: Json[] }[])
              .flatMap((one) =>
                (one.addresses ?? []).flatMap((address) =>
                  (one.ports ?? [{}]).map((port) =>
                    port["port"] === undefined ? String(address["ip"]) : `${address["ip"]}:${port["port"]}`,
                  ),
                ),
              )
              .join(",") || none,
        },
      ],
    }),
    defineBuiltin({
      resource: "persistentvolumeclaims",
      returnsDeletedObject: true,
      default: (object) => {
        object.status ??= { phase: "Pending" };
        (object.spec ??= {})["volumeMode"] ??= "Filesystem";
      },
      columns: [
        { name: "Status", type: "string", cell: (object) => object.status?.["phase"] ?? "" },
        { name: "Volume", type: "string", cell: (object) => object.spec?.["volumeName"] ?? "" },
        {
          name: "Capacity",
          type: "string",
          cell: (object) => ((object.status?.["capacity"] ?? {}) as Json)["storage"] ?? "",
        },
        {
          name: "Access Modes",
          type: "string",
          cell: (object) => ((object.spec?.["accessModes"] ?? []) as string[]).join(","),
        },
        { name: "StorageClass", type: "string", cell: (object) => object.spec?.["storageClassName"] ?? "" },
      ],
    }),
    defineBuiltin({
      resource: "podtemplates",
      returnsDeletedObject: true,
      default: (object) => {
        const template = fieldsOf(object)["template"] as { spec?: Json } | undefined;
        if (template?.spec !== undefined) defaultPodSpec(template.spec);
      },
    }),
    defineBuiltin({
      resource: "controllerrevisions",
      group: "apps",
      columns: [
        {
          name: "Controller",
          type: "string",
          cell: (object) => {
            const owner = object.metadata.ownerReferences?.find((one) => one.controller === true);
            return owner === undefined ? none : `${owner.kind.toLowerCase()}/${owner.name}`;
          },
        },
        { name: "Revision", type: "integer", cell: (object) => object["revision"] },
      ],
    }),
    defineBuiltin({
      resource: "priorityclasses",
      group: "scheduling.k8s.io",
      default: (object) => {
        fieldsOf(object)["preemptionPolicy"] ??= "PreemptLowerPriority";
      },
      columns: [
        { name: "Value", type: "integer", cell: (object) => object["value"] },
        { name: "Global-Default", type: "boolean", cell: (object) => object["globalDefault"] ?? false },
        { name: "PreemptionPolicy", type: "string", cell: (object) => object["preemptionPolicy"] },
      ],
    }),
    defineBuiltin({
      resource: "namespaces",
      selectable: ["status.phase"],
      returnsDeletedObject: true,
      subresources: ["finalize"],
      columns: [{ name: "Status", type: "string", cell: (object) => object.status?.["phase"] }],
      default: (object) => {
        object.metadata.labels = { ...object.metadata.labels, "kubernetes.io/metadata.name": object.metadata.name };
      },
      strategy: {
        validateName: checkDns1123Label,
        prepareForCreate: (object) => {
          object.spec = { finalizers: ["kubernetes"] };
          object.status = { phase: "Active" };
        },
        prepareForUpdate: (object, old) => {
          object.spec = { ...object.spec, finalizers: old.spec?.["finalizers"] };
          object.status = old.status;
        },
        beforeDelete: (object) => {
          const { name } = object.metadata;
          if (immortalNamespaces.has(name))
            throw forbidden({ group: "", resource: "namespaces" }, name, "this namespace may not be deleted");
          object.status = { ...object.status, phase: "Terminating" };
        },
        mayRemove: (object) => ((object.spec?.["finalizers"] ?? []) as string[]).length === 0,
      },
    }),
  ];
}

/** Kinds that are asked, never stored: their creation is answered by an action. */
export function reviewKinds(): Kind[] {
  return [
    ...["selfsubjectaccessreviews", "subjectaccessreviews", "localsubjectaccessreviews", "selfsubjectrulesreviews"].map(
      (resource) => defineBuiltin({ group: "authorization.k8s.io", resource }),
    ),
    ...["selfsubjectreviews", "tokenreviews"].map((resource) =>
      defineBuiltin({ group: "authentication.k8s.io", resource }),
    ),
  ];
}
