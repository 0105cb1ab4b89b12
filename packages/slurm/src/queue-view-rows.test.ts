import type { Workload } from "@berth/kinds";
import { IndexSet } from "@berth/kinds";
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { elementRow, jobRow, restRow } from "./job-rows.ts";
import { rowOfView, viewOfRow } from "./queue-view-rows.ts";
import type { JobRow } from "./rows.ts";

const now = 1_800_000_000;
const workload = (status: Workload["status"], spec: Partial<Workload["spec"]> = {}): Workload => ({
  apiVersion: "berth.dev/v1alpha1",
  kind: "Workload",
  metadata: { name: "align-7f3k", namespace: "ada" },
  spec: {
    type: "Batch",
    jobName: "align",
    user: "ada",
    podSets: [
      {
        name: "main",
        role: "Driver",
        count: 2,
        template: {
          spec: {
            containers: [{ name: "main", resources: { requests: { cpu: "2", memory: "1Gi", "nvidia.com/gpu": "1" } } }],
          },
        },
      },
    ],
    submission: { workingDirectory: "/home/ada", standardOutput: "slurm-%j.out", tasks: 4, comment: "x" },
    ...spec,
  },
  status: {
    jobId: 42,
    queue: "standard",
    account: "bio",
    identity: { user: "ada", uid: 1001, gid: 1001, groups: [] },
    wallTimeSeconds: 600,
    submitTime: "2027-01-15T07:00:00Z",
    ...status,
  },
});
const sent = (row: JobRow, isOwn: boolean, reason?: "Resources"): JobRow => {
  const facts = reason === undefined ? { isOwn } : { isOwn, reason };
  return rowOfView(JSON.parse(JSON.stringify(viewOfRow(row, facts))), now)!;
};

test("the time used is without that which a job stood still, and it ends so much later", () => {
  const status: Workload["status"] = {
    phase: "Suspended",
    startTime: "2027-01-15T07:55:00Z",
    nodes: ["n1"],
    suspendedSeconds: 100,
  };
  const row = jobRow(workload({ ...status, suspendedSince: "2027-01-15T07:59:30Z" }), now);
  assert.deepEqual([row.state, row.elapsedSeconds], ["SUSPENDED", 300 - 100 - 30]);
  assert.equal(row.endTime, row.startTime! + 600 + 130);
  assert.deepEqual(sent(row, true), row);
  const resumed = jobRow(workload({ ...status, phase: "Running" }), now);
  assert.deepEqual([resumed.elapsedSeconds, resumed.endTime], [200, resumed.startTime! + 700]);
  assert.deepEqual(sent(resumed, true), resumed);
});

test("a line of squeue is the same from the queue's view as from the Workload", () => {
  const pending = jobRow(
    workload(
      { phase: "Pending", reason: "Resources", estimatedStart: "2027-01-15T09:00:00Z", message: "needs" },
      { nice: 3 },
    ),
    now,
  );
  assert.deepEqual(sent(pending, true, "Resources"), pending);
  const running = jobRow(workload({ phase: "Running", startTime: "2027-01-15T07:55:00Z", nodes: ["n1", "n2"] }), now);
  assert.equal(running.elapsedSeconds, 300);
  assert.deepEqual(sent(running, true), running);
  const array = workload({ phase: "Pending", reason: "Resources" }, { array: { indices: "0-9", maxRunning: 2 } });
  const rest = restRow(array, IndexSet.of(3, 4, 9), now);
  assert.equal(rest.arrayTasks, "3-4,9");
  assert.deepEqual(sent(rest, true, "Resources"), rest);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 5000 }), (task, age) => {
      const row = elementRow(
        array,
        { task, nodes: ["n1"], startSeconds: now - age, state: "RUNNING", attempt: 2 },
        now,
      );
      assert.deepEqual(sent(row, true), row);
    }),
  );
});

test("of the jobs of others it is withheld where they lie and what they run", () => {
  const row = jobRow(workload({ phase: "Pending", reason: "Resources" }), now);
  const other = sent(row, false, "Resources");
  const withheld = ["workingDirectory", "standardOutput", "comment", "command", "standardError"] as const;
  for (const field of withheld) assert.equal(other[field], undefined, field);
  assert.deepEqual(
    [other.name, other.user, other.cpus, other.reason, other.workload],
    ["align", "ada", 4, "Resources", ""],
  );
});
