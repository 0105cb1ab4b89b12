import assert from "node:assert/strict";
import { test } from "node:test";
import { Informer, resources } from "@berth/client";
import type { Pod } from "@berth/kinds";
import { accountingFinalizer, isFinal, workloads } from "@berth/kinds";
import { startTestCluster, type TestCluster, waitFor } from "../test-cluster.test.ts";

function pod(name: string, cpu = "1"): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "ada" },
    spec: { restartPolicy: "Never", containers: [{ name: "main", image: "host", resources: { requests: { cpu } } }] },
  };
}

const create = (cluster: TestCluster, object: Pod): Promise<Pod> => cluster.client.create<Pod>(resources.pods, object);

/** Waits until the pods of ada satisfy a condition. */
async function podsUntil(cluster: TestCluster, holds: (pods: Pod[]) => boolean): Promise<Pod[]> {
  const ending = new AbortController();
  const { promise, resolve } = Promise.withResolvers<Pod[]>();
  const look = (): void =>
    queueMicrotask(() => {
      const all = informer.list();
      if (holds(all)) resolve(all);
    });
  const informer = new Informer<Pod>({
    client: cluster.client,
    resource: resources.pods,
    namespace: "ada",
    handlers: [{ add: look, update: look, delete: look }],
    signal: ending.signal,
  });
  await informer.synced;
  look();
  const found = await promise;
  ending.abort();
  return found;
}

const states = async (cluster: TestCluster): Promise<Record<string, string[]>> => {
  const found: Record<string, string[]> = {};
  for (const { name, attempt, state } of await cluster.accounting.query({ limit: 1000 })) {
    (found[name] ??= []).push(`${attempt} ${state}`);
  }
  return found;
};

