import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type AnyObject, resources } from "@berth/client";
import type { Pod, PodSet, Queue, StartEstimate, Workload } from "@berth/kinds";
import {
  annotations,
  isFinal,
  parseIndexList,
  queues,
  questionsApiVersion,
  startEstimates,
  workloads,
} from "@berth/kinds";
import {
  startTestCluster,
  type TestCluster,
  type TestNode,
  waitFor,
  waitUntil,
  workload,
} from "./test-cluster.test.ts";

let cluster: TestCluster;
let node: TestNode;
const runMs = new Map<string, number>();
const exitCodes = new Map<string, number>();
const workloadOf = (pod: Pod): string => pod.metadata.labels?.["berth.dev/workload"] ?? "";

before(async () => {
  cluster = await startTestCluster();
  node = await cluster.startNode({
    runMs: (pod) => runMs.get(workloadOf(pod)) ?? 0,
    exitCode: (pod) => exitCodes.get(pod.metadata.name) ?? exitCodes.get(workloadOf(pod)) ?? 0,
  });
  await cluster.startControllers();
});
after(async () => {
  await cluster.close();
  assert.deepEqual(cluster.logs, []);
});

const create = (object: Workload): Promise<Workload> => cluster.client.create(workloads, object);
const phases = (found: Workload[]): (string | undefined)[] => found.map(({ status }) => status?.phase);
const rowsOf = async (object: Workload | undefined): Promise<string[]> => {
  const rows = await cluster.accounting.query({ jobs: [{ job: object!.status!.jobId! }] });
  return rows.map(({ task, tasks, attempt, state }) => `${tasks ?? task}.${attempt} ${state}`).sort();
};
async function podsGone(): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const { items } = await cluster.client.list<Pod>(resources.pods, { namespace: "ada" });
    if (items.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  const { items } = await cluster.client.list<Pod>(resources.pods, { namespace: "ada" });
  assert.deepEqual(
    items.map(({ metadata, status }) => `${metadata.name} ${status?.phase}`),
    [],
  );
}
function gang(workers: number, cpu = "1"): PodSet[] {
  const template = { spec: { containers: [{ name: "main", resources: { requests: { cpu } } }] } };
  return [
    { name: "main", role: "Driver", count: 1, template },
    { name: "worker", role: "Worker", count: workers, template },
  ];
}

test("a job runs, is accounted once, and its pod goes", async () => {
  await create(workload("one"));
  const [done] = await waitFor(cluster.client, ["one"]);
  assert.equal(done?.status?.phase, "Succeeded");
  const rows = await cluster.accounting.query({ jobs: [{ job: done.status.jobId! }] });
  assert.deepEqual(
    rows.map(({ jobId, attempt, state, user, nodes }) => ({ jobId, attempt, state, user, nodes })),
    [{ jobId: done.status.jobId, attempt: 1, state: "Succeeded", user: "ada", nodes: ["n1"] }],
  );
  await podsGone();
});

test("a start estimate: now, behind what runs, never; and nothing is left of it", async () => {
  const ask = async (name: string, more: Parameters<typeof workload>[1] = {}): Promise<StartEstimate["status"]> => {
    const question = { ...workload(name, more), apiVersion: questionsApiVersion, kind: "StartEstimate" };
    return (await cluster.client.create<StartEstimate>(startEstimates, question)).status;
  };
  const now = await ask("asked");
  assert.deepEqual([now?.nodes, now?.cpus, now?.queue, now?.basis], [["n1"], 1, "standard", "Reserved"]);
  assert.equal(now?.startTime, now?.asOf);
  runMs.set("whole", 60_000);
  const cpu = (count: string): PodSet[] => gang(0, count).slice(0, 1);
  const whole = await create(workload("whole", { podSets: cpu("4"), wallTimeSeconds: 600 }));
  await waitFor(cluster.client, ["whole"], ({ status }) => status?.phase === "Running");
  const later = await ask("asked");
  assert.equal(later?.reason, "Resources");
  assert.ok(Date.parse(later.startTime!) - Date.parse(later.asOf!) > 500_000, JSON.stringify(later));
  const never = await ask("asked", { podSets: cpu("5") });
  assert.equal(never?.refusal?.reason, "NodeConfigurationUnavailable");
  assert.match(never.refusal.message, /5 cpus on one node; the largest has 4 cpus/);
  const { items } = await cluster.client.list<Workload>(workloads, { namespace: "ada" });
  assert.ok(!items.some(({ metadata }) => metadata.name === "asked"));
  assert.deepEqual((await cluster.client.list(startEstimates, { namespace: "ada" })).items, []);
  await cluster.client.delete(workloads, whole.metadata.name, { namespace: "ada" });
  await podsGone();
});

