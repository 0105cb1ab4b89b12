import assert from "node:assert/strict";
import { test } from "node:test";
import { createClusterState, decide, explain, forecast } from "./index.ts";
import type { ClusterState, JobInput, NodeInput, QueueInput } from "./index.ts";

/** Nodes of 4 cpus and 100 of memory each; scavengers stand still for research. */
function cluster(nodes: number, scavenge: Partial<QueueInput> = {}, node: Partial<NodeInput> = {}): ClusterState {
  const state = createClusterState({ resources: ["cpu", "memory", "pods", "gpu"] });
  state.putQueue({ name: "research", tier: 2 });
  state.putQueue({ name: "urgent", tier: 3 });
  state.putQueue({ name: "scavenge", tier: 1, preemptMode: "Suspend", ...scavenge });
  for (let index = 0; index < nodes; index += 1) {
    state.putNode({ name: `n${index}`, capacity: [4, 100, 10, 2], nodeClass: "", state: "Up", ...node });
  }
  return state;
}

function job(id: number, queue: string, request: number[], wallTimeSeconds: number, more: Partial<JobInput> = {}) {
  const podSets = [{ count: 1, request }];
  return { id, user: "ada", queues: [queue], submitTime: 0, podSets, wallTimeSeconds, ...more } satisfies JobInput;
}

test("a victim gives its cores, keeps its memory and its place, and goes on when the other has ended, for the rest of its time", () => {
  const state = cluster(1);
  state.addJob(job(1, "scavenge", [4, 40, 1], 1000));
  decide(state, 0);
  state.addJob(job(2, "scavenge", [4, 40, 1], 500, { submitTime: 50 }));
  state.addJob(job(3, "research", [4, 50, 1], 100, { submitTime: 100 }));
  const decisions = decide(state, 100);
  assert.deepEqual(decisions.preemptions, [{ job: 1, by: 3, mode: "Suspend", graceSeconds: 0 }]);
  assert.deepEqual(explain(state, 3, 100)!.preempts, [{ job: 1 }]);
  // It is not told yet that it stands still: nobody has its cores.
  assert.deepEqual(decide(state, 101).starts, []);
  state.suspendJob(1, 102);
  const after = decide(state, 102);
  assert.deepEqual(
    after.starts.map(({ job, endTime }) => [job, endTime]),
    [[3, 202]],
  );
  assert.deepEqual(state.suspension(1), { by: 3, since: 100, resume: 202 });
  // The other scavenger waits until the first has had its time.
  assert.equal(state.reservation(2)?.startTime, 202 + 1000 - 102);
  assert.deepEqual(
    forecast(state, 102).starts.map(({ job, time }) => [job, time]),
    [[2, 1100]],
  );
  // The other ends sooner.
  state.endJob(3, 150, { ok: true });
  const resumed = decide(state, 150);
  assert.deepEqual(resumed.resumptions, [{ job: 1 }]);
  assert.deepEqual(resumed.starts, []);
  assert.equal(state.suspension(1), undefined);
  assert.equal(state.reservation(2)?.startTime, 150 + 898);
});

test("memory and devices stay in use: nobody is suspended for what that does not give", () => {
  const state = cluster(1);
  state.addJob(job(1, "scavenge", [4, 60, 1, 2], 1000));
  decide(state, 0);
  state.addJob(job(2, "research", [1, 50, 1], 100));
  state.addJob(job(3, "research", [1, 10, 1, 1], 100));
  assert.deepEqual(decide(state, 1).preemptions, []);
  for (const id of [2, 3]) state.removeJob(id, 1);
  state.addJob(job(4, "research", [2, 40, 1], 100));
  assert.deepEqual(
    decide(state, 2).preemptions.map(({ job, by }) => [job, by]),
    [[1, 4]],
  );
});

test("a job of several kinds of pods goes on when there is room for all of them together", () => {
  const state = cluster(1);
  const two = [
    { count: 1, request: [1, 10, 1] },
    { count: 1, request: [1, 20, 1] },
  ];
  for (const id of [1, 2]) state.addJob(job(id, "scavenge", [], 1000, { podSets: two }));
  assert.equal(decide(state, 0).starts.length, 2);
  state.addJob(job(3, "research", [1, 10, 1], 100));
  const victim = decide(state, 10).preemptions[0]!.job;
  state.suspendJob(victim, 11);
  const told = decide(state, 11);
  assert.deepEqual([told.starts.map(({ job }) => job), told.resumptions], [[3], []]);
  assert.equal(state.suspension(victim)?.resume, 111);
});

test("whole nodes are given up but for what was asked for", () => {
  const state = cluster(1);
  state.addJob(job(1, "scavenge", [1, 30, 1], 1000, { exclusive: true }));
  decide(state, 0);
  state.addJob(job(2, "research", [4, 70, 1], 100));
  assert.equal(decide(state, 10).preemptions.length, 1);
  state.suspendJob(1, 11);
  assert.equal(decide(state, 11).starts.length, 1);
  assert.equal(state.suspension(1)?.resume, 111);
});

