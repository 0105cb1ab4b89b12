import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type AnyObject, type Client, isReason, resources } from "@berth/client";
import type { Pod, Workload } from "@berth/kinds";
import { annotations, isFinal, labels, workloads } from "@berth/kinds";
import { startTestCluster, type TestCluster, type TestNode, waitUntil } from "../test-cluster.test.ts";
import { coschedulingGroups, volcanoGroups } from "../../../../test/support/group-kinds.ts";
import { groupForms, type GroupObject } from "./group.ts";

let cluster: TestCluster;
let client: Client;
let node: TestNode;
const runs = new Map<string, number>();
before(async () => {
  cluster = await startTestCluster();
  ({ client } = cluster);
  for (const kind of [coschedulingGroups, volcanoGroups])
    await client.create(resources.customResourceDefinitions, kind);
  node = await cluster.startNode({ cpus: 4, runMs: ({ metadata: { name } }) => runs.get(name) ?? 20 });
  await cluster.startControllers();
});
after(() => cluster.close());

const [coscheduling, volcano] = ["PodGroup.scheduling.x-k8s.io", "PodGroup.scheduling.volcano.sh"].map(
  (name) => groupForms[name]!.resource,
) as [(typeof groupForms)[string]["resource"], (typeof groupForms)[string]["resource"]];

const group = (of: typeof coscheduling, name: string, spec: object, metadata: object = {}): Promise<AnyObject> =>
  waitUntil(
    () =>
      client
        .create(of, {
          apiVersion: `${of.group}/${of.version}`,
          kind: of.kind,
          metadata: { name, namespace: "ada", ...metadata },
          spec,
        } as AnyObject)
        .catch((error: unknown) => {
          // The kind was made a moment ago.
          if (isReason(error, "NotFound")) return undefined as unknown as AnyObject;
          throw error;
        }),
    (made) => made !== undefined,
  );
const groupOf = (of: typeof coscheduling, name: string): Promise<GroupObject> =>
  client.get<GroupObject>(of, name, { namespace: "ada" });

function pod(name: string, metadata: object, cpu = "1", schedulerName?: string): Promise<Pod> {
  return client.create<Pod>(resources.pods, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "ada", ...metadata },
    spec: {
      ...(schedulerName === undefined ? {} : { schedulerName }),
      restartPolicy: "Never",
      containers: [{ name: "main", image: "host", resources: { requests: { cpu } } }],
    },
  });
}
const inCoscheduling = (name: string) => ({ labels: { "scheduling.x-k8s.io/pod-group": name } });
const inVolcano = (name: string, more: object = {}) => ({
  annotations: { "scheduling.k8s.io/group-name": name, ...more },
});
const podOf = (name: string): Promise<Pod> => client.get<Pod>(resources.pods, name, { namespace: "ada" });
const words = async (name: string): Promise<string> =>
  (await podOf(name)).status?.conditions?.find(({ type }) => type === "PodScheduled")?.message ?? "";
const workloadsOf = async (host: string): Promise<Workload[]> =>
  (await client.listAll<Workload>(workloads, { namespace: "ada" })).items.filter(
    ({ metadata }) => metadata.annotations?.[annotations.podsOf] === host,
  );
const ended = (host: string): Promise<Workload[]> =>
  waitUntil(
    () => workloadsOf(host),
    (found) => found.length > 0 && found.every(({ status }) => isFinal(status?.phase)),
  );

test("pods of a group wait for each other, begin together and are one job", async () => {
  await group(coscheduling, "trio", { minMember: 3 });
  await pod("trio-0", inCoscheduling("trio"));
  await pod("trio-1", inCoscheduling("trio"));
  await waitUntil(
    () => words("trio-1"),
    (text) => text === "waits until PodGroup trio has 3 pods",
  );
  assert.equal((await groupOf(coscheduling, "trio")).status?.phase, "Pending");
  for (const name of ["trio-0", "trio-1", "trio-2", "trio-3"]) runs.set(name, 1500);
  await pod("trio-2", inCoscheduling("trio"));
  await waitUntil(
    async () => (await groupOf(coscheduling, "trio")).status,
    (status) => status?.phase === "Running" && status.running === 3,
  );
  // One more than it needs waits for a node by itself.
  await pod("trio-3", inCoscheduling("trio"));
  const [one, ...others] = await ended("PodGroup.scheduling.x-k8s.io/trio");
  assert.deepEqual(others, []);
  assert.equal(one!.status?.phase, "Succeeded");
  assert.deepEqual(
    one!.spec.podSets.map(({ count }) => count),
    [3],
  );
  const lone = await waitUntil(
    () => podOf("trio-3"),
    ({ status }) => status?.phase === "Succeeded",
  );
  assert.match(lone.metadata.labels![labels.workload]!, /^trio-3-/);
  const status = await waitUntil(
    async () => (await groupOf(coscheduling, "trio")).status,
    (told) => told?.succeeded === 4,
  );
  assert.equal(status?.phase, "Finished");
  assert.notEqual(status?.scheduleStartTime, undefined);
  const rows = await cluster.accounting.query({ limit: 1000 });
  assert.deepEqual(
    rows.filter(({ workloadUid }) => workloadUid === one!.metadata.uid).map(({ attempt, state }) => [attempt, state]),
    [[1, "Succeeded"]],
  );
});

