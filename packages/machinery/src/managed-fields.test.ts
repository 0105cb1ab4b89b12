import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileCustomSchema, compiledBuiltInSchema } from "./compiled-schema.ts";
import { FieldSet } from "./field-set.ts";
import { jsonEqual } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { managedFieldsAfterUpdate, serverSideApply } from "./managed-fields.ts";
import type { ManagedFieldsEntry } from "./managed-fields.ts";

const pods = compiledBuiltInSchema("", "v1", "Pod")!;
const now = "2026-01-01T00:00:00Z";

function pod(spec: JsonObject, metadata: JsonObject = {}): JsonObject {
  return { apiVersion: "v1", kind: "Pod", metadata: { name: "x", ...metadata }, spec };
}

function apply(live: JsonObject | undefined, configuration: JsonObject, manager = "me", force = false): JsonObject {
  return serverSideApply(pods, live, configuration, { manager, force, now }).object;
}

function managers(object: JsonObject): Record<string, JsonObject> {
  const entries = ((object.metadata as JsonObject).managedFields ?? []) as ManagedFieldsEntry[];
  return Object.fromEntries(entries.map((one) => [`${one.manager} ${one.operation}`, one.fieldsV1]));
}

test("an applied configuration is owned as Kubernetes writes it", () => {
  const object = apply(
    undefined,
    pod(
      {
        containers: [{ name: "c", image: "i", ports: [{ containerPort: 80 }], args: ["a"] }],
        nodeSelector: { z: "1" },
      },
      { labels: { a: "1" }, finalizers: ["f"] },
    ),
  );
  assert.deepEqual(managers(object), {
    "me Apply": {
      "f:metadata": { "f:finalizers": { 'v:"f"': {} }, "f:labels": { "f:a": {} } },
      "f:spec": {
        "f:containers": {
          'k:{"name":"c"}': {
            ".": {},
            "f:args": {},
            "f:image": {},
            "f:name": {},
            "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
          },
        },
        "f:nodeSelector": {},
      },
    },
  });
});

test("what is applied no more goes, unless another manages it; what others set stays", () => {
  const first = apply(
    undefined,
    pod({
      containers: [
        { name: "a", image: "1" },
        { name: "b", image: "1" },
      ],
    }),
  );
  const second = apply(first, pod({ containers: [{ name: "b", image: "1" }] }), "other");
  const third = apply(second, pod({ containers: [{ name: "c" }] }, { labels: { l: "1" } }));
  assert.deepEqual(third.spec, { containers: [{ name: "b", image: "1" }, { name: "c" }] });
  const fourth = apply(third, pod({ containers: [{ name: "c" }] }));
  assert.equal((fourth.metadata as JsonObject).labels, undefined);
});

test("conflicts name the manager and the field, in the words that kubectl prints", () => {
  const live = apply(undefined, pod({ containers: [{ name: "a", image: "1" }] }, { labels: { l: "1" } }), "one");
  const refused = (configuration: JsonObject, message: string): void => {
    assert.throws(() => apply(live, configuration, "two"), { name: "ApiError", code: 409, message });
  };
  refused(
    pod({ containers: [{ name: "a", image: "2" }] }),
    'Apply failed with 1 conflict: conflict with "one": .spec.containers[name="a"].image',
  );
  refused(
    pod({ containers: [{ name: "a", image: "2" }] }, { labels: { l: "2" } }),
    'Apply failed with 2 conflicts: conflicts with "one":\n- .metadata.labels.l\n- .spec.containers[name="a"].image',
  );
  const forced = apply(live, pod({ containers: [{ name: "a", image: "2" }] }), "two", true);
  assert.deepEqual(managers(forced)["one Apply"]!["f:spec"], {
    "f:containers": { 'k:{"name":"a"}': { ".": {}, "f:name": {} } },
  });
  assert.throws(
    () => apply(undefined, pod({ containers: [{ name: "a" }, { name: "a" }] })),
    /duplicate entries for key/,
  );
});

test("updates take over what they change; objects never applied are not tracked", () => {
  const options = { manager: "editor", now };
  assert.equal(managedFieldsAfterUpdate(pods, undefined, pod({ nodeName: "n" }), options), undefined);
  const live = apply(undefined, pod({ containers: [{ name: "a", image: "1" }] }, { labels: { l: "1" } }));
  const updated = pod({ containers: [{ name: "a", image: "2" }], nodeName: "n" }, { labels: { l: "1" }, uid: "u" });
  const entries = managedFieldsAfterUpdate(pods, live, updated, options)!;
  assert.deepEqual(
    entries.map(({ manager, operation, fieldsV1 }) => [manager, operation, fieldsV1["f:spec"]]),
    [
      ["me", "Apply", { "f:containers": { 'k:{"name":"a"}': { ".": {}, "f:name": {} } } }],
      ["editor", "Update", { "f:containers": { 'k:{"name":"a"}': { "f:image": {} } }, "f:nodeName": {} }],
    ],
  );
  const reset = { ...updated, metadata: { name: "x", managedFields: [{}] } };
  assert.equal(managedFieldsAfterUpdate(pods, live, reset, options), undefined);
});

