import type { FieldError, KubernetesObject } from "@berth/machinery";
import {
  checkDns1123Label,
  checkLabelValue,
  checkQualifiedName,
  compareQuantities,
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  forbidden,
  jsonEqual,
} from "@berth/machinery";
import type { Kind, Strategy } from "../registry/kind.ts";
import { timestamp } from "../registry/metadata.ts";
import { parseEntry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import { defineBuiltin } from "./define.ts";
import { podSummary } from "./pod-summary.ts";

type Json = Record<string, unknown>;

const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);

/** Defaults of a pod's spec that the OpenAPI documents do not tell (core/v1 defaults.go). */
export function defaultPodSpec(spec: Json): void {
  spec["restartPolicy"] ??= "Always";
  spec["dnsPolicy"] ??= "ClusterFirst";
  spec["terminationGracePeriodSeconds"] ??= 30;
  spec["schedulerName"] ??= "default-scheduler";
  spec["securityContext"] ??= {};
  if (spec["serviceAccountName"] !== undefined) spec["serviceAccount"] ??= spec["serviceAccountName"];
  else if (spec["serviceAccount"] !== undefined) spec["serviceAccountName"] = spec["serviceAccount"];
  for (const container of [...list(spec["containers"]), ...list(spec["initContainers"])])
    defaultContainer(container, spec);
  for (const container of list(spec["ephemeralContainers"])) defaultContainer(container, spec);
  for (const volume of list(spec["volumes"])) defaultVolume(volume);
}

function defaultContainer(container: Json, spec: Json): void {
  container["terminationMessagePath"] ??= "/dev/termination-log";
  container["terminationMessagePolicy"] ??= "File";
  container["imagePullPolicy"] ??= pullPolicy(String(container["image"] ?? ""));
  const resources = (container["resources"] ??= {}) as Json;
  const limits = resources["limits"] as Json | undefined;
  if (limits !== undefined) {
    const requests = (resources["requests"] ??= {}) as Json;
    for (const [name, quantity] of Object.entries(limits)) requests[name] ??= quantity;
  }
  for (const port of list(container["ports"])) {
    port["protocol"] ??= "TCP";
    if (spec["hostNetwork"] === true) port["hostPort"] ??= port["containerPort"];
  }
  for (const variable of list(container["env"])) {
    const field = (variable["valueFrom"] as Json | undefined)?.["fieldRef"] as Json | undefined;
    if (field !== undefined) field["apiVersion"] ??= "v1";
  }
  for (const name of ["livenessProbe", "readinessProbe", "startupProbe"]) {
    const probe = container[name] as Json | undefined;
    if (probe === undefined) continue;
    probe["timeoutSeconds"] ??= 1;
    probe["periodSeconds"] ??= 10;
    probe["successThreshold"] ??= 1;
    probe["failureThreshold"] ??= 3;
    const get = probe["httpGet"] as Json | undefined;
    if (get !== undefined) {
      get["path"] ??= "/";
      get["scheme"] ??= "HTTP";
    }
  }
}

function pullPolicy(image: string): string {
  if (image.includes("@")) return "IfNotPresent";
  const tag = image.slice(image.lastIndexOf("/") + 1).split(":")[1];
  return tag === undefined || tag === "latest" ? "Always" : "IfNotPresent";
}

function defaultVolume(volume: Json): void {
  const sources = Object.keys(volume).filter((key) => key !== "name" && volume[key] !== undefined);
  if (sources.length === 0) volume["emptyDir"] = {};
  for (const name of ["configMap", "secret", "downwardAPI", "projected"]) {
    const source = volume[name] as Json | undefined;
    if (source !== undefined) source["defaultMode"] ??= 420;
  }
  const host = volume["hostPath"] as Json | undefined;
  if (host !== undefined) host["type"] ??= "";
  for (const source of list((volume["projected"] as Json | undefined)?.["sources"])) {
    const token = source["serviceAccountToken"] as Json | undefined;
    if (token !== undefined) token["expirationSeconds"] ??= 3600;
  }
  for (const items of [
    volume["downwardAPI"],
    ...list((volume["projected"] as Json | undefined)?.["sources"]).map((one) => one["downwardAPI"]),
  ]) {
    for (const item of list((items as Json | undefined)?.["items"])) {
      const field = item["fieldRef"] as Json | undefined;
      if (field !== undefined) field["apiVersion"] ??= "v1";
    }
  }
}

