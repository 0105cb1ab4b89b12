import assert from "node:assert/strict";
import { test } from "node:test";
import { lublinFeitelson, reportPage, reportSeries, simulate } from "./index.ts";
import type { Simulation, TraceJob } from "./index.ts";

const processors = 64;

function jobOf(id: number, submit: number, runSeconds: number, size: number, group: string): TraceJob {
  return { id, submit, runSeconds, requestedSeconds: runSeconds, processors: size, group, line: id };
}

const integral = ({ values, bucketSeconds }: { values: number[]; bucketSeconds: number }): number =>
  values.reduce((sum, value) => sum + value * bucketSeconds, 0);

test("series hold what the schedule holds", () => {
  const jobs = lublinFeitelson({ jobs: 1500, processors, seed: 5, load: 2 });
  const simulation = simulate({ jobs, processors, policy: "easy" });
  const series = reportSeries(simulation);
  const { metrics, schedule } = simulation;
  const used = integral(series.utilization);
  assert.ok(Math.abs(used / (metrics.utilization * metrics.makespan) - 1) < 1e-9, `${used}`);
  assert.ok(series.utilization.values.every((value) => value >= 0 && value <= 1 + 1e-9));
  const waited = schedule.reduce((sum, { wait }) => sum + wait, 0);
  assert.ok(Math.abs(integral(series.queueLength) - waited) < 1e-6 * waited);
  for (const spreads of [series.waitsBySize, series.waitsByAccount]) {
    assert.equal(
      spreads.reduce((sum, { jobs }) => sum + jobs, 0),
      jobs.length,
    );
    for (const { low, median, high, most } of spreads) assert.ok(low <= median && median <= high && high <= most);
  }
  assert.deepEqual(
    series.waitsBySize.map(({ name }) => name),
    ["1", "2", "3–4", "5–8", "9–16", "17–32", "33–64"],
  );
  const last = series.fairness.map(({ share }) => share.values.at(-1)!);
  assert.ok(Math.abs(last.reduce((sum, share) => sum + share) - 1) < 1e-9, "eight groups have it all");
});

test("usage of long ago fades by its half-life", () => {
  const week = 7 * 86_400;
  const jobs = [jobOf(1, 0, week / 7, 1, "old"), jobOf(2, week, week / 7, 1, "new")];
  const { fairness, by } = reportSeries(simulate({ jobs, processors: 1, policy: "easy" }));
  assert.equal(by, "group");
  const share = Object.fromEntries(fairness.map(({ name, share }) => [name, share.values.at(-1)!]));
  assert.ok(Math.abs(share["old"]! - 1 / 3) < 0.02, `${share["old"]}`);
});

test("a preempted job was on the machine twice", () => {
  const simulation: Simulation = {
    ...simulate({ jobs: [jobOf(1, 0, 10, 1, "a")], processors: 1, policy: "easy" }),
    schedule: [
      {
        id: 1,
        submit: 0,
        start: 20,
        end: 30,
        wait: 20,
        processors: 1,
        preempted: [{ start: 0, end: 5, lostSeconds: 5 }],
      },
    ],
  };
  const series = reportSeries(simulation);
  assert.equal(integral(series.utilization), 15);
  assert.equal(integral(series.queueLength), 15);
});

test("the page is one file: no script, no request, and names are text", () => {
  const jobs = [jobOf(1, 0, 50, 2, "<b>&"), jobOf(2, 5, 50, 1, 'a"b')];
  const simulation = simulate({ jobs, processors: 2, policy: "easy" });
  const page = reportPage(simulation, reportSeries(simulation), { title: "<x> under easy", notes: ["a < b"] });
  assert.doesNotMatch(page, /<script|<link|<img|@import|url\(|https?:|src=/);
  assert.doesNotMatch(page, /<b>|<x>/);
  assert.match(page, /Content-Security-Policy/);
  assert.match(page, /prefers-color-scheme:dark/);
  for (const title of ["Utilisation", "Queue length", "Waits by size", "Waits by group", "Fairness over time"]) {
    assert.ok(page.includes(`<h2>${title}</h2>`), title);
  }
  assert.doesNotMatch(page, /NaN|Infinity|undefined/);
});

test("an empty schedule has a page too", () => {
  const simulation = simulate({ jobs: [], processors: 2, policy: "easy" });
  assert.doesNotMatch(reportPage(simulation, reportSeries(simulation), { title: "empty" }), /NaN|Infinity|undefined/);
});
