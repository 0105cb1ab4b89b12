/**
 * Launching on a real control plane with simulated nodes: `node bench/kube-launch.ts [--nodes 100] [--pods 500] [--singles 0]`.
 *
 * In one run, beside each other: one Workload whose array has PODS elements; stock Kubernetes, one indexed Job of as many pods with
 * kube-scheduler, the limits of its clients raised; and the raw limit of the API, a loop that writes the bound pods. With SINGLES
 * also so many Workloads of one pod, as many Jobs, and a loop that writes Workload, status and pod. What counts is the time from the
 * first request until a watcher has seen the last pod with its node. Prints JSON; needs `npm run kube -- build` once.
 */
import { readFileSync } from "node:fs";
import { get } from "node:https";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type AnyObject, Informer, loadKubeconfig, resources } from "@berth/client";
import { annotations, apiVersion, type Pod, type PodTemplate, type Workload, workloads } from "@berth/kinds";
import { person, startBerth, type BerthOnKube } from "../test/kube/berth.ts";
import { startControlPlane, type ControlPlane } from "../test/kube/control-plane.ts";
import { startKwok } from "../test/kube/kwok.ts";

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "100" },
    pods: { type: "string", default: "500" },
    singles: { type: "string", default: "0" },
  },
});
const count = Number(values.pods);
const singles = Number(values.singles);
const nodeCount = Number(values.nodes);
const image = "localhost/none:1";
/** Writers of the raw loops. */
const writers = 32;

const template: PodTemplate = {
  metadata: { annotations: { [annotations.simulatedRunSeconds]: "100000" } },
  spec: {
    restartPolicy: "Never",
    automountServiceAccountToken: false,
    containers: [{ name: "main", image, command: ["true"], resources: { requests: { cpu: "1", memory: "64Mi" } } }],
  },
};

const leaseSeconds = 600;
await using plane = await startControlPlane({
  controllerManagerFlags: [`--node-monitor-grace-period=${leaseSeconds * 2}s`],
});
const { client } = plane;
await startKwok(plane, { nodes: nodeCount, leaseSeconds });
await using berth = await startBerth(plane, { image });
const namespaces = { berth: person.name, stock: "stock", raw: "raw" };
for (const name of [namespaces.stock, namespaces.raw])
  await client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
await client.create(resources.namespaces, {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: namespaces.berth, annotations: { [annotations.owner]: person.name } },
});
for (const namespace of Object.values(namespaces)) {
  while (
    !(await client.get(resources.serviceAccounts, "default", { namespace }).then(
      () => true,
      () => false,
    ))
  )
    await pause(200);
}

/** Seconds until `wanted` pods of the namespace have been seen with a node. */
async function launched(namespace: string, wanted: number, begin: () => Promise<void>): Promise<number> {
  const ending = new AbortController();
  const bound = new Set<string>();
  const done = Promise.withResolvers<void>();
  const look = ({ metadata, spec }: Pod): void => {
    if (spec.nodeName === undefined) return;
    bound.add(metadata.name);
    if (bound.size >= wanted) done.resolve();
  };
  const informer = new Informer<Pod>({
    client,
    resource: resources.pods,
    namespace,
    handlers: [{ add: look, update: look }],
    signal: ending.signal,
  });
  await informer.synced;
  const began = performance.now();
  await begin();
  await done.promise;
  ending.abort();
  return (performance.now() - began) / 1000;
}

/** Removes what was launched, and waits until nothing is left. */
async function clear(namespace: string, remove: () => Promise<unknown>): Promise<void> {
  await remove();
  for (;;) {
    const { items } = await client.list(resources.pods, { namespace, limit: 1 });
    if (items.length === 0) break;
    await pause(500);
  }
  await pause(2000);
}

async function each(number: number, write: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: writers }, async () => {
      while (next < number) await write(next++);
    }),
  );
}

/** What it cost the controllers of Berth so far, by their own count: writes, and milliseconds of CPU. */
async function costOf(of: BerthOnKube): Promise<{ writes: number; cpu: number }> {
  const text = await (await fetch(`${of.first.health}/metrics`)).text();
  const found = text.matchAll(/^berth_api_requests_total\{method="(?:POST|PUT|PATCH)",code="2\d\d"\} (\d+)$/gm);
  const writes = [...found].reduce((sum, [, value]) => sum + Number(value), 0);
  return { writes, cpu: Number(/^process_cpu_seconds_total ([\d.]+)$/m.exec(text)?.[1]) * 1000 };
}

async function costsEach(what: string, number: number, before: { writes: number; cpu: number }): Promise<void> {
  const { writes, cpu } = await costOf(berth);
  figures[`${what}_writes_per_launch`] = Number(((writes - before.writes) / number).toFixed(2));
  figures[`${what}_cpu_ms_per_launch`] = Number(((cpu - before.cpu) / number).toFixed(2));
}

/** Writes to pods and Jobs that the API server counted, but for those of the nodes. */
async function stockWrites(): Promise<number> {
  const prefix = "apiserver_request_total{";
  const text = await serverMetrics();
  let sum = 0;
  for (const line of text.split("\n")) {
    if (!line.startsWith(prefix)) continue;
    const label = (name: string): string => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? "";
    const isWrite = ["POST", "PUT", "PATCH", "APPLY"].includes(label("verb")) && label("code").startsWith("2");
    const isNodes = label("resource") === "pods" && label("subresource") === "status";
    if (isWrite && !isNodes && ["pods", "jobs", "events"].includes(label("resource")))
      sum += Number(line.split(" ").at(-1));
  }
  return sum;
}

