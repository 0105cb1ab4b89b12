import assert from "node:assert/strict";
import { test } from "node:test";
import { createClusterState, decide, explain, forecast } from "./index.ts";
import type { ClusterOptions, ClusterState, JobInput, PodSetInput, Preemption, QueueInput } from "./index.ts";

/** Nodes of 4 cpus each; students fill holes, research goes first. */
function cluster(
  nodes: number,
  students: Partial<QueueInput> = {},
  options: Partial<ClusterOptions> = {},
): ClusterState {
  const state = createClusterState({ resources: ["cpu", "memory", "pods"], ...options });
  state.putQueue({ name: "research", tier: 2 });
  state.putQueue({ name: "lent", tier: 2, preemptMode: "Requeue" });
  state.putQueue({ name: "students", tier: 1, preemptMode: "Requeue", ...students });
  for (let index = 0; index < nodes; index += 1) {
    state.putNode({ name: `n${index}`, capacity: [4, 100, 10], nodeClass: "", state: "Up" });
  }
  return state;
}

function job(id: number, queue: string, cpus: number, wallTimeSeconds: number, more: Partial<JobInput> = {}): JobInput {
  const podSets = [{ count: 1, request: [cpus, 0, 1] }];
  return { id, user: "ada", queues: [queue], submitTime: 0, podSets, wallTimeSeconds, ...more };
}

const victims = (preemptions: Preemption[]): number[] => preemptions.map(({ job }) => job);

test("students fill every hole and are bumped the moment a researcher needs the node", () => {
  const state = cluster(2, { graceSeconds: 10 });
  state.addJob(job(1, "students", 1, 1000, { array: { pending: [[0, 9]] } }));
  assert.equal(decide(state, 0).starts.length, 8);
  state.addJob(job(2, "research", 2, 100, { submitTime: 50 }));
  const decisions = decide(state, 50);
  assert.deepEqual(decisions.starts, []);
  assert.deepEqual(decisions.preemptions, [
    { job: 1, task: 0, by: 2, mode: "Requeue", graceSeconds: 10 },
    { job: 1, task: 1, by: 2, mode: "Requeue", graceSeconds: 10 },
  ]);
  assert.deepEqual(decisions.reservations[0], {
    job: 2,
    queue: "research",
    nodes: [["n0"]],
    startTime: 60,
    endTime: 160,
  });
  assert.equal(decisions.nextWake, 60);
  assert.equal(state.reason(2), "Resources");
  const waits = explain(state, 2, 50)!;
  assert.deepEqual(waits.preempts, [
    { job: 1, task: 0 },
    { job: 1, task: 1 },
  ]);
  assert.deepEqual(waits.start, { time: 60, nodes: ["n0"], reserved: true });
  // One leaves early: nobody else takes what is not free for the researcher alone.
  state.endJob(1, 53, { task: 0, ok: false, requeue: true });
  assert.deepEqual(decide(state, 53).starts, []);
  state.endJob(1, 55, { task: 1, ok: false, requeue: true });
  const later = decide(state, 55);
  assert.deepEqual(
    later.starts.map(({ job, nodes, endTime }) => [job, nodes, endTime]),
    [[2, [["n0"]], 155]],
  );
  assert.deepEqual(later.preemptions, []);
  assert.deepEqual(explain(state, 1, 55)!.preempted, { by: 2, time: 50 });
  // When the researcher is done, they are back.
  state.endJob(2, 80, { ok: true });
  assert.deepEqual(
    decide(state, 80).starts.map(({ task }) => task),
    [0, 1],
  );
});

test("who has lost least goes, as few as do, and nobody in vain", () => {
  const state = cluster(2);
  state.addJob(job(1, "students", 4, 1000));
  decide(state, 0);
  state.addJob(job(2, "students", 2, 1000, { submitTime: 10 }));
  state.addJob(job(3, "students", 2, 1000, { submitTime: 10 }));
  decide(state, 10);
  // 400 cpu-seconds against 2 x 180.
  state.addJob(job(4, "research", 4, 50, { submitTime: 100 }));
  assert.deepEqual(victims(decide(state, 100).preemptions), [2, 3]);
  for (const id of [2, 3]) state.endJob(id, 100, { ok: false, requeue: true });
  assert.deepEqual(
    decide(state, 100).starts.map(({ job }) => job),
    [4],
  );
  // A checkpoint makes job 1 the cheaper one; what is too large for any node preempts nobody.
  state.setCheckpoint(1, 199);
  state.addJob(job(5, "research", 5, 50, { submitTime: 200 }));
  state.addJob(job(6, "research", 1, 50, { submitTime: 200 }));
  assert.deepEqual(victims(decide(state, 200).preemptions), [1]);
});

