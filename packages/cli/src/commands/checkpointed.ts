/** `berth checkpointed`: tells that a running job has saved its state, so that less of it would be lost by ending it. */
import { isReason } from "@berth/client";
import { annotations, formatIndexListCompact, IndexSet, taskCheckpointKey, workloads } from "@berth/kinds";
import { CommandError } from "../command-error.ts";
import { connect } from "../connect.ts";
import { findJob, parseJobReference } from "../jobs.ts";

/** So many tasks each have an annotation of their own, which overwrites nobody's. */
const mostSingly = 64;

/** @param text the job; absent: the one that this command runs in */
export async function checkpointed(text = process.env["SLURM_JOB_ID"]): Promise<number> {
  if (text === undefined) throw new CommandError("which job? Name it, or call this within a job");
  const reference = parseJobReference(text);
  const cluster = await connect();
  const found = await findJob(cluster, reference.job);
  if (found === undefined) throw new CommandError(`there is no job ${text}`);
  const { workload, task } = found;
  if (reference.tasks !== undefined && workload.spec.array === undefined)
    throw new CommandError(`job ${reference.job} is not an array: name it as ${reference.job}`);
  const phase = workload.status?.phase ?? "Pending";
  if (phase !== "Running") throw new CommandError(`job ${text} does not run: it is ${phase}`);
  const time = new Date().toISOString();
  const tasks = reference.tasks ?? (task === undefined ? undefined : IndexSet.of(task));
  const told: Record<string, string> = {};
  if (tasks === undefined) told[annotations.checkpointedAt] = time;
  else if (tasks.size > mostSingly) told[annotations.checkpointedAt] = `${time} ${formatIndexListCompact(tasks)}`;
  else for (const one of tasks) told[taskCheckpointKey(one)] = time;
  const { name, namespace } = workload.metadata;
  try {
    const patch = { metadata: { annotations: told } };
    await cluster.client.patch(workloads, name, patch, { namespace });
  } catch (error) {
    if (!isReason(error, "Forbidden")) throw error;
    throw new CommandError(`job ${text} belongs to ${workload.spec.user}: only they or an operator tell this of it`);
  }
  process.stdout.write(`job ${text} counts as saved now\n`);
  return 0;
}
