/**
 * Server-side apply and field managers (KEP-555). Fields are tracked from the first apply of an object on: what was there
 * before belongs to the manager `before-first-apply`. One version a kind is assumed: nothing is converted.
 */
import type { CompiledSchema } from "./compiled-schema.ts";
import { FieldSet, renderFieldPath } from "./field-set.ts";
import type { FieldPath } from "./field-set.ts";
import { isObject, jsonEqual } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { SchemaNode } from "./schema-node.ts";
import { applyConflict, badRequest } from "./status-error.ts";
import {
  compareValues,
  fieldSetOf,
  mergeValues,
  refuseDuplicates,
  removeFields,
  withContainersOf,
  withNamedFields,
  withoutNewNulls,
} from "./typed-value.ts";

export interface ManagedFieldsEntry {
  manager: string;
  operation: "Apply" | "Update";
  apiVersion: string;
  time?: string;
  fieldsType: "FieldsV1";
  fieldsV1: JsonObject;
  subresource?: string;
}

export interface FieldManagerOptions {
  /** `fieldManager` of the request, or the user agent's part before `/`. */
  manager: string;
  /** `status`, `scale`; absent for the object itself. */
  subresource?: string;
  /** RFC 3339, whole seconds. */
  now: string;
}

interface Manager {
  manager: string;
  operation: "Apply" | "Update";
  apiVersion: string;
  subresource: string;
  time: string | undefined;
  set: FieldSet;
}

const maximumUpdateManagers = 10;
const beforeFirstApply = "before-first-apply";
const ancientChanges = "ancient-changes";
const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration";

const metadataFields =
  "name namespace creationTimestamp selfLink uid clusterName generation managedFields resourceVersion";
/** Fields that nobody manages. */
const unmanaged = FieldSet.of([
  ["f:apiVersion"],
  ["f:kind"],
  ["f:metadata"],
  ...metadataFields.split(" ").map((name) => ["f:metadata", `f:${name}`]),
]);

/**
 * The managed fields after an update (create, PUT, any patch but apply): the manager takes over what it changed. Undefined for
 * objects that are not tracked. `live` is undefined on create. An update may set `managedFields` to `[{}]` to end the tracking.
 */
export function managedFieldsAfterUpdate(
  schema: CompiledSchema,
  live: JsonObject | undefined,
  updated: JsonObject,
  options: FieldManagerOptions,
): ManagedFieldsEntry[] | undefined {
  const asked = managedFieldsOf(updated);
  if (asked?.length === 1 && isObject(asked[0]) && Object.keys(asked[0]).length === 0) return undefined;
  const read = decode(asked);
  const managers = read.length > 0 ? read : decode(managedFieldsOf(live));
  if (managers.length === 0) return undefined;
  const result = takeOver(managers, bare(live ?? {}), bare(updated), schema.node, {
    ...options,
    apiVersion: String(updated.apiVersion ?? ""),
  });
  const entries = encode(capped(result));
  return entries.length === 0 ? undefined : entries;
}

export interface Applied {
  object: JsonObject;
  /** False when the object is as it was: nothing is to be written. */
  changed: boolean;
}

/**
 * Applies a configuration: the object with its new managed fields, before defaults. `live` is undefined when the object is to
 * be made. Fields that the endpoint ignores (status on the main resource) must be taken out of the configuration before.
 * @throws ApiError Conflict with a cause for each field of another manager, unless forced; BadRequest
 */
