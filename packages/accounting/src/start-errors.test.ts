import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { AttemptRow } from "./attempt-row.ts";
import { accountingRoute } from "./route.ts";
import { openSqliteAccounting } from "./sqlite.ts";
import { startErrorMetrics, startErrors, type StartErrors, type ToldStart } from "./start-errors.ts";

const told = (lead: number, error: number, lastError = 0): ToldStart => ({
  submitTime: 1000,
  firstExpectedStart: 1000 + lead,
  startTime: 1000 + lead + error,
  lastExpectedStart: 1000 + lead + error - lastError,
});

test("errors of the first and the last start that was told, by how far ahead it was told", () => {
  const [all, ...byLead] = startErrors([
    told(30, 5),
    told(30, -10),
    told(300, 200, 7),
    told(4000, -3000),
    told(90_000, 0),
  ]);
  assert.deepEqual(all, {
    jobs: 5,
    late: 1,
    first: { medianSeconds: 0, p90Seconds: 3000 },
    last: { medianSeconds: 0, p90Seconds: 7 },
  });
  assert.deepEqual(
    byLead.map(({ leadFromSeconds, leadToSeconds, jobs, first }) => [
      leadFromSeconds,
      leadToSeconds,
      jobs,
      first.medianSeconds,
    ]),
    [
      [0, 60, 2, -10],
      [60, 600, 1, 200],
      [3600, 21_600, 1, -3000],
      [21_600, undefined, 1, 0],
    ],
  );
  assert.deepEqual(startErrors([]), []);
  const metrics = startErrorMetrics(startErrors([told(300, 200, 7)]));
  assert.match(metrics, /^berth_start_estimate_jobs\{lead="60-600"\} 1$/m);
  assert.match(metrics, /^berth_start_estimate_error_seconds\{lead="all",told="first",quantile="0.9"\} 200$/m);
});

test("each job is in one class of leads; nine in ten are within the bound", () => {
  const one = fc.record({
    lead: fc.integer({ min: -100, max: 200_000 }),
    error: fc.integer({ min: -50_000, max: 50_000 }),
  });
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 60 }), (jobs) => {
      const [all, ...byLead] = startErrors(jobs.map(({ lead, error }) => told(lead, error)));
      assert.equal(
        byLead.reduce((sum, { jobs }) => sum + jobs, 0),
        jobs.length,
      );
      const within = jobs.filter(({ error }) => Math.abs(error) <= all!.first.p90Seconds).length;
      assert.ok(within >= 0.9 * jobs.length);
    }),
  );
});

test("asked through the API: of all jobs by everybody, of one user by that user; arrays and later attempts are left out", async () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-start-errors-"));
  const accounting = openSqliteAccounting(join(folder, "accounting.db"));
  const at = (seconds: number): string => new Date(Date.parse("2026-11-22T01:00:00Z") + seconds * 1000).toISOString();
  let uid = 0;
  const row = (of: Partial<AttemptRow>): AttemptRow =>
    ({
      workloadUid: `u${++uid}`,
      task: -1,
      attempt: 1,
      jobId: uid,
      namespace: "ada",
      workload: "w",
      name: "w",
      user: "ada",
      uid: 1,
      account: "a",
      queue: "q",
      requestedMilliCpus: 1,
      requestedMemoryBytes: 1,
      requestedNodes: 1,
      wallTimeSeconds: 60,
      submitTime: at(0),
      startTime: at(100),
      endTime: at(200),
      firstExpectedStart: at(120),
      lastExpectedStart: at(101),
      waitSecondsByReason: {},
      state: "Succeeded",
      exitCode: 0,
      signal: 0,
      nodes: [],
      dependencies: "",
      ...of,
    }) as AttemptRow;
  await accounting.record([
    row({}),
    row({ user: "bob", startTime: at(300), endTime: at(400) }),
    row({ attempt: 2 }),
    row({ arrayJobId: 7, task: 0 }),
    row({ firstExpectedStart: null }),
    row({ endTime: at(-10) }),
  ]);
  const route = accountingRoute(accounting);
  const ask = async (query: string): Promise<[number, number | string | undefined]> => {
    const request = { user: { name: "ada", groups: [] }, below: "/estimates", query: new URLSearchParams(query) };
    const { status, body } = await route(request);
    const { items, message } = body as { items?: StartErrors[]; message?: string };
    return [status, message ?? items?.[0]?.jobs];
  };
  const since = `since=${at(0)}`;
  assert.deepEqual(await ask(since), [200, 2]);
  assert.deepEqual(await ask(`${since}&user=ada`), [200, 1]);
  assert.equal((await ask(`${since}&user=bob`))[0], 403);
  assert.match(String((await ask("state=x"))[1]), /unknown parameter state/);
  accounting.close();
  rmSync(folder, { recursive: true });
});
