import assert from "node:assert/strict";
import { test } from "node:test";
import { builtInDefinitions, builtInResources, builtInSchema } from "./built-in.ts";
import { customKindDefinitions, openApiDocument } from "./openapi.ts";

/** Every `$ref` of a document must lead to a schema that it has. */
function danglingReferences(document: unknown): string[] {
  const text = JSON.stringify(document);
  const schemas = (document as { components: { schemas: object } }).components.schemas;
  const names = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]!);
  return names.filter((name) => !Object.hasOwn(schemas, name));
}

test("each built-in resource has a schema, and its group's document is whole", () => {
  const groups = new Set(builtInResources.map(({ group, version }) => `${group}/${version}`));
  assert.equal(groups.size, 17);
  for (const one of groups) {
    const [group = "", version = ""] = one.split("/");
    const resources = builtInResources.filter((resource) => resource.group === group && resource.version === version);
    for (const { kind } of resources) assert.ok(builtInSchema(group, version, kind), `${one} ${kind}`);
    assert.deepEqual(danglingReferences(openApiDocument({ group, version }, resources)), []);
  }
  assert.ok(Object.keys(builtInDefinitions).length > 300);
});

test("paths carry what kubectl looks for", () => {
  const pods = builtInResources.filter(({ group, resource }) => group === "" && resource === "pods");
  const { paths } = openApiDocument({ group: "", version: "v1" }, pods) as {
    paths: Record<string, Record<string, { "x-kubernetes-action": string; parameters: { name: string }[] }>>;
  };
  assert.equal(paths["/api/v1/pods"]!.get!["x-kubernetes-action"], "list");
  const patch = paths["/api/v1/namespaces/{namespace}/pods/{name}"]!.patch!;
  assert.ok(patch.parameters.some(({ name }) => name === "fieldValidation"));
  assert.deepEqual(JSON.parse(JSON.stringify(patch))["x-kubernetes-group-version-kind"], {
    group: "",
    version: "v1",
    kind: "Pod",
  });
  assert.ok(paths["/api/v1/namespaces/{namespace}/pods/{name}/eviction"]!.post);
});

test("a custom kind gets its metadata, its list and its place", () => {
  const groupVersion = { group: "example.com", version: "v1" };
  const definitions = customKindDefinitions(groupVersion, "Widget", {
    type: "object",
    properties: { spec: { type: "object", properties: { size: { "x-kubernetes-int-or-string": true } } } },
  });
  const resource = {
    ...groupVersion,
    resource: "widgets",
    singular: "widget",
    kind: "Widget",
    namespaced: true,
    shortNames: [],
    categories: [],
    verbs: ["get", "list", "create", "update", "patch", "delete", "deletecollection", "watch"],
    subresources: [],
  };
  const document = openApiDocument(groupVersion, [resource], definitions) as {
    paths: object;
    components: { schemas: Record<string, { properties: object }> };
  };
  assert.deepEqual(danglingReferences(document), []);
  const widget = document.components.schemas["com.example.v1.Widget"]!;
  assert.deepEqual(Object.keys(widget.properties).sort(), ["apiVersion", "kind", "metadata", "spec"]);
  assert.ok(Object.hasOwn(document.paths, "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"));
});
