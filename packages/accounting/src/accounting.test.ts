/** What holds of accounting, whichever database it is in: the same tests over SQLite and a real PostgreSQL. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import fc from "fast-check";
import { PostgresServer, postgresMissing } from "../../../test/support/postgres.ts";
import { copyAccounting } from "./copy.ts";
import type { Accounting, AttemptRow } from "./attempt-row.ts";
import { openAccounting } from "./open.ts";
import { migratePostgres, migrations } from "./postgres-schema.ts";
import { postgresPlace, shownPlace } from "./postgres-url.ts";
import { accountingRoute } from "./route.ts";
import { openSqliteReader } from "./sqlite.ts";
import { openAccountingThread } from "./thread.ts";
import { AccountingTrouble } from "./trouble.ts";

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
    suspendedSeconds: 60,
    steps: [
      { id: 0, name: "hostname", tasks: 2, cpus: 2, nodeList: "n[1-2]", startedAt: 1000, endedAt: 2000, exitCode: 9 },
    ],
    ...of,
  };
}

const folder = mkdtempSync(join(tmpdir(), "berth-accounting-"));
let made = 0;
const newFile = (): string => join(folder, `${++made}.db`);

let server: Promise<PostgresServer> | undefined;
/** One for all tests; each has databases of its own. */
const postgres = (): Promise<PostgresServer> => (server ??= PostgresServer.start());
const newDatabase = async (): Promise<string> => (await postgres()).database(`d${++made}`);

after(async () => {
  await (await server)?.remove();
  rmSync(folder, { recursive: true });
});

const noPostgres = postgresMissing() ?? false;

/** Where rows are, and who writes: the process itself, or a thread of it. */
const stores: {
  name: string;
  skip: string | false;
  place: () => string | Promise<string>;
  open: typeof openAccounting;
}[] = [
  { name: "SQLite", skip: false, place: newFile, open: openAccounting },
  { name: "SQLite in a thread", skip: false, place: newFile, open: openAccountingThread },
  { name: "PostgreSQL in a thread", skip: noPostgres, place: newDatabase, open: openAccountingThread },
];

/** A test of each store, with one that is open and empty. */
function testAll(name: string, run: (accounting: Accounting, place: string) => Promise<void>): void {
  for (const store of stores) {
    test(`${store.name}: ${name}`, { skip: store.skip }, async () => {
      const place = await store.place();
      const accounting = await store.open(place);
      try {
        await run(accounting, place);
      } finally {
        await accounting.close();
      }
    });
  }
}

testAll("rows come back as they were written", async (accounting) => {
  const rows = [
    row(),
    row({ attempt: 2, state: "Failed", exitCode: 3, waitSecondsByReason: {}, nodes: ["a", "b"], billing: 0.1 + 0.2 }),
    row({ workloadUid: "u2", jobId: 2 ** 40, tasks: "2-3", eligibleTime: null, startTime: null, allocated: null }),
  ];
  await accounting.record(rows);
  const byKey = ({ jobId, attempt }: AttemptRow): number => jobId * 10 + attempt;
  const found = await accounting.query({});
  assert.deepEqual(
    found.sort((a, b) => byKey(a) - byKey(b)),
    rows,
  );
  assert.deepEqual(
    (await accounting.query({ lastAttemptOnly: true, jobs: [{ job: 42 }] })).map(({ attempt }) => attempt),
    [2],
  );
});

testAll(
  "text that a database cannot take is no reason to lose the row, or those that came with it",
  async (accounting) => {
    await Promise.all([
      accounting.record([row({ name: "a\0b\ud800c", command: `it's "quoted" \\u0000 ünï 🚢` })]),
      accounting.record([row({ workloadUid: "u2", jobId: 43 })]),
    ]);
    const [second, first] = await accounting.query({});
    assert.equal(second!.jobId, 43);
    assert.equal(first!.name, "a\ufffdb\ufffdc");
    assert.equal(first!.command, `it's "quoted" \\u0000 ünï 🚢`);
  },
);

testAll(
  "an attempt is one row however often and in whatever groups it is written, and the first one stays",
  async (accounting) => {
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
  },
);

testAll("filters", async (accounting) => {
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
});