/** Text, which the client, who reads JSON, does not take. */
function serverMetrics(): Promise<string> {
  const { server, ca, cert, key } = loadKubeconfig({ path: plane.kubeconfig }).connection;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get(new URL("/metrics", server), { ca, cert, key, agent: false }, (response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (part: string) => (text += part));
    response.on("end", () => resolve(text));
  }).on("error", reject);
  return promise;
}

function residentMebibytes(cluster: ControlPlane): Record<string, number> {
  const sizes: Record<string, number> = {};
  const names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"];
  const pids = names.map((name) => [name, cluster.processes.pid(name)] as const);
  for (const [name, pid] of [...pids, ["berth", berth.first.pid] as const]) {
    if (pid === undefined) continue;
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    sizes[name] = Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024);
  }
  return sizes;
}

function workload(name: string, array?: string): Workload {
  return {
    apiVersion,
    kind: "Workload",
    metadata: { name, namespace: namespaces.berth },
    spec: {
      type: "Batch",
      user: person.name,
      wallTimeSeconds: 86_400,
      podSets: [{ name: "main", role: "Driver", count: 1, template }],
      ...(array === undefined ? {} : { array: { indices: array } }),
    },
  };
}

function job(name: string, completions: number): AnyObject {
  const spec = { completions, parallelism: completions, completionMode: "Indexed", template };
  return { apiVersion: "batch/v1", kind: "Job", metadata: { name, namespace: namespaces.stock }, spec } as AnyObject;
}

function boundPod(name: string): Pod {
  const node = `kwok-${Number(/\d+$/.exec(name)?.[0]) % nodeCount}`;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: namespaces.raw, annotations: template.metadata!.annotations! },
    spec: { ...template.spec, nodeName: node },
  };
}

const removeWorkloads = (): Promise<unknown> =>
  client.deleteCollection(workloads, { namespace: namespaces.berth, propagationPolicy: "Background" });
const removeJobs = (): Promise<unknown> =>
  client.deleteCollection(resources.jobs, { namespace: namespaces.stock, propagationPolicy: "Background" });
const removePods = (): Promise<unknown> =>
  client.deleteCollection(resources.pods, { namespace: namespaces.raw, gracePeriodSeconds: 0 });

const figures: Record<string, unknown> = { nodes: nodeCount, pods: count };
const rate = (number: number, seconds: number): number => Number((number / seconds).toFixed(1));

/** Once unmeasured: connections, caches and compiled code of all of them are warm. */
async function round(isMeasured: boolean, number: number): Promise<void> {
  const before = await costOf(berth);
  const array = await launched(namespaces.berth, number, async () => {
    await client.create(workloads, workload("array", `0-${number - 1}`));
  });
  if (isMeasured) {
    figures["array_hz"] = rate(number, array);
    await costsEach("array", number, before);
  }
  await clear(namespaces.berth, removeWorkloads);
  const stockBefore = await stockWrites();
  const stock = await launched(namespaces.stock, number, async () => {
    await client.create(resources.jobs, job("array", number));
  });
  if (isMeasured) {
    figures["stock_hz"] = rate(number, stock);
    figures["stock_writes_per_launch"] = Number((((await stockWrites()) - stockBefore) / number).toFixed(2));
  }
  await clear(namespaces.stock, removeJobs);
  const direct = await launched(namespaces.raw, number, () =>
    each(number, (index) => client.create(resources.pods, boundPod(`raw-${index}`))),
  );
  if (isMeasured) figures["raw_hz"] = rate(number, direct);
  await clear(namespaces.raw, removePods);
}

await round(false, Math.min(100, count));
await round(true, count);

if (singles > 0) {
  const before = await costOf(berth);
  const own = await launched(namespaces.berth, singles, () =>
    each(singles, (index) => client.create(workloads, workload(`single-${index}`))),
  );
  figures["single_hz"] = rate(singles, own);
  await costsEach("single", singles, before);
  await clear(namespaces.berth, removeWorkloads);
  const stock = await launched(namespaces.stock, singles, () =>
    each(singles, (index) => client.create(resources.jobs, job(`single-${index}`, 1))),
  );
  figures["stock_single_hz"] = rate(singles, stock);
  await clear(namespaces.stock, removeJobs);
  figures["peak_mebibytes"] = residentMebibytes(plane);
  // Nobody else is to do anything with them.
  await berth.first.end();
  const direct = await launched(namespaces.raw, singles, () =>
    each(singles, async (index) => {
      const name = `raw-${index}`;
      const made = { ...workload(name), metadata: { name, namespace: namespaces.raw } };
      await client.create<Workload>(workloads, made);
      await client.patchStatus(workloads, name, { status: { message: "raw" } }, { namespace: namespaces.raw });
      await client.create(resources.pods, boundPod(name));
    }),
  );
  figures["raw3_hz"] = rate(singles, direct);
}
figures["peak_mebibytes"] ??= residentMebibytes(plane);
console.log(JSON.stringify(figures, null, 2));
