/** Asking for the end of jobs and of elements of arrays. */
import {
  annotations,
  formatIndexListCompact,
  isFinal,
  parseIndexList,
  workloads,
  type IndexSet,
  type Workload,
} from "@berth/kinds";
import { isReason } from "@berth/client";
import { userInfo } from "node:os";
import type { Cluster } from "./connect.ts";

/** What a request to cancel did: `ended` when there was nothing left to end. */
export type CancelOutcome = "asked" | "ended" | "refused";

/**
 * Asks for the end of a job, or of `tasks` of an array. The request is a mark on the Workload: to ask again changes nothing.
 */
export async function cancelWorkload(cluster: Cluster, workload: Workload, tasks?: IndexSet): Promise<CancelOutcome> {
  if (isFinal(workload.status?.phase)) return "ended";
  const { namespace, name } = workload.metadata;
  for (;;) {
    const asked = tasks === undefined ? undefined : tasksAsked(workload, tasks);
    if (asked === "none left") return "ended";
    const patch = {
      metadata: {
        // Of two who cancel elements at one time neither may undo the other's.
        ...(asked === undefined ? {} : { resourceVersion: workload.metadata.resourceVersion }),
        annotations:
          asked === undefined
            ? { [annotations.cancel]: `${userInfo().username} ${new Date().toISOString()}` }
            : { [annotations.cancelTasks]: asked },
      },
    };
    try {
      await cluster.client.patch<Workload>(workloads, name, patch, { namespace });
      return "asked";
    } catch (error) {
      if (isReason(error, "NotFound")) return "ended";
      if (isReason(error, "Forbidden")) return "refused";
      if (!isReason(error, "Conflict") || asked === undefined) throw error;
      workload = await cluster.client.get<Workload>(workloads, name, { namespace });
    }
  }
}

/** All elements for which an end was ever asked, those asked for now among them. */
function tasksAsked(workload: Workload, tasks: IndexSet): string | "none left" {
  const lists = workload.status?.array;
  const open = parseIndexList(workload.spec.array?.indices ?? "").intersect(tasks);
  if (lists !== undefined) open.retainAll(parseIndexList(lists.pending).union(parseIndexList(lists.running)));
  if (open.size === 0) return "none left";
  const before = parseIndexList(workload.metadata.annotations?.[annotations.cancelTasks] ?? "");
  return formatIndexListCompact(before.union(open));
}
