/**
 * Objects as server-side apply sees them, by their schema: which fields they have, what differs, how two are merged. Lists are
 * atomic unless the schema says set or map; objects are granular unless it says atomic.
 */
import { FieldSet, FieldSetBuilder } from "./field-set.ts";
import type { FieldPath } from "./field-set.ts";
import { isObject, jsonEqual, ownValue, setValue } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { SchemaNode } from "./schema-node.ts";
import { badRequest } from "./status-error.ts";

type Node = SchemaNode | undefined;

function isAtomic(value: unknown, node: Node): boolean {
  if (Array.isArray(value)) {
    const type = node?.schema["x-kubernetes-list-type"];
    return type !== "set" && type !== "map";
  }
  return isObject(value) ? node?.schema["x-kubernetes-map-type"] === "atomic" : true;
}

function fieldNode(node: Node, key: string): Node {
  return node?.properties.get(key) ?? node?.additional;
}

/** The element of an item in a keyed list or a set; keys that are absent count by their default. */
function itemElement(item: unknown, node: Node, path: FieldPath): string {
  const keys = node?.schema["x-kubernetes-list-map-keys"];
  if (node?.schema["x-kubernetes-list-type"] !== "map" || keys === undefined) return `v:${JSON.stringify(item)}`;
  if (!isObject(item)) throw badRequest(`${path.join("/")}: items of a list with keys must be objects`);
  const key: JsonObject = {};
  for (const name of [...keys].sort()) {
    const value = ownValue(item, name) ?? node.items?.properties.get(name)?.schema.default;
    if (value !== undefined) key[name] = value;
  }
  return `k:${JSON.stringify(key)}`;
}

/** All fields that a value has: what an applier of this value owns. */
export function fieldSetOf(value: unknown, node: Node): FieldSet {
  const builder = new FieldSetBuilder();
  collect(value, node, builder);
  return builder.build();
}

function collect(value: unknown, node: Node, builder: FieldSetBuilder): void {
  if (isObject(value)) {
    for (const key of Object.keys(value)) {
      const element = `f:${key}`;
      const one = value[key];
      const child = fieldNode(node, key);
      const empty = one === null || (isObject(one) && Object.keys(one).length === 0);
      // Fields that the schema names are there by their content; entries of maps are members themselves.
      if (empty || isAtomic(one, child) || node?.properties.has(key) !== true) builder.member(element);
      if (!isAtomic(one, child)) collect(one, child, builder.child(element));
    }
  } else if (Array.isArray(value)) {
    for (const item of value) {
      const element = itemElement(item, node, []);
      builder.member(element);
      if (isObject(item) && !isAtomic(item, node?.items)) collect(item, node?.items, builder.child(element));
    }
  }
}

/** Where something is added or removed, all paths down to it count, also those that lead to it. */
export interface Comparison {
  added: FieldSet;
  modified: FieldSet;
  removed: FieldSet;
}

type Builders = Record<keyof Comparison, FieldSetBuilder>;

export function compareValues(before: unknown, after: unknown, node: Node): Comparison {
  const builders = newBuilders();
  descend(before, after, node, builders);
  return {
    added: builders.added.build(),
    modified: builders.modified.build(),
    removed: builders.removed.build(),
  };
}

function newBuilders(): Builders {
  return { added: new FieldSetBuilder(), modified: new FieldSetBuilder(), removed: new FieldSetBuilder() };
}

/** Compares what stands at one element; undefined is absent. */
function compareAt(element: string, before: unknown, after: unknown, node: Node, builders: Builders): void {
  if (before === after) return;
  if (isLeaf(before, after, node)) {
    const present = before !== undefined && after !== undefined;
    if (present && jsonEqual(before, after)) return;
    (present ? builders.modified : before === undefined ? builders.added : builders.removed).member(element);
    return;
  }
  if (before === undefined) builders.added.member(element);
  else if (after === undefined) builders.removed.member(element);
  descend(before, after, node, {
    added: builders.added.child(element),
    modified: builders.modified.child(element),
    removed: builders.removed.child(element),
  });
}

/** A null beside an object or a list with content is one without content. */
function isLeaf(before: unknown, after: unknown, node: Node): boolean {
  const values = [before, after].filter((value) => value !== undefined && value !== null);
  if (values.length === 0) return true;
  if (values.some((value) => isAtomic(value, node))) return true;
  if (values.some(Array.isArray) && !values.every(Array.isArray)) return true;
  return values.every((value) => Object.keys(value as object).length === 0);
}

function descend(before: unknown, after: unknown, node: Node, builders: Builders): void {
  if (Array.isArray(before) || Array.isArray(after)) {
    const old = indexed(Array.isArray(before) ? before : [], node);
    const now = indexed(Array.isArray(after) ? after : [], node);
    for (const element of new Set([...old.keys(), ...now.keys()])) {
      compareAt(element, old.get(element), now.get(element), node?.items, builders);
    }
    return;
  }
  const old = isObject(before) ? before : {};
  const now = isObject(after) ? after : {};
  for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
    compareAt(`f:${key}`, ownValue(old, key), ownValue(now, key), fieldNode(node, key), builders);
  }
}

function indexed(list: unknown[], node: Node): Map<string, unknown> {
  const items = new Map<string, unknown>();
  for (const item of list) {
    const element = itemElement(item, node, []);
    if (!items.has(element)) items.set(element, item);
  }
  return items;
}

