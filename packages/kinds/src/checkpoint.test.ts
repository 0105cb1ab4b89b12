import assert from "node:assert/strict";
import { test } from "node:test";
import { checkpointOf } from "./checkpoint.ts";

const told = (text?: string): ReturnType<typeof checkpointOf> =>
  checkpointOf({ metadata: { name: "w", ...(text && { annotations: { "berth.dev/checkpointed-at": text } }) } });

test("what a job tells of its last checkpoint: a time, and of arrays which tasks", () => {
  assert.equal(told(), undefined);
  assert.deepEqual(told("1970-01-01T00:01:00.900Z"), { time: 60 });
  const some = told("1970-01-01T00:01:00Z 3,5-6");
  assert.deepEqual([...some!.tasks!], [3, 5, 6]);
  for (const wrong of ["60", "now", "2026-13-01T00:00:00Z", "1970-01-01T00:01:00Z x"]) assert.throws(() => told(wrong));
});
