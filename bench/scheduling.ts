/**
 * Benchmark of the scheduling core, one thread, no I/O but reading traces: `node --expose-gc bench/scheduling.ts [SECTION …]`
 * prints JSON. Sections: traces, live, shared, arrays, tasks, conservative, topology, memory; without any: all.
 */
import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { beginForecast, decide, forecast } from "../packages/scheduling/src/index.ts";
import type { Start } from "../packages/scheduling/src/index.ts";
import { parseTrace, simulate } from "../packages/simulator/src/index.ts";
import type { PolicyName } from "../packages/simulator/src/index.ts";
import { arrayBacklog, cluster, generator, gigabyte, median, round, shapes } from "./support/backlog.ts";

/** In CPU time of this process, for the machine is shared. */
function timed<T>(work: () => T): [milliseconds: number, result: T] {
  const began = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(began);
  return [(user + system) / 1000, result];
}

interface LiveOptions {
  changes?: number;
  /** Users in a tree of accounts, all factors of priority, limits everywhere. */
  shared?: boolean;
}

function live(
  pending: number,
  classes: number,
  nodes: number,
  reservationDepth: number,
  { changes = 200, shared = false }: LiveOptions = {},
): object {
  const weights = { age: 1000, fairShare: 10_000, jobSize: 100, queue: 100, qos: 100 };
  const state = cluster(
    nodes,
    shared ? { reservationDepth, backfill: "Priority", priority: { weights } } : { reservationDepth },
  );
  const kinds = shapes(classes).map((kind, index) =>
    shared ? Object.assign(kind, { user: `user-${index % 200}`, account: `account-${(index % 200) % 20}` }) : kind,
  );
  for (let account = 0; shared && account < 20; account += 1) {
    const parent = account < 4 ? undefined : `account-${account % 4}`;
    const limits = { runningJobs: 100_000, perUser: { runningJobs: 10_000 } };
    state.putAccount({ name: `account-${account}`, parent, shares: 1 + (account % 5), limits });
  }
  const [adding] = timed(() => {
    for (let id = 0; id < pending; id += 1) state.addJob({ ...kinds[id % classes]!, id, submitTime: id >> 6 });
  });
  const began = pending;
  const [first, decisions] = timed(() => decide(state, began));
  const running: Start[] = decisions.starts.slice();
  const random = generator(7);
  const ended: number[] = [];
  const submitted: number[] = [];
  let now = began;
  let id = pending;
  for (let change = 0; change < changes; change += 1) {
    now += 1;
    if (change % 2 === 0 && running.length > 0) {
      const [gone] = running.splice(random(running.length), 1);
      const [milliseconds, after] = timed(() => {
        state.endJob(gone!.job, now, { ok: true });
        return decide(state, now);
      });
      ended.push(milliseconds);
      running.push(...after.starts);
    } else {
      const [milliseconds, after] = timed(() => {
        state.addJob({ ...kinds[random(classes)]!, id, submitTime: now });
        return decide(state, now);
      });
      id += 1;
      submitted.push(milliseconds);
      running.push(...after.starts);
    }
  }
  const [copying] = timed(() => beginForecast(state, now));
  const [forecasting, expected] = timed(() => forecast(state, now, { maxStarts: 2 * pending }));
  const [stepping, estimated] = timed(() => forecast(state, now, { maxStarts: 2 * pending, exactStarts: 2000 }));
  return {
    pending,
    classes,
    nodes,
    reservationDepth,
    addMilliseconds: round(adding),
    firstDecideMilliseconds: round(first),
    started: decisions.starts.length,
    afterEndMedianMilliseconds: round(median(ended)),
    afterEndMaxMilliseconds: round(Math.max(...ended)),
    afterSubmitMedianMilliseconds: round(median(submitted)),
    beginForecastMilliseconds: round(copying),
    forecastMilliseconds: round(forecasting),
    forecastStarts: expected.starts.length,
    steppedForecastMilliseconds: round(stepping),
    steppedForecastStarts: estimated.starts.length,
  };
}

