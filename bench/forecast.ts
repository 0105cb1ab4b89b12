/**
 * Benchmark of the live loop's forecasts, one thread, with real timers: `node bench/forecast.ts [--pending N,N… | --tasks N,N…] [--seconds S]` prints
 * JSON. The core is the live loop's, fed as it feeds it, with jobs that end at random; what is not here is the API. First one change, and
 * how long until every waiting job has been told its expected start; then a change every 50 ms for S seconds without forecasts and for S
 * seconds with them: how long a decision takes, and how long after its change it is there.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ForecastLoop } from "../packages/controllers/src/scheduler/forecasts.ts";
import { decide } from "../packages/scheduling/src/index.ts";
import type { ClusterState, Decisions, Start } from "../packages/scheduling/src/index.ts";
import { arrayBacklog, backlog, generator, quantile, round } from "./support/backlog.ts";

const { values } = parseArgs({
  options: {
    pending: { type: "string", default: "6250,12500,25000,50000" },
    tasks: { type: "string" },
    seconds: { type: "string", default: "20" },
  },
});
const seconds = Number(values.seconds);
const changeMs = 50;
const nothing: Pick<Decisions, "starts" | "waiting" | "reservations" | "unreserved"> = {
  starts: [],
  waiting: [],
  reservations: [],
  unreserved: [],
};

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

/** A job ends and the core decides, every 50 ms; `decided` is told. */
async function changes(
  core: ClusterState,
  running: Start[],
  clock: { now: number },
  decided: (decisions: Decisions) => void,
): Promise<object> {
  const random = generator(7);
  const took: number[] = [];
  const waited: number[] = [];
  const began = performance.now();
  for (let due = began + changeMs; due < began + seconds * 1000; due += changeMs) {
    await sleep(Math.max(0, due - performance.now()));
    clock.now += 1;
    const from = process.cpuUsage();
    const [gone] = running.splice(random(running.length), 1);
    core.endJob(gone!.job, clock.now, { task: gone!.task, ok: true });
    const decisions = decide(core, clock.now);
    decided(decisions);
    running.push(...decisions.starts);
    const { user, system } = process.cpuUsage(from);
    took.push((user + system) / 1000);
    waited.push(performance.now() - due);
  }
  return {
    changes: took.length,
    decideCpuMilliseconds: { median: round(quantile(took, 0.5)), p99: round(quantile(took, 0.99)) },
    afterChangeMilliseconds: {
      median: round(quantile(waited, 0.5)),
      p99: round(quantile(waited, 0.99)),
      max: round(quantile(waited, 1)),
    },
  };
}

async function measure(core: ClusterState, now: number): Promise<object> {
  const { nodes, pendingJobs, pendingTasks } = core.counts();
  const clock = { now };
  const running = decide(core, clock.now).starts.slice();
  const told = new Set<number>();
  const aborted = new AbortController();
  const loop = new ForecastLoop({ core, now: () => clock.now }, (job) => void told.add(job), aborted.signal);
  const from = process.cpuUsage();
  const began = performance.now();
  loop.decided(nothing);
  await until(() => loop.isPlaying);
  const delayed = performance.now() - began;
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  await until(() => !loop.isPlaying);
  delays.disable();
  const { user, system } = process.cpuUsage(from);
  const alone = {
    secondsUntilAllAreTold: round((performance.now() - began) / 1000),
    told: told.size,
    waiting: core.counts().pendingJobs,
    cpuSeconds: round((user + system) / 1e6),
    secondsUntilItBegins: round(delayed / 1000),
    eventLoopHeldMilliseconds: { p99: round(delays.percentile(99) / 1e6), max: round(delays.max / 1e6) },
  };
  aborted.abort();
  const without = await changes(core, running, clock, () => {});
  const other = new AbortController();
  told.clear();
  let forecasts = 0;
  let wasPlaying = false;
  const under = new ForecastLoop({ core, now: () => clock.now }, (job) => void told.add(job), other.signal);
  const during = await changes(core, running, clock, (decisions) => {
    if (wasPlaying && !under.isPlaying) forecasts += 1;
    wasPlaying = under.isPlaying;
    under.decided(decisions);
  });
  other.abort();
  return {
    pendingJobs,
    pendingTasks,
    nodes,
    oneChange: alone,
    without,
    during: { ...during, forecasts, told: told.size },
  };
}

const results: object[] = [];
for (const size of (values.tasks ?? values.pending).split(",").map(Number)) {
  const policy = { reservationDepth: 100 };
  const core =
    values.tasks === undefined ? backlog(size, 500, size / 10, policy) : arrayBacklog(size, size / 100, policy);
  results.push(await measure(core, size));
}
console.log(JSON.stringify(results, undefined, 2));
