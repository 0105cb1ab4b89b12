import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, explain, forecast, SchedulingError } from "./index.ts";
import type { ClusterState, JobInput } from "./index.ts";
import type { ClusterStore } from "./store.ts";
import { cluster, job } from "./testing-cluster.ts";

const started = (state: ClusterState, now: number): (number | string)[] =>
  decide(state, now).starts.map(({ job, task }) => (task === undefined ? job : `${job}_${task}`));

test("the head is reserved, what does not delay it is backfilled, the rest waits", () => {
  const state = cluster(1);
  state.addJob(job(1, 3, 100));
  state.addJob(job(2, 4, 50));
  state.addJob(job(3, 1, 100));
  state.addJob(job(4, 1, 101));
  const decisions = decide(state, 0);
  assert.deepEqual(
    decisions.starts.map((start) => [start.job, start.nodes, start.endTime]),
    [
      [1, [["n0"]], 100],
      [3, [["n0"]], 100],
    ],
  );
  assert.deepEqual(
    decisions.reservations.map(({ job, startTime, endTime }) => [job, startTime, endTime]),
    [[2, 100, 150]],
  );
  assert.deepEqual(
    decisions.waiting.toSorted((a, b) => a.job - b.job),
    [
      { job: 2, reason: "Resources" },
      { job: 4, reason: "Priority" },
    ],
  );
  assert.equal(decisions.nextWake, 100);
  assert.deepEqual(explain(state, 2, 0), {
    job: 2,
    reason: "Resources",
    queue: "q",
    pods: { needed: 1, fitting: 0 },
    perPod: { request: [4, 0, 1], mostFree: [0, 100, 8], largest: [4, 100, 10] },
    nodes: { usable: 1, fitting: 0 },
    short: 0,
    start: { time: 100, nodes: ["n0"], reserved: true },
    waitsFor: { job: 1, endTime: 100, node: "n0" },
  });
  const behind = explain(state, 4, 0);
  assert.deepEqual([behind?.behind, behind?.start], [2, { time: 150, nodes: ["n0"], reserved: false }]);
  assert.deepEqual(forecast(state, 0), {
    asOf: 0,
    starts: [
      { job: 2, time: 100, basis: "Reserved" },
      { job: 4, time: 150, basis: "Forecast" },
    ],
    complete: true,
  });
  state.endJob(1, 40, { ok: true });
  const earlier = decide(state, 40);
  assert.deepEqual(earlier.starts, []);
  assert.deepEqual(earlier.reservations, [], "job 3 still holds a cpu until 100");
});

test("an array starts its lowest tasks, so many at once as it may", () => {
  const state = cluster(2);
  state.addJob(job(1, 1, 10, { array: { pending: [[0, 5]], maxRunning: 2 } }));
  assert.deepEqual(started(state, 0), ["1_0", "1_1"]);
  assert.equal(state.reason(1), "ArrayTaskLimit");
  assert.equal(explain(state, 1, 0)?.limit, 2);
  state.endJob(1, 3, { task: 1, ok: false, requeue: true });
  assert.deepEqual(started(state, 3), ["1_1"]);
  state.endJob(1, 4, { task: 0, ok: true });
  state.removeJob(1, 4, [[2, 4]]);
  assert.deepEqual(started(state, 4), ["1_5"]);
  state.endJob(1, 5, { task: 1, ok: true });
  state.endJob(1, 5, { task: 5, ok: true });
  assert.equal(state.has(1), false);
});

test("tasks that are one start in an estimate go where they would one after the other, past what others have reserved", () => {
  const state = cluster(4, { reservationDepth: -1 }) as ClusterStore;
  state.addJob(job(1, 4, 100, { array: { pending: [[0, 5]] } }));
  state.addJob(job(2, 4, 10, { array: { pending: [[0, 2]] } }));
  assert.deepEqual(started(state, 0), ["1_0", "1_1", "1_2", "1_3"]);
  assert.deepEqual(
    state.reservations().map(({ job, startTime, nodes }) => [job, startTime, nodes]),
    [
      [1, 100, [["n0"]]],
      [2, 100, [["n1"]]],
    ],
  );
  for (const task of [0, 1, 2, 3]) state.endJob(1, 1, { task, ok: true });
  for (const startsTogether of [false, true]) {
    const copy = state.copy();
    copy.startsTogether = startsTogether;
    const nodesOf = new Map<number, string[]>();
    // 1_4 goes around the reservation of job 2, for 1_5 that one makes way.
    for (const { job, nodes } of decide(copy, 1).starts) {
      nodesOf.set(job, [...(nodesOf.get(job) ?? []), ...nodes.flat()]);
    }
    assert.deepEqual(
      [...nodesOf],
      [
        [1, ["n0", "n1"]],
        [2, ["n2", "n3"]],
      ],
      `together: ${startsTogether}`,
    );
    assert.deepEqual(
      copy.reservations().map(({ startTime, nodes }) => [startTime, nodes]),
      [[11, [["n2"]]]],
    );
  }
});

