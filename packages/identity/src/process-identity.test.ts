import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { asProcessIdentity, isAlive, processIdentity } from "./process-identity.ts";

test("a process is itself until it ends, and no other of the same pid", async () => {
  const own = processIdentity();
  assert.ok(own !== undefined && isAlive(own));
  assert.deepEqual(asProcessIdentity(JSON.parse(JSON.stringify(own))), own);
  assert.equal(isAlive({ ...own, startTime: `${own.startTime}0` }), false);
  assert.equal(isAlive({ ...own, bootId: "another boot" }), false);

  const child = spawn("cat", { stdio: ["pipe", "ignore", "ignore"] });
  const identity = processIdentity(child.pid);
  assert.ok(identity !== undefined && isAlive(identity));
  child.stdin.end();
  await once(child, "exit");
  assert.equal(isAlive(identity), false);
});

test("what is no identity is not taken for one", () => {
  for (const value of [undefined, null, 1, "1", {}, { pid: "1", startTime: "1", bootId: "b" }, { pid: 1 }])
    assert.equal(asProcessIdentity(value), undefined);
});
