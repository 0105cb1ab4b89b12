/**
 * Strategic merge patch: a merge patch that knows from the schema which lists are merged, and by which key. Directives:
 * `$patch`, `$retainKeys`, `$setElementOrder/LIST`, `$deleteFromPrimitiveList/LIST`. Only built-in kinds have it.
 */
import { isObject, jsonEqual, ownValue, setValue } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { patchRefused } from "./patch.ts";
import { resolveSchema } from "./schema.ts";
import type { Definitions, Schema } from "./schema.ts";
import { badRequest } from "./status-error.ts";

const directive = "$patch";
const retainKeys = "$retainKeys";
const orderPrefix = "$setElementOrder/";
const deletePrefix = "$deleteFromPrimitiveList/";

/** The result may share parts with both arguments. @throws ApiError BadRequest or Invalid (422) */
export function applyStrategicMergePatch(
  target: unknown,
  patch: unknown,
  schema: Schema,
  definitions: Definitions,
): JsonObject {
  if (!isObject(patch)) throw badRequest("a strategic merge patch must be an object");
  return new StrategicMerge(definitions).mergeObject(isObject(target) ? target : {}, patch, schema);
}

interface ListRule {
  merge: boolean;
  mergeKey: string | undefined;
  items: Schema | undefined;
}

class StrategicMerge {
  readonly #definitions: Definitions;

  constructor(definitions: Definitions) {
    this.#definitions = definitions;
  }

  mergeObject(original: JsonObject, patch: JsonObject, schema: Schema | undefined): JsonObject {
    const mode = ownValue(patch, directive);
    if (mode === "replace") return withoutKey(patch, directive);
    if (mode === "delete") return {};
    if (mode !== undefined) throw badPatchType(mode);
    const resolved = schema === undefined ? undefined : resolveSchema(schema, this.#definitions);
    const result = retained(original, patch);
    for (const [key, value] of Object.entries(patch)) {
      if (key === retainKeys || key.startsWith(orderPrefix)) continue;
      if (key.startsWith(deletePrefix)) this.#deletePrimitives(result, key.slice(deletePrefix.length), value);
      else if (value === null) delete result[key];
      else this.#mergeField(result, key, value, patch, resolved);
    }
    for (const [key, order] of Object.entries(patch)) {
      if (!key.startsWith(orderPrefix)) continue;
      const name = key.slice(orderPrefix.length);
      const list = ownValue(result, name);
      if (!Array.isArray(order)) throw badRequest("invalid patch format of setElementOrder list");
      if (!Array.isArray(list)) continue;
      const live = ownValue(original, name);
      const { mergeKey } = this.#listRule(fieldSchema(resolved, name));
      setValue(result, name, ordered(list, order, Array.isArray(live) ? live : [], mergeKey));
    }
    return result;
  }

  #mergeField(result: JsonObject, key: string, value: unknown, patch: JsonObject, schema: Schema | undefined): void {
    const before = ownValue(result, key);
    const field = fieldSchema(schema, key);
    if (isObject(before) && isObject(value)) {
      const replaces = strategies(field).includes("replace");
      setValue(result, key, replaces ? value : this.mergeObject(before, value, field));
    } else if (Array.isArray(before) && Array.isArray(value)) {
      const rule = this.#listRule(field);
      const order = ownValue(patch, orderPrefix + key);
      if (Array.isArray(order)) checkOrder(value, order, rule.mergeKey, key);
      setValue(result, key, rule.merge ? this.#mergeList(before, value, rule, key) : value);
    } else {
      const clean = withoutDirectives(value);
      if (clean === undefined) delete result[key];
      else setValue(result, key, clean);
    }
  }

  #listRule(field: Schema | undefined): ListRule {
    if (field === undefined) return { merge: false, mergeKey: undefined, items: undefined };
    const resolved = resolveSchema(field, this.#definitions);
    return {
      merge: strategies(field).includes("merge"),
      mergeKey: field["x-kubernetes-patch-merge-key"],
      items: resolved.items,
    };
  }

  #deletePrimitives(result: JsonObject, name: string, values: unknown): void {
    if (!Array.isArray(values)) throw badRequest("invalid patch format of primitive list");
    const list = ownValue(result, name);
    if (!Array.isArray(list)) return;
    setValue(
      result,
      name,
      list.filter((one) => !values.some((value) => jsonEqual(one, value))),
    );
  }

  #mergeList(original: unknown[], patch: unknown[], rule: ListRule, name: string): unknown[] {
    if (original.length === 0 && patch.length === 0) return original;
    if ([...original, ...patch].every((one) => !isObject(one))) {
      if ([...original, ...patch].some(Array.isArray)) throw patchRefused("lists of lists are not supported");
      const all = [...new Set([...original, ...patch])];
      return ordered(all, patch, original, undefined);
    }
    const mergeKey = rule.mergeKey;
    if (mergeKey === undefined) throw patchRefused(`cannot merge lists without merge key for ${name}`);
    let merged = original.map((one) => asItem(one, name));
    const additions: JsonObject[] = [];
    let replaces = false;
    for (const one of patch.map((item) => asItem(item, name))) {
      const mode = ownValue(one, directive);
      if (mode === undefined) {
        keyOf(one, mergeKey);
        additions.push(one);
      } else if (mode === "delete") {
        const key = keyOf(one, mergeKey);
        merged = merged.filter((item) => ownValue(item, mergeKey) !== key);
      } else if (mode === "replace") {
        replaces = true;
      } else if (mode === "merge") {
        throw patchRefused("merging lists cannot yet be specified in the patch");
      } else {
        throw badPatchType(mode);
      }
    }
    if (replaces) return additions;
    for (const one of additions) {
      const index = merged.findIndex((item) => ownValue(item, mergeKey) === one[mergeKey]);
      if (index === -1) merged.push(withoutDirectives(one, false) as JsonObject);
      else merged[index] = this.mergeObject(merged[index]!, one, rule.items);
    }
    return ordered(merged, additions, original, mergeKey);
  }
}

