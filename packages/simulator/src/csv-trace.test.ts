import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatTrace, isCsvTrace, lublinFeitelson, parseCsvTrace, parseTrace } from "./index.ts";
import { delimiterOf, splitDelimited } from "./delimited-text.ts";

const sacct = `JobID|JobIDRaw|JobName|User|Account|Partition|QOS|Submit|Start|End|ElapsedRaw|Timelimit|ReqCPUS|ReqMem|NNodes|State
100|100|align|ada|bio|standard|normal|2026-11-01T08:00:00|2026-11-01T08:10:00|2026-11-01T09:10:00|3600|02:00:00|8|16G|1|COMPLETED
100.batch|100.batch|batch||bio|||2026-11-01T08:10:00|2026-11-01T08:10:00|2026-11-01T09:10:00|3600||8||1|COMPLETED
101_3|102|sweep|alan|physics|standard|normal|2026-11-01T08:00:05|2026-11-01T08:10:00|2026-11-03T08:10:01|172801|2-00:00:00|16|4000Mc|2|TIMEOUT
103|103|x|alan|physics|standard|normal|2026-11-01T08:00:06|Unknown|Unknown|0|1-00:00:00|16|4Gn|2|PENDING
104|104|x|alan|physics|standard|normal|2026-11-01T08:00:07|None|2026-11-01T08:00:09|0|1-00:00:00|16|4Gn|2|CANCELLED by 1000
105|105|x|alan|physics|standard|normal|2026-11-01T08:00:09|2026-11-01T08:10:00|2026-11-01T08:20:00|600|UNLIMITED|4|0|1|COMPLETED
106|106|a|b|alan|physics|standard|normal|2026-11-01T08:00:08|2026-11-01T08:10:00|2026-11-01T08:20:00|600|00:20:00|4|0|1|COMPLETED
107|107|x|alan|physics|standard|normal|yesterday|2026-11-01T08:10:00|2026-11-01T08:20:00|600|00:20:00|4|0|1|COMPLETED
108|108|x|alan|physics|gpu|high|2026-11-01T08:00:01|2026-11-01T08:10:00|2026-11-01T08:20:00|600|00:20:00|4|8Gn|2|COMPLETED
`;

test("what Slurm's sacct --parsable2 prints is a trace", () => {
  assert.ok(isCsvTrace(sacct));
  const { jobs, broken, dropped, unsorted, unused, startTime, processors } = parseCsvTrace(sacct);
  assert.equal(startTime, Date.parse("2026-11-01T08:00:00Z") / 1000);
  const of = { account: "physics", user: "alan" };
  assert.deepEqual(jobs, [
    {
      id: 100,
      line: 2,
      submit: 0,
      runSeconds: 3600,
      requestedSeconds: 7200,
      processors: 8,
      memoryBytes: 2 * 2 ** 30,
      user: "ada",
      account: "bio",
      queue: "standard",
      qos: "normal",
    },
    {
      ...of,
      id: 102,
      line: 4,
      submit: 5,
      // Killed at its limit.
      runSeconds: 172_800,
      requestedSeconds: 172_800,
      processors: 16,
      memoryBytes: 4000 * 2 ** 20,
      queue: "standard",
      qos: "normal",
    },
    {
      ...of,
      id: 105,
      line: 7,
      submit: 9,
      runSeconds: 600,
      requestedSeconds: 31_536_000,
      isUnlimited: true,
      processors: 4,
      queue: "standard",
      qos: "normal",
    },
    {
      ...of,
      id: 108,
      line: 10,
      submit: 1,
      runSeconds: 600,
      requestedSeconds: 1200,
      processors: 4,
      memoryBytes: 4 * 2 ** 30,
      queue: "gpu",
      qos: "high",
    },
  ]);
  assert.equal(processors, 16);
  assert.deepEqual(dropped, [
    { line: 3, problem: "a step of job 100, no job" },
    { line: 5, problem: "job 103 had not ended: it was PENDING" },
    { line: 6, problem: "job 104 never started" },
  ]);
  assert.deepEqual(broken, [
    { line: 8, problem: "17 fields where the head has 16" },
    { line: 9, problem: 'Submit is "yesterday", must be seconds, or a time such as 2026-11-01T08:00:00' },
  ]);
  assert.deepEqual(unsorted, [{ line: 10, problem: "submitted at 1, before the job above it (9)" }]);
  assert.deepEqual(unused, ["JobName"]);
});

