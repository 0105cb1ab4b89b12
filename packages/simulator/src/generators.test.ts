import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTrace, kueueShape, lublinFeitelson, parseTrace, simulate } from "./index.ts";
import type { TraceJob } from "./index.ts";

const mean = (jobs: readonly TraceJob[], value: (job: TraceJob) => number): number =>
  jobs.reduce((sum, job) => sum + value(job), 0) / jobs.length;

function near(found: number, expected: number, part: number, what: string): void {
  assert.ok(Math.abs(found - expected) <= part * expected, `${what}: ${found}, the model says ${expected}`);
}

const processors = 128;
const sample = [1, 2, 3].flatMap((seed) => lublinFeitelson({ jobs: 20_000, processors, seed }));

test("sizes are those of the model: serial jobs, powers of two, the mean of their logarithms", () => {
  near(
    mean(sample, (job) => (job.processors === 1 ? 1 : 0)),
    0.244,
    0.03,
    "serial jobs",
  );
  // Others come out as powers of two as well, where rounding makes them so: not less than the model's part.
  const powers = mean(sample, (job) => (job.processors > 1 && Number.isInteger(Math.log2(job.processors)) ? 1 : 0));
  assert.ok(powers > 0.576 && powers < 0.7, `powers of two: ${powers}`);
  // Of the two-stage uniform distribution: (low + middle) / 2 with probability 0.86, else (middle + high) / 2.
  const parallel = sample.filter((job) => job.processors > 1);
  near(
    mean(parallel, (job) => Math.log2(job.processors)),
    (0.86 * (0.8 + 4.5)) / 2 + (0.14 * (4.5 + 7)) / 2,
    0.02,
    "logarithm of sizes",
  );
  assert.ok(sample.every((job) => job.processors >= 1 && job.processors <= processors));
});

test("run times are those of the model, longer for larger jobs", () => {
  // Mean of the mixture of gamma distributions, by the size of each job; what is longer than e^12 s is drawn anew.
  const first = (job: TraceJob): number => Math.max(0, 0.78 - 0.0054 * job.processors);
  const expected = mean(sample, (job) => first(job) * 4.2 * 0.94 + (1 - first(job)) * 312 * 0.03);
  near(
    mean(sample, (job) => Math.log(job.runSeconds + 0.5)),
    expected,
    0.02,
    "logarithm of run times",
  );
  const small = sample.filter((job) => job.processors === 1);
  const large = sample.filter((job) => job.processors >= 64);
  assert.ok(mean(large, (job) => Math.log(job.runSeconds)) > mean(small, (job) => Math.log(job.runSeconds)) + 1);
  assert.ok(sample.every((job) => job.runSeconds <= Math.exp(12)));
  assert.ok(
    sample.every((job) => job.requestedSeconds >= job.runSeconds && job.requestedSeconds <= 5 * job.runSeconds),
  );
});

test("jobs come by the day: few in the morning's small hours, most in the afternoon", () => {
  const hours = Array.from({ length: 24 }, () => 0);
  for (const { submit } of sample) hours[Math.floor(submit / 3600) % 24]! += 1 / sample.length;
  const [night, noon] = [hours.slice(2, 6), hours.slice(11, 17)].map(
    (part) => part.reduce((sum, one) => sum + one) / part.length,
  );
  assert.ok(night! < 0.015 && noon! > 0.06, `${night} at night, ${noon} at noon`);
  const submits = lublinFeitelson({ jobs: 3000, processors, seed: 4 }).map(({ submit }) => submit);
  assert.deepEqual(
    submits,
    submits.toSorted((a, b) => a - b),
  );
  const twice = lublinFeitelson({ jobs: 3000, processors, seed: 4, load: 2 });
  near(twice.at(-1)!.submit, submits.at(-1)! / 2, 0.05, "twice the load");
});

test("the same seed gives the same workload, another one another", () => {
  const one = lublinFeitelson({ jobs: 500, processors, seed: 7 });
  assert.deepEqual(lublinFeitelson({ jobs: 500, processors, seed: 7 }), one);
  assert.notDeepEqual(lublinFeitelson({ jobs: 500, processors, seed: 8 }), one);
});

test("the shape of Kueue's test: 30 queues of 500 workloads in three classes", () => {
  const { jobs, processors } = kueueShape({ seed: 1 });
  assert.deepEqual([jobs.length, processors], [15_000, 600]);
  const queues = Map.groupBy(jobs, ({ user }) => user);
  assert.equal(queues.size, 30);
  for (const [queue, own] of queues) {
    const classes = Map.groupBy(own, (job) => `${job.processors} for ${job.runSeconds} s`);
    const counts = Object.fromEntries([...classes].map(([name, { length }]) => [name, length]));
    assert.deepEqual(counts, { "1 for 2 s": 350, "5 for 5 s": 100, "20 for 10 s": 50 });
    assert.equal(new Set(own.map(({ group }) => group)).size, 1, `cluster queue ${queue} is of one cohort`);
  }
  assert.deepEqual(
    jobs.map(({ submit }) => submit),
    jobs.map(({ submit }) => submit).toSorted((a, b) => a - b),
  );
  assert.equal(simulate({ jobs, processors, policy: "easy" }).metrics.jobs, 15_000);
});

test("what is written is what is read", () => {
  const jobs = lublinFeitelson({ jobs: 200, processors, seed: 2 });
  const trace = parseTrace(formatTrace(jobs, { MaxProcs: processors }));
  const bare = (job: TraceJob): object => ({ ...job, line: 0 });
  assert.deepEqual(trace.jobs.map(bare), jobs.map(bare));
});
