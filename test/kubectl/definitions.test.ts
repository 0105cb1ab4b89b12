import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Cluster, withoutKubectl } from "./cluster.ts";

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, maximum: 10}
              color: {type: string, default: red}
              fixed: {type: string, x-kubernetes-validations: [{rule: "self == oldSelf", message: "fixed is immutable"}]}
              replicas: {type: integer}
            x-kubernetes-validations: [{rule: "self.size < 9 || self.color == 'red'", message: "large ones must be red"}]
          status: {type: object, properties: {replicas: {type: integer}, phase: {type: string}}}
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    selectableFields: [{jsonPath: .spec.color}]
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}, {name: Color, type: string, jsonPath: .spec.color}]
`;
const widget = (name: string, spec: string): string =>
  `apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: ${name}}\nspec: ${spec}\n`;

describe("kubectl on custom kinds", { skip: withoutKubectl }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start();
    await cluster.ok("create -f -", definition);
    await cluster.ok("wait --for=condition=Established crd/widgets.example.com --timeout=300s");
  });
  after(() => cluster.stop());

  it("prunes, defaults, validates and shows columns", async () => {
    await cluster.ok("apply -f -", widget("w1", "{size: 3, fixed: a}"));
    assert.match(await cluster.ok("get wd"), /^NAME +SIZE +COLOR\nw1 +3 +red$/m);
    assert.match(
      await cluster.refused("create -f -", widget("w2", "{size: 9, color: blue}")),
      /The Widget "w2" is invalid: spec: Invalid value: .*large ones must be red/,
    );
    assert.match(
      await cluster.refused("create -f -", widget("w2", "{size: 99}")),
      /spec.size: Invalid value: 99: spec.size in body should be less than or equal to 10/,
    );
    assert.match(await cluster.refused("create -f -", widget("w2", "{}")), /spec.size: Required value/);
    assert.match(
      await cluster.refused("create -f -", widget("w2", "{size: 1, junk: 2}")),
      /strict decoding error: unknown field "spec.junk"/,
    );
    assert.match(
      await cluster.refused(`patch wd w1 --type=merge -p {"spec":{"fixed":"b"}}`),
      /spec.fixed: Invalid value: .*fixed is immutable/,
    );
    assert.match(await cluster.ok("get all"), /widget.example.com\/w1/);
  });

  it("keeps generation, status, scale and selectable fields", async () => {
    await cluster.ok("apply -f -", widget("w3", "{size: 2, color: green}"));
    await cluster.ok(`patch wd w3 --subresource=status --type=merge -p {"status":{"phase":"Good"},"spec":{"size":5}}`);
    assert.equal(
      await cluster.ok("get wd w3 -o jsonpath={.status.phase}/{.spec.size}/{.metadata.generation}"),
      "Good/2/1",
    );
    await cluster.ok("scale wd/w3 --replicas=4");
    assert.equal(await cluster.ok("get wd w3 -o jsonpath={.spec.replicas}/{.metadata.generation}"), "4/2");
    assert.equal(await cluster.ok("get wd --field-selector=spec.color=green -o name"), "widget.example.com/w3\n");
    assert.match(await cluster.refused("get wd --field-selector=spec.size=2"), /field label not supported/);
  });

  it("serves Berth's own kinds with their rules", async () => {
    assert.match(await cluster.ok("get queues"), /^standard +Up/m);
    assert.match(await cluster.ok("explain queue.spec"), /maxWallTimeSeconds/);
    assert.match(
      await cluster.refused(
        "create -f -",
        "apiVersion: berth.dev/v1alpha1\nkind: Workload\nmetadata: {name: w}\nspec: {}\n",
      ),
      /The Workload "w" is invalid: spec.podSets: Required value/,
    );
  });

  it("refuses definitions that cannot work, in words", async () => {
    const bad = definition
      .replaceAll("widgets", "gadgets")
      .replaceAll("widget", "gadget")
      .replaceAll("Widget", "Gadget")
      .replace("[wd]", "[gd]");
    assert.match(
      await cluster.refused("create -f -", bad.replace("self.size < 9", "self.size <")),
      /compilation failed/,
    );
    assert.match(
      await cluster.refused("create -f -", bad.replace("name: gadgets.example.com", "name: other")),
      /must be spec.names.plural/,
    );
  });

  it("goes with all its objects", async () => {
    await cluster.ok("delete crd widgets.example.com");
    assert.match(
      await cluster.refused("get widgets"),
      /the server doesn't have a resource type "widgets"|could not find the requested resource/,
    );
  });
});
