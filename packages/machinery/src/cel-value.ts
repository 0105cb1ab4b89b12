/** JSON values as CEL sees them, by their schema: integers, times, durations, field names that CEL can spell. */
import { parseDuration } from "./formats.ts";
import { isObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { SchemaNode } from "./schema-node.ts";

const reserved = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);
const escapes: Record<string, string> = { __: "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__" };

/** The name by which a rule reaches a field (`a-b` as `a__dash__b`), undefined where it cannot. */
export function celFieldName(name: string): string | undefined {
  if (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) && !name.includes("__")) return reserved.has(name) ? `__${name}__` : name;
  if (!/^[a-zA-Z_./-][a-zA-Z0-9_./-]*$/.test(name)) return undefined;
  return name.replace(/__|[./-]/g, (match) => escapes[match]!);
}

/** Makes a CEL duration of whole nanoseconds. */
export type MakeDuration = (text: string) => unknown;

/** The CEL value of a JSON value; parts that need no change are shared. */
export function celValue(value: unknown, node: SchemaNode | undefined, makeDuration: MakeDuration): unknown {
  switch (typeof value) {
    case "number":
      if (node !== undefined && node.types.includes("number") && !node.types.includes("integer")) return value;
      return Number.isInteger(value) ? BigInt(value) : value;
    case "string":
      return celText(value, node?.schema.format, makeDuration);
    case "object":
      if (value === null) return null;
      return Array.isArray(value)
        ? value.map((one) => celValue(one, node?.items, makeDuration))
        : celObject(value as JsonObject, node, makeDuration);
    default:
      return value;
  }
}

function celText(text: string, format: string | undefined, makeDuration: MakeDuration): unknown {
  if (format === undefined) return text;
  if (format === "date-time" || format === "date") {
    const time = new Date(text);
    return Number.isNaN(time.getTime()) ? text : time;
  }
  if (format === "duration") return parseDuration(text) === undefined ? text : makeDuration(text);
  return format === "byte" ? new Uint8Array(Buffer.from(text, "base64")) : text;
}

function celObject(object: JsonObject, node: SchemaNode | undefined, makeDuration: MakeDuration): JsonObject {
  const result: JsonObject = Object.create(null) as JsonObject;
  for (const key of Object.keys(object)) {
    const property = node?.properties.get(key);
    // Keys of maps are data and stay; only names of fields are spelled anew.
    const name = property === undefined ? key : celFieldName(key);
    if (name !== undefined) result[name] = celValue(object[key], property ?? node?.additional, makeDuration);
  }
  return result;
}

/**
 * As `celValue`, of an object only what stands at these places, none of which is the whole; `keys` are names in JSON. What is on the way
 * to a place that is absent stays, so that a rule finds the same absent.
 */
export function celProjection(
  object: JsonObject,
  node: SchemaNode | undefined,
  places: readonly (readonly string[])[],
  makeDuration: MakeDuration,
): JsonObject {
  const result: JsonObject = Object.create(null) as JsonObject;
  for (const key of new Set(places.map(([first]) => first!))) {
    if (!Object.hasOwn(object, key)) continue;
    const below = places.filter(([first]) => first === key).map(([, ...rest]) => rest);
    const value = object[key];
    const child = node?.properties.get(key) ?? node?.additional;
    const whole = !isObject(value) || below.some((rest) => rest.length === 0);
    result[key] = whole ? celValue(value, child, makeDuration) : celProjection(value, child, below, makeDuration);
  }
  return result;
}

/** Of metadata, rules see only the names, as in Kubernetes. */
export function visibleMetadata(metadata: unknown): JsonObject {
  const visible: JsonObject = Object.create(null) as JsonObject;
  if (!isObject(metadata)) return visible;
  for (const key of ["name", "generateName"]) if (metadata[key] !== undefined) visible[key] = metadata[key];
  return visible;
}
