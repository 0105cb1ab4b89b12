import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileCustomSchema, compiledBuiltInSchema } from "./compiled-schema.ts";
import { renderFieldError } from "./field-errors.ts";
import { formatDuration, parseDuration } from "./formats.ts";
import { cloneJson, jsonEqual } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { Schema } from "./schema.ts";
import { parseJsonStrict } from "./strict-json.ts";

const schema: Schema = {
  type: "object",
  required: ["spec"],
  properties: {
    spec: {
      type: "object",
      required: ["size"],
      properties: {
        size: { type: "integer", format: "int32", minimum: 1, maximum: 10 },
        ratio: { type: "number", exclusiveMinimum: true, minimum: 0 },
        mode: { type: "string", enum: ["Fast", "Slow"], default: "Fast" },
        name: { type: "string", minLength: 2, maxLength: 5, pattern: "^[a-z]+$" },
        port: { "x-kubernetes-int-or-string": true },
        when: { type: "string", format: "date-time" },
        maybe: { type: "string", nullable: true },
        limits: { type: "object", default: {}, properties: { depth: { type: "integer", default: 3 } } },
        items: {
          type: "array",
          maxItems: 3,
          minItems: 1,
          items: {
            type: "object",
            required: ["name"],
            properties: { name: { type: "string" }, weight: { type: "integer", default: 1 } },
          },
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["name"],
        },
        tags: { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" },
        labels: { type: "object", maxProperties: 2, additionalProperties: { type: "string" } },
        open: {
          type: "object",
          "x-kubernetes-preserve-unknown-fields": true,
          properties: { known: { type: "object", properties: { a: { type: "string" } } } },
        },
        template: {
          type: "object",
          "x-kubernetes-embedded-resource": true,
          "x-kubernetes-preserve-unknown-fields": true,
        },
        choice: {
          type: "object",
          properties: { a: { type: "string" }, b: { type: "string" } },
          oneOf: [{ required: ["a"] }, { required: ["b"] }],
        },
      },
    },
  },
};
const compiled = compileCustomSchema(schema);
const object = (spec: JsonObject): JsonObject => ({
  apiVersion: "example.com/v1",
  kind: "Widget",
  metadata: { name: "w" },
  spec,
});
const errorsOf = (spec: JsonObject): string[] => compiled.validate(object({ size: 1, ...spec })).map(renderFieldError);

test("messages of validation are those of the real server", () => {
  const cases: [JsonObject, string[]][] = [
    [{ size: 1 }, []],
    [{ size: "x" }, ['spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"']],
    [{ size: 1.5 }, ['spec.size: Invalid value: "double": spec.size in body must be of type int32: "double"']],
    [{ size: 11 }, ["spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"]],
    [{ ratio: 0 }, ["spec.ratio: Invalid value: 0: spec.ratio in body should be greater than 0"]],
    [{ mode: "x" }, ['spec.mode: Unsupported value: "x": supported values: "Fast", "Slow"']],
    [{ name: "abcdef" }, ["spec.name: Too long: may not be more than 5 bytes"]],
    [{ name: "a" }, ['spec.name: Invalid value: "a": spec.name in body should be at least 2 chars long']],
    [{ name: "AB" }, ["spec.name: Invalid value: \"AB\": spec.name in body should match '^[a-z]+$'"]],
    [
      { port: true },
      ['spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"'],
    ],
    [{ port: "http" }, []],
    [{ when: "now" }, ['spec.when: Invalid value: "now": spec.when in body must be of type date-time: "now"']],
    [
      { when: "2026-02-30T00:00:00Z" },
      [
        'spec.when: Invalid value: "2026-02-30T00:00:00Z": spec.when in body must be of type date-time: "2026-02-30T00:00:00Z"',
      ],
    ],
    [{ maybe: null }, []],
    [{ items: [] }, ["spec.items: Invalid value: 0: spec.items in body should have at least 1 items"]],
    [
      { items: [{ name: "a" }, { name: "b" }, { name: "c" }, { name: "d" }] },
      ["spec.items: Too many: 4: must have at most 3 items"],
    ],
    [{ items: [{}] }, ["spec.items[0].name: Required value"]],
    [{ items: [{ name: "a" }, { name: "a" }] }, ['spec.items[1]: Duplicate value: {"name":"a"}']],
    [{ tags: ["a", "b", "a"] }, ['spec.tags[2]: Duplicate value: "a"']],
    [
      { labels: { a: 1 } },
      ['spec.labels.a: Invalid value: "integer": spec.labels.a in body must be of type string: "integer"'],
    ],
    [{ labels: { a: "", b: "", c: "" } }, ["spec.labels: Too many: 3: must have at most 2 items"]],
    [{ template: { kind: "Pod" } }, ["spec.template.apiVersion: Required value"]],
    [
      { choice: { a: "", b: "" } },
      [
        '<nil>: Invalid value: "": "spec.choice" must validate one and only one schema (oneOf). Found 2 valid alternatives',
      ],
    ],
  ];
  for (const [spec, expected] of cases) assert.deepEqual(errorsOf(spec), expected, JSON.stringify(spec));
  assert.deepEqual(compiled.validate({ kind: "Widget", spec: {} }).map(renderFieldError), [
    "spec.size: Required value",
  ]);
  assert.deepEqual(compiled.validate({ spec: 3 }).map(renderFieldError), [
    'spec: Invalid value: "integer": spec in body must be of type object: "integer"',
  ]);
});

test("pruning tells the paths, spares open fields, drops nulls that are not allowed", () => {
  const given = object({
    size: 1,
    extra: { deep: 1 },
    mode: null,
    maybe: null,
    items: [{ name: "a", unknown: 1 }],
    labels: { any: "x" },
    open: { free: { x: 1 }, known: { a: "", b: "" } },
    template: { apiVersion: "v1", kind: "Pod", metadata: { name: "x" }, anything: 1 },
  });
  const before = cloneJson(given);
  const { object: pruned, unknownFields } = compiled.prune({ ...given, stray: 1, metadata: { name: "w", odd: 1 } });
  assert.deepEqual(unknownFields, [
    "metadata.odd",
    "spec.extra",
    "spec.items[0].unknown",
    "spec.open.known.b",
    "stray",
  ]);
  assert.deepEqual(
    pruned,
    object({
      size: 1,
      maybe: null,
      items: [{ name: "a" }],
      labels: { any: "x" },
      open: { free: { x: 1 }, known: { a: "" } },
      template: { apiVersion: "v1", kind: "Pod", metadata: { name: "x" }, anything: 1 },
    }),
  );
  assert.deepEqual(given, before);
});

test("defaults are set where fields are absent, also inside what defaulting made", () => {
  const set = compiled.setDefaults(object({ size: 1, items: [{ name: "a" }, { name: "b", weight: 5 }] }));
  assert.deepEqual(set.spec, {
    size: 1,
    mode: "Fast",
    limits: { depth: 3 },
    items: [
      { name: "a", weight: 1 },
      { name: "b", weight: 5 },
    ],
  });
  assert.notEqual((set.spec as JsonObject).limits, schema.properties!.spec!.properties!.limits!.default);
});

const values: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(null, 1, 2.5, "a", "abc", true),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom("size", "mode", "items", "name", "labels", "open", "known", "maybe", "limits", "x"),
      tie("value"),
      { noNullPrototype: true, maxKeys: 4 },
    ),
  ),
})).value;

