import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cloneJson } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { Definitions, Schema } from "./schema.ts";
import { applyStrategicMergePatch } from "./strategic-patch.ts";

const definitions: Definitions = {
  Item: {
    type: "object",
    properties: {
      name: { type: "string" },
      value: { type: "string" },
      tags: { type: "array", items: { type: "string" }, "x-kubernetes-patch-strategy": "merge" },
    },
  },
};
const schema: Schema = {
  type: "object",
  properties: {
    items: {
      type: "array",
      items: { $ref: "Item" },
      "x-kubernetes-patch-merge-key": "name",
      "x-kubernetes-patch-strategy": "merge",
    },
    atomic: { type: "array", items: { $ref: "Item" } },
    finalizers: { type: "array", items: { type: "string" }, "x-kubernetes-patch-strategy": "merge" },
    strategy: { type: "object", "x-kubernetes-patch-strategy": "retainKeys" },
    labels: { type: "object", additionalProperties: { type: "string" } },
  },
};

const apply = (target: unknown, patch: unknown): JsonObject =>
  applyStrategicMergePatch(target, patch, schema, definitions);

test("lists are merged by key, or replaced, as the schema says", () => {
  const target = { items: [{ name: "a", value: "1" }, { name: "b" }], atomic: [{ name: "x" }], labels: { k: "v" } };
  const before = cloneJson(target);
  const cases: [JsonObject, JsonObject][] = [
    [
      { items: [{ name: "b", value: "2" }] },
      {
        items: [
          { name: "a", value: "1" },
          { name: "b", value: "2" },
        ],
      },
    ],
    [{ items: [{ name: "c" }] }, { items: [{ name: "c" }, { name: "a", value: "1" }, { name: "b" }] }],
    [{ items: [{ name: "a", $patch: "delete" }] }, { items: [{ name: "b" }] }],
    [{ items: [{ $patch: "replace" }, { name: "z" }] }, { items: [{ name: "z" }] }],
    [{ items: [{ name: "a", value: null }] }, { items: [{ name: "a" }, { name: "b" }] }],
    [{ atomic: [{ name: "y" }] }, { atomic: [{ name: "y" }] }],
    [{ labels: { k: null, l: "w" } }, { labels: { l: "w" } }],
    [{ labels: { $patch: "replace", l: "w" } }, { labels: { l: "w" } }],
    [{ labels: { $patch: "delete" } }, { labels: {} }],
    [{ labels: null }, { labels: undefined }],
  ];
  for (const [patch, change] of cases) {
    const expected = JSON.parse(JSON.stringify({ ...target, ...change }));
    assert.deepEqual(apply(target, patch), expected, JSON.stringify(patch));
    assert.deepEqual(target, before);
  }
});

test("order, primitive lists and retained keys", () => {
  const target = { items: [{ name: "a" }, { name: "live" }, { name: "b" }], finalizers: ["x", "y"] };
  const names = (object: JsonObject): string => (object.items as { name: string }[]).map((one) => one.name).join(" ");
  const order = (...list: string[]): JsonObject => ({ "$setElementOrder/items": list.map((name) => ({ name })) });
  assert.equal(names(apply(target, order("b", "a"))), "live b a");
  assert.equal(names(apply(target, { ...order("b", "new", "a"), items: [{ name: "new" }] })), "live b new a");
  assert.equal(names(apply(target, { ...order("a"), items: [{ name: "b", $patch: "delete" }] })), "a live");
  assert.deepEqual(apply(target, { finalizers: ["z", "x"] }).finalizers, ["z", "x", "y"]);
  const removal = { "$deleteFromPrimitiveList/finalizers": ["x"], "$setElementOrder/finalizers": ["y"] };
  assert.deepEqual(apply(target, removal).finalizers, ["y"]);
  const rolling = { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } };
  assert.deepEqual(apply(rolling, { strategy: { $retainKeys: ["type"], type: "Recreate" } }), {
    strategy: { type: "Recreate" },
  });
  assert.deepEqual(apply({}, { strategy: { $retainKeys: ["type"], type: "Recreate", gone: null } }), {
    strategy: { type: "Recreate" },
  });
});

test("what does not fit is refused in words", () => {
  const refusals: [JsonObject, RegExp, number][] = [
    [{ items: [{ value: "1" }] }, /does not contain declared merge key: name/, 422],
    [{ $patch: "add" }, /unknown patch type: "add"/, 422],
    [{ strategy: { $retainKeys: ["a"], b: 1 } }, /invalid patch format of retainKeys/, 400],
    [{ "$setElementOrder/items": [{ name: "b" }, { name: "a" }], items: [{ name: "a" }, { name: "b" }] }, /order/, 422],
    [{ items: [{ name: "a" }, 3] }, /items of items must all be objects/, 422],
  ];
  const target = { items: [{ name: "a" }, { name: "b" }], strategy: { b: 2 } };
  for (const [patch, message, code] of refusals) {
    assert.throws(() => apply(target, patch), { message, code }, JSON.stringify(patch));
  }
});

const items = fc.uniqueArray(
  fc.record(
    { name: fc.constantFrom("a", "b", "c", "d"), value: fc.string({ maxLength: 2 }) },
    { noNullPrototype: true },
  ),
  { selector: (one) => one.name, maxLength: 4 },
);

test("property: a patch is idempotent, its items are there, the others are untouched", () => {
  fc.assert(
    fc.property(items, items, (live, patch) => {
      const once = apply({ items: live }, { items: patch });
      assert.deepEqual(apply(once, { items: patch }), once);
      const after = new Map((once.items as { name: string }[]).map((one) => [one.name, one]));
      for (const one of patch) assert.deepEqual(after.get(one.name), one);
      for (const one of live)
        if (!patch.some(({ name }) => name === one.name)) assert.deepEqual(after.get(one.name), one);
      assert.equal(after.size, new Set([...live, ...patch].map((one) => one.name)).size);
    }),
  );
});
