/** OpenAPI v3 documents of a group version, as `/openapi/v3/…` serves them and `kubectl explain` and `apply` read them. */
import { builtInDefinitionName, builtInDefinitions, listMetaDefinition, objectMetaDefinition } from "./built-in.ts";
import type { Resource } from "./built-in.ts";
import type { JsonObject } from "./json.ts";
import { apiVersionOf } from "./objects.ts";
import type { Definitions, Schema } from "./schema.ts";

interface GroupVersion {
  group: string;
  version: string;
}

const referencePrefix = "#/components/schemas/";
const deleteOptions = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const status = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const patchDefinition = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/**
 * The definitions of a custom kind and of its list, named as Kubernetes does (`dev.berth.v1alpha1.Workload`): the schema with
 * apiVersion, kind and metadata added.
 */
export function customKindDefinitions(groupVersion: GroupVersion, kind: string, schema: Schema): Definitions {
  const { group, version } = groupVersion;
  const name = `${group.split(".").reverse().join(".")}.${version}.${kind}`;
  const types: Record<string, Schema> = { apiVersion: { type: "string" }, kind: { type: "string" } };
  return {
    [name]: {
      ...schema,
      properties: { ...schema.properties, ...types, metadata: { $ref: objectMetaDefinition } },
      "x-kubernetes-group-version-kind": [{ group, version, kind }],
    },
    [`${name}List`]: {
      type: "object",
      required: ["items"],
      properties: { ...types, metadata: { $ref: listMetaDefinition }, items: { type: "array", items: { $ref: name } } },
      "x-kubernetes-group-version-kind": [{ group, version, kind: `${kind}List` }],
    },
  };
}

/**
 * The document of one group version: a path for each verb of each resource and subresource, and the definitions that they
 * use. `extraDefinitions` are those of custom kinds ({@link customKindDefinitions}); the built-in ones are known.
 */
export function openApiDocument(
  groupVersion: GroupVersion,
  resources: readonly Resource[],
  extraDefinitions: Definitions = {},
): JsonObject {
  const definitions: Definitions = { ...builtInDefinitions, ...extraDefinitions };
  const extra = new Map<string, string>();
  for (const [name, schema] of Object.entries(extraDefinitions)) {
    for (const one of schema["x-kubernetes-group-version-kind"] ?? []) {
      extra.set(`${one.group}/${one.version}/${one.kind}`, name);
    }
  }
  const nameOf = (group: string, version: string, kind: string): string | undefined =>
    extra.get(`${group}/${version}/${kind}`) ?? builtInDefinitionName(group, version, kind);
  const paths: JsonObject = {};
  const used = new Set<string>();
  for (const resource of resources) addPaths(paths, resource, nameOf, used);
  const schemas: JsonObject = {};
  for (const name of used) render(name, definitions, schemas);
  return {
    openapi: "3.0.0",
    info: { title: "Berth", version: apiVersionOf(groupVersion) },
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
    components: { schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))) },
  };
}

/** Renders a definition and, as the set of names grows, those that it refers to. */
function render(name: string, definitions: Definitions, schemas: JsonObject): void {
  if (Object.hasOwn(schemas, name)) return;
  const definition = definitions[name];
  if (definition === undefined) return;
  schemas[name] = {};
  schemas[name] = renderSchema(definition, (other) => render(other, definitions, schemas));
}

function renderSchema(schema: Schema, refer: (name: string) => void): JsonObject {
  const { $ref, format, properties, items, additionalProperties, ...rest } = schema;
  const result: JsonObject = { ...rest };
  if (format === "quantity") return { oneOf: [{ type: "string" }, { type: "number" }] };
  if (format === "int-or-string" && schema.type === undefined) {
    return { format, oneOf: [{ type: "integer" }, { type: "string" }] };
  }
  if (format !== undefined) result.format = format === "micro-time" ? "date-time" : format;
  if (properties !== undefined) {
    result.properties = Object.fromEntries(
      Object.entries(properties).map(([key, one]) => [key, renderSchema(one, refer)]),
    );
  }
  if (items !== undefined) result.items = renderSchema(items, refer);
  if (typeof additionalProperties === "object") result.additionalProperties = renderSchema(additionalProperties, refer);
  else if (additionalProperties !== undefined) result.additionalProperties = additionalProperties;
  if ($ref !== undefined) {
    refer($ref);
    const reference = { $ref: referencePrefix + $ref };
    if (Object.keys(result).length === 0) return reference;
    result.allOf = [reference];
  }
  return result;
}

