/** `scontrol show`: jobs, nodes, partitions, reservations, and lists of names. */
import { resources } from "@berth/client";
import { queues, reservations, type Queue, type Reservation, type Workload } from "@berth/kinds";
import {
  compressHostlist,
  compressInOrder,
  expandHostlist,
  type JobFacts,
  type JobRow,
  jobRecord,
  nodeRecord,
  parseJobSelector,
  partitionRecord,
  reservationRecord,
  selectJobs,
  SlurmError,
} from "@berth/slurm";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { connect, type Cluster } from "../connect.ts";
import { livingJobs } from "../living-jobs.ts";
import { queuedJobs } from "../queued-jobs.ts";
import { nodeRows, partitionRows, type NodeObject } from "../rows/node-rows.ts";
import { seconds } from "../times.ts";
import { nodeUse } from "./node-use.ts";

/** @param words behind `show`: `job 42`, `nodes`, `hostnames n[1-3]` */
export async function scontrolShow(words: readonly string[], onOneLine: boolean): Promise<number> {
  const [entity = "", argument] = words[0]?.includes("=") === true ? words[0].split("=", 2) : words;
  const is = (name: string, shortest = 3): boolean =>
    entity.length >= shortest && name.startsWith(entity.toLowerCase());
  if (is("hostnames", 5)) return showHostNames(argument ?? process.env["SLURM_JOB_NODELIST"]);
  if (is("hostlist", 5) || entity === "hostlistsorted") {
    if (argument === undefined) throw new SlurmError(1, `too few arguments for keyword:show`);
    const names = argument.split(/[\s,]+(?![^[]*\])/).flatMap((word) => hostNames(word));
    print(`${entity === "hostlistsorted" ? compressHostlist(names) : compressInOrder(names)}\n`);
    return 0;
  }
  if (is("jobs", 1)) return await showJobs(argument, onOneLine);
  if (is("nodes", 1)) return await showNodes(argument, onOneLine);
  if (is("partitions", 1)) return await showPartitions(argument, onOneLine);
  if (is("reservations", 1)) return await showReservations(argument, onOneLine);
  if (is("config", 2)) return await showConfig(await connect());
  throw new SlurmError(
    1,
    entity === "" ? "too few arguments for keyword:show" : `invalid entity:${entity} for keyword:show`,
  );
}

function print(text: string): void {
  process.stdout.write(text);
}

function hostNames(text: string): string[] {
  try {
    return expandHostlist(text);
  } catch (error) {
    throw new SlurmError(1, `Invalid hostlist: ${text}`, `: ${(error as Error).message}`);
  }
}

function showHostNames(text: string | undefined): number {
  if (text === undefined) throw new SlurmError(1, "SLURM_JOB_NODELIST environment variable is not set");
  const names = text.startsWith("/") ? readFileSync(text, "utf8").split(/\s+/) : hostNames(text);
  print(names.map((name) => `${name}\n`).join(""));
  return 0;
}

/** All jobs that somebody still knows of, each with its Workload where who asks may read that. */
async function allJobs(
  cluster: Cluster,
  nowSeconds: number,
  job?: number,
): Promise<{ row: JobRow; workload?: Workload }[]> {
  const [queued = [], living] = await Promise.all([
    queuedJobs(cluster, nowSeconds, job === undefined ? {} : { jobs: [job] }),
    livingJobs(cluster, nowSeconds),
  ]);
  const workloads = new Map(
    living.map(({ workload }) => [`${workload.metadata.namespace}/${workload.metadata.name}`, workload]),
  );
  const keyOf = (row: JobRow): string => `${row.jobId} ${row.arrayTaskId ?? row.arrayTasks ?? ""}`;
  const known = new Set(queued.map(keyOf));
  const heard = new Set(queued.map(({ jobId, arrayJobId }) => arrayJobId ?? jobId));
  // What has ended is known to the API alone; what lives is told anew by the scheduler.
  const others = living.filter(
    ({ row }) => !known.has(keyOf(row)) && !(heard.has(row.arrayJobId ?? row.jobId) && row.state === "PENDING"),
  );
  return [...queued.map((row) => withWorkload(row, workloads.get(`${row.namespace}/${row.workload}`))), ...others].sort(
    (a, b) => a.row.jobId - b.row.jobId || (a.row.arrayTaskId ?? -1) - (b.row.arrayTaskId ?? -1),
  );
}

const withWorkload = (row: JobRow, workload: Workload | undefined): { row: JobRow; workload?: Workload } =>
  workload === undefined ? { row } : { row, workload };

function factsOf(workload: Workload | undefined): JobFacts {
  if (workload === undefined) return {};
  const { spec } = workload;
  const { submission } = spec;
  return {
    ...(spec.licences === undefined ? {} : { licences: spec.licences }),
    ...(submission?.mailUser === undefined ? {} : { mailUser: submission.mailUser }),
    ...(submission?.mailType === undefined ? {} : { mailTypes: submission.mailType }),
    ...(submission?.tasksPerNode === undefined ? {} : { tasksPerNode: submission.tasksPerNode }),
    ...(spec.dependencies?.cancelOnInvalid === true ? { cancelOnInvalid: true } : {}),
  };
}

