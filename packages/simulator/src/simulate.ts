import { createClusterState, submitRefusal } from "@berth/scheduling";
import type { ClusterState, JobInput, Policy } from "@berth/scheduling";
import { measure } from "./metrics.ts";
import type { Metrics, ScheduledJob } from "./metrics.ts";
import { play } from "./play.ts";
import type { Played } from "./play.ts";
import { poolName, putSite } from "./site-input.ts";
import { gpuOf, podSetsOf } from "./pod-sets.ts";
import type { Assignment, SiteInput } from "./site-input.ts";
import type { TraceJob } from "./trace.ts";

/** Names of policies, as settings of the core's knobs; there is no policy here. */
export const policies = {
  fcfs: { reservationDepth: 0, backfill: "None" },
  easy: { reservationDepth: 1, backfill: "Arrival" },
  "easy-sjbf": { reservationDepth: 1, backfill: "Shortest" },
  conservative: { reservationDepth: -1, backfill: "Arrival" },
} as const satisfies Record<string, Partial<Policy>>;
export type PolicyName = keyof typeof policies;

export interface SimulateOptions {
  /** In any order; equal submit times keep their order here. */
  jobs: readonly TraceJob[];
  /** Of the machine, where no site with nodes says it: one pool, as the format of traces knows no nodes. */
  processors: number;
  /** `site`: what the site says; a name lays its reservations and its order of backfilling over that. */
  policy: PolicyName | "site";
  /** Queues, accounts, nodes …; absent: one queue, and nobody has shares. */
  site?: SiteInput;
  /** Unix time of second 0 of the trace, for what a site says by the calendar. Default 0. */
  startTime?: number;
  /** Estimates are the run times. Default false. */
  clairvoyant?: boolean;
  /**
   * `Event` (default without a site): one decision after each event, submissions before ends of the same second, as the published
   * schedules were made. `Cycle` (default with a site): one decision for all events of a second, as the live loop does.
   */
  mode?: "Event" | "Cycle";
  /** By how much a slot is longer than the estimate (grace, start allowance), as live; default 0, with a site its grace. */
  overheadSeconds?: number;
  /** Milliseconds of a monotonic clock, for `metrics.seconds`. */
  clock?: () => number;
  /** Told very often how many jobs have been submitted. */
  progress?: (submitted: number) => void;
}

/** A job that has no place in the schedule. */
export interface LeftOutJob {
  id: number;
  line: number;
  /** The core's reason; of a refused job the limit, in words. */
  reason: string;
}

export interface Simulation {
  metrics: Metrics;
  /** In the order of the jobs given; jobs that were refused, cancelled by preemption, or never started are not in it. */
  schedule: ScheduledJob[];
  processors: number;
  /** What each job of the schedule was counted to; without a site its group in the trace stands as account. */
  assignments: Assignment[];
  accountsAre: "account" | "group";
  refused: LeftOutJob[];
  /** Those that wait at the end, with their reason then. */
  unstarted: LeftOutJob[];
  cancelled: number;
  preemptions: number;
  /** Processor seconds that preempted jobs had to do again. */
  lostProcessorSeconds: number;
  /** Jobs that asked for GPUs where nobody says that there are any: only their processors count. */
  withoutTheirGpus: number;
  decisions: number;
}

/** Plays a recorded workload in virtual time. Without a site a job that can never fit is an error in words. */
export function simulate(options: SimulateOptions): Simulation {
  const { jobs, policy, site, startTime = 0, clairvoyant = false, clock = () => performance.now() } = options;
  const { mode = site === undefined ? "Event" : "Cycle" } = options;
  const overheadSeconds = options.overheadSeconds ?? site?.overheadSeconds;
  const began = clock();
  const hasNodes = site !== undefined && site.nodes.length > 0;
  const cpu = hasNodes ? Math.max(0, site.resources.indexOf("cpu")) : 0;
  const gpu = hasNodes ? gpuOf(site) : undefined;
  const processors = hasNodes ? cpusOf(site, cpu) : options.processors;
  if (site === undefined) checkSizes(jobs, processors);
  const knobs = policy === "site" ? {} : policies[policy];
  const overdue = mode === "Event" ? "Release" : "Extend";
  const state = createClusterState({
    resources: site?.resources ?? ["processors"],
    devices: site?.devices,
    // A pool has no labels that could match.
    matches: hasNodes ? site.matches : undefined,
    policy: { ...site?.policy, ...knobs, overdue },
  });
  if (site === undefined) {
    state.putNode({ name: poolName, capacity: [processors], nodeClass: "", state: "Up" });
    state.putQueue({ name: poolName });
  } else putSite(state, site, processors, startTime);
  const longest = new Map(site?.queues.map(({ name, maxWallTimeSeconds }) => [name, maxWallTimeSeconds]));
  const assignments = site === undefined ? undefined : jobs.map((job) => site.assign(job));
  const input = (index: number): JobInput => {
    const job = jobs[index]!;
    const assigned = assignments?.[index];
    return {
      // The place in the list, so that equal submit times keep its order.
      id: index,
      user: assigned?.user ?? job.user ?? "",
      account: assigned?.account,
      qos: assigned?.qos,
      queues: [assigned?.queue ?? poolName],
      submitTime: startTime + job.submit,
      podSets:
        site === undefined
          ? [{ count: 1, request: [job.processors] }]
          : podSetsOf(job, site, { hasNodes, cpu, gpu }, assigned?.selector),
      wallTimeSeconds: clairvoyant ? job.runSeconds : wallTimeOf(job, longest.get(assigned?.queue ?? "")),
      overheadSeconds,
    };
  };
  const played = play({
    state,
    jobs: jobs.length,
    input,
    submitTime: (index) => startTime + jobs[index]!.submit,
    runSeconds: (index) => jobs[index]!.runSeconds,
    mode,
    progress: options.progress,
    refusal: site?.hasLimits === true ? (job) => refusalOf(state, job) : undefined,
  });
  const result = collect(jobs, played, startTime, assignments, site === undefined ? state : undefined);
  const accountsAre = site !== undefined || jobs.some(({ account }) => account !== undefined) ? "account" : "group";
  return {
    ...result,
    withoutTheirGpus: gpu === undefined ? jobs.filter(({ gpus = 0 }) => gpus > 0).length : 0,
    accountsAre,
    processors,
    metrics: measure(result.schedule, processors, (clock() - began) / 1000),
  };
}

