/** How much of what is there: counted over Workloads, elements of arrays one by one. */
import type { Client } from "@berth/client";
import { isActive, isFinal, parseIndexList, workloads, type Workload } from "@berth/kinds";

export interface WorkloadCounts {
  pending: number;
  running: number;
  ended: number;
}

/** Elements of an array are counted each. */
export function countsOf(items: readonly Workload[]): WorkloadCounts {
  const counts = { pending: 0, running: 0, ended: 0 };
  for (const { spec, status } of items) {
    if (spec.array !== undefined && status?.array !== undefined) {
      const pending = parseIndexList(status.array.pending).size;
      const running = parseIndexList(status.array.running).size;
      const all = status.array.tasks ?? parseIndexList(spec.array.indices).size;
      counts.pending += pending;
      counts.running += running;
      counts.ended += all - pending - running;
    } else if (isFinal(status?.phase)) counts.ended += 1;
    else if (isActive(status?.phase)) counts.running += 1;
    else counts.pending += spec.array === undefined ? 1 : parseIndexList(spec.array.indices).size;
  }
  return counts;
}

/** Jobs and elements of arrays that hold a place on a node. */
export async function runningTasks(client: Client): Promise<number> {
  const { items } = await client.listAll<Workload>(workloads, { signal: AbortSignal.timeout(5000) });
  return countsOf(items).running;
}