async function showJobs(text: string | undefined, onOneLine: boolean): Promise<number> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const selector = text === undefined ? undefined : parseJobSelector(text);
  if (text !== undefined && (selector === undefined || selector.step !== undefined || text.includes("[")))
    throw new SlurmError(1, "scontrol_print_job error: Invalid job id specified");
  const jobs = await allJobs(await connect(), nowSeconds, selector?.job);
  const rows = new Map(jobs.map((job) => [job.row, job]));
  const shown = selector === undefined ? [...rows.keys()] : selectJobs([...rows.keys()], { jobs: [selector] });
  if (shown.length === 0) {
    if (selector !== undefined) throw new SlurmError(1, "slurm_load_jobs error: Invalid job id specified");
    print("No jobs in the system\n");
    return 0;
  }
  const groups = new Map<number, string | undefined>();
  for (const { gid } of shown) if (gid !== undefined && !groups.has(gid)) groups.set(gid, groupName(gid));
  for (const row of shown) {
    const group = row.gid === undefined ? undefined : groups.get(row.gid);
    const facts = { ...factsOf(rows.get(row)!.workload), ...(group === undefined ? {} : { group }) };
    print(jobRecord(row, facts, nowSeconds, onOneLine));
  }
  return 0;
}

/** As the machine knows it. */
function groupName(gid: number): string | undefined {
  const { status, stdout } = spawnSync("getent", ["group", String(gid)], { encoding: "utf8" });
  return status === 0 ? stdout.split(":")[0] : undefined;
}

async function nodesAndPartitions(): Promise<{
  nodes: ReturnType<typeof nodeRows>;
  partitions: ReturnType<typeof partitionRows>;
}> {
  const cluster = await connect();
  const [nodes, list, used] = await Promise.all([
    cluster.client.listAll<NodeObject>(resources.nodes),
    cluster.client.listAll<Queue>(queues),
    nodeUse(cluster),
  ]);
  return { nodes: nodeRows(nodes.items, used), partitions: partitionRows(list.items, nodes.items) };
}

async function showNodes(text: string | undefined, onOneLine: boolean): Promise<number> {
  const { nodes, partitions } = await nodesAndPartitions();
  const names = text === undefined ? undefined : hostNames(text);
  let exitCode = 0;
  for (const name of names ?? nodes.map((node) => node.name)) {
    const node = nodes.find((each) => each.name === name);
    const inside = partitions.filter((partition) => partition.nodes.includes(name)).map((partition) => partition.name);
    print(node === undefined ? `Node ${name} not found\n` : nodeRecord(node, inside, onOneLine));
    if (node === undefined) exitCode = 1;
  }
  return exitCode;
}

async function showPartitions(name: string | undefined, onOneLine: boolean): Promise<number> {
  const { nodes, partitions } = await nodesAndPartitions();
  const shown = partitions.filter((partition) => name === undefined || partition.name === name);
  for (const partition of shown)
    print(
      partitionRecord(
        partition,
        nodes.filter((node) => partition.nodes.includes(node.name)),
        onOneLine,
      ),
    );
  if (shown.length > 0) return 0;
  print(name === undefined ? "No partitions in the system\n" : `Partition ${name} not found\n`);
  return name === undefined ? 0 : 1;
}

async function showReservations(name: string | undefined, onOneLine: boolean): Promise<number> {
  const { client } = await connect();
  const [{ items }, nodes] = await Promise.all([
    client.listAll<Reservation>(reservations),
    client.listAll<NodeObject>(resources.nodes),
  ]);
  const cpus = new Map(nodeRows(nodes.items, new Map()).map((node) => [node.name, node.cpus]));
  const shown = items.filter(({ metadata }) => name === undefined || metadata.name === name);
  for (const { metadata, spec, status } of shown) {
    const held = status?.nodes ?? spec.nodes ?? [];
    const row = {
      name: metadata.name,
      startTime: seconds(status?.startTime ?? spec.startTime),
      endTime: seconds(status?.endTime) ?? (seconds(spec.startTime) ?? 0) + spec.durationSeconds,
      durationSeconds: spec.durationSeconds,
      nodes: held,
      users: spec.users ?? [],
      accounts: spec.accounts ?? [],
      flags: [
        ...(spec.maintenance === true ? ["MAINT"] : []),
        ...(spec.everySeconds === 86_400 ? ["DAILY"] : spec.everySeconds === 604_800 ? ["WEEKLY"] : []),
        ...(spec.ignoreJobs === true ? ["IGNORE_JOBS"] : []),
        ...(spec.nodes === undefined ? [] : ["SPEC_NODES"]),
      ],
      active: status?.phase === "Active",
    };
    const { startTime, ...others } = row;
    const sum = held.reduce((total, node) => total + (cpus.get(node) ?? 0), 0);
    print(reservationRecord(startTime === undefined ? others : { ...others, startTime }, sum, onOneLine));
  }
  if (shown.length > 0) return 0;
  print(name === undefined ? "No reservations in the system\n" : `Reservation ${name} not found\n`);
  return name === undefined ? 0 : 1;
}

/** What of a configuration programs ask for, as far as Berth has the like. */
async function showConfig({ client }: Cluster): Promise<number> {
  const { items } = await client.listAll<Queue>(queues);
  const words = {
    ClusterName: "berth",
    KillWait: "30 sec",
    MaxArraySize: "1000001",
    SlurmctldHost: `${hostname().split(".")[0]}`,
    Partitions: items.map(({ metadata }) => metadata.name).join(","),
  };
  print(`Configuration data as of ${new Date().toISOString().slice(0, 19)}\n`);
  for (const [name, value] of Object.entries(words)) print(`${name.padEnd(23)} = ${value}\n`);
  return 0;
}