export function serverSideApply(
  schema: CompiledSchema,
  live: JsonObject | undefined,
  configuration: JsonObject,
  options: FieldManagerOptions & { force: boolean },
): Applied {
  const { node } = schema;
  if (isObject(configuration.metadata) && configuration.metadata.managedFields !== undefined) {
    throw badRequest("metadata.managedFields must be nil");
  }
  refuseDuplicates(configuration, node, "");
  const apiVersion = String(configuration.apiVersion ?? "");
  const { manager, subresource = "", now } = options;
  const present = bare(live ?? {});
  let managers = decode(managedFieldsOf(live));
  if (managers.length === 0 && live !== undefined) {
    managers = takeOver([], {}, present, node, { manager: beforeFirstApply, now, apiVersion });
  }
  const isOwn = (one: Manager): boolean =>
    one.operation === "Apply" && one.manager === manager && one.subresource === subresource;
  const own = managers.find(isOwn);
  const set = fieldSetOf(configuration, node);
  const others = managers.filter((one) => !isOwn(one));
  const merged = mergeValues(live === undefined ? undefined : present, configuration, node) as JsonObject;
  const pruned = withoutAbandoned(merged, own?.set, [set, ...others.map((one) => one.set)], node);

  const comparison = compareValues(present, pruned, node);
  const object = withContainersOf(withoutNewNulls(pruned, merged), configuration) as JsonObject;
  const changes = comparison.modified.union(comparison.added);
  const conflicts = others.flatMap((one) =>
    [...one.set.intersection(changes).paths()].map((path) => ({ manager: one, path })),
  );
  if (!options.force && conflicts.length > 0) {
    const allowed = manager === "kubectl" ? fieldsLastApplied(present, node) : new FieldSet();
    const refused = conflicts.filter(({ path }) => !allowed.has(path));
    if (refused.length > 0) throw conflictError(refused);
  }
  const changed = live === undefined || !jsonEqual(present, object);
  const lost = changes.union(comparison.removed);
  const time = changed || own === undefined ? now : own.time;
  const result = [
    ...without(others, lost),
    { manager, operation: "Apply" as const, apiVersion, subresource, time, set: set.difference(unmanaged) },
  ];
  const managedFields = encode(result);
  const metadata: JsonObject = { ...(object.metadata as JsonObject | undefined), managedFields };
  if (managedFields.length === 0) delete metadata.managedFields;
  const same = !changed && jsonEqual(managedFields, managedFieldsOf(live) ?? []);
  return { object: { ...object, metadata }, changed: !same };
}

/**
 * Removes what the manager applied last time, does not apply now, and nobody else manages. Three steps, because removing a
 * container must neither take along what others own below it nor what the manager never owned.
 */
function withoutAbandoned(
  merged: JsonObject,
  last: FieldSet | undefined,
  owned: FieldSet[],
  node: SchemaNode,
): JsonObject {
  if (last === undefined || last.isEmpty) return merged;
  const full = (set: FieldSet): FieldSet => withNamedFields(set, node);
  const mergedSet = full(fieldSetOf(merged, node));
  const stripped = removeFields(merged, full(last), node) ?? {};
  const managed = full(owned.reduce((all, set) => all.union(set)));
  const kept = full(fieldSetOf(stripped, node)).union(managed);
  const withOwned = removeFields(merged, mergedSet.difference(kept), node) ?? {};
  const abandoned = mergedSet.difference(full(fieldSetOf(withOwned, node))).intersection(full(last));
  return (removeFields(merged, abandoned, node) ?? {}) as JsonObject;
}

/** What client-side `kubectl apply` set and what still is as it set it: server-side apply by kubectl may take that over. */
function fieldsLastApplied(live: JsonObject, node: SchemaNode): FieldSet {
  const annotations = isObject(live.metadata) ? live.metadata.annotations : undefined;
  const text = isObject(annotations) ? annotations[lastAppliedAnnotation] : undefined;
  if (typeof text !== "string") return new FieldSet();
  try {
    const applied = JSON.parse(text) as JsonObject;
    const { added, modified, removed } = compareValues(applied, live, node);
    return fieldSetOf(applied, node).difference(added).difference(modified).difference(removed);
  } catch {
    // An annotation that cannot be read allows nothing.
    return new FieldSet();
  }
}

