import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { leaseCondition } from "./constants.ts";
import { formatLeaseReport, type LeaseReport, leaseReportOf } from "./lease.ts";

const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });

test("a report is read back as it was written", () => {
  const end = fc.record(
    {
      task: fc.nat(999_999),
      exitCode: fc.nat(255),
      signal: optional(fc.integer({ min: 1, max: 64 })),
      ending: optional(fc.constantFrom("timelimit", "cancelled", "output")),
      startedAt: fc.integer({ min: 1.7e12, max: 1.8e12 }),
      milliseconds: fc.nat(1e6),
      cpuMilliseconds: optional(fc.nat(1e6)),
      peakMemoryKibibytes: optional(fc.nat(1e9)),
    },
    { noNullPrototype: true },
  );
  const tasks = fc.uniqueArray(fc.nat(999), { maxLength: 9 }).map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(
      fc.record(
        { ended: fc.array(end, { maxLength: 20 }), running: optional(fc.nat(999)), left: tasks, skipped: tasks },
        { noNullPrototype: true },
      ),
      (report: LeaseReport) => {
        const status = { conditions: [{ type: leaseCondition, status: "True", message: formatLeaseReport(report) }] };
        assert.deepEqual(leaseReportOf(status), report);
      },
    ),
  );
});

test("256 tasks that ended are a few kilobytes", () => {
  const ended = Array.from({ length: 256 }, (_, at) => ({
    task: 999_000 + at,
    exitCode: at % 3,
    startedAt: 1_763_800_000_000 + at * 4,
    milliseconds: 4,
    cpuMilliseconds: 3,
    peakMemoryKibibytes: 1800,
  }));
  assert.ok(formatLeaseReport({ ended, left: [], skipped: [] }).length < 8000);
});
