import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { parseTrace, simulate } from "./index.ts";
import type { Metrics, PolicyName } from "./index.ts";

/** Schedules known in full precision (the data of Gaussier et al., SC'15, and two implementations that agree job by job). */
const known: {
  trace: string;
  processors: number;
  policy: PolicyName;
  clairvoyant?: boolean;
  metrics: Partial<Metrics>;
}[] = [
  {
    trace: "KTH-SP2",
    processors: 100,
    policy: "fcfs",
    metrics: { averageWait: 353776.40915, averageBoundedSlowdown: 6814.97331 },
  },
  {
    trace: "KTH-SP2",
    processors: 100,
    policy: "easy",
    metrics: {
      averageWait: 6836.87209,
      averageFlow: 15696.7981812436,
      maxFlow: 309231,
      averageBoundedSlowdown: 92.5765397336295,
      maxBoundedSlowdown: 14805.2,
      rmsBoundedSlowdown: 476.260314538994,
    },
  },
  {
    trace: "KTH-SP2",
    processors: 100,
    policy: "easy-sjbf",
    metrics: {
      averageWait: 5904.076577,
      averageFlow: 14764.0026684456,
      maxFlow: 372238,
      averageBoundedSlowdown: 69.4054005803035,
      maxBoundedSlowdown: 14805.2,
      rmsBoundedSlowdown: 427.204830733767,
    },
  },
  {
    trace: "KTH-SP2",
    processors: 100,
    policy: "easy-sjbf",
    clairvoyant: true,
    metrics: {
      averageFlow: 14295.9468417542,
      maxFlow: 335193,
      averageBoundedSlowdown: 49.8477189313406,
      maxBoundedSlowdown: 9941.7,
      rmsBoundedSlowdown: 326.20971934787,
    },
  },
  {
    trace: "KTH-SP2",
    processors: 100,
    policy: "easy",
    clairvoyant: true,
    metrics: { averageWait: 6327.681612, averageBoundedSlowdown: 71.722385 },
  },
  {
    trace: "KTH-SP2",
    processors: 100,
    policy: "conservative",
    metrics: { averageWait: 7310.551174, averageBoundedSlowdown: 88.997275 },
  },
  {
    trace: "SDSC-SP2-5K",
    processors: 128,
    policy: "fcfs",
    metrics: { averageWait: 15581.477855, averageBoundedSlowdown: 139.594804 },
  },
  {
    trace: "SDSC-SP2-5K",
    processors: 128,
    policy: "easy",
    metrics: { averageWait: 3641.371038, averageBoundedSlowdown: 18.005752 },
  },
  {
    trace: "SDSC-SP2-5K",
    processors: 128,
    policy: "easy-sjbf",
    metrics: { averageWait: 3675.521059, averageBoundedSlowdown: 17.496305 },
  },
  {
    trace: "SDSC-SP2-5K",
    processors: 128,
    policy: "conservative",
    metrics: { averageWait: 3810.178246, averageBoundedSlowdown: 17.12142 },
  },
];
const jobCounts: Record<string, number> = { "KTH-SP2": 28481, "SDSC-SP2-5K": 4606 };

function read(trace: string, processors: number): ReturnType<typeof parseTrace> | undefined {
  const path = new URL(`../../../../shared/traces/${trace}.swf.gz`, import.meta.url);
  return existsSync(path) ? parseTrace(gunzipSync(readFileSync(path)).toString(), { processors }) : undefined;
}

for (const { trace, processors, policy, clairvoyant = false, metrics } of known) {
  test(`${trace} ${policy}${clairvoyant ? " clairvoyant" : ""} is scheduled as published`, (t) => {
    const recorded = read(trace, processors);
    if (recorded === undefined) return t.skip(`../shared/traces/${trace}.swf.gz is not here`);
    assert.equal(recorded.jobs.length, jobCounts[trace]);
    assert.deepEqual(recorded.broken, []);
    const simulated = simulate({ jobs: recorded.jobs, processors, policy, clairvoyant }).metrics;
    for (const [name, value] of Object.entries(metrics)) {
      const found = simulated[name as keyof Metrics];
      // Published to six decimals, or to fifteen digits.
      const digits = String(value).replace(/^[^.]*\.?/, "").length;
      const tolerance = Math.max(0.5 * 10 ** -Math.max(digits, 6), 1e-12 * value);
      assert.ok(Math.abs(found - value) <= tolerance, `${name}: ${found}, published ${value}`);
    }
  });
}

test("the reference has these figures, row by row", () => {
  const page = readFileSync(new URL("../../../docs/reference/simulation.md", import.meta.url), "utf8");
  const columns = [
    "averageWait",
    "averageFlow",
    "maxFlow",
    "averageBoundedSlowdown",
    "maxBoundedSlowdown",
    "rmsBoundedSlowdown",
  ] as const;
  for (const { trace, processors, policy, clairvoyant = false, metrics } of known) {
    const figures = columns.map((name) => (metrics[name] === undefined ? "" : ` ${metrics[name]}`));
    const row = `| ${trace} | ${processors} | ${policy}${clairvoyant ? ", clairvoyant" : ""} |${figures.join(" |")} |`;
    assert.ok(page.includes(row), row);
  }
});

test("one decision a second, as live, stays within half a percent of one decision an event", (t) => {
  const recorded = read("KTH-SP2", 100);
  if (recorded === undefined) return t.skip("../shared/traces/KTH-SP2.swf.gz is not here");
  const event = simulate({ jobs: recorded.jobs, processors: 100, policy: "easy" }).metrics;
  const cycle = simulate({ jobs: recorded.jobs, processors: 100, policy: "easy", mode: "Cycle" }).metrics;
  for (const name of ["averageFlow", "averageBoundedSlowdown"] as const) {
    assert.ok(Math.abs(cycle[name] - event[name]) <= 0.005 * event[name], `${name}: ${cycle[name]} and ${event[name]}`);
  }
});

test("a job larger than the machine is named", () => {
  const job = { id: 7, submit: 0, runSeconds: 1, requestedSeconds: 1, processors: 5, line: 3 };
  assert.throws(() => simulate({ jobs: [job], processors: 4, policy: "easy" }), /job 7 \(line 3\) needs 5 processors/);
});
