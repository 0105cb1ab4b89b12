import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openJsonLog } from "./json-log.ts";

const folder = await mkdtemp(join(tmpdir(), "berth-log-"));
after(() => rm(folder, { recursive: true }));

test("lines are JSON, files stay below their size, as many as asked are kept and none is torn", async () => {
  const path = join(folder, "logs", "node.log");
  const log = openJsonLog({ path, process: "node", maximumBytes: 500, keep: 2, now: () => new Date(0) });
  for (let number = 0; number < 50; number += 1) log("info", "a pod\nstarted", { number });
  assert.deepEqual((await readdir(join(folder, "logs"))).sort(), ["node.log", "node.log.1", "node.log.2"]);
  const numbers: number[] = [];
  for (const name of ["node.log.2", "node.log.1", "node.log"]) {
    const text = await readFile(join(folder, "logs", name), "utf8");
    assert.ok(text.length <= 500);
    for (const line of text.trimEnd().split("\n")) {
      const event = JSON.parse(line) as Record<string, unknown>;
      assert.equal(event["time"], "1970-01-01T00:00:00.000Z");
      assert.equal(event["process"], "node");
      numbers.push(event["number"] as number);
    }
  }
  assert.deepEqual(
    numbers,
    Array.from({ length: numbers.length }, (_, index) => 50 - numbers.length + index),
  );
});

test("what was there before is kept", async () => {
  const path = join(folder, "again.log");
  openJsonLog({ path, process: "a" })("info", "one");
  openJsonLog({ path, process: "a" })("info", "two");
  assert.equal((await readFile(path, "utf8")).trimEnd().split("\n").length, 2);
});
