import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { resources } from "@berth/client";
import type { Explanation, Pod, Queue, Workload } from "@berth/kinds";
import { apiVersion, explanations, queues, suspensionConditionOf, workloads } from "@berth/kinds";
import { startTestCluster, type TestCluster, waitFor, waitUntil, workload } from "./test-cluster.test.ts";

let cluster: TestCluster;

before(async () => {
  cluster = await startTestCluster();
  await cluster.startNode({ cpus: 4, runMs: () => 600_000 });
});
after(() => cluster.close());

const namespace = "ada";
const annotate = (name: string, value: string | null): Promise<Workload> =>
  cluster.client.patch<Workload>(
    workloads,
    name,
    { metadata: { annotations: { "berth.dev/suspend": value } } },
    { namespace },
  );
/** What the node is told. */
const wanted = (name: string, value: string): Promise<Pod> =>
  waitUntil(
    () => cluster.client.get<Pod>(resources.pods, name, { namespace }),
    ({ metadata }) => metadata.annotations?.["berth.dev/suspend"] === value,
  );
/** What the node tells. */
const tell = (name: string, isSuspended: boolean, since: number, seconds: number): Promise<unknown> => {
  const time = `${new Date(since).toISOString().slice(0, 19)}Z`;
  const conditions = [suspensionConditionOf({ isSuspended, since: time, seconds })];
  return cluster.client.patchStatus(resources.pods, name, { status: { conditions } }, { namespace });
};
const phaseIs = (name: string, phase: string): Promise<Workload[]> =>
  waitFor(cluster.client, [name], ({ status }) => status?.phase === phase);

test("what runs stands still when its Workload says so, under every leader, and its row tells for how long", async () => {
  let controllers = await cluster.startControllers();
  await cluster.client.create(workloads, workload("still", { wallTimeSeconds: 600 }));
  await phaseIs("still", "Running");
  const pod = "still-main-0-a1";
  // What had not begun at that time is not meant.
  await annotate("still", `root ${new Date(Date.now() - 3_600_000).toISOString()}`);
  await annotate("still", `root ${new Date(Date.now() + 1000).toISOString()}`);
  await wanted(pod, "root");
  const since = Date.now() - 100_000;
  await tell(pod, true, since, 20);
  const [suspended] = await phaseIs("still", "Suspended");
  const told = suspended?.status?.conditions?.find(({ type }) => type === "Suspended");
  assert.deepEqual([told?.status, told?.reason, suspended?.status?.suspendedSeconds], ["True", "ByOperator", 20]);
  const { status } = await cluster.client.get<Explanation>(explanations, "still", { namespace });
  assert.deepEqual([status?.phase, status?.suspended?.by, status?.suspended?.seconds], ["Suspended", "root", 20]);
  const length = (Date.parse(status!.endTime!) - Date.parse(status!.startTime!)) / 1000;
  assert.ok(Math.abs(length - (600 + 20 + 100)) < 30, String(length));

  await controllers.stop();
  controllers = await cluster.startControllers();
  await annotate("still", null);
  await wanted(pod, "");
  await tell(pod, false, Date.now(), 120);
  const [going] = await phaseIs("still", "Running");
  assert.deepEqual([going?.status?.suspendedSeconds, going?.status?.suspendedSince], [120, undefined]);

  await annotate("still", `root ${new Date(Date.now() + 1000).toISOString()}`);
  await wanted(pod, "root");
  await tell(pod, true, Date.now(), 120);
  await phaseIs("still", "Suspended");
  const cancel = { metadata: { annotations: { "berth.dev/cancel": "root" } } };
  await cluster.client.patch(workloads, "still", cancel, { namespace });
  const [ended] = await waitFor(cluster.client, ["still"]);
  assert.equal(ended?.status?.phase, "Cancelled");
  const [row] = await cluster.accounting.query({ jobs: [{ job: ended.status.jobId! }] });
  assert.ok(row!.suspendedSeconds! >= 120, String(row!.suspendedSeconds));
  await controllers.stop();
});

