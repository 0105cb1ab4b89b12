import assert from "node:assert/strict";
import { test } from "node:test";
import {
  matchesClass,
  namedNodes,
  nodeClassOf,
  pendingReasons,
  type Queue,
  queueSelectorOf,
  selectorOf,
  type Workload,
} from "@berth/kinds";
import { waitReasons } from "@berth/scheduling";
import { isWorthTelling, waitMessage } from "./messages.ts";
import { plannedPods } from "./pods.ts";

test("the core's reasons are those of kinds", () => {
  assert.deepEqual([...waitReasons].sort(), [...pendingReasons].sort());
});

test("selectors: labels, required affinity, taints and tolerations as kube-scheduler takes them", () => {
  const plain = nodeClassOf({ zone: "a", gpu: "2", "kubernetes.io/hostname": "n1" });
  assert.equal(
    plain,
    nodeClassOf({ gpu: "2", zone: "a", "kubernetes.io/hostname": "n2" }),
    "equal nodes are one class",
  );
  const tainted = nodeClassOf({ zone: "a" }, [{ key: "dedicated", value: "bio", effect: "NoSchedule" }]);
  const fits = (spec: Parameters<typeof selectorOf>[0], node: string, queue = {}): boolean =>
    matchesClass(selectorOf(spec, queue), node);
  assert.ok(fits({}, plain));
  assert.ok(fits({ nodeSelector: { zone: "a" } }, plain));
  assert.ok(!fits({ nodeSelector: { zone: "b" } }, plain));
  assert.ok(!fits({}, tainted));
  assert.ok(fits({ tolerations: [{ key: "dedicated", operator: "Equal", value: "bio" }] }, tainted));
  assert.ok(!fits({ tolerations: [{ key: "dedicated", value: "chem" }] }, tainted));
  assert.ok(fits({}, tainted, { tolerations: [{ operator: "Exists" }] }), "a queue's tolerations are its pods'");
  const affinity = (key: string, operator: string, values?: string[]): Parameters<typeof selectorOf>[0] => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key, operator, values }] }],
        },
      },
    },
  });
  assert.ok(fits(affinity("gpu", "Gt", ["1"]), plain));
  assert.ok(!fits(affinity("gpu", "Gt", ["2"]), plain));
  assert.ok(!fits(affinity("zone", "NotIn", ["a"]), plain));
  assert.deepEqual(namedNodes(affinity("kubernetes.io/hostname", "In", ["n1", "n2"])), ["n1", "n2"]);
  assert.deepEqual(namedNodes({ nodeSelector: { "kubernetes.io/hostname": "n3" } }), ["n3"]);
  assert.ok(matchesClass(queueSelectorOf({ nodeSelector: { zone: "a" } })!, tainted), "taints are the pods' affair");
  assert.equal(queueSelectorOf({}), undefined);
});

test("messages have the numbers", () => {
  const now = Date.parse("2026-11-22T12:00:00Z") / 1000;
  const base = {
    job: 42,
    queue: "standard",
    pods: { needed: 1, fitting: 0 },
    perPod: { request: [32_000, 0, 1], mostFree: [20_000, 0, 9], largest: [64_000, 0, 10] },
    nodes: { usable: 3, fitting: 0 },
  };
  const resources = ["cpu", "memory", "pods"];
  assert.equal(
    waitMessage(
      {
        ...base,
        reason: "Resources",
        short: 0,
        start: { time: now + 7500, nodes: ["node-7"], reserved: true },
        waitsFor: { job: 40, endTime: now + 7500, node: "node-7" },
      },
      resources,
      now,
    ),
    "needs 32 cpus on one node; at most 20 cpus are free, node-7 has room at 14:05Z when job 40 ends",
  );
  assert.equal(
    waitMessage({ ...base, reason: "Dependency", dependsOn: [7, 8] }, resources, now),
    "waits for jobs 7, 8",
  );
  assert.equal(
    waitMessage(
      {
        ...base,
        reason: "Resources",
        preempts: [{ job: 7, task: 1 }, { job: 8 }],
        start: { time: now + 60, nodes: ["n1"], reserved: true },
      },
      resources,
      now,
    ),
    `jobs 7_1, 8 make room for it (preempted), by ${new Date((now + 60) * 1000).toISOString().slice(11, 16)}Z at the latest`,
  );
  assert.match(
    waitMessage({ ...base, reason: "Dependency", dependsOn: [7], preempted: { by: 42, time: now } }, resources, now),
    /^waits for job 7; preempted by job 42 at .*, it waits again$/,
  );
  for (const reason of waitReasons) assert.match(waitMessage({ ...base, reason }, resources, now), /\w+ \w+/);
});