test("a gang has all of its places made free, or none", () => {
  const state = cluster(3);
  state.addJob(job(1, "students", 4, 1000, { array: { pending: [[0, 1]] } }));
  state.addJob(job(2, "research", 4, 1000));
  decide(state, 0);
  const gang = (id: number, count: number): JobInput =>
    job(id, "research", 1, 100, { podSets: [{ count, request: [4, 0, 1] }], submitTime: 5 });
  state.addJob(gang(3, 3));
  assert.deepEqual(decide(state, 5).preemptions, []);
  state.addJob(gang(4, 2));
  assert.deepEqual(
    decide(state, 6).preemptions.map(({ task, by }) => [task, by]),
    [
      [0, 4],
      [1, 4],
    ],
  );
});

test("not before it has run for a while, not if the preemptor starts as soon by itself", () => {
  const state = cluster(1, { preemptExemptSeconds: 60, graceSeconds: 30 });
  state.addJob(job(1, "students", 4, 100));
  decide(state, 0);
  state.addJob(job(2, "research", 4, 10, { submitTime: 10 }));
  const early = decide(state, 10);
  assert.deepEqual(early.preemptions, []);
  assert.equal(early.nextWake, 60);
  assert.deepEqual(victims(decide(state, 60).preemptions), [1]);
  const other = cluster(1, { graceSeconds: 30 });
  other.addJob(job(1, "students", 4, 100));
  decide(other, 0);
  other.addJob(job(2, "research", 4, 10, { submitTime: 70 }));
  assert.deepEqual(decide(other, 70).preemptions, []);
});

test("by quality of service: who is named, in one direction, as the victim's says", () => {
  const state = cluster(1);
  state.putQualityOfService({ name: "urgent", preempts: ["scavenger", "normal"] });
  state.putQualityOfService({ name: "normal", preempts: ["urgent", "scavenger"] });
  state.putQualityOfService({ name: "scavenger", preemptMode: "Cancel", graceSeconds: 5 });
  state.addJob(job(1, "research", 4, 100, { qos: "scavenger" }));
  decide(state, 0);
  state.addJob(job(2, "research", 4, 100, { qos: "normal", submitTime: 1 }));
  assert.deepEqual(decide(state, 1).preemptions, [{ job: 1, by: 2, mode: "Cancel", graceSeconds: 5 }]);
  state.endJob(1, 2, { ok: false });
  assert.equal(decide(state, 2).starts.length, 1);
  state.addJob(job(3, "research", 4, 100, { qos: "urgent", submitTime: 3 }));
  assert.deepEqual(decide(state, 3).preemptions, []);
});

test("what was lent is reclaimed, up to what is guaranteed, from who has more than that", () => {
  const state = cluster(2);
  state.putAccount({ name: "bio", guaranteed: [4] });
  state.putAccount({ name: "chem", guaranteed: [4] });
  state.addJob(job(1, "lent", 2, 1000, { account: "chem", array: { pending: [[0, 3]] } }));
  assert.equal(decide(state, 0).starts.length, 4);
  state.addJob(job(2, "lent", 2, 1000, { account: "bio", array: { pending: [[0, 3]] }, submitTime: 9 }));
  const first = decide(state, 9);
  assert.deepEqual(victims(first.preemptions), [1, 1]);
  for (const { task } of first.preemptions) state.endJob(1, 9, { task, ok: false, requeue: true });
  const next = decide(state, 9);
  assert.deepEqual(
    next.starts.map(({ job }) => job),
    [2, 2],
  );
  // Both have what is theirs.
  assert.deepEqual(next.preemptions, []);
  assert.deepEqual(decide(state, 20).preemptions, []);
});

