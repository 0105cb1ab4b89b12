/** `berth suspend` and `berth resume`: jobs that run stand still on their nodes, and go on. For operators. */
import { connect } from "../connect.ts";
import { setSuspended, splitJobList, SuspensionRefusal } from "../suspension.ts";

export async function suspend(jobs: readonly string[]): Promise<number> {
  return await change(jobs, true);
}

export async function resume(jobs: readonly string[]): Promise<number> {
  return await change(jobs, false);
}

async function change(jobs: readonly string[], isSuspended: boolean): Promise<number> {
  const cluster = await connect();
  let exitCode = 0;
  for (const job of splitJobList(jobs)) {
    try {
      await setSuspended(cluster, job, isSuspended);
      process.stdout.write(`job ${job} ${isSuspended ? "is being suspended" : "goes on"}\n`);
    } catch (error) {
      if (!(error instanceof SuspensionRefusal)) throw error;
      process.stderr.write(`berth: job ${job}: ${error.message}\n`);
      exitCode = 1;
    }
  }
  return exitCode;
}
