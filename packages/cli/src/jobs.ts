/** From job ids, as people write them, to Workloads. */
import { isReason } from "@berth/client";
import { isFinal, labels, parseIndexList, workloads, type IndexSet, type Workload } from "@berth/kinds";
import { CommandError } from "./command-error.ts";
import type { Cluster } from "./connect.ts";

/** `42`, `42_7` or `42_[3-5,9]`. */
export interface JobReference {
  job: number;
  /** Elements of the array `job`; absent: all of it. */
  tasks?: IndexSet;
}

export function parseJobReference(text: string): JobReference {
  const match = /^(\d{1,15})(?:_(?:(\d{1,7})|\[([0-9,:-]+)\]))?$/.exec(text);
  const list = match?.[2] ?? match?.[3];
  if (match === null) throw new CommandError(`${text} is not a job id; it would be like 42, 42_7 or 42_[1-5]`);
  try {
    return { job: Number(match[1]), ...(list === undefined ? {} : { tasks: parseIndexList(list) }) };
  } catch (error) {
    throw new CommandError(`${text}: ${(error as Error).message}`);
  }
}

/** All Workloads that this user may see: of a user without rights over the cluster, those in the own namespace. */
export async function listWorkloads(cluster: Cluster, labelSelector?: string): Promise<Workload[]> {
  const { client, namespace } = cluster;
  if (namespace === undefined) return (await client.listAll<Workload>(workloads, { labelSelector })).items;
  try {
    return (await client.listAll<Workload>(workloads, { namespace, labelSelector })).items;
  } catch (error) {
    // Who has never submitted anything has no namespace yet.
    if (isReason(error, "Forbidden", "NotFound")) return [];
    throw error;
  }
}

/** A job and, when the id is that of one element of an array, which element. */
export interface FoundJob {
  workload: Workload;
  task?: number;
}

/** The job of this id: its own, an array's, or that of an array's element; undefined when no Workload has it. */
export async function findJob(cluster: Cluster, id: number): Promise<FoundJob | undefined> {
  const [labelled] = await listWorkloads(cluster, `${labels.jobId}=${id}`);
  if (labelled !== undefined) return { workload: labelled };
  for (const workload of await listWorkloads(cluster)) {
    const first = workload.status?.jobId;
    if (first === undefined || id < first) continue;
    if (first === id) return { workload };
    if (workload.spec.array !== undefined && parseIndexList(workload.spec.array.indices).has(id - first))
      return { workload, task: id - first };
  }
  return undefined;
}

/** The one job, or element of an array, that the text names; throws in words when there is none. */
export async function requireJob(cluster: Cluster, text: string): Promise<FoundJob | undefined> {
  const reference = parseJobReference(text);
  const found = await findJob(cluster, reference.job);
  if (found === undefined || reference.tasks === undefined) return found;
  const indices =
    found.workload.spec.array === undefined ? undefined : parseIndexList(found.workload.spec.array.indices);
  const task = reference.tasks.first();
  if (indices === undefined) throw new CommandError(`job ${reference.job} is not an array: name it without _${task}`);
  if (reference.tasks.size !== 1)
    throw new CommandError(`${text} names several elements; name one, like ${reference.job}_${task}`);
  if (!indices.has(task!))
    throw new CommandError(
      `job ${reference.job} has no element ${task}; its elements are ${found.workload.spec.array!.indices}`,
    );
  return { workload: found.workload, task: task! };
}

/** How an element of an array is: the state of the list in `status.array` that holds it. */
export type TaskState =
  | "pending"
  | "running"
  | "succeeded"
  | "failed"
  | "timedOut"
  | "outOfMemory"
  | "nodeFailed"
  | "cancelled";

const taskStates: readonly TaskState[] = [
  "running",
  "succeeded",
  "failed",
  "timedOut",
  "outOfMemory",
  "nodeFailed",
  "cancelled",
];

export function taskStateOf(workload: Workload, task: number): TaskState {
  const lists = workload.status?.array;
  return taskStates.find((state) => parseIndexList(lists?.[state] ?? "").has(task)) ?? "pending";
}

/** Whether the job, or the element, will not run again. */
export function hasEnded({ workload, task }: FoundJob): boolean {
  if (isFinal(workload.status?.phase)) return true;
  if (task === undefined) return false;
  return !["pending", "running"].includes(taskStateOf(workload, task));
}

/** `42` or `42_7`. */
export function nameOf({ workload, task }: FoundJob): string {
  const id = workload.status?.jobId ?? "(no id yet)";
  return task === undefined ? `${id}` : `${id}_${task}`;
}
