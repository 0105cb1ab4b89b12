import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CoreBinding } from "./cores.ts";
import { numaDomains } from "./numa.ts";

test("domains of the cores that a node has, with their share of its memory", () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-numa-"));
  try {
    for (const [id, list] of [
      [0, "0-3"],
      [1, "4-5,7"],
    ] as const) {
      mkdirSync(join(folder, `node${id}`));
      writeFileSync(join(folder, `node${id}`, "cpulist"), `${list}\n`);
      writeFileSync(join(folder, `node${id}`, "meminfo"), `Node ${id} MemTotal:       2097152 kB\n`);
    }
    const gibibyte = 2 ** 30;
    assert.deepEqual(numaDomains([0, 1, 2, 3, 4, 5, 7], 7 * gibibyte, folder), [
      { id: 0, cores: "0,1,2,3", memory: "2097152Ki" },
      { id: 1, cores: "4,5,7", memory: "2097152Ki" },
    ]);
    assert.deepEqual(numaDomains([1, 4], gibibyte, folder), [
      { id: 0, cores: "1", memory: "524288Ki" },
      { id: 1, cores: "4", memory: "524288Ki" },
    ]);
    assert.equal(numaDomains([0, 9], gibibyte, folder), undefined);
    assert.equal(numaDomains([0], gibibyte, join(folder, "absent")), undefined);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("cores that the scheduler chose are taken where they are free, else as many others", () => {
  const binding = new CoreBinding([0, 1, 2, 3, 4, 5]);
  assert.deepEqual(binding.take("a", 2000, [4, 5]), [4, 5]);
  assert.deepEqual(binding.take("b", 1000), [0]);
  assert.deepEqual(binding.take("c", 1500, [2, 3]), [2, 3]);
  assert.deepEqual(binding.take("d", 1000, [0]), [1]);
  assert.equal(binding.take("e", 1000, [0]), undefined);
});