test("exit codes: a script that fails fails its job", async () => {
  exitCodes.set("fails", 3);
  await create(workload("fails"));
  const [done] = await waitFor(cluster.client, ["fails"]);
  assert.equal(done?.status?.phase, "Failed");
  assert.equal(done.status.exitCode, 3);
});

test("an array: every task once, ids first + index, failures told, never more at once than allowed", async () => {
  for (const task of [3, 7]) exitCodes.set(`array-t${task}-main-0-a1`, 1);
  await create(workload("array", { array: { indices: "0-19,30", maxRunning: 3 } }));
  const [done] = await waitFor(cluster.client, ["array"]);
  assert.equal(done?.status?.phase, "Failed");
  assert.equal(done.status.array?.succeeded, "0-2,4-6,8-19,30");
  assert.equal(done.status.array.failed, "3,7");
  assert.equal(done.status.array.pending + done.status.array.running, "");
  const rows = await cluster.accounting.query({ jobs: [{ job: done.status.jobId! }] });
  assert.equal(rows.length, 21);
  for (const row of rows) assert.equal(row.jobId, done.status.jobId! + row.task);
  assert.ok(node.mostAtOnce <= 4);
  for (const [name, count] of node.begun) assert.equal(count, 1, name);
  await podsGone();
});

test("a gang starts when all its pods are up, and ends with its driver", async () => {
  const template = runMs.set("gang", 50);
  template.set("gang", 30);
  await create(workload("gang", { podSets: gang(2) }));
  const [done] = await waitFor(cluster.client, ["gang"]);
  assert.equal(done?.status?.phase, "Succeeded");
  assert.equal(done.status.nodes?.length, 3);
  assert.deepEqual(await rowsOf(done), ["-1.1 Succeeded"]);
  await podsGone();
});

test("dependencies: afterok runs after, afternotok on a good end never does and is cancelled when asked", async () => {
  runMs.set("first", 100);
  await create(workload("first"));
  const [first] = await waitFor(cluster.client, ["first"], ({ status }) => status?.jobId !== undefined);
  const job = first!.status!.jobId!;
  await create(workload("second", { dependencies: { of: [{ type: "AfterOk", job }] } }));
  await create(workload("never", { dependencies: { of: [{ type: "AfterNotOk", job }], cancelOnInvalid: true } }));
  const done = await waitFor(cluster.client, ["first", "second", "never"]);
  assert.deepEqual(phases(done), ["Succeeded", "Succeeded", "Cancelled"]);
  // Of a job that has ended before it was named.
  await create(workload("third", { dependencies: { of: [{ type: "AfterOk", job }] } }));
  assert.deepEqual(phases(await waitFor(cluster.client, ["third"])), ["Succeeded"]);
});

test("what cannot run is refused in words", async () => {
  const refusals: [string, Partial<Workload["spec"]>, string, RegExp][] = [
    ["no-queue", { queue: "nope" }, "UnknownQueue", /there is no queue nope; there are standard/],
    ["no-account", { account: "nope" }, "UnknownAccount", /there is no account nope/],
    ["not-mine", { user: "bob" }, "NotTheOwner", /namespace ada belongs to ada/],
    ["long", { wallTimeSeconds: 22 * 86_400 }, "WallTimeTooLong", /at most 21-00:00:00/],
    [
      "big",
      { podSets: gang(1, "64") },
      "NodeConfigurationUnavailable",
      /needs 64 cpus on one node; the largest has 4 cpus/,
    ],
    ["depends", { dependencies: { of: [{ type: "AfterOk", job: 999_999 }] } }, "UnknownDependency", /job 999999/],
    ["service", { type: "Service" }, "UnsupportedField", /not supported yet/],
  ];
  await Promise.all(refusals.map(([name, spec]) => create(workload(name, spec))));
  const found = await waitFor(
    cluster.client,
    refusals.map(([name]) => name),
  );
  for (const [at, [name, , reason, words]] of refusals.entries()) {
    const admitted = found[at]!.status!.conditions!.find(({ type }) => type === "Admitted")!;
    assert.equal(admitted.status, "False", name);
    assert.equal(admitted.reason, reason, name);
    assert.match(admitted.message, words);
    assert.equal(found[at]!.status!.jobId, undefined);
  }
});

