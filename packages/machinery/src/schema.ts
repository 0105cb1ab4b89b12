/**
 * Structural schemas: the JSON-schema subset of CustomResourceDefinitions and of Kubernetes' own OpenAPI documents. Shared
 * types are named definitions that `$ref` points to.
 */

export interface Schema {
  /** Name of a definition (no `#/…` path). Properties beside it add to it. */
  $ref?: string;
  type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  title?: string;
  description?: string;
  format?: string;
  nullable?: boolean;
  default?: unknown;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: string[];
  minProperties?: number;
  maxProperties?: number;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  allOf?: Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  not?: Schema;
  "x-kubernetes-preserve-unknown-fields"?: boolean;
  "x-kubernetes-embedded-resource"?: boolean;
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-map-type"?: "atomic" | "granular";
  "x-kubernetes-patch-merge-key"?: string;
  /** `merge`, `replace`, `retainKeys`, or two of them joined by a comma. */
  "x-kubernetes-patch-strategy"?: string;
  "x-kubernetes-validations"?: ValidationRule[];
  "x-kubernetes-group-version-kind"?: { group: string; version: string; kind: string }[];
}

/** One CEL rule of `x-kubernetes-validations`. */
export interface ValidationRule {
  rule: string;
  message?: string;
  messageExpression?: string;
  /** `FieldValueInvalid` (default), `FieldValueForbidden`, `FieldValueRequired`, `FieldValueDuplicate`. */
  reason?: string;
  /** Path below the schema's own place: `.spec.x`, `['a']`. */
  fieldPath?: string;
  optionalOldSelf?: boolean;
}

export type Definitions = Readonly<Record<string, Schema>>;

/** A schema whose top is no `$ref`: properties beside a `$ref` are laid over the definition. */
export function resolveSchema(schema: Schema, definitions: Definitions): Schema {
  let resolved = schema;
  while (resolved.$ref !== undefined) {
    const { $ref, ...own } = resolved;
    const definition = definitions[$ref];
    if (definition === undefined) throw new Error(`schema definition ${$ref} is missing`);
    resolved = Object.keys(own).length === 0 ? definition : { ...definition, ...own };
  }
  return resolved;
}
