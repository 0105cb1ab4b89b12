/**
 * The control plane alone, on simulated nodes: `node bench/simulated.ts [--nodes 3000] [--pods 30000] [--tasks 1000000] [--seconds 0.1]`.
 *
 * Three loads, each on a fresh embedded cluster: one Workload of PODS pods; PODS Workloads of one pod; one array of TASKS tasks of
 * which a random 30 % fail, each SECONDS long. Launches and API writes a second, writes a launch, peak memory of the processes. `--shape` runs one.
 */
import { readFileSync } from "node:fs";
import { get } from "node:https";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createClient, loadKubeconfig } from "@berth/client";
import type { Client, ConnectionOptions } from "@berth/client";
import { annotations, apiVersion, group, isFinal, siteName, version } from "@berth/kinds";
import type { PodSet, Workload } from "@berth/kinds";
import { nodeProcesses, startCluster } from "../test/support/berth.ts";
import type { TestCluster } from "../test/support/berth.ts";

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "3000" },
    pods: { type: "string", default: "30000" },
    tasks: { type: "string", default: "1000000" },
    seconds: { type: "string", default: "0.1" },
    shape: { type: "string" },
  },
});
const workloads = { group, version, resource: "workloads", namespaced: true };
const sites = { group, version, resource: "sites", namespaced: false };
const user = userInfo().username;
const namespace = "bench";

function podSet(count: number, runSeconds: number, failureRatio = 0): PodSet {
  return {
    name: "main",
    role: "Driver",
    count,
    template: {
      metadata: {
        annotations: {
          [annotations.simulatedRunSeconds]: String(runSeconds),
          [annotations.simulatedFailureRatio]: String(failureRatio),
        },
      },
      spec: {
        // The cluster's one real node takes no part.
        nodeSelector: { "berth.dev/driver": "simulated" },
        restartPolicy: "Never",
        containers: [
          { name: "main", image: "host", command: ["true"], resources: { requests: { cpu: "1", memory: "64Mi" } } },
        ],
      },
    },
  };
}

function workload(name: string, sets: PodSet[], array?: string): Workload {
  return {
    apiVersion,
    kind: "Workload",
    metadata: { name, namespace },
    spec: {
      type: "Batch",
      user,
      wallTimeSeconds: 3600,
      podSets: sets,
      ...(array ? { array: { indices: array } } : {}),
    },
  };
}

/** Writes that the store has made durable, as the server counts them. */
function writes(connection: ConnectionOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${connection.token}` };
    get(new URL("/metrics", connection.server), { ca: connection.ca, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => {
        const found = /^apiserver_storage_writes_total (\d+)/m.exec(text);
        if (found) resolve(Number(found[1]));
        else reject(new Error("the server does not count its writes"));
      });
    }).on("error", reject);
  });
}

function peakMebibytes(cluster: TestCluster): number[] {
  return nodeProcesses(cluster.data).map((pid) =>
    Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024),
  );
}

interface Figures {
  launches: number;
  seconds: number;
  launchesPerSecond: number;
  writesPerSecond: number;
  writesPerLaunch: number;
  peakMebibytes: number[];
  [more: string]: unknown;
}

async function measure(
  nodes: number,
  launches: number,
  load: (client: Client) => Promise<() => Promise<boolean>>,
  more: (client: Client) => Promise<object> = async () => ({}),
): Promise<Figures> {
  await using cluster = await startCluster({ flags: ["--nodes", "1", "--simulated-nodes", String(nodes)] });
  const context = loadKubeconfig({ path: join(cluster.data, "admin.kubeconfig") });
  const client = createClient(context.connection);
  await client.create(
    { group: "", version: "v1", resource: "namespaces", namespaced: false },
    {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, annotations: { [annotations.owner]: user } },
    },
  );
  await client.patch(sites, siteName, { spec: { maxJobsPerUser: 2_000_000 } });
  const before = await writes(context.connection);
  const began = performance.now();
  const done = await load(client);
  while (!(await done())) await pause(250);
  const seconds = (performance.now() - began) / 1000;
  const written = (await writes(context.connection)) - before;
  await refuseRefusals(client);
  const figures = {
    launches,
    seconds: Number(seconds.toFixed(1)),
    launchesPerSecond: Math.round(launches / seconds),
    writesPerSecond: Math.round(written / seconds),
    writesPerLaunch: Number((written / launches).toFixed(2)),
    peakMebibytes: peakMebibytes(cluster),
    ...(await more(client)),
  };
  client.close();
  return figures;
}

/** A Workload that was refused has launched nothing: figures of it would mislead. */
async function refuseRefusals(client: Client): Promise<void> {
  const { items } = await client.list<Workload>(workloads, { namespace, limit: 1 });
  const refusal = items[0]?.status?.conditions?.find(({ type, status }) => type === "Admitted" && status === "False");
  if (refusal) throw new Error(`refused: ${refusal.message}`);
}

const nodes = Number(values.nodes);
const pods = Number(values.pods);
const tasks = Number(values.tasks);

async function read(client: Client, name: string): Promise<Workload> {
  return client.get<Workload>(workloads, name, { namespace });
}

const shapes: Record<string, () => Promise<Figures>> = {
  oneWorkload: () =>
    measure(nodes, pods, async (client) => {
      await client.create(workloads, workload("gang", [podSet(pods, 1)]), { namespace });
      return async () => isFinal((await read(client, "gang")).status?.phase);
    }),
  manyWorkloads: () =>
    measure(nodes, pods, async (client) => {
      let next = 0;
      const submit = async (): Promise<void> => {
        while (next < pods) await client.create(workloads, workload(`single-${next++}`, [podSet(1, 1)]), { namespace });
      };
      await Promise.all(Array.from({ length: 32 }, submit));
      return async () =>
        isFinal((await read(client, `single-${pods - 1}`)).status?.phase) && (await unfinished(client)) === 0;
    }),
  array: () =>
    measure(
      nodes,
      tasks,
      async (client) => {
        await client.create(workloads, workload("array", [podSet(1, Number(values.seconds), 0.3)], `0-${tasks - 1}`), {
          namespace,
        });
        return async () => isFinal((await read(client, "array")).status?.phase);
      },
      async (client) => ({ objectBytes: JSON.stringify(await read(client, "array")).length }),
    ),
};

async function unfinished(client: Client): Promise<number> {
  const list = await client.listAll<Workload>(workloads, { namespace });
  return list.items.filter((item) => !isFinal(item.status?.phase)).length;
}

const chosen = values.shape ? [values.shape] : Object.keys(shapes);
const results: Record<string, Figures> = {};
for (const name of chosen) {
  const shape = shapes[name];
  if (!shape) throw new Error(`no shape ${name}; there are ${Object.keys(shapes).join(", ")}`);
  results[name] = await shape();
}
console.log(JSON.stringify({ nodes, ...results }, null, 2));