/** What is required of a pod's spec, in Kubernetes' words. `path` is where the spec stands. */
export function validatePodSpec(
  spec: Json,
  path: string,
  restartPolicies: readonly string[] = ["Always", "OnFailure", "Never"],
): FieldError[] {
  const errors: FieldError[] = [];
  const containers = list(spec["containers"]);
  if (containers.length === 0) errors.push(fieldRequired(`${path}.containers`));
  const names = new Set<string>();
  const volumes = new Set<string>();
  list(spec["volumes"]).forEach((volume, index) => {
    const at = `${path}.volumes[${index}].name`;
    const name = volume["name"];
    if (typeof name !== "string" || name === "") errors.push(fieldRequired(at));
    else if (volumes.has(name)) errors.push(fieldDuplicate(at, name));
    else {
      errors.push(...checkDns1123Label(name).map((message) => fieldInvalid(at, name, message)));
      volumes.add(name);
    }
  });
  for (const field of ["initContainers", "containers"]) {
    list(spec[field]).forEach((container, index) => {
      errors.push(...validateContainer(container, `${path}.${field}[${index}]`, names, volumes));
    });
  }
  const policy = spec["restartPolicy"];
  if (!restartPolicies.includes(String(policy))) {
    errors.push(
      policy === undefined || policy === "Always"
        ? fieldRequired(
            `${path}.restartPolicy`,
            `valid values: ${restartPolicies.map((one) => JSON.stringify(one)).join(", ")}`,
          )
        : fieldNotSupported(`${path}.restartPolicy`, policy, restartPolicies),
    );
  }
  const deadline = spec["activeDeadlineSeconds"];
  if (deadline !== undefined && (!Number.isInteger(deadline) || (deadline as number) < 1)) {
    errors.push(fieldInvalid(`${path}.activeDeadlineSeconds`, deadline, "must be between 1 and 2147483647, inclusive"));
  }
  const grace = spec["terminationGracePeriodSeconds"];
  if (grace !== undefined && (!Number.isInteger(grace) || (grace as number) < 0)) {
    errors.push(fieldInvalid(`${path}.terminationGracePeriodSeconds`, grace, "must be greater than or equal to 0"));
  }
  for (const [key, value] of Object.entries((spec["nodeSelector"] ?? {}) as Json)) {
    const at = `${path}.nodeSelector`;
    errors.push(...checkQualifiedName(key).map((message) => fieldInvalid(at, key, message)));
    errors.push(...checkLabelValue(String(value)).map((message) => fieldInvalid(`${at}.${key}`, value, message)));
  }
  list(spec["tolerations"]).forEach((toleration, index) => {
    const { operator = "Equal" } = toleration;
    const at = `${path}.tolerations[${index}].operator`;
    if (operator !== "Equal" && operator !== "Exists" && operator !== "")
      errors.push(fieldNotSupported(at, operator, ["Equal", "Exists"]));
  });
  const hostname = spec["hostname"];
  if (typeof hostname === "string" && hostname !== "") {
    errors.push(...checkDns1123Label(hostname).map((message) => fieldInvalid(`${path}.hostname`, hostname, message)));
  }
  return errors;
}