test("a large job that is beyond its account's guarantee does not keep a small one from reclaiming", () => {
  const state = cluster(1);
  state.putAccount({ name: "bio", guaranteed: [2] });
  state.addJob(job(1, "lent", 1, 1000, { account: "chem", array: { pending: [[0, 3]] } }));
  decide(state, 0);
  state.addJob(job(2, "lent", 3, 1000, { account: "bio", submitTime: 9 }));
  state.addJob(job(3, "lent", 2, 500, { account: "bio", submitTime: 10 }));
  assert.deepEqual(
    decide(state, 10).preemptions.map(({ job, by }) => [job, by]),
    [
      [1, 3],
      [1, 3],
    ],
  );
});

test("a claim is given up when its job goes, and waits for those that outlive their grace", () => {
  const state = cluster(1, { graceSeconds: 10 });
  state.addJob(job(1, "students", 4, 1000));
  decide(state, 0);
  state.addJob(job(2, "research", 4, 100, { submitTime: 1 }));
  state.addJob(job(3, "research", 4, 100, { submitTime: 2 }));
  assert.deepEqual(victims(decide(state, 2).preemptions), [1]);
  const late = decide(state, 12);
  assert.deepEqual(late.starts, []);
  assert.deepEqual(
    late.reservations.map(({ job, startTime }) => [job, startTime]).sort((a, b) => a[0]! - b[0]!),
    [
      [2, 42],
      [3, 142],
    ],
  );
  state.removeJob(2, 13);
  state.endJob(1, 14, { ok: false, requeue: true });
  assert.deepEqual(
    decide(state, 14).starts.map(({ job }) => job),
    [3],
  );
});

test("expected starts count on preemption", () => {
  const state = cluster(1, { graceSeconds: 10 });
  state.addJob(job(1, "students", 4, 1000));
  decide(state, 0);
  state.addJob(job(2, "research", 4, 100, { submitTime: 1 }));
  state.addJob(job(3, "students", 4, 50, { submitTime: 1 }));
  assert.deepEqual(forecast(state, 1).starts, [
    { job: 2, time: 11, basis: "Forecast" },
    { job: 3, time: 1111, basis: "Forecast" },
  ]);
});

/** Pods of a class, with rules, one to a node of four. */
const pods = (podClass: string, rules: PodSetInput["rules"] = {}, cpus = 4): Partial<JobInput> => {
  return { podSets: [{ count: 1, request: [cpus, 0, 1], podClass, rules }] };
};

/** Two racks of two nodes. */
function racks(): ClusterState {
  const matches = (selector: string, podClass: string): boolean => selector === podClass;
  const state = cluster(0, { graceSeconds: 10 }, { matches });
  for (const [index, rack] of ["r0", "r0", "r1", "r1"].entries()) {
    const name = `n${index}`;
    state.putNode({ name, capacity: [4, 100, 10], nodeClass: "", state: "Up", domains: { host: name, rack } });
  }
  return state;
}

test("whom anti-affinity keeps off has those leave who are in the way, on other nodes too, and no others", () => {
  const state = racks();
  state.addJob(job(1, "students", 1, 1000, { ...pods("web", {}, 1), nodes: ["n0"] }));
  state.addJob(job(2, "students", 1, 1000, { ...pods("web", {}, 1), nodes: ["n2"] }));
  state.addJob(job(3, "students", 1, 1000, { nodes: ["n1"] }));
  state.addJob(job(4, "lent", 1, 1000, { ...pods("web", {}, 1), nodes: ["n0"] }));
  assert.equal(decide(state, 0).starts.length, 4);
  // There is room on each node, but in both racks is somebody it keeps off; those of the first include one of its own tier.
  const alone = { antiAffinity: [{ key: "rack", pods: "web" }] };
  state.addJob(job(5, "research", 1, 100, { ...pods("db", alone, 1), submitTime: 50 }));
  const decisions = decide(state, 50);
  assert.deepEqual(decisions.preemptions, [{ job: 2, by: 5, mode: "Requeue", graceSeconds: 10 }]);
  assert.deepEqual(explain(state, 5, 50)!.start, { time: 60, nodes: ["n2"], reserved: true });
  // Nobody whom it keeps off comes into its rack meanwhile.
  state.addJob(job(6, "research", 1, 1000, { ...pods("web", {}, 1), nodes: ["n3"], submitTime: 51 }));
  assert.deepEqual(decide(state, 51).starts, []);
  state.endJob(2, 55, { ok: false, requeue: true });
  assert.deepEqual(
    decide(state, 55).starts.map(({ job, nodes }) => [job, nodes]),
    [[5, [["n2"]]]],
  );
});