test("cancelled while it waits, while it runs, and by elements", async () => {
  for (const name of ["running", "elements"]) runMs.set(name, 60_000);
  await create(workload("held", { hold: "User" }));
  await create(workload("running"));
  await create(workload("elements", { array: { indices: "0-9", maxRunning: 2 } }));
  const cancel = { metadata: { annotations: { [annotations.cancel]: `ada ${new Date().toISOString()}` } } };
  await waitFor(cluster.client, ["held"], ({ status }) => status?.reason === "HeldByUser");
  await waitFor(cluster.client, ["running", "elements"], ({ status }) => status?.phase === "Running");
  await cluster.client.patch(workloads, "held", cancel, { namespace: "ada" });
  await cluster.client.patch(workloads, "running", cancel, { namespace: "ada" });
  const some = { metadata: { annotations: { [annotations.cancelTasks]: "1,5-9" } } };
  await cluster.client.patch(workloads, "elements", some, { namespace: "ada" });
  const [held, running] = await waitFor(cluster.client, ["held", "running"]);
  assert.deepEqual([held?.status?.phase, running?.status?.phase], ["Cancelled", "Cancelled"]);
  assert.equal(held?.status?.cancelledBy, "ada");
  assert.deepEqual(await rowsOf(held), ["-1.0 Cancelled"]);
  assert.deepEqual(await rowsOf(running), ["-1.1 Cancelled"]);
  const [elements] = await waitFor(
    cluster.client,
    ["elements"],
    ({ status }) => parseIndexList(status?.array?.cancelled ?? "").size === 6,
  );
  assert.equal(elements?.status?.array?.cancelled, "1,5-9");
  await cluster.client.patch(workloads, "elements", cancel, { namespace: "ada" });
  const [all] = await waitFor(cluster.client, ["elements"]);
  assert.equal(all?.status?.array?.cancelled, "0-9");
  assert.equal(all.status.phase, "Cancelled");
  await podsGone();
});

test("a Workload that is deleted is ended and accounted first", async () => {
  runMs.set("deleted", 60_000);
  const made = await create(workload("deleted"));
  const [running] = await waitFor(cluster.client, ["deleted"], ({ status }) => status?.phase === "Running");
  await cluster.client.delete(workloads, "deleted", { namespace: "ada" });
  await podsGone();
  assert.deepEqual(await rowsOf(running), ["-1.1 Cancelled"]);
  for (let tries = 0; tries < 100; tries++) {
    const { items } = await cluster.client.list<Workload>(workloads, { namespace: "ada" });
    if (!items.some(({ metadata }) => metadata.uid === made.metadata.uid)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail("the Workload is still there");
});

test("a pod that someone else removed is an attempt that ended, and another follows", async () => {
  runMs.set("removed", 400);
  await create(workload("removed"));
  await waitFor(cluster.client, ["removed"], ({ status }) => status?.phase === "Running");
  await cluster.client.delete(resources.pods, "removed-main-0-a1", { namespace: "ada", gracePeriodSeconds: 0 });
  const [done] = await waitFor(cluster.client, ["removed"]);
  assert.equal(done?.status?.phase, "Succeeded");
  assert.equal(done.status.restarts, 1);
  assert.deepEqual(await rowsOf(done), ["-1.1 NodeFailed", "-1.2 Succeeded"]);
});

test("whoever waits is told why, and the Secret of a submission is adopted", async () => {
  for (const name of ["wide", "behind"]) runMs.set(name, 300);
  const secret: AnyObject = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "behind", namespace: "ada", labels: { "berth.dev/submission": "true" } },
  };
  await cluster.client.create(resources.secrets, secret);
  await create(workload("wide", { podSets: [{ ...gang(1, "4")[0]! }] }));
  await waitFor(cluster.client, ["wide"], ({ status }) => status?.phase === "Running");
  await create(workload("behind", { podSets: [{ ...gang(1, "2")[0]! }], submission: { secretName: "behind" } }));
  const [waiting] = await waitFor(
    cluster.client,
    ["behind"],
    ({ status }) => (status?.reason ?? "None") !== "None" || isFinal(status?.phase),
  );
  assert.equal(waiting?.status?.reason, "Resources");
  assert.match(
    waiting.status.message ?? "",
    /^needs 2 cpus on one node; at most 0 cpus are free, n1 has room at .* when job \d+ ends$/,
  );
  assert.notEqual(waiting.status.estimatedStart, undefined);
  const [done] = await waitFor(cluster.client, ["behind"]);
  assert.equal(done?.status?.reason, undefined);
  const adopted = await cluster.client.get(resources.secrets, "behind", { namespace: "ada" });
  assert.deepEqual(
    adopted.metadata.ownerReferences?.map(({ name }) => name),
    ["behind"],
  );
});