function refusalOf(state: ClusterState, job: JobInput): string | undefined {
  const hit = submitRefusal(state, job);
  if (hit === undefined) return undefined;
  const { of, what, limit } = hit;
  return `${what} of ${of.kind} ${of.name}${of.user === undefined ? "" : ` for user ${of.user}`}: ${limit}`;
}

function checkSizes(jobs: readonly TraceJob[], processors: number): void {
  const tooLarge = jobs.find((job) => job.processors > processors);
  if (tooLarge === undefined) return;
  throw new RangeError(
    `job ${tooLarge.id} (line ${tooLarge.line}) needs ${tooLarge.processors} processors, the machine has ${processors}`,
  );
}

function cpusOf(site: SiteInput, cpu: number): number {
  return Math.floor(site.nodes.reduce((sum, { capacity }) => sum + (capacity[cpu] ?? 0), 0) / 1000);
}

/** What asked for no limit gets the longest that its queue gives. */
function wallTimeOf({ isUnlimited, requestedSeconds, runSeconds }: TraceJob, longestSeconds = Infinity): number {
  return isUnlimited === true ? Math.max(runSeconds, Math.min(requestedSeconds, longestSeconds)) : requestedSeconds;
}

function collect(
  jobs: readonly TraceJob[],
  played: Played,
  startTime: number,
  assignments: readonly Assignment[] | undefined,
  strict: ClusterState | undefined,
): Omit<Simulation, "accountsAre" | "metrics" | "processors" | "withoutTheirGpus"> {
  const schedule: ScheduledJob[] = [];
  const own: Assignment[] = [];
  let cancelled = 0;
  let lostProcessorSeconds = 0;
  const leftOut = new Set([...played.refused, ...played.unstarted].map(({ index }) => index));
  for (const [index, job] of jobs.entries()) {
    if (leftOut.has(index)) continue;
    const attempts = played.attempts[index]!;
    const last = attempts.at(-1);
    if (last === undefined) {
      if (strict !== undefined) throw new Error(`job ${job.id} (line ${job.line}) never started`);
      continue;
    }
    if (last.preempted !== undefined) {
      cancelled += 1;
      continue;
    }
    const { id, submit, processors } = job;
    const start = last.start - startTime;
    const before = attempts.slice(0, -1).map((attempt) => ({
      start: attempt.start - startTime,
      end: attempt.end - startTime,
      lostSeconds: attempt.preempted === "Requeue" ? attempt.end - attempt.start : 0,
    }));
    for (const { lostSeconds } of before) lostProcessorSeconds += lostSeconds * processors;
    schedule.push({
      id,
      submit,
      start,
      end: last.end - startTime,
      wait: start - submit,
      processors,
      ...(before.length === 0 ? {} : { preempted: before }),
    });
    own.push(
      assignments?.[index] ?? { user: job.user ?? "", account: job.account ?? job.group, queue: job.queue ?? "" },
    );
  }
  const told = (list: Played["refused"]): LeftOutJob[] =>
    list.map(({ index, reason }) => ({ id: jobs[index]!.id, line: jobs[index]!.line, reason }));
  return {
    schedule,
    assignments: own,
    refused: told(played.refused),
    unstarted: told(played.unstarted),
    cancelled,
    preemptions: played.preemptions,
    lostProcessorSeconds,
    decisions: played.decisions,
  };
}
