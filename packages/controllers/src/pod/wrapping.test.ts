import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, Workload } from "@berth/kinds";
import { annotations, labels } from "@berth/kinds";
import fc from "fast-check";
import { isUnscheduled, waitingReport, waitingStatus, workloadNameOf, workloadOf, WrappingError } from "./wrapping.ts";

const now = "2026-11-22T03:00:00Z";

function pod(metadata: Partial<Pod["metadata"]> = {}, spec: Partial<Pod["spec"]> = {}, status?: Pod["status"]): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "x", namespace: "ada", uid: "58b42662-b79c-4d7d-b837-4eba1c179d80", ...metadata },
    spec: { containers: [{ name: "main", image: "host" }], ...spec },
    status,
  };
}

function workload(status: Workload["status"]): Workload {
  return { ...workloadOf(pod()), status };
}

test("Berth finds nodes for pods that have none and name nobody else for it", () => {
  assert.equal(isUnscheduled(pod(), true), true);
  assert.equal(isUnscheduled(pod({}, { schedulerName: "default-scheduler" }), true), true);
  assert.equal(isUnscheduled(pod({}, { schedulerName: "default-scheduler" }), false), false);
  assert.equal(isUnscheduled(pod({}, { schedulerName: "berth" }), false), true);
  assert.equal(isUnscheduled(pod({}, { schedulerName: "other" }), true), false);
  assert.equal(isUnscheduled(pod({}, { nodeName: "n1" }), true), false);
  assert.equal(isUnscheduled(pod({ deletionTimestamp: now }), true), false);
  assert.equal(isUnscheduled(pod({ labels: { [labels.workload]: "w" } }), true), false);
  assert.equal(isUnscheduled(pod({}, {}, { phase: "Failed" }), true), false);
});

test("a pod's Workload has its name, queue, account and template, and asks for no account of the API", () => {
  const { metadata, spec } = workloadOf(
    pod(
      { labels: { [labels.queue]: "long", [labels.account]: "bio" } },
      {
        schedulerName: "default-scheduler",
        serviceAccountName: "default",
        serviceAccount: "default",
        terminationGracePeriodSeconds: 5,
        nodeSelector: { disk: "ssd" },
      },
    ),
  );
  assert.equal(metadata.name, "x-58b42662");
  assert.deepEqual(metadata.ownerReferences, [
    { apiVersion: "v1", kind: "Pod", name: "x", uid: pod().metadata.uid, controller: true },
  ]);
  assert.deepEqual(
    [spec.jobName, spec.queue, spec.account, spec.wallTimeSeconds, spec.graceSeconds],
    ["x", "long", "bio", undefined, 5],
  );
  assert.deepEqual(spec.podSets[0]!.template.spec, {
    containers: [{ name: "main", image: "host" }],
    terminationGracePeriodSeconds: 5,
    nodeSelector: { disk: "ssd" },
  });
  const robot = workloadOf(pod({}, { serviceAccountName: "robot" }));
  assert.equal(robot.spec.podSets[0]!.template.spec["serviceAccountName"], "robot");
});

test("the wall time is activeDeadlineSeconds, else the annotation, which must be a number", () => {
  const wall = (text: string): Partial<Pod["metadata"]> => ({ annotations: { [annotations.wallTimeSeconds]: text } });
  assert.equal(workloadOf(pod(wall("60"))).spec.wallTimeSeconds, 60);
  assert.equal(workloadOf(pod(wall("60"), { activeDeadlineSeconds: 30 })).spec.wallTimeSeconds, 30);
  for (const text of ["soon", "0", "-1", "1.5", ""]) assert.throws(() => workloadOf(pod(wall(text))), WrappingError);
});

test("names of Workloads are labels and DNS names, and differ with the pod's uid", () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$/);
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(".").slice(0, 253));
  fc.assert(
    fc.property(name, fc.uuid(), fc.uuid(), (name, one, other) => {
      const of = (uid: string): string => workloadNameOf(pod({ name, uid }));
      assert.match(of(one), /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
      assert.equal(of(one) === of(other), one.slice(0, 8) === other.slice(0, 8));
    }),
  );
});

test("what waits says why, once; what was refused or cancelled fails with those words", () => {
  assert.equal(waitingReport(workload(undefined)), undefined);
  assert.equal(waitingReport(workload({ phase: "Pending", reason: "None" })), undefined);
  assert.equal(waitingReport(workload({ phase: "Running" })), undefined);
  const waits = waitingReport(workload({ phase: "Pending", reason: "Resources", message: "needs 4 cpus" }))!;
  assert.deepEqual(waits, { reason: "Resources", message: "needs 4 cpus", isOver: false });
  const told = waitingStatus(pod({}, {}, { phase: "Pending" }), waits, now)!;
  assert.deepEqual(told, {
    conditions: [
      {
        type: "PodScheduled",
        status: "False",
        reason: "Unschedulable",
        message: "needs 4 cpus",
        lastTransitionTime: now,
      },
    ],
  });
  assert.equal(waitingStatus(pod({}, {}, told), waits, "2026-11-22T04:00:00Z"), undefined);
  const later = waitingStatus(pod({}, {}, told), { ...waits, message: "needs 2 cpus" }, "2026-11-22T04:00:00Z")!;
  assert.deepEqual(later.conditions, [{ ...told.conditions![0], message: "needs 2 cpus" }]);

  const refused = waitingReport(
    workload({
      phase: "Failed",
      conditions: [
        {
          type: "Admitted",
          status: "False",
          reason: "UnknownQueue",
          message: "there is no queue nope",
          lastTransitionTime: now,
        },
      ],
    }),
  )!;
  const { phase, reason, message } = waitingStatus(pod(), refused, now)!;
  assert.deepEqual([phase, reason, message], ["Failed", "UnknownQueue", "there is no queue nope"]);
  assert.equal(waitingReport(workload({ phase: "Cancelled" }))!.reason, "Cancelled");
});

test("a replica runs on without an end, unless it names one; it is not failed for what would fail its successor too", () => {
  const ownerReferences = [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "u", controller: true }];
  const replica = pod({ ownerReferences });
  assert.equal(workloadOf(replica).spec.type, "Service");
  const brief = pod({ ownerReferences, annotations: { [annotations.wallTimeSeconds]: "60" } });
  assert.deepEqual([workloadOf(brief).spec.type, workloadOf(brief).spec.wallTimeSeconds], ["Batch", 60]);
  assert.equal(workloadOf(pod()).spec.type, "Batch");
  const report = { reason: "UnknownQueue", message: "there is no queue x", isOver: true };
  assert.equal(waitingStatus(pod(), report, now)?.phase, "Failed");
  const status = waitingStatus(replica, report, now);
  assert.equal(status?.phase, undefined);
  assert.equal(waitingStatus({ ...replica, status }, report, now), undefined);
});

test("what a pod belongs to says where it waits, where it says nothing itself", () => {
  const own = workloadOf(pod({ labels: { [labels.queue]: "long" } }), { queue: "short", account: "bio" }).spec;
  assert.deepEqual([own.queue, own.account], ["long", "bio"]);
});
