/** How much work is under way: what a stop leaves running. */
import { createClient, loadKubeconfig } from "@berth/client";
import { activePhases, parseIndexList, workloads, type Workload } from "@berth/kinds";
import { join } from "node:path";

const active: ReadonlySet<string> = new Set(activePhases);

/** Jobs, and elements of arrays, that hold a place on a node. */
export async function countRunningJobs(data: string): Promise<number> {
  const { connection } = loadKubeconfig({ path: join(data, "admin.kubeconfig") });
  const client = createClient(connection);
  try {
    const { items } = await client.listAll<Workload>(workloads, { signal: AbortSignal.timeout(5000) });
    return items.reduce((sum, workload) => sum + runningOf(workload), 0);
  } finally {
    client.close();
  }
}

function runningOf({ spec, status }: Workload): number {
  if (spec.array !== undefined) return parseIndexList(status?.array?.running ?? "").size;
  return status?.phase !== undefined && active.has(status.phase) ? 1 : 0;
}
