import assert from "node:assert/strict";
import { test } from "node:test";
import { createClusterState, decide, forecast } from "@berth/scheduling";
import type { ClusterState, Decisions } from "@berth/scheduling";
import { ForecastLoop } from "./forecasts.ts";

function backlog(jobs: number): ClusterState {
  const state = createClusterState({ resources: ["cpu"] });
  state.putQueue({ name: "q" });
  for (const name of ["n1", "n2"]) state.putNode({ name, capacity: [4], nodeClass: "", state: "Up" });
  for (let id = 0; id < jobs; id += 1) {
    const podSets = [{ count: 1, request: [1 + (id % 4)] }];
    state.addJob({ id, user: "ada", queues: ["q"], submitTime: id, podSets, wallTimeSeconds: 100 + (id % 7) });
  }
  return state;
}

test("all that waits is told its expected start; what is decided meanwhile is newer, and asks for the next forecast", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const core = backlog(300);
  let now = 300;
  const told = new Map<number, number>();
  const { signal } = new AbortController();
  const loop = new ForecastLoop({ core, now: () => now }, (job, time) => void told.set(job, time), signal);
  const change = (decisions: Decisions): void => loop.decided(decisions);
  const first = decide(core, now);
  change(first);
  assert.ok(!loop.isPlaying, "what comes together is waited for");
  while (!loop.isPlaying) t.mock.timers.tick(100);
  const expected = forecast(core, now, { exactStarts: 2000 });
  // While it is made, what runs ends and others take its place.
  now += 10;
  for (const { job } of first.starts) core.endJob(job, now, { ok: true });
  const second = decide(core, now);
  assert.ok(second.starts.length > 0);
  change(second);
  while (loop.isPlaying) t.mock.timers.tick(100);
  const newer = new Set([...second.starts, ...second.waiting, ...second.reservations].map(({ job }) => job));
  for (const { job, time } of expected.starts) assert.equal(told.get(job), newer.has(job) ? undefined : time);
  // The change was not forgotten.
  told.clear();
  for (let turn = 0; !loop.isPlaying; turn += 1) {
    assert.ok(turn < 10_000, "the next one begins");
    t.mock.timers.tick(100);
  }
  while (loop.isPlaying) t.mock.timers.tick(100);
  const last = forecast(core, now, { exactStarts: 2000 }).starts;
  assert.deepEqual([...told].sort(), last.map(({ job, time }) => [job, time]).sort());
});

test("where nothing waits nothing is played", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const core = backlog(1);
  const loop = new ForecastLoop(
    { core, now: () => 1 },
    () => assert.fail("nobody waits"),
    new AbortController().signal,
  );
  loop.decided(decide(core, 1));
  t.mock.timers.tick(60_000);
  assert.ok(!loop.isPlaying);
});