test("a victim is none of those beside whom the preemptor wants to be", () => {
  const state = racks();
  state.addJob(job(1, "students", 4, 1000, { ...pods("db"), nodes: ["n0"] }));
  state.addJob(job(2, "students", 4, 1000, { nodes: ["n1"] }));
  state.addJob(job(3, "students", 4, 1000, { nodes: ["n2"] }));
  state.addJob(job(4, "students", 4, 1000, { nodes: ["n3"] }));
  decide(state, 0);
  // Job 1 would be the cheapest, and 3 and 4 cost less than 2, but only beside job 1 there is what it wants.
  for (const id of [1, 3, 4]) state.setCheckpoint(id, 99);
  const beside = { affinity: [{ key: "rack", pods: "db" }] };
  state.addJob(job(5, "research", 4, 100, { ...pods("web", beside), submitTime: 100 }));
  assert.deepEqual(victims(decide(state, 100).preemptions), [2]);
  // On the node itself there would be room only if it left: nobody is preempted for that.
  const other = racks();
  other.addJob(job(1, "students", 4, 1000, { ...pods("db"), nodes: ["n0"] }));
  decide(other, 0);
  const onNode = { affinity: [{ key: "host", pods: "db" }] };
  other.addJob(job(2, "research", 4, 100, { ...pods("web", onNode), submitTime: 1 }));
  assert.deepEqual(decide(other, 1).preemptions, []);
});

test("for whom room was made others leave alone what it counts on, as long as they leave", () => {
  const state = racks();
  state.addJob(job(1, "students", 4, 1000, { ...pods("db"), nodes: ["n0"] }));
  state.addJob(job(2, "students", 4, 1000, { nodes: ["n1"] }));
  decide(state, 0);
  const beside = { affinity: [{ key: "rack", pods: "db" }] };
  state.addJob(job(3, "research", 4, 100, { ...pods("web", beside), submitTime: 1 }));
  state.addJob(job(4, "research", 4, 100, { nodes: ["n0"], submitTime: 2 }));
  assert.deepEqual(
    decide(state, 2).preemptions.map(({ job, by }) => [job, by]),
    [[2, 3]],
  );
  state.endJob(2, 12, { ok: false, requeue: true });
  const later = decide(state, 12);
  assert.deepEqual(
    later.starts.map(({ job }) => job),
    [3],
  );
  assert.deepEqual(
    later.preemptions.map(({ job, by }) => [job, by]),
    [[1, 4]],
  );
});

test("topology spread: whose leaving evens the domains out, and nobody where none would", () => {
  const even = { spread: [{ key: "rack", pods: "web", maxSkew: 1, required: true }] };
  const state = racks();
  state.addJob(job(1, "students", 4, 1000, { ...pods("web"), nodes: ["n0"] }));
  state.addJob(job(2, "lent", 4, 1000, { nodes: ["n1"] }));
  state.addJob(job(3, "research", 4, 1000, { nodes: ["n2"] }));
  state.addJob(job(4, "research", 4, 1000, { nodes: ["n3"] }));
  decide(state, 0);
  // In the second rack it may go, but nobody there leaves; in the first only in the place of job 1.
  state.addJob(job(5, "research", 4, 100, { ...pods("web", even), submitTime: 1 }));
  assert.deepEqual(victims(decide(state, 1).preemptions), [1]);
  const other = racks();
  other.addJob(job(1, "lent", 4, 1000, { ...pods("web"), nodes: ["n0"] }));
  other.addJob(job(2, "students", 4, 1000, { nodes: ["n1"] }));
  other.addJob(job(3, "research", 4, 1000, { nodes: ["n2"] }));
  other.addJob(job(4, "research", 4, 1000, { nodes: ["n3"] }));
  decide(other, 0);
  other.addJob(job(5, "research", 4, 100, { ...pods("web", even), submitTime: 1 }));
  assert.deepEqual(decide(other, 1).preemptions, []);
});
