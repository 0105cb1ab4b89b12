import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTrace, simulate } from "./index.ts";

const line = (fields: Record<number, number | string>): string =>
  Array.from({ length: 18 }, (_, index) => fields[index + 1] ?? -1).join(" ");
const good = { 1: 1, 2: 0, 4: 50, 5: 4, 8: 4, 9: 100, 12: 3 };

test("reads header and jobs", () => {
  const trace = parseTrace(["; MaxProcs: 100", ";  Note: a: b", "", line(good)].join("\r\n"));
  assert.equal(trace.processors, 100);
  assert.deepEqual(trace.header, { MaxProcs: "100", Note: "a: b" });
  assert.deepEqual(trace.jobs, [
    { id: 1, submit: 0, runSeconds: 50, requestedSeconds: 100, processors: 4, user: "3", line: 4 },
  ]);
});

test("names broken lines and goes on", () => {
  const trace = parseTrace([line(good), "1 2 3", line({ ...good, 1: 2, 4: "x" }), line(good)].join("\n"));
  assert.equal(trace.jobs.length, 1);
  assert.deepEqual(trace.broken, [
    { line: 2, problem: "3 fields where a job line has 18" },
    { line: 3, problem: 'field 4 is "x", must be a number' },
    { line: 4, problem: "job number 1 stands on an earlier line too" },
  ]);
});

test("numbers that are absurd, or no whole numbers where they must be, break their line", () => {
  const rows = [
    { ...good, 1: 1, 2: 1e300 },
    { ...good, 1: 2, 8: 2.5 },
    { ...good, 1: 3.5 },
    { ...good, 1: 4, 4: "Infinity" },
  ];
  const trace = parseTrace(["; MaxProcs: -3", ...rows.map(line), line(good)].join("\n"));
  assert.deepEqual(
    trace.broken.map(({ line, problem }) => `${line} ${problem}`),
    [
      '2 field 2 is "1e+300", must be a number',
      '3 field 8 is "2.5", must be a whole number',
      '4 field 1 is "3.5", must be a whole number',
      '5 field 4 is "Infinity", must be a number',
    ],
  );
  assert.deepEqual([trace.processors, trace.isSizeGuessed], [4, true]);
});

test("cleans by the stated rules", () => {
  const rows = [
    { ...good, 1: 1, 5: 101 },
    { ...good, 1: 2, 8: 101 },
    { ...good, 1: 3, 5: 0, 8: -1 },
    { ...good, 1: 4, 4: 0 },
    { ...good, 1: 5, 9: -1 },
    { ...good, 1: 6, 2: -5 },
    { ...good, 1: 7, 8: -1 },
    { ...good, 1: 8, 4: 500 },
  ];
  const trace = parseTrace(rows.map(line).join("\n"), { processors: 100 });
  assert.deepEqual(
    trace.jobs.map(({ id, processors, runSeconds }) => [id, processors, runSeconds]),
    [
      [7, 4, 50],
      [8, 4, 100],
    ],
  );
  assert.deepEqual(
    trace.dropped.map(({ line }) => line),
    [1, 2, 3, 4, 5, 6],
  );
});

test("unsorted lines are counted, and put in order by what plays them", () => {
  const rows = [
    { ...good, 1: 1, 2: 50 },
    { ...good, 1: 2, 2: 20 },
    { ...good, 1: 3, 2: 60 },
  ];
  const trace = parseTrace(rows.map(line).join("\n"));
  assert.deepEqual(trace.unsorted, [{ line: 2, problem: "submitted at 20, before the job above it (50)" }]);
  const { schedule } = simulate({ jobs: trace.jobs, processors: 4, policy: "fcfs" });
  assert.deepEqual(
    schedule.map(({ id, start }) => [id, start]),
    [
      [1, 70],
      [2, 20],
      [3, 120],
    ],
  );
});

test("holes are named: missing numbers, and preceding jobs that make no sense", () => {
  const rows = [
    { ...good, 1: 1 },
    { ...good, 1: 5, 17: 9 },
    { ...good, 1: 6, 17: 7 },
    { ...good, 1: 7, 17: 6 },
    { ...good, 1: 9, 17: 1 },
  ];
  assert.deepEqual(parseTrace(rows.map(line).join("\n")).holes, [
    { line: 2, problem: "job numbers 2 to 4 are missing" },
    { line: 3, problem: "job 6 waits for itself by its preceding jobs" },
    { line: 4, problem: "job 7 waits for itself by its preceding jobs" },
    { line: 5, problem: "job number 8 is missing" },
  ]);
  assert.deepEqual(parseTrace(line({ ...good, 17: 44 })).holes, [
    { line: 1, problem: "preceding job 44 is not in the trace" },
  ]);
});