test("GPUs, and what else no column of its own tells, are read from trackable resources", () => {
  const head = "JobIDRaw|Submit|Start|End|ElapsedRaw|TimelimitRaw|ReqTRES|AllocTRES|State";
  const times = "2026-11-01T08:00:00|2026-11-01T08:10:00|2026-11-01T09:10:00|3600";
  const of = (id: number, limit: string, requested: string, allocated: string): string =>
    [id, times, limit, requested, allocated, "COMPLETED"].join("|");
  const { jobs, broken, dropped } = parseCsvTrace(
    [
      head,
      of(1, "60", "billing=8,cpu=8,gres/gpu=2,mem=16G,node=1", "billing=8,cpu=8,gres/gpu=2,mem=16G,node=1"),
      // Where types are told too, they are parts of the whole.
      of(2, "UNLIMITED", "cpu=4,mem=800M,node=2,billing=4,gres/gpu=3,gres/gpu:a100=2,gres/gpu:h100=1", ""),
      of(3, "Partition_Limit", "", "cpu=4,node=1,gres/gpu:a100=2,gres/gpu:h100=1"),
      // Whole nodes come with GPUs that nobody asked for.
      of(4, "60", "cpu=4,node=1", "cpu=64,node=1,gres/gpu=4"),
      of(5, "60", "4 cpus", ""),
      of(6, "", "cpu=4", ""),
    ].join("\n"),
  );
  assert.deepEqual(
    jobs.map(({ id, processors, gpus, memoryBytes, requestedSeconds, isUnlimited }) => [
      id,
      processors,
      gpus,
      memoryBytes,
      requestedSeconds,
      isUnlimited,
    ]),
    [
      [1, 8, 2, 2 * 2 ** 30, 3600, undefined],
      [2, 4, 3, 200 * 2 ** 20, 31_536_000, true],
      [3, 4, 3, undefined, 31_536_000, true],
      [4, 4, undefined, undefined, 3600, undefined],
    ],
  );
  assert.deepEqual(broken, [
    { line: 6, problem: 'ReqTRES is "4 cpus", must be a list such as cpu=4,mem=8G,node=1,gres/gpu=2' },
  ]);
  assert.deepEqual(dropped, [{ line: 7, problem: "job 6 asked for no time: nothing is said" }]);
});

test("a table with other words, commas and quotes; without numbers jobs are counted", () => {
  const text =
    '\uFEFFSubmit Time,wait,"END",Processors,requested time,user,Note\r\n10,5,25,2,1:00,"Lovelace, Ada","two\r\nlines"\r\n\r\n20,0,40,9,90,alan,\r\n30,x,40,1,90,alan,\r\n';
  assert.ok(isCsvTrace(text));
  const trace = parseCsvTrace(text, { processors: 8 });
  assert.deepEqual(trace.jobs, [
    { id: 1, line: 2, submit: 10, runSeconds: 10, requestedSeconds: 60, processors: 2, user: "Lovelace, Ada" },
  ]);
  assert.deepEqual(trace.dropped, [{ line: 5, problem: "9 processors requested, the machine has 8" }]);
  assert.deepEqual(trace.broken, [
    { line: 6, problem: 'wait is "x", must be seconds, or [days-]hours:minutes:seconds' },
  ]);
  assert.deepEqual([trace.startTime, trace.isSizeGuessed, trace.unused], [0, undefined, ["Note"]]);
  const open = parseCsvTrace(`${text}40,1,90,1,90,"grace,\n50,1,90,1,90,ada,\n`);
  assert.match(open.broken.at(-1)!.problem, /a quote begins that is never closed/);
});

test("what has no job in it says what is missing; other formats are none of this", () => {
  assert.throws(() => parseCsvTrace("JobID|JobName|Partition|AllocCPUS|State\n1|a|b|2|COMPLETED\n"), {
    name: "RangeError",
    message: /no column says of a job when it was submitted .* how long it ran .* the time it asked for/,
  });
  assert.equal(isCsvTrace("; MaxProcs: 3\n1 0 -1 1 1 -1 -1 1 1 -1 1 1 -1 -1 -1 -1 -1 -1\n"), false);
  assert.equal(isCsvTrace("\n1,2,3\n"), false);
  assert.equal(isCsvTrace("hello world\n"), false);
});

test("a workload is the same as a table and in the Standard Workload Format", () => {
  const jobs = lublinFeitelson({ jobs: 300, processors: 64, seed: 5 });
  const rows = jobs.map(({ id, submit, runSeconds, requestedSeconds, processors, user, group }) =>
    [id, submit, runSeconds, requestedSeconds, processors, user, group].join(";"),
  );
  const table = parseCsvTrace(["id;submit;run;requested;processors;user;group", ...rows].join("\n"));
  const { jobs: same } = parseTrace(formatTrace(jobs, {}));
  const bare = (list: typeof jobs): object[] => list.map((job) => ({ ...job, line: 0 }));
  assert.deepEqual(bare(table.jobs), bare(same));
});

test("what is written with quotes is read as it was", () => {
  const field = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", " ", "é", ";") });
  const rows = fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 5 });
  fc.assert(
    fc.property(rows, (table) => {
      const text = table.map((fields) => fields.map((one) => `"${one.replaceAll('"', '""')}"`).join(",")).join("\n");
      const read = splitDelimited(text, ",");
      assert.deepEqual(
        read.rows.map(({ fields }) => fields),
        table,
      );
      assert.equal(read.openQuoteLine, undefined);
    }),
  );
  assert.equal(delimiterOf("a\tb,c\td"), "\t");
});
