import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import fc from "fast-check";
import type { AttemptRow } from "./attempt-row.ts";
import { accountingRoute } from "./route.ts";
import { openAccounting, openAccountingReader } from "./sqlite.ts";
import { openAccountingThread } from "./thread.ts";

function row(of: Partial<AttemptRow> = {}): AttemptRow {
  return {
    workloadUid: "u1",
    task: -1,
    attempt: 1,
    jobId: 42,
    arrayJobId: null,
    tasks: null,
    namespace: "ada",
    workload: "align",
    name: "align",
    user: "ada",
    uid: 1001,
    account: "bio",
    queue: "standard",
    qos: null,
    requestedMilliCpus: 4000,
    requestedMemoryBytes: 2 ** 34,
    requestedNodes: 1,
    wallTimeSeconds: 3600,
    submitTime: "2026-11-22T01:00:00Z",
    eligibleTime: "2026-11-22T01:00:00Z",
    startTime: "2026-11-22T01:00:10Z",
    endTime: "2026-11-22T01:10:10Z",
    waitSecondsByReason: { Resources: 10 },
    firstExpectedStart: null,
    lastExpectedStart: "2026-11-22T01:00:12Z",
    state: "Succeeded",
    exitCode: 0,
    signal: 0,
    nodes: ["n1"],
    peakMemoryBytes: 123_456_789_012,
    cpuMilliseconds: 17,
    dependencies: "",
    workingDirectory: "/home/ada",
    command: null,
    cancelledBy: null,
    billing: 4.5,
    allocated: { cpu: 4000, memory: 2 ** 34, "nvidia.com/gpu": 1 },
    ...of,
  };
}

function withFolder(run: (path: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), "berth-accounting-"));
    try {
      await run(join(folder, "accounting.db"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
}

/** Who writes: the process itself, or a thread of it. */
const writers = [
  ["here", (path: string) => Promise.resolve().then(() => openAccounting(path))],
  ["in a thread", openAccountingThread],
] as const;

test(
  "rows come back as they were written, to a reader that opened the file before it existed",
  withFolder(async (path) => {
    const reader = openAccountingReader(path);
    assert.deepEqual(await reader.query({}), []);
    const accounting = openAccounting(path);
    await accounting.record([row()]);
    assert.deepEqual(await reader.query({}), [row()]);
    await accounting.record([row({ attempt: 2, state: "Failed", exitCode: 3 })]);
    assert.equal((await reader.query({})).length, 2);
    assert.deepEqual(
      (await reader.query({ lastAttemptOnly: true })).map((found) => found.attempt),
      [2],
    );
    reader.close();
    accounting.close();
  }),
);

for (const [where, open] of writers) {
  test(
    `an attempt is one row however often and in whatever groups it is written, and the first one stays (written ${where})`,
    withFolder(async (path) => {
      const accounting = await open(path);
      let round = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(fc.nat(12), { maxLength: 5 }), { maxLength: 8 }), async (groups) => {
          round++;
          const of = (task: number, state: string): AttemptRow =>
            row({ workloadUid: `w${round}`, task, state, jobId: round });
          await Promise.all(groups.map((tasks, at) => accounting.record(tasks.map((task) => of(task, `S${at}`)))));
          const found = await accounting.query({ jobs: [{ job: round }] });
          const expected = new Map<number, string>();
          groups.forEach((tasks, at) => tasks.forEach((task) => expected.has(task) || expected.set(task, `S${at}`)));
          assert.deepEqual(
            found.map(({ task, state }) => [task, state]).sort((a, b) => Number(a[0]) - Number(b[0])),
            [...expected].sort((a, b) => a[0] - b[0]),
          );
        }),
        { numRuns: 30 },
      );
      await accounting.close();
    }),
  );
}

test(
  "filters",
  withFolder(async (path) => {
    const accounting = openAccounting(path);
    await accounting.record([
      row({ workloadUid: "a", jobId: 1, endTime: "2026-11-22T01:00:00Z", name: "one" }),
      row({ workloadUid: "b", jobId: 2, endTime: "2026-11-22T02:00:00Z", user: "bob", account: "x", state: "Failed" }),
      ...[10, 11, 12].map((jobId) =>
        row({ workloadUid: "c", jobId, arrayJobId: 10, task: jobId - 10, endTime: "2026-11-22T03:00:00Z" }),
      ),
      row({
        workloadUid: "c",
        jobId: 13,
        arrayJobId: 10,
        task: 3,
        attempt: 0,
        tasks: "3-5,9-13:2",
        startTime: null,
        state: "Cancelled",
        endTime: "2026-11-22T04:00:00Z",
      }),
    ]);
    const ids = async (filter: Parameters<typeof accounting.query>[0]): Promise<number[]> =>
      (await accounting.query(filter)).map((found) => found.jobId);
    assert.deepEqual(await ids({}), [13, 12, 11, 10, 2, 1]);
    assert.deepEqual(await ids({ limit: 2 }), [13, 12]);
    assert.deepEqual(await ids({ jobs: [{ job: 10 }] }), [13, 12, 11, 10]);
    assert.deepEqual(await ids({ jobs: [{ job: 11 }, { job: 2 }] }), [11, 2]);
    assert.deepEqual(await ids({ jobs: [{ job: 10, task: 1 }] }), [11]);
    assert.deepEqual(await ids({ jobs: [{ job: 10, task: 11 }] }), [13]);
    assert.deepEqual(await ids({ jobs: [{ job: 10, task: 10 }] }), []);
    assert.deepEqual(await ids({ users: ["bob"] }), [2]);
    assert.deepEqual(await ids({ states: ["Failed", "Cancelled"] }), [13, 2]);
    assert.deepEqual(await ids({ since: "2026-11-22T02:30:00Z" }), [13, 12, 11, 10]);
    assert.deepEqual(await ids({ until: "2026-11-22T00:30:00Z" }), []);
    assert.deepEqual(await ids({ names: ["one"], accounts: ["bio"], queues: ["standard"] }), [1]);
    const usage = await accounting.usage({ since: "2026-11-22T01:30:00Z", until: "2026-11-22T02:30:00Z" });
    // Job 2 ran within the window for half an hour, three elements for an hour each, all on four cpus.
    assert.deepEqual(
      usage.map(({ user, attempts, milliCpuSeconds }) => ({ user, attempts, milliCpuSeconds })),
      [
        { user: "ada", attempts: 3, milliCpuSeconds: 3 * 3600 * 4000 },
        { user: "bob", attempts: 1, milliCpuSeconds: 1800 * 4000 },
      ],
    );
    accounting.close();
  }),
);

