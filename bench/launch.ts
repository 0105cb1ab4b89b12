/**
 * Launching: `node bench/launch.ts [--count 5000] [--latency 50] [--driver sandbox|process]`.
 *
 * In one run, on one embedded cluster: time from `sbatch` to the first line of the job's output; an array of `true`, beside a
 * shell loop that spawns `true` as often; `berth up` to ready; memory idle and with the finished jobs kept.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { nodeProcesses, startCluster } from "../test/support/berth.ts";
import { shellLoopSeconds, spread } from "./shell-loop.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "5000" },
    latency: { type: "string", default: "50" },
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

const upBegan = performance.now();
await using cluster = await startCluster({ flags: ["--driver", values.driver] });
const upSeconds = (performance.now() - upBegan) / 1000;
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
const arrayBegan = performance.now();
const outcome = await cluster.berth(["sbatch", "--wait", `--array=0-${count - 1}`, array], { timeoutSeconds: 3600 });
if (outcome.code !== 0) throw new Error(`the array ended with ${outcome.code}: ${outcome.stderr}`);
const arraySeconds = (performance.now() - arrayBegan) / 1000;
const loopAfter = shellLoopSeconds(`sh ${array}`, count);
const loopSeconds = (loopBefore + loopAfter) / 2;
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
      },
      memoryMebibytes: { idle, afterArray: residentMebibytes(cluster.data) },
    },
    null,
    2,
  ),
);