const actions: Record<string, { method: string; action: string }> = {
  get: { method: "get", action: "get" },
  list: { method: "get", action: "list" },
  create: { method: "post", action: "post" },
  update: { method: "put", action: "put" },
  patch: { method: "patch", action: "patch" },
  delete: { method: "delete", action: "delete" },
  deletecollection: { method: "delete", action: "deletecollection" },
};

const patchTypes = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];

function query(name: string, type: string): JsonObject {
  return { name, in: "query", schema: { type, uniqueItems: true } };
}

function pathParameter(name: string): JsonObject {
  return { name, in: "path", required: true, schema: { type: "string", uniqueItems: true } };
}

const listParameters = [
  query("allowWatchBookmarks", "boolean"),
  query("continue", "string"),
  query("fieldSelector", "string"),
  query("labelSelector", "string"),
  query("limit", "integer"),
  query("resourceVersion", "string"),
  query("resourceVersionMatch", "string"),
  query("sendInitialEvents", "boolean"),
  query("timeoutSeconds", "integer"),
];
const writeParameters = [
  query("dryRun", "string"),
  query("fieldManager", "string"),
  query("fieldValidation", "string"),
];
const deleteParameters = [
  query("dryRun", "string"),
  query("gracePeriodSeconds", "integer"),
  query("orphanDependents", "boolean"),
  query("propagationPolicy", "string"),
];
const parametersOf: Record<string, JsonObject[]> = {
  get: [],
  list: [...listParameters, query("watch", "boolean")],
  create: writeParameters,
  update: writeParameters,
  patch: [...writeParameters, query("force", "boolean")],
  delete: deleteParameters,
  deletecollection: [...deleteParameters, ...listParameters],
};

type NameOf = (group: string, version: string, kind: string) => string | undefined;

function addPaths(paths: JsonObject, resource: Resource, nameOf: NameOf, used: Set<string>): void {
  const { group, version, kind, verbs } = resource;
  const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
  const collection = resource.namespaced ? `${root}/namespaces/{namespace}` : root;
  const gvk = { group, version, kind };
  const add = (path: string, verb: string, of: typeof gvk): void => {
    const { method, action } = actions[verb] ?? {};
    if (method === undefined) return;
    const item = (paths[path] ??= pathItem(path)) as JsonObject;
    const definition = nameOf(of.group, of.version, of.kind);
    const list = nameOf(of.group, of.version, `${of.kind}List`);
    item[method] = {
      "x-kubernetes-action": action,
      "x-kubernetes-group-version-kind": of,
      parameters: parametersOf[verb],
      ...requestBody(verb, definition, used),
      responses: { "200": response(verb === "list" ? list : verb.startsWith("delete") ? status : definition, used) },
    };
  };
  for (const verb of verbs) {
    if (["list", "create", "deletecollection"].includes(verb)) add(`${collection}/${resource.resource}`, verb, gvk);
    else add(`${collection}/${resource.resource}/{name}`, verb, gvk);
    if (verb === "list" && resource.namespaced) add(`${root}/${resource.resource}`, verb, gvk);
  }
  for (const sub of resource.subresources) {
    const of = { group: sub.group, version: sub.version, kind: sub.kind };
    for (const verb of sub.verbs) add(`${collection}/${resource.resource}/{name}/${sub.name}`, verb, of);
  }
}

function pathItem(path: string): JsonObject {
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map((match) => pathParameter(match[1]!));
  return parameters.length === 0 ? {} : { parameters };
}

function reference(name: string, used: Set<string>): JsonObject {
  used.add(name);
  return { schema: { $ref: referencePrefix + name } };
}

function requestBody(verb: string, definition: string | undefined, used: Set<string>): JsonObject {
  if (verb === "patch") {
    const content = Object.fromEntries(patchTypes.map((type) => [type, reference(patchDefinition, used)]));
    return { requestBody: { required: true, content } };
  }
  if (verb.startsWith("delete")) return { requestBody: { content: { "*/*": reference(deleteOptions, used) } } };
  if ((verb !== "create" && verb !== "update") || definition === undefined) return {};
  return { requestBody: { required: true, content: { "*/*": reference(definition, used) } } };
}

function response(name: string | undefined, used: Set<string>): JsonObject {
  if (name === undefined) return { description: "OK" };
  return { description: "OK", content: { "application/json": reference(name, used) } };
}