function arrays(tasks: number, nodes: number): object {
  const [adding, state] = timed(() => arrayBacklog(tasks, nodes, { reservationDepth: 100 }));
  const began = tasks;
  const [first, decisions] = timed(() => decide(state, began));
  const random = generator(7);
  const running = decisions.starts.slice();
  const ended: number[] = [];
  for (let now = began + 1; now < began + 200; now += 1) {
    const [gone] = running.splice(random(running.length), 1);
    const [milliseconds, after] = timed(() => {
      state.endJob(gone!.job, now, { task: gone!.task, ok: true });
      return decide(state, now);
    });
    ended.push(milliseconds);
    running.push(...after.starts);
  }
  const now = began + 200;
  const [copying] = timed(() => beginForecast(state, now));
  const [stepping, estimated] = timed(() => forecast(state, now, { maxStarts: 200_000, exactStarts: 2000 }));
  return {
    tasks,
    nodes,
    addMilliseconds: round(adding),
    firstDecideMilliseconds: round(first),
    started: decisions.starts.length,
    afterEndMedianMilliseconds: round(median(ended)),
    beginForecastMilliseconds: round(copying),
    steppedForecastMilliseconds: round(stepping),
    pendingArrays: state.counts().pendingJobs,
    forecastArrays: estimated.starts.length,
  };
}

/** The live loop: one array of one-pod tasks; each turn `batch` of them end and as many start. */
function taskLoop(tasks: number, nodes: number, batch: number): object {
  const state = cluster(nodes, {});
  const request = [4000, gigabyte, 1, 0];
  state.addJob({
    id: 1,
    user: "ada",
    queues: ["standard"],
    submitTime: 0,
    podSets: [{ count: 1, request }],
    wallTimeSeconds: 3600,
    array: { pending: [[0, tasks - 1]] },
  });
  let decisionsMade = 0;
  const [milliseconds] = timed(() => {
    const running: Start[] = [];
    let now = 0;
    let started = 0;
    for (;;) {
      const { starts } = decide(state, now);
      decisionsMade += 1;
      started += starts.length;
      for (const start of starts) running.push(start);
      if (started === tasks) return;
      now += 1;
      for (const { job, task } of running.splice(0, batch)) state.endJob(job, now, { task, ok: true });
    }
  });
  return {
    tasks,
    nodes,
    batch,
    decisions: decisionsMade,
    tasksPerSecond: Math.round((tasks / milliseconds) * 1000),
    millisecondsPerDecision: round(milliseconds / decisionsMade),
  };
}

/**
 * The shape of Kueue's test of topology-aware scheduling: 1 block, 10 racks, 64 nodes a rack, gangs of 2 to 8 pods of which a
 * pod is a third to two thirds of a node; all are there at the start, and each runs for its wall time.
 */
function topology(gangs: number, mode: "Required" | "Preferred" | "None"): object {
  const state = cluster(0, { reservationDepth: 1 });
  state.setTopology(["block", "rack"]);
  for (let index = 0; index < 640; index += 1) {
    state.putNode({
      name: `node-${index}`,
      capacity: [96_000, 384 * gigabyte, 110, 0],
      nodeClass: "cpu",
      state: "Up",
      domains: { block: "b", rack: `r${Math.floor(index / 64)}` },
    });
  }
  const random = generator(11);
  for (let id = 0; id < gangs; id += 1) {
    state.addJob({
      id,
      user: `user-${id % 30}`,
      queues: ["standard"],
      submitTime: 0,
      podSets: [{ count: 2 + random(7), request: [32_000 * (1 + random(2)), gigabyte, 1] }],
      wallTimeSeconds: 60 * (1 + random(10)),
      ...(mode === "None" ? {} : { topology: { level: "rack", mode } }),
    });
  }
  let decisions = 0;
  let started = 0;
  let end = 0;
  const [milliseconds] = timed(() => {
    const running = new Map<number, Start[]>();
    let now = 0;
    while (started < gangs) {
      const { starts } = decide(state, now);
      decisions += 1;
      started += starts.length;
      for (const start of starts) running.set(start.endTime, [...(running.get(start.endTime) ?? []), start]);
      now = Math.min(...running.keys());
      for (const { job } of running.get(now) ?? []) state.endJob(job, now, { ok: true });
      running.delete(now);
      end = now;
    }
  });
  return {
    gangs,
    mode,
    decisions,
    millisecondsPerDecision: round(milliseconds / decisions),
    gangsPerSecond: Math.round((gangs / milliseconds) * 1000),
    makespanSeconds: end,
  };
}

