/** What a server does with a schema on each write: prune, set defaults, validate. */
import { builtInDefinitionName, builtInDefinitions, objectMetaDefinition } from "./built-in.ts";
import type { FieldError } from "./field-errors.ts";
import { jsonEqual } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { canonicalQuantity, quantityError } from "./quantity.ts";
import { SchemaCompiler } from "./schema-node.ts";
import type { SchemaNode } from "./schema-node.ts";
import { defaultValue, pruneValue } from "./schema-prune.ts";
import { validateValue } from "./schema-validate.ts";
import type { Definitions, Schema } from "./schema.ts";

export interface Pruned {
  object: JsonObject;
  /** Paths of the fields that the schema does not know, sorted: what Strict refuses and Warn tells. */
  unknownFields: string[];
}

/** None of the methods changes its argument; results share what did not change. */
export interface CompiledSchema {
  readonly node: SchemaNode;
  /** Removes unknown fields, and nulls where the schema does not allow them. Built-in kinds also get canonical quantities and times. */
  prune(object: JsonObject): Pruned;
  /** Sets the schema's defaults. Most defaults of built-in kinds are not in their schemas. */
  setDefaults(object: JsonObject): JsonObject;
  /** Types, required fields, ranges, patterns, formats, list keys; empty: valid. CEL rules are apart. */
  /** With the stored object, what is equal in both is not checked again: a status write does not pay for the spec. */
  validate(object: JsonObject, old?: JsonObject): FieldError[];
}

function canonicalTime(value: unknown): unknown {
  if (typeof value !== "string" || /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value)) return value;
  const time = Date.parse(value);
  return Number.isNaN(time) || !/^\d{4}-\d\d-\d\dT/.test(value)
    ? value
    : `${new Date(time).toISOString().slice(0, 19)}Z`;
}

function canonicalQuantityValue(value: unknown): unknown {
  if (typeof value === "number") return canonicalQuantity(value);
  return typeof value === "string" && quantityError(value) === undefined ? canonicalQuantity(value) : value;
}

let builtInCompiler: SchemaCompiler | undefined;
const builtIn = new Map<string, CompiledSchema>();

function compiler(): SchemaCompiler {
  builtInCompiler ??= new SchemaCompiler({
    definitions: builtInDefinitions,
    canonical: { quantity: canonicalQuantityValue, "date-time": canonicalTime },
  });
  return builtInCompiler;
}

/** The compiled schema of a built-in kind, made at first use; undefined for kinds that are none. */
export function compiledBuiltInSchema(group: string, version: string, kind: string): CompiledSchema | undefined {
  const name = builtInDefinitionName(group, version, kind);
  if (name === undefined) return undefined;
  let compiled = builtIn.get(name);
  if (compiled === undefined) {
    compiled = new BuiltInSchema(compiler().compile(builtInDefinitions[name]!));
    builtIn.set(name, compiled);
  }
  return compiled;
}

/**
 * Compiles the schema of a custom kind (`openAPIV3Schema` of a CRD version); metadata follows the schema that all kinds share.
 * @throws Error for references to missing definitions and patterns that are none
 */
export function compileCustomSchema(schema: Schema, definitions: Definitions = {}): CompiledSchema {
  const text: Schema = { type: "string" };
  const root: Schema = {
    ...schema,
    properties: { ...schema.properties, apiVersion: text, kind: text, metadata: {} },
  };
  const node = new SchemaCompiler({ definitions }).compile(root);
  const metadata = compiler().compile(builtInDefinitions[objectMetaDefinition]!);
  const properties = new Map(node.properties).set("metadata", metadata);
  return new CustomSchema({ ...node, properties });
}

abstract class BaseSchema implements CompiledSchema {
  readonly node: SchemaNode;

  constructor(node: SchemaNode) {
    this.node = node;
  }

  prune(object: JsonObject): Pruned {
    const unknown: string[] = [];
    const pruned = pruneValue(object, this.node, "", unknown) as JsonObject;
    return { object: pruned, unknownFields: unknown.length > 1 ? unknown.sort() : unknown };
  }

  setDefaults(object: JsonObject): JsonObject {
    return defaultValue(object, this.node) as JsonObject;
  }

  abstract validate(object: JsonObject, old?: JsonObject): FieldError[];
}

class CustomSchema extends BaseSchema {
  validate(object: JsonObject, old?: JsonObject): FieldError[] {
    const errors: FieldError[] = [];
    const unchanged = unchangedFields(object, old);
    validateValue(object, this.node, "", { required: true, uniqueness: true, unchanged }, errors);
    return errors;
  }
}

/**
 * Kubernetes checks its own kinds by hand, not by their schemas: an absent field is Go's zero value. Taking `required` at its
 * word is right for what users write, but not for status, where controllers leave out what they do not know.
 */
class BuiltInSchema extends BaseSchema {
  validate(object: JsonObject, old?: JsonObject): FieldError[] {
    const errors: FieldError[] = [];
    const { status, ...rest } = object;
    const unchanged = unchangedFields(rest, old);
    validateValue(rest, this.node, "", { required: true, uniqueness: false, unchanged }, errors);
    const node = this.node.properties.get("status");
    if (status !== undefined && node !== undefined) {
      validateValue(status, node, "status", { required: false, uniqueness: false }, errors);
    }
    return errors;
  }
}

function unchangedFields(object: JsonObject, old: JsonObject | undefined): ReadonlySet<string> | undefined {
  if (old === undefined) return undefined;
  return new Set(Object.keys(object).filter((key) => jsonEqual(object[key], old[key])));
}
