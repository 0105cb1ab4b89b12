import assert from "node:assert/strict";
import { test } from "node:test";
import { apiVersion, type FinalPhase, type Workload } from "@berth/kinds";
import { currentAttempt, newAttempt, noTask, recordOf, type WorkloadRecord } from "../model/record.ts";
import { endTask } from "./ending.ts";
import { lifePatch } from "./status.ts";

const workload = (spec: Partial<Workload["spec"]>, status: Workload["status"] = {}): Workload => ({
  apiVersion,
  kind: "Workload",
  metadata: { name: "job", namespace: "ada", uid: "u" },
  spec: {
    type: "Batch",
    podSets: [{ name: "main", role: "Driver", count: 1, template: { spec: { containers: [{ name: "main" }] } } }],
    ...spec,
  },
  status: { jobId: 7, phase: "Pending", ...status },
});
const events = { ended: () => {}, takenBack: () => {} };
const end = (record: WorkloadRecord, task: number, phase: FinalPhase): void => {
  record.book?.start(task);
  const number = currentAttempt(record, task);
  const attempt = newAttempt({ task, number, pods: [], wallTimeSeconds: 60, createdAt: 0 });
  endTask(events, record, attempt, task, { phase, exitCode: 0, signal: 0 });
};

for (const [what, spec, task] of [
  ["a job", {}, noTask],
  ["a task of an array", { array: { indices: "3" } }, 3],
] as const) {
  test(`${what} is begun again as often as it makes room, and after as many losses of its node as it says; a new leader knows how many`, () => {
    const asked = { ...spec, requeue: { limit: 2 } };
    let record = recordOf(workload(asked), "");
    const again = (): void => {
      const { array, nodeFailures, attempts, restarts } = lifePatch(record, "") as NonNullable<Workload["status"]>;
      const told = { array, nodeFailures: nodeFailures ?? undefined, attempts, restarts: restarts ?? undefined };
      record = recordOf(workload(asked, JSON.parse(JSON.stringify(told)) as Workload["status"]), "");
    };
    for (let count = 0; count < 7; count++) end(record, task, "Preempted");
    end(record, task, "NodeFailed");
    again();
    end(record, task, "NodeFailed");
    assert.ok(record.toAccount.every(({ requeue }) => requeue));
    again();
    assert.equal(currentAttempt(record, task), 10);
    end(record, task, "Preempted");
    end(record, task, "NodeFailed");
    assert.deepEqual(
      record.toAccount.map(({ requeue }) => requeue),
      [true, false],
    );
  });
}
