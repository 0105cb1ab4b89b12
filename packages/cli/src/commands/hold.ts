/** `berth hold` and `berth release`: whether jobs that wait may start. */
import { isReason } from "@berth/client";
import { workloads, type Workload } from "@berth/kinds";
import { userInfo } from "node:os";
import { CommandError } from "../command-error.ts";
import { connect, type Cluster } from "../connect.ts";
import { hasEnded, requireJob } from "../jobs.ts";
import { queuedJobs } from "../queued-jobs.ts";

/** Holds jobs that wait: they start only once they are released. Of an array that which has not started. */
export async function hold(jobs: readonly string[]): Promise<number> {
  return await change(jobs, ({ spec, status }) => {
    const owner = status?.identity?.user ?? spec.user;
    // What somebody else holds, its owner cannot release.
    return owner === userInfo().username ? "User" : "Admin";
  });
}

export async function release(jobs: readonly string[]): Promise<number> {
  return await change(jobs, () => null);
}

async function change(
  jobs: readonly string[],
  holdOf: (workload: Workload) => Workload["spec"]["hold"] | null,
): Promise<number> {
  const cluster = await connect();
  let exitCode = 0;
  for (const job of jobs) {
    try {
      const { client } = cluster;
      const workload = await waitingJob(cluster, job);
      const { namespace, name } = workload.metadata;
      const held = holdOf(workload);
      await client.patch(workloads, name, { spec: { hold: held } }, { namespace }).catch((error: unknown) => {
        if (!isReason(error, "Forbidden") || workload.spec.hold !== "Admin") throw error;
        throw new CommandError("an operator holds it, and only an operator can release it");
      });
      process.stdout.write(`job ${job} ${held === null ? "is released" : "is held"}\n`);
    } catch (error) {
      if (!(error instanceof CommandError) && !isReason(error, "Forbidden", "Invalid")) throw error;
      process.stderr.write(`berth: job ${job}: ${error.message}\n`);
      exitCode = 1;
    }
  }
  return exitCode;
}

async function waitingJob(cluster: Cluster, text: string): Promise<Workload> {
  const found = await requireJob(cluster, text);
  if (found === undefined) {
    const id = Number.parseInt(text, 10);
    const [other] = (await queuedJobs(cluster, Math.floor(Date.now() / 1000), { jobs: [id] })) ?? [];
    throw new CommandError(other === undefined ? "there is no such job" : `it is a job of ${other.user}`);
  }
  if (found.task !== undefined)
    throw new CommandError("elements of an array are held and released together: name the array");
  if (hasEnded(found)) throw new CommandError("it has ended");
  const { phase = "Pending", array } = found.workload.status ?? {};
  if (array === undefined ? phase !== "Pending" : array.pending === "")
    throw new CommandError("it has started already");
  return found.workload;
}
