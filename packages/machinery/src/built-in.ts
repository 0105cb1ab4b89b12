/** Kubernetes' own kinds as data: resources as discovery names them, and schemas. Made by `tools/generate`. */
import definitions from "./generated/definitions.generated.json" with { type: "json" };
import resources from "./generated/resources.generated.json" with { type: "json" };
import type { Definitions, Schema } from "./schema.ts";

export interface Subresource {
  /** `status`, `scale`, `log`, … */
  name: string;
  /** Of the kind that the subresource takes or gives: `pods/eviction` has policy/v1 Eviction. */
  group: string;
  version: string;
  kind: string;
  verbs: string[];
}

export interface Resource {
  group: string;
  version: string;
  /** Plural, lower case. */
  resource: string;
  singular: string;
  kind: string;
  namespaced: boolean;
  shortNames: string[];
  categories: string[];
  verbs: string[];
  subresources: Subresource[];
}

export const builtInResources: readonly Resource[] = resources;

/** Schemas of the built-in kinds and of all types they are made of, by their names in Kubernetes' OpenAPI documents. */
export const builtInDefinitions = definitions as unknown as Definitions;

/** Name of the definition of metadata, which all kinds share. */
export const objectMetaDefinition = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
export const listMetaDefinition = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

let byKind: Map<string, string> | undefined;

/** Name of the definition of a kind in {@link builtInDefinitions}, or undefined. The core group is empty. */
export function builtInDefinitionName(group: string, version: string, kind: string): string | undefined {
  if (byKind === undefined) {
    byKind = new Map();
    for (const [name, schema] of Object.entries(builtInDefinitions)) {
      for (const one of schema["x-kubernetes-group-version-kind"] ?? []) {
        byKind.set(`${one.group}/${one.version}/${one.kind}`, name);
      }
    }
  }
  return byKind.get(`${group}/${version}/${kind}`);
}

/** The schema of a built-in kind; its `$ref`s point into {@link builtInDefinitions}. */
export function builtInSchema(group: string, version: string, kind: string): Schema | undefined {
  const name = builtInDefinitionName(group, version, kind);
  return name === undefined ? undefined : builtInDefinitions[name];
}
