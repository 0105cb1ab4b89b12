/** Laws of scheduling with advance reservations. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decide } from "./index.ts";
import type { ClusterStore } from "./store.ts";
import { assertExpectedStarts } from "./testing-expected-starts.ts";
import { assertCopiesDecideAlike } from "./testing-copies.ts";
import { law } from "./testing-law.ts";
import { withReservations } from "./testing-reservations.ts";
import { scenarios } from "./testing-scenarios.ts";
import { rebuild, World } from "./testing.ts";

law(
  "nothing starts that would run in a window in which it may not, whatever is reserved, moved and removed meanwhile",
  fc.property(withReservations(scenarios()), (scenario) => new World(scenario).play()),
);

law(
  "a reservation of a job is never delayed by windows that were known",
  fc.property(withReservations(scenarios({ plain: true }), { early: true, named: false, leastGap: 50 }), (scenario) => {
    const world = new World(scenario);
    const promised = new Map<number, number>();
    world.onDecide = (decisions) => {
      for (const { job, startTime } of decisions.reservations) {
        assert.ok(startTime <= (promised.get(job) ?? Infinity), `job ${job}: ${startTime}`);
        promised.set(job, startTime);
      }
      for (const { job, startTime } of decisions.starts) assert.ok(startTime <= (promised.get(job) ?? Infinity));
    };
    world.play();
  }),
);

law(
  "after windows that come once every job starts that could ever run",
  fc.property(withReservations(scenarios({ plain: true }), { once: true }), (scenario) => {
    const world = new World(scenario);
    world.play();
    const allowed = new Set([
      undefined,
      "NodesUnavailable",
      "ReservationDeleted",
      "ReservationTimeLimit",
      "ReservationNotAllowed",
    ]);
    for (const id of world.inputs.keys())
      assert.ok(allowed.has(world.state.reason(id)), `${id}: ${world.state.reason(id)}`);
  }),
);

law(
  "expected starts know windows",
  fc.property(withReservations(scenarios({ plain: true }), { early: true }), (scenario) => {
    const jobs = scenario.jobs.map(({ input }) => {
      return { runShare: 1, ok: true, input: { ...input, submitTime: 0, overheadSeconds: 0 } };
    });
    const world = new World({ ...scenario, jobs });
    assertExpectedStarts(world);
  }),
);

law(
  "a copy decides as its original, and explain changes nothing",
  fc.property(withReservations(scenarios()), assertCopiesDecideAlike),
);

law(
  "a state kept by change decides as one built anew",
  fc.property(withReservations(scenarios()), fc.integer({ min: 0, max: 60 }), (scenario, stopAt) => {
    const acts = scenario.acts.filter(({ act }) => act === "Drain" || act === "Down" || act === "Up");
    const world = new World({ ...scenario, acts });
    let steps = 0;
    world.onDecide = (_, now) => {
      steps += 1;
      const store = world.state as ClusterStore;
      if (steps !== stopAt) return;
      const anew = rebuild(world, now);
      const kept = store.copy();
      // Both plan all reservations anew: which nodes one had before is history.
      for (const state of [anew, kept]) state.setPolicy({});
      const [a, b] = [decide(anew, now), decide(kept, now)];
      assert.deepEqual(a.starts, b.starts);
      assert.deepEqual(a.preemptions, b.preemptions);
      assert.deepEqual(anew.reservations(), kept.reservations());
      assert.deepEqual(anew.advanceReservations(now), kept.advanceReservations(now));
      for (const id of world.inputs.keys()) assert.equal(anew.reason(id), kept.reason(id), `reason of ${id}`);
    };
    world.play();
  }),
);
