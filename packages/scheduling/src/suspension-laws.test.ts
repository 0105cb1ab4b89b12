import assert from "node:assert/strict";
import fc from "fast-check";
import { assertCopiesDecideAlike } from "./testing-copies.ts";
import { assertExpectedStarts } from "./testing-expected-starts.ts";
import { law } from "./testing-law.ts";
import { withPreemption } from "./testing-preemption.ts";
import { withReservations } from "./testing-reservations.ts";
import { scenarios } from "./testing-scenarios.ts";
import { World } from "./testing.ts";
import type { ClusterStore } from "./store.ts";

const suspends = { suspends: true };

law(
  "with suspension nothing is over-committed, memory of what stands still counted, and timelines are what is and will be there",
  fc.property(withPreemption(scenarios({ able: true }), suspends), (scenario) => new World(scenario).play()),
);

law(
  "also with advance reservations, into which nothing is resumed",
  fc.property(withReservations(withPreemption(scenarios({ able: true }), suspends)), (scenario) =>
    new World(scenario).play(),
  ),
);

law(
  "nobody is suspended in vain: the preemptor starts when it was planned to, or sooner",
  fc.property(withPreemption(scenarios({ plain: true, able: true }), suspends), (scenario) => {
    const world = new World(scenario);
    const due = new Map<number, number[]>();
    world.onDecide = (decisions, now) => {
      for (const { job } of decisions.starts) due.get(job)?.shift();
      for (const [job, times] of due) {
        for (const time of times) assert.ok(time > now, `job ${job} should have started by ${time}`);
      }
      for (const job of new Set(decisions.preemptions.map(({ by }) => by))) {
        const claims = (world.state as ClusterStore).jobs.get(job)?.claims ?? [];
        due.set(job, [...(due.get(job) ?? []), Math.max(...claims.map(({ start }) => start))]);
      }
    };
    world.play();
    for (const [job, times] of due) assert.deepEqual(times, [], `job ${job} never started`);
  }),
);

law(
  "nothing stands still for ever, and every job that could ever run is done in the end",
  fc.property(withPreemption(scenarios({ plain: true, able: true }), suspends), (scenario) => {
    const world = new World(scenario);
    world.play();
    assert.equal((world.state as ClusterStore).standing.size, 0);
    for (const id of world.inputs.keys()) {
      const reason = world.state.reason(id);
      assert.ok(reason === undefined || reason === "NodesUnavailable", `job ${id} waits for ${reason}`);
    }
  }),
);

law(
  "a job that is suspended goes on no later than was foretold when all run as long as they said, but for whoever may preempt it",
  fc.property(withPreemption(scenarios({ plain: true, able: true }), { ...suspends, tiersOnly: true }), (scenario) => {
    const jobs = scenario.jobs.map((job) => ({ ...job, runShare: 1, input: { ...job.input, overheadSeconds: 0 } }));
    const world = new World({ ...scenario, jobs, leaveShare: 1 });
    const store = world.state as ClusterStore;
    const foretold = new Map<string, number>();
    world.onDecide = (decisions, now) => {
      for (const { job, task } of decisions.resumptions) {
        const key = `${job}/${task ?? ""}`;
        assert.ok(now <= foretold.get(key)!, `job ${key} goes on at ${now}, not ${foretold.get(key)}`);
        foretold.delete(key);
      }
      const isPreempted = decisions.preemptions.length > 0 || store.claims.size > 0;
      for (const { job, task, suspended } of store.standing) {
        const key = `${job.id}/${task ?? ""}`;
        const before = foretold.get(key);
        if (before === undefined || isPreempted || suspended!.resume < before) foretold.set(key, suspended!.resume);
        else assert.equal(suspended!.resume, before);
      }
    };
    world.play();
  }),
);

law(
  "what stands still, and goes on later for it, delays no reservation of the highest tier",
  fc.property(withPreemption(scenarios({ plain: true, able: true }), { ...suspends, tiersOnly: true }), (scenario) => {
    const world = new World({ ...scenario, acts: [], leaveShare: 1 });
    const promised = new Map<number, number>();
    const isHighest = (job: number): boolean => world.inputs.get(job)!.queues[0] === "c";
    world.onDecide = (decisions) => {
      for (const { job, startTime } of decisions.reservations.filter((one) => isHighest(one.job))) {
        const before = promised.get(job) ?? Infinity;
        assert.ok(startTime <= before, `job ${job}: ${startTime} after ${before}`);
        promised.set(job, startTime);
      }
      for (const { job, startTime } of decisions.starts) {
        assert.ok(startTime <= (promised.get(job) ?? Infinity));
        promised.delete(job);
      }
    };
    world.play();
  }),
);

law(
  "a copy decides as its original while some stand still",
  fc.property(withPreemption(scenarios({ able: true }), suspends), assertCopiesDecideAlike),
);

const planned = scenarios({
  plain: true,
  able: true,
  policy: fc.constant({ reservationDepth: -1, backfill: "Arrival", overdue: "Extend" }),
});

law(
  "expected starts know suspension",
  fc.property(withPreemption(planned, suspends), (scenario) => {
    const jobs = scenario.jobs.map(({ input }) => {
      return { runShare: 1, ok: true, input: { ...input, submitTime: 0, overheadSeconds: 0 } };
    });
    assertExpectedStarts(new World({ ...scenario, jobs, leaveShare: 1 }));
  }),
);