test("property: pruning and defaulting are idempotent, touch nothing given, and never create type errors", () => {
  fc.assert(
    fc.property(values, (spec) => {
      const given = object({ size: 1, more: spec, ...(typeof spec === "object" && !Array.isArray(spec) ? spec : {}) });
      const before = cloneJson(given);
      const once = compiled.prune(given);
      assert.ok(jsonEqual(given, before));
      assert.deepEqual(compiled.prune(once.object), { object: once.object, unknownFields: [] });
      const set = compiled.setDefaults(once.object);
      assert.equal(compiled.setDefaults(set), set);
      assert.deepEqual(compiled.prune(set).unknownFields, []);
    }),
  );
});

test("built-in kinds: unknown fields, canonical scalars, nulls, required fields", () => {
  const pods = compiledBuiltInSchema("", "v1", "Pod")!;
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a", creationTimestamp: null, deletionTimestamp: "2026-01-01T01:00:00.5+01:00" },
    spec: {
      containers: [
        {
          name: "c",
          resources: { limits: { cpu: 1, memory: "1024Mi" } },
          ports: [{ containerPort: 80 }],
          livenessProbe: { httpGet: { port: "http" } },
          imagePullPolice: "Always",
        },
      ],
    },
    status: { containerStatuses: [{ name: "c" }] },
  };
  const { object: pruned, unknownFields } = pods.prune(pod);
  assert.deepEqual(unknownFields, ["spec.containers[0].imagePullPolice"]);
  assert.deepEqual(pruned.metadata, { name: "a", deletionTimestamp: "2026-01-01T00:00:00Z" });
  const container = (pods.setDefaults(pruned).spec as { containers: JsonObject[] }).containers[0]!;
  assert.deepEqual(container.resources, { limits: { cpu: "1", memory: "1Gi" } });
  assert.deepEqual(container.ports, [{ containerPort: 80, protocol: "TCP" }]);
  assert.deepEqual(pods.validate(pruned), []);
  const wrong = {
    ...pod,
    spec: { activeDeadlineSeconds: "5", containers: [{ image: "x", resources: { limits: { cpu: "1x" } } }] },
  };
  assert.deepEqual(pods.validate(pods.prune(wrong).object).map(renderFieldError), [
    'spec.activeDeadlineSeconds: Invalid value: "string": spec.activeDeadlineSeconds in body must be of type integer: "string"',
    'spec.containers[0].resources.limits.cpu: Invalid value: "1x": spec.containers[0].resources.limits.cpu in body must be of type quantity: "1x"',
    "spec.containers[0].name: Required value",
  ]);
  const crds = compiledBuiltInSchema("apiextensions.k8s.io", "v1", "CustomResourceDefinition")!;
  const deep = {
    spec: { versions: [{ schema: { openAPIV3Schema: { properties: { a: { items: { odd: 1 }, bad: 1 } } } } }] },
  };
  assert.deepEqual(crds.prune(deep).unknownFields, ["spec.versions[0].schema.openAPIV3Schema.properties.a.bad"]);
});

test("duplicate fields are told by path", () => {
  const text = '{"a":{"b":1,"b":2},"l":[{"x":"}{,"},{"y":[],"y":{"\\"q":1}}],"a":3,"e":[1,[2],{"z":0,"z":0}]}';
  const { value, duplicates } = parseJsonStrict(text);
  assert.deepEqual(value, JSON.parse(text));
  assert.deepEqual(duplicates, ["a.b", "l[1].y", "a", "e[2].z"]);
  assert.throws(() => parseJsonStrict("{"), { name: "ApiError", code: 400 });
});

test("property: JSON as it is printed has no duplicates", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const plain = JSON.stringify(JSON.parse(text));
      assert.deepEqual(parseJsonStrict(plain), { value: JSON.parse(plain), duplicates: [] });
    }),
  );
});

test("property: durations survive printing", () => {
  fc.assert(
    fc.property(fc.bigInt(-(10n ** 15n), 10n ** 15n), (nanoseconds) => {
      assert.equal(parseDuration(formatDuration(nanoseconds)), nanoseconds);
    }),
  );
  assert.equal(formatDuration(5_400_000_000_000n), "1h30m0s");
});
