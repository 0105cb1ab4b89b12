import type { FieldError, JsonObject, KubernetesObject } from "@berth/machinery";
import {
  alreadyExists,
  ApiError,
  badRequest,
  conflict,
  fieldInvalid,
  forbidden,
  generatedName,
  invalid,
  jsonEqual,
  methodNotSupported,
  notFound,
} from "@berth/machinery";
import { managedFieldsAfterUpdate } from "@berth/machinery/server";
import type { Entry } from "../storage/entry.ts";
import { parseEntry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import type { Kind, WriteContext } from "./kind.ts";
import {
  checkIdentityOfBody,
  prepareMetadataForCreate,
  prepareMetadataForUpdate,
  specChanged,
  timestamp,
  validateMetadata,
  validateMetadataUpdate,
} from "./metadata.ts";

export interface WriteOptions {
  fieldValidation: "Strict" | "Warn" | "Ignore";
  /** The object comes with its managed fields: server-side apply has worked them out. */
  managedFieldsKnown?: boolean;
}

/** The object as it stands after a write, in the kind's version: stored bytes, or text of a dry run. */
export interface Written {
  bytes: Buffer;
  /** The stored version, when something was stored or was there already. */
  entry: Entry | undefined;
  created: boolean;
}

/** The object of an entry in the form of a served version. */
export function served(kind: Kind, entry: Entry): KubernetesObject {
  const object = parseEntry(entry);
  return kind.fromStored === undefined ? object : kind.fromStored(object);
}

export function servedBytes(kind: Kind, entry: Entry): Buffer {
  return kind.fromStored === undefined ? entry.bytes : Buffer.from(JSON.stringify(served(kind, entry)));
}

/** An object as it was when it went, at the version of its removal. */
export function removedBytes(object: KubernetesObject, { resourceVersion }: Entry): Buffer {
  return Buffer.from(
    JSON.stringify({ ...object, metadata: { ...object.metadata, resourceVersion: String(resourceVersion) } }),
  );
}

function stored(kind: Kind, object: KubernetesObject): KubernetesObject {
  return kind.toStored === undefined ? object : kind.toStored(object);
}

/** Drops unknown fields, and says so as `fieldValidation` wants. */
export function prune(
  kind: Kind,
  object: KubernetesObject,
  options: WriteOptions,
  context: WriteContext,
): KubernetesObject {
  const pruned = kind.decoding.prune(object);
  const unknown = pruned.unknownFields;
  if (unknown.length === 0 || options.fieldValidation === "Ignore") return pruned.object;
  const words = unknown.map((path) => `unknown field "${path}"`);
  if (options.fieldValidation === "Strict") throw strictDecodingError(kind, words);
  for (const word of words) context.warn(word);
  return pruned.object;
}

/** Runs rules that rely on the schema's types; where these do not hold, the schema's errors are what the user reads. */
function typed<Result>(kind: Kind, object: KubernetesObject, rules: () => Result): Result {
  try {
    return rules();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    const errors = kind.decoding.validate(object, undefined);
    if (errors.length > 0) throw invalid(kind, object.metadata.name, errors);
    throw error;
  }
}

export function strictDecodingError(kind: Kind, problems: readonly string[]): ApiError {
  return badRequest(
    `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: strict decoding error: ${problems.join(", ")}`,
  );
}

/** New objects need their namespace, and one that is not being deleted. */
function admitNamespace(store: Store, kind: Kind, namespace: string, name: string): void {
  const home = store.accepted("namespaces", "", namespace);
  // Where there are only questions, whoever handed them on has the namespaces.
  if (home === undefined && kind.question && store.bucket("namespaces").entries.size === 0) return;
  if (home === undefined) throw notFound({ group: "", resource: "namespaces" }, namespace);
  if (!home.deleting) return;
  const error = forbidden(
    kind,
    name,
    `unable to create new content in namespace ${namespace} because it is being terminated`,
  );
  error.status.details!.causes = [
    {
      reason: "NamespaceTerminating",
      message: `namespace ${namespace} is being terminated`,
      field: "metadata.namespace",
    },
  ];
  throw error;
}

/** Creates an object. All checks are made in one turn of the event loop; the promise waits for durability only. */
export async function create(
  store: Store,
  kind: Kind,
  namespace: string,
  body: unknown,
  options: WriteOptions,
  context: WriteContext,
): Promise<Written> {
  const given = checkIdentityOfBody(kind, body, namespace, "");
  if (given.metadata.resourceVersion !== undefined) {
    throw badRequest("resourceVersion should not be set on objects to be created");
  }
  if (kind.namespaced) admitNamespace(store, kind, namespace, given.metadata.name);
  const generated = given.metadata.name === "" && given.metadata.generateName !== undefined;
  const pruned = prune(kind, given, options, context);
  prepareMetadataForCreate(kind, pruned, context.now);
  if (generated) pruned.metadata.name = generatedName(pruned.metadata.generateName!, Math.random);
  if (kind.status && kind.custom) delete pruned.status;
  const object = typed(kind, pruned, () => {
    kind.strategy.prepareForCreate?.(pruned);
    const defaulted = kind.decoding.default(pruned);
    kind.strategy.admit?.(defaulted, undefined, context);
    context.review?.(kind, defaulted, undefined);
    return defaulted;
  });
  const { metadata } = object;
  if (options.managedFieldsKnown !== true) keepManagedFields(kind, "", object, undefined, context);
  check(kind, object, undefined);
  if (store.accepted(kind.bucket, metadata.namespace ?? "", metadata.name) !== undefined) {
    if (!generated) throw alreadyExists(kind, metadata.name);
    for (let attempt = 0; ; attempt++) {
      if (attempt === 8) throw alreadyExists(kind, metadata.name);
      metadata.name = generatedName(metadata.generateName!, Math.random);
      if (store.accepted(kind.bucket, metadata.namespace ?? "", metadata.name) === undefined) break;
    }
  }
  if (context.dryRun) return { bytes: Buffer.from(JSON.stringify(object)), entry: undefined, created: true };
  const entry = await store.put(kind.bucket, stored(kind, object));
  return { bytes: servedBytes(kind, entry), entry, created: true };
}

/** A built-in object of which a field has another type is no such object: 400, as for what is not JSON. */
function refuseUnreadable(kind: Kind, errors: readonly FieldError[]): void {
  const mistaken = errors.filter(({ type }) => type === "FieldValueTypeInvalid");
  if (mistaken.length === 0) return;
  const words = mistaken.map(({ detail }) => detail).join(", ");
  throw badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${words}`);
}

function check(kind: Kind, object: KubernetesObject, old: KubernetesObject | undefined): void {
  const errors = validateMetadata(kind, object);
  if (old !== undefined) errors.push(...validateMetadataUpdate(object, old));
  const ofSchema = kind.decoding.validate(object, old);
  if (!kind.custom && old === undefined) refuseUnreadable(kind, ofSchema);
  errors.push(...ofSchema);
  // Rules beyond the schema may rely on its types.
  if (errors.length === 0) {
    errors.push(...(kind.strategy.validate?.(object) ?? []));
    if (old !== undefined) errors.push(...(kind.strategy.validateUpdate?.(object, old) ?? []));
  }
  if (errors.length > 0) throw invalid(kind, object.metadata.name, errors);
}

export type Subresource = "" | "status" | "finalize" | "ephemeralcontainers" | "resize" | "scale";

/**
 * Changes an object: `change` gets a copy in the kind's version and returns the wanted object. Nothing is written
 * (and the resource version stays) when it comes out the same. Removes the object when this takes its last finalizer.
 */
export async function update(
  store: Store,
  kind: Kind,
  namespace: string,
  name: string,
  subresource: Subresource,
  change: (current: KubernetesObject) => unknown,
  options: WriteOptions,
  context: WriteContext,
): Promise<Written> {
  const current = store.accepted(kind.bucket, namespace, name);
  if (current === undefined) throw notFound(kind, name);
  const old = served(kind, current);
  const given = checkIdentityOfBody(kind, change(served(kind, current)), namespace, name);
  checkPreconditions(kind, given, current);
  const pruned = prune(kind, given, options, context);
  prepareMetadataForUpdate(pruned, old);
  restrict(kind, subresource, pruned, old);
  const object = typed(kind, pruned, () => {
    const defaulted = kind.decoding.default(pruned);
    if (subresource === "status") kind.strategy.prepareForStatusUpdate?.(defaulted, old);
    else if (subresource !== "finalize") kind.strategy.prepareForUpdate?.(defaulted, old);
    return defaulted;
  });
  const changed = specChanged(object, old, kind.custom && !kind.status);
  if (kind.generation !== "none" && subresource !== "status" && changed) {
    object.metadata.generation = (old.metadata.generation ?? 0) + 1;
  }
  typed(kind, object, () => {
    kind.strategy.admit?.(object, old, context);
    if (subresource === "") context.review?.(kind, object, old);
  });
  if (options.managedFieldsKnown !== true) keepManagedFields(kind, subresource, object, old, context);
  check(kind, object, old);
  if (removable(kind, object)) {
    if (context.dryRun) return { bytes: Buffer.from(JSON.stringify(object)), entry: undefined, created: false };
    const entry = await store.remove(kind.bucket, namespace, name);
    // The answer is what was asked for: the last finalizer is gone.
    return { bytes: removedBytes(object, entry), entry, created: false };
  }
  if (jsonEqual(object, old)) {
    // Waits for the version that is confirmed, which may not be durable yet.
    if (store.get(kind.bucket, namespace, name) !== current) await store.settled();
    return { bytes: servedBytes(kind, current), entry: current, created: false };
  }
  if (context.dryRun) return { bytes: Buffer.from(JSON.stringify(object)), entry: undefined, created: false };
  const entry = await store.put(kind.bucket, stored(kind, object));
  return { bytes: servedBytes(kind, entry), entry, created: false };
}

/** The uid and the resource version that the body names must be those of the stored object. */
function checkPreconditions(kind: Kind, object: KubernetesObject, current: Entry): void {
  const { metadata } = object;
  const { name } = current;
  if (metadata.uid !== undefined && metadata.uid !== current.uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${current.uid}`,
    );
  }
  if (metadata.resourceVersion === undefined) {
    if (!kind.unconditionalUpdate) {
      throw invalid(kind, name, [fieldInvalid("metadata.resourceVersion", 0, "must be specified for an update")]);
    }
    metadata.resourceVersion = String(current.resourceVersion);
  } else if (metadata.resourceVersion !== String(current.resourceVersion)) {
    if (!/^[0-9]+$/.test(metadata.resourceVersion)) {
      throw invalid(kind, name, [
        fieldInvalid(
          "metadata.resourceVersion",
          metadata.resourceVersion,
          "must be the resourceVersion that the server gave",
        ),
      ]);
    }
    throw conflict(kind, name);
  }
}

