import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decide, explain, forecast, SchedulingError } from "./index.ts";
import type { AdvanceReservationInput, ClusterState } from "./index.ts";
import { storeOf } from "./store.ts";
import type { ClusterStore } from "./store.ts";
import { overlapEver, windowAfter } from "./windows.ts";
import { cluster, job } from "./testing-cluster.ts";

const maintenance = (more: Partial<AdvanceReservationInput> = {}): AdvanceReservationInput => ({
  name: "service",
  startTime: 100,
  durationSeconds: 50,
  maintenance: true,
  ...more,
});

const started = (state: ClusterState, now: number): number[] => decide(state, now).starts.map(({ job }) => job);

test("a job that would run into a maintenance waits for its end, a shorter one starts", () => {
  const state = cluster(1);
  state.putReservation(maintenance());
  state.addJob(job(1, 2, 101));
  state.addJob(job(2, 1, 100));
  state.addJob(job(3, 1, 400, { minWallTimeSeconds: 50 }));
  const decisions = decide(state, 0);
  assert.deepEqual(
    decisions.starts.map(({ job, endTime }) => [job, endTime]),
    [
      [2, 100],
      [3, 100],
    ],
  );
  assert.equal(state.reason(1), "ReservedForMaintenance");
  assert.equal(state.reservation(1)?.startTime, 150);
  const explanation = explain(state, 1, 0)!;
  assert.deepEqual(explanation.window, { reservation: "service", startTime: 100, endTime: 150, maintenance: true });
  assert.equal(explanation.start?.time, 150);
  assert.deepEqual(forecast(state, 0).starts, [{ job: 1, time: 150, basis: "Reserved" }]);
  for (const id of [2, 3]) state.endJob(id, 100, { ok: true });
  assert.deepEqual(started(state, 100), []);
  assert.deepEqual(started(state, 150), [1]);
});

test("all jobs that only the maintenance keeps say so, whatever the queue's order; those that lack room do not", () => {
  const state = cluster(2);
  state.putReservation(maintenance({ nodes: ["n0"] }));
  state.addJob(job(1, 4, 200));
  state.addJob(job(2, 4, 300));
  state.addJob(job(3, 3, 200));
  assert.deepEqual(started(state, 0), [1]);
  assert.deepEqual(
    [2, 3].map((id) => state.reason(id)),
    ["ReservedForMaintenance", "Priority"],
  );
  state.addJob(job(4, 4, 90));
  assert.deepEqual(started(state, 1), [4]);
  // Job 4 leaves before the maintenance, but not long enough before it.
  assert.deepEqual(
    [2, 3].map((id) => state.reason(id)),
    ["ReservedForMaintenance", "Priority"],
  );
  state.setEnd(4, 150, 1);
  decide(state, 1);
  assert.equal(state.reason(2), "Resources");
});

test("where a job would start when another ends, but for a maintenance, it waits for that, and no job is named", () => {
  const state = cluster(2);
  state.addJob(job(1, 4, 80));
  state.addJob(job(2, 4, 150));
  decide(state, 0);
  state.putReservation(maintenance({ nodes: ["n0"] }));
  state.addJob(job(3, 4, 40));
  decide(state, 0);
  assert.equal(state.reservation(3)?.startTime, 150);
  // Job 2 leaves n1 then, too; n0 comes first.
  assert.equal(state.reason(3), "ReservedForMaintenance");
  const explanation = explain(state, 3, 0)!;
  assert.deepEqual(explanation.window, { reservation: "service", startTime: 100, endTime: 150, maintenance: true });
  assert.deepEqual(explanation.start, { time: 150, nodes: ["n0"], reserved: true });
  assert.equal(explanation.waitsFor, undefined);
  // One that fits before the maintenance waits for the job that is in its way.
  state.updateJob(3, { wallTimeSeconds: 20 }, 1);
  decide(state, 1);
  assert.equal(state.reason(3), "Resources");
  assert.equal(explain(state, 3, 1)!.waitsFor?.job, 1);
  assert.equal(explain(state, 3, 1)!.window, undefined);
  // And one that a job keeps from its nodes beyond the maintenance, for that job.
  state.setEnd(1, 170, 1);
  state.setEnd(2, 160, 1);
  state.updateJob(3, { wallTimeSeconds: 40 }, 1);
  decide(state, 1);
  assert.equal(state.reason(3), "Resources");
  assert.deepEqual(explain(state, 3, 1)!.waitsFor, { job: 2, endTime: 160, node: "n1" });
});

