/** Kinds as data: what a CustomResourceDefinition and every other description of a kind is generated from. */

/** The part of a structural schema (apiextensions.k8s.io/v1 JSONSchemaProps) that Berth's kinds use. */
export interface Schema {
  type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  description?: string;
  format?: "date-time" | "int32" | "int64";
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema;
  items?: Schema;
  enum?: readonly string[];
  default?: unknown;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  "x-kubernetes-preserve-unknown-fields"?: true;
  /** Instead of a type: an integer, or a string of the pattern. */
  "x-kubernetes-int-or-string"?: true;
  "x-kubernetes-list-type"?: "map" | "set" | "atomic";
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-validations"?: Rule[];
}

/** A CEL rule; with `oldSelf` it is a transition rule and holds for updates only. The message is what a user reads. */
export interface Rule {
  rule: string;
  message: string;
  reason?: "FieldValueInvalid" | "FieldValueForbidden" | "FieldValueRequired" | "FieldValueDuplicate";
  fieldPath?: string;
}

export interface Column {
  name: string;
  type: "string" | "integer" | "date" | "boolean" | "number";
  jsonPath: string;
  description?: string;
  /** 0 always shown, 1 with `-o wide`. */
  priority?: number;
  format?: string;
}

export interface KindDefinition {
  kind: string;
  plural: string;
  singular: string;
  shortNames?: string[];
  categories?: string[];
  namespaced: boolean;
  description: string;
  spec: Schema;
  status?: Schema;
  /** Rules that see the whole object: `self.metadata.name`, `self.spec`, `self.status`. */
  rules?: Rule[];
  /** JSON paths by which a list may be narrowed, with `--field-selector`. */
  selectable?: string[];
  columns: Column[];
}
