import assert from "node:assert/strict";
import fc from "fast-check";
import { placeEarliest } from "./earliest.ts";
import { improvableOn } from "./improve.ts";
import { decide, explain, forecast } from "./index.ts";
import type { Policy } from "./index.ts";
import type { ClusterStore } from "./store.ts";
import { assertExpectedStarts } from "./testing-expected-starts.ts";
import { assertCopiesDecideAlike } from "./testing-copies.ts";
import { law } from "./testing-law.ts";
import { scenarios } from "./testing-scenarios.ts";
import { neverDelayed, rebuild, World } from "./testing.ts";

const withPolicy = (policy: Policy): fc.Arbitrary<Policy> => fc.constant(policy);

law(
  "no node is over-committed, gangs are whole, each that waits has one reason, timelines are what runs and is reserved",
  fc.property(scenarios(), (scenario) => new World(scenario).play()),
);

law(
  "a reservation once given is never delayed where nobody jumps the queue and nothing is lost",
  fc.property(scenarios({ plain: true }), neverDelayed),
);

law(
  "nor where gangs are of several kinds or sizes, have whole nodes, or may be shorter",
  fc.property(scenarios({ plain: true, varied: true }), neverDelayed),
);

law(
  "a reservation is not delayed by leases of jobs behind it either",
  fc.property(scenarios({ plain: true, leases: true }), (scenario) => {
    const world = new World(scenario);
    const promised = new Map<number, number>();
    const arrays = scenario.jobs.filter(({ input }) => input.array !== undefined);
    const firstArray = Math.min(...arrays.map(({ input }) => input.id));
    world.onDecide = (decisions) => {
      for (const { job, startTime } of [...decisions.reservations, ...decisions.starts]) {
        // An array reserves for its next task only: those after it may delay whoever comes after them.
        if (job >= firstArray) continue;
        const before = promised.get(job) ?? Infinity;
        assert.ok(startTime <= before, `job ${job}: ${startTime} after ${before}`);
        promised.set(job, startTime);
      }
    };
    world.play();
  }),
);

law(
  "without reservations and backfill jobs start in the order in which they came",
  fc.property(
    scenarios({ plain: true, policy: withPolicy({ reservationDepth: 0, backfill: "None", overdue: "Extend" }) }),
    (scenario) => {
      const world = new World(scenario);
      world.play();
      const keys = world.starts.map(({ job }) => world.inputs.get(job)!);
      for (let index = 1; index < keys.length; index += 1) {
        const [before, after] = [keys[index - 1]!, keys[index]!];
        const inOrder =
          before.submitTime < after.submitTime || (before.submitTime === after.submitTime && before.id < after.id);
        assert.ok(inOrder, `job ${before.id} before ${after.id}`);
      }
    },
  ),
);

law(
  "every job that could ever run starts",
  fc.property(scenarios({ plain: true }), (scenario) => {
    const world = new World(scenario);
    world.play();
    for (const id of world.inputs.keys()) {
      const reason = world.state.reason(id);
      assert.ok(reason === undefined || reason === "NodesUnavailable", `job ${id} waits for ${reason}`);
    }
  }),
);

law(
  "at rest, what waits has a reason that only somebody else can take away",
  fc.property(scenarios(), (scenario) => {
    const world = new World(scenario);
    world.play();
    const expired = new Set(
      scenario.jobs.filter(({ input }) => input.deadline !== undefined).map(({ input }) => input.id),
    );
    for (const id of world.inputs.keys()) {
      const reason = world.state.reason(id);
      if (reason === undefined || expired.has(id)) continue;
      assert.ok(
        !["Resources", "Priority", "BeginTime", "ArrayTaskLimit"].includes(reason),
        `job ${id} waits for ${reason}`,
      );
    }
  }),
);

law(
  "the same input gives the same output, and a copy decides as its original",
  fc.property(scenarios(), assertCopiesDecideAlike),
);

law(
  "a state kept by change decides as one built anew",
  fc.property(scenarios(), fc.integer({ min: 0, max: 60 }), (scenario, stopAt) => {
    const world = new World({
      ...scenario,
      acts: scenario.acts.filter(({ act }) => act === "Drain" || act === "Down" || act === "Up"),
    });
    let steps = 0;
    world.onDecide = (_, now) => {
      steps += 1;
      if (steps !== stopAt) return;
      const anew = rebuild(world, now);
      const kept = (world.state as ClusterStore).copy();
      // Both plan all reservations anew: which nodes one had before is history.
      for (const state of [anew, kept]) state.setPolicy({});
      const [a, b] = [decide(anew, now), decide(kept, now)];
      assert.deepEqual(a.starts, b.starts);
      assert.deepEqual(anew.reservations(), kept.reservations());
      for (const id of world.inputs.keys()) assert.equal(anew.reason(id), kept.reason(id), `reason of ${id}`);
    };
    world.play();
  }),
);

