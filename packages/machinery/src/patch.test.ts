import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cloneJson, jsonEqual } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { applyJsonPatch, applyMergePatch, createMergePatch } from "./patch.ts";

test("JSON patch: the operations of RFC 6902", () => {
  const cases: [unknown, unknown[], unknown][] = [
    [{ a: 1 }, [{ op: "add", path: "/b", value: [1] }], { a: 1, b: [1] }],
    [{ a: [1, 3] }, [{ op: "add", path: "/a/1", value: 2 }], { a: [1, 2, 3] }],
    [{ a: [1] }, [{ op: "add", path: "/a/-", value: 2 }], { a: [1, 2] }],
    [{ a: 1, b: 2 }, [{ op: "remove", path: "/a" }], { b: 2 }],
    [{ a: [1, 2] }, [{ op: "replace", path: "/a/0", value: 9 }], { a: [9, 2] }],
    [{ a: { b: 1 } }, [{ op: "move", from: "/a/b", path: "/c" }], { a: {}, c: 1 }],
    [
      { a: { b: 1 } },
      [
        { op: "copy", from: "/a", path: "/c" },
        { op: "add", path: "/c/d", value: 2 },
      ],
      { a: { b: 1 }, c: { b: 1, d: 2 } },
    ],
    [
      { "a/b": 1, "c~d": 2 },
      [
        { op: "remove", path: "/a~1b" },
        { op: "remove", path: "/c~0d" },
      ],
      {},
    ],
    [
      { a: 1 },
      [
        { op: "test", path: "/a", value: 1 },
        { op: "test", path: "/x", value: null },
      ],
      { a: 1 },
    ],
    [{ a: 1 }, [{ op: "replace", path: "", value: { b: 1 } }], { b: 1 }],
    [{ a: 1 }, [{ op: "add", path: "/__proto__", value: { b: 1 } }], JSON.parse('{"a":1,"__proto__":{"b":1}}')],
  ];
  for (const [target, patch, expected] of cases) {
    const before = cloneJson(target);
    assert.deepEqual(applyJsonPatch(target, patch), expected, JSON.stringify(patch));
    assert.deepEqual(target, before);
  }
});

test("JSON patch: what does not fit is refused with where", () => {
  const refuse = (patch: unknown, message: RegExp, code: number): void => {
    assert.throws(() => applyJsonPatch({ a: [1] }, patch), { name: "ApiError", message, code }, JSON.stringify(patch));
  };
  refuse({}, /must be a list/, 400);
  refuse([{ op: "put", path: "/a" }], /operation 0 .* op must be one of add, remove/, 400);
  refuse([{ op: "add", path: "/a" }], /has no value/, 400);
  refuse([{ op: "remove", path: "/b" }], /path "\/b" does not exist/, 422);
  refuse([{ op: "replace", path: "/b", value: 1 }], /path "\/b" does not exist/, 422);
  refuse([{ op: "add", path: "/b/c", value: 1 }], /path "\/b\/c" does not exist/, 422);
  refuse([{ op: "add", path: "/a/3", value: 1 }], /index 3 in path "\/a\/3" is out of bounds/, 422);
  refuse([{ op: "test", path: "/a/0", value: 2 }], /testing path "\/a\/0"/, 422);
  refuse([{ op: "remove", path: "/constructor" }], /does not exist/, 422);
});

test("merge patch: the examples of RFC 7386", () => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
  ];
  for (const [target, patch, expected] of cases) assert.deepEqual(applyMergePatch(target, patch), expected);
  assert.throws(() => applyMergePatch({}, [1]), /must be an object/);
});

const { objects } = fc.letrec<{ value: unknown; objects: JsonObject }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.integer(),
    fc.string({ maxLength: 2 }),
    fc.boolean(),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("objects"),
  ),
  objects: fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__"), tie("value"), {
    noNullPrototype: true,
  }) as fc.Arbitrary<JsonObject>,
}));

test("property: applying the difference gives the target, and a second time nothing changes", () => {
  fc.assert(
    fc.property(objects, objects, (from, to) => {
      const patch = createMergePatch(from, to);
      if (patch === undefined) {
        assert.ok(jsonEqual(from, to));
        return;
      }
      const before = cloneJson(from);
      const once = applyMergePatch(from, patch);
      assert.ok(jsonEqual(once, to), JSON.stringify({ from, to, patch, once }));
      assert.ok(jsonEqual(applyMergePatch(once, patch), once));
      assert.ok(jsonEqual(from, before));
    }),
  );
});