test("a million tasks are one entry", () => {
  const state = cluster(1);
  state.addJob(job(1, 1, 10, { array: { pending: [[0, 999_999]] } }));
  assert.deepEqual(started(state, 0), ["1_0", "1_1", "1_2", "1_3"]);
  assert.deepEqual(state.counts(), { nodes: 1, pendingJobs: 1, pendingTasks: 999_996, running: 4 });
});

test("dependencies of each type, on jobs that are held and on outcomes", () => {
  const state = cluster(4);
  const after = (id: number, type: "After" | "AfterAny" | "AfterOk" | "AfterNotOk", delaySeconds?: number): void =>
    state.addJob(job(id, 1, 10, { dependencies: { of: [{ type, job: 1, delaySeconds }] } }));
  state.addJob(job(1, 1, 10, { hold: "User" }));
  after(2, "After", 5);
  after(3, "AfterAny");
  after(4, "AfterOk");
  after(5, "AfterNotOk");
  const gone = { type: "AfterOk" as const, job: 99 };
  state.addJob(job(6, 1, 10, { dependencies: { of: [{ ...gone, outcome: { ended: true, ok: true } }] } }));
  state.addJob(job(7, 1, 10, { dependencies: { of: [gone] } }));
  state.addJob(job(8, 1, 10, { dependencies: { any: true, of: [gone, { type: "AfterAny", job: 98 }] } }));
  assert.deepEqual(started(state, 0), [6, 8]);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 7].map((id) => state.reason(id)),
    ["HeldByUser", "Dependency", "Dependency", "Dependency", "Dependency", "DependencyNeverSatisfied"],
  );
  assert.deepEqual(explain(state, 4, 0)?.dependsOn, [1]);
  state.updateJob(1, { hold: undefined }, 1);
  const decisions = decide(state, 1);
  assert.deepEqual(
    decisions.starts.map(({ job }) => job),
    [1],
  );
  assert.equal(decisions.nextWake, 6, "the delay of job 2");
  assert.equal(explain(state, 2, 1)?.until, 6);
  assert.deepEqual(started(state, 6), [2]);
  state.endJob(1, 7, { ok: true });
  assert.deepEqual(started(state, 7), [3, 4]);
  assert.equal(state.reason(5), "DependencyNeverSatisfied");
});

test("AfterCorr lets each task follow its fellow, Singleton lets namesakes follow each other", () => {
  const state = cluster(4);
  state.addJob(job(1, 1, 10, { array: { pending: [[0, 2]] } }));
  const of = [{ type: "AfterCorr" as const, job: 1 }];
  state.addJob(job(2, 1, 10, { array: { pending: [[0, 3]] }, dependencies: { of } }));
  state.addJob(job(3, 1, 10, { name: "x" }));
  state.addJob(job(4, 1, 10, { name: "x", dependencies: { of: [{ type: "Singleton" }] } }));
  assert.deepEqual(started(state, 0), ["1_0", "1_1", "1_2", 3]);
  assert.deepEqual(explain(state, 4, 0)?.dependsOn, [3]);
  state.endJob(1, 1, { task: 1, ok: true });
  state.endJob(1, 1, { task: 0, ok: false });
  state.endJob(3, 1, { ok: false });
  assert.deepEqual(started(state, 1), ["2_1", 4]);
  state.endJob(1, 2, { task: 2, ok: true });
  assert.deepEqual(started(state, 2), ["2_2"]);
  assert.equal(state.reason(2), "DependencyNeverSatisfied", "tasks 0 and 3 have no fellow that ended well");
});

test("begin time, deadline and time limit", () => {
  const state = cluster(1);
  state.putQueue({ name: "q", maxWallTimeSeconds: 60, maxNodesPerJob: 1 });
  state.addJob(job(1, 1, 10, { beginTime: 20 }));
  state.addJob(job(2, 4, 10, { deadline: 25, hold: "Admin" }));
  state.addJob(job(3, 1, 61));
  state.addJob(job(4, 1, 61, { minWallTimeSeconds: 5, submitTime: 1 }));
  state.addJob(job(5, 1, 10, { podSets: [{ count: 2, request: [1, 0, 1] }], podsPerNode: 1 }));
  state.addJob(job(6, 5, 10));
  state.addJob(job(7, 1, 10, { nodes: ["n9"] }));
  const decisions = decide(state, 0);
  assert.deepEqual(
    decisions.starts.map(({ job, wallTimeSeconds }) => [job, wallTimeSeconds]),
    [[4, 60]],
  );
  assert.equal(decisions.nextWake, 16, "from then on job 2 cannot end before its deadline");
  assert.deepEqual(
    [1, 2, 3, 5, 6, 7].map((id) => state.reason(id)),
    ["BeginTime", "HeldByAdmin", "QueueTimeLimit", "NodesUnavailable", "NodesUnavailable", "NodeUnavailable"],
  );
  assert.equal(explain(state, 3, 0)?.limit, 60);
  assert.deepEqual(decide(state, 16).expired, [2]);
  assert.deepEqual(decide(state, 17).expired, []);
  assert.deepEqual(started(state, 20), [1]);
  state.putNode({ name: "n1", capacity: [4, 100, 10], nodeClass: "", state: "Up" });
  decide(state, 21);
  assert.equal(state.reason(5), "QueueNodeLimit");
});

