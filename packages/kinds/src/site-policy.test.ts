import assert from "node:assert/strict";
import { test } from "node:test";
import { type Account } from "./account.ts";
import { apiVersion } from "./constants.ts";
import type { Node } from "./node.ts";
import type { Site } from "./site.ts";
import {
  accountInput,
  accountProblems,
  nodeInput,
  policyInput,
  qualityOfServiceInput,
  queueInput,
  reservationInput,
  resourcesOf,
} from "./site-policy.ts";

const resources = ["cpu", "memory", "pods", "nvidia.com/gpu"];
const account = (name: string, spec: Account["spec"] = {}): Account => ({
  apiVersion,
  kind: "Account",
  metadata: { name },
  spec,
});

test("limits and weights of a cpu, a GiB and a device become those of the core's units; what is not named has no limit", () => {
  const limits = {
    runningJobs: 3,
    resources: { cpu: "1500m", memory: "1Gi" },
    resourceMinutes: { cpu: 10, memory: 2, "nvidia.com/gpu": 5 },
    perJob: { wallTimeSeconds: 60, resources: { "nvidia.com/gpu": 2 } },
    perUser: { submittedJobs: 4 },
  };
  assert.deepEqual(
    accountInput(account("bio", { parent: "life", shares: 5, limits, guaranteed: { cpu: 8 } }), resources),
    {
      name: "bio",
      parent: "life",
      shares: 5,
      limits: {
        runningJobs: 3,
        submittedJobs: undefined,
        resources: [1500, 2 ** 30, undefined, undefined],
        resourceMinutes: [10_000, 2 ** 31, undefined, 5000],
        runningResourceMinutes: undefined,
        perJob: { wallTimeSeconds: 60, resources: [undefined, undefined, undefined, 2000], resourceMinutes: undefined },
        perUser: { runningJobs: undefined, submittedJobs: 4, resources: undefined },
      },
      guaranteed: [8000, 0, 0, 0],
    },
  );
  const queue = { apiVersion, kind: "Queue", metadata: { name: "q" } };
  const site = { apiVersion, kind: "Site", metadata: { name: "site" }, spec: { graceSeconds: 7 } };
  const preempted = queueInput(
    {
      ...queue,
      spec: { billingWeights: { cpu: 1, memory: 0.25, "nvidia.com/gpu": 10 }, preemption: { mode: "Requeue" } },
    },
    resources,
    site,
  );
  assert.deepEqual(preempted.billingWeights, [0.001, 0.25 / 2 ** 30, 0, 0.01]);
  assert.equal(preempted.graceSeconds, 7, "the site's grace where the queue names none");
  const plain = queueInput({ ...queue, spec: {} }, resources, site);
  assert.deepEqual([plain.preemptMode, plain.graceSeconds, plain.billingWeights], [undefined, undefined, undefined]);
  assert.deepEqual(
    queueInput({ ...queue, spec: {} }, resources, { ...site, spec: { billingWeights: { memory: 1 } } }).billingWeights,
    [0, 1 / 2 ** 30, 0, 0],
  );
});

test("accounts in a cycle are named with it, those under it and those without a parent are not", () => {
  const tree = [
    account("root-of-all"),
    account("a", { parent: "c" }),
    account("b", { parent: "a" }),
    account("c", { parent: "b" }),
    account("under", { parent: "a" }),
    account("lost", { parent: "nowhere" }),
  ];
  const problems = accountProblems(tree);
  assert.deepEqual([...problems.keys()].sort(), ["a", "b", "c", "lost"]);
  assert.match(problems.get("a")!.message, /own ancestor: a in c in b in a/);
  assert.match(problems.get("lost")!.message, /no account nowhere/);
});

test("nodes, reservations, qualities of service and the site's policy", () => {
  const node: Node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n1", labels: { zone: "a", "kubernetes.io/hostname": "n1" } },
    spec: { unschedulable: true },
    status: {
      allocatable: { cpu: "4", memory: "1Gi", pods: "10", "nvidia.com/gpu": "2" },
      conditions: [{ type: "Ready", status: "True" }],
    },
  };
  assert.deepEqual(resourcesOf([node]), resources);
  const found = nodeInput(node, resources, { cpu: 500 });
  assert.deepEqual([found.capacity, found.state], [[3500, 2 ** 30, 10, 2000], "Drained"]);
  const spec = {
    startTime: "1970-01-01T00:01:00Z",
    durationSeconds: 60,
    nodeSelector: { zone: "a" },
    maintenance: true,
  };
  const reservation = reservationInput({ apiVersion, kind: "Reservation", metadata: { name: "m" }, spec });
  assert.deepEqual([reservation.startTime, reservation.durationSeconds], [60, 60]);
  assert.match(reservation.selector!, /"zone":"a"/);
  const qos = { apiVersion, kind: "QualityOfService", metadata: { name: "high" } };
  assert.equal(
    qualityOfServiceInput({ ...qos, spec: { preemption: { mode: "Cancel" }, usageFactor: 0.5 } }, resources)
      .preemptMode,
    "Cancel",
  );
  assert.deepEqual(policyInput(undefined), { reservationDepth: 1, backfill: "Arrival" });
  const site = (spec: Site["spec"]): Site => ({ apiVersion, kind: "Site", metadata: { name: "site" }, spec });
  assert.equal(policyInput(site({ priority: { weights: { fairShare: 1000 } } })).backfill, "Priority");
  assert.equal(policyInput(site({ priority: { weights: { fairShare: 0 } } })).backfill, "Arrival");
  assert.equal(policyInput(site({ backfill: "Shortest", priority: { weights: { age: 1 } } })).backfill, "Shortest");
});
