/** Pruning and defaulting. Values are copied where they change, never changed in place. */
import { cloneJson, setValue } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { SchemaNode } from "./schema-node.ts";

const metaFields = new Set(["apiVersion", "kind", "metadata"]);

/**
 * The value without what the schema does not know and without nulls that it does not allow; paths of unknown fields are
 * added to `unknown`. Built-in scalars come out in canonical form.
 */
export function pruneValue(value: unknown, node: SchemaNode | undefined, path: string, unknown: string[]): unknown {
  if (node !== undefined && !node.pruning) return value;
  if (typeof value !== "object" || value === null) return node?.canonical === undefined ? value : node.canonical(value);
  return Array.isArray(value)
    ? pruneList(value, node, path, unknown)
    : pruneObject(value as JsonObject, node, path, unknown);
}

function pruneList(list: unknown[], node: SchemaNode | undefined, path: string, unknown: string[]): unknown[] {
  const items = node?.items;
  if (items !== undefined && !items.pruning) return list;
  if (items === undefined && node?.open === true) return list;
  let result = list;
  for (let index = 0; index < list.length; index++) {
    const pruned = pruneValue(list[index], items, `${path}[${index}]`, unknown);
    if (pruned === list[index]) continue;
    if (result === list) result = [...list];
    result[index] = pruned;
  }
  return result;
}

function pruneObject(object: JsonObject, node: SchemaNode | undefined, path: string, unknown: string[]): JsonObject {
  let result = object;
  for (const key of Object.keys(object)) {
    if (node?.embedded === true && metaFields.has(key)) continue;
    const child = node?.properties.get(key) ?? node?.additional;
    const value = object[key];
    if (child === undefined) {
      if (node?.open === true) continue;
      unknown.push(path === "" ? key : `${path}.${key}`);
    } else if (value !== null || child.nullable) {
      if (!child.pruning) continue;
      const pruned = pruneValue(value, child, path === "" ? key : `${path}.${key}`, unknown);
      if (pruned === value) continue;
      if (result === object) result = { ...object };
      setValue(result, key, pruned);
      continue;
    }
    if (result === object) result = { ...object };
    delete result[key];
  }
  return result;
}

/** The value with the schema's defaults set where fields are absent. */
export function defaultValue(value: unknown, node: SchemaNode): unknown {
  if (!node.defaulting || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items = node.items;
    if (items === undefined || !items.defaulting) return value;
    let result = value;
    for (let index = 0; index < value.length; index++) {
      const one = value[index] === null && !items.nullable ? cloneJson(items.schema.default ?? null) : value[index];
      const set = defaultValue(one, items);
      if (set === value[index]) continue;
      if (result === value) result = [...value];
      result[index] = set;
    }
    return result;
  }
  const object = value as JsonObject;
  let result = object;
  for (const [key, byDefault] of node.defaults) {
    if (Object.hasOwn(object, key)) continue;
    if (result === object) result = { ...object };
    setValue(result, key, cloneJson(byDefault));
  }
  for (const key of Object.keys(result)) {
    const child = node.properties.get(key) ?? node.additional;
    if (child === undefined || !child.defaulting) continue;
    const set = defaultValue(result[key], child);
    if (set === result[key]) continue;
    if (result === object) result = { ...object };
    setValue(result, key, set);
  }
  return result;
}