for (const [where, open] of writers) {
  test(
    `a database of a newer format is refused in words, by writer and reader (written ${where})`,
    withFolder(async (path) => {
      const newer = new DatabaseSync(path);
      newer.exec("PRAGMA user_version = 99");
      newer.close();
      await assert.rejects(open(path), /format 99; this Berth knows up to/);
      await assert.rejects(openAccountingReader(path).query({}), /format 99/);
    }),
  );
}

test(
  "the route: own rows for users, all for operators, words for what is wrong",
  withFolder(async (path) => {
    const accounting = openAccounting(path);
    await accounting.record([row(), row({ workloadUid: "u2", user: "bob", jobId: 43 })]);
    const route = accountingRoute(accounting);
    const ask = async (name: string, groups: string[], query: string): Promise<[number, unknown]> => {
      const { status, body } = await route({ user: { name, groups }, below: "", query: new URLSearchParams(query) });
      const { items, message } = body as { items?: AttemptRow[]; message?: string };
      return [status, message ?? items?.map((found) => found.jobId)];
    };
    assert.deepEqual(await ask("ada", [], ""), [200, [42]]);
    assert.deepEqual(await ask("admin", ["system:masters"], ""), [200, [43, 42]]);
    assert.deepEqual(await ask("admin", ["system:masters"], "user=bob&job=42,43"), [200, [43]]);
    assert.deepEqual(await ask("ada", [], "user=bob"), [403, "ada may not read the accounting of bob"]);
    assert.equal((await ask("ada", [], "job=x"))[0], 400);
    assert.equal((await ask("ada", [], "since=yesterday"))[0], 400);
    assert.match(String((await ask("ada", [], "nme=x"))[1]), /unknown parameter nme/);
    accounting.close();
  }),
);

for (const [where, open] of writers) {
  test(
    `rows are numbered as they are recorded, a second one of an attempt is not, and numbering goes on after a restart (written ${where})`,
    withFolder(async (path) => {
      let accounting = await open(path);
      await accounting.record([row(), row({ task: 1 }), row({ task: 2, startTime: null, attempt: 0 })]);
      await accounting.record([row(), row({ task: 3, account: "chem", billing: null, allocated: null })]);
      assert.equal(await accounting.lastSequence(), 4);
      await accounting.close();
      accounting = await open(path);
      await accounting.record([row({ task: 1 }), row({ task: 4, endTime: "2026-11-20T00:00:00Z" })]);
      const found = await accounting.recordedAfter(1, Date.parse("2026-11-21T00:00:00Z") / 1000, 10);
      assert.deepEqual(
        found.map(({ sequence, account, billing }) => [sequence, account, billing]),
        [
          [2, "bio", 4.5],
          [4, "chem", 4],
        ],
        "what never started is none, what ended before is too old",
      );
      assert.deepEqual(found[0]!.allocated, { cpu: 4000, memory: 2 ** 34, "nvidia.com/gpu": 1 });
      assert.deepEqual(found[1]!.allocated, { cpu: 4000, memory: 2 ** 34 }, "of a row without it, what was asked for");
      assert.deepEqual(
        (await accounting.recordedAfter(0, 0, 2)).map(({ sequence }) => sequence),
        [1, 2],
      );
      assert.equal(await accounting.lastSequence(), 5);
      await accounting.close();
    }),
  );
}

test(
  "a thread does what it was asked before it ends, and says in words what it cannot do",
  withFolder(async (path) => {
    const accounting = await openAccountingThread(path);
    const recording = accounting.record([row()]);
    await accounting.close();
    await recording;
    const reader = openAccountingReader(path);
    assert.deepEqual(await reader.query({}), [row()]);
    await reader.close();
    await assert.rejects(openAccountingThread(join(path, "below")), /unable to open database file/);
  }),
);