test("kubectl takes over what client-side apply set, and only that", () => {
  const last = pod({ containers: [{ name: "a", image: "1" }] }, { labels: { l: "1" } });
  const annotations = { "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(last) };
  const live = pod({ containers: [{ name: "a", image: "1" }], nodeName: "n" }, { labels: { l: "9" }, annotations });
  const next = (metadata: JsonObject): JsonObject => pod({ containers: [{ name: "a", image: "2" }] }, metadata);
  assert.deepEqual(apply(live, next({}), "kubectl").spec, { containers: [{ name: "a", image: "2" }], nodeName: "n" });
  assert.throws(
    () => apply(live, next({ labels: { l: "2" } }), "kubectl"),
    /1 conflict: .*before-first-apply.*labels\.l/,
  );
});

test("at most ten managers of updates", () => {
  let live = apply(undefined, pod({ containers: [] }, { labels: { l: "0" } }));
  for (let count = 0; count < 15; count++) {
    const labels = { ...((live.metadata as JsonObject).labels as JsonObject), [`l${count}`]: "1" };
    const updated = pod({ containers: [] }, { labels });
    const time = `2026-01-01T00:00:${count + 10}Z`;
    const managedFields = managedFieldsAfterUpdate(pods, live, updated, { manager: `m${count}`, now: time });
    live = pod({ containers: [] }, { labels, managedFields });
  }
  const names = Object.keys(managers(live));
  assert.equal(names.filter((name) => name.endsWith("Update")).length, 10);
  assert.ok(names.includes("ancient-changes Update"));
});

const custom = compileCustomSchema({
  type: "object",
  properties: {
    spec: {
      type: "object",
      properties: {
        map: { type: "object", additionalProperties: { type: "string" } },
        atomic: { type: "object", "x-kubernetes-map-type": "atomic", additionalProperties: { type: "string" } },
        set: { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" },
        keyed: {
          type: "array",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["name"],
          items: { type: "object", properties: { name: { type: "string" }, v: { type: "integer" } } },
        },
      },
    },
  },
});

const letters = fc.constantFrom("a", "b", "c");
const specs = fc.record(
  {
    map: fc.dictionary(letters, letters, { noNullPrototype: true }),
    atomic: fc.dictionary(letters, letters, { noNullPrototype: true }),
    set: fc.uniqueArray(letters),
    keyed: fc.uniqueArray(
      fc.record(
        { name: letters, v: fc.integer({ min: 0, max: 2 }) },
        { requiredKeys: ["name"], noNullPrototype: true },
      ),
      { selector: (one) => one.name },
    ),
  },
  { requiredKeys: [], noNullPrototype: true },
);

test("property: an apply is idempotent, all it says is there, and a lone manager gets exactly what it applies", () => {
  fc.assert(
    fc.property(specs, specs, specs, (first, second, other) => {
      const object = (spec: JsonObject): JsonObject => ({
        apiVersion: "e/v1",
        kind: "W",
        metadata: { name: "w" },
        spec,
      });
      const run = (live: JsonObject | undefined, spec: JsonObject, manager: string) =>
        serverSideApply(custom, live, object(spec), { manager, force: true, now });
      const alone = run(run(undefined, first, "me").object, second, "me").object;
      const content = (spec: unknown): JsonObject =>
        Object.fromEntries(
          Object.entries((spec ?? {}) as JsonObject).filter(([, one]) => Object.keys(one as object).length > 0),
        );
      assert.deepEqual(sorted(content(alone.spec)), sorted(content(second)));
      const shared = run(run(run(undefined, first, "me").object, other, "other").object, second, "me");
      const again = run(shared.object, second, "me");
      assert.equal(again.changed, false);
      assert.ok(jsonEqual(again.object, shared.object));
      const { map = {} } = second;
      const actual = (shared.object.spec as { map?: JsonObject }).map ?? {};
      for (const [key, value] of Object.entries(map)) assert.equal(actual[key], value);
    }),
  );
});

/** Lists in one order, because what stays of earlier lists keeps its place. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => JSON.stringify(one)).sort();
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, sorted(one)]));
}

const paths = fc.array(fc.array(fc.constantFrom("f:a", "f:b", 'k:{"n":1}'), { minLength: 1, maxLength: 3 }));

test("property: sets of fields obey the laws of sets and survive serialization", () => {
  fc.assert(
    fc.property(paths, paths, (a, b) => {
      const [left, right] = [FieldSet.of(a), FieldSet.of(b)];
      const text = (set: FieldSet): string => JSON.stringify(set.toJson());
      assert.equal(text(left.union(right)), text(right.union(left)));
      assert.equal(text(left.difference(right).union(left.intersection(right))), text(left));
      assert.ok(left.difference(left).isEmpty);
      for (const path of a) assert.ok(left.has(path));
      assert.equal(text(FieldSet.fromJson(left.toJson())), text(left));
    }),
  );
});
