/** `berth logs`: prints what a job has written. */
import { CommandError } from "../command-error.ts";
import { connect, type Cluster } from "../connect.ts";
import { hasEnded, nameOf, requireJob, type FoundJob } from "../jobs.ts";
import { copyPodLog, followFiles, isReadable, outputFilesOf } from "../output-files.ts";
import { watchWorkload } from "../watch-workload.ts";

export async function logs(text: string, options: { follow?: boolean }): Promise<number> {
  const cluster = await connect();
  const found = await requireJob(cluster, text);
  if (found === undefined)
    throw new CommandError(`there is no job ${text}, or it ended long ago: its output is in the file that it named`);
  const { workload, task } = found;
  if (workload.spec.array !== undefined && task === undefined)
    throw new CommandError(
      `job ${text} is an array: name one element, like ${text}_${workload.spec.array.indices.split(/[-,:]/)[0]}`,
    );
  const files = outputFilesOf(workload, task);
  if (files.length === 0) throw new CommandError(`job ${text} writes to no file: its output goes to /dev/null`);
  const exist = files.some(isReadable);
  const follow = options.follow === true && !hasEnded(found);
  if (exist || follow) {
    await followFiles(files, follow ? ended(cluster, found) : Promise.resolve());
    return 0;
  }
  if (await copyPodLog(cluster, found, false)) return 0;
  throw new CommandError(
    hasEnded(found)
      ? `job ${nameOf(found)} has left no output: ${files.join(" and ")} cannot be read here`
      : `job ${nameOf(found)} has not written anything yet; follow it with: berth logs -f ${text}`,
  );
}

async function ended(cluster: Cluster, { workload, task }: FoundJob): Promise<void> {
  await watchWorkload(cluster, workload.metadata, (now) =>
    hasEnded({ workload: now, ...(task !== undefined && { task }) }),
  );
}
