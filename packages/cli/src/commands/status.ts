/** `berth status`: how the cluster is, in words. */
import { isReason, resources, type AnyObject, type Client } from "@berth/client";
import {
  accountingStateName,
  parseIndexList,
  queues,
  systemNamespace,
  type Node,
  type Queue,
  type Workload,
} from "@berth/kinds";
import { quantityToInteger, quantityToMilli } from "@berth/machinery";
import type { JobRow } from "@berth/slurm";
import { join } from "node:path";
import { connect, readJson } from "../connect.ts";
import type { Health } from "../install/health.ts";
import { listWorkloads } from "../jobs.ts";
import { storeTrouble } from "../store-trouble.ts";
import { queuedJobs } from "../queued-jobs.ts";
import { readStartErrors, startErrorSentence } from "../start-errors.ts";
import { formatData, formatTable, paint, type OutputFormat } from "../table.ts";
import { formatBytes, formatDuration } from "../times.ts";
import { countsOf } from "../workload-counts.ts";

interface ProcessState {
  role: string;
  pid?: number;
  ready: boolean;
  restarts: number;
  lastEnd?: string;
}

interface Endpoint {
  url: string;
  version: string;
  startedAt: string;
  processes: ProcessState[];
  notes: string[];
}

interface NodeObject extends AnyObject {
  spec?: { unschedulable?: boolean };
  status?: {
    allocatable?: Record<string, string>;
    conditions?: { type: string; status: string; message?: string }[];
  };
}

interface NodeGroup {
  driver: string;
  nodes: number;
  ready: number;
  cpus: number;
  memoryBytes: number;
}

export async function status(options: { output?: OutputFormat }): Promise<number> {
  const cluster = await connect();
  const { client, data } = cluster;
  const endpoint = data === undefined ? undefined : (readJson(join(data, "endpoint.json")) as Endpoint | undefined);
  const [store, accounting, nodes, queueList, workloads] = await Promise.all([
    storeTrouble(cluster),
    accountingTrouble(client),
    client.listAll<NodeObject>(resources.nodes).catch(unlessReal(data)),
    client.listAll<Queue>(queues).catch(unlessReal(data)),
    listWorkloads(cluster).catch((error: unknown) => unlessReal(data)(error).items as Workload[]),
  ]);
  const isBlind = nodes.metadata === notAllowed;
  const health =
    data === undefined
      ? await realHealth(client, isBlind ? undefined : nodes.items, queueList.items, workloads)
      : undefined;
  const groups = groupsOf(nodes.items);
  const startErrors = await readStartErrors(cluster).catch(() => []);
  const estimates = startErrorSentence(startErrors);
  const byQueue = Map.groupBy(workloads, queueOf);
  // Who may not see the Workloads of others is told of them by the scheduler.
  const rows = cluster.namespace === undefined ? undefined : await queuedJobs(cluster, Math.floor(Date.now() / 1000));
  const rowsByQueue = rows && Map.groupBy(rows, ({ partition }) => partition);
  const lengths = queueList.items.map(({ metadata, spec }) => {
    const own = countsOf(byQueue.get(metadata.name) ?? []);
    const { pending, running } = rowsByQueue === undefined ? own : countsOfRows(rowsByQueue.get(metadata.name) ?? []);
    return { queue: metadata.name, state: spec.state ?? "Up", pending, running, ended: own.ended };
  });
  const healthy =
    store === undefined &&
    accounting === undefined &&
    (health?.problems ?? []).length === 0 &&
    groups.every(({ nodes, ready }) => nodes === ready) &&
    (endpoint?.processes ?? []).every(({ ready }) => ready);
  if (options.output === "json" || options.output === "yaml") {
    const trouble = {
      ...(store === undefined ? {} : { trouble: store }),
      ...(accounting === undefined ? {} : { accountingTrouble: accounting }),
    };
    const report = {
      healthy,
      ...trouble,
      server: client.server,
      data,
      ...endpoint,
      ...(health === undefined ? {} : { installation: health }),
      nodes: groups,
      queues: lengths,
      startErrors,
    };
    process.stdout.write(await formatData(report, options.output));
    return healthy ? 0 : 1;
  }
  const lines = [
    `Berth${endpoint === undefined ? "" : ` ${endpoint.version}`} at ${client.server}, ${cluster.description}: ${healthy ? paint("green", "all is well") : paint("red", "not all is well")}`,
  ];
  if (endpoint !== undefined) {
    lines[0] += `; up for ${formatDuration((Date.now() - Date.parse(endpoint.startedAt)) / 1000)}`;
    for (const one of endpoint.processes) lines.push(`  process ${one.role}: ${processSentence(one)}`);
  }
  if (store !== undefined) lines.push(`  ${paint("red", "nothing can be written:")} ${store}`);
  if (accounting !== undefined)
    lines.push(
      `  ${paint("red", "what has ended waits until it can be recorded, and nothing of it is lost:")} ${accounting}`,
    );
  for (const fact of health?.facts ?? []) lines.push(`  ${fact}`);
  for (const problem of health?.problems ?? []) lines.push(`  ${paint("red", "wrong:")} ${problem}`);
  for (const note of health?.notes ?? []) lines.push(`  ${paint("yellow", "note:")} ${note}`);
  if (groups.length === 0)
    lines.push(isBlind ? "  nodes: you may not list them" : "  no node has joined: no job can run");
  for (const group of groups)
    lines.push(
      `  ${group.nodes === 1 ? "1 node" : `${group.nodes} nodes`}, driver ${group.driver}: ${group.ready === group.nodes ? "ready" : paint("red", `${group.ready} ready`)}, ${group.cpus} cpus, ${formatBytes(group.memoryBytes)}`,
    );
  if (estimates !== undefined) lines.push(`  expected starts of the last day: ${estimates}`);
  for (const note of endpoint?.notes ?? []) lines.push(`  ${paint("yellow", "note:")} ${note}`);
  process.stdout.write(`${lines.join("\n")}\n`);
  process.stdout.write(
    formatTable(
      [
        { title: "QUEUE", value: (row) => row.queue },
        { title: "STATE", value: (row) => row.state },
        { title: "PENDING", value: (row) => row.pending, align: "right" },
        { title: "RUNNING", value: (row) => row.running, align: "right" },
        { title: "ENDED", value: (row) => row.ended, align: "right" },
      ],
      lengths,
    ),
  );
  return healthy ? 0 : 1;
}

