import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type AttemptRow, openAccounting } from "@berth/accounting";
import { formatTrace, lublinFeitelson } from "@berth/simulator";
import { readTrace } from "./read-trace.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-trace-"));
after(() => rmSync(folder, { recursive: true }));

function row(fields: Partial<AttemptRow>): AttemptRow {
  const missing = {
    workloadUid: String(fields.jobId),
    task: -1,
    attempt: 1,
    arrayJobId: null,
    tasks: null,
    namespace: "ada",
    workload: "w",
    name: "w",
    user: "ada",
    uid: 1,
    account: "bio",
    queue: "standard",
    qos: null,
    requestedMilliCpus: 1500,
    requestedMemoryBytes: 4096,
    requestedNodes: 1,
    wallTimeSeconds: 600,
    eligibleTime: null,
    waitSecondsByReason: {},
    firstExpectedStart: null,
    lastExpectedStart: null,
    state: "Succeeded",
    exitCode: 0,
    signal: 0,
    nodes: [],
    peakMemoryBytes: null,
    cpuMilliseconds: null,
    dependencies: "",
    workingDirectory: null,
    command: null,
    cancelledBy: null,
  };
  return { ...missing, ...fields } as AttemptRow;
}

const rows = [
  row({
    jobId: 8,
    submitTime: "2026-11-01T00:01:00Z",
    startTime: "2026-11-01T00:02:00Z",
    endTime: "2026-11-01T00:03:30Z",
    qos: "high",
    allocated: { cpu: 1500, "nvidia.com/gpu": 2, "berth.dev/gpu-milli": 500 },
  }),
  row({
    jobId: 7,
    submitTime: "2026-11-01T00:00:00Z",
    startTime: "2026-11-01T00:00:10Z",
    endTime: "2026-11-01T00:30:10Z",
  }),
  row({
    jobId: 9,
    submitTime: "2026-11-01T00:05:00Z",
    startTime: null,
    endTime: "2026-11-01T00:06:00Z",
    state: "Cancelled",
  }),
];
const jobs = [
  { id: 7, submit: 0, runSeconds: 1800, requestedSeconds: 1800, queue: "standard" },
  { id: 8, submit: 60, runSeconds: 90, requestedSeconds: 600, queue: "standard", qos: "high", gpus: 2.5 },
];

test("what berth history prints is a trace", async () => {
  const path = join(folder, "history.json");
  writeFileSync(path, JSON.stringify({ items: rows }));
  const trace = await readTrace(path, {});
  assert.deepEqual(
    trace.jobs,
    jobs.map((job, index) =>
      Object.assign(job, { processors: 2, memoryBytes: 2048, user: "ada", account: "bio", line: 2 - index }),
    ),
  );
  assert.equal(trace.startTime, Date.parse("2026-11-01T00:00:00Z") / 1000);
  assert.deepEqual(trace.dropped, [{ line: 3, problem: "job 9 never started" }]);
});

test("the accounting's own file is a trace", async () => {
  const path = join(folder, "accounting.db");
  const accounting = await openAccounting(path);
  await accounting.record(rows);
  accounting.close();
  const trace = await readTrace(path, {});
  assert.deepEqual(
    trace.jobs.map(({ id, submit, runSeconds, processors }) => [id, submit, runSeconds, processors]),
    [
      [7, 0, 1800, 2],
      [8, 60, 90, 2],
    ],
  );
});

test("the Standard Workload Format is read plain and gzipped, as it was written", async () => {
  const generated = lublinFeitelson({ jobs: 50, processors: 64, seed: 3 });
  const text = formatTrace(generated, { MaxProcs: 64, UnixStartTime: 1_000_000_000 });
  const bare = (job: (typeof generated)[number]): object => ({ ...job, line: 0 });
  for (const [name, bytes] of [
    ["plain.swf", text],
    ["zipped.swf.gz", gzipSync(text)],
  ] as const) {
    writeFileSync(join(folder, name), bytes);
    const trace = await readTrace(join(folder, name), {});
    assert.deepEqual(trace.jobs.map(bare), generated.map(bare));
    assert.deepEqual([trace.processors, trace.startTime, trace.holes], [64, 1_000_000_000, []]);
  }
});

test("a table is read plain and gzipped", async () => {
  const text = "JobIDRaw|Submit|ElapsedRaw|Timelimit|ReqCPUS|User|Account\n7|1700000000|60|00:02:00|4|žofie|bio\n";
  for (const [name, bytes] of [
    ["sacct.txt", text],
    ["sacct.txt.gz", gzipSync(text)],
  ] as const) {
    writeFileSync(join(folder, name), bytes);
    const trace = await readTrace(join(folder, name), {});
    assert.deepEqual(trace.jobs, [
      {
        id: 7,
        line: 2,
        submit: 0,
        runSeconds: 60,
        requestedSeconds: 120,
        processors: 4,
        user: "žofie",
        account: "bio",
      },
    ]);
    assert.equal(trace.startTime, 1_700_000_000);
  }
});

test("what is no trace is refused in words", async () => {
  writeFileSync(join(folder, "a.json"), '{"kind": "Pod"}');
  await assert.rejects(readTrace(join(folder, "a.json"), {}), /JSON without items/);
  await assert.rejects(readTrace(join(folder, "none"), {}), /cannot be read/);
  writeFileSync(join(folder, "a.csv"), "id,submit\n1,2\n");
  await assert.rejects(readTrace(join(folder, "a.csv"), {}), /a\.csv is refused: .* its processors/);
});
