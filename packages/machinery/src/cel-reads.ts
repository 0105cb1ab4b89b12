/**
 * What a rule reads, from its tree: so that only that is handed to it, and so that a rule which forbids a change need not run where
 * nothing of what it reads has changed.
 */
import { celFieldName } from "./cel-value.ts";
import { isObject, jsonEqual, ownValue } from "./json.ts";

/** A node of the parser's tree. */
interface Tree {
  op: string;
  args: unknown;
}

/** `self.spec.nice` is `["spec", "nice"]` of `self`. */
interface Place {
  variable: "self" | "oldSelf";
  keys: string[];
}

/** Keys of what is read below each variable. */
export interface Reads {
  self: readonly string[][];
  oldSelf: readonly string[][];
}

/** A place whose value must be the same before and after; where it may be absent, it may be so on both sides. */
export interface Sameness {
  keys: string[];
  mayBeAbsent: boolean;
}

function isTree(value: unknown): value is Tree {
  return isObject(value) && typeof value["op"] === "string" && "args" in value;
}

/** What the two objects are called. */
type Names = Readonly<Record<Place["variable"], string>>;
const namesOfRules: Names = { self: "self", oldSelf: "oldSelf" };

function variableOf(name: unknown, names: Names): Place["variable"] | undefined {
  return name === names.self ? "self" : name === names.oldSelf ? "oldSelf" : undefined;
}

function placeOf(tree: unknown, names = namesOfRules): Place | undefined {
  if (!isTree(tree)) return undefined;
  if (tree.op === "id") {
    const variable = variableOf(tree.args, names);
    return variable && { variable, keys: [] };
  }
  if (tree.op !== "." || !Array.isArray(tree.args)) return undefined;
  const [below, key] = tree.args as [unknown, unknown];
  const place = placeOf(below, names);
  // A name that is spelled anew for CEL is another one in JSON.
  if (place === undefined || typeof key !== "string" || celFieldName(key) !== key) return undefined;
  return { variable: place.variable, keys: [...place.keys, key] };
}

/** All places that a rule reads; undefined when it uses a variable as a whole. */
export function readsOf(tree: unknown, names = namesOfRules): Reads | undefined {
  const reads: { self: string[][]; oldSelf: string[][] } = { self: [], oldSelf: [] };
  const visit = (node: unknown): boolean => {
    if (Array.isArray(node)) return node.every(visit);
    if (!isTree(node)) return true;
    const place = placeOf(node, names);
    if (place === undefined) return visit(node.args);
    if (place.keys.length === 0) return false;
    reads[place.variable].push(place.keys);
    return true;
  };
  return visit(tree) ? reads : undefined;
}

/**
 * What is enough for a rule to be true without running it: that these places are the same before and after. Undefined where that
 * proves nothing. Follows the rule's form only: `==` of one place with itself, `has()` of it likewise, `&&`, `||`.
 */
export function provenBySameness(tree: unknown): Sameness[] | undefined {
  if (!isTree(tree) || !Array.isArray(tree.args)) return undefined;
  const [left, right] = tree.args as [unknown, unknown];
  if (tree.op === "==") return samePlace(left, right, false) ?? samePlace(hasOf(left), hasOf(right), true);
  if (tree.op === "&&") {
    const first = provenBySameness(left);
    const second = provenBySameness(right);
    return first === undefined || second === undefined ? undefined : [...first, ...second];
  }
  if (tree.op !== "||") return undefined;
  const guarded = isTree(left) && left.op === "!_" ? placeOf(hasOf(left.args)) : undefined;
  const proof = provenBySameness(right);
  // `!has(x) || x == y` holds also where both are absent.
  if (guarded !== undefined && proof?.length === 1 && jsonEqual(proof[0]!.keys, guarded.keys)) {
    return [{ keys: guarded.keys, mayBeAbsent: true }];
  }
  return proof ?? provenBySameness(left);
}

function samePlace(left: unknown, right: unknown, mayBeAbsent: boolean): Sameness[] | undefined {
  const one = placeOf(left);
  const other = placeOf(right);
  if (one === undefined || other === undefined || one.keys.length === 0) return undefined;
  return jsonEqual(one.keys, other.keys) ? [{ keys: one.keys, mayBeAbsent }] : undefined;
}

/** What `has(…)` asks for. */
function hasOf(tree: unknown): unknown {
  if (!isTree(tree) || tree.op !== "call" || !Array.isArray(tree.args)) return undefined;
  const [name, words] = tree.args as [unknown, unknown];
  return name === "has" && Array.isArray(words) ? words[0] : undefined;
}

/** Whether all of the places are the same in both values, which are JSON. */
export function areSame(places: readonly Sameness[], value: unknown, old: unknown): boolean {
  return places.every(({ keys, mayBeAbsent }) => {
    let now = value;
    let before = old;
    for (const [index, key] of keys.entries()) {
      if (!isObject(now) || !isObject(before)) return false;
      now = ownValue(now, key);
      before = ownValue(before, key);
      if (now === undefined && before === undefined) return mayBeAbsent && index === keys.length - 1;
    }
    return jsonEqual(now, before);
  });
}
