/** All jobs that wait or run, of whomever, as far as the site tells of them: the queue as the scheduler sees it. */
import { isReason } from "@berth/client";
import { queueViews, type QueueView } from "@berth/kinds";
import { rowOfView, type JobRow } from "@berth/slurm";
import type { Cluster } from "./connect.ts";

/** What of the queue is asked for; absent: all of it. Each list is of alternatives. */
export interface QueueSelection {
  jobs?: readonly number[];
  users?: readonly string[];
  queues?: readonly string[];
  accounts?: readonly string[];
  phases?: readonly string[];
}

/** The API takes one value of each field: of several it is asked for all, and the rest is left out here. */
const askedOneByOne = 10;
const pageSize = 2000;

/**
 * The rows of the queue in its order. Undefined where the cluster answers no such questions (its API is not Berth's own, or its
 * controllers are down): then only the Workloads themselves can tell.
 */
export async function queuedJobs(
  cluster: Cluster,
  nowSeconds: number,
  { jobs, users, queues, accounts, phases }: QueueSelection = {},
): Promise<JobRow[] | undefined> {
  const common = [
    one("spec.user", users),
    one("spec.queue", queues),
    one("spec.account", accounts),
    one("status.phase", phases),
  ].filter((word) => word !== undefined);
  const each =
    jobs !== undefined && jobs.length <= askedOneByOne ? jobs.map((job) => `spec.jobId=${job}`) : [undefined];
  try {
    const lists = await Promise.all(
      each.map((job) => {
        const fieldSelector = [...(job === undefined ? [] : [job]), ...common].join(",");
        const options = { limit: pageSize, ...(fieldSelector === "" ? {} : { fieldSelector }) };
        return listOnce(cluster, options);
      }),
    );
    const rows = new Map<string, JobRow>();
    for (const view of lists.flat()) {
      const row = rowOfView(view, nowSeconds);
      if (row !== undefined) rows.set(view.metadata.name, row);
    }
    return [...rows.values()];
  } catch (error) {
    if (isReason(error, "NotFound", "Forbidden", "MethodNotAllowed", "NotImplemented")) return undefined;
    if (!isReason(error, "Timeout", "ServiceUnavailable")) throw error;
    process.stderr.write(
      `note: the scheduler does not answer at the moment, so this is what the API knows${cluster.namespace === undefined ? "" : ", of your own jobs only"}\n`,
    );
    return undefined;
  }
}

/** A list that was begun before the controllers started anew is begun again, once. */
async function listOnce({ client }: Cluster, options: { limit: number; fieldSelector?: string }): Promise<QueueView[]> {
  try {
    return (await client.listAll<QueueView>(queueViews, options)).items;
  } catch (error) {
    if (!isReason(error, "Expired")) throw error;
    return (await client.listAll<QueueView>(queueViews, options)).items;
  }
}

function one(field: string, values: readonly string[] | undefined): string | undefined {
  return values?.length === 1 && !/[,=!]/.test(values[0]!) ? `${field}=${values[0]}` : undefined;
}
