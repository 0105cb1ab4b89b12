/** JSON patch (RFC 6902) and JSON merge patch (RFC 7386). Neither changes its arguments. */
import { cloneJson, isObject, jsonEqual, ownValue, setValue } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { ApiError, badRequest, tooLarge } from "./status-error.ts";

const maximumOperations = 10_000;

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

/** A patch that is well formed but does not fit the object. */
export function patchRefused(message: string): ApiError {
  const text = `the server rejected our request due to an error in our request: ${message}`;
  return new ApiError(422, "Invalid", text, { causes: [{ message, field: "patch" }] });
}

/**
 * @throws ApiError BadRequest for what is no patch, Invalid (422) for one that does not fit the target (missing path, failed
 * test), RequestEntityTooLarge for more than 10,000 operations.
 */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest("a JSON patch must be a list of operations");
  if (patch.length > maximumOperations) {
    throw tooLarge(`The allowed maximum operations in a JSON patch is ${maximumOperations}, got ${patch.length}`);
  }
  const operations = patch.map(operationOf);
  const root: JsonObject = { root: cloneJson(target) };
  for (const operation of operations) applyOperation(root, operation);
  return root.root;
}

function operationOf(value: unknown, index: number): Operation {
  const at = `operation ${index} of the JSON patch`;
  if (!isObject(value)) throw badRequest(`${at} must be an object`);
  const { op, path, from } = value;
  const known = ["add", "remove", "replace", "move", "copy", "test"];
  if (typeof op !== "string" || !known.includes(op)) throw badRequest(`${at}: op must be one of ${known.join(", ")}`);
  if (typeof path !== "string") throw badRequest(`${at} (${op}) has no path`);
  if ((op === "move" || op === "copy") && typeof from !== "string") throw badRequest(`${at} (${op}) has no from`);
  if (["add", "replace"].includes(op) && !Object.hasOwn(value, "value")) throw badRequest(`${at} (${op}) has no value`);
  return { op, path, from: from as string | undefined, value: value.value };
}

/** Tokens below the artificial root, so that the whole document has a parent too. */
function tokensOf(pointer: string): string[] {
  if (pointer === "") return ["root"];
  if (!pointer.startsWith("/")) throw patchRefused(`path "${pointer}" must be empty or start with "/"`);
  const tokens = pointer.slice(1).split("/");
  return ["root", ...tokens.map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"))];
}

function itemIndex(token: string, path: string, end: number): number {
  if (!/^-?(0|[1-9]\d*)$/.test(token)) throw patchRefused(`"${token}" in path "${path}" is no index of a list`);
  const number = Number(token);
  // Negative indices count from the end, as the server's library has it.
  const index = number < 0 ? number + end : number;
  if (index < 0 || index >= end) throw patchRefused(`index ${token} in path "${path}" is out of bounds`);
  return index;
}

function childOf(parent: unknown, token: string, path: string): unknown {
  if (Array.isArray(parent)) return parent[itemIndex(token, path, parent.length)];
  if (isObject(parent) && Object.hasOwn(parent, token)) return parent[token];
  throw patchRefused(`path "${path}" does not exist`);
}

function parentOf(root: JsonObject, tokens: string[], path: string): unknown {
  let parent: unknown = root;
  for (const token of tokens.slice(0, -1)) parent = childOf(parent, token, path);
  return parent;
}

function valueAt(root: JsonObject, path: string): unknown {
  const tokens = tokensOf(path);
  return childOf(parentOf(root, tokens, path), tokens.at(-1)!, path);
}

function add(root: JsonObject, path: string, value: unknown): void {
  const tokens = tokensOf(path);
  const parent = parentOf(root, tokens, path);
  const token = tokens.at(-1)!;
  if (Array.isArray(parent)) {
    const index = token === "-" ? parent.length : itemIndex(token, path, parent.length + 1);
    parent.splice(index, 0, value);
  } else if (isObject(parent)) {
    setValue(parent, token, value);
  } else {
    throw patchRefused(`path "${path}" does not lead into an object or a list`);
  }
}

function remove(root: JsonObject, path: string): void {
  const tokens = tokensOf(path);
  const parent = parentOf(root, tokens, path);
  const token = tokens.at(-1)!;
  childOf(parent, token, path);
  if (Array.isArray(parent)) parent.splice(itemIndex(token, path, parent.length), 1);
  else delete (parent as JsonObject)[token];
}

function replace(root: JsonObject, path: string, value: unknown): void {
  const tokens = tokensOf(path);
  const parent = parentOf(root, tokens, path);
  const token = tokens.at(-1)!;
  childOf(parent, token, path);
  if (Array.isArray(parent)) parent[itemIndex(token, path, parent.length)] = value;
  else setValue(parent as JsonObject, token, value);
}

function testValue(root: JsonObject, path: string, value: unknown): void {
  let actual: unknown;
  try {
    actual = valueAt(root, path);
  } catch (error) {
    // A missing member equals null, as the server's library has it.
    if (value === null || value === undefined) return;
    throw error;
  }
  if (!jsonEqual(actual, value ?? null)) throw patchRefused(`testing path "${path}": the value is another`);
}

function applyOperation(root: JsonObject, { op, path, from = "", value }: Operation): void {
  switch (op) {
    case "add":
      return add(root, path, cloneJson(value));
    case "remove":
      return remove(root, path);
    case "replace":
      return replace(root, path, cloneJson(value));
    case "copy":
      return add(root, path, cloneJson(valueAt(root, from)));
    case "move": {
      if (path.startsWith(`${from}/`)) throw patchRefused(`"${from}" cannot be moved into itself`);
      const moved = valueAt(root, from);
      remove(root, from);
      return add(root, path, moved);
    }
    default:
      return testValue(root, path, value);
  }
}

/** The result may share parts with both arguments. @throws ApiError BadRequest when patch is not an object */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) throw badRequest("a merge patch must be an object");
  return merged(target, patch);
}

function merged(target: unknown, patch: JsonObject): JsonObject {
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else setValue(result, key, isObject(value) ? merged(ownValue(result, key), value) : value);
  }
  return result;
}

/** The merge patch that turns `from` into `to`; `undefined` when nothing differs. Nulls in `to` cannot be expressed. */
export function createMergePatch(from: JsonObject, to: JsonObject): JsonObject | undefined {
  const patch: JsonObject = {};
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) setValue(patch, key, null);
  for (const [key, value] of Object.entries(to)) {
    const before = ownValue(from, key);
    if (jsonEqual(before, value)) continue;
    if (isObject(before) && isObject(value)) {
      const inner = createMergePatch(before, value);
      if (inner !== undefined) setValue(patch, key, inner);
    } else {
      setValue(patch, key, value);
    }
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}
