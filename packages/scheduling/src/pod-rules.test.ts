import assert from "node:assert/strict";
import { test } from "node:test";
import { createClusterState, decide } from "./index.ts";
import type { ClusterState, JobInput, PodSetInput } from "./index.ts";

/** A rack of one node, and one of two; 4 cpus each. */
function racks(): ClusterState {
  const state = createClusterState({ resources: ["cpu", "memory", "pods"] });
  state.putQueue({ name: "q" });
  for (const [index, rack] of ["r0", "r1", "r1"].entries()) {
    const name = `n${index}`;
    state.putNode({ name, capacity: [4, 100, 10], nodeClass: "", state: "Up", domains: { host: name, rack } });
  }
  state.setPolicy({ reservationDepth: -1 });
  return state;
}

const pods = (cpus: number, podClass?: string, rules?: PodSetInput["rules"]): PodSetInput[] => {
  return [{ count: 1, request: [cpus, 0, 1], podClass, rules }];
};

function job(id: number, podSets: PodSetInput[], wallTimeSeconds: number, more: Partial<JobInput> = {}): JobInput {
  return { id, user: "ada", queues: ["q"], submitTime: 0, podSets, wallTimeSeconds, ...more };
}

/** Until 100 the node n1 is in use; from then on it is reserved for a database, behind a job that has had its reservation for longer. */
function databaseAt100(first: JobInput): ClusterState {
  const state = racks();
  state.addJob(job(1, pods(1, "db"), 300, { nodes: ["n0"] }));
  state.addJob(job(2, pods(3), 200, { nodes: ["n0"] }));
  state.addJob(job(3, pods(4), 100, { nodes: ["n1"] }));
  state.addJob(first);
  state.addJob(job(5, pods(4, "db"), 100, { nodes: ["n1"] }));
  assert.deepEqual(
    decide(state, 0).starts.map((start) => start.job),
    [1, 2, 3],
  );
  assert.equal(state.reservation(5)?.startTime, 100);
  state.endJob(3, 100, { ok: true });
  return state;
}

test("affinity: pods that are to start at this moment are there once they have started", () => {
  const beside = { affinity: [{ key: "rack", pods: "db" }] };
  const state = databaseAt100(job(4, pods(3, undefined, beside), 100));
  const decisions = decide(state, 100);
  assert.deepEqual(
    decisions.starts.map((start) => start.job),
    [5],
  );
  assert.equal(decisions.nextWake, 101);
  assert.deepEqual(
    decide(state, 101).starts.map((start) => [start.job, start.nodes]),
    [[4, [["n2"]]]],
  );
  // Or they do not start, and it stays where it was.
  const other = databaseAt100(job(4, pods(3, undefined, beside), 100));
  other.updateJob(5, { hold: "User" }, 100);
  assert.deepEqual(decide(other, 100).starts, []);
  assert.equal(other.reservation(4)?.startTime, 200);
});

test("required spread counts pods that are to start at this moment once they have started", () => {
  const even = { spread: [{ key: "rack", pods: "db", maxSkew: 1, required: true }] };
  const state = databaseAt100(job(4, pods(1, "db", even), 100, { nodes: ["n0"] }));
  state.endJob(2, 100, { ok: true });
  const decisions = decide(state, 100);
  assert.deepEqual(
    decisions.starts.map((start) => start.job),
    [5],
  );
  assert.equal(decisions.nextWake, 101);
  assert.deepEqual(
    decide(state, 101).starts.map((start) => start.job),
    [4],
  );
});
