/** Ended attempts, asked from the API's accounting route. */
import type { AttemptRow } from "@berth/accounting";
import { isReason } from "@berth/client";
import { accountingPath } from "@berth/kinds";
import { CommandError } from "./command-error.ts";
import type { Cluster } from "./connect.ts";

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
      path: accountingPath,
      query: parameters,
    });
    return items;
  } catch (error) {
    if (isReason(error, "NotFound"))
      throw new CommandError(
        `${cluster.description}: this cluster serves no accounting (it has no ${accountingPath}; berth upgrade brings it)`,
      );
    throw error;
  }
}

/** `42` or `42_7`, or `42_[2-3]` of elements that ended together. */
export function attemptName(row: AttemptRow): string {
  if (row.arrayJobId === null) return `${row.jobId}`;
  return row.tasks === null ? `${row.arrayJobId}_${row.task}` : `${row.arrayJobId}_[${row.tasks}]`;
}
