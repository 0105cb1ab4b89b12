/** Ended attempts, asked from the API's accounting route. */
import { isReason } from "@berth/client";
import { CommandError } from "./command-error.ts";
import type { Cluster } from "./connect.ts";

/** One ended attempt, as `GET /berth/v1/accounting` gives it. Times are RFC 3339 UTC. */
export interface AttemptRow {
  /** Index of the array element; -1 outside arrays. */
  task: number;
  /** From 1; 0 where nothing was started. */
  attempt: number;
  jobId: number;
  arrayJobId: number | null;
  /** Runs `2-3,6` of elements that ended together without starting. */
  tasks: string | null;
  namespace: string;
  workload: string;
  name: string;
  user: string;
  uid: number;
  account: string;
  queue: string;
  qos: string | null;
  requestedMilliCpus: number;
  requestedMemoryBytes: number;
  requestedNodes: number;
  wallTimeSeconds: number;
  submitTime: string;
  eligibleTime: string | null;
  startTime: string | null;
  endTime: string;
  waitSecondsByReason: Record<string, number>;
  firstExpectedStart: string | null;
  lastExpectedStart: string | null;
  /** A final phase, or `Requeued`. */
  state: string;
  exitCode: number;
  signal: number;
  nodes: string[];
  peakMemoryBytes: number | null;
  cpuMilliseconds: number | null;
  dependencies: string;
  workingDirectory: string | null;
  command: string | null;
  cancelledBy: string | null;
}

export interface AttemptQuery {
  /** `42` or `42_7`. */
  job?: readonly string[];
  user?: readonly string[];
  state?: readonly string[];
  name?: readonly string[];
  account?: readonly string[];
  queue?: readonly string[];
  /** RFC 3339. */
  since?: string;
  until?: string;
  lastAttemptOnly?: boolean;
  limit?: number;
}

/** Ended attempts, newest end first. Who is no operator sees own ones only. */
export async function readAttempts(cluster: Cluster, query: AttemptQuery): Promise<AttemptRow[]> {
  const parameters: Record<string, string | number | boolean | undefined> = {};
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value) && value.length > 0) parameters[name] = value.join(",");
    else if (!Array.isArray(value)) parameters[name] = value as string | number | boolean | undefined;
  }
  try {
    const { items } = await cluster.client.request<{ items: AttemptRow[] }>({
      method: "GET",
      path: "/berth/v1/accounting",
      query: parameters,
    });
    return items;
  } catch (error) {
    if (isReason(error, "NotFound"))
      throw new CommandError(
        `${cluster.description}: this cluster keeps no accounting (it has no /berth/v1/accounting)`,
      );
    throw error;
  }
}

/** `42` or `42_7`, or `42_[2-3]` of elements that ended together. */
export function attemptName(row: AttemptRow): string {
  if (row.arrayJobId === null) return `${row.jobId}`;
  return row.tasks === null ? `${row.arrayJobId}_${row.task}` : `${row.arrayJobId}_[${row.tasks}]`;
}
