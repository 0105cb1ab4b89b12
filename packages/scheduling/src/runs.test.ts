import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RunSet } from "./runs.ts";

const runs = fc.tuple(fc.nat(40), fc.nat(8)).map(([first, more]): [number, number] => [first, first + more]);
const acts = fc.array(fc.tuple(fc.constantFrom("add", "remove", "take", "takeLowest"), runs), { maxLength: 30 });

function flat(all: RunSet): number[] {
  return all.runs().flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
}

test("a set of runs is the set of its numbers", () => {
  fc.assert(
    fc.property(acts, fc.array(runs), (acts, others) => {
      const set = new RunSet();
      const model = new Set<number>();
      for (const [act, [first, last]] of acts) {
        if (act === "take") {
          const lowest = model.size === 0 ? undefined : Math.min(...model);
          assert.equal(set.take(), lowest);
          model.delete(lowest ?? -1);
          continue;
        }
        if (act === "takeLowest") {
          const lowest = [...model].sort((a, b) => a - b).slice(0, last);
          for (const task of lowest) model.delete(task);
          assert.deepEqual(flat(new RunSet(set.takeLowest(last))), lowest);
          continue;
        }
        let changed = 0;
        for (let task = first; task <= last; task += 1) {
          if (model.has(task) !== (act === "add")) changed += 1;
          if (act === "add") model.add(task);
          else model.delete(task);
        }
        if (act === "add") set.add(first, last);
        else assert.equal(set.remove(first, last), changed);
      }
      const sorted = [...model].sort((a, b) => a - b);
      assert.deepEqual(flat(set), sorted);
      assert.equal(set.size, model.size);
      for (let task = 0; task < 50; task += 1) assert.equal(set.has(task), model.has(task));
      const other = new RunSet(others);
      assert.deepEqual(
        flat(set.intersection(other)),
        sorted.filter((task) => other.has(task)),
      );
    }),
  );
});
