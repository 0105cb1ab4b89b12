import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { namespaceOf } from "./namespaces.ts";

test("a plain name is its own namespace", () => {
  for (const name of ["ada", "root", "x1-y"]) assert.equal(namespaceOf(name), name);
});

test("every name gives a valid namespace, never one that others use, and two names never the same", () => {
  const name = fc.oneof(
    fc.string({ minLength: 1, maxLength: 80 }),
    fc.constantFrom("default", "kube-system", "berth-system", "Ada", "a.b"),
  );
  fc.assert(
    fc.property(name, name, (left, right) => {
      const namespace = namespaceOf(left);
      assert.match(namespace, /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
      assert.doesNotMatch(namespace, /^(default$|kube-|berth-)/);
      if (left !== right) assert.notEqual(namespace, namespaceOf(right));
    }),
  );
});
