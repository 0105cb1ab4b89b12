import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createClusterState, beginForecast, decide, foresee, forecast } from "./index.ts";
import type { ExpectedStart } from "./index.ts";
import { cluster, job } from "./testing-cluster.ts";

const size = fc.record({ cpus: fc.integer({ min: 1, max: 4 }), seconds: fc.integer({ min: 1, max: 500 }) });

test("law: a start that is foreseen is the forecast's once the job is there, and nothing is changed by asking", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.array(size, { maxLength: 12 }), size, (nodes, sizes, asked) => {
      const state = cluster(nodes);
      sizes.forEach(({ cpus, seconds }, index) => state.addJob(job(index + 1, cpus, seconds)));
      decide(state, 0);
      const before = JSON.stringify([state.counts(), state.reservations(), forecast(state, 0)]);
      const added = job(1000, asked.cpus, asked.seconds);
      const found = foresee(state, added, 0);
      assert.equal(JSON.stringify([state.counts(), state.reservations(), forecast(state, 0)]), before);
      state.addJob(added);
      const atOnce = decide(state, 0).starts.find((start) => start.job === 1000);
      const later = forecast(state, 0).starts.find((start) => start.job === 1000);
      assert.equal(found.start?.time, atOnce?.startTime ?? later?.time);
      assert.equal(found.basis, atOnce === undefined ? later?.basis : "Reserved");
      if (atOnce !== undefined) assert.deepEqual(found.start?.nodes, atOnce.nodes);
    }),
    { numRuns: 200 },
  );
});

test("whom a limit on what runs holds starts when enough of it has ended, as the forecast says once it is there", () => {
  fc.assert(
    fc.property(
      fc.array(size, { minLength: 1, maxLength: 8 }),
      size,
      fc.integer({ min: 1, max: 3 }),
      (sizes, asked, most) => {
        const state = cluster(4);
        state.putQueue({ name: "q", limits: { runningJobs: most, resources: [6] } });
        sizes.forEach(({ cpus, seconds }, index) => state.addJob(job(index + 1, cpus, seconds)));
        decide(state, 0);
        const added = job(1000, asked.cpus, asked.seconds);
        const found = foresee(state, added, 0);
        state.addJob(added);
        const atOnce = decide(state, 0).starts.find((start) => start.job === 1000);
        const later = forecast(state, 0).starts.find((start) => start.job === 1000);
        assert.equal(found.start?.time, atOnce?.startTime ?? later!.time);
      },
    ),
    { numRuns: 200 },
  );
  const state = cluster(4);
  state.putQueue({ name: "q", limits: { runningJobs: 1 } });
  state.addJob(job(1, 1, 100));
  decide(state, 0);
  const found = foresee(state, job(2, 1, 10), 0);
  assert.deepEqual([found.start?.time, found.basis, found.explanation?.reason], [100, "Forecast", "QueueJobLimit"]);
});

test("what waits for somebody has a reason and no start; a large state is not played", () => {
  const state = cluster(1);
  for (let id = 1; id <= 20; id += 1) state.addJob(job(id, 4, 100));
  decide(state, 0);
  const held = foresee(state, job(1000, 1, 10, { hold: "User" }), 0);
  assert.deepEqual([held.start, held.explanation?.reason], [undefined, "HeldByUser"]);
  assert.equal(foresee(state, job(1000, 4, 10), 0).start?.time, 2000);
  // The running and the reserved job end at 200; the decisions after it are as if nobody had asked.
  const before = JSON.stringify([state.counts(), state.reservations(), forecast(state, 0)]);
  const quick = foresee(state, job(1000, 4, 10), 0, { maxStarts: 5 });
  assert.deepEqual([quick.start?.time, quick.basis], [200, "Forecast"]);
  const small = foresee(cluster(1), job(1000, 4, 10), 0, { maxStarts: -1 });
  assert.deepEqual([small.start?.time, small.basis, small.explanation], [0, "Reserved", undefined]);
  const alsoHeld = foresee(state, job(1000, 4, 10, { hold: "User" }), 0, { maxStarts: 5 });
  assert.deepEqual([alsoHeld.start, alsoHeld.explanation?.reason], [undefined, "HeldByUser"]);
  const never = foresee(state, job(1000, 5, 10), 0, { maxStarts: 5 });
  assert.deepEqual([never.start, never.explanation?.reason], [undefined, "NodesUnavailable"]);
  const array = foresee(state, job(1000, 4, 10, { array: { pending: [[0, 9]] } }), 0, { maxStarts: 5 });
  assert.equal(array.start?.time, 200);
  assert.equal(JSON.stringify([state.counts(), state.reservations(), forecast(state, 0)]), before);
  const { starts, waiting, reservations } = decide(state, 0);
  assert.deepEqual([starts, waiting, reservations], [[], [], []]);
  const dependent = foresee(state, job(1000, 1, 10, { dependencies: { of: [{ type: "AfterOk", job: 2 }] } }), 0);
  assert.deepEqual([dependent.start?.time, dependent.explanation?.reason], [2000, "Dependency"]);
});

test("a forecast in pieces is the forecast; from a number of starts on it goes in steps, and says so", () => {
  const state = createClusterState({ resources: ["cpu"] });
  state.putNode({ name: "n", capacity: [4], nodeClass: "", state: "Up" });
  state.putQueue({ name: "q" });
  for (let id = 0; id < 400; id += 1) {
    state.addJob({
      id,
      user: "ada",
      queues: ["q"],
      submitTime: 0,
      podSets: [{ count: 1, request: [1 + (id % 3)] }],
      wallTimeSeconds: 100 + 7 * (id % 50),
    });
  }
  decide(state, 0);
  const exact = forecast(state, 0);
  const run = beginForecast(state, 0);
  let pieces = 0;
  const taken: ExpectedStart[] = [];
  while (!run.advance(() => pieces++ % 7 === 6)) taken.push(...run.take());
  assert.deepEqual([...taken, ...run.take()], exact.starts);
  assert.deepEqual(run.forecast(), exact);
  assert.ok(pieces > 7);
  const stepped = forecast(state, 0, { exactStarts: 50 });
  assert.ok(stepped.complete);
  assert.equal(stepped.starts.length, exact.starts.length);
  const times = new Map(exact.starts.map(({ job, time }) => [job, time]));
  let error = 0;
  for (const { job, time, basis } of stepped.starts) {
    if (basis === "Estimate") error += Math.abs(time - times.get(job)!) / times.get(job)!;
    else assert.equal(time, times.get(job));
  }
  assert.ok(error / stepped.starts.length < 0.1, `${error / stepped.starts.length}`);
  assert.ok(stepped.starts.filter(({ basis }) => basis !== "Estimate").length >= 50);
});