async function rowOf(cluster: TestCluster, name: string): Promise<string[]> {
  for (;;) {
    const found = (await states(cluster))[name];
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("plain pods wait their turn, are bound, accounted and left where they are", { timeout: 600_000 }, async () => {
  const cluster = await startTestCluster();
  try {
    const node = await cluster.startNode({ cpus: 2, runMs: () => 30 });
    await cluster.startControllers();
    for (let at = 0; at < 6; at++) await create(cluster, pod(`p${at}`));
    const ended = await podsUntil(
      cluster,
      (all) => all.length === 6 && all.every(({ status }) => status?.phase === "Succeeded"),
    );
    assert.ok(node.mostAtOnce <= 2, `${node.mostAtOnce} ran at once on two cores`);
    const names = ended.map(({ metadata }) => `${metadata.name}-${metadata.uid!.slice(0, 8)}`);
    const done = await waitFor(cluster.client, names);
    assert.deepEqual(new Set(done.map(({ status }) => status?.identity?.user)), new Set(["ada"]));
    assert.deepEqual(
      Object.values(await states(cluster)),
      Array.from({ length: 6 }, () => ["1 Succeeded"]),
    );
    // Its Workload goes with the pod.
    await cluster.client.delete(resources.pods, "p0", { namespace: "ada" });
    for (;;) {
      const { items } = await cluster.client.list(workloads, { namespace: "ada" });
      if (items.length === 5) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } finally {
    await cluster.close();
  }
});

test(
  "deleting, cancelling and binding by hand end what waits or runs, in the words of each",
  { timeout: 600_000 },
  async () => {
    const cluster = await startTestCluster();
    try {
      await cluster.startNode({ cpus: 1, runMs: () => 60_000 });
      await cluster.startControllers();
      const { client } = cluster;
      const isRunning = (name: string) => (all: Pod[]) =>
        all.some(({ metadata, status }) => metadata.name === name && status?.phase === "Running");
      await create(cluster, pod("running"));
      await podsUntil(cluster, isRunning("running"));
      await create(cluster, pod("deleted"));
      const scheduled = (one: Pod): string | undefined =>
        one.status?.conditions?.find(({ type }) => type === "PodScheduled")?.reason;
      await podsUntil(cluster, (all) =>
        all.some((one) => one.metadata.name === "deleted" && scheduled(one) === "Unschedulable"),
      );
      await client.delete(resources.pods, "deleted", { namespace: "ada" });
      assert.deepEqual(await rowOf(cluster, "deleted"), ["0 Cancelled"]);

      const cancelled = await create(cluster, pod("cancelled"));
      const workload = `cancelled-${cancelled.metadata.uid!.slice(0, 8)}`;
      await waitFor(client, [workload], ({ status }) => status?.phase === "Pending");
      await client.patch(
        workloads,
        workload,
        { metadata: { annotations: { "berth.dev/cancel": "ada" } } },
        { namespace: "ada" },
      );
      const failed = (
        await podsUntil(cluster, (all) =>
          all.some(({ metadata, status }) => metadata.name === "cancelled" && status?.phase === "Failed"),
        )
      ).find(({ metadata }) => metadata.name === "cancelled");
      assert.equal(failed!.status?.reason, "Cancelled");

      const stolen = await create(cluster, pod("stolen"));
      await waitFor(
        client,
        [`stolen-${stolen.metadata.uid!.slice(0, 8)}`],
        ({ status }) => status?.phase === "Pending",
      );
      await client.request({
        method: "POST",
        path: "/api/v1/namespaces/ada/pods/stolen/binding",
        body: { apiVersion: "v1", kind: "Binding", metadata: { name: "stolen" }, target: { kind: "Node", name: "n1" } },
      });
      await podsUntil(cluster, isRunning("stolen"));
      assert.deepEqual(await rowOf(cluster, "stolen"), ["0 Cancelled"]);

      await client.delete(resources.pods, "running", { namespace: "ada" });
      assert.deepEqual(await rowOf(cluster, "running"), ["1 Cancelled"]);
      await assert.rejects(create(cluster, { ...pod("bad"), spec: { containers: [] } }));
      assert.deepEqual(
        cluster.logs.filter((line) => line.startsWith("error")),
        [],
      );
    } finally {
      await cluster.close();
    }
  },
);

test("controllers that die at any moment bind every pod once and account it once", { timeout: 600_000 }, async () => {
  const cluster = await startTestCluster();
  try {
    const node = await cluster.startNode({ cpus: 8, runMs: (one) => (one.metadata.name.length * 7) % 40 });
    let isDone = false;
    const restarting = (async () => {
      for (let pause = 17; !isDone; pause = (pause * 31) % 211) {
        const controllers = await cluster.startControllers();
        await new Promise((resolve) => setTimeout(resolve, 20 + pause));
        await controllers.stop();
      }
    })();
    const names = Array.from({ length: 40 }, (_, at) => `pod-${"x".repeat(at)}`);
    for (const name of names) await create(cluster, pod(`${name}-e`));
    await podsUntil(cluster, (all) => all.length === 40 && all.every(({ status }) => status?.phase === "Succeeded"));
    isDone = true;
    await restarting;
    const controllers = await cluster.startControllers();
    const { items } = await cluster.client.list(workloads, { namespace: "ada" });
    await waitFor(
      cluster.client,
      items.map(({ metadata }) => metadata.name),
      ({ status }) => isFinal(status?.phase),
    );
    await controllers.stop();
    assert.equal(items.length, 40);
    for (const [name, count] of node.begun) assert.equal(count, 1, `${name} was begun ${count} times`);
    assert.deepEqual(
      Object.values(await states(cluster)),
      Array.from({ length: 40 }, () => ["1 Succeeded"]),
    );
    const pods = await cluster.client.list<Pod>(resources.pods, { namespace: "ada" });
    for (const { metadata } of pods.items)
      assert.equal(metadata.finalizers?.includes(accountingFinalizer) ?? false, false);
    assert.deepEqual(
      cluster.logs.filter((line) => line.startsWith("error")),
      [],
    );
  } finally {
    await cluster.close();
  }
});
