/** CustomResourceDefinitions and objects of them: schema, pruning, defaults, CEL, columns, subresources. */
import { get, partialList, patch, post, put, remove, table, type Script } from "../script.ts";

const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const group = "conformance.example.com";
const name = `widgets.${group}`;
const widgets = `/apis/${group}/v1/namespaces/$ns/widgets`;
const schema = {
  type: "object",
  required: ["spec"],
  properties: {
    spec: {
      type: "object",
      required: ["size"],
      properties: {
        size: { type: "integer", minimum: 1, maximum: 10 },
        color: { type: "string", enum: ["red", "blue"], default: "red" },
        replicas: { type: "integer", default: 1 },
        tags: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string", maxLength: 5 }, maxItems: 3 },
        ports: {
          type: "array",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["port"],
          items: {
            type: "object",
            required: ["port"],
            properties: { port: { type: "integer" }, name: { type: "string", pattern: "^[a-z]+$" } },
          },
        },
        free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        when: { type: "string", format: "date-time" },
        amount: { "x-kubernetes-int-or-string": true },
        nothing: { type: "string", nullable: true },
      },
      "x-kubernetes-validations": [
        { rule: "self.size <= 5 || self.color == 'blue'", message: "large widgets are blue" },
        { rule: "!has(oldSelf.when) || has(self.when)", message: "when may not be taken away" },
      ],
    },
    status: {
      type: "object",
      properties: { replicas: { type: "integer" }, phase: { type: "string" }, selector: { type: "string" } },
    },
  },
};
const definition = (more: object = {}): object => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name },
  spec: {
    group,
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget", shortNames: ["wd"], categories: ["all"] },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: schema },
        subresources: {
          status: {},
          scale: {
            specReplicasPath: ".spec.replicas",
            statusReplicasPath: ".status.replicas",
            labelSelectorPath: ".status.selector",
          },
        },
        selectableFields: [{ jsonPath: ".spec.color" }],
        additionalPrinterColumns: [
          { name: "Size", type: "integer", jsonPath: ".spec.size" },
          { name: "Phase", type: "string", jsonPath: ".status.phase", priority: 1 },
          { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
        ],
      },
    ],
    ...more,
  },
});
const widget = (called: string, spec: object, more: object = {}): object => ({
  apiVersion: `${group}/v1`,
  kind: "Widget",
  metadata: { name: called },
  spec,
  ...more,
});

export const definitionScripts: Script[] = [
  {
    name: "definitions",
    steps: [
      post(definitions, definition()),
      { wait: `/apis/${group}/v1`, until: { has: "widgets" } },
      { wait: `/apis/${group}/v1/widgets`, until: { has: "WidgetList" } },
      get(`${definitions}/${name}`),
      get(`${definitions}/${name}`, { accept: table }),
      get(`/apis/${group}/v1`),
      get(`/apis/${group}`),
      post(widgets, widget("a", { size: 3 }), { save: "a" }),
      get(`${widgets}/a`, { accept: table }),
      get(widgets, { accept: partialList }),
      post(widgets, widget("pruned", { size: 3, unknown: 1, free: { any: { thing: 1 } } }, { status: { phase: "x" } })),
      post(`${widgets}?fieldValidation=Strict`, widget("strict", { size: 3, unknown: 1 })),
      post(widgets, widget("none", {})),
      post(widgets, { apiVersion: `${group}/v1`, kind: "Widget", metadata: { name: "no-spec" } }),
      post(widgets, widget("small", { size: 0 })),
      post(widgets, widget("big", { size: 11 })),
      post(widgets, widget("text", { size: "3" })),
      post(widgets, widget("fraction", { size: 3.5 })),
      post(widgets, widget("green", { size: 3, color: "green" })),
      post(widgets, widget("red", { size: 7 })),
      post(widgets, widget("tags", { size: 3, tags: ["a", "a"] })),
      post(widgets, widget("long-tags", { size: 3, tags: ["toolong", "b", "c", "d"] })),
      post(widgets, widget("ports", { size: 3, ports: [{ port: 1 }, { port: 1 }] })),
      post(widgets, widget("port-names", { size: 3, ports: [{ port: 1, name: "B4D" }, {}] })),
      post(widgets, widget("when", { size: 3, when: "yesterday" })),
      post(widgets, widget("amount", { size: 3, amount: true })),
      post(widgets, widget("null", { size: 3, color: null, nothing: null })),
      post(widgets, widget("timed", { size: 3, when: "2026-11-22T10:00:00Z", amount: "50%" })),
      patch("merge", `${widgets}/timed`, { spec: { when: null } }),
      patch("merge", `${widgets}/a`, { spec: { size: 4 } }),
      patch("merge", `${widgets}/a`, { spec: { size: 4 } }),
      patch("merge", `${widgets}/a`, { status: { phase: "ignored" } }),
      patch("merge", `${widgets}/a/status`, { status: { phase: "Fine", replicas: 1 }, spec: { size: 9 } }),
      patch("strategic", `${widgets}/a`, { spec: { size: 5 } }),
      patch("json", `${widgets}/a`, [{ op: "add", path: "/spec/tags", value: ["x", "y"] }]),
      patch("apply", `${widgets}/a?fieldManager=one`, widget("a", { size: 4, tags: ["z"], ports: [{ port: 80 }] })),
      patch("apply", `${widgets}/a?fieldManager=one&force=true`, widget("a", { size: 4, ports: [{ port: 81 }] })),
      patch("apply", `${widgets}/a?fieldManager=two`, widget("a", { size: 4, ports: [{ port: 82, name: "x" }] })),
      get(`${widgets}/a/scale`),
      patch("merge", `${widgets}/a/scale`, { spec: { replicas: 4 } }),
      get(`${widgets}?fieldSelector=spec.color=red`, { accept: table }),
      get(`${widgets}?fieldSelector=spec.size=3`),
      put(`${widgets}/a`, widget("a", { size: 2 })),
      put(`${widgets}/a`, widget("a", { size: 2 }, { metadata: { name: "a", resourceVersion: "1" } })),
      remove(`${widgets}/a`),
      post(definitions, definition({ group: "other.example.com" })),
      post(definitions, definition({ versions: [] })),
      patch("merge", `${definitions}/${name}`, { spec: { scope: "Cluster" } }),
      remove(widgets),
      remove(`${definitions}/${name}`),
      { wait: `/apis/${group}/v1/widgets`, until: "gone" },
      get(widgets),
    ],
  },
];
