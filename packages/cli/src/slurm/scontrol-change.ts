/** `scontrol hold`, `release` and `update`: what changes of jobs. */
import { isReason } from "@berth/client";
import { isFinal, workloads, type Workload } from "@berth/kinds";
import { type JobChanges, parseJobUpdate, SlurmError } from "@berth/slurm";
import { userInfo } from "node:os";
import { connect, type Cluster } from "../connect.ts";
import { findJob, parseJobReference } from "../jobs.ts";
import { queuedJobs } from "../queued-jobs.ts";
import { splitJobList } from "../suspension.ts";

const unknown = "Invalid job id specified";
const ended = "Job/step already completing or completed";
const denied = "Access/permission denied";

/** @param prefix what Slurm's command says last where one of several failed; absent: nothing */
async function changeAll(
  words: readonly string[],
  prefix: string | undefined,
  patchOf: (workload: Workload) => object | undefined,
): Promise<number> {
  const cluster = await connect();
  let failure: string | undefined;
  for (const job of splitJobList(words)) {
    const why = await changeOne(cluster, job, patchOf);
    if (why === undefined) continue;
    failure = why.slurm;
    process.stderr.write(`${why.slurm} for job ${job}\n`);
    if (why.more !== undefined) process.stderr.write(`scontrol: ${why.more}\n`);
  }
  if (failure === undefined) return 0;
  if (prefix !== undefined) process.stderr.write(`${prefix} error: ${failure}\n`);
  return 1;
}

interface Failure {
  slurm: string;
  more?: string;
}

async function changeOne(
  cluster: Cluster,
  text: string,
  patchOf: (workload: Workload) => object | undefined,
): Promise<Failure | undefined> {
  let id: number;
  try {
    id = parseJobReference(text).job;
  } catch (error) {
    return { slurm: unknown, more: (error as Error).message };
  }
  const found = await findJob(cluster, id);
  if (found === undefined) {
    const [other] = (await queuedJobs(cluster, Math.floor(Date.now() / 1000), { jobs: [id] })) ?? [];
    return other === undefined ? { slurm: unknown } : { slurm: denied, more: `it is a job of ${other.user}` };
  }
  if (found.task !== undefined || text.includes("_"))
    return {
      slurm: "Requested operation not supported on this system",
      more: "elements of an array are changed together: name the array",
    };
  const { metadata, status } = found.workload;
  if (isFinal(status?.phase)) return { slurm: ended };
  try {
    const patch = patchOf(found.workload);
    const { name, namespace } = metadata;
    if (patch !== undefined) await cluster.client.patch<Workload>(workloads, name, patch, { namespace });
    return undefined;
  } catch (error) {
    if (isReason(error, "Forbidden")) return { slurm: denied, more: error.message };
    if (isReason(error, "Invalid", "BadRequest")) return { slurm: refusalOf(error.message), more: error.message };
    throw error;
  }
}

/** Slurm's words for what the API refuses to change. */
function refusalOf(message: string): string {
  if (/queue/i.test(message)) return "Invalid partition name specified";
  if (/account/i.test(message)) return "Invalid account or account/partition combination specified";
  return /pending/i.test(message) ? "Job is no longer pending execution" : "Requested operation is presently disabled";
}

/** @param as who may release it: its owner (`User`), or an operator only; absent: an operator's own hold is an operator's */
export async function hold(words: readonly string[], as?: "User"): Promise<number> {
  return await changeAll(words, "slurm_suspend", ({ spec, status }) => {
    if (status?.array === undefined && (status?.phase ?? "Pending") !== "Pending") return undefined;
    const owner = status?.identity?.user ?? spec.user;
    const isOperators = as === undefined && (userInfo().uid === 0 || owner !== userInfo().username);
    return { spec: { hold: isOperators ? "Admin" : "User" } };
  });
}

export async function release(words: readonly string[]): Promise<number> {
  return await changeAll(words, "slurm_suspend", ({ spec }) =>
    spec.hold === undefined ? undefined : { spec: { hold: null } },
  );
}

/** `JobId=42 TimeLimit=30 …` */
export async function updateJob(words: readonly string[]): Promise<number> {
  const { jobs, changes } = parseJobUpdate(words, Math.floor(Date.now() / 1000));
  const cluster = changes.queue === undefined ? undefined : await connect();
  if (cluster !== undefined) await requireQueue(cluster, changes.queue!, jobs);
  return await changeAll([jobs], undefined, (workload) => ({ spec: specOf(changes, workload) }));
}

/** The API takes any name of a queue, and the job would wait for one that never comes. */
async function requireQueue({ client }: Cluster, name: string, jobs: string): Promise<void> {
  const { queues } = await import("@berth/kinds");
  try {
    await client.get(queues, name);
  } catch (error) {
    if (!isReason(error, "NotFound", "Invalid", "BadRequest")) throw error;
    throw new SlurmError(1, `Invalid partition name specified for job ${jobs}`);
  }
}

function specOf(changes: JobChanges, { spec, status }: Workload): Record<string, unknown> {
  const { relativeTimeSeconds, wallTimeSeconds, beginTime, deadline, maxRunning, queue, ...others } = changes;
  const time = (seconds: number): string => new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
  const limit =
    wallTimeSeconds ??
    (relativeTimeSeconds === undefined
      ? undefined
      : Math.max(60, (status?.wallTimeSeconds ?? spec.wallTimeSeconds ?? 0) + relativeTimeSeconds));
  return {
    ...others,
    ...(queue === undefined ? {} : { queue }),
    ...(limit === undefined ? {} : { wallTimeSeconds: limit }),
    ...(beginTime === undefined ? {} : { beginTime: beginTime === null ? null : time(beginTime) }),
    ...(deadline === undefined ? {} : { deadline: time(deadline) }),
    ...(maxRunning === undefined ? {} : { array: { maxRunning } }),
  };
}
