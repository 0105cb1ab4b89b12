import type { FieldError, KubernetesObject } from "@berth/machinery";
import {
  badRequest,
  checkDns1123Subdomain,
  checkQualifiedName,
  fieldForbidden,
  fieldInvalid,
  fieldRequired,
  jsonEqual,
  validateAnnotations,
  validateLabels,
} from "@berth/machinery";
import { randomUUID } from "node:crypto";
import type { Kind } from "./kind.ts";
import { apiVersion } from "./kind.ts";

/** RFC 3339 UTC in whole seconds, as metadata writes times. */
export function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** Checks that a body is the kind that its URL says; fills in what may be left out. Throws 400. */
export function checkIdentityOfBody(kind: Kind, body: unknown, namespace: string, name: string): KubernetesObject {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw badRequest(`the body must be a JSON object of kind ${kind.kind}`);
  }
  const object = body as KubernetesObject;
  if (object.kind === undefined || object.kind === "") object.kind = kind.kind;
  if (object.apiVersion === undefined || object.apiVersion === "") object.apiVersion = apiVersion(kind);
  if (object.kind !== kind.kind || object.apiVersion !== apiVersion(kind)) {
    throw badRequest(
      object.apiVersion === apiVersion(kind)
        ? `${object.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: the URL is that of ${kind.resource}`
        : `the API version in the data (${object.apiVersion}) does not match the expected API version (${apiVersion(kind)})`,
    );
  }
  const given: unknown = object.metadata;
  if (given === undefined || given === null) object.metadata = { name: "" };
  else if (typeof given !== "object" || Array.isArray(given)) throw badRequest("metadata must be an object");
  const { metadata } = object;
  for (const field of ["name", "namespace", "generateName", "uid", "resourceVersion"] as const) {
    const value: unknown = metadata[field];
    if (value !== undefined && value !== null && typeof value !== "string") {
      throw badRequest(
        `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: metadata.${field} must be a string`,
      );
    }
    if (value === null || value === "") delete (metadata as unknown as Record<string, unknown>)[field];
  }
  metadata.name ??= "";
  if (kind.namespaced) {
    if (metadata.namespace !== undefined && metadata.namespace !== namespace) {
      throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
    }
    metadata.namespace = namespace;
  } else if (metadata.namespace !== undefined) {
    throw badRequest(`namespace may not be set: ${kind.resource} are not namespaced`);
  }
  if (name !== "") {
    if (metadata.name === "") metadata.name = name;
    else if (metadata.name !== name) {
      throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
    }
  }
  return object;
}

/** Server-set metadata of a new object. */
export function prepareMetadataForCreate(kind: Kind, object: KubernetesObject, now: Date): void {
  const { metadata } = object;
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp(now);
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.resourceVersion;
  clean(object);
  if (kind.generation === "none") delete metadata.generation;
  else metadata.generation = 1;
}

/** Metadata that no update may change. */
export function prepareMetadataForUpdate(object: KubernetesObject, old: KubernetesObject): void {
  const { metadata } = object;
  metadata.uid = old.metadata.uid;
  metadata.creationTimestamp = old.metadata.creationTimestamp;
  for (const field of ["generation", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName"] as const) {
    const value = old.metadata[field];
    if (value === undefined) delete metadata[field];
    else Object.assign(metadata, { [field]: value });
  }
  clean(object);
}

/** Empty members carry no meaning. */
function clean(object: KubernetesObject): void {
  const metadata = object.metadata as unknown as Record<string, unknown>;
  delete metadata["selfLink"];
  for (const field of ["labels", "annotations", "finalizers", "ownerReferences"]) {
    const value = metadata[field];
    if (value === null || (typeof value === "object" && Object.keys(value as object).length === 0)) {
      delete metadata[field];
    }
  }
}

export function validateMetadata(kind: Kind, object: KubernetesObject): FieldError[] {
  const { metadata } = object;
  const errors: FieldError[] = [];
  if (metadata.name === "") {
    errors.push(fieldRequired("metadata.name", "name or generateName is required"));
  } else {
    const check = kind.strategy.validateName ?? checkDns1123Subdomain;
    for (const message of check(metadata.name)) errors.push(fieldInvalid("metadata.name", metadata.name, message));
  }
  errors.push(...stringMap(metadata.labels, "metadata.labels"));
  errors.push(...stringMap(metadata.annotations, "metadata.annotations"));
  if (errors.length === 0) {
    if (metadata.labels !== undefined) errors.push(...validateLabels(metadata.labels, "metadata.labels"));
    if (metadata.annotations !== undefined) {
      errors.push(...validateAnnotations(metadata.annotations, "metadata.annotations"));
    }
  }
  errors.push(...validateFinalizers(metadata.finalizers), ...validateOwners(metadata.ownerReferences));
  return errors;
}

function stringMap(value: unknown, path: string): FieldError[] {
  if (value === undefined) return [];
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [fieldInvalid(path, value, "must be a map of strings")];
  }
  return Object.entries(value)
    .filter(([, one]) => typeof one !== "string")
    .map(([key, one]) => fieldInvalid(`${path}.${key}`, one, "must be a string: put it in quotes"));
}

function validateFinalizers(finalizers: unknown): FieldError[] {
  if (finalizers === undefined) return [];
  const path = "metadata.finalizers";
  if (!Array.isArray(finalizers)) return [fieldInvalid(path, finalizers, "must be a list of strings")];
  return finalizers.flatMap((name: unknown, index) => {
    if (typeof name !== "string") return [fieldInvalid(`${path}[${index}]`, name, "must be a string")];
    if (name === "orphan" || name === "foregroundDeletion" || name === "kubernetes") return [];
    return checkQualifiedName(name).map((message) => fieldInvalid(`${path}[${index}]`, name, message));
  });
}

function validateOwners(owners: unknown): FieldError[] {
  if (owners === undefined) return [];
  const path = "metadata.ownerReferences";
  if (!Array.isArray(owners)) return [fieldInvalid(path, owners, "must be a list")];
  const errors: FieldError[] = [];
  let controllers = 0;
  owners.forEach((owner: Record<string, unknown> | null, index) => {
    for (const field of ["apiVersion", "kind", "name", "uid"]) {
      const value = owner?.[field];
      if (typeof value !== "string" || value === "")
        errors.push(
          fieldInvalid(
            `${path}[${index}].${field}`,
            value ?? "",
            `${field === "apiVersion" ? "version" : field} must not be empty`,
          ),
        );
    }
    if (owner?.["controller"] === true) controllers++;
  });
  if (controllers > 1) {
    errors.push(fieldInvalid(path, owners, "Only one reference can have Controller set to true. Found more than one"));
  }
  return errors;
}

/** What an update may not do to metadata. */
export function validateMetadataUpdate(object: KubernetesObject, old: KubernetesObject): FieldError[] {
  const errors: FieldError[] = [];
  if (old.metadata.deletionTimestamp !== undefined) {
    const before = old.metadata.finalizers ?? [];
    const added = (object.metadata.finalizers ?? []).filter((name) => !before.includes(name));
    if (added.length > 0) {
      errors.push(
        fieldForbidden(
          "metadata.finalizers",
          `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
        ),
      );
    }
  }
  return errors;
}

/** Whether anything but metadata and status differs. */
export function specChanged(object: KubernetesObject, old: KubernetesObject, alsoStatus: boolean): boolean {
  const strip = (one: KubernetesObject): Record<string, unknown> => {
    const copy: Record<string, unknown> = { ...one };
    delete copy["metadata"];
    if (!alsoStatus) delete copy["status"];
    return copy;
  };
  return !jsonEqual(strip(object), strip(old));
}
