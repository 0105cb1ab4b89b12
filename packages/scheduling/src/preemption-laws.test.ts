import assert from "node:assert/strict";
import fc from "fast-check";
import { decide } from "./index.ts";
import type { ClusterStore } from "./store.ts";
import { assertExpectedStarts } from "./testing-expected-starts.ts";
import { assertCopiesDecideAlike } from "./testing-copies.ts";
import { law } from "./testing-law.ts";
import { scenarios } from "./testing-scenarios.ts";
import { rebuild, World } from "./testing.ts";
import { withPreemption } from "./testing-preemption.ts";
import { withReservations } from "./testing-reservations.ts";
import { cost, eachSearch, isLess, situations } from "./testing-victims.ts";

law(
  "with preemption nothing is over-committed, gangs are whole, and timelines are what runs, is reserved and claimed",
  fc.property(withPreemption(scenarios()), (scenario) => new World(scenario).play()),
);

law(
  "also with advance reservations",
  fc.property(withReservations(withPreemption(scenarios())), (scenario) => new World(scenario).play()),
);

law(
  "nobody is preempted in vain: the preemptor starts when the last of its victims has left, or sooner",
  fc.property(withPreemption(scenarios({ plain: true })), (scenario) => {
    const world = new World(scenario);
    const due = new Map<number, number[]>();
    world.onDecide = (decisions, now) => {
      for (const { job } of decisions.starts) due.get(job)?.shift();
      for (const [job, times] of due) {
        for (const time of times) assert.ok(time > now, `job ${job} should have started by ${time}`);
      }
      const byJob = Map.groupBy(decisions.preemptions, ({ by }) => by);
      for (const [job, preemptions] of byJob) {
        assert.ok(!decisions.starts.some((start) => start.job === job && start.task === undefined));
        const latest = now + Math.max(1, ...preemptions.map(({ graceSeconds }) => graceSeconds));
        due.set(job, [...(due.get(job) ?? []), latest]);
      }
    };
    world.play();
    for (const [job, times] of due) assert.deepEqual(times, [], `job ${job} never started`);
  }),
);

law(
  "only who may be preempted is, by whom it may be, and no victim ever preempts its preemptor",
  fc.property(withPreemption(scenarios({ plain: true }), { tiersOnly: true }), (scenario) => {
    const world = new World(scenario);
    const pairs = new Set<string>();
    const queueOf = (job: number): (typeof scenario.queues)[number] =>
      scenario.queues.find(({ name }) => name === world.inputs.get(job)!.queues[0])!;
    world.onDecide = (decisions, now) => {
      for (const { job, task, by, mode, graceSeconds } of decisions.preemptions) {
        pairs.add(`${by}>${job}`);
        assert.ok(!pairs.has(`${job}>${by}`));
        const queue = queueOf(job);
        assert.ok(queue.tier! < queueOf(by).tier!);
        const asked = world.inputs.get(job)!.requeue === false ? "Cancel" : queue.preemptMode;
        assert.equal(mode, asked);
        assert.equal(graceSeconds, queue.graceSeconds ?? 0);
        const start = world.starts.findLast((one) => one.job === job && (task === undefined || one.task === task));
        if (start !== undefined) assert.ok(start.startTime + (queue.preemptExemptSeconds ?? 0) <= now);
      }
    };
    world.play();
  }),
);

law(
  "every job that could ever run is done in the end, however often it was preempted",
  fc.property(withPreemption(scenarios({ plain: true })), (scenario) => {
    const world = new World(scenario);
    let preemptions = 0;
    world.onDecide = (decisions) => {
      preemptions += decisions.preemptions.length;
      assert.ok(preemptions < 1000);
    };
    world.play();
    for (const id of world.inputs.keys()) {
      const reason = world.state.reason(id);
      assert.ok(reason === undefined || reason === "NodesUnavailable", `job ${id} waits for ${reason}`);
    }
  }),
);

law(
  "a copy decides as its original, with claims too, and explain answers for all who wait",
  fc.property(withPreemption(scenarios()), assertCopiesDecideAlike),
);

/** Where all are planned nobody starts in the way of one who could preempt it a moment later. */
const planned = scenarios({
  plain: true,
  policy: fc.constant({ reservationDepth: -1, backfill: "Arrival", overdue: "Extend" }),
});

law(
  "expected starts know preemption",
  fc.property(withPreemption(planned), (scenario) => {
    const jobs = scenario.jobs.map(({ input }) => {
      return { runShare: 1, ok: true, input: { ...input, submitTime: 0, overheadSeconds: 0 } };
    });
    const world = new World({ ...scenario, jobs, leaveShare: 1 });
    assertExpectedStarts(world);
  }),
);

law(
  "a state kept by change decides as one built anew",
  fc.property(withPreemption(scenarios()), fc.integer({ min: 0, max: 60 }), (scenario, from) => {
    let stopAt = from;
    const acts = scenario.acts.filter(({ act }) => act === "Drain" || act === "Down" || act === "Up");
    // That one that waits again has run before is known to whoever saw it.
    const jobs = scenario.jobs.map((job) => {
      const isAfter = job.input.dependencies?.of.some(({ type }) => type === "After") === true;
      return isAfter ? Object.assign({}, job, { input: { ...job.input, dependencies: undefined } }) : job;
    });
    const world = new World({ ...scenario, acts, jobs });
    let steps = 0;
    world.onDecide = (_, now) => {
      steps += 1;
      const store = world.state as ClusterStore;
      // What is about to change hands the new leader decides anew.
      if (steps < stopAt || store.claims.size > 0 || [...store.charging.runs()].some((run) => run.preempted)) return;
      stopAt = Infinity;
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

law(
  "victims are the least that would do, compared with all others, where they are few",
  fc.property(situations(scenarios({ plain: true })), (situation) => {
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
  "node by node no victim is superfluous, some are found where there are any, and for one pod they are the least",
  fc.property(situations(scenarios({ plain: true })), (situation) => {
    eachSearch(situation, (find, fits, all, pods) => {
      const found = find(0);
      assert.equal(found !== undefined, all.length > 0 && fits(all));
      if (found === undefined) return;
      assert.ok(fits(found));
      for (const one of found) assert.ok(!fits(found.filter((other) => other !== one)));
      const exact = find(8);
      if (pods === 1 && all.length <= 8) assert.deepEqual(cost(found), cost(exact!));
    });
  }),
);
