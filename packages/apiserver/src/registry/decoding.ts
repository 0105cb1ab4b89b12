import type { KubernetesObject } from "@berth/machinery";
import type { Decoding } from "./kind.ts";

export function builtinDecoding(defaults: ((object: KubernetesObject) => void) | undefined): Decoding {
  return {
    prune: () => [],
    default: (object) => defaults?.(object),
    validate: () => [],
  };
}