test("a gang that does not fit waits whole; Volcano's tasks each have their number", async () => {
  await group(volcano, "pair", { minMember: 2, minTaskMember: { ps: 1, worker: 1 }, queue: "default" });
  const task = (name: string) => inVolcano("pair", { "volcano.sh/task-spec": name });
  runs.set("blocker", 60_000);
  await pod("blocker", {}, "2");
  await waitUntil(
    () => podOf("blocker"),
    ({ status }) => status?.phase === "Running",
  );
  await pod("pair-w0", task("worker"), "1");
  await pod("pair-w1", task("worker"), "1");
  await waitUntil(
    () => words("pair-w1"),
    (text) => text === "waits until PodGroup pair has 2 pods, among them 1 of task ps, 1 of task worker",
  );
  await pod("pair-ps", task("ps"), "2");
  await waitUntil(
    () => words("pair-ps"),
    (text) => text !== "" && !text.startsWith("waits until"),
  );
  assert.equal((await podOf("pair-w0")).spec.nodeName, undefined);
  const waiting = await waitUntil(
    async () => (await groupOf(volcano, "pair")).status,
    (status) => status?.conditions?.[0]?.reason === "NotEnoughResources",
  );
  assert.equal(waiting?.phase, "Inqueue");
  assert.deepEqual(
    waiting?.conditions?.map(({ type }) => type),
    ["Unschedulable"],
  );
  await client.delete(resources.pods, "blocker", { namespace: "ada" });
  const [one] = await ended("PodGroup.scheduling.volcano.sh/pair");
  assert.equal(one!.status?.phase, "Succeeded");
  assert.equal(one!.spec.podSets.length, 2);
  const status = await waitUntil(
    async () => (await groupOf(volcano, "pair")).status,
    (told) => told?.phase === "Completed",
  );
  assert.equal(status?.succeeded, 3);
});

test("a group that loses a pod before its start waits for another; one that is cancelled tells its pods", async () => {
  await group(coscheduling, "thin", { minMember: 2 });
  runs.set("wall", 60_000);
  await pod("wall", {}, "4");
  await waitUntil(
    () => podOf("wall"),
    ({ status }) => status?.phase === "Running",
  );
  for (const name of ["thin-0", "thin-1"]) await pod(name, inCoscheduling("thin"));
  const host = "PodGroup.scheduling.x-k8s.io/thin";
  await waitUntil(
    () => workloadsOf(host),
    ([found]) => found?.status?.phase === "Pending",
  );
  await client.delete(resources.pods, "thin-0", { namespace: "ada" });
  await ended(host);
  await waitUntil(
    () => words("thin-1"),
    (text) => text === "waits until PodGroup thin has 2 pods",
  );
  await pod("thin-2", inCoscheduling("thin"));
  const again = await waitUntil(
    () => workloadsOf(host),
    (found) => found.some(({ status }) => status?.phase === "Pending"),
  );
  const current = again.find(({ status }) => status?.phase === "Pending")!;
  await client.patch(
    workloads,
    current.metadata.name,
    { metadata: { annotations: { [annotations.cancel]: "ada" } } },
    { namespace: "ada" },
  );
  for (const name of ["thin-1", "thin-2"]) {
    const failed = await waitUntil(
      () => podOf(name),
      ({ status }) => status?.phase === "Failed",
    );
    assert.equal(failed.status?.reason, "Cancelled");
  }
  await client.delete(resources.pods, "wall", { namespace: "ada" });
});

test("pods of a group that is not there, or asks for what is not done, are told so", async () => {
  await pod("lost", inCoscheduling("nowhere"));
  await waitUntil(
    () => words("lost"),
    (text) => text === "waits for PodGroup nowhere of scheduling.x-k8s.io, which is not there in namespace ada",
  );
  // Where Volcano runs, its pods and their groups are Volcano's.
  await group(volcano, "theirs", { minMember: 1 });
  await pod("theirs-0", inVolcano("theirs"), "1", "volcano");
  await group(volcano, "wide", { minMember: 1, networkTopology: { mode: "hard" } });
  await pod("wide-0", inVolcano("wide"));
  await waitUntil(
    () => words("wide-0"),
    (text) => text === "PodGroup wide: spec.networkTopology is not supported; leave it out",
  );
  assert.deepEqual(
    [
      (await groupOf(volcano, "theirs")).status,
      await words("theirs-0"),
      (await workloadsOf("PodGroup.scheduling.volcano.sh/theirs")).length,
    ],
    [undefined, "", 0],
  );
  await group(coscheduling, "nowhere", { minMember: 1 });
  await waitUntil(
    () => podOf("lost"),
    ({ status }) => status?.phase === "Succeeded",
  );
});

test("whoever leads next goes on with a gang that runs, and starts nothing twice", async () => {
  await group(coscheduling, "long", { minMember: 2 });
  for (const name of ["long-0", "long-1"]) {
    runs.set(name, 1500);
    await pod(name, inCoscheduling("long"));
  }
  const host = "PodGroup.scheduling.x-k8s.io/long";
  await waitUntil(
    () => workloadsOf(host),
    ([found]) => found?.status?.phase === "Running",
  );
  // A second leader on the same objects, as after a death that nobody saw.
  const again = await cluster.startControllers();
  const [one] = await ended(host);
  assert.deepEqual([one!.status?.phase, one!.status?.attempts], ["Succeeded", 1]);
  for (const name of ["long-0", "long-1"]) assert.equal(node.begun.get(name), 1);
  await again.stop();
});
