/** The generated site is taken as it is, and its cohorts lend, borrow, and give back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { kueueShape, kueueTest, simulate } from "@berth/simulator";
import type { TraceJob } from "@berth/simulator";
import { kueueSite } from "./kueue-site.ts";
import { parseSiteFile } from "./site-file.ts";
import { siteSimulation } from "./site-simulation.ts";

const parsed = parseSiteFile(kueueSite());
assert.ok("site" in parsed, JSON.stringify(parsed));
const { site } = parsed;
const { cohorts, queuesPerCohort, quota, classes } = kueueTest;
const play = (jobs: readonly TraceJob[]): ReturnType<typeof simulate> =>
  simulate({ jobs, processors: 0, policy: "site", site: siteSimulation(site).input });

test("a site of 5 cohorts of 6 cluster queues, and every job of the trace finds its place in it", () => {
  assert.deepEqual(
    [site.nodes.length, site.accounts.length, site.queues.length],
    [cohorts, cohorts * queuesPerCohort, cohorts * classes.length],
  );
  const { jobs } = kueueShape({ seed: 1 });
  const { input, unclaimed } = siteSimulation(site);
  for (const job of jobs) {
    const { account, queue } = input.assign(job);
    const cohort = Math.ceil(Number(job.user) / queuesPerCohort);
    const { name } = classes.find(({ processors }) => processors === job.processors)!;
    assert.deepEqual([account, queue], [`cluster-queue-${job.user}`, `cohort-${cohort}-${name}`]);
  }
  assert.equal(unclaimed.size, 0);
});

test("a cluster queue borrows all that its cohort does not use, and gives it back when another asks for its own", () => {
  const job = (id: number, submit: number, user: number): TraceJob => ({
    id,
    submit,
    runSeconds: 1000,
    requestedSeconds: 1000,
    processors: quota,
    user: String(user),
    queue: "3",
    line: id,
  });
  const borrowers = Array.from({ length: queuesPerCohort + 1 }, (_, index) => job(index + 1, 0, 1));
  const { schedule, preemptions, processors } = play([...borrowers, job(8, 100, 2)]);
  assert.equal(processors, cohorts * queuesPerCohort * quota);
  assert.equal(schedule.filter(({ start, preempted }) => start === 0 || preempted !== undefined).length, 6);
  assert.equal(preemptions, 1);
  assert.equal(schedule.find(({ id }) => id === 8)!.wait, 0);
});

test("the begin of the workload: larger classes wait less, as they have priority", () => {
  const jobs = kueueShape({ seed: 1 }).jobs.slice(0, 1000);
  const { schedule } = play(jobs);
  assert.equal(schedule.length, jobs.length);
  const waits = classes.map(({ processors }) => {
    const own = schedule.filter((one) => one.processors === processors);
    return own.reduce((sum, { wait }) => sum + wait, 0) / own.length;
  });
  assert.ok(waits[0]! > waits[1]! && waits[1]! > waits[2]!, waits.join(" > "));
});
