/** Short ways to write the schemas of Berth's kinds; every string, list and map is bounded so that rules have a known cost. */
import type { Schema } from "./definition.ts";

export const time: Schema = { type: "string", format: "date-time" };
export const boolean: Schema = { type: "boolean" };
/** A name of Kubernetes' kind: lower case letters, digits, `-` and `.`. */
export const name: Schema = { type: "string", minLength: 1, maxLength: 253 };

export const userName: Schema = { type: "string", minLength: 1, maxLength: 256 };

export function seconds(description: string): Schema {
  return integer(1, 10 * 365 * 86_400, description);
}

/** Quantities of Kubernetes by resource, none below 0. */
export function quantities(maxProperties: number): Schema {
  return mapOf(
    {
      "x-kubernetes-int-or-string": true,
      minimum: 0,
      maxLength: 64,
      pattern: "^[0-9]+(\\.[0-9]+)?([numkMGTPE]|[KMGTPE]i|[eE][0-9]+)?$",
    },
    maxProperties,
  );
}

export const billingWeights: Schema = {
  ...mapOf({ type: "number", minimum: 0, maximum: 1_000_000_000 }, 32),
  description: "What one cpu (cpu), one GiB (memory), one device (its name) counts in usage. Default: a cpu 1.",
};

export function text(maxLength: number, description?: string): Schema {
  return { type: "string", maxLength, ...(description === undefined ? {} : { description }) };
}

export function oneOf(values: readonly string[], description?: string): Schema {
  return { type: "string", enum: values, ...(description === undefined ? {} : { description }) };
}

export function integer(minimum: number, maximum: number, description?: string): Schema {
  return { type: "integer", format: "int64", minimum, maximum, ...(description === undefined ? {} : { description }) };
}

export function list(items: Schema, maxItems: number): Schema {
  return { type: "array", items, maxItems };
}

export function mapOf(additionalProperties: Schema, maxProperties: number): Schema {
  return { type: "object", additionalProperties, maxProperties };
}

export function object(properties: Record<string, Schema>, required: string[] = []): Schema {
  return { type: "object", properties, ...(required.length > 0 ? { required } : {}) };
}

/** An object of which only the named fields are checked; the rest is kept as it is. */
export function open(properties: Record<string, Schema>, required: string[] = []): Schema {
  return { ...object(properties, required), "x-kubernetes-preserve-unknown-fields": true };
}

export const conditions: Schema = {
  type: "array",
  maxItems: 16,
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": ["type"],
  items: object(
    {
      type: text(128),
      status: oneOf(["True", "False", "Unknown"]),
      reason: text(256),
      message: text(8192),
      lastTransitionTime: time,
      observedGeneration: integer(0, Number.MAX_SAFE_INTEGER),
    },
    ["type", "status", "reason", "message", "lastTransitionTime"],
  ),
};