/** What keeps the records of ended jobs from being written, as the leader says it. */
async function accountingTrouble(client: Client): Promise<string | undefined> {
  try {
    const { data } = await client.get<AnyObject & { data?: Record<string, string> }>(
      resources.configMaps,
      accountingStateName,
      { namespace: systemNamespace },
    );
    const { trouble = "", since = "" } = data ?? {};
    return trouble === "" ? undefined : `since ${since}, ${trouble}`;
  } catch (error) {
    if (isReason(error, "Forbidden", "NotFound")) return undefined;
    throw error;
  }
}

/** On a real cluster not everybody may read everything, and Berth may not be there yet. */
const notAllowed = {};

function unlessReal(data: string | undefined): (error: unknown) => { metadata: object; items: never[] } {
  return (error) => {
    if (data === undefined && isReason(error, "Forbidden", "NotFound")) return { metadata: notAllowed, items: [] };
    throw error;
  };
}

async function realHealth(
  client: Client,
  nodes: readonly NodeObject[] | undefined,
  queueList: Queue[],
  workloads: Workload[],
): Promise<Health> {
  const [{ healthOf }, { readHealthFacts }] = await Promise.all([
    import("../install/health.ts"),
    import("../install/read-health.ts"),
  ]);
  return healthOf(await readHealthFacts(client, { nodes: nodes as Node[] | undefined, queues: queueList, workloads }));
}

function countsOfRows(rows: readonly JobRow[]): { pending: number; running: number } {
  const counts = { pending: 0, running: 0 };
  for (const { state, arrayTasks } of rows) {
    if (state === "PENDING") counts.pending += arrayTasks === undefined ? 1 : parseIndexList(arrayTasks).size;
    else counts.running += 1;
  }
  return counts;
}

function queueOf({ spec, status }: Workload): string | undefined {
  return status?.queue ?? spec.queue;
}

function processSentence({ pid, ready, restarts, lastEnd }: ProcessState): string {
  const now = ready
    ? paint("green", "runs")
    : paint("red", pid === undefined ? "is being started again" : "is starting");
  const history = restarts === 0 ? "" : `, started again ${restarts === 1 ? "once" : `${restarts} times`}`;
  return `${now}${pid === undefined ? "" : ` (pid ${pid})`}${history}${lastEnd === undefined ? "" : `; it had ended: ${lastEnd}`}`;
}

function groupsOf(nodes: readonly NodeObject[]): NodeGroup[] {
  const groups = new Map<string, NodeGroup>();
  for (const { metadata, status } of nodes) {
    const driver = metadata.labels?.["berth.dev/driver"] ?? "kubelet";
    const group = groups.get(driver) ?? { driver, nodes: 0, ready: 0, cpus: 0, memoryBytes: 0 };
    group.nodes += 1;
    if (status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true)
      group.ready += 1;
    group.cpus += quantityToMilli(status?.allocatable?.["cpu"] ?? 0) / 1000;
    group.memoryBytes += quantityToInteger(status?.allocatable?.["memory"] ?? 0);
    groups.set(driver, group);
  }
  return [...groups.values()].sort((a, b) => (a.driver < b.driver ? -1 : 1));
}
