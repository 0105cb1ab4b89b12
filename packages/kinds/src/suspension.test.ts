import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { annotations } from "./constants.ts";
import { formatLeaseReport, leaseReportOf } from "./lease.ts";
import { leaseCondition } from "./constants.ts";
import {
  formatSuspendRequest,
  suspendedSeconds,
  suspendRequestOf,
  suspensionConditionOf,
  suspensionReportOf,
} from "./suspension.ts";

const asked = (value: string) =>
  suspendRequestOf({ metadata: { name: "a", annotations: { [annotations.suspend]: value } } });

test("what a node tells is read back as it was written, and adds up", () => {
  const since = "2026-11-22T14:05:00Z";
  fc.assert(
    fc.property(fc.boolean(), fc.nat(1e9), fc.nat(1e6), (isSuspended, seconds, later) => {
      const report = { isSuspended, since, seconds };
      const told = suspensionReportOf({ conditions: [suspensionConditionOf(report)] });
      assert.deepEqual(told, report);
      assert.equal(suspendedSeconds(told, Date.parse(since) + 1000 * later), seconds + (isSuspended ? later : 0));
      assert.equal(suspendedSeconds(told, Date.parse(since) - 1000 * later), seconds);
    }),
  );
  assert.equal(suspensionReportOf({}), undefined);
  assert.equal(suspendedSeconds(undefined, 0), 0);
});

test("who asked, when, and for which tasks", () => {
  const time = "2026-11-22T14:05:00Z";
  assert.deepEqual(asked(formatSuspendRequest({ by: "ada", time })), { by: "ada", time });
  assert.deepEqual([...asked(formatSuspendRequest({ by: "ada", time, tasks: "3-5,9" }))!.tasks!], [3, 4, 5, 9]);
  assert.equal(suspendRequestOf({ metadata: { name: "a" } }), undefined);
  assert.throws(() => asked("yes"), /"yes" is not like "ada 2026-/);
  assert.throws(() => asked(`ada ${time} some`));
});

test("a task of a lease tells for how long it stood still", () => {
  const ended = [{ task: 3, exitCode: 0, startedAt: 5, milliseconds: 9000, suspendedSeconds: 8 }];
  const message = formatLeaseReport({ ended, left: [], skipped: [] });
  const told = leaseReportOf({ conditions: [{ type: leaseCondition, status: "True", message }] });
  assert.equal(told?.ended[0]?.suspendedSeconds, 8);
});
