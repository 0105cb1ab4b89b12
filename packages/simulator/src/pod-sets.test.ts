import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { simulate } from "./index.ts";
import type { SiteInput, TraceJob } from "./index.ts";
import { podSetsOf } from "./pod-sets.ts";

const node = (name: string, cpus: number, gpus: number): SiteInput["nodes"][number] => ({
  name,
  capacity: [1000 * cpus, 2 ** 40, 1000 * gpus],
  nodeClass: "",
  state: "Up",
});

function siteOf(nodes: SiteInput["nodes"], more: Partial<SiteInput> = {}): SiteInput {
  return {
    resources: ["cpu", "memory", "nvidia.com/gpu"],
    devices: ["nvidia.com/gpu"],
    policy: { reservationDepth: 1, backfill: "Arrival" },
    overheadSeconds: 0,
    nodes,
    queues: [{ name: "q" }],
    accounts: [],
    memberships: [],
    qualitiesOfService: [],
    reservations: [],
    assign: () => ({ user: "ada", queue: "q" }),
    ...more,
  };
}

const job = (id: number, processors: number, more: Partial<TraceJob> = {}): TraceJob => {
  return { id, line: id, submit: 0, runSeconds: 100, requestedSeconds: 100, processors, ...more };
};

test("pods of a job have its processors, its memory and its GPUs, neither more nor less, and as equal as can be", () => {
  const site = siteOf([node("n", 1, 1)]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(40), (processors, gpus) => {
      const sets = podSetsOf(
        job(1, processors, { gpus, memoryBytes: 7 }),
        site,
        { hasNodes: true, cpu: 0, gpu: 2 },
        "",
      );
      const sum = (index: number): number => sets.reduce((all, { count, request }) => all + count * request[index]!, 0);
      assert.deepEqual([sum(0), sum(1), sum(2)], [1000 * processors, 7 * processors, 1000 * gpus]);
      for (const { count, request } of sets) assert.ok(count > 0 && request[0]! > 0 && (gpus === 0 || request[2]! > 0));
      assert.ok(sets.length <= 2);
    }),
  );
  const part = podSetsOf(job(1, 4, { gpus: 0.25 }), site, { hasNodes: true, cpu: 0, gpu: 2 }, "");
  assert.deepEqual(
    part.map(({ count, request }) => [count, request]),
    [[1, [4000, 0, 250]]],
  );
});

test("jobs wait for GPUs of a site's nodes; where it has none only processors count, and that is told", () => {
  const jobs = [job(1, 4, { gpus: 2 }), job(2, 4, { gpus: 2 }), job(3, 4), job(4, 2, { gpus: 3 })];
  const play = (nodes: SiteInput["nodes"]): [number[], number[], number] => {
    const { schedule, unstarted, withoutTheirGpus } = simulate({
      jobs,
      processors: 1,
      policy: "site",
      site: siteOf(nodes),
    });
    return [schedule.map(({ start }) => start), unstarted.map(({ id }) => id), withoutTheirGpus];
  };
  assert.deepEqual(play([node("a", 16, 2), node("b", 16, 0)]), [[0, 100, 0], [4], 0]);
  assert.deepEqual(play([node("a", 16, 4)]), [[0, 0, 0, 100], [], 0]);
  assert.deepEqual(play([node("a", 16, 0)]), [[0, 0, 0, 0], [], 3]);
});

test("a job without a limit holds others back for as long as its queue would let it run", () => {
  const jobs = [
    job(1, 4, { requestedSeconds: 31_536_000, isUnlimited: true }),
    // Waits for the first, and leaves no room for the third to be longer than that may run.
    job(2, 8, { submit: 1 }),
    job(3, 4, { submit: 2, runSeconds: 50, requestedSeconds: 900 }),
  ];
  const starts = (maxWallTimeSeconds?: number): number[] => {
    const site = siteOf([node("a", 8, 0)], { queues: [{ name: "q", maxWallTimeSeconds }] });
    return simulate({ jobs, processors: 1, policy: "site", site }).schedule.map(({ start }) => start);
  };
  assert.deepEqual(starts(), [0, 100, 2]);
  assert.deepEqual(starts(1000), [0, 100, 2]);
  assert.deepEqual(starts(900), [0, 100, 200]);
});
