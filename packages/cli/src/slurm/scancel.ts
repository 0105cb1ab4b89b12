/** `scancel`: ends jobs, or sends them a signal. */
import { isReason } from "@berth/client";
import { isActive, isFinal, parseIndexList, type IndexSet } from "@berth/kinds";
import {
  formatJobId,
  readScancelCommandLine,
  scancelOptions,
  selectJobs,
  type JobFilter,
  type JobRow,
  type ScancelRequest,
} from "@berth/slurm";
import { userInfo } from "node:os";
import { cancelWorkload } from "../cancellation.ts";
import { connect, type Cluster } from "../connect.ts";
import { livingJobs, type LivingJob } from "../living-jobs.ts";
import { signalJob } from "../signalling.ts";
import { queuedJobs } from "../queued-jobs.ts";
import { withCluster } from "./contact.ts";
import { showText } from "./help.ts";
import { knownUsers } from "./users.ts";

const examples =
  "Examples:\n  scancel 42\n  scancel 43_[3-5] 44_1\n  scancel --me --state PENDING\n  scancel -s USR1 --batch 42\n";
/** Why a job was not ended or signalled: Slurm's words, and its exit code; what has ended is no failure. */
const failures = {
  ended: { text: "Job/step already completing or completed", exitCode: 0 },
  denied: { text: "Access/permission denied", exitCode: 210 },
  pending: { text: "Job is pending execution", exitCode: 232 },
} as const;
type Failure = keyof typeof failures;

export async function scancel(words: string[]): Promise<number> {
  const request = readScancelCommandLine(words);
  if (request.show !== undefined) return showText("scancel", request.show, scancelOptions, examples);
  return await withCluster("scancel", async () => {
    const cluster = await connect();
    const targets = await withForeign(cluster, request, await targetsOf(cluster, request));
    let exitCode = 0;
    for (const target of targets) {
      const failure = await cancelTarget(cluster, target, request);
      if (failure === undefined) continue;
      const { text, exitCode: code } = failures[failure];
      exitCode ||= code;
      if (code !== 0 || request.verbose)
        process.stderr.write(`scancel: error: Kill job error on job id ${target.id}: ${text}\n`);
    }
    return exitCode;
  });
}

const sigkill = 9;
const sigterm = 15;

/** A job, or some elements of one array; absent Workload: a job that nobody knows, or one of somebody else. */
interface Target {
  id: string;
  job?: LivingJob;
  tasks?: IndexSet;
  isForeign?: boolean;
  /** Number of the one step that is meant. */
  step?: string;
}

async function targetsOf(cluster: Cluster, request: ScancelRequest): Promise<Target[]> {
  const jobs = await livingJobs(cluster);
  const users = request.me ? [userInfo().username] : await knownUsers("scancel", request.users);
  const rows = new Map(jobs.map((job) => [job.row, job]));
  const wanted = selectJobs(
    jobs.map(({ row }) => row),
    { ...filterOf(request), users },
  );
  if (request.jobs.length === 0) return wanted.map((row) => targetOfRow(row, rows.get(row)!));
  const narrowed =
    users ?? request.states ?? request.partitions ?? request.accounts ?? request.jobNames ?? request.nodes;
  return request.jobs.map(({ job, tasks, step: named }): Target => {
    const target = targetOf(job, tasks);
    // The batch step is the job's script.
    return named === undefined || named === "batch" ? target : { ...target, id: `${target.id}.${named}`, step: named };
  });

  function targetOf(job: number, tasks: string | undefined): Target {
    const id = tasks === undefined ? `${job}` : `${job}_${tasks}`;
    const named = wanted.filter((row) => row.jobId === job || row.arrayJobId === job);
    const first = named[0];
    if (first === undefined) return { id };
    const living = rows.get(first)!;
    if (tasks !== undefined) return { id, job: living, tasks: parseIndexList(tasks) };
    // An element's own id names only that element; the array's id names all of it, or what a filter leaves of it.
    if (first.jobId === job && first.arrayTaskId !== undefined && first.arrayJobId !== job)
      return targetOfRow(first, living);
    if (narrowed === undefined || living.workload.spec.array === undefined) return { id, job: living };
    return { id, job: living, tasks: named.map(tasksOfRow).reduce((all, some) => all.union(some)) };
  }
}