test("a start is told anew when it moved by more than a minute and a tenth of the wait", () => {
  assert.equal(isWorthTelling(undefined, undefined, 0), false);
  assert.equal(isWorthTelling(undefined, 100, 0), true);
  assert.equal(isWorthTelling(100, undefined, 0), true);
  assert.equal(isWorthTelling(100, 160, 0), false);
  assert.equal(isWorthTelling(100, 161, 0), true);
  assert.equal(isWorthTelling(10_000, 10_900, 0), false);
  assert.equal(isWorthTelling(10_000, 8_900, 0), true);
});

test("a pod has its node, its owner, its identity, its limits in time, and what it did not ask for", () => {
  const workload: Workload = {
    apiVersion: "berth.dev/v1alpha1",
    kind: "Workload",
    metadata: { name: "w", namespace: "ada", uid: "u" },
    spec: {
      type: "Batch",
      podSets: [
        { name: "main", role: "Driver", count: 1, template: { spec: { containers: [{ name: "main" }] } } },
        {
          name: "worker",
          role: "Worker",
          count: 2,
          template: { spec: { containers: [{ name: "main", image: "x" }] } },
        },
      ],
    },
    status: { jobId: 40, account: "bio", identity: { user: "ada", uid: 7, gid: 8, groups: [8, 9] } },
  };
  const queue: Queue = {
    apiVersion: "berth.dev/v1alpha1",
    kind: "Queue",
    metadata: { name: "q" },
    spec: {
      defaultMemoryPerCpuBytes: 2 ** 30,
      podDefaults: { spec: { containers: [{ name: "main", image: "debian" }] } },
    },
  };
  const pods = plannedPods({
    workload,
    queue,
    task: 2,
    attempt: 3,
    nodes: [["n1"], ["n2", "n3"]],
    wallTimeSeconds: 100,
    graceSeconds: 20,
    environment: (_, index, node) => ({ WHERE: `${node} ${index}` }),
  }).map(({ build }) => build());
  assert.deepEqual(
    pods.map(({ metadata, spec }) => [metadata.name, spec.nodeName, spec.containers[0]!.image]),
    [
      ["w-t2-main-0-a3", "n1", "debian"],
      ["w-t2-worker-0-a3", "n2", "x"],
      ["w-t2-worker-1-a3", "n3", "x"],
    ],
  );
  const [driver, worker] = pods;
  assert.equal(driver!.spec.activeDeadlineSeconds, 60 + 100 + 20);
  assert.equal(driver!.metadata.labels?.["berth.dev/job-id"], "42");
  assert.equal(driver!.metadata.annotations?.["berth.dev/gate"], "closed");
  assert.equal(driver!.metadata.finalizers, undefined);
  assert.deepEqual(worker!.metadata.finalizers, ["berth.dev/accounting"]);
  assert.deepEqual(driver!.spec.securityContext?.supplementalGroups, [8, 9]);
  assert.deepEqual(driver!.spec.containers[0]!.resources, {
    requests: { cpu: "1", memory: String(2 ** 30) },
    limits: { memory: String(2 ** 30) },
  });
  assert.deepEqual(worker!.spec.containers[0]!.env, [{ name: "WHERE", value: "n2 0" }]);
  assert.equal(driver!.metadata.ownerReferences?.[0]?.uid, "u");
});
