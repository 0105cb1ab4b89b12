/** Validation of values against compiled schemas, in the words of Kubernetes' validation of custom resources. */
import {
  childPath,
  fieldDuplicate,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  fieldTooLong,
  fieldTooMany,
  fieldTypeInvalid,
  indexPath,
} from "./field-errors.ts";
import type { FieldError } from "./field-errors.ts";
import { isObject, jsonEqual, ownValue } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { checkDns1035Label } from "./names.ts";
import type { SchemaNode } from "./schema-node.ts";

export interface ValidationOptions {
  /** Whether absent required fields are errors. */
  required: boolean;
  /** Whether duplicates in lists of type set and map are errors; Kubernetes itself checks that only in custom kinds. */
  uniqueness: boolean;
  /** Fields of the whole object that stand as they were stored, and were checked then. */
  unchanged?: ReadonlySet<string>;
}

/** Adds what is wrong with the value to `errors`. */
export function validateValue(
  value: unknown,
  node: SchemaNode,
  path: string,
  options: ValidationOptions,
  errors: FieldError[],
): void {
  if (value === null || value === undefined) {
    if (node.types.length > 0 && !node.nullable) errors.push(typeError(path, node.types.join(","), "null"));
    else if (!node.nullable && node.enumeration !== undefined) checkEnumeration(value, node, path, errors);
    return;
  }
  if (node.types.length > 0 && !typeMatches(value, node.types)) {
    errors.push(wrongType(value, node, path));
    return;
  }
  if (node.constrained) checkConstraints(value, node, path, options, errors);
  if (Array.isArray(value)) validateList(value, node, path, options, errors);
  else if (typeof value === "object") validateObject(value as JsonObject, node, path, options, errors);
}

function typeMatches(value: unknown, types: readonly string[]): boolean {
  switch (typeof value) {
    case "string":
      return types.includes("string");
    case "number":
      return types.includes("number") || (types.includes("integer") && Number.isInteger(value));
    case "boolean":
      return types.includes("boolean");
    default:
      return types.includes(Array.isArray(value) ? "array" : "object");
  }
}

function typeName(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return Array.isArray(value) ? "array" : typeof value;
}

function typeError(path: string, wanted: string, actual: string): FieldError {
  return fieldTypeInvalid(path, actual, `${path} in body must be of type ${wanted}: ${JSON.stringify(actual)}`);
}

function wrongType(value: unknown, node: SchemaNode, path: string): FieldError {
  const { format, type } = node.schema;
  const numeric = type === "integer" || type === "number";
  if (format === undefined || !numeric || typeof value === "string" || Array.isArray(value)) {
    return typeError(path, node.types.join(","), typeName(value));
  }
  const actual = typeof value === "number" ? (Number.isInteger(value) ? "int64" : "double") : "";
  return typeError(path, format, actual);
}

function checkConstraints(
  value: unknown,
  node: SchemaNode,
  path: string,
  options: ValidationOptions,
  errors: FieldError[],
): void {
  const { schema } = node;
  const say = (text: string, shown: unknown = value): void => {
    errors.push(fieldInvalid(path, shown, `${path} in body ${text}`));
  };
  if (node.enumeration !== undefined) checkEnumeration(value, node, path, errors);
  if (typeof value === "string") checkText(value, node, path, errors, say);
  else if (typeof value === "number") checkNumber(value, node, say);
  else if (Array.isArray(value)) {
    if (schema.maxItems !== undefined && value.length > schema.maxItems) {
      errors.push(fieldTooMany(path, value.length, schema.maxItems));
    }
    if (schema.minItems !== undefined && value.length < schema.minItems) {
      say(`should have at least ${schema.minItems} items`, value.length);
    }
    if (
      schema.uniqueItems === true &&
      value.some((one, index) => value.slice(0, index).some((two) => jsonEqual(one, two)))
    ) {
      say("shouldn't contain duplicates", "");
    }
  } else if (isObject(value)) {
    const size = Object.keys(value).length;
    if (schema.maxProperties !== undefined && size > schema.maxProperties) {
      errors.push(fieldTooMany(path, size, schema.maxProperties));
    }
    if (schema.minProperties !== undefined && size < schema.minProperties) {
      say(`should have at least ${schema.minProperties} properties`, size);
    }
  }
  checkCombinations(value, node, path, options, errors);
}

function checkEnumeration(value: unknown, node: SchemaNode, path: string, errors: FieldError[]): void {
  const allowed = node.schema.enum!;
  if (node.enumeration!.has(value) || allowed.some((one) => jsonEqual(one, value))) return;
  const words = allowed.map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
  errors.push(fieldNotSupported(path, value, words));
}

type Say = (text: string, shown?: unknown) => void;

