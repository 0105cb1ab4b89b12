/**
 * Sets of field paths, as `managedFields` stores them (`FieldsV1`). A path is a list of elements in their serialized form:
 * `f:name` a field, `k:{"name":"a"}` an item of a keyed list, `v:"x"` an item of a set.
 */
import { isObject, setValue } from "./json.ts";
import type { JsonObject } from "./json.ts";

export type FieldPath = readonly string[];

/** Immutable once built: operations give new sets, which may share parts. */
export class FieldSet {
  readonly members: ReadonlySet<string>;
  readonly children: ReadonlyMap<string, FieldSet>;

  constructor(members: ReadonlySet<string> = new Set(), children: ReadonlyMap<string, FieldSet> = new Map()) {
    this.members = members;
    this.children = new Map([...children].filter(([, child]) => !child.isEmpty));
  }

  get isEmpty(): boolean {
    return this.members.size === 0 && this.children.size === 0;
  }

  static of(paths: Iterable<FieldPath>): FieldSet {
    const builder = new FieldSetBuilder();
    for (const path of paths) builder.insert(path);
    return builder.build();
  }

  /** Reads `fieldsV1`; what is no such object is the empty set. */
  static fromJson(json: unknown): FieldSet {
    const members = new Set<string>();
    const children = new Map<string, FieldSet>();
    for (const [element, value] of Object.entries(isObject(json) ? json : {})) {
      if (element === "." || !isObject(value)) continue;
      const keys = Object.keys(value);
      if (keys.length === 0 || Object.hasOwn(value, ".")) members.add(element);
      if (keys.some((key) => key !== ".")) children.set(element, FieldSet.fromJson(value));
    }
    return new FieldSet(members, children);
  }

  toJson(): JsonObject {
    const json: JsonObject = {};
    for (const element of [...new Set([...this.members, ...this.children.keys()])].sort()) {
      const child = this.children.get(element);
      const below = child?.toJson() ?? {};
      setValue(json, element, child !== undefined && this.members.has(element) ? { ".": {}, ...below } : below);
    }
    return json;
  }

  has(path: FieldPath): boolean {
    const [element, ...rest] = path;
    if (element === undefined) return false;
    return rest.length === 0 ? this.members.has(element) : (this.children.get(element)?.has(rest) ?? false);
  }

  union(other: FieldSet): FieldSet {
    const children = new Map(this.children);
    for (const [element, child] of other.children) children.set(element, children.get(element)?.union(child) ?? child);
    return new FieldSet(this.members.union(other.members), children);
  }

  intersection(other: FieldSet): FieldSet {
    const children = new Map<string, FieldSet>();
    for (const [element, child] of this.children) {
      const theirs = other.children.get(element);
      if (theirs !== undefined) children.set(element, child.intersection(theirs));
    }
    return new FieldSet(this.members.intersection(other.members), children);
  }

  difference(other: FieldSet): FieldSet {
    const children = new Map<string, FieldSet>();
    for (const [element, child] of this.children) {
      const theirs = other.children.get(element);
      children.set(element, theirs === undefined ? child : child.difference(theirs));
    }
    return new FieldSet(this.members.difference(other.members), children);
  }

  *paths(prefix: FieldPath = []): Generator<FieldPath> {
    for (const element of this.members) yield [...prefix, element];
    for (const [element, child] of this.children) yield* child.paths([...prefix, element]);
  }
}

/** Collects paths; cheaper than a union for each. */
export class FieldSetBuilder {
  readonly #members = new Set<string>();
  readonly #children = new Map<string, FieldSetBuilder>();

  insert(path: FieldPath): void {
    const [element, ...rest] = path;
    if (rest.length === 0) this.#members.add(element!);
    else this.child(element!).insert(rest);
  }

  member(element: string): void {
    this.#members.add(element);
  }

  child(element: string): FieldSetBuilder {
    let child = this.#children.get(element);
    if (child === undefined) {
      child = new FieldSetBuilder();
      this.#children.set(element, child);
    }
    return child;
  }

  build(): FieldSet {
    return new FieldSet(
      this.#members,
      new Map([...this.#children].map(([element, child]) => [element, child.build()])),
    );
  }
}

/** `.spec.containers[name="a"].image` */
export function renderFieldPath(path: FieldPath): string {
  return path.map(renderElement).join("");
}

function renderElement(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith("f:")) return `.${rest}`;
  if (element.startsWith("v:")) return `[=${rest}]`;
  if (!element.startsWith("k:")) return `[${rest}]`;
  const keys = Object.entries(JSON.parse(rest) as JsonObject).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `[${keys.join(",")}]`;
}
