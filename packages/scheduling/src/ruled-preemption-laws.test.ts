/** Preemption where rules between pods matter. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { law } from "./testing-law.ts";
import { checkRulesOf, withPodRules } from "./testing-pod-rules.ts";
import { withPreemption } from "./testing-preemption.ts";
import { withReservations } from "./testing-reservations.ts";
import { assertCopiesDecideAlike } from "./testing-copies.ts";
import { scenarios } from "./testing-scenarios.ts";
import type { Scenario } from "./testing-scenarios.ts";
import { cost, eachSearch, isLess, situations } from "./testing-victims.ts";
import { World } from "./testing.ts";

const plain = fc.oneof(
  withPreemption(scenarios({ plain: true }), { nodes: 4 }),
  withPreemption(scenarios({ plain: true }), { nodes: 4, suspends: true }),
);
const ruled = withPodRules(plain, "All");

/** Nobody ends before its time, but for another. */
function lasting(scenario: Scenario): Scenario {
  const jobs = scenario.jobs.map((job) => ({ ...job, runShare: 1, input: { ...job.input, overheadSeconds: 0 } }));
  return { ...scenario, jobs };
}

law(
  "rules between pods hold whoever is preempted",
  fc.property(ruled, (scenario) => {
    const world = new World(scenario);
    world.onDecide = (decisions) => checkRulesOf(world, decisions);
    world.play();
  }),
);

law(
  "also where nodes come and go, jobs are held and outlive their slots, and with advance reservations",
  fc.property(withReservations(withPodRules(withPreemption(scenarios()), "All")), (scenario) =>
    new World(scenario).play(),
  ),
);

function neverInVain(scenario: Scenario): void {
  const world = new World(scenario);
  const due = new Map<number, number[]>();
  const graces = [...scenario.queues, ...(scenario.qualities ?? [])].map(({ graceSeconds = 0 }) => graceSeconds);
  world.onDecide = (decisions, now) => {
    for (const { job } of decisions.starts) due.get(job)?.shift();
    for (const [job, times] of due) {
      for (const time of times) assert.ok(time > now, `job ${job} should have started by ${time}`);
    }
    for (const job of new Set(decisions.preemptions.map(({ by }) => by))) {
      const tasks = new Set(decisions.starts.filter((start) => start.job === job).map(({ task }) => task));
      assert.ok(!tasks.has(undefined));
      due.set(job, [...(due.get(job) ?? []), now + Math.max(1, ...graces)]);
    }
  };
  world.play();
  for (const [job, times] of due) assert.deepEqual(times, [], `job ${job} never started`);
}

law("with anti-affinity nobody is preempted in vain", fc.property(withPodRules(plain, "Apart"), neverInVain));

law(
  "with any rules nobody is preempted in vain, unless pods on which the preemptor counts end by themselves",
  fc.property(ruled, (scenario) => neverInVain(lasting(scenario))),
);

law(
  "with rules between pods all that could ever run is done in the end, however often it was preempted",
  fc.property(ruled, (scenario) => {
    const world = new World(scenario);
    let preemptions = 0;
    world.onDecide = (decisions) => {
      preemptions += decisions.preemptions.length;
      assert.ok(preemptions < 1000);
    };
    world.play();
    const wants = scenario.jobs.some(({ input }) => input.podSets[0]!.rules?.affinity !== undefined);
    const known = [undefined, "NodesUnavailable", "PodAffinity"];
    // Without reservations nobody asks when there might be room beside the pods that it wants.
    if (scenario.policy.reservationDepth === 0 && wants) known.push("Resources", "Priority");
    for (const id of world.inputs.keys()) {
      const reason = world.state.reason(id);
      assert.ok(known.includes(reason), `job ${id} waits for ${reason}`);
    }
  }),
);

law(
  "with rules between pods a copy decides as its original, with claims too",
  fc.property(withPodRules(withPreemption(scenarios(), { nodes: 4 }), "All"), assertCopiesDecideAlike),
);

const met = situations(withPodRules(scenarios({ plain: true }), "All"));

law(
  "with rules between pods victims are the least that would do, compared with all others, where they are few",
  fc.property(met, (situation) => {
    eachSearch(situation, (find, fits, all) => {
      if (all.length > 8) return;
      let best: number[] | undefined;
      for (let bits = 1; bits < 1 << all.length; bits += 1) {
        const set = all.filter((_, index) => (bits >> index) & 1);
        if ((best === undefined || isLess(cost(set), best)) && fits(set)) best = cost(set);
      }
      const found = find(8);
      assert.deepEqual(found && cost(found), best);
    });
  }),
);

law(
  "with rules between pods no victim of many is superfluous",
  fc.property(met, (situation) => {
    eachSearch(situation, (find, fits) => {
      const found = find(0);
      if (found === undefined) return;
      assert.ok(fits(found));
      for (const one of found) assert.ok(found.length === 1 || !fits(found.filter((other) => other !== one)));
    });
  }),
);