function checkText(value: string, node: SchemaNode, path: string, errors: FieldError[], say: Say): void {
  const { minLength, maxLength, pattern, format } = node.schema;
  if (minLength !== undefined || maxLength !== undefined) {
    const length = codePoints(value);
    if (maxLength !== undefined && length > maxLength) errors.push(fieldTooLong(path, maxLength));
    if (minLength !== undefined && length < minLength) say(`should be at least ${minLength} chars long`);
  }
  if (node.pattern !== undefined && !node.pattern.test(value)) say(`should match '${pattern}'`);
  if (node.format !== undefined && !node.format(value)) {
    const detail = `${path} in body must be of type ${format}: ${JSON.stringify(value)}`;
    errors.push(fieldTypeInvalid(path, value, detail));
  }
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function checkNumber(value: number, node: SchemaNode, say: Say): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, format } = node.schema;
  if (maximum !== undefined && (exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    say(`should be less than ${exclusiveMaximum === true ? "" : "or equal to "}${maximum}`);
  }
  if (minimum !== undefined && (exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    say(`should be greater than ${exclusiveMinimum === true ? "" : "or equal to "}${minimum}`);
  }
  if (multipleOf !== undefined && Math.abs(value / multipleOf - Math.round(value / multipleOf)) > 1e-9) {
    say(`should be a multiple of ${multipleOf}`);
  }
  if (format === "int32" && (value > 2147483647 || value < -2147483648)) say('must be of type int32: "int64"');
}

function checkCombinations(
  value: unknown,
  node: SchemaNode,
  path: string,
  options: ValidationOptions,
  errors: FieldError[],
): void {
  const failures = (one: SchemaNode): FieldError[] => {
    const found: FieldError[] = [];
    validateValue(value, one, path, options, found);
    return found;
  };
  const say = (text: string): void => {
    errors.push(fieldInvalid("", "", `${JSON.stringify(path)} must ${text}`));
  };
  if (node.anyOf.length > 0) {
    const found = node.anyOf.map(failures);
    if (found.every((one) => one.length > 0)) {
      say("validate at least one schema (anyOf)");
      errors.push(...fewest(found));
    }
  }
  if (node.oneOf.length > 0) {
    const found = node.oneOf.map(failures);
    const valid = found.filter((one) => one.length === 0).length;
    if (valid === 0) {
      say("validate one and only one schema (oneOf). Found none valid");
      errors.push(...fewest(found));
    } else if (valid > 1) {
      say(`validate one and only one schema (oneOf). Found ${valid} valid alternatives`);
    }
  }
  if (node.allOf.length > 0) {
    const found = node.allOf.map(failures).filter((one) => one.length > 0);
    errors.push(...found.flat());
    if (found.length > 0) {
      say(`validate all the schemas (allOf)${found.length === node.allOf.length ? ". None validated" : ""}`);
    }
  }
  if (node.not !== undefined && failures(node.not).length === 0) say("not validate the schema (not)");
}

function fewest(failures: FieldError[][]): FieldError[] {
  return failures.reduce((best, one) => (one.length < best.length ? one : best));
}

function validateObject(
  object: JsonObject,
  node: SchemaNode,
  path: string,
  options: ValidationOptions,
  errors: FieldError[],
): void {
  if (node.embedded) validateEmbedded(object, path, errors);
  for (const key of Object.keys(object)) {
    if (path === "" && options.unchanged?.has(key) === true) continue;
    const child = node.properties.get(key) ?? node.additional;
    if (child !== undefined) validateValue(object[key], child, childPath(path, key), options, errors);
  }
  if (!options.required) return;
  for (const key of node.required) {
    if (!Object.hasOwn(object, key)) errors.push(fieldRequired(childPath(path, key)));
  }
}

function validateEmbedded(object: JsonObject, path: string, errors: FieldError[]): void {
  for (const key of ["apiVersion", "kind"]) {
    const value = ownValue(object, key);
    const at = childPath(path, key);
    if (value === undefined) errors.push(fieldRequired(at));
    else if (typeof value !== "string") errors.push(fieldInvalid(at, value, "must be a string"));
    else if (value === "") errors.push(fieldInvalid(at, value, "must not be empty"));
    else if (key === "kind") {
      const wrong = checkDns1035Label(value.toLowerCase());
      const detail = `may have mixed case, but should otherwise match: ${wrong.join(",")}`;
      if (wrong.length > 0) errors.push(fieldInvalid(at, value, detail));
    }
  }
}

function validateList(
  list: unknown[],
  node: SchemaNode,
  path: string,
  options: ValidationOptions,
  errors: FieldError[],
): void {
  if (options.uniqueness && list.length > 1) checkUniqueness(list, node, path, errors);
  if (node.items === undefined) return;
  for (let index = 0; index < list.length; index++) {
    validateValue(list[index], node.items, indexPath(path, index), options, errors);
  }
}

function checkUniqueness(list: unknown[], node: SchemaNode, path: string, errors: FieldError[]): void {
  const type = node.schema["x-kubernetes-list-type"];
  if (type !== "set" && type !== "map") return;
  const keys = node.schema["x-kubernetes-list-map-keys"] ?? [];
  const seen = new Map<string, number>();
  for (const [index, one] of list.entries()) {
    const identity = type === "set" ? one : keyOf(one, keys);
    const text = canonicalText(identity);
    const times = seen.get(text) ?? 0;
    seen.set(text, times + 1);
    // As Kubernetes: told once, at the second appearance.
    if (times === 1) errors.push(fieldDuplicate(indexPath(path, index), identity));
  }
}

function keyOf(item: unknown, keys: readonly string[]): JsonObject {
  if (!isObject(item)) return {};
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(item, key)).map((key) => [key, item[key]]));
}

function canonicalText(value: unknown): string {
  if (!isObject(value)) return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
