export interface ScheduledJob {
  id: number;
  submit: number;
  /** Of the last attempt, where it was preempted. */
  start: number;
  end: number;
  /** Seconds from submission to start. */
  wait: number;
  processors: number;
  /** Times on the machine that were cut short before, with what of each was lost. */
  preempted?: readonly { start: number; end: number; lostSeconds: number }[];
}

/** Averages over all jobs, no warm-up cut. Times in seconds. */
export interface Metrics {
  jobs: number;
  averageWait: number;
  /** Flow: from submission to end. */
  averageFlow: number;
  averageBoundedSlowdown: number;
  maxFlow: number;
  maxBoundedSlowdown: number;
  rmsBoundedSlowdown: number;
  /** Processor seconds used over processor seconds there were, from first submission to last end. */
  utilization: number;
  /** From first submission to last end. */
  makespan: number;
  /** Real time that the simulation took. */
  seconds: number;
}

/** Run times below this count as this in slowdowns (Feitelson's bounded slowdown). */
const boundSeconds = 10;

export function measure(schedule: readonly ScheduledJob[], processors: number, seconds: number): Metrics {
  let wait = 0;
  let flow = 0;
  let slowdown = 0;
  let squares = 0;
  let maxFlow = 0;
  let maxSlowdown = 0;
  let used = 0;
  let first = Infinity;
  let last = -Infinity;
  for (const job of schedule) {
    const run = job.end - job.start;
    const jobFlow = job.end - job.submit;
    const jobSlowdown = Math.max(1, jobFlow / Math.max(boundSeconds, run));
    wait += job.wait;
    flow += jobFlow;
    slowdown += jobSlowdown;
    squares += jobSlowdown * jobSlowdown;
    maxFlow = Math.max(maxFlow, jobFlow);
    maxSlowdown = Math.max(maxSlowdown, jobSlowdown);
    used += run * job.processors;
    for (const { start, end } of job.preempted ?? []) used += (end - start) * job.processors;
    first = Math.min(first, job.submit);
    last = Math.max(last, job.end);
  }
  const jobs = schedule.length;
  const makespan = jobs === 0 ? 0 : last - first;
  const average = (sum: number): number => (jobs === 0 ? 0 : sum / jobs);
  return {
    jobs,
    averageWait: average(wait),
    averageFlow: average(flow),
    averageBoundedSlowdown: average(slowdown),
    maxFlow,
    maxBoundedSlowdown: maxSlowdown,
    rmsBoundedSlowdown: Math.sqrt(average(squares)),
    utilization: makespan === 0 ? 0 : used / (processors * makespan),
    makespan,
    seconds,
  };
}