function memory(pending: number, classes: number): object {
  const kinds = shapes(classes);
  const collect = (globalThis as { gc?: () => void }).gc;
  collect?.();
  const before = process.memoryUsage().heapUsed;
  const state = cluster(10, {});
  for (let id = 0; id < pending; id += 1) {
    const kind = kinds[id % classes]!;
    // As a caller would: fresh objects for each job.
    state.addJob({
      ...kind,
      podSets: kind.podSets.map(({ count, request }) => ({ count, request: request.slice() })),
      id,
      submitTime: id,
    });
  }
  collect?.();
  const bytes = process.memoryUsage().heapUsed - before;
  return {
    pending,
    classes,
    bytesPerPendingJob: Math.round(bytes / pending),
    counted: state.counts().pendingJobs,
    exact: collect !== undefined,
  };
}

function traces(): object[] {
  const rows: object[] = [];
  const wanted: [string, number, PolicyName[]][] = [
    ["KTH-SP2", 100, ["fcfs", "easy", "easy-sjbf", "conservative"]],
    ["SDSC-SP2-5K", 128, ["easy", "conservative"]],
    ["CEA-Curie-30k", 93312, ["easy", "conservative"]],
  ];
  for (const [name, processors, policies] of wanted) {
    const path = new URL(`../../shared/traces/${name}.swf.gz`, import.meta.url);
    if (!existsSync(path)) {
      rows.push({ trace: name, skipped: `../shared/traces/${name}.swf.gz is not here` });
      continue;
    }
    const { jobs } = parseTrace(gunzipSync(readFileSync(path)).toString(), { processors });
    for (const policy of policies) {
      const before = process.cpuUsage();
      const { metrics } = simulate({ jobs, processors, policy });
      const { user, system } = process.cpuUsage(before);
      const cpuSeconds = (user + system) / 1e6;
      rows.push({
        trace: name,
        policy,
        jobs: jobs.length,
        seconds: round(metrics.seconds),
        jobsPerSecond: Math.round(jobs.length / metrics.seconds),
        cpuSeconds: round(cpuSeconds),
        jobsPerCpuSecond: Math.round(jobs.length / cpuSeconds),
      });
    }
  }
  return rows;
}

const sections: Record<string, () => unknown> = {
  traces,
  live: () => [6250, 12_500, 25_000, 50_000].map((pending) => live(pending, 500, pending / 10, 100)),
  shared: () => [12_500, 50_000].map((pending) => live(pending, 500, pending / 10, 100, { shared: true })),
  arrays: () => [125_000, 250_000, 500_000, 1_000_000].map((tasks) => arrays(tasks, tasks / 100)),
  tasks: () => [
    taskLoop(30_000, 300, 1),
    taskLoop(30_000, 300, 50),
    taskLoop(30_000, 3000, 50),
    taskLoop(300_000, 3000, 500),
  ],
  conservative: () =>
    [600, 1200, 2500, 5000].map((pending) => live(pending, pending / 10, pending / 10, -1, { changes: 20 })),
  topology: () => (["None", "Preferred", "Required"] as const).map((mode) => topology(15_000, mode)),
  memory: () => [memory(12_500, 500), memory(50_000, 500), memory(200_000, 500)],
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => sections[name] === undefined);
if (unknown.length > 0) {
  console.error(`unknown section ${unknown.join(", ")}; there are ${Object.keys(sections).join(", ")}`);
  process.exitCode = 2;
} else {
  const results: Record<string, unknown> = {};
  for (const [name, run] of Object.entries(sections))
    if (asked.length === 0 || asked.includes(name)) results[name] = run();
  console.log(JSON.stringify(results, undefined, 2));
}
