import assert from "node:assert/strict";
import fc from "fast-check";
import { decide, explain } from "./index.ts";
import type { Decisions } from "./index.ts";
import type { ClusterStore } from "./store.ts";
import { assertExpectedStarts } from "./testing-expected-starts.ts";
import { assertCopiesDecideAlike } from "./testing-copies.ts";
import { law } from "./testing-law.ts";
import { withPreemption } from "./testing-preemption.ts";
import { withReservations } from "./testing-reservations.ts";
import { scenarios } from "./testing-scenarios.ts";
import { neverDelayed, rebuild, World } from "./testing.ts";
import { checkLimits, lastingPriority, wholePriority, withSharing } from "./testing-sharing.ts";

const together = withReservations(
  withSharing(withPreemption(scenarios(), { tiersOnly: true }), { limits: "Counted" }),
  { whom: [{ users: ["u0"] }, { accounts: ["a0"] }, { users: ["u1"], accounts: ["a2"] }] },
);

law(
  "with shares, priorities and limits no node is over-committed, gangs are whole, each that waits has one reason; limits hold",
  fc.property(withSharing(scenarios(), { limits: "Counted" }), (scenario) => {
    const world = new World(scenario);
    world.onDecide = () => checkLimits(world, false);
    world.play();
  }),
);

law(
  "limits on resource-minutes hold at every instant where nothing outlives its slot",
  fc.property(withSharing(scenarios({ plain: true }), { limits: "All" }), (scenario) => {
    const world = new World(scenario);
    const store = world.state as ClusterStore;
    world.onDecide = (_, now) => {
      checkLimits(world, true);
      const { accounts, qualities } = store.accounts;
      for (const { limits, meter, holder } of [...accounts.values(), ...qualities.values()]) {
        for (const [index, limit] of (limits?.resourceMinutes ?? []).entries()) {
          const half = store.accounts.halfLifeSeconds;
          const minutes = (meter.usedAmountAt(index, now, half) + meter.promisedAmountAt(index, now)) / 60;
          assert.ok(minutes <= (limit ?? Infinity) + 1e-9, `${holder.name}: ${minutes}`);
        }
      }
    };
    world.play();
  }),
);

law(
  "usage is what ran: kept by change it is what a sum over all runs gives",
  fc.property(withSharing(scenarios({ plain: true }), { priority: wholePriority }), (scenario) => {
    const world = new World(scenario);
    const ends = new Map<string, number>();
    const began = new Map<string, { account: string; user: string; time: number; cpus: number }>();
    world.onDecide = ({ starts }, now) => {
      for (const { job, task, nodes } of starts) {
        const { account = "", user, podSets, qos } = world.inputs.get(job)!;
        const cpus = nodes.reduce((sum, names, set) => sum + names.length * podSets[set]!.request[0]!, 0) / 1000;
        const factor = qos === "q0" ? scenario.qualities![0]!.usageFactor! : 1;
        began.set(`${job}/${task}`, { account, user, time: now, cpus: cpus * factor });
      }
      for (const key of began.keys())
        if (!world.running.has(key.replace("undefined", "")) && !ends.has(key)) ends.set(key, now);
      for (const { account, user, billingSeconds } of world.state.usage(now)) {
        if (account === undefined) continue;
        let expected = 0;
        for (const [key, of] of began) {
          const end = ends.get(key);
          if (of.account === account && of.user === user && end !== undefined) expected += of.cpus * (end - of.time);
        }
        assert.ok(
          Math.abs(billingSeconds - expected) < 1e-9,
          `${user} in ${account}: ${billingSeconds}, ran ${expected}`,
        );
      }
    };
    world.play();
  }),
);

law(
  "nobody starves while no later job comes: at rest what waits may never run",
  fc.property(withSharing(scenarios({ plain: true }), { limits: "Counted" }), (scenario) => {
    const world = new World(scenario);
    world.play();
    assert.equal(world.running.size, 0);
    for (const id of world.inputs.keys()) {
      const reason = world.state.reason(id);
      if (reason === undefined || reason === "NodesUnavailable") continue;
      // Nothing runs, so it alone is too much for a limit.
      const hit = explain(world.state, id, world.now)?.limitHit;
      assert.ok(hit !== undefined && hit.inUse === 0 && hit.asked > hit.limit, `job ${id} waits for ${reason}`);
    }
  }),
);

