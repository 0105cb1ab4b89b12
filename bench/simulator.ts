/**
 * The simulator beside a public one, in one run: `node bench/simulator.ts [--jobs N]`. The peer is AccaSim 1.1.3 (PyPI; C. Galleguillos
 * et al., 2019), installed into a virtual environment below the system's temporary folder; it has FCFS and EASY, no conservative
 * backfilling. Both read KTH-SP2 and play it on one machine of 100 processors. Jobs a second are by CPU time, as machines are shared.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { formatTrace, kueueShape, lublinFeitelson, parseTrace, simulate } from "../packages/simulator/src/index.ts";
import type { PolicyName, TraceJob } from "../packages/simulator/src/index.ts";

const { values } = parseArgs({ options: { jobs: { type: "string", default: "28481" } } });
const processors = 100;
const peerVersion = "1.1.3";

interface Figures {
  jobs: number;
  cpuSeconds: number;
  jobsPerCpuSecond: number;
  averageWait: number;
  averageBoundedSlowdown: number;
}

const round = (value: number): number => Math.round(value * 1000) / 1000;

function own(jobs: readonly TraceJob[], size: number, policy: PolicyName): Figures {
  const before = process.cpuUsage();
  const { metrics } = simulate({ jobs, processors: size, policy });
  const { user, system } = process.cpuUsage(before);
  const cpuSeconds = (user + system) / 1e6;
  return {
    jobs: metrics.jobs,
    cpuSeconds: round(cpuSeconds),
    jobsPerCpuSecond: Math.round(metrics.jobs / cpuSeconds),
    averageWait: round(metrics.averageWait),
    averageBoundedSlowdown: round(metrics.averageBoundedSlowdown),
  };
}

/** The peer's Python, made at first use; undefined with the reason where that fails. */
function peerPython(): { python: string } | { absent: string } {
  const folder = join(tmpdir(), `berth-bench-accasim-${peerVersion}`);
  const python = join(folder, "bin", "python");
  try {
    if (!existsSync(python)) execFileSync("python3", ["-m", "venv", folder], { stdio: "ignore" });
    execFileSync(python, ["-m", "pip", "install", "-q", `accasim==${peerVersion}`], { stdio: "ignore" });
    return { python };
  } catch (error) {
    return { absent: `AccaSim cannot be had here: ${(error as Error).message}` };
  }
}

function peer(python: string, jobs: readonly TraceJob[], policy: "fcfs" | "easy"): Figures {
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-"));
  try {
    mkdirSync(join(folder, "results"));
    writeFileSync(
      join(folder, "trace.swf"),
      formatTrace(jobs, { MaxProcs: processors, MaxNodes: 1, UnixStartTime: 0 }),
    );
    writeFileSync(
      join(folder, "system.json"),
      JSON.stringify({ groups: { machine: { core: processors } }, resources: { machine: 1 } }),
    );
    // It writes its results beside the script that runs it.
    const script = join(folder, "run.py");
    copyFileSync(join(import.meta.dirname, "peers", "accasim_run.py"), script);
    const output = execFileSync(python, [script, "trace.swf", policy, "system.json"], {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const told = JSON.parse(output.trim().split("\n").at(-1)!) as Figures;
    return {
      jobs: told.jobs,
      cpuSeconds: round(told.cpuSeconds),
      jobsPerCpuSecond: Math.round(told.jobs / told.cpuSeconds),
      averageWait: round(told.averageWait),
      averageBoundedSlowdown: round(told.averageBoundedSlowdown),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const path = new URL("../../shared/traces/KTH-SP2.swf.gz", import.meta.url);
const recorded = existsSync(path);
const all = recorded
  ? parseTrace(gunzipSync(readFileSync(path)).toString("latin1"), { processors }).jobs
  : lublinFeitelson({ jobs: 28_481, processors, seed: 1 });
const jobs = all.slice(0, Number(values.jobs));
const found = peerPython();
const rows: Record<string, unknown>[] = [];
for (const policy of ["fcfs", "easy", "easy-sjbf", "conservative"] as const) {
  // The first run warms the engine up; the peer's interpreter has nothing to warm.
  own(jobs.slice(0, 2000), processors, policy);
  const berth = own(jobs, processors, policy);
  const isPeers = policy === "fcfs" || policy === "easy";
  const accasim = !isPeers || "absent" in found ? undefined : peer(found.python, jobs, policy);
  const timesAsFast = accasim === undefined ? undefined : round(berth.jobsPerCpuSecond / accasim.jobsPerCpuSecond);
  rows.push({ policy, berth, accasim, timesAsFast });
}
const kueue = kueueShape({ seed: 1 });
console.log(
  JSON.stringify(
    {
      trace: recorded ? "KTH-SP2" : "lublin-feitelson, seed 1 (../shared/traces is not here)",
      peer: "absent" in found ? found.absent : `AccaSim ${peerVersion}`,
      rows,
      kueueShape: own(kueue.jobs, kueue.processors, "easy"),
    },
    undefined,
    2,
  ),
);