function validateContainer(
  container: Json,
  path: string,
  names: Set<string>,
  volumes: ReadonlySet<string>,
): FieldError[] {
  const errors: FieldError[] = [];
  const name = container["name"];
  if (typeof name !== "string" || name === "") errors.push(fieldRequired(`${path}.name`));
  else {
    errors.push(...checkDns1123Label(name).map((message) => fieldInvalid(`${path}.name`, name, message)));
    if (names.has(name)) errors.push(fieldDuplicate(`${path}.name`, name));
    names.add(name);
  }
  const image = container["image"];
  if (typeof image !== "string" || image === "") errors.push(fieldRequired(`${path}.image`));
  else if (image !== image.trim())
    errors.push(fieldInvalid(`${path}.image`, image, "must not have leading or trailing whitespace"));
  const { requests = {}, limits = {} } = (container["resources"] ?? {}) as { requests?: Json; limits?: Json };
  for (const [resource, request] of Object.entries(requests)) {
    const limit = limits[resource];
    if (limit !== undefined && compareQuantities(request as string, limit as string) > 0) {
      const detail = `must be less than or equal to ${resource} limit of ${String(limit)}`;
      errors.push(fieldInvalid(`${path}.resources.requests`, String(request), detail));
    }
  }
  list(container["ports"]).forEach((port, index) => {
    for (const field of ["containerPort", "hostPort"]) {
      const value = port[field];
      if (value === undefined && field === "containerPort")
        errors.push(fieldRequired(`${path}.ports[${index}].containerPort`));
      else if (value !== undefined && ((value as number) < 1 || (value as number) > 65535)) {
        errors.push(fieldInvalid(`${path}.ports[${index}].${field}`, value, "must be between 1 and 65535, inclusive"));
      }
    }
  });
  list(container["volumeMounts"]).forEach((mount, index) => {
    const at = `${path}.volumeMounts[${index}]`;
    if (!volumes.has(String(mount["name"])))
      errors.push({ type: "FieldValueNotFound", field: `${at}.name`, value: mount["name"] ?? "", detail: "" });
    if (typeof mount["mountPath"] !== "string" || mount["mountPath"] === "")
      errors.push(fieldRequired(`${at}.mountPath`));
  });
  list(container["env"]).forEach((variable, index) => {
    if (typeof variable["name"] !== "string" || variable["name"] === "")
      errors.push(fieldRequired(`${path}.env[${index}].name`));
  });
  return errors;
}

const immutableWords =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/** A pod's spec is fixed but for images, the deadline, further tolerations, and a node name that was not set. */
function validatePodUpdate(object: KubernetesObject, old: KubernetesObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = object.spec ?? {};
  const before = old.spec ?? {};
  if (jsonEqual(spec, before)) return errors;
  const allowed = structuredClone(spec);
  for (const field of ["containers", "initContainers"]) {
    const now = list(allowed[field]);
    const then = list(before[field]);
    if (now.length !== then.length)
      return [fieldForbidden(`spec.${field}`, "pod updates may not add or remove containers")];
    now.forEach((container, index) => {
      container["image"] = then[index]!["image"];
    });
  }
  const deadline = spec["activeDeadlineSeconds"] as number | undefined;
  const oldDeadline = before["activeDeadlineSeconds"] as number | undefined;
  if (oldDeadline !== undefined && (deadline === undefined || deadline > oldDeadline)) {
    errors.push(
      deadline === undefined
        ? fieldInvalid("spec.activeDeadlineSeconds", null, "must not update from a positive integer to nil value")
        : fieldInvalid("spec.activeDeadlineSeconds", deadline, "must be less than or equal to previous value"),
    );
  }
  const tolerations = list(spec["tolerations"]);
  const kept = list(before["tolerations"]).every((old) =>
    tolerations.some((one) => jsonEqual({ ...one, tolerationSeconds: 0 }, { ...old, tolerationSeconds: 0 })),
  );
  if (!kept)
    errors.push(
      fieldForbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"),
    );
  for (const field of ["activeDeadlineSeconds", "tolerations"]) {
    if (before[field] === undefined) delete allowed[field];
    else allowed[field] = before[field];
  }
  if (
    list(before["schedulingGates"]).length > 0 &&
    list(spec["schedulingGates"]).length <= list(before["schedulingGates"]).length
  ) {
    allowed["schedulingGates"] = before["schedulingGates"];
    for (const field of ["nodeSelector", "affinity"]) {
      if (before[field] === undefined) delete allowed[field];
      else allowed[field] = before[field];
    }
  }
  if (!jsonEqual(allowed, before)) errors.push(fieldForbidden("spec", immutableWords));
  return errors;
}

