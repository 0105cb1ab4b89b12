/** `sbatch --test-only`: whether the cluster would take the job. */
import { isReason } from "@berth/client";
import { workloads, type Workload } from "@berth/kinds";
import { SlurmError, submissionFailed, type SubmissionObjects } from "@berth/slurm";
import type { Cluster } from "../connect.ts";

/** Asks whether the objects are valid; throws SlurmError, since the expected start of a job that is not there cannot be asked. */
export async function testOnly({ client }: Cluster, { workload }: SubmissionObjects): Promise<number> {
  try {
    await client.create<Workload>(workloads, workload, { dryRun: true });
  } catch (error) {
    if (isReason(error, "Invalid", "Forbidden", "BadRequest")) throw submissionFailed(error.message);
    if (!isReason(error, "NotFound")) throw error;
  }
  throw new SlurmError(
    1,
    "error: --test-only: the job is well formed, but this cluster does not answer yet when it would start; submit it with --hold and ask berth explain",
  );
}