test("what a reservation no longer takes is free at once", () => {
  const state = cluster(1);
  state.putReservation(maintenance());
  state.addJob(job(1, 4, 120));
  assert.deepEqual(started(state, 0), []);
  state.putReservation(maintenance({ startTime: 110 }));
  assert.deepEqual(started(state, 0), []);
  state.putReservation(maintenance({ startTime: 120 }));
  assert.deepEqual(started(state, 0), [1]);
  state.endJob(1, 10, { ok: true });
  state.addJob(job(2, 4, 120));
  assert.deepEqual(started(state, 10), []);
  state.removeReservation("service");
  assert.deepEqual(started(state, 11), [2]);
});

test("who may use a reservation starts only in it, and must end by its end", () => {
  const state = cluster(2);
  state.putReservation({ name: "course", startTime: 100, durationSeconds: 100, nodes: ["n1"], users: ["ada"] });
  const inside = { reservation: "course" };
  state.addJob(job(1, 4, 60, inside));
  state.addJob(job(2, 4, 101, inside));
  state.addJob(job(3, 4, 60, { ...inside, user: "bob" }));
  state.addJob(job(4, 1, 10, { reservation: "none" }));
  state.addJob(job(5, 5, 10, inside));
  state.addJob(job(6, 1, 60, inside));
  const first = decide(state, 0);
  assert.deepEqual(first.starts, []);
  assert.equal(first.nextWake, 100);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map((id) => state.reason(id)),
    [
      "Reservation",
      "ReservationTimeLimit",
      "ReservationNotAllowed",
      "ReservationDeleted",
      "Reservation",
      "Reservation",
    ],
  );
  assert.deepEqual(explain(state, 1, 0)!.window, {
    reservation: "course",
    startTime: 100,
    endTime: 200,
    maintenance: false,
  });
  assert.deepEqual(forecast(state, 0).starts, [{ job: 1, time: 100, basis: "Forecast" }]);
  // Others neither start there nor run into it.
  state.addJob(job(7, 4, 150));
  state.addJob(job(8, 4, 150));
  assert.deepEqual(
    decide(state, 90).starts.map(({ job, nodes }) => [job, nodes[0]]),
    [[7, ["n0"]]],
  );
  assert.equal(state.reason(8), "ReservedForOthers");
  assert.deepEqual(started(state, 100), [1]);
  assert.equal(state.reason(5), "NodesUnavailable");
  assert.equal(state.reason(6), "Resources");
  state.endJob(1, 150, { ok: true });
  assert.deepEqual(started(state, 150), []);
  assert.equal(state.reason(6), "ReservationTimeLimit");
  assert.deepEqual(started(state, 200), [8]);
  assert.equal(state.reason(6), "ReservationDeleted");
});

test("a window begins for all its jobs, also where another reservation is told at that very moment", () => {
  const state = cluster(2);
  const mine = { name: "mine", startTime: 95, durationSeconds: 10, users: ["ada"] };
  state.putReservation(mine);
  for (const id of [1, 2]) state.addJob(job(id, 4, 10, { reservation: "mine" }));
  state.addJob(job(3, 4, 10));
  assert.deepEqual(started(state, 0), [3]);
  state.endJob(3, 10, { ok: true });
  assert.deepEqual(started(state, 10), []);
  storeOf(state).tick(95);
  state.putReservation({ ...mine, name: "another", startTime: 0, nodes: ["elsewhere"] });
  assert.deepEqual(started(state, 95), [1, 2]);
});

test("a repeating reservation comes again by itself", () => {
  const state = cluster(1);
  state.putReservation({
    name: "night",
    startTime: 100,
    durationSeconds: 50,
    everySeconds: 200,
    users: ["ada"],
  });
  state.addJob(job(1, 4, 160, { user: "bob" }));
  state.addJob(job(2, 4, 150, { user: "bob" }));
  state.addJob(job(3, 4, 40, { reservation: "night" }));
  state.addJob(job(4, 4, 40, { reservation: "night" }));
  decide(state, 0);
  assert.deepEqual(
    [1, 2, 3].map((id) => state.reason(id)),
    ["ReservedForOthers", "ReservedForOthers", "Reservation"],
  );
  assert.deepEqual(forecast(state, 0).starts, [
    { job: 3, time: 100, basis: "Forecast" },
    { job: 2, time: 150, basis: "Reserved" },
    { job: 4, time: 300, basis: "Forecast" },
  ]);
  assert.deepEqual(started(state, 100), [3]);
  state.endJob(3, 140, { ok: true });
  assert.deepEqual(started(state, 140), []);
  assert.equal(state.reason(4), "Reservation");
  assert.equal(explain(state, 4, 140)!.window?.startTime, 300);
  assert.deepEqual(started(state, 150), [2]);
  state.endJob(2, 300, { ok: true });
  assert.deepEqual(started(state, 300), [4]);
  assert.deepEqual(state.advanceReservations(360), [
    { name: "night", phase: "Pending", startTime: 500, endTime: 550, nodes: ["n0"] },
  ]);
});