test("a gang stands still when all of it does; an annotation that cannot be read means nothing", async () => {
  const controllers = await cluster.startControllers();
  const [podSet] = workload("x").spec.podSets;
  await cluster.client.create(
    workloads,
    workload("gang", { wallTimeSeconds: 600, podSets: [{ ...podSet!, count: 2 }] }),
  );
  await phaseIs("gang", "Running");
  await annotate("gang", "please");
  const pods = ["gang-main-0-a1", "gang-main-1-a1"];
  await annotate("gang", `root ${new Date(Date.now() + 1000).toISOString()}`);
  for (const pod of pods) await wanted(pod, "root");
  await tell(pods[0]!, true, Date.now(), 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await phaseIs("gang", "Running");
  await tell(pods[1]!, true, Date.now(), 0);
  await phaseIs("gang", "Suspended");
  await controllers.stop();
});

test("a job stands still for one that needs its cores, whichever leader sees what of it, and goes on when that has ended", async () => {
  let controllers = await cluster.startControllers();
  const again = async (): Promise<void> => {
    await controllers.stop();
    controllers = await cluster.startControllers();
  };
  await cluster.client.create<Queue>(queues, {
    apiVersion,
    kind: "Queue",
    metadata: { name: "yielding" },
    spec: { tier: 0, preemption: { mode: "Suspend" } },
  });
  const [podSet] = workload("x").spec.podSets;
  const podSets = [
    { ...podSet!, template: { spec: { containers: [{ name: "main", resources: { requests: { cpu: "4" } } }] } } },
  ];
  const create = (name: string, queue?: string): Promise<Workload> =>
    cluster.client.create(workloads, workload(name, { wallTimeSeconds: 600, podSets, queue }));
  const cancel = (name: string): Promise<Workload> =>
    cluster.client.patch<Workload>(
      workloads,
      name,
      { metadata: { annotations: { "berth.dev/cancel": "root" } } },
      { namespace },
    );
  // What others left has to be gone.
  await cancel("gang");
  await waitFor(cluster.client, ["gang"]);
  await create("victim", "yielding");
  await phaseIs("victim", "Running");
  const pod = "victim-main-0-a1";
  await create("needs");
  const [needs] = await waitFor(cluster.client, ["needs"], ({ status }) => status?.jobId !== undefined);
  const mark = `job/${needs!.status!.jobId}`;
  await wanted(pod, mark);
  // Its cores are nobody else's until its node says that it stands still, under another leader too.
  await again();
  await wanted(pod, mark);
  const waits = await cluster.client.get<Workload>(workloads, "needs", { namespace });
  assert.equal(waits.status?.phase, "Pending");
  await tell(pod, true, Date.now(), 0);
  await phaseIs("needs", "Running");
  const [victim] = await phaseIs("victim", "Suspended");
  const told = new Map(victim?.status?.conditions?.map(({ type, reason, message }) => [type, { reason, message }]));
  assert.equal(told.get("Suspended")?.reason, "Preempted");
  assert.equal(told.get("Preempted")?.message, `made room for job ${needs!.status!.jobId}`);

  await again();
  const { status } = await cluster.client.get<Explanation>(explanations, "victim", { namespace });
  assert.equal(status?.suspended?.job, needs!.status!.jobId);
  const ofNeeds = await cluster.client.get<Explanation>(explanations, "needs", { namespace });
  const wait = Date.parse(status!.suspended!.resumeTime!) - Date.parse(ofNeeds.status!.endTime!);
  assert.ok(wait >= 0 && wait < 60_000, String(wait));
  await wanted(pod, mark);
  await cancel("needs");
  await wanted(pod, "");
  await tell(pod, false, Date.now(), 40);
  await phaseIs("victim", "Running");

  // The other ends while nobody leads.
  await create("later");
  const [later] = await waitFor(cluster.client, ["later"], ({ status }) => status?.jobId !== undefined);
  await wanted(pod, `job/${later!.status!.jobId}`);
  await tell(pod, true, Date.now(), 40);
  await phaseIs("later", "Running");
  await controllers.stop();
  await cancel("later");
  controllers = await cluster.startControllers();
  await wanted(pod, "");
  await tell(pod, false, Date.now(), 60);
  await phaseIs("victim", "Running");

  // One that stands still and is cancelled is gone, and nobody waits for it.
  await create("last");
  const [last] = await waitFor(cluster.client, ["last"], ({ status }) => status?.jobId !== undefined);
  await wanted(pod, `job/${last!.status!.jobId}`);
  await tell(pod, true, Date.now(), 60);
  await phaseIs("last", "Running");
  await cancel("victim");
  const [ended] = await waitFor(cluster.client, ["victim"]);
  assert.equal(ended?.status?.phase, "Cancelled");
  const rows = await cluster.accounting.query({ jobs: [{ job: ended.status.jobId! }] });
  assert.deepEqual(
    rows.map(({ attempt, state }) => [attempt, state]),
    [[1, "Cancelled"]],
  );
  assert.ok(rows[0]!.suspendedSeconds! >= 60);
  await cancel("last");
  await waitFor(cluster.client, ["last"]);
  await controllers.stop();
});