function quality(spec: Json): string {
  let guaranteed = true;
  let any = false;
  for (const container of [...list(spec["containers"]), ...list(spec["initContainers"])]) {
    const { requests = {}, limits = {} } = (container["resources"] ?? {}) as { requests?: Json; limits?: Json };
    for (const name of ["cpu", "memory"]) {
      if (requests[name] !== undefined || limits[name] !== undefined) any = true;
      if (
        limits[name] === undefined ||
        (requests[name] !== undefined && String(requests[name]) !== String(limits[name]))
      )
        guaranteed = false;
    }
  }
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

const podStrategy: Strategy = {
  prepareForCreate(object) {
    object.status = { phase: "Pending" };
  },
  prepareForUpdate(object, old) {
    if (old.status?.["qosClass"] !== undefined && object.status !== undefined)
      object.status["qosClass"] = old.status["qosClass"];
  },
  prepareForStatusUpdate(object, old) {
    const status = (object.status ??= {});
    if (old.status?.["qosClass"] !== undefined) status["qosClass"] = old.status["qosClass"];
  },
  admit(object, old, { now }) {
    if (old === undefined && object.spec !== undefined) {
      const { spec } = object;
      if (spec["serviceAccountName"] === undefined || spec["serviceAccountName"] === "") {
        spec["serviceAccountName"] = "default";
        spec["serviceAccount"] = "default";
      }
      object.status = { phase: "Pending", qosClass: quality(spec) };
      if (list(spec["schedulingGates"]).length > 0 && !spec["nodeName"]) {
        object.status["conditions"] = [
          {
            type: "PodScheduled",
            status: "False",
            reason: "SchedulingGated",
            message: "Scheduling is blocked due to non-empty scheduling gates",
            lastTransitionTime: timestamp(now),
          },
        ];
      }
    }
  },
  validate: (object) => validatePodSpec(object.spec ?? {}, "spec"),
  validateUpdate: validatePodUpdate,
  gracePeriodSeconds(object, asked) {
    const phase = object.status?.["phase"];
    if (!object.spec?.["nodeName"] || phase === "Succeeded" || phase === "Failed") return 0;
    return asked ?? Number(object.spec["terminationGracePeriodSeconds"] ?? 30);
  },
};

/** Priority and preemption policy of a pod that names its class, as the Priority admission plugin sets them. */
function prioritize(store: Store, object: KubernetesObject): void {
  const spec = object.spec ?? {};
  const name = spec["priorityClassName"];
  if (typeof name !== "string" || name === "") return;
  const entry = store.accepted("priorityclasses.scheduling.k8s.io", "", name);
  if (entry === undefined) {
    throw forbidden(
      { group: "", resource: "pods" },
      object.metadata.name,
      `no PriorityClass with name ${name} was found`,
    );
  }
  const { value, preemptionPolicy } = parseEntry(entry) as unknown as { value: number; preemptionPolicy?: string };
  spec["priority"] = value;
  spec["preemptionPolicy"] ??= preemptionPolicy ?? "PreemptLowerPriority";
}

/** Pods; `store` is where their priority classes are found. */
export function podKind(store: Store): Kind {
  const none = "<none>";
  return defineBuiltin({
    resource: "pods",
    generation: "spec",
    returnsDeletedObject: true,
    selectable: [
      "spec.nodeName",
      "spec.restartPolicy",
      "spec.schedulerName",
      "spec.serviceAccountName",
      "status.phase",
      "status.podIP",
      "status.nominatedNodeName",
    ],
    selectableValues: { "spec.hostNetwork": (object) => String(object.spec?.["hostNetwork"] ?? false) },
    subresources: ["attach", "binding", "eviction", "exec", "log"],
    columns: [
      { name: "Ready", type: "string", cell: (object, now) => podSummary(object, now).ready },
      { name: "Status", type: "string", cell: (object, now) => podSummary(object, now).reason },
      { name: "Restarts", type: "string", cell: (object, now) => podSummary(object, now).restarts },
      { name: "IP", type: "string", priority: 1, cell: (object) => object.status?.["podIP"] || none },
      { name: "Node", type: "string", priority: 1, cell: (object) => object.spec?.["nodeName"] || none },
      {
        name: "Nominated Node",
        type: "string",
        priority: 1,
        cell: (object) => object.status?.["nominatedNodeName"] || none,
      },
      {
        name: "Readiness Gates",
        type: "string",
        priority: 1,
        cell: (object) =>
          list(object.spec?.["readinessGates"]).length === 0
            ? none
            : String(list(object.spec?.["readinessGates"]).length),
      },
    ],
    default: (object) => {
      const spec = (object.spec ??= {});
      // Of pods alone: a template has no such default.
      spec["enableServiceLinks"] ??= true;
      defaultPodSpec(spec);
    },
    strategy: {
      ...podStrategy,
      admit: (object, old, context) => {
        if (old === undefined) prioritize(store, object);
        podStrategy.admit?.(object, old, context);
      },
    },
  });
}
