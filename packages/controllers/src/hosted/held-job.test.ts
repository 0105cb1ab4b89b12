import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, Workload } from "@berth/kinds";
import { annotations, labels } from "@berth/kinds";
import fc from "fast-check";
import type { Job, JobStatus } from "../job/job.ts";
import { gangOf } from "./groups.ts";
import { endOfJob, failureOf, isHeld, placesOf, workloadOfJob } from "./held-job.ts";
import { podSetName } from "./templates.ts";

function job(spec: object = {}, status?: JobStatus, podLabels?: Record<string, string>): Job {
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: "j", namespace: "ada", uid: "u", labels: { [labels.queue]: "long" } },
    spec: {
      template: {
        metadata: { labels: podLabels },
        spec: { schedulerName: "berth", containers: [{ name: "main", resources: { requests: { cpu: "1" } } }] },
      },
      ...spec,
    },
    status,
  };
}

test("a Job is held as one by its own label, not by that of its pods, and not where another runs it", () => {
  assert.equal(isHeld(job()), true);
  assert.equal(isHeld(job({}, undefined, { [labels.queue]: "long" })), false);
  assert.equal(isHeld(job({ managedBy: "example.com/mine" })), false);
});

test("it asks for as many places as it has pods at once", () => {
  assert.equal(placesOf(job()), 1);
  assert.equal(placesOf(job({ parallelism: 4, completions: 3 })), 3);
  assert.equal(placesOf(job({ parallelism: 4, completions: 9 }, { succeeded: 7 })), 2);
  assert.equal(placesOf(job({ parallelism: 0, completions: 9 })), 0);
  const { spec, metadata } = workloadOfJob(job({ parallelism: 4, activeDeadlineSeconds: 60 }), 0);
  assert.deepEqual([spec.queue, spec.wallTimeSeconds, spec.podSets[0]!.count], ["long", 60, 4]);
  assert.equal(metadata.annotations?.[annotations.podsOf], "Job.batch/j");
  const other = job();
  other.spec.template.spec.schedulerName = undefined;
  assert.throws(() => workloadOfJob(other, 0), /put schedulerName: berth/);
});

test("its end is that of its attempt, and what ended its Workload is told of it", () => {
  const condition = (type: string, reason = "x") => ({
    type,
    status: "True" as const,
    reason,
    message: "m",
    lastTransitionTime: "2026-11-22T12:00:00Z",
  });
  assert.equal(endOfJob(job({}, { conditions: [condition("Complete")] }), undefined).phase, "Succeeded");
  const worst = { phase: "Failed" as const, exitCode: 3, signal: 0 };
  const failed = endOfJob(job({}, { conditions: [condition("Failed")] }), worst);
  assert.deepEqual([failed.phase, failed.exitCode], ["Failed", 3]);
  const late = endOfJob(job({}, { conditions: [condition("Failed", "DeadlineExceeded")] }), undefined);
  assert.deepEqual([late.phase, late.exitCode], ["TimedOut", 1]);
  const ended = (status: Workload["status"]): Workload => ({ ...workloadOfJob(job(), 0), status });
  assert.equal(failureOf(ended({ phase: "Cancelled", cancelledBy: "ada" })).reason, "Cancelled");
  assert.equal(failureOf(ended({ phase: "TimedOut", wallTimeSeconds: 3 })).reason, "DeadlineExceeded");
});

test("equal templates have one pod set, in whatever order their fields stand", () => {
  const template = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.array(fc.integer())));
  fc.assert(
    fc.property(template, (fields) => {
      const turned = Object.fromEntries(Object.entries(fields).toReversed());
      const of = (more: object) => ({ spec: { containers: [{ name: "main" }], more } });
      assert.equal(podSetName(of(turned)), podSetName(of(fields)));
      assert.match(podSetName(of(fields)), /^set-[0-9a-f]{10}$/);
    }),
  );
});

test("a gang has its number, of each task at least that one's, and no pod twice", () => {
  const pods = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 12 });
  const tasks = fc.dictionary(fc.constantFrom("a", "b"), fc.integer({ min: 1, max: 4 }));
  fc.assert(
    fc.property(pods, fc.integer({ min: 1, max: 8 }), tasks, (of, minimum, minimumOfTasks) => {
      const waiting = of.map((task, at): Pod => ({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: String(at), annotations: { "volcano.sh/task-spec": task } },
        spec: { containers: [] },
      }));
      const count = (of: readonly Pod[], task: string): number =>
        of.filter(({ metadata }) => metadata.annotations?.["volcano.sh/task-spec"] === task).length;
      const wanted = Object.entries(minimumOfTasks);
      const gang = gangOf(waiting, { minimum, minimumOfTasks, wallTime: undefined });
      const isThere = waiting.length >= minimum && wanted.every(([task, least]) => count(waiting, task) >= least);
      assert.equal(gang !== undefined, isThere);
      if (gang === undefined) return;
      assert.equal(new Set(gang).size, gang.length);
      assert.equal(
        gang.length,
        Math.max(
          minimum,
          wanted.reduce((sum, [, least]) => sum + least, 0),
        ),
      );
      for (const [task, least] of wanted) assert.ok(count(gang, task) >= least);
    }),
  );
});
