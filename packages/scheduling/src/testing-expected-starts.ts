/** For the tests: expected starts, held against what happens. */
import assert from "node:assert/strict";
import { forecast } from "./index.ts";
import type { World } from "./testing.ts";

/** Plays a world whose jobs are all there from its first decision on and run as long as they said: each starts when the forecast then said. */
export function assertExpectedStarts(world: World): void {
  let expected: Map<number, number> | undefined;
  world.onDecide = (_, now) => {
    expected ??= new Map(forecast(world.state, now).starts.map(({ job, time }) => [job, time]));
  };
  world.play();
  for (const [job, time] of expected!) assert.equal(world.startTimes.get(job), time, `job ${job}`);
}
