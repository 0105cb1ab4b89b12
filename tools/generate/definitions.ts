/** The schemas of the built-in kinds, from the OpenAPI v3 documents that Kubernetes publishes with its source. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileStem } from "./group-versions.ts";

type Json = Record<string, unknown>;

const referencePrefix = "#/components/schemas/";
const dropped = new Set(["description", "x-kubernetes-unions", "allOf", "default"]);

/** Types whose JSON form the OpenAPI document only hints at. */
const special: Record<string, Json> = {
  "io.k8s.apimachinery.pkg.api.resource.Quantity": { "x-kubernetes-int-or-string": true, format: "quantity" },
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": { "x-kubernetes-int-or-string": true, format: "int-or-string" },
  "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": { type: "string", format: "micro-time" },
};

/** Required in the document only because Go writes them always; a server takes objects without them. */
const notRequired: Record<string, string> = {
  "io.k8s.api.authentication.v1.TokenRequestSpec": "audiences",
  "io.k8s.api.discovery.v1.EndpointSlice": "endpoints",
  "io.k8s.api.storage.v1.CSINodeSpec": "drivers",
};

export function definitionsTable(kubernetes: string, groupVersions: [string, string][]): Record<string, unknown> {
  const known = new Set(groupVersions.map(([group, version]) => `${group}/${version}`));
  const found = new Map<string, Json>();
  for (const groupVersion of groupVersions) {
    const file = join(kubernetes, "api/openapi-spec/v3", `${fileStem(groupVersion)}_openapi.json`);
    const document = JSON.parse(readFileSync(file, "utf8")) as { components: { schemas: Record<string, Json> } };
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      found.set(name, special[name] ?? compact(schema, known));
    }
  }
  for (const [name, field] of Object.entries(notRequired)) {
    const definition = found.get(name)!;
    definition.required = (definition.required as string[]).filter((one) => one !== field);
  }
  return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Without descriptions; a lone allOf becomes a `$ref`. Defaults that are Go's zero values are left out: they only tell that a
 * field is no pointer, and no server sets them.
 */
function compact(schema: Json, known: Set<string>): Json {
  const result: Json = {};
  const all = schema.allOf as Json[] | undefined;
  if (all !== undefined) {
    if (all.length !== 1 || typeof all[0]!.$ref !== "string")
      throw new Error(`unexpected allOf ${JSON.stringify(all)}`);
    result.$ref = all[0]!.$ref.slice(referencePrefix.length);
  }
  for (const [key, value] of Object.entries(schema)) {
    if (dropped.has(key)) continue;
    if (key === "$ref") result.$ref = (value as string).slice(referencePrefix.length);
    else if (key === "properties") {
      result.properties = Object.fromEntries(
        Object.entries(value as Record<string, Json>).map(([name, one]) => [name, compact(one, known)]),
      );
    } else if (key === "items" || key === "additionalProperties") result[key] = compact(value as Json, known);
    else if (key === "x-kubernetes-group-version-kind") {
      result[key] = (value as { group: string; version: string }[]).filter((one) =>
        known.has(`${one.group}/${one.version}`),
      );
    } else result[key] = value;
  }
  const byDefault = schema.default;
  const zero = byDefault === 0 || byDefault === "" || byDefault === false || JSON.stringify(byDefault) === "{}";
  if (byDefault !== undefined && !zero) result.default = byDefault;
  const untyped = result.$ref === undefined && result.type === undefined;
  const open = result.type === "object" && result.properties === undefined && result.additionalProperties === undefined;
  if (untyped || open) result["x-kubernetes-preserve-unknown-fields"] = true;
  return result;
}
