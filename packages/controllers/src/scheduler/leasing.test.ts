import assert from "node:assert/strict";
import { test } from "node:test";
import { annotations, type Queue, taskNumber, type Workload } from "@berth/kinds";
import { workload } from "../test-cluster.test.ts";
import { attemptEnvironment, type AttemptPlace, taskVariables } from "./attempt-environment.ts";
import { isLeasable, leasedTasks } from "./leasing.ts";

const queue: Queue = { apiVersion: "berth.dev/v1alpha1", kind: "Queue", metadata: { name: "standard" }, spec: {} };

function submitted(files: { standardOutput?: string; standardError?: string }): Workload {
  const made = workload("a", {
    array: { indices: "3-1200:3" },
    jobName: "name",
    submission: { secretName: "s", workingDirectory: "/home/ada", ...files },
  });
  const identity = { user: "ada", uid: 1001, gid: 1001, groups: [1001] };
  return { ...made, status: { jobId: 4000, identity, queue: "standard", account: "default" } };
}

test("what differs between tasks is what their environments differ in", () => {
  const patterns = [undefined, "%A-%4a.txt", "out/%x/%j_%J_%b", "%%a-%a%%-%N", "plain", "back\\slash-%a", "/dev/null"];
  for (const standardOutput of patterns) {
    for (const standardError of patterns) {
      const of = submitted({ standardOutput, standardError });
      const place = (task: number): AttemptPlace => ({
        workload: of,
        queue,
        task,
        attempt: 1,
        nodes: ["n1"],
        wholeNode: () => undefined,
        clusterName: undefined,
      });
      const environment = (task: number): Record<string, string> =>
        attemptEnvironment(place(task))(of.spec.podSets[0]!, 0);
      const variables = taskVariables(place(3));
      for (const task of [3, 42, 1200]) {
        const told = Object.entries(variables).map(([name, parts]) => [
          name,
          parts.map((part) => (typeof part === "string" ? part : taskNumber(part, task, 4000))).join(""),
        ]);
        assert.deepEqual({ ...environment(3), ...Object.fromEntries(told) }, environment(task));
      }
    }
  }
});

test("how many tasks go together: a second of work, of large arrays more, none that are long", () => {
  assert.equal(leasedTasks(600, 1000), undefined);
  assert.equal(leasedTasks(400, 1000), 2);
  assert.equal(leasedTasks(100, 1000), 10);
  assert.equal(leasedTasks(1, 1000), 256);
  assert.equal(leasedTasks(100, 1_000_000), 50);
});

test("arrays whose pods have something of the task's own keep a pod for each task", () => {
  const of = (spec: Partial<Workload["spec"]["podSets"][number]["template"]["spec"]>, more = {}): boolean => {
    const made = submitted({});
    const [set] = made.spec.podSets;
    const podSets = [{ ...set!, template: { spec: { ...set!.template.spec, ...spec } } }];
    return isLeasable({ ...made, spec: { ...made.spec, podSets, ...more } }, queue);
  };
  const container = { name: "main" };
  assert.ok(of({ volumes: [{ name: "v", secret: { secretName: "s" } }] }));
  assert.ok(!of({ volumes: [{ name: "v", emptyDir: {} }] }));
  assert.ok(!of({ initContainers: [container] }));
  assert.ok(!of({ containers: [container, { name: "other" }] }));
  assert.ok(!of({ containers: [{ ...container, args: ["$(SLURM_ARRAY_TASK_ID)"] }] }));
  const fieldPath = `metadata.annotations['${annotations.wallTimeSeconds}']`;
  assert.ok(!of({ containers: [{ ...container, env: [{ name: "X", valueFrom: { fieldRef: { fieldPath } } }] }] }));
  assert.ok(!of({}, { array: undefined }));
  assert.ok(!of({}, { deadline: "2030-01-01T00:00:00Z" }));
});