const job = (name: string, spec: Record<string, unknown>, command = "true"): AnyObject => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name, namespace: "ada" },
  spec: {
    ...spec,
    template: { spec: { restartPolicy: "Never", containers: [{ name: "main", image: "host", command: [command] }] } },
  },
});

async function jobEnds(name: string): Promise<{ ends: string[]; status: Record<string, unknown> }> {
  for (let tries = 0; tries < 400; tries++) {
    const { status = {} } = (await cluster.client.get(resources.jobs, name, { namespace: "ada" })) as {
      status?: { conditions?: { type: string; reason: string }[] };
    };
    const ends = (status.conditions ?? []).filter(({ type }) => type === "Complete" || type === "Failed");
    if (ends.length > 0) return { ends: ends.map(({ type, reason }) => `${type} ${reason}`), status };
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`Job ${name} did not end`);
}

test("batch/v1 Jobs: completions as an array, the end as Kubernetes tells it, refusals too", async () => {
  await cluster.client.create(resources.jobs, job("plain", {}));
  await cluster.client.create(resources.jobs, job("several", { completions: 5, parallelism: 2 }));
  exitCodes.set("broken", 2);
  await cluster.client.create(resources.jobs, job("broken", { backoffLimit: 0 }));
  const refused = job("refused", {});
  refused.metadata.labels = { "berth.dev/queue": "nope" };
  await cluster.client.create(resources.jobs, refused);
  assert.deepEqual((await jobEnds("plain")).ends, ["Complete CompletionsReached"]);
  const several = await jobEnds("several");
  assert.deepEqual(several.ends, ["Complete CompletionsReached"]);
  assert.equal(several.status["succeeded"], 5);
  const broken = await jobEnds("broken");
  assert.deepEqual(broken.ends, ["Failed BackoffLimitExceeded"]);
  assert.equal(broken.status["failed"], 1);
  assert.deepEqual((await jobEnds("refused")).ends, ["Failed UnknownQueue"]);
});

test("the API holds the kinds to their rules, in their words", async () => {
  const refused = async (object: Workload, words: RegExp): Promise<void> => {
    await assert.rejects(create(object), (error: Error) => {
      assert.match(error.message, words);
      return true;
    });
  };
  const worker = gang(1)[1]!;
  await refused(workload("r", { podSets: [worker] }), /one pod set must have role Driver/);
  await refused(workload("r", { podSets: [gang(1)[0]!, { ...worker, minCount: 2 }] }), /minCount must not be more/);
  await refused(workload("r", { dependencies: { of: [{ type: "AfterOk" }] } }), /a dependency names a job/);
  await refused(workload("r", { array: { indices: "1,x" } }), /spec.array.indices/);
  await refused(workload("r", { wallTimeSeconds: 60, minWallTimeSeconds: 61 }), /minWallTimeSeconds must not be more/);
  await refused(workload("r".repeat(64)), /not be longer than 63/);

  const made = await create(workload("rules", { hold: "User", wallTimeSeconds: 600, jobName: "a" }));
  assert.deepEqual(made.spec.requeue, { onNodeFailure: true, onPreemption: true, limit: 5 });
  const patch = (spec: object): Promise<Workload> =>
    cluster.client.patch(workloads, "rules", { spec }, { namespace: "ada" });
  await assert.rejects(patch({ jobName: "b" }), /spec.jobName cannot be changed once the Workload is made/);
  await assert.rejects(patch({ wallTimeSeconds: null }), /can be changed, not taken away/);
  await patch({ wallTimeSeconds: 500, nice: 3, queue: "standard" });
  await waitFor(cluster.client, ["rules"], ({ status }) => status?.reason === "HeldByUser");
  await patch({ hold: null });
  const [done] = await waitFor(cluster.client, ["rules"]);
  assert.equal(done?.status?.phase, "Succeeded");
  await assert.rejects(patch({ queue: "other" }), /can be changed only while the Workload is pending/);
});

