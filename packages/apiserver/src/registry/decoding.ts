import type { JsonObject, KubernetesObject } from "@berth/machinery";
import type { CompiledSchema, Schema } from "@berth/machinery/server";
import { compileCelRules, compileCustomSchema, compiledBuiltInSchema } from "@berth/machinery/server";
import type { Decoding } from "./kind.ts";

const json = (object: KubernetesObject): JsonObject => object as unknown as JsonObject;
const objectOf = (value: JsonObject): KubernetesObject => value as unknown as KubernetesObject;

/** Built-in kinds: the schema's defaults, then those of Kubernetes that no schema tells. */
export function builtinDecoding(
  group: string,
  version: string,
  kind: string,
  defaults: ((object: KubernetesObject) => void) | undefined,
): Decoding {
  let compiled: CompiledSchema | undefined;
  const schema = (): CompiledSchema => (compiled ??= compiledBuiltInSchema(group, version, kind)!);
  return {
    schema,
    prune: (object) => {
      const pruned = schema().prune(json(object));
      return { object: objectOf(pruned.object), unknownFields: pruned.unknownFields };
    },
    default: (object) => {
      const result = objectOf(schema().setDefaults(json(object)));
      defaults?.(result);
      return result;
    },
    validate: (object, old) => schema().validate(json(object), old === undefined ? undefined : json(old)),
  };
}

/** Custom kinds: all by their structural schema. */
export function customDecoding(schema: Schema): Decoding {
  const compiled = compileCustomSchema(schema);
  const rules = compileCelRules(compiled);
  return {
    schema: () => compiled,
    prune: (object) => {
      const pruned = compiled.prune(json(object));
      return { object: objectOf(pruned.object), unknownFields: pruned.unknownFields };
    },
    default: (object) => objectOf(compiled.setDefaults(json(object))),
    validate: (object, old) => {
      const before = old === undefined ? undefined : json(old);
      const errors = compiled.validate(json(object), before);
      // Rules may rely on the types that the schema has.
      return errors.length > 0 ? errors : rules.validate(json(object), before);
    },
  };
}
