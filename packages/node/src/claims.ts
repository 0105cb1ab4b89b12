import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { attemptOf } from "@berth/kinds";
import type { Pod } from "@berth/kinds";
import type { TaskRecord } from "./task.ts";

/**
 * Which pod of this machine has taken which task of an array. Two leaders, one of them dead with its last writes under way, may have
 * put one task into two pods: the second to take it passes it over. One agent serves all nodes of a machine, so that this is decided
 * in its memory; what an agent before it had taken stands in the folders of its pods.
 */
export class Claims {
  /** Pod by task, by `WORKLOAD-UID ATTEMPT`. */
  readonly #owners = new Map<string, Map<number, string>>();
  readonly #byPod = new Map<string, { of: string; tasks: number[] }>();

  /** Takes over what earlier agents of this machine had begun. */
  restore(podsDirectory: string): void {
    for (const uid of list(podsDirectory)) {
      for (const container of list(join(podsDirectory, uid))) {
        const { claim } = recordIn(join(podsDirectory, uid, container));
        if (claim !== undefined) this.#take(uid, claim.of, claim.tasks);
      }
    }
  }

  /** Takes what no other pod has; tells what it got. Pods that are of no array take nothing and are given all. */
  take(pod: Pod, tasks: readonly number[]): { of: string; tasks: number[] } | undefined {
    const of = claimOf(pod);
    if (of === undefined) return undefined;
    return { of, tasks: this.#take(pod.metadata.uid!, of, tasks) };
  }

  #take(podUid: string, of: string, tasks: readonly number[]): number[] {
    let owners = this.#owners.get(of);
    if (owners === undefined) this.#owners.set(of, (owners = new Map()));
    const taken = tasks.filter((task) => {
      const owner = owners.get(task);
      if (owner === undefined) owners.set(task, podUid);
      return owner === undefined || owner === podUid;
    });
    this.#byPod.set(podUid, { of, tasks: taken });
    return taken;
  }

  /** A pod gives tasks back that it did not begin; without a list it is gone, with all that it had. */
  release(podUid: string, tasks?: readonly number[]): void {
    const claim = this.#byPod.get(podUid);
    if (claim === undefined) return;
    const owners = this.#owners.get(claim.of)!;
    for (const task of tasks ?? claim.tasks) if (owners.get(task) === podUid) owners.delete(task);
    if (tasks === undefined) this.#byPod.delete(podUid);
    if (owners.size === 0) this.#owners.delete(claim.of);
  }
}

function claimOf(pod: Pod): string | undefined {
  const name = attemptOf(pod);
  const workload = pod.metadata.ownerReferences?.find(({ kind, controller }) => kind === "Workload" && controller);
  if (name?.task === undefined || workload === undefined) return undefined;
  return `${workload.uid} ${name.podSet} ${name.index} ${name.attempt}`;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function recordIn(directory: string): Partial<TaskRecord> {
  try {
    const [first] = readFileSync(join(directory, "task"), "utf8").split("\n", 1);
    return JSON.parse(first!.slice(1)) as TaskRecord;
  } catch {
    return {};
  }
}
