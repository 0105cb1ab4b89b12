import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { describeNodes, thisMachine } from "./machine.ts";
import { simulatedNodes } from "./simulated-nodes.ts";
import { nextPause } from "./restart-pauses.ts";

test("the nodes together have all cores, no more memory than the machine, and differ by a core at most", () => {
  const machine = fc.record({
    cores: fc.integer({ min: 1, max: 512 }),
    memoryBytes: fc.integer({ min: 2 ** 28, max: 2 ** 43 }),
  });
  fc.assert(
    fc.property(
      machine,
      fc.integer({ min: 1, max: 512 }),
      fc.integer({ min: 0, max: 20 }),
      (machine, wanted, simulated) => {
        const count = Math.min(wanted, machine.cores);
        const nodes = describeNodes(machine, count, simulatedNodes(String(simulated)));
        const real = nodes.filter((node) => !node.simulated);
        const cpus = real.map((node) => node.cpus);
        assert.equal(real.length, count);
        assert.equal(nodes.length, count + simulated);
        assert.equal(new Set(nodes.map(({ name }) => name)).size, nodes.length);
        assert.equal(
          cpus.reduce((sum, one) => sum + one, 0),
          machine.cores,
        );
        assert.ok(Math.max(...cpus) - Math.min(...cpus) <= 1);
        assert.ok(real.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0) <= machine.memoryBytes);
      },
    ),
  );
});

test("nodes may say that they have more CPUs than there are", () => {
  const machine = { cores: 2, memoryBytes: 2 ** 33 };
  const nodes = describeNodes(machine, 4, [], 8);
  assert.deepEqual(
    nodes.map(({ cpus }) => cpus),
    [8, 8, 8, 8],
  );
  assert.ok(nodes.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0) <= machine.memoryBytes);
});

test("more nodes than cores are refused in words", () => {
  assert.throws(() => describeNodes({ cores: 2, memoryBytes: 2 ** 31 }, 3, []), /has 2 cores.*--simulated-nodes/);
});

test("this machine has something to give", () => {
  const { cores, memoryBytes } = thisMachine();
  assert.ok(cores >= 1 && memoryBytes > 2 ** 24);
});

test("pauses grow to half a minute while a process keeps dying, and begin anew after a long life", () => {
  const pauses: number[] = [];
  for (let at = 0; at < 12; at += 1) pauses.push(nextPause(pauses.at(-1) ?? 0, 10));
  assert.deepEqual(pauses.slice(0, 4), [100, 200, 400, 800]);
  assert.equal(pauses.at(-1), 30_000);
  assert.equal(nextPause(30_000, 60_000), 100);
});

test("simulated nodes like those of a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-nodes-"));
  try {
    const path = join(folder, "nodes.json");
    const node = (name: string): object => ({
      metadata: { name, labels: { rack: "r1" }, annotations: { note: "x" } },
      status: { allocatable: { cpu: "64", memory: "256Gi", pods: "110", "nvidia.com/gpu": "4" } },
    });
    writeFileSync(path, JSON.stringify({ items: [node("a"), node("b")] }));
    const [first, second] = simulatedNodes(path);
    assert.deepEqual(first, {
      name: "a",
      simulated: true,
      cpus: 64,
      memoryBytes: 2 ** 38,
      labels: { rack: "r1" },
      annotations: { note: "x" },
      allocatable: { "nvidia.com/gpu": "4" },
    });
    assert.equal(second?.name, "b");
    const many = { metadata: { name: "m", annotations: { "berth.dev/simulated-replicas": "3" } } };
    writeFileSync(path, JSON.stringify([many]));
    assert.deepEqual(
      simulatedNodes(path).map(({ name, cpus }) => `${name} ${cpus}`),
      ["m-0 32", "m-1 32", "m-2 32"],
    );
    writeFileSync(path, JSON.stringify([node("a"), node("a")]));
    assert.throws(() => simulatedNodes(path), /two Nodes are called a/);
    assert.throws(() => simulatedNodes(join(folder, "absent")), /neither a number nor a JSON file of Nodes/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