law(
  "a reservation that is passed over could not be earlier",
  fc.property(scenarios({ plain: true }), (scenario) => {
    const world = new World(scenario);
    const store = world.state as ClusterStore;
    world.beforeDecide = (now) => {
      store.tick(now);
      for (const job of store.plan.reserved) {
        const reservation = job.reservation!;
        if (reservation.start <= now) continue;
        const before = { testedAt: reservation.testedAt, levels: structuredClone(reservation.levels) };
        const where = improvableOn(store, job, reservation);
        Object.assign(reservation, before);
        if (where === "Anywhere" || where.length > 0) continue;
        const copy = store.copy();
        const twin = copy.jobs.get(job.id)!;
        copy.plan.lift(twin);
        const earlier = placeEarliest(copy, twin.class.shape, twin.class.shape.variants[0]!, reservation.start);
        assert.equal(earlier?.start, undefined, `job ${job.id} at ${reservation.start}`);
      }
    };
    world.play();
  }),
);

law(
  "an expected start without later arrivals or early ends is exact",
  fc.property(scenarios({ plain: true }), (scenario) => {
    const jobs = scenario.jobs.map(({ input }) => {
      return { runShare: 1, ok: true, input: { ...input, submitTime: 0, overheadSeconds: 0 } };
    });
    const world = new World({ ...scenario, jobs });
    let expected: Map<number, number> | undefined;
    world.onDecide = (_, now) => {
      if (expected !== undefined) return;
      const { starts, complete } = forecast(world.state, now);
      assert.ok(complete);
      expected = new Map(starts.map(({ job, time }) => [job, time]));
    };
    world.play();
    for (const [job, time] of expected!) assert.equal(world.startTimes.get(job), time, `job ${job}`);
  }),
);

law(
  "an expected start of the next task of an array is exact",
  fc.property(scenarios({ plain: true, arrays: true }), (scenario) => {
    const jobs = scenario.jobs.map(({ input }) => {
      return { runShare: 1, ok: true, input: { ...input, submitTime: 0, overheadSeconds: 0 } };
    });
    const world = new World({ ...scenario, jobs });
    let expected: Map<number, number> | undefined;
    world.onDecide = (_, now) => {
      expected ??= new Map(forecast(world.state, now).starts.map(({ job, time }) => [job, time]));
    };
    world.play();
    for (const [job, time] of expected!) {
      const next = world.starts.find((start) => start.job === job && start.startTime > 0);
      assert.equal(next?.startTime, time, `job ${job}`);
    }
  }),
);

law(
  "tasks that are one start in an estimate are those that would start one after the other",
  fc.property(scenarios({ plain: true, arrays: true }), (scenario) => {
    const world = new World(scenario);
    const store = world.state as ClusterStore;
    world.beforeDecide = (now) => {
      const [single, together] = [store.copy(), store.copy()];
      together.startsTogether = true;
      for (const state of [single, together]) {
        for (let time: number | undefined = now, turn = 0; time !== undefined && turn < 3; turn += 1) {
          state.endAllUntil(time);
          time = decide(state, time).nextWake;
        }
      }
      const { nodes } = together.table;
      for (const { index, name, timeline } of single.table.nodes) {
        for (const one of [timeline, nodes[index]!.timeline]) one.advance(single.now);
        assert.deepEqual(nodes[index]!.timeline, timeline, name);
      }
      assert.deepEqual(together.reservations(), single.reservations());
      assert.equal(together.counts().pendingTasks, single.counts().pendingTasks);
      for (const id of single.jobs.keys()) {
        assert.equal(together.reason(id), single.reason(id));
        assert.deepEqual(together.jobs.get(id)!.array?.pending.runs(), single.jobs.get(id)!.array?.pending.runs());
      }
    };
    world.play();
  }),
);

law(
  "expected starts are exact where gangs are of several kinds or sizes, have whole nodes, or may be shorter",
  fc.property(scenarios({ plain: true, varied: true }), (scenario) => {
    const jobs = scenario.jobs.map(({ input }) => {
      return { runShare: 1, ok: true, input: { ...input, submitTime: 0, overheadSeconds: 0 } };
    });
    const world = new World({ ...scenario, jobs });
    assertExpectedStarts(world);
  }),
);

law(
  "explain answers for every job that waits and changes nothing",
  fc.property(scenarios(), (scenario) => {
    const asked = new World(scenario);
    const plain = new World(scenario);
    const log: unknown[] = [];
    plain.onDecide = (decisions) => log.push(decisions);
    plain.play();
    let index = 0;
    asked.onDecide = (decisions, now) => {
      assert.deepEqual(decisions, log[index]);
      index += 1;
      for (const id of asked.inputs.keys()) {
        const explanation = explain(asked.state, id, now);
        assert.equal(explanation?.reason, asked.state.reason(id));
        if (explanation?.start !== undefined && explanation.start.time > now && explanation.start.reserved) {
          assert.equal(explanation.start.time, asked.state.reservation(id)?.startTime);
        }
      }
      asked.check();
    };
    asked.play();
  }),
);