/** Every list of a value that has keys must have each key once. @throws ApiError BadRequest */
export function refuseDuplicates(value: unknown, node: Node, path: string): void {
  if (Array.isArray(value)) {
    if (isAtomic(value, node)) return;
    const seen = new Set<string>();
    for (const item of value) {
      const element = itemElement(item, node, [path]);
      if (seen.has(element)) throw badRequest(`${path}: duplicate entries for key ${element.slice(2)}`);
      seen.add(element);
      refuseDuplicates(item, node?.items, `${path}[${element.slice(2)}]`);
    }
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) refuseDuplicates(value[key], fieldNode(node, key), `${path}.${key}`);
  }
}

/** The live value with the applied one laid over it; the applied order of items counts, live ones keep their places between. */
export function mergeValues(live: unknown, applied: unknown, node: Node): unknown {
  if (live === undefined || isAtomic(live, node) || isAtomic(applied, node)) return applied;
  if (isObject(live) && isObject(applied)) {
    const merged: JsonObject = { ...live };
    for (const [key, value] of Object.entries(applied)) {
      setValue(merged, key, mergeValues(ownValue(live, key), value, fieldNode(node, key)));
    }
    return merged;
  }
  return Array.isArray(live) && Array.isArray(applied) ? mergeLists(live, applied, node) : applied;
}

function mergeLists(live: unknown[], applied: unknown[], node: Node): unknown[] {
  const liveElements = live.map((item) => itemElement(item, node, []));
  const liveItems = indexed(live, node);
  const appliedItems = indexed(applied, node);
  const appliedElements = [...appliedItems.keys()];
  const shared = appliedElements.filter((element) => liveItems.has(element));
  const taken = new Set<string>();
  const merged: unknown[] = [];
  let left = 0;
  let right = 0;
  const takeApplied = (element: string): void => {
    taken.add(element);
    merged.push(mergeValues(liveItems.get(element), appliedItems.get(element), node?.items));
    right++;
    if (shared[0] === element) shared.shift();
  };
  while (left < live.length || right < appliedElements.length) {
    const mine = liveElements[left];
    const theirs = appliedElements[right];
    if (mine !== undefined && theirs !== undefined) {
      if (mine === theirs) {
        takeApplied(theirs);
        left++;
        continue;
      }
      // Shared, but not the next in the applied order: it is taken when its turn comes.
      if (appliedItems.has(mine) && shared.length > 0 && shared[0] !== mine) {
        left++;
        continue;
      }
    }
    if (mine !== undefined) {
      if (!appliedItems.has(mine)) {
        merged.push(live[left++]);
        continue;
      }
      if (taken.has(mine)) left++;
    }
    if (theirs !== undefined) takeApplied(theirs);
  }
  return merged;
}

/** The value without the members of a set; containers that lose all they had become null (see {@link withoutNewNulls}). */
export function removeFields(value: unknown, remove: FieldSet, node: Node): unknown {
  if (remove.isEmpty || isAtomic(value, node)) return value;
  if (isObject(value)) {
    const result: JsonObject = {};
    for (const [key, one] of Object.entries(value)) {
      const element = `f:${key}`;
      if (remove.members.has(element)) continue;
      const below = remove.children.get(element);
      const kept = below === undefined ? one : removeFields(one, below, fieldNode(node, key));
      setValue(result, key, kept);
    }
    return Object.keys(result).length === 0 ? null : result;
  }
  if (!Array.isArray(value)) return value;
  const items: unknown[] = [];
  for (const item of value) {
    const element = itemElement(item, node, []);
    if (remove.members.has(element)) continue;
    const below = remove.children.get(element);
    const kept = below === undefined ? item : removeFields(item, below, node?.items);
    items.push(kept);
  }
  return items.length === 0 ? null : items;
}

/** Without the nulls that removing left where containers were. */
export function withoutNewNulls(value: unknown, original: unknown): unknown {
  if (value === original || !isObject(value) || !isObject(original)) return value;
  const result: JsonObject = {};
  for (const [key, one] of Object.entries(value)) {
    const before = ownValue(original, key);
    if (one !== null || before === null) setValue(result, key, withoutNewNulls(one, before));
  }
  return result;
}

/** With the empty containers that a configuration has and removing took along: without them a second apply would change it. */
export function withContainersOf(value: unknown, configuration: unknown): unknown {
  if (!isObject(value) || !isObject(configuration)) return value;
  let result = value;
  for (const [key, wanted] of Object.entries(configuration)) {
    if (typeof wanted !== "object" || wanted === null) continue;
    const present = ownValue(value, key);
    const kept = present === undefined ? wanted : withContainersOf(present, wanted);
    if (kept === present) continue;
    if (result === value) result = { ...value };
    setValue(result, key, kept);
  }
  return result;
}

/** The set with the named fields that lead to its members as members, which sets usually leave out. */
export function withNamedFields(set: FieldSet, node: Node): FieldSet {
  const members = new Set(set.members);
  const children = new Map<string, FieldSet>();
  for (const [element, child] of set.children) {
    const name = element.startsWith("f:") ? element.slice(2) : undefined;
    if (name !== undefined && node?.properties.has(name) === true) members.add(element);
    children.set(element, withNamedFields(child, name === undefined ? node?.items : fieldNode(node, name)));
  }
  return new FieldSet(members, children);
}
