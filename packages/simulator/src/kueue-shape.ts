import { seededRandom } from "./random.ts";
import type { TraceJob } from "./trace.ts";

/**
 * The shape of the performance test that Kueue publishes (test/performance/scheduler/configs/baseline/generator.yaml): 5 cohorts of 6
 * cluster queues, each with 500 workloads of three classes. Its times are tenths of seconds; here they are seconds, ten times as
 * long.
 */
export const kueueTest = {
  cohorts: 5,
  queuesPerCohort: 6,
  /** Processors of one cluster queue, and what it may borrow of its cohort beside them. */
  quota: 20,
  borrowing: 100,
  /** Of one cluster queue; those of higher priority go first. */
  classes: [
    { name: "small", priority: 50, count: 350, everySeconds: 1, processors: 1, runSeconds: 2 },
    { name: "medium", priority: 100, count: 100, everySeconds: 5, processors: 5, runSeconds: 5 },
    { name: "large", priority: 200, count: 50, everySeconds: 12, processors: 20, runSeconds: 10 },
  ],
} as const;

/**
 * 15,000 jobs on 600 processors, in order of submission. User is the cluster queue (1 to 30), group its cohort (1 to 5), queue a class of
 * a cohort (1 to 3 the small, medium and large ones of the first cohort, and so on). The seed decides only who of one second comes
 * first.
 */
export function kueueShape(options: { seed: number }): { jobs: TraceJob[]; processors: number } {
  const random = seededRandom(options.seed);
  const { cohorts, queuesPerCohort, quota, classes } = kueueTest;
  const drawn: { job: TraceJob; rank: number }[] = [];
  for (let queue = 0; queue < cohorts * queuesPerCohort; queue += 1) {
    const cohort = Math.floor(queue / queuesPerCohort);
    for (const [index, { count, everySeconds, processors, runSeconds }] of classes.entries()) {
      for (let number = 0; number < count; number += 1) {
        drawn.push({
          job: {
            id: 0,
            submit: number * everySeconds,
            runSeconds,
            requestedSeconds: runSeconds,
            processors,
            user: String(queue + 1),
            group: String(1 + cohort),
            queue: String(1 + cohort * classes.length + index),
            line: 0,
          },
          rank: random(),
        });
      }
    }
  }
  drawn.sort((a, b) => a.job.submit - b.job.submit || a.rank - b.rank);
  const jobs = drawn.map(({ job }, index) => Object.assign(job, { id: index + 1, line: index + 1 }));
  return { jobs, processors: cohorts * queuesPerCohort * quota };
}