test("one that stands still goes on standing still for the next who may preempt it, and is told so once", () => {
  const state = cluster(1);
  state.addJob(job(1, "scavenge", [4, 10, 1], 1000));
  decide(state, 0);
  state.addJob(job(2, "research", [4, 10, 1], 100));
  decide(state, 10);
  state.suspendJob(1, 11);
  decide(state, 11);
  state.addJob(job(3, "research", [4, 10, 1], 100, { submitTime: 20 }));
  assert.deepEqual(decide(state, 20).preemptions, []);
  state.endJob(2, 60, { ok: true });
  const next = decide(state, 60);
  assert.deepEqual([next.resumptions, next.preemptions], [[], []]);
  const start = decide(state, 61).starts;
  assert.deepEqual(
    start.map(({ job }) => job),
    [3],
  );
  assert.equal(state.suspension(1)?.by, 3);
  state.endJob(3, 161, { ok: true });
  assert.deepEqual(decide(state, 161).resumptions, [{ job: 1 }]);
});

test("who cannot be suspended there is preempted as its QOS says, or not at all", () => {
  const never = cluster(1, {}, { neverSuspends: true });
  never.addJob(job(1, "scavenge", [4, 10, 1], 1000));
  decide(never, 0);
  never.addJob(job(2, "research", [4, 10, 1], 100));
  assert.deepEqual(decide(never, 1).preemptions, []);

  const instead = cluster(1, {}, { neverSuspends: true });
  instead.putQualityOfService({ name: "low", preemptMode: "Requeue", graceSeconds: 7 });
  instead.addJob(job(1, "scavenge", [4, 10, 1], 1000, { qos: "low" }));
  decide(instead, 0);
  instead.addJob(job(2, "research", [4, 10, 1], 100));
  assert.deepEqual(
    decide(instead, 1).preemptions.map(({ mode, graceSeconds }) => [mode, graceSeconds]),
    [["Requeue", 7]],
  );
});

test("nobody is suspended who could not go on: what it keeps is never there for a maintenance", () => {
  const state = cluster(1);
  state.putReservation({ name: "m", nodes: ["n0"], startTime: 1050, durationSeconds: 100, maintenance: true });
  state.addJob(job(1, "scavenge", [4, 10, 1], 1000));
  decide(state, 0);
  state.addJob(job(2, "research", [4, 10, 1], 100));
  assert.deepEqual(decide(state, 10).preemptions, []);
  state.addJob(job(3, "research", [4, 10, 1], 40));
  assert.deepEqual(
    decide(state, 11).preemptions.map(({ by }) => by),
    [3],
  );
});

test("a new leader that finds one standing still plans it after who runs there, and has it go on where nobody does", () => {
  const state = cluster(1);
  state.addJob(job(1, "scavenge", [4, 10, 1], 1000));
  state.addJob(job(2, "research", [4, 10, 1], 100));
  state.startJob(1, { nodes: [["n0"]], queue: "scavenge", startTime: 0, endTime: 1000 });
  state.suspendJob(1, 20, undefined, 2);
  state.startJob(2, { nodes: [["n0"]], queue: "research", startTime: 10, endTime: 110 });
  assert.deepEqual(decide(state, 20).resumptions, []);
  assert.deepEqual(state.suspension(1), { by: 2, since: 20, resume: 110 });
  // Who outlives its slot has its nodes on.
  assert.deepEqual(decide(state, 110).resumptions, []);
  state.endJob(2, 115, { ok: true });
  assert.deepEqual(decide(state, 115).resumptions, [{ job: 1 }]);
});

test("what stands still is not billed, and what ends so gives all back", () => {
  const state = cluster(1);
  state.putAccount({ name: "bio" });
  state.addJob(job(1, "scavenge", [4, 10, 1], 1000, { account: "bio" }));
  decide(state, 0);
  state.setPolicy({ priority: { halfLifeSeconds: "None" } });
  state.addJob(job(2, "research", [4, 10, 1], 100));
  decide(state, 100);
  state.suspendJob(1, 100);
  assert.equal(decide(state, 101).starts.length, 1);
  state.endJob(1, 200, { ok: false });
  const usage = state.usage(200).find(({ account }) => account === "bio");
  assert.ok(Math.abs(usage!.billingSeconds - 0.4) < 1e-9, String(usage!.billingSeconds));
  state.endJob(2, 201, { ok: true });
  state.addJob(job(3, "research", [4, 100, 10, 2], 10));
  assert.equal(decide(state, 201).starts.length, 1);
});

test("nobody is suspended for one who wants to be beside it only once it would have ended", () => {
  const beside = { affinity: [{ key: "host", pods: "db" }] };
  const request = [4, 40, 1, 1];
  const play = (wallTimeSeconds: number, gpus: number): [number, string][] => {
    const state = cluster(0);
    for (const name of ["n0", "n1"]) {
      state.putNode({ name, capacity: [4, 100, 10, 1], nodeClass: "", state: "Up", domains: { host: name } });
    }
    state.putQueue({ name: "lent", preemptMode: "Requeue", graceSeconds: 60 });
    const podSets = [{ count: 1, request, podClass: "db" }];
    state.addJob(job(1, "scavenge", request, wallTimeSeconds, { podSets, nodes: ["n0"] }));
    state.addJob(job(2, "lent", [4, 10, 1], 1000, { nodes: ["n1"] }));
    assert.equal(decide(state, 0).starts.length, 2);
    const wants = [{ count: 1, request: [4, 10, 1, gpus], rules: beside }];
    state.addJob(job(3, "urgent", [], 100, { podSets: wants, submitTime: 10 }));
    return decide(state, 10).preemptions.map(({ job, mode }) => [job, mode]);
  };
  assert.deepEqual(play(1000, 0), [[1, "Suspend"]]);
  // The device is free from 50 on: then nobody beside whom it wants to be is there for certain.
  assert.deepEqual(play(50, 1), []);
  assert.deepEqual(play(1000, 1), []);
});
