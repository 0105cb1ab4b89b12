/** `sbatch --test-only`: whether the cluster would take the job, and when it would start. */
import { isReason } from "@berth/client";
import { questionsApiVersion, startEstimates, type StartEstimate } from "@berth/kinds";
import { compressHostlist, formatMoment, SlurmError, submissionFailed, type SubmissionObjects } from "@berth/slurm";
import type { Cluster } from "../connect.ts";
import { refusalOf } from "../refusals.ts";
import { withNamespace } from "../submit.ts";

/**
 * Asks, and says the answer on standard error in Slurm's words. The id is what the next job will be called; Slurm uses one up
 * for each such question, here it stays.
 * @throws SlurmError in the words of a refused submission, where the job would be refused
 */
export async function testOnly(cluster: Cluster, { workload }: SubmissionObjects): Promise<number> {
  const { metadata, spec } = workload;
  const question: StartEstimate = { apiVersion: questionsApiVersion, kind: "StartEstimate", metadata, spec };
  let answer: StartEstimate;
  try {
    answer = await withNamespace(cluster, workload, () =>
      cluster.client.create<StartEstimate>(startEstimates, question),
    );
  } catch (error) {
    if (isReason(error, "Invalid", "Forbidden", "BadRequest", "Timeout", "Gone")) throw submissionFailed(error.message);
    if (isReason(error, "NotFound", "ServiceUnavailable"))
      throw new SlurmError(1, "error: --test-only: this cluster answers no start estimates");
    throw error;
  }
  const { refusal, jobId, startTime, queue, cpus = 1, nodes = [], reason, message } = answer.status ?? {};
  if (refusal !== undefined) throw refusalOf(refusal, workload);
  const start = startTime === undefined ? undefined : formatMoment(Date.parse(startTime) / 1000);
  const lines = [
    start === undefined
      ? `Job ${jobId} would wait in partition ${queue}: its start is not known`
      : `Job ${jobId} to start at ${start} using ${cpus} processors on nodes ${compressHostlist(nodes)} in partition ${queue}`,
  ];
  // Slurm says no more; why a job waits is what its owner wants to know next.
  if (reason !== undefined) lines.push(`it waits, reason ${reason}${message === undefined ? "" : `: ${message}`}`);
  process.stderr.write(lines.map((line) => `sbatch: ${line}\n`).join(""));
  return 0;
}
