import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { resources } from "@berth/client";
import type { Pod, PodSet, Workload } from "@berth/kinds";
import { annotations, sites, workloads } from "@berth/kinds";
import { startTestCluster, type TestCluster, waitFor, waitUntil, workload } from "./test-cluster.test.ts";

/** Two racks of two nodes; in rack b each has two GPUs and two NUMA domains. */
let cluster: TestCluster;
let controllers: { stop(): Promise<void> };
const rackLabel = "example.com/rack";
const gpu = "nvidia.com/gpu";
const numaDomains = JSON.stringify([
  { id: 0, cores: "0-1", memory: "4Gi", devices: { [gpu]: [0] } },
  { id: 1, cores: "2-3", memory: "4Gi", devices: { [gpu]: [1] } },
]);

before(async () => {
  cluster = await startTestCluster();
  for (const rack of ["a", "b"]) {
    for (const index of [1, 2]) {
      const own =
        rack === "b" ? { allocatable: { [gpu]: "2" }, annotations: { [annotations.numaDomains]: numaDomains } } : {};
      await cluster.startNode({
        name: `${rack}${index}`,
        labels: { [rackLabel]: rack },
        runMs: (pod) => Number(pod.metadata.labels?.["run-ms"] ?? 60_000),
        ...own,
      });
    }
  }
  await cluster.client.patch(sites, "site", {
    spec: { topology: { levels: [rackLabel] }, licences: { matlab: 2 } },
  });
  controllers = await cluster.startControllers();
});
after(async () => {
  await cluster.close();
  assert.deepEqual(cluster.logs, []);
});

interface Asked {
  count?: number;
  requests?: Record<string, string>;
  labels?: Record<string, string>;
  pod?: Record<string, unknown>;
}

function podSet({ count = 1, requests = { cpu: "1" }, labels, pod }: Asked): PodSet[] {
  const template = { metadata: { labels }, spec: { containers: [{ name: "main", resources: { requests } }], ...pod } };
  return [{ name: "main", role: "Driver", count, template }];
}

async function submit(name: string, asked: Asked, spec: Partial<Workload["spec"]> = {}): Promise<void> {
  const object = workload(name, { podSets: podSet(asked), wallTimeSeconds: 600, ...spec });
  await cluster.client.create(workloads, object);
}

async function podsOf(name: string): Promise<Pod[]> {
  await waitFor(cluster.client, [name], ({ status }) => status?.phase === "Running");
  const { items } = await cluster.client.list<Pod>(resources.pods, { namespace: "ada" });
  return items.filter(({ metadata }) => metadata.labels?.["berth.dev/workload"] === name);
}
const nodesOf = async (name: string): Promise<string[]> =>
  (await podsOf(name)).map(({ spec }) => spec.nodeName!).sort();
const grantOf = (pod: Pod | undefined): unknown => JSON.parse(pod?.metadata.annotations?.[annotations.grant] ?? "null");

async function waits(name: string): Promise<[string | undefined, string | undefined]> {
  const [found] = await waitFor(cluster.client, [name], ({ status }) => status?.message !== undefined);
  return [found?.status?.reason, found?.status?.message];
}

async function cancel(...names: string[]): Promise<void> {
  for (const name of names) {
    await cluster.client.patch(
      workloads,
      name,
      { metadata: { annotations: { [annotations.cancel]: `ada ${new Date().toISOString()}` } } },
      { namespace: "ada" },
    );
  }
  await waitFor(cluster.client, names);
}

test("a gang that requires one rack is in one, and says which has room when it waits", async () => {
  await submit("rack", { count: 6 }, { placement: { requiredTopology: rackLabel } });
  const racks = new Set((await nodesOf("rack")).map((name) => name[0]));
  assert.equal(racks.size, 1);
  await submit("wide", { count: 7 }, { placement: { requiredTopology: rackLabel, policy: "Pack" } });
  const other = racks.has("a") ? "b" : "a";
  assert.ok((await nodesOf("wide")).every((name) => name.startsWith(other)));
  await submit("late", { count: 3 }, { placement: { requiredTopology: rackLabel } });
  const [reason, message] = await waits("late");
  assert.equal(reason, "Resources");
  assert.match(message!, /needs room for 3 pods in one domain of example.com\/rack; [ab] has room for 2 now/);
  await submit("never", { count: 9 }, { placement: { requiredTopology: rackLabel } });
  assert.match((await waits("never"))[1]!, /no domain of example.com\/rack could hold its 9 pods even if empty/);
  await cancel("rack", "wide", "late", "never");
});

test("parts of a GPU share one device and leave the others whole; whole ones are told by their ids; a new leader knows them", async () => {
  await submit("half", { requests: { cpu: "1", "berth.dev/gpu-milli": "500" } });
  const [half] = await podsOf("half");
  assert.deepEqual(grantOf(half), { devices: [{ resource: gpu, ids: [0], amount: 500 }] });
  await controllers.stop();
  controllers = await cluster.startControllers();
  await submit("third", { requests: { cpu: "1", "berth.dev/gpu-milli": "300" } });
  const [third] = await podsOf("third");
  assert.equal(third?.spec.nodeName, half?.spec.nodeName);
  assert.deepEqual(grantOf(third), { devices: [{ resource: gpu, ids: [0], amount: 300 }] });
  await submit("three", { count: 3, requests: { cpu: "1", [gpu]: "1" } });
  const whole = (await podsOf("three")).map((pod) => {
    const [device] = (grantOf(pod) as { devices: { ids: number[] }[] }).devices;
    return `${pod.spec.nodeName}/${device!.ids.join()}`;
  });
  assert.equal(new Set(whole).size, 3);
  assert.ok(!whole.includes(`${half?.spec.nodeName}/0`));
  await submit("waits", { requests: { cpu: "1", "berth.dev/gpu-milli": "600" } });
  assert.match(
    (await waits("waits"))[1]!,
    /needs 0.6 nvidia.com\/gpu of one device; at most 0.2 nvidia.com\/gpu is free/,
  );
  await cancel("half", "third", "three", "waits");
});

