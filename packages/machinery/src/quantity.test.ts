import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityError,
  quantityToInteger,
  quantityToMilli,
} from "./quantity.ts";

test("canonical forms are those that a real server stores", () => {
  const pairs: [string | number, string][] = [
    ["1000m", "1"],
    ["0.5", "500m"],
    ["1024Mi", "1Gi"],
    ["1.5Gi", "1536Mi"],
    ["100Ki", "100Ki"],
    ["0.1Ki", "102400m"],
    ["12e6", "12e6"],
    ["1e3", "1e3"],
    ["1500", "1500"],
    ["1.500k", "1.500k"],
    ["0Mi", "0"],
    ["-2000", "-2k"],
    ["1023", "1023"],
    ["0.0000000001", "1n"],
    [2, "2"],
    ["9Ei", "9223372036854775807"],
    ["1E", "1E"],
  ];
  for (const [given, expected] of pairs) assert.equal(canonicalQuantity(given), expected, String(given));
});

test("what is no quantity is refused with Kubernetes' words", () => {
  for (const text of ["", "Mi", "1.1.M", "aoeu", "1 Gi", "."]) {
    assert.match(quantityError(text)!, /^quantities must match/, text);
  }
  for (const text of ["1+1", ".5i", "1i", "0.1mi", "-3.01e-", "1KM"]) {
    assert.equal(quantityError(text), "unable to parse quantity's suffix", text);
  }
});

test("milli and integer round up", () => {
  assert.equal(quantityToMilli("1"), 1000);
  assert.equal(quantityToMilli("100u"), 1);
  assert.equal(quantityToMilli("1.5"), 1500);
  assert.equal(quantityToInteger("100m"), 1);
  assert.equal(quantityToInteger("4Gi"), 4 * 1024 ** 3);
  assert.equal(quantityToInteger("-1500m"), -1);
});

const quantities = fc
  .tuple(
    fc.integer({ min: 0, max: 10_000_000 }),
    fc.constantFrom("", ".5", ".125", ".000"),
    fc.constantFrom("", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e3", "e-3", "E2"),
  )
  .map((parts) => parts.join(""));

test("property: the canonical text has the same value and is a fixed point", () => {
  fc.assert(
    fc.property(quantities, (text) => {
      const canonical = formatQuantity(parseQuantity(text));
      assert.equal(parseQuantity(canonical).nano, parseQuantity(text).nano);
      assert.equal(formatQuantity(parseQuantity(canonical)), canonical);
      assert.equal(compareQuantities(canonicalQuantity(text), text), 0);
    }),
  );
});

test("property: comparison is the order of the values, and milli keeps it", () => {
  fc.assert(
    fc.property(quantities, quantities, (a, b) => {
      const order = compareQuantities(a, b);
      assert.equal(order, -compareQuantities(b, a) + 0);
      if (order <= 0) assert.ok(quantityToMilli(a) <= quantityToMilli(b));
      if (order <= 0) assert.ok(quantityToInteger(a) <= quantityToInteger(b));
    }),
  );
});

test("property: the short way to milli is the exact one", () => {
  fc.assert(
    fc.property(quantities, (text) => {
      const { nano } = parseQuantity(text);
      const exact = nano / 1_000_000n + (nano % 1_000_000n > 0n ? 1n : 0n);
      assert.equal(quantityToMilli(text), Number(exact));
    }),
  );
});