test("so many nodes are chosen where least runs, stay chosen, and are replaced when they go", () => {
  const state = cluster(4);
  state.addJob(job(1, 4, 500, { nodes: ["n0"] }));
  state.addJob(job(2, 4, 120, { nodes: ["n2"] }));
  decide(state, 0);
  const course = { name: "course", startTime: 100, durationSeconds: 100, nodeCount: 3, users: ["ada"] };
  assert.throws(() => state.putReservation(course), /begins at 100, but job 2 runs on node n2 until 120/);
  state.putReservation({ ...course, ignoreJobs: true });
  const nodes = (): string[] => state.advanceReservations(0)[0]!.nodes;
  assert.deepEqual(nodes(), ["n1", "n2", "n3"]);
  state.putNode({ name: "n1", capacity: [4, 100, 10], nodeClass: "", state: "Drained" });
  assert.deepEqual(nodes(), ["n1", "n2", "n3"]);
  state.removeNode("n1");
  assert.deepEqual(nodes(), ["n0", "n2", "n3"]);
  // What runs into the window takes from it.
  for (const id of [3, 4, 5]) state.addJob(job(id, 4, 50, { reservation: "course" }));
  decide(state, 100);
  assert.deepEqual(
    state.reservations().map(({ job, startTime }) => [job, startTime]),
    [[4, 120]],
  );
  state.endJob(2, 110, { ok: true });
  assert.deepEqual(started(state, 110), [4]);
});

test("members of an account and of those below it may use what is for the account; told again nothing changes", () => {
  const state = cluster(2);
  state.putAccount({ name: "bio" });
  state.putAccount({ name: "genes", parent: "bio" });
  const course = { name: "course", startTime: 0, durationSeconds: 100, nodeCount: 1, accounts: ["bio"] };
  state.putReservation(course);
  const { version } = state as ClusterStore;
  state.putReservation({ ...course, chosenNodes: ["n1"], ignoreJobs: true });
  assert.equal((state as ClusterStore).version, version);
  state.addJob(job(1, 1, 50, { reservation: "course", account: "genes" }));
  state.addJob(job(2, 1, 50, { reservation: "course", account: "chem" }));
  state.addJob(job(3, 1, 50, { reservation: "course" }));
  assert.deepEqual(started(state, 0), [1]);
  assert.deepEqual(
    [2, 3].map((id) => state.reason(id)),
    ["ReservationNotAllowed", "ReservationNotAllowed"],
  );
});

test("what cannot be meant is refused in words", () => {
  const state = cluster(2);
  const refused = (input: AdvanceReservationInput, pattern: RegExp): void =>
    assert.throws(
      () => state.putReservation(input),
      (error) => error instanceof SchedulingError && pattern.test(error.message),
    );
  const base = { name: "x", startTime: 10, durationSeconds: 10, users: ["ada"] };
  refused({ ...base, users: [] }, /for nobody/);
  refused({ ...base, everySeconds: 9 }, /would begin in the one before/);
  refused({ ...base, everySeconds: 20, shifts: [{ from: 9, seconds: 20 }] }, /not less than everySeconds/);
  const twice = { from: 9, seconds: 1 };
  refused({ ...base, everySeconds: 20, shifts: [twice, twice] }, /in order of time/);
  refused({ ...base, durationSeconds: 0 }, /durationSeconds is 0/);
  refused({ ...base, nodeCount: 3 }, /wants 3 nodes; 2 can be had/);
  refused({ ...base, nodes: ["n0"], nodeCount: 1 }, /names nodes/);
  state.putReservation({ ...base, nodes: ["n0"] });
  refused({ ...base, name: "y", startTime: 15 }, /would lie over x on node n0/);
  refused({ ...base, name: "y", startTime: 7, durationSeconds: 1, everySeconds: 5 }, /would lie over x/);
  state.putReservation({ ...base, name: "y", startTime: 15, nodeCount: 1 });
  assert.deepEqual(state.advanceReservations(0)[1]!.nodes, ["n1"]);
  state.putReservation(maintenance({ startTime: 12 }));
  assert.throws(() => state.removeReservation("z"), /reservation z is not known/);
});