test("Numa: cores, memory and GPU of one domain, told on the pod", async () => {
  const numa = { placement: { topology: "Numa" as const } };
  await submit("numa", { count: 2, requests: { cpu: "2", memory: "3Gi", [gpu]: "1" } }, numa);
  const found = (await podsOf("numa")).map((pod) => grantOf(pod)) as {
    numa: number;
    cores: number[];
    devices: { ids: number[] }[];
  }[];
  for (const grant of found) {
    assert.deepEqual(grant.cores, grant.numa === 0 ? [0, 1] : [2, 3]);
    assert.deepEqual(grant.devices[0]!.ids, [grant.numa]);
  }
  await submit("large", { requests: { cpu: "3" } }, numa);
  assert.match((await waits("large"))[1]!, /tells a NUMA domain that could hold a pod of it/);
  await cancel("numa", "large");
});

test("anti-affinity, affinity and spread hold between jobs and against pods of others", async () => {
  const self = { labelSelector: { matchLabels: { app: "x" } } };
  const apart = {
    affinity: {
      podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ ...self, topologyKey: rackLabel }] },
    },
  };
  const foreign = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "foreign", namespace: "ada", labels: { app: "x" } },
    spec: { nodeName: "a1", schedulerName: "other", containers: [{ name: "main", image: "host" }] },
  };
  await cluster.client.create(resources.pods, foreign);
  await submit("first", { labels: { app: "x" }, pod: apart });
  assert.match((await nodesOf("first"))[0]!, /^b/);
  await submit("second", { labels: { app: "x" }, pod: apart });
  const [reason, message] = await waits("second");
  assert.equal(reason, "Resources");
  assert.match(message!, /affinity, anti-affinity, spread/);
  const beside = {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchLabels: { app: "y" } }, topologyKey: rackLabel },
        ],
      },
    },
  };
  await submit("beside", { pod: beside });
  assert.equal((await waits("beside"))[0], "PodAffinity");
  await submit("y", { labels: { app: "y" }, pod: { nodeSelector: { [rackLabel]: "a" } } });
  assert.match((await nodesOf("beside"))[0]!, /^a/);
  await cancel("first", "second", "beside", "y");
  const spread = [
    {
      maxSkew: 1,
      topologyKey: rackLabel,
      whenUnsatisfiable: "DoNotSchedule",
      labelSelector: { matchLabels: { app: "z" } },
    },
  ];
  await submit("spread", { count: 4, labels: { app: "z" }, pod: { topologySpreadConstraints: spread } });
  assert.deepEqual(
    (await nodesOf("spread")).map((name) => name[0]),
    ["a", "a", "b", "b"],
  );
  await cancel("spread");
});

test("licences are of the whole cluster", async () => {
  await submit("two", {}, { licences: { matlab: 2 } });
  await podsOf("two");
  await submit("one", {}, { licences: { matlab: 1 } });
  assert.deepEqual((await waits("one"))[0], "Licenses");
  assert.match((await waits("one"))[1]!, /needs 1 of licence matlab; 0 of 2 are free/);
  await submit("many", {}, { licences: { matlab: 3 } });
  const [many] = await waitFor(cluster.client, ["many"]);
  assert.match(many!.status!.message!, /needs 3 of licence matlab; the cluster has 2/);
  await cancel("two");
  await podsOf("one");
  await cancel("one");
});

test("what is not understood of rules is refused in words", async () => {
  const term = (more: object): object => ({
    topologyKey: rackLabel,
    labelSelector: { matchLabels: { app: "x" } },
    ...more,
  });
  const cases: [string, Record<string, unknown>, RegExp][] = [
    [
      "selector",
      { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term({ labelSelector: {} })] } } },
      /must name a label/,
    ],
    [
      "namespaces",
      {
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [term({ namespaceSelector: { matchLabels: { a: "b" } } })],
          },
        },
      },
      /list namespaces/,
    ],
    [
      "label",
      {
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: rackLabel,
            whenUnsatisfiable: "DoNotSchedule",
            labelSelector: { matchLabels: { "berth.dev/job-id": "1" } },
          },
        ],
      },
      /label of your own/,
    ],
  ];
  for (const [name, pod, words] of cases) {
    await submit(name, { pod });
    const [found] = await waitFor(cluster.client, [name]);
    assert.match(`${found?.status?.reason} ${found?.status?.message}`, words);
  }
  await submit("parts", { requests: { cpu: "1", "berth.dev/gpu-milli": "1500" } });
  assert.match((await waitFor(cluster.client, ["parts"]))[0]!.status!.message!, /at most 1000/);
});

test("a plain pod keeps to rules, and others keep to it", async () => {
  const antiAffinity = {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { labelSelector: { matchLabels: { app: "plain" } }, topologyKey: rackLabel },
      ],
    },
  };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "plain", namespace: "ada", labels: { app: "plain" } },
    spec: {
      schedulerName: "berth",
      restartPolicy: "Never",
      affinity: antiAffinity,
      containers: [{ name: "main", image: "host", resources: { requests: { cpu: "1" } } }],
    },
  };
  await cluster.client.create(resources.pods, pod);
  const place = await waitUntil(
    async () => (await cluster.client.get<Pod>(resources.pods, "plain", { namespace: "ada" })).spec.nodeName,
    (node) => node !== undefined,
  );
  await submit("away", { labels: { app: "plain" } });
  assert.notEqual((await nodesOf("away"))[0]![0], place![0]);
  await cancel("away");
});
