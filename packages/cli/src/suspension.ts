/** Having jobs stand still, and go on: what `scontrol` and `berth` share. */
import { isReason, resources } from "@berth/client";
import {
  annotations,
  formatIndexListCompact,
  formatSuspendRequest,
  type IndexSet,
  isEmbeddedNode,
  isFinal,
  type Node,
  parseIndexList,
  suspendRequestOf,
  type Workload,
  workloads,
} from "@berth/kinds";
import type { JobRow } from "@berth/slurm";
import { userInfo } from "node:os";
import type { Cluster } from "./connect.ts";
import { findJob, parseJobReference } from "./jobs.ts";
import { queuedJobs } from "./queued-jobs.ts";

/** Why it was not done: in Slurm's words, and in one's own. */
export class SuspensionRefusal extends Error {
  readonly slurm: string;

  constructor(slurm: string, message: string) {
    super(message);
    this.slurm = slurm;
  }
}

const ended = "Job/step already completing or completed";
const disabled = "Requested operation is presently disabled";
const pending = "Job is pending execution";

/** `42`, `42_7`, `42_[1-3,5]`, several with commas between them. */
export function splitJobList(words: readonly string[]): string[] {
  return words.flatMap((word) => word.split(/,(?![^[]*\])/)).filter((word) => word !== "");
}

/**
 * Has what runs of a job stand still, or go on. The request is a mark on the Workload; the node follows it.
 * @throws SuspensionRefusal where that cannot be
 */
export async function setSuspended(cluster: Cluster, text: string, isSuspended: boolean): Promise<void> {
  const reference = parseJobReference(text);
  const rows = (await queuedJobs(cluster, Math.floor(Date.now() / 1000), { jobs: [reference.job] })) ?? [];
  const found = await findJob(cluster, reference.job);
  if (found === undefined) {
    const [other] = rows;
    if (other === undefined)
      throw new SuspensionRefusal("Invalid job id specified", "there is no such job, or it has ended");
    throw denied(other.user);
  }
  const { spec } = found.workload;
  if (reference.tasks !== undefined && spec.array === undefined)
    throw new SuspensionRefusal("Invalid job id specified", `it is not an array: name it as ${reference.job}`);
  const tasks = reference.tasks ?? (found.task === undefined ? undefined : parseIndexList(`${found.task}`));
  const { name, namespace } = found.workload.metadata;
  for (let workload = found.workload; ;) {
    const value = isSuspended ? await suspension(cluster, workload, rows, tasks) : resumption(workload, rows, tasks);
    const { resourceVersion } = workload.metadata;
    const patch = { metadata: { resourceVersion, annotations: { [annotations.suspend]: value } } };
    try {
      await cluster.client.patch<Workload>(workloads, name, patch, { namespace });
      return;
    } catch (error) {
      if (isReason(error, "Forbidden")) throw denied(spec.user ?? workload.status?.identity?.user ?? "nobody");
      if (isReason(error, "NotFound")) throw new SuspensionRefusal(ended, "it has ended");
      if (!isReason(error, "Conflict")) throw error;
      workload = await cluster.client.get<Workload>(workloads, name, { namespace });
    }
  }
}

function denied(user: string): SuspensionRefusal {
  return new SuspensionRefusal(
    "Access/permission denied",
    `only an operator suspends and resumes jobs; it is ${user}'s`,
  );
}

async function suspension(
  cluster: Cluster,
  workload: Workload,
  rows: readonly JobRow[],
  tasks: IndexSet | undefined,
): Promise<string> {
  const { phase = "Pending", nodes = [] } = workload.status ?? {};
  if (isFinal(phase)) throw new SuspensionRefusal(ended, "it has ended");
  const [by, time] = [userInfo().username, new Date().toISOString()];
  if (workload.spec.array === undefined) {
    const state = rows[0]?.state;
    if (phase === "Suspended") throw new SuspensionRefusal(disabled, "it is suspended already");
    if (phase === "Pending") throw new SuspensionRefusal(pending, "it waits: berth hold keeps it from starting");
    if (phase === "Completing" || state === "COMPLETING") throw new SuspensionRefusal(ended, "it is ending");
    if (phase === "Starting") throw new SuspensionRefusal(disabled, "it is just starting: ask again in a moment");
    await requireAble(cluster, nodes);
    return formatSuspendRequest({ by, time });
  }
  const meant = rows.filter(
    (row) => row.arrayTaskId !== undefined && (tasks === undefined || tasks.has(row.arrayTaskId)),
  );
  const running = meant.filter(({ state }) => state === "RUNNING");
  if (running.length === 0) {
    const isSuspended = meant.some(({ state }) => state === "SUSPENDED");
    throw isSuspended
      ? new SuspensionRefusal(disabled, "what runs of it is suspended already")
      : new SuspensionRefusal(pending, "nothing of it runs");
  }
  await requireAble(
    cluster,
    running.flatMap((row) => row.nodes),
  );
  const before = suspendRequestOf(workload)?.tasks ?? parseIndexList("");
  for (const { arrayTaskId } of running) before.add(arrayTaskId!);
  return formatSuspendRequest({ by, time, tasks: formatIndexListCompact(before) });
}

/** The annotation that is left: null, none. */
function resumption(workload: Workload, rows: readonly JobRow[], tasks: IndexSet | undefined): string | null {
  const request = suspendRequestOf(workload);
  const isSuspended = (row: JobRow): boolean =>
    row.state === "SUSPENDED" && (tasks === undefined || (row.arrayTaskId !== undefined && tasks.has(row.arrayTaskId)));
  if (isFinal(workload.status?.phase)) throw new SuspensionRefusal(ended, "it has ended");
  if (request === undefined && (workload.status?.phase === "Suspended" || rows.some(isSuspended))) {
    throw new SuspensionRefusal(
      disabled,
      "it stands still for another job, and goes on by itself when that has ended: berth explain says when",
    );
  }
  if (
    request === undefined ||
    (workload.status?.phase !== "Suspended" && !rows.some(isSuspended) && !isAsked(request.tasks, tasks))
  )
    throw new SuspensionRefusal(disabled, "it is not suspended");
  if (tasks === undefined || request.tasks === undefined) return null;
  for (const task of tasks) request.tasks.delete(task);
  return request.tasks.size === 0
    ? null
    : formatSuspendRequest({ by: request.by, time: request.time, tasks: formatIndexListCompact(request.tasks) });
}

/** It was asked for, and is not done yet. */
function isAsked(asked: IndexSet | undefined, tasks: IndexSet | undefined): boolean {
  return asked === undefined || tasks === undefined || asked.intersect(tasks).size > 0;
}

async function requireAble({ client }: Cluster, names: readonly string[]): Promise<void> {
  for (const name of new Set(names)) {
    const node = await client.get<Node>(resources.nodes, name).catch((error: unknown) => {
      if (isReason(error, "NotFound", "Forbidden")) return undefined;
      throw error;
    });
    if (node !== undefined && !isEmbeddedNode(node))
      throw new SuspensionRefusal(disabled, `it runs on ${name}, and a kubelet cannot suspend pods`);
  }
}