/** Objects that were never applied have no managed fields, and cost nothing here. */
function keepManagedFields(
  kind: Kind,
  subresource: Subresource,
  object: KubernetesObject,
  old: KubernetesObject | undefined,
  { manager, now }: WriteContext,
): void {
  const { metadata } = object;
  if (metadata.managedFields === undefined && old?.metadata.managedFields === undefined) return;
  const entries = managedFieldsAfterUpdate(
    kind.decoding.schema(),
    old as JsonObject | undefined,
    object as unknown as JsonObject,
    { manager, subresource, now: timestamp(now) },
  );
  if (entries === undefined) delete metadata.managedFields;
  else metadata.managedFields = entries;
}

/** Keeps each subresource to its part of the object. */
function restrict(kind: Kind, subresource: Subresource, object: KubernetesObject, old: KubernetesObject): void {
  const target = object as unknown as Record<string, unknown>;
  const before = old as unknown as Record<string, unknown>;
  const take = (field: string): void => {
    if (before[field] === undefined) delete target[field];
    else target[field] = before[field];
  };
  if (subresource === "status") {
    if (!kind.status) throw methodNotSupported(kind, "update");
    for (const field of new Set([...Object.keys(target), ...Object.keys(before)])) {
      if (field !== "status" && field !== "metadata") take(field);
    }
    if (kind.statusKeepsMetadata) {
      const { metadata } = object;
      for (const field of ["ownerReferences", "finalizers"] as const) {
        if (old.metadata[field] === undefined) delete metadata[field];
        else Object.assign(metadata, { [field]: old.metadata[field] });
      }
    } else {
      const { managedFields = old.metadata.managedFields } = object.metadata;
      target["metadata"] = { ...old.metadata, ...(managedFields === undefined ? {} : { managedFields }) };
    }
  } else if (kind.status) take("status");
}

/** Whether nothing holds an object that is being deleted. */
export function removable(kind: Kind, object: KubernetesObject): boolean {
  const { metadata } = object;
  return (
    metadata.deletionTimestamp !== undefined &&
    (metadata.finalizers ?? []).length === 0 &&
    (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
    (kind.strategy.mayRemove?.(object) ?? true)
  );
}
