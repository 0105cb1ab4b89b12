import type { KubernetesObject, Schema } from "@berth/machinery";
import type { Decoding } from "./kind.ts";

export function builtinDecoding(defaults: ((object: KubernetesObject) => void) | undefined): Decoding {
  return {
    prune: () => [],
    default: (object) => defaults?.(object),
    validate: () => [],
  };
}

export function customDecoding(_schema: Schema, _preserveUnknownFields: boolean): Decoding {
  return { prune: () => [], default: () => {}, validate: () => [] };
}
