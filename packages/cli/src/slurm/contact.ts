/** A cluster that cannot be reached, in Slurm's words. */
import { ConnectionError } from "@berth/client";
import { SlurmError } from "@berth/slurm";
import { CommandError, NoClusterError } from "../command-error.ts";

const unreachable = "Unable to contact slurm controller (connect failure)";

/** Slurm's words when the error means that there is no cluster to speak to; undefined for all others. */
export function contactFailure(error: unknown): string | undefined {
  return error instanceof NoClusterError || error instanceof ConnectionError ? unreachable : undefined;
}

/**
 * Runs a command that reads from the cluster; an unreachable one fails as `PREFIX error: Unable to contact …`, exit code 1.
 * @param prefix what Slurm's command was doing: `slurm_load_jobs`
 */
export async function withCluster(prefix: string, command: () => Promise<number>): Promise<number> {
  try {
    return await command();
  } catch (error) {
    const failure = contactFailure(error);
    if (failure === undefined) throw error;
    const hint = error instanceof CommandError ? [`: ${error.message}`] : [];
    throw new SlurmError(1, `${prefix} error: ${failure}`, ...hint);
  }
}
