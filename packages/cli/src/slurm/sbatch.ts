/** `sbatch`: queues a batch script. */
import { isFinal } from "@berth/kinds";
import { submissionFailed } from "@berth/slurm";
import { connect } from "../connect.ts";
import { NoClusterError } from "../command-error.ts";
import { exitCodeOf } from "../job-end.ts";
import { objectsOf, readRequest, submit } from "../submit.ts";
import { watchWorkload } from "../watch-workload.ts";
import { contactFailure } from "./contact.ts";
import { showSbatch } from "./help.ts";

export async function sbatch(words: string[]): Promise<number> {
  const shown = showSbatch(words);
  if (shown !== undefined) return shown;
  const request = readRequest(words, "sbatch");
  const { options, notes } = request.resolved;
  try {
    const cluster = await connect();
    const objects = await objectsOf(cluster, request);
    for (const note of new Set([...notes, ...objects.notes])) process.stderr.write(`sbatch: ${note}\n`);
    if (options.testOnly === true) {
      const { testOnly } = await import("./test-only.ts");
      return await testOnly(cluster, objects);
    }
    const workload = await submit(cluster, objects);
    const id = workload.status!.jobId!;
    // As in Slurm --quiet says nothing, even to --parsable.
    if (options.quiet !== true) {
      const { cluster: named } = options;
      const text = named === undefined ? `Submitted batch job ${id}` : `Submitted batch job ${id} on cluster ${named}`;
      const parsable = named === undefined ? `${id}` : `${id};${named}`;
      process.stdout.write(`${options.parsable === true ? parsable : text}\n`);
    }
    if (options.wait !== true) return 0;
    const ended = await watchWorkload(cluster, workload.metadata, ({ status }) => isFinal(status?.phase));
    return ended === undefined ? 1 : exitCodeOf(ended);
  } catch (error) {
    const failure = contactFailure(error);
    if (failure === undefined) throw error;
    throw submissionFailed(failure, ...(error instanceof NoClusterError ? [`: ${error.message}`] : []));
  }
}