function takeOver(
  managers: Manager[],
  live: JsonObject,
  updated: JsonObject,
  node: SchemaNode,
  { manager, subresource = "", now, apiVersion }: FieldManagerOptions & { apiVersion: string },
): Manager[] {
  const { added, modified, removed } = compareValues(live, updated, node);
  const changes = modified.union(added);
  const lost = changes.union(removed);
  const rest = without(managers, lost);
  const taken = changes.difference(unmanaged);
  if (taken.isEmpty) return rest;
  const own = rest.find(
    (one) =>
      one.operation === "Update" &&
      one.manager === manager &&
      one.subresource === subresource &&
      one.apiVersion === apiVersion,
  );
  const entry: Manager = {
    manager,
    operation: "Update",
    apiVersion,
    subresource,
    time: now,
    set: own === undefined ? taken : own.set.union(taken),
  };
  return [...rest.filter((one) => one !== own), entry];
}

function without(managers: Manager[], lost: FieldSet): Manager[] {
  return managers.map((one) => Object.assign({}, one, { set: one.set.difference(lost) }));
}

/** At most ten managers of updates: the oldest are joined into one. */
function capped(managers: Manager[]): Manager[] {
  const updates = managers.filter((one) => one.operation === "Update" && !one.set.isEmpty);
  if (updates.length <= maximumUpdateManagers) return managers;
  const oldest = updates
    .sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? -1 : 1))
    .slice(0, updates.length - maximumUpdateManagers + 1);
  const joined = oldest.reduce((all, one) => all.union(one.set), new FieldSet());
  const last = oldest.at(-1)!;
  const entry: Manager = { ...last, manager: ancientChanges, subresource: "", set: joined };
  return [...managers.filter((one) => !oldest.includes(one)), entry];
}

function managedFieldsOf(object: JsonObject | undefined): unknown[] | undefined {
  const metadata = object?.metadata;
  const fields = isObject(metadata) ? metadata.managedFields : undefined;
  return Array.isArray(fields) ? fields : undefined;
}

function bare(object: JsonObject): JsonObject {
  if (!isObject(object.metadata) || object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function decode(entries: unknown[] | undefined): Manager[] {
  return (entries ?? []).filter(isObject).map((entry) => ({
    manager: String(entry.manager ?? ""),
    operation: entry.operation === "Apply" ? "Apply" : "Update",
    apiVersion: String(entry.apiVersion ?? ""),
    subresource: String(entry.subresource ?? ""),
    time: typeof entry.time === "string" ? entry.time : undefined,
    set: FieldSet.fromJson(entry.fieldsV1),
  }));
}

function encode(managers: Manager[]): ManagedFieldsEntry[] {
  const order = (one: Manager): string =>
    [one.operation, one.time ?? "", one.manager, one.apiVersion, one.subresource].join("\0");
  return managers
    .filter((one) => !one.set.isEmpty)
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
    .map(({ manager, operation, apiVersion, subresource, time, set }) => {
      const entry: ManagedFieldsEntry = {
        manager,
        operation,
        apiVersion,
        fieldsType: "FieldsV1",
        fieldsV1: set.toJson(),
      };
      if (time !== undefined) entry.time = time;
      if (subresource !== "") entry.subresource = subresource;
      return entry;
    });
}

function conflictError(conflicts: { manager: Manager; path: FieldPath }[]): Error {
  const causes = conflicts.map(({ manager, path }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with ${describe(manager)}`,
    field: renderFieldPath(path),
  }));
  if (conflicts.length === 1) {
    return applyConflict(causes, `Apply failed with 1 conflict: ${causes[0]!.message}: ${causes[0]!.field}`);
  }
  const lines: string[] = [];
  const groups = Map.groupBy(conflicts, ({ manager }) => describe(manager));
  for (const who of [...groups.keys()].sort()) {
    lines.push(`conflicts with ${who}:`);
    for (const { path } of groups.get(who)!) lines.push(`- ${renderFieldPath(path)}`);
  }
  return applyConflict(causes, `Apply failed with ${conflicts.length} conflicts: ${lines.join("\n")}`);
}

function describe({ manager, operation, apiVersion, subresource, time }: Manager): string {
  const name = JSON.stringify(manager) + (subresource === "" ? "" : ` with subresource ${JSON.stringify(subresource)}`);
  if (operation === "Apply") return name;
  return time === undefined ? `${name} using ${apiVersion}` : `${name} using ${apiVersion} at ${time}`;
}