law(
  "with queues, QOS and sizes that count a reservation is never delayed while nobody comes and no limit is reached",
  fc.property(withSharing(scenarios({ plain: true, varied: true }), { priority: lastingPriority }), (scenario) => {
    // Where not all have a reservation, one of another queue that comes first may want the place.
    const isAll = scenario.policy.reservationDepth === -1 && scenario.policy.backfill !== "None";
    const jobs = scenario.jobs.map((job, index) => {
      const queues = isAll && index % 3 === 0 ? ["b"] : ["a"];
      return Object.assign({}, job, { input: { ...job.input, submitTime: 0, queues } });
    });
    neverDelayed(Object.assign({}, scenario, { jobs }));
  }),
);

law(
  "all together (accounts, limits, tiers that preempt, advance reservations): what runs fits, gangs are whole, limits hold",
  fc.property(together, (scenario) => {
    const world = new World(scenario);
    world.onDecide = () => checkLimits(world, false);
    world.play();
  }),
);

law(
  "all together: the same input gives the same output, a copy decides as its original, and explain changes nothing",
  fc.property(together, assertCopiesDecideAlike),
);

/** What a state decides by itself next. */
function onwards(state: ClusterStore, now: number): Decisions[] {
  const decisions: Decisions[] = [];
  for (let time: number | undefined = now; time !== undefined && decisions.length < 5;) {
    state.endAllUntil(time);
    const decided = decide(state, time);
    decisions.push(decided);
    time = decided.nextWake;
  }
  return decisions;
}

law(
  "all together: a copy made in pieces is of the moment at which it was begun, whatever happens meanwhile",
  fc.property(together, fc.integer({ min: 1, max: 5 }), (scenario, apart) => {
    const world = new World(scenario);
    const store = world.state as ClusterStore;
    let begun: { pieces: ReturnType<ClusterStore["copying"]>; expected: Decisions[]; time: number } | undefined;
    let decisions = 0;
    world.onDecide = (_, now) => {
      decisions += 1;
      if (begun === undefined) {
        begun = { expected: onwards(store.copy(), now), pieces: store.copying(), time: now };
        begun.pieces.next();
      } else if (decisions % apart === 0) {
        const piece = begun.pieces.next();
        if (piece.done !== true) return;
        assert.deepEqual(onwards(piece.value, begun.time), begun.expected);
        begun = undefined;
      }
    };
    world.play();
  }),
);

law(
  "shared state: the same input gives the same output, and a copy decides as its original",
  fc.property(withSharing(scenarios(), { limits: "All" }), assertCopiesDecideAlike),
);

law(
  "shared state: kept by change it decides as one built anew from a checkpoint",
  fc.property(
    withSharing(scenarios(), { limits: "Counted", priority: wholePriority }),
    fc.integer({ min: 0, max: 60 }),
    (scenario, stopAt) => {
      const world = new World(Object.assign({}, scenario, { acts: [] }));
      let steps = 0;
      world.onDecide = (_, now) => {
        steps += 1;
        if (steps !== stopAt) return;
        const anew = rebuild(world, now);
        const kept = (world.state as ClusterStore).copy();
        for (const state of [anew, kept]) state.setPolicy({});
        const [a, b] = [decide(anew, now), decide(kept, now)];
        assert.deepEqual(a.starts, b.starts);
        assert.deepEqual(anew.reservations(), kept.reservations());
        for (const id of world.inputs.keys()) assert.equal(anew.reason(id), kept.reason(id), `reason of ${id}`);
      };
      world.play();
    },
  ),
);

law(
  "shared state: an expected start without later arrivals or early ends is exact",
  fc.property(withSharing(scenarios({ plain: true }), { limits: "All" }), (scenario) => {
    const jobs = scenario.jobs.map(({ input }) => {
      return { runShare: 1, ok: true, input: Object.assign({}, input, { submitTime: 0, overheadSeconds: 0 }) };
    });
    const world = new World(Object.assign({}, scenario, { jobs }));
    assertExpectedStarts(world);
  }),
);
