import assert from "node:assert/strict";
import { it } from "node:test";
import { negotiate, negotiateDiscovery } from "./negotiate.ts";
import { parseResourcePath } from "./request-path.ts";

const cases: [path: string, expected: string | undefined][] = [
  ["/api/v1/pods", " v1 pods  "],
  ["/api/v1/namespaces/a/pods/x/log", " v1 pods a x log"],
  ["/api/v1/namespaces/a", " v1 namespaces  a"],
  ["/api/v1/namespaces/a/status", " v1 namespaces  a status"],
  ["/api/v1/namespaces/a/finalize", " v1 namespaces  a finalize"],
  ["/api/v1/namespaces/a/pods", " v1 pods a "],
  ["/apis/batch/v1/namespaces/a/jobs/j/status", "batch v1 jobs a j status"],
  [
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
    "rbac.authorization.k8s.io v1 clusterroles  system:node",
  ],
  ["/api/v1", undefined],
  ["/apis/batch/v1/", undefined],
  ["/version", undefined],
];

it("reads the grammar of resource paths", () => {
  for (const [path, expected] of cases) {
    const parsed = parseResourcePath(path);
    const text =
      parsed === undefined
        ? undefined
        : `${parsed.group} ${parsed.version} ${parsed.resource} ${parsed.namespace} ${parsed.name} ${parsed.subresource}`.trimEnd();
    assert.equal(text, expected?.trimEnd(), path);
  }
  assert.equal(parseResourcePath("/api/v1/watch/namespaces/a/pods")?.watch, true);
  assert.throws(() => parseResourcePath("/api/v1/pods/%zz"), URIError);
});

it("negotiates what kubectl, client-go, helm and the Python client ask for", () => {
  const table =
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
  assert.deepEqual(negotiate(table), { as: "Table", version: "v1" });
  assert.deepEqual(negotiate("application/vnd.kubernetes.protobuf,application/json"), { as: "Object" });
  assert.deepEqual(
    negotiate(
      "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    ),
    {
      as: "PartialObjectMetadata",
      version: "v1",
    },
  );
  assert.deepEqual(negotiate("application/json, */*;q=0.8"), { as: "Object" });
  assert.equal(negotiate("application/vnd.kubernetes.protobuf"), undefined);
  const aggregated = (version: string): string =>
    `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
  assert.equal(negotiateDiscovery(`${aggregated("v2")},${aggregated("v2beta1")},application/json`), "v2");
  assert.equal(negotiateDiscovery(`${aggregated("v2beta1")},application/json`), "v2beta1");
  assert.equal(negotiateDiscovery("application/json, */*"), "legacy");
  assert.equal(negotiateDiscovery(undefined), "legacy");
});
