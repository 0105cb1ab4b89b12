import assert from "node:assert/strict";
import { test } from "node:test";
import { fromOutcome } from "./dependencies.ts";

test("of an array that has ended, what became of the one element counts, not what became of all", () => {
  const ended = { ended: true, ok: false, okTasks: [[0, 0] as const, [4, 6] as const] };
  const of = (type: "AfterOk" | "AfterNotOk" | "AfterAny", task?: number): string =>
    fromOutcome({ type, job: 1, ...(task === undefined ? {} : { task }) }, ended).status;
  assert.deepEqual([of("AfterOk", 0), of("AfterOk", 5), of("AfterOk", 2)], ["Met", "Met", "Never"]);
  assert.deepEqual([of("AfterNotOk", 0), of("AfterNotOk", 2)], ["Never", "Met"]);
  assert.deepEqual([of("AfterAny", 2), of("AfterOk"), of("AfterNotOk")], ["Met", "Never", "Met"]);
});
