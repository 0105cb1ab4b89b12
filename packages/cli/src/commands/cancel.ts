/** `berth cancel`: ends jobs, and says of each what became of it. */
import { parseIndexList } from "@berth/kinds";
import { cancelWorkload } from "../cancellation.ts";
import { CommandError } from "../command-error.ts";
import { connect } from "../connect.ts";
import { findJob, parseJobReference } from "../jobs.ts";
import { queuedJobs } from "../queued-jobs.ts";

export async function cancel(jobs: string[]): Promise<number> {
  const references = jobs.map((text) => ({ text, ...parseJobReference(text) }));
  const cluster = await connect();
  let failed = false;
  for (const { text, job, tasks } of references) {
    const found = await findJob(cluster, job);
    if (found === undefined) {
      const [other] = (await queuedJobs(cluster, Math.floor(Date.now() / 1000), { jobs: [job] })) ?? [];
      process.stderr.write(
        other === undefined
          ? `berth: there is no job ${job}, or it ended long ago; berth history shows what ended\n`
          : `berth: job ${text} belongs to ${other.user}: only they or an operator can cancel it\n`,
      );
      failed = true;
      continue;
    }
    const { workload, task } = found;
    if (tasks !== undefined && workload.spec.array === undefined)
      throw new CommandError(`job ${job} is not an array: name it as ${job}`);
    const outcome = await cancelWorkload(
      cluster,
      workload,
      tasks ?? (task === undefined ? undefined : parseIndexList(`${task}`)),
    );
    if (outcome === "asked") process.stdout.write(`job ${text} is being cancelled\n`);
    else if (outcome === "ended") process.stdout.write(`job ${text} had ended\n`);
    else {
      process.stderr.write(
        `berth: job ${text} belongs to ${workload.spec.user}: only they or an operator can cancel it\n`,
      );
      failed = true;
    }
  }
  return failed ? 1 : 0;
}