function fieldSchema(schema: Schema | undefined, key: string): Schema | undefined {
  const property = schema?.properties?.[key];
  if (property !== undefined) return property;
  const additional = schema?.additionalProperties;
  return typeof additional === "object" ? additional : undefined;
}

function strategies(field: Schema | undefined): string[] {
  return field?.["x-kubernetes-patch-strategy"]?.split(",") ?? [];
}

function badPatchType(mode: unknown): Error {
  return patchRefused(`unknown patch type: ${JSON.stringify(mode)}; it must be "delete", "replace" or "merge"`);
}

function withoutKey(object: JsonObject, key: string): JsonObject {
  const copy = { ...object };
  delete copy[key];
  return copy;
}

/** A copy of the original with only the keys that `$retainKeys` lists, when it is there. */
function retained(original: JsonObject, patch: JsonObject): JsonObject {
  const list = ownValue(patch, retainKeys);
  if (list === undefined) return { ...original };
  if (!Array.isArray(list)) throw badRequest("invalid patch format of retainKeys");
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || key === retainKeys || key.startsWith(deletePrefix) || key.startsWith(orderPrefix)) continue;
    if (!list.includes(key)) throw badRequest("invalid patch format of retainKeys");
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => list.includes(key)));
}

/**
 * What a patch value means where nothing was: without nulls and directives. Objects with `$patch` are left out, too, but not
 * inside items that are new in their list: there Kubernetes takes no notice of the directive.
 */
function withoutDirectives(value: unknown, dropMarked = true): unknown {
  if (Array.isArray(value))
    return value.map((one) => withoutDirectives(one, dropMarked)).filter((one) => one !== undefined);
  if (!isObject(value)) return value;
  if (dropMarked && Object.hasOwn(value, directive)) return undefined;
  const result: JsonObject = {};
  for (const [key, one] of Object.entries(value)) {
    if (one === null || key === directive || key === retainKeys) continue;
    if (key.startsWith(orderPrefix) || key.startsWith(deletePrefix)) continue;
    const clean = withoutDirectives(one, dropMarked);
    if (clean !== undefined) setValue(result, key, clean);
  }
  return result;
}

function asItem(value: unknown, name: string): JsonObject {
  if (!isObject(value)) throw patchRefused(`items of ${name} must all be objects`);
  return value;
}

function keyOf(item: JsonObject, mergeKey: string): unknown {
  const key = ownValue(item, mergeKey);
  if (key === undefined) {
    throw patchRefused(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
  }
  return key;
}

function identity(item: unknown, mergeKey: string | undefined): unknown {
  return mergeKey !== undefined && isObject(item) ? ownValue(item, mergeKey) : item;
}

/** The items of the patch must come in the order of the order list, which must have them all. */
function checkOrder(patch: unknown[], order: unknown[], mergeKey: string | undefined, name: string): void {
  if (patch.length === 0 || order.length === 0) return;
  const wanted = patch.filter((one) => !(isObject(one) && Object.hasOwn(one, directive)));
  let next = 0;
  for (const one of order) {
    if (next < wanted.length && identity(wanted[next], mergeKey) === identity(one, mergeKey)) next++;
  }
  if (next < wanted.length) {
    throw patchRefused(`the order in the patch list of ${name} does not match its $setElementOrder list`);
  }
}

/**
 * Items that the order list has come in its order; the others keep their live order and stand before the first ordered item
 * that followed them in the live list.
 */
function ordered(list: unknown[], order: unknown[], live: unknown[], mergeKey: string | undefined): unknown[] {
  const place = (items: unknown[]): Map<unknown, number> => {
    const places = new Map<unknown, number>();
    for (const [index, one] of items.entries()) {
      const key = identity(one, mergeKey);
      if (!places.has(key)) places.set(key, index);
    }
    return places;
  };
  const orderPlaces = place(order);
  const livePlaces = place(live);
  const key = (one: unknown): unknown => identity(one, mergeKey);
  const by = (places: Map<unknown, number>) => (a: unknown, b: unknown) =>
    (places.get(key(a)) ?? Infinity) - (places.get(key(b)) ?? Infinity) || 0;
  const inOrder = list.filter((one) => orderPlaces.has(key(one))).sort(by(orderPlaces));
  const others = list.filter((one) => !orderPlaces.has(key(one))).sort(by(livePlaces));
  const result: unknown[] = [];
  let other = 0;
  for (const one of inOrder) {
    const limit = livePlaces.get(key(one));
    while (other < others.length && limit !== undefined) {
      const position = livePlaces.get(key(others[other]));
      if (position === undefined || position >= limit) break;
      result.push(others[other++]);
    }
    result.push(one);
  }
  return [...result, ...others.slice(other)];
}