test("a wall time that is changed is told to the node, to who asks, and to who waits behind", async () => {
  const podSets = gang(1, "4").slice(0, 1);
  runMs.set("changing", 600_000);
  await create(workload("changing", { podSets, wallTimeSeconds: 600 }));
  await waitFor(cluster.client, ["changing"], ({ status }) => status?.phase === "Running");
  await create(workload("follower", { podSets }));
  const estimate = async (than: number, sign: 1 | -1): Promise<number> => {
    const [behind] = await waitFor(
      cluster.client,
      ["follower"],
      ({ status }) =>
        status?.estimatedStart !== undefined && sign * (Date.parse(status.estimatedStart) - than - sign * 60_000) > 0,
    );
    return Date.parse(behind!.status!.estimatedStart!);
  };
  const told = async (seconds: number): Promise<void> => {
    await cluster.client.patch(workloads, "changing", { spec: { wallTimeSeconds: seconds } }, { namespace: "ada" });
    await waitFor(cluster.client, ["changing"], ({ status }) => status?.wallTimeSeconds === seconds);
    const name = [...node.begun.keys()].find((pod) => pod.startsWith("changing-"));
    await waitUntil(
      () => cluster.client.get<Pod>(resources.pods, name!, { namespace: "ada" }),
      ({ metadata }) => metadata.annotations?.["berth.dev/wall-time-seconds"] === String(seconds),
    );
  };
  const first = await estimate(0, 1);
  await told(3600);
  const later = await estimate(first, 1);
  await told(60);
  await estimate(later, -1);
  await Promise.all(
    ["follower", "changing"].map((name) => cluster.client.delete(workloads, name, { namespace: "ada" })),
  );
});

test("a job that waits may be put into another queue, where that queue takes it", async () => {
  const queue = (name: string, spec: Queue["spec"]): Promise<Queue> =>
    cluster.client.create<Queue>(queues, { apiVersion: "berth.dev/v1alpha1", kind: "Queue", metadata: { name }, spec });
  await queue("other", { defaultWallTimeSeconds: 60 });
  await queue("foreign", { allow: ["bob"] });
  await create(workload("moved", { hold: "User" }));
  await waitFor(cluster.client, ["moved"], ({ status }) => status?.queue === "standard");
  const patch = (spec: Partial<Workload["spec"]>): Promise<Workload> =>
    cluster.client.patch<Workload>(workloads, "moved", { spec }, { namespace: "ada" });
  const movedTo = (queueName: string, isMoved: string) => (found: Workload) =>
    found.status?.queue === queueName &&
    found.status.conditions?.some(({ type, status }) => type === "Moved" && status === isMoved) === true;
  await patch({ queue: "other" });
  const [moved] = await waitFor(cluster.client, ["moved"], movedTo("other", "True"));
  assert.equal(moved?.status?.wallTimeSeconds, 60, "what it did not ask for is the new queue's");
  await patch({ queue: "foreign" });
  const [stays] = await waitFor(cluster.client, ["moved"], movedTo("other", "False"));
  assert.match(JSON.stringify(stays?.status?.conditions), /ada may not use queue foreign/);
  await patch({ queue: "other", hold: null as never });
  await waitFor(cluster.client, ["moved"]);
});