test("a window comes earlier or later where its time zone's clocks are changed", () => {
  const state = cluster(1);
  const shifts = [
    { from: 300, seconds: -20 },
    { from: 500, seconds: 10 },
  ];
  state.putReservation(maintenance({ everySeconds: 200, shifts }));
  state.addJob(job(1, 1, 130));
  assert.deepEqual(started(state, 150), [1]);
  state.endJob(1, 280, { ok: true });
  assert.equal(state.advanceReservations(280)[0]!.phase, "Active");
  state.addJob(job(2, 1, 180));
  assert.deepEqual(started(state, 280), []);
  assert.equal(state.reservation(2)?.startTime, 330);
  assert.deepEqual(started(state, 330), [2]);
  state.endJob(2, 510, { ok: true });
  const { startTime, endTime } = state.advanceReservations(510)[0]!;
  assert.deepEqual([startTime, endTime], [510, 560]);
});

test("a job may lie over two windows of its reservation between which a shift leaves no gap, planned or not", () => {
  for (const reservationDepth of [0, 1]) {
    const state = cluster(1, { reservationDepth });
    const shifts = [{ from: 11, seconds: -2 }];
    state.putReservation({ name: "r", startTime: 0, durationSeconds: 9, everySeconds: 11, shifts, users: ["ada"] });
    state.addJob(job(1, 4, 4, { reservation: "r" }));
    for (const id of [2, 3]) state.addJob(job(id, 4, 9, { reservation: "r" }));
    assert.deepEqual(started(state, 0), [1]);
    state.endJob(1, 4, { ok: true });
    assert.deepEqual(
      decide(state, 4).starts.map(({ job, endTime }) => [job, endTime]),
      [[2, 13]],
    );
    // What is left of the two is too short for another; the next window is long enough.
    state.endJob(2, 13, { ok: true });
    assert.deepEqual(started(state, 13), []);
    assert.equal(state.reason(3), "Reservation");
    assert.equal(explain(state, 3, 13)!.window?.startTime, 20);
    assert.deepEqual(started(state, 20), [3]);
  }
});

test("what was reserved where a later window of a new reservation lies is told anew at once", () => {
  const state = cluster(1);
  state.addJob(job(1, 4, 47));
  state.addJob(job(2, 4, 1));
  assert.deepEqual(started(state, 0), [1]);
  assert.equal(state.reservation(2)?.startTime, 47);
  // Its windows are 0 to 15, 23 to 38, 46 to 61; only the first is looked up when it is put.
  state.putReservation(maintenance({ startTime: 0, durationSeconds: 15, everySeconds: 23, ignoreJobs: true }));
  assert.deepEqual(
    decide(state, 1).reservations.map(({ job, startTime }) => [job, startTime]),
    [[2, 61]],
  );
  assert.equal(state.reservation(2)?.startTime, 61);
});

test("a maintenance lies over a reservation, whose jobs wait too", () => {
  const state = cluster(1);
  state.putReservation({ name: "course", startTime: 0, durationSeconds: 100, users: ["ada"] });
  state.putReservation(maintenance({ startTime: 50, durationSeconds: 20 }));
  state.addJob(job(1, 1, 30, { reservation: "course" }));
  assert.deepEqual(started(state, 30), []);
  assert.equal(state.reason(1), "ReservedForMaintenance");
  assert.deepEqual(started(state, 70), [1]);
});

test("windows of two reservations overlap as their seconds do", () => {
  const times = fc.record({
    startTime: fc.integer({ min: 0, max: 30 }),
    durationSeconds: fc.integer({ min: 1, max: 8 }),
    gap: fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(times, times, (a, b) => {
      const [x, y] = [a, b].map(({ gap, ...rest }) => {
        return Object.assign({ everySeconds: gap === undefined ? undefined : rest.durationSeconds + gap }, rest);
      });
      const isIn = (of: NonNullable<typeof x>, time: number): boolean => {
        const window = windowAfter(of, time);
        return window !== undefined && window.start <= time;
      };
      let together = false;
      for (let time = 0; time < 600; time += 1) together ||= isIn(x!, time) && isIn(y!, time);
      assert.equal(overlapEver(x!, y!), together);
    }),
  );
});
