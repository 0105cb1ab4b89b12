import assert from "node:assert/strict";
import { test } from "node:test";
import type { PreemptMode } from "@berth/scheduling";
import { lublinFeitelson, simulate } from "./index.ts";
import type { Simulation, SiteInput, TraceJob } from "./index.ts";

/** Jobs of user `high` go before those of others, and may take their places. */
function site(preemptMode: PreemptMode, graceSeconds = 5): SiteInput {
  return {
    resources: ["cpu"],
    policy: {},
    overheadSeconds: 0,
    nodes: [],
    queues: [
      { name: "high", tier: 2 },
      { name: "low", tier: 1, preemptMode, graceSeconds },
    ],
    accounts: [],
    memberships: [],
    qualitiesOfService: [],
    reservations: [],
    assign: ({ user = "" }) => ({ user, queue: user === "high" ? "high" : "low" }),
  };
}

function jobOf(id: number, user: string, submit: number, runSeconds: number, processors: number): TraceJob {
  return { id, user, submit, runSeconds, requestedSeconds: runSeconds, processors, line: id };
}

const two = [jobOf(1, "low", 0, 100, 4), jobOf(2, "high", 40, 50, 4)];
const played = (simulation: Simulation): unknown[] =>
  simulation.schedule.map(({ id, start, end, preempted }) => [id, start, end, preempted]);

test("requeued: it is gone after its grace, and runs all anew", () => {
  const simulation = simulate({ jobs: two, processors: 4, policy: "site", site: site("Requeue") });
  assert.deepEqual(played(simulation), [
    [1, 95, 195, [{ start: 0, end: 45, lostSeconds: 45 }]],
    [2, 45, 95, undefined],
  ]);
  assert.deepEqual([simulation.preemptions, simulation.lostProcessorSeconds], [1, 180]);
  // From 0 to 195 on all processors, the lost part too.
  assert.equal(simulation.metrics.utilization, 1);
});

test("checkpointed: it goes on with what is left", () => {
  const simulation = simulate({ jobs: two, processors: 4, policy: "site", site: site("Checkpoint") });
  assert.deepEqual(played(simulation), [
    [1, 95, 150, [{ start: 0, end: 45, lostSeconds: 0 }]],
    [2, 45, 95, undefined],
  ]);
});

test("suspended: it goes on as soon as the other has ended, and loses nothing", () => {
  const simulation = simulate({ jobs: two, processors: 4, policy: "site", site: site("Suspend") });
  assert.deepEqual(played(simulation), [
    [1, 90, 150, [{ start: 0, end: 40, lostSeconds: 0 }]],
    [2, 40, 90, undefined],
  ]);
  assert.deepEqual([simulation.preemptions, simulation.lostProcessorSeconds], [1, 0]);
});

test("cancelled: it is gone", () => {
  const simulation = simulate({ jobs: two, processors: 4, policy: "site", site: site("Cancel") });
  assert.deepEqual(played(simulation), [[2, 45, 95, undefined]]);
  assert.equal(simulation.cancelled, 1);
});

test("who ends by itself within the grace has ended well", () => {
  const jobs = [{ ...two[0]!, requestedSeconds: 300, runSeconds: 42 }, two[1]!];
  const simulation = simulate({ jobs, processors: 4, policy: "site", site: site("Requeue") });
  assert.deepEqual(played(simulation), [
    [1, 0, 42, undefined],
    [2, 42, 92, undefined],
  ]);
});

test("whatever is preempted, all that is not cancelled runs to its end, and nobody has more than there is", () => {
  for (const mode of ["Requeue", "Checkpoint", "Suspend"] as const) {
    for (const seed of [1, 2, 3]) {
      const jobs = lublinFeitelson({ jobs: 300, processors: 32, seed, load: 3 }).map((job) =>
        Object.assign(job, { user: Number(job.user) % 4 === 0 ? "high" : "low" }),
      );
      const simulation = simulate({ jobs, processors: 32, policy: "site", site: site(mode, 30) });
      assert.equal(simulation.schedule.length, jobs.length);
      assert.ok(simulation.preemptions > 0);
      const changes: [number, number][] = [];
      for (const [index, job] of simulation.schedule.entries()) {
        const before = (job.preempted ?? []).reduce(
          (sum, { start, end, lostSeconds }) => sum + end - start - lostSeconds,
          0,
        );
        assert.equal(job.end - job.start + before, jobs[index]!.runSeconds, `job ${job.id} runs as long as it must`);
        for (const { start, end } of [...(job.preempted ?? []), job])
          changes.push([start, job.processors], [end, -job.processors]);
      }
      let used = 0;
      for (const [time, amount] of changes.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
        used += amount;
        assert.ok(used <= 32, `${used} processors at ${time}`);
      }
    }
  }
});
