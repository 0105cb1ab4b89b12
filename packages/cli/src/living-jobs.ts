/** All jobs that the cluster still knows, as the rows of squeue. */
import { isReason, resources } from "@berth/client";
import { labels, runningAttemptOf, type Pod, type Workload } from "@berth/kinds";
import { jobRows, runningElements, type JobRow } from "@berth/slurm";
import type { Cluster } from "./connect.ts";
import { listWorkloads } from "./jobs.ts";

/** A row and the Workload that it shows. */
export interface LivingJob {
  row: JobRow;
  workload: Workload;
}

export async function livingJobs(cluster: Cluster, nowSeconds = Math.floor(Date.now() / 1000)): Promise<LivingJob[]> {
  const workloads = (await listWorkloads(cluster)).filter(({ status }) => status?.jobId !== undefined);
  // Only what runs of an array is told by its pods alone.
  const asksPods = workloads.some(
    ({ spec, status }) =>
      spec.array !== undefined && `${status?.array?.running ?? ""}${status?.array?.leased ?? ""}` !== "",
  );
  const byWorkload = Map.groupBy(asksPods ? await listPods(cluster) : [], keyOfPod);
  return workloads.flatMap((workload) => {
    const pods = byWorkload.get(`${workload.metadata.namespace}/${workload.metadata.name}`) ?? [];
    const running = workload.spec.array === undefined ? [] : runningElements(pods, runningAttemptOf);
    return jobRows(workload, nowSeconds, running).map((row) => ({ row, workload }));
  });
}

function keyOfPod({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.labels?.[labels.workload]}`;
}

/** Pods of Workloads, in all namespaces that this user may see. */
export async function listPods({ client, namespace }: Cluster): Promise<Pod[]> {
  try {
    return (await client.listAll<Pod>(resources.pods, { namespace, labelSelector: labels.workload })).items;
  } catch (error) {
    if (namespace !== undefined && isReason(error, "Forbidden", "NotFound")) return [];
    throw error;
  }
}
