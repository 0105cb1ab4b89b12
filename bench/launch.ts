/**
 * Launching: `node bench/launch.ts [--count 5000] [--latency 50] [--finished 10000] [--driver sandbox|process]`.
 *
 * In one run, on one embedded cluster: time from `sbatch` to the first line of the job's output; an array of `true`, beside a
 * shell loop that spawns `true` as often; `berth up` to ready; memory idle, after the array, and with FINISHED jobs that have ended (on
 * simulated nodes, for only their number counts); CPU time of Berth's processes for a task of the array.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Client, createClient, loadKubeconfig, resources } from "@berth/client";
import {
  annotations,
  apiVersion,
  isFinal,
  type PodTemplate,
  siteName,
  sites,
  type Workload,
  workloads,
} from "@berth/kinds";
import { nodeProcesses, startCluster } from "../test/support/berth.ts";
import { shellLoopSeconds, spread } from "./shell-loop.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "5000" },
    latency: { type: "string", default: "50" },
    finished: { type: "string", default: "10000" },
    driver: { type: "string", default: "sandbox" },
  },
});
const count = Number(values.count);
const latencyRuns = Number(values.latency);

function residentMebibytes(data: string): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const pid of nodeProcesses(data)) {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8")
      .split("\0")
      .filter((word) => word !== "");
    sizes[words.at(-1)!.split("/").at(-1)! + `:${pid}`] = Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
  }
  return { ...sizes, total: Object.values(sizes).reduce((sum, size) => sum + size, 0) };
}

/** Of all Node.js processes of Berth, and of what they started and waited for. */
function cpuMilliseconds(data: string): number {
  return nodeProcesses(data).reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return sum + (Number(fields[11]) + Number(fields[12])) * 10;
  }, 0);
}

/** The simulated nodes take part only where jobs are to end by the thousand. */
async function openSimulated(client: Client, isOpen: boolean): Promise<void> {
  const { items } = await client.listAll(resources.nodes, { labelSelector: "berth.dev/driver=simulated" });
  for (const { metadata } of items) {
    await client.patch(resources.nodes, metadata.name, { spec: { unschedulable: isOpen ? null : true } });
  }
}

/** So many Workloads of one pod that end at once. */
async function finishJobs(client: Client, count: number): Promise<void> {
  await openSimulated(client, true);
  const user = userInfo().username;
  const namespace = "finished";
  const metadata = { name: namespace, annotations: { [annotations.owner]: user } };
  await client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata });
  await client.patch(sites, siteName, { spec: { maxJobsPerUser: 1_000_000, finishedWorkloads: { keepCount: count } } });
  const template: PodTemplate = {
    spec: {
      nodeSelector: { "berth.dev/driver": "simulated" },
      containers: [{ name: "main", image: "host", command: ["true"], resources: { requests: { cpu: "1" } } }],
    },
  };
  let next = 0;
  const submit = async (): Promise<void> => {
    while (next < count) {
      const workload: Workload = {
        apiVersion,
        kind: "Workload",
        metadata: { name: `job-${next++}`, namespace },
        spec: {
          type: "Batch",
          user,
          wallTimeSeconds: 60,
          podSets: [{ name: "main", role: "Driver", count: 1, template }],
        },
      };
      await client.create(workloads, workload, { namespace });
    }
  };
  await Promise.all(Array.from({ length: 16 }, submit));
  for (;;) {
    const { items } = await client.listAll<Workload>(workloads, { namespace });
    if (items.every(({ status }) => isFinal(status?.phase))) break;
    await pause(2000);
  }
}

const upBegan = performance.now();
await using cluster = await startCluster({ flags: ["--driver", values.driver, "--simulated-nodes", "4"] });
const upSeconds = (performance.now() - upBegan) / 1000;
const client = createClient(loadKubeconfig({ path: join(cluster.data, "admin.kubeconfig") }).connection);
await openSimulated(client, false);
await pause(2000);
const idle = residentMebibytes(cluster.data);

const script = join(cluster.directory, "first.sh");
const firstLine = join(cluster.directory, "first-line");
writeFileSync(
  script,
  `#!/bin/sh\n#SBATCH -t 1 -n1 --mem=50M\ndate +%s%N >${firstLine}.part; mv ${firstLine}.part ${firstLine}.$1\n`,
);
const latencies: number[] = [];
const plain: number[] = [];
for (let index = 0; index < latencyRuns; index++) {
  const began = BigInt(Date.now()) * 1_000_000n;
  const outcome = await cluster.berth(["sbatch", script, String(index)]);
  if (outcome.code !== 0) throw new Error(outcome.stderr);
  const path = `${firstLine}.${index}`;
  while (!existsSync(path)) await pause(2);
  latencies.push(Number(BigInt(readFileSync(path, "utf8").trim()) - began) / 1e6);
  plain.push(shellLoopSeconds(`sh ${script} plain`, 1) * 1000);
}

const array = join(cluster.directory, "array.sh");
writeFileSync(array, "#!/bin/sh\n#SBATCH -t 1 -n1 --mem=50M -o /dev/null\ntrue\n");
const loopBefore = shellLoopSeconds(`sh ${array}`, count);
const cpuBefore = cpuMilliseconds(cluster.data);
const arrayBegan = performance.now();
const outcome = await cluster.berth(["sbatch", "--wait", `--array=0-${count - 1}`, array], { timeoutSeconds: 3600 });
if (outcome.code !== 0) throw new Error(`the array ended with ${outcome.code}: ${outcome.stderr}`);
const arraySeconds = (performance.now() - arrayBegan) / 1000;
const cpuOfArray = cpuMilliseconds(cluster.data) - cpuBefore;
const loopAfter = shellLoopSeconds(`sh ${array}`, count);
const loopSeconds = (loopBefore + loopAfter) / 2;
await pause(2000);
const afterArray = residentMebibytes(cluster.data);
await finishJobs(client, Number(values.finished));
client.close();
await pause(2000);

console.log(
  JSON.stringify(
    {
      driver: values.driver,
      upToReadySeconds: Number(upSeconds.toFixed(2)),
      submitToFirstLineMilliseconds: { runs: latencyRuns, ...spread(latencies) },
      sameScriptByShellMilliseconds: spread(plain),
      array: {
        tasks: count,
        seconds: Number(arraySeconds.toFixed(2)),
        tasksPerSecond: Number((count / arraySeconds).toFixed(1)),
        shellLoopPerSecond: Number((count / loopSeconds).toFixed(1)),
        ratio: Number((loopSeconds / arraySeconds).toFixed(3)),
        nodeCpuMillisecondsPerTask: Number((cpuOfArray / count).toFixed(2)),
      },
      memoryMebibytes: { idle, afterArray, [`after${values.finished}Jobs`]: residentMebibytes(cluster.data) },
    },
    null,
    2,
  ),
);