/** What of the request are jobs of others, which only the scheduler tells of: to say so beats silence. */
async function withForeign(cluster: Cluster, request: ScancelRequest, targets: Target[]): Promise<Target[]> {
  if (cluster.namespace === undefined) return targets;
  const nowSeconds = Math.floor(Date.now() / 1000);
  if (request.jobs.length > 0) {
    const unknown = targets.filter(({ job }) => job === undefined);
    if (unknown.length === 0) return targets;
    const jobs = unknown.map(({ id }) => Number.parseInt(id, 10));
    const rows = (await queuedJobs(cluster, nowSeconds, { jobs })) ?? [];
    const foreign = rows.filter(({ user }) => user !== userInfo().username);
    const living = new Set(foreign.flatMap(({ jobId, arrayJobId }) => [jobId, arrayJobId]));
    for (const target of unknown) target.isForeign = living.has(Number.parseInt(target.id, 10));
    return targets;
  }
  const others = request.users?.filter((name) => name !== userInfo().username) ?? [];
  if (others.length === 0) return targets;
  const rows = (await queuedJobs(cluster, nowSeconds, { users: others })) ?? [];
  const meant = selectJobs(rows, { ...filterOf(request), users: others });
  return [...targets, ...meant.map((row): Target => ({ id: formatJobId(row), isForeign: true }))];
}

function filterOf(request: ScancelRequest): JobFilter {
  const { states, partitions, accounts, qos, jobNames, nodes } = request;
  return { states, partitions, accounts, qos, jobNames, nodes };
}

function targetOfRow(row: JobRow, job: LivingJob): Target {
  if (row.arrayJobId === undefined) return { id: `${row.jobId}`, job };
  return { id: `${row.arrayJobId}_${row.arrayTaskId ?? row.arrayTasks}`, job, tasks: tasksOfRow(row) };
}

function tasksOfRow(row: JobRow): IndexSet {
  return parseIndexList(row.arrayTasks ?? String(row.arrayTaskId ?? ""));
}

/** Whether something of what is meant has not begun. The scheduler knows before the status of an array tells of it. */
async function waits(cluster: Cluster, { job, tasks }: Target): Promise<boolean> {
  if (job === undefined) return false;
  const { spec, status } = job.workload;
  if (spec.array === undefined) return !isActive(status?.phase);
  const rows = await queuedJobs(cluster, Math.floor(Date.now() / 1000), { jobs: [status!.jobId!] });
  const pending =
    rows === undefined
      ? parseIndexList(status?.array?.pending ?? spec.array.indices)
      : rows
          .filter(({ state }) => state === "PENDING")
          .map(tasksOfRow)
          .reduce((all, some) => all.union(some), parseIndexList(""));
  return (tasks === undefined ? pending : pending.intersect(tasks)).size > 0;
}

/** Undefined when it was asked for; else why not. */
async function cancelTarget(cluster: Cluster, target: Target, request: ScancelRequest): Promise<Failure | undefined> {
  const { job, tasks } = target;
  const { signal, to } = request;
  if (target.isForeign === true) return "denied";
  if (job === undefined || isFinal(job.workload.status?.phase)) return "ended";
  try {
    if (target.step !== undefined)
      return (await signalJob(cluster, job.workload, tasks, signal ?? sigkill, "Steps", target.step))
        ? undefined
        : "ended";
    const isEnd = signal === undefined || (to === undefined && (signal === sigkill || signal === sigterm));
    if (!isEnd) {
      if (to === undefined && isActive(job.workload.status?.phase)) {
        if (await signalJob(cluster, job.workload, tasks, signal, "Steps")) return undefined;
        // As in Slurm, where it is a riddle to many.
        if (!request.quiet)
          process.stderr.write(
            `scancel: job ${target.id} has no steps, so nothing was signalled: --batch signals its script, --full all of its processes\n`,
          );
        return undefined;
      }
      if (to !== undefined && (await signalJob(cluster, job.workload, tasks, signal, to))) return undefined;
      return (await waits(cluster, target)) ? "pending" : "ended";
    }
    const outcome = await cancelWorkload(cluster, job.workload, tasks);
    return outcome === "asked" ? undefined : outcome === "refused" ? "denied" : "ended";
  } catch (error) {
    if (isReason(error, "Forbidden")) return "denied";
    throw error;
  }
}
