import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkpointsOf, formatCheckpoints, readCheckpoints, taskCheckpointKey } from "./checkpoint.ts";
import type { Checkpoint } from "./checkpoint.ts";

const told = (annotations?: Record<string, string>): [number, number[] | undefined][] =>
  checkpointsOf({ metadata: { name: "w", annotations } }).map(({ time, tasks }) => [time, tasks && [...tasks]]);
const key = "berth.dev/checkpointed-at";
const summary = "berth.dev/checkpointed-tasks";

test("what a job tells of its last checkpoint: a time, and of arrays which tasks", () => {
  assert.deepEqual(told(), []);
  assert.deepEqual(told({ "berth.dev/checkpointed-attic": "1", other: "2" }), []);
  assert.deepEqual(told({ [key]: "1970-01-01T00:01:00.900Z" }), [[60, undefined]]);
  assert.deepEqual(told({ [key]: "1970-01-01T00:01:00Z 3,5-6" }), [[60, [3, 5, 6]]]);
  assert.deepEqual(told({ [taskCheckpointKey(7)]: "1970-01-01T00:01:00Z" }), [[60, [7]]]);
  assert.deepEqual(told({ [summary]: "1970-01-01T00:01:00Z 3,5-6; 1970-01-01T00:00:30Z 4" }), [
    [60, [3, 5, 6]],
    [30, [4]],
  ]);
  for (const wrong of ["60", "now", "2026-13-01T00:00:00Z", "1970-01-01T00:01:00Z x"]) {
    assert.throws(() => readCheckpoints(key, wrong));
    assert.deepEqual(told({ [key]: wrong, [taskCheckpointKey(1)]: "1970-01-01T00:01:00Z" }), [[60, [1]]]);
  }
  assert.throws(() => readCheckpoints(`${key}.x`, "1970-01-01T00:01:00Z"));
});

/** By task. */
function read(text: string): Map<number, number> {
  const times = new Map<number, number>();
  const parts: Checkpoint[] = readCheckpoints(summary, text);
  for (const { time, tasks } of parts) for (const task of tasks!) times.set(task, time);
  return times;
}

test("a summary tells of each task, exactly where there are few times, never too late, and is of bounded length", () => {
  assert.equal(formatCheckpoints([]), "");
  const times = fc.array(fc.tuple(fc.nat(9999), fc.integer({ min: 0, max: 100_000 })), { maxLength: 300 });
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 100_000 }), (entries, step) => {
      const exact = new Map(entries.map(([task, time]) => [task, Math.floor(time / step) * step]));
      const kept = read(formatCheckpoints(exact));
      assert.deepEqual(new Set(kept.keys()), new Set(exact.keys()));
      const isFew = new Set(exact.values()).size <= 32;
      for (const [task, time] of exact) assert.ok(isFew ? kept.get(task) === time : kept.get(task)! <= time);
    }),
  );
  // Every task of a large array at its own time: as if all had been saved as early as the first.
  const many = Array.from({ length: 20_000 }, (_, task): [number, number] => [task * 50, (task * 7919) % 86_400]);
  const text = formatCheckpoints(many);
  assert.ok(text.length < 200_000, `${text.length}`);
  assert.equal(read(text).size, many.length);
});

test("where times are many, what counts as lost beside what is lost is little", () => {
  // Hourly checkpoints of 5,000 tasks, one of which hangs since a week.
  const now = 700_000;
  const times = Array.from({ length: 5000 }, (_, task): [number, number] => [task, now - ((task * 7919) % 3600)]);
  times[17] = [17, 100_000];
  const text = formatCheckpoints(times);
  assert.ok(text.length < 33_000);
  const kept = read(text);
  assert.equal(kept.get(17), 100_000);
  const beyond = times.reduce((sum, [task, time]) => sum + time - kept.get(task)!, 0) / times.length;
  assert.ok(beyond < 120, `${beyond} s in the mean`);
});
