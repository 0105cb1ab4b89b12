/**
 * A real Kubernetes for people: `npm run kube -- up [--nodes N] [--kwok N] [--audit]`, then `status` and `down`. `build` only makes the
 * programs, `prepare` also installs Debian's part of a real node.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { binary, buildPrograms, cacheFolder } from "./binaries.ts";
import { startControlPlane } from "./control-plane.ts";
import { startKwok } from "./kwok.ts";
import { tearDown } from "./leftovers.ts";
import { Processes } from "./processes.ts";
import { debianPackages, startRealCluster } from "./real-nodes.ts";

const folder = join(cacheFolder, "..", "cluster");
const usage = "usage: npm run kube -- build | prepare | up [--nodes N] [--kwok N] [--audit] | status | down";

function installPackages(): void {
  if (process.getuid!() !== 0 || spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status !== 0) return;
  const absent = debianPackages.filter(
    (name) =>
      !spawnSync("dpkg-query", ["-W", "-f=${Status}", name], { encoding: "utf8" }).stdout.includes("ok installed"),
  );
  if (absent.length === 0) return;
  console.log(`installing ${absent.join(", ")} …`);
  // No service is to be started: the tests start their own.
  const script = `
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\\nexit 101\\n' >"$policy" && chmod +x "$policy" && made=1; }
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    code=$?; [ -z "$made" ] || rm -f "$policy"; exit $code`;
  const { status } = spawnSync("sh", ["-c", script, "sh", ...absent], { stdio: "inherit" });
  if (status !== 0) console.log("that failed: the tests of real nodes will say what is missing");
}

async function up(nodes: number, kwok: number, audit: boolean): Promise<void> {
  if (existsSync(join(folder, "processes.json")))
    throw new Error(`${folder} has a cluster; end it first: npm run kube -- down`);
  await buildPrograms(console.log);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const options = { folder, kept: true, ...(audit ? { audit: "RequestResponse" as const } : {}) };
  const cluster = nodes > 0 ? await startRealCluster({ ...options, nodes }) : await startControlPlane(options);
  if (kwok > 0) await startKwok(cluster, { nodes: kwok, leaseSeconds: kwok > 100 ? 240 : 40 });
  cluster.client.close();
  console.log(`export KUBECONFIG=${cluster.kubeconfig}\nexport PATH=${cacheFolder}:$PATH`);
}

function status(): void {
  if (!existsSync(join(folder, "processes.json"))) {
    console.log("no cluster is up");
    return;
  }
  const processes = new Processes(folder);
  for (const name of processes.names) {
    const pid = processes.pid(name);
    const megabytes = Math.round(processes.residentBytes(name) / 2 ** 20);
    console.log(`${name.padEnd(28)} ${pid === undefined ? "ended" : `pid ${pid}, ${megabytes} MiB`}`);
  }
  const kubeconfig = join(folder, "kubeconfigs", "admin");
  spawnSync(binary("kubectl"), ["--kubeconfig", kubeconfig, "get", "nodes"], { stdio: "inherit" });
  console.log(`export KUBECONFIG=${kubeconfig}`);
}

try {
  const { values, positionals } = parseArgs({
    options: {
      nodes: { type: "string", default: "0" },
      kwok: { type: "string", default: "0" },
      audit: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const [word] = positionals;
  if (word === "build") await buildPrograms(console.log);
  else if (word === "prepare") {
    installPackages();
    await buildPrograms(console.log);
  } else if (word === "up") await up(Number(values.nodes), Number(values.kwok), values.audit);
  else if (word === "status") status();
  else if (word === "down") {
    const isUp = existsSync(join(folder, "processes.json"));
    if (isUp) await tearDown(folder);
    console.log(isUp ? "ended, and its state removed" : "no cluster is up");
  } else {
    console.error(usage);
    process.exitCode = 2;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