testAll("sums of a large site", async (accounting) => {
  const month = { startTime: "2026-10-01T00:00:00Z", endTime: "2026-11-01T00:00:00Z" };
  const large = { requestedMilliCpus: 1e9, requestedMemoryBytes: 2 ** 50 };
  await accounting.record(Array.from({ length: 10 }, (_, task) => row({ task, ...month, ...large })));
  const [sum] = await accounting.usage({ since: "2026-10-01T00:00:00Z", until: "2026-11-01T00:00:00Z" });
  assert.deepEqual(sum, {
    user: "ada",
    account: "bio",
    attempts: 10,
    milliCpuSeconds: 10 * 31 * 86_400 * 1e9,
    memoryByteSeconds: 10 * 31 * 86_400 * 2 ** 50,
  });
});

test("the same rows give the same answers, in the same order, in both", { skip: noPostgres }, async () => {
  const both = [await openAccounting(newFile()), await openAccounting(await newDatabase())] as const;
  const time = fc
    .integer({ min: 0, max: 50 })
    .map((minute) => new Date(Date.UTC(2026, 10, 22, 1, minute)).toISOString().replace(".000Z", "Z"));
  const word = fc.constantFrom("ada", "Bob", "b-c", "_d", "é");
  const anyRow = fc.record({
    workloadUid: word,
    task: fc.integer({ min: -1, max: 3 }),
    attempt: fc.integer({ min: 0, max: 3 }),
    jobId: fc.integer({ min: 1, max: 6 }),
    arrayJobId: fc.constantFrom(null, 1, 2),
    tasks: fc.constantFrom(null, "0-3", "1-9:2"),
    user: word,
    account: word,
    state: fc.constantFrom("Succeeded", "Failed"),
    submitTime: time,
    startTime: fc.oneof(time, fc.constant(null)),
    endTime: time,
    firstExpectedStart: fc.oneof(time, fc.constant(null)),
    billing: fc.oneof(fc.double({ min: 0, max: 100, noNaN: true }), fc.constant(null)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(anyRow, { maxLength: 12 }), time, time, word, async (rows, since, until, user) => {
      const answers = await Promise.all(
        both.map(async (accounting) => {
          await accounting.record(rows.map(row));
          return [
            await accounting.query({}),
            await accounting.query({ since, until, limit: 5 }),
            await accounting.query({ users: [user], states: ["Failed"] }),
            await accounting.query({ jobs: [{ job: 1, task: 2 }, { job: 3 }], lastAttemptOnly: true }),
            await accounting.usage({ since, until }),
            await accounting.toldStarts({ since, users: [user, "ada"] }),
            await accounting.recordedAfter(3, Date.parse(since) / 1000, 7),
            await accounting.rowsAfter(2, 100),
            await accounting.lastSequence(),
          ];
        }),
      );
      assert.deepEqual(answers[1], answers[0]);
    }),
    { numRuns: 25 },
  );
  for (const accounting of both) await accounting.close();
});

testAll(
  "rows are numbered as they are recorded, a second one of an attempt is not, and numbering goes on after a restart",
  async (first, place) => {
    await first.record([row(), row({ task: 1 }), row({ task: 2, startTime: null, attempt: 0 })]);
    await first.record([row(), row({ task: 3, account: "chem", billing: null, allocated: null })]);
    assert.equal(await first.lastSequence(), 4);
    const accounting = await openAccountingThread(place);
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
    // Who was thought to be dead still writes.
    await Promise.all([first.record([row({ task: 6 })]), accounting.record([row({ task: 7 })])]);
    assert.deepEqual(
      (await accounting.recordedAfter(5, 0, 9)).map(({ sequence }) => sequence),
      [6, 7],
    );
    await accounting.close();
  },
);

testAll(
  "a database that was begun anew goes on numbering where whoever counted its rows had come to",
  async (accounting) => {
    await accounting.numberAfter(5000);
    await accounting.record([row()]);
    assert.deepEqual(
      (await accounting.recordedAfter(5000, 0, 9)).map(({ sequence }) => sequence),
      [5001],
    );
  },
);

for (const [from, to] of [
  ["SQLite", "PostgreSQL"],
  ["PostgreSQL", "SQLite"],
] as const) {
  test(
    `a copy from ${from} to ${to} that is killed anywhere and repeated has each row once, with its number`,
    { skip: noPostgres },
    async () => {
      const placeOf = (name: string): string | Promise<string> => (name === "SQLite" ? newFile() : newDatabase());
      const source = await openAccounting(await placeOf(from));
      const rows = Array.from({ length: 2500 }, (_, task) => row({ task, name: `t${task}` }));
      await source.record(rows);
      for (const dies of [0, 1, 2]) {
        const target = await openAccounting(await placeOf(to));
        let portions = 0;
        const dying = {
          take: (given: Parameters<Accounting["take"]>[0]) =>
            portions++ === dies ? Promise.reject(new Error("killed")) : target.take(given),
        };
        await assert.rejects(copyAccounting(source, dying), /killed/);
        assert.equal(await target.lastSequence(), dies * 1000);
        const copied = await copyAccounting(source, target);
        assert.deepEqual(copied, { read: 2500, written: 2500 - dies * 1000 });
        assert.deepEqual(await target.rowsAfter(0, 10_000), await source.rowsAfter(0, 10_000));
        assert.deepEqual(await copyAccounting(source, target), { read: 2500, written: 0 });
        await target.close();
      }
      // Both were written on since they parted.
      const target = await openAccounting(await placeOf(to));
      await target.record([row({ workloadUid: "x" }), row({ task: 7, state: "Failed" })]);
      assert.deepEqual(await copyAccounting(source, target), { read: 2500, written: 2499 });
      assert.equal((await target.query({ limit: 10_000 })).length, 2501);
      assert.deepEqual(
        (await target.query({ states: ["Failed"] })).map(({ task }) => task),
        [7],
        "what is there stays",
      );
      const numbers = (await target.rowsAfter(0, 10_000)).map(({ sequence }) => sequence);
      assert.equal(new Set(numbers).size, 2501);
      await target.record([row({ workloadUid: "y" })]);
      assert.equal(await target.lastSequence(), Math.max(...numbers) + 1);
      await target.close();
      await source.close();
    },
  );
}

test("a reader of a file that is not there yet answers nothing, and reads it once it is", async () => {
  const path = newFile();
  const reader = openSqliteReader(path);
  assert.deepEqual(await reader.query({}), []);
  const accounting = await openAccounting(path);
  await accounting.record([row()]);
  assert.deepEqual(await reader.query({}), [row()]);
  await reader.close();
  await accounting.close();
});

test("a database of a newer format is refused in words, by writer and reader", async () => {
  const path = newFile();
  const newer = new DatabaseSync(path);
  newer.exec("PRAGMA user_version = 99");
  newer.close();
  for (const open of [openAccounting, openAccountingThread])
    await assert.rejects(open(path), /format 99; this Berth knows up to/);
  await assert.rejects(openSqliteReader(path).query({}), /format 99/);
});

test(
  "PostgreSQL: a newer format is refused in words; an older one is brought forward with its rows, by two at once",
  { skip: noPostgres },
  async () => {
    const { Client } = await import("pg");
    const place = await newDatabase();
    const client = new Client(postgresPlace(place).connection);
    await client.connect();
    await migratePostgres(client, migrations.slice(0, 1));
    await client.query(
      `INSERT INTO attempts (workload_uid, task, attempt, job_id, namespace, workload, name, "user", uid, account, queue,
       requested_milli_cpus, requested_memory_bytes, requested_nodes, wall_time_seconds, submit_time, end_time,
       wait_seconds_by_reason, state, exit_code, signal, nodes, dependencies, sequence)
     VALUES ('u', -1, 1, 7, 'ada', 'w', 'n', 'ada', 1, 'bio', 'standard', 1, 1, 1, 1, 0, 1, '{}', 'Succeeded', 0, 0, '[]', '', 1)`,
    );
    const both = await Promise.all([openAccounting(place), openAccounting(place)]);
    assert.deepEqual(
      (await both[0].query({})).map(({ jobId }) => jobId),
      [7],
    );
    const { rows } = await client.query("SELECT version FROM attempts_format");
    assert.deepEqual(rows, [{ version: migrations.length }]);
    for (const accounting of both) await accounting.close();
    await client.query("UPDATE attempts_format SET version = 99");
    await client.end();
    for (const open of [openAccounting, openAccountingThread])
      await assert.rejects(open(place), /format 99; this Berth knows up to/);
  },
);

test(
  "PostgreSQL that dies while rows are written: who writes is told to try again, and nothing is lost or double",
  { skip: noPostgres },
  async () => {
    const own = await PostgresServer.start();
    try {
      const place = own.database("berth");
      const accounting = await openAccountingThread(own.urlWithFile("berth"));
      let written = 0;
      let failures = 0;
      const writing = (async () => {
        for (let job = 1; job <= 300; job++) {
          const rows = Array.from({ length: 5 }, (_, task) => row({ workloadUid: `w${job}`, jobId: job * 10, task }));
          for (;;) {
            try {
              await accounting.record(rows);
              break;
            } catch (error) {
              assert.ok(error instanceof AccountingTrouble && error.isPassing, (error as Error).message);
              assert.match(error.message, /^accounting at postgres:\/\/127\.0\.0\.1:\d+\/berth: ./);
              failures++;
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
          }
          written = job;
        }
      })();
      for (const reached of [50, 120, 200]) {
        while (written < reached) await new Promise((resolve) => setTimeout(resolve, 1));
        await own.stop("immediate");
        const before = failures;
        while (failures === before) await new Promise((resolve) => setTimeout(resolve, 5));
        await own.start();
      }
      await writing;
      assert.ok(failures >= 3);
      assert.equal((await accounting.query({ limit: 10_000 })).length, 1500);
      assert.deepEqual(
        (await accounting.rowsAfter(0, 10_000)).map(({ sequence }) => sequence),
        Array.from({ length: 1500 }, (_, at) => at + 1),
      );
      // It is lost altogether, and begun anew while who writes goes on.
      await accounting.numberAfter(await accounting.lastSequence());
      own.sql("postgres", "DROP DATABASE berth WITH (FORCE)");
      await assert.rejects(accounting.record([row()]), (error: AccountingTrouble) => error.isPassing);
      own.database("berth");
      await accounting.record([row()]);
      assert.equal(await accounting.lastSequence(), 1501);
      await accounting.close();
      // One that cannot be reached is opened all the same.
      await own.stop();
      const later = await openAccountingThread(place);
      await assert.rejects(later.record([row({ task: 3 })]), /ECONNREFUSED/);
      await own.start();
      await later.record([row({ task: 3 })]);
      assert.equal((await later.query({})).length, 2);
      await later.close();
    } finally {
      await own.remove();
    }
  },
);

test("the URL of a PostgreSQL: what is wrong with it is said, and never its password", () => {
  const host = "postgres://berth:secret@db.example.org";
  assert.equal(shownPlace(`${host}/berth`), "postgres://berth@db.example.org/berth");
  assert.throws(() => postgresPlace(host), /user, host and database must stand in it/);
  assert.throws(() => postgresPlace(`${host}/berth?sslmode=prefer`), /sslmode=prefer; known are disable, require/);
  assert.throws(() => postgresPlace(`${host}/berth?pool=3`), /unknown pool/);
  assert.throws(() => postgresPlace(`${host}/berth?passwordfile=x`), /a password stands in the URL and in x/);
  assert.throws(() => postgresPlace(`${host}/berth?sslrootcert=/absent`), /sslrootcert=\/absent cannot be read/);
  for (const bad of ["/", "/berth?sslmode=prefer", "/berth?pool=3"])
    assert.throws(
      () => postgresPlace(host + bad),
      (error: Error) => !error.message.includes("secret"),
    );
  assert.deepEqual(postgresPlace(`${host}/berth`).connection.ssl, { rejectUnauthorized: true });
  assert.equal(postgresPlace("postgres://a@localhost/b").connection.ssl, false);
});

testAll("the route: own rows for users, all for operators, words for what is wrong", async (accounting) => {
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
});

test("a thread does what it was asked before it ends, and says in words what it cannot do", async () => {
  const path = newFile();
  const accounting = await openAccountingThread(path);
  const recording = accounting.record([row()]);
  await accounting.close();
  await recording;
  const reader = openSqliteReader(path);
  assert.deepEqual(await reader.query({}), [row()]);
  await reader.close();
  await assert.rejects(openAccountingThread(join(path, "below")), /unable to open database file/);
});

test(
  "a file that may only be read is refused in words",
  { skip: process.getuid!() === 0 && "root may write it" },
  async () => {
    const path = newFile();
    await (await openAccountingThread(path)).close();
    chmodSync(path, 0o444);
    await assert.rejects(openAccountingThread(path), /may not be written by this process \(uid \d+\)/);
  },
);
