import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatIndexList, formatIndexListCompact, IndexSet, parseIndexList } from "./index-list.ts";

const indices = fc.uniqueArray(fc.integer({ min: 0, max: 400 }), { maxLength: 200 });
const ascending = (values: Iterable<number>) => [...values].sort((a, b) => a - b);

test("run lists are read and written", () => {
  assert.deepEqual([...parseIndexList("0-4,7,9-15:2")], [0, 1, 2, 3, 4, 7, 9, 11, 13, 15]);
  assert.equal(formatIndexList(IndexSet.of(15, 0, 1, 2, 3, 4, 7, 9, 11, 13)), "0-4,7-15:2");
  assert.equal(formatIndexList(IndexSet.of(2, 3, 6, 9)), "2-3,6,9");
  assert.equal(formatIndexList(IndexSet.of(1, 3, 4, 5)), "1,3-5");
  assert.equal(formatIndexList(IndexSet.of(0, 999_999)), "0,999999");
  assert.equal(formatIndexList(new IndexSet()), "");
  assert.equal(parseIndexList("").size, 0);
  assert.equal(parseIndexList("5,1-3,2-4").size, 5);
});

test("bad run lists are refused in words", () => {
  assert.throws(() => parseIndexList("1-"), /"1-" is not an index/);
  assert.throws(() => parseIndexList("a"), /"a" is not an index/);
  assert.throws(() => parseIndexList("1,,2"), /"" is not an index/);
  assert.throws(() => parseIndexList("5-1"), /"5-1" ends before it begins/);
  assert.throws(() => parseIndexList("1-5:0"), /must be at least 1/);
  assert.throws(() => parseIndexList("1000000"), /largest index is 999999/);
});

test("any set survives writing and reading, in both forms", () => {
  fc.assert(
    fc.property(indices, (values) => {
      const set = IndexSet.of(...values);
      assert.deepEqual([...set], ascending(values));
      assert.equal(set.size, values.length);
      assert.deepEqual([...parseIndexList(formatIndexList(set))], ascending(values));
      assert.deepEqual([...parseIndexList(formatIndexListCompact(set))], ascending(values));
      assert.deepEqual([...IndexSet.fromBitmap(set.toBitmap())], ascending(values));
      assert.equal(set.last(), ascending(values).at(-1));
      assert.deepEqual(set.lowest(7), ascending(values).slice(0, 7));
    }),
  );
});

test("set operations agree with those of Set", () => {
  fc.assert(
    fc.property(indices, indices, (left, right) => {
      const [a, b] = [new Set(left), new Set(right)];
      const [x, y] = [IndexSet.of(...left), IndexSet.of(...right)];
      for (const [actual, expected] of [
        [x.union(y), a.union(b)],
        [x.subtract(y), a.difference(b)],
        [x.intersect(y), a.intersection(b)],
      ] as const) {
        assert.deepEqual([...actual], ascending(expected));
        assert.equal(actual.size, expected.size);
      }
      assert.equal(x.equals(y), a.symmetricDifference(b).size === 0);
    }),
  );
});

test("ranges set whole words and keep count", () => {
  fc.assert(
    fc.property(indices, fc.nat(300), fc.nat(300), (values, first, length) => {
      const set = IndexSet.of(...values);
      const expected = new Set(values);
      set.addRange(first, first + length);
      for (let index = first; index <= first + length; index++) expected.add(index);
      assert.equal(set.size, expected.size);
      assert.deepEqual([...set], ascending(expected));
      let missing = first;
      while (expected.has(missing)) missing++;
      assert.equal(set.firstMissing(first), missing);
      set.delete(first);
      assert.equal(set.size, expected.size - 1);
    }),
  );
});

test("a million tasks: short when regular, a bitmap when not", () => {
  const all = parseIndexList("0-999999");
  assert.equal(all.size, 1_000_000);
  assert.equal(formatIndexListCompact(all), "0-999999");
  const failed = new IndexSet();
  let state = 1;
  for (let index = 0; index < 1_000_000; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    if (state < 0.3 * 2 ** 32) failed.add(index);
  }
  const text = formatIndexListCompact(failed);
  assert.ok(text.startsWith("bitmap:") && text.length < 170_000);
  assert.ok(parseIndexList(text).equals(failed));
  assert.equal(all.subtract(failed).size, 1_000_000 - failed.size);
});
