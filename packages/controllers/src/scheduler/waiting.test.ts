import assert from "node:assert/strict";
import { test } from "node:test";
import type { Workload } from "@berth/kinds";
import { apiVersion } from "@berth/kinds";
import type { Context } from "../context.ts";
import { recordOf } from "../model/record.ts";
import { waitSeconds } from "../workload/rows.ts";
import type { Writer } from "../writer.ts";
import { WaitingReports } from "./waiting.ts";

const at = (second: number): string => new Date(second * 1000).toISOString().replace(".000Z", "Z");

test("what a job ran before it was preempted is no waiting, neither of that attempt nor of the next", () => {
  let now = 0;
  const context = { now: () => now * 1000, signal: AbortSignal.abort() } as unknown as Context;
  const reports = new WaitingReports(context, {} as Writer, () => undefined);
  const workload: Workload = {
    apiVersion,
    kind: "Workload",
    metadata: { name: "w" },
    spec: { type: "Batch", podSets: [] },
  };
  const record = recordOf(workload, at(0));
  reports.reason(record, "Resources");
  now = 10;
  reports.reason(record, "Priority");
  // It starts at 15, and makes room at 100.
  now = 100;
  reports.again(record, at(15));
  assert.deepEqual(waitSeconds(record, at(100)), { Resources: 10, Priority: 5 });
  now = 130;
  reports.reason(record, "Resources");
  assert.deepEqual(waitSeconds(record, at(131)), { Resources: 11, Priority: 35 });
});