test("a job that outlives its slot moves the reservation behind it, one that is cut short moves it forward", () => {
  const state = cluster(1);
  state.addJob(job(1, 4, 100, { overheadSeconds: 10 }));
  state.addJob(job(2, 4, 100));
  decide(state, 0);
  assert.equal(state.reservation(2)?.startTime, 110);
  const overdue = decide(state, 110);
  assert.deepEqual(overdue.starts, []);
  assert.equal(state.reservation(2)?.startTime, 140);
  state.setEnd(1, 120, 115);
  decide(state, 115);
  assert.equal(state.reservation(2)?.startTime, 120);
  state.endJob(1, 118, { ok: true });
  assert.deepEqual(started(state, 118), [2]);
});

test("packed or spread, exclusive, gangs with different pods", () => {
  const pods = (count: number, cpus: number): JobInput["podSets"] => [{ count, request: [cpus, 0, 1] }];
  const nodesOf = (state: ClusterState): string[][][] => decide(state, 0).starts.map(({ nodes }) => nodes);
  const packed = cluster(3);
  packed.addJob(job(1, 1, 10, { podSets: pods(5, 1) }));
  assert.deepEqual(nodesOf(packed), [[["n0", "n0", "n0", "n0", "n1"]]]);
  const spread = cluster(3);
  spread.addJob(job(1, 1, 10, { podSets: pods(5, 1), placement: "Spread" }));
  assert.deepEqual(nodesOf(spread), [[["n0", "n1", "n2", "n0", "n1"]]]);
  const alone = cluster(2);
  alone.addJob(job(1, 1, 10, { exclusive: true }));
  alone.addJob(job(2, 1, 10, { exclusive: true }));
  alone.addJob(job(3, 1, 10));
  assert.deepEqual(nodesOf(alone), [[["n0"]], [["n1"]]]);
  const mixed = cluster(2);
  mixed.addJob(job(1, 1, 10, { podSets: [...pods(1, 1), ...pods(1, 4), ...pods(2, 1)] }));
  assert.deepEqual(nodesOf(mixed), [[["n0"], ["n1"], ["n0", "n0"]]]);
  // One pod of each of two kinds beside each other on one node.
  const beside = cluster(1);
  beside.addJob(job(1, 1, 10, { podSets: [...pods(1, 2), ...pods(1, 1)] }));
  assert.deepEqual(nodesOf(beside), [[["n0"], ["n0"]]]);
});

test("a new leader tells what runs and goes on", () => {
  const state = cluster(1);
  state.addJob(job(1, 3, 100));
  state.addJob(job(2, 3, 100));
  state.startJob(1, { nodes: [["n0"]], startTime: -50, endTime: 50 });
  assert.deepEqual(decide(state, 0).starts, []);
  assert.equal(state.reservation(2)?.startTime, 50);
});

test("what cannot be meant is refused in words", () => {
  const state = cluster(1);
  state.addJob(job(1, 1, 10));
  assert.throws(() => state.addJob(job(1, 1, 10)), new SchedulingError("job 1 is known already"));
  assert.throws(() => state.endJob(1, 0, { ok: true }), new SchedulingError("job 1 does not run"));
  assert.throws(() => state.removeJob(2, 0), new SchedulingError("job 2 is not known"));
  assert.throws(() => state.addJob(job(3, -1, 10)), /request of pod set 0: cpu is -1, must be an integer from 0/);
  assert.throws(() => state.addJob(job(3, 1, 0)), /wallTimeSeconds is 0, must be an integer from 1/);
});

test("a job of several kinds of pods that may be shorter gets no longer a slot than there is room for all of them", () => {
  const state = cluster(1);
  state.addJob(job(1, 2, 50));
  decide(state, 0);
  state.addJob(job(2, 3, 100));
  decide(state, 1);
  const podSets = [10, 20].map((memory) => ({ count: 1, request: [1, memory, 1] }));
  state.addJob(job(3, 2, 60, { podSets, minWallTimeSeconds: 10 }));
  assert.deepEqual(
    decide(state, 2).starts.map(({ job, endTime }) => [job, endTime]),
    [[3, 50]],
  );
  assert.equal(state.reservation(2)?.startTime, 50);
});
