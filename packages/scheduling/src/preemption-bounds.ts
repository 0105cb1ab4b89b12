/** A quick no for most jobs that wait: even if all who might make room for them did, they would not fit. */
import type { JobClass } from "./classes.ts";
import { FitCache } from "./fit-cache.ts";
import type { NodeRecord, NodeTable } from "./nodes.ts";
import { refreshEmpty } from "./room.ts";
import { termsOf } from "./preemption-rules.ts";
import type { RunGroup } from "./preemption-rules.ts";
import type { Group, Variant } from "./shape.ts";
import type { ClusterStore } from "./store.ts";

/** What of each node is held by runs that make room for no job of some tier, QOS and account, by node and resource. */
class Held {
  amounts: Float64Array = new Float64Array(0);
  readonly caches = new WeakMap<Group, FitCache>();
  readonly #isPermitted = new Map<RunGroup, boolean>();
  readonly #ask: (group: RunGroup) => boolean;
  #epoch = -1;
  #read = 0;

  constructor(ask: (group: RunGroup) => boolean) {
    this.#ask = ask;
  }

  /** Brings it up to date with what changed since. */
  refresh({ nodes, changes, width }: NodeTable): void {
    const isNew = this.#epoch !== changes.epoch || this.amounts.length < nodes.length * width;
    if (this.amounts.length < nodes.length * width) this.amounts = new Float64Array(2 * nodes.length * width);
    if (isNew) for (const node of nodes) this.#count(node, width);
    else {
      const { entries, last } = changes;
      for (let index = this.#read; index < entries.length; index += 1) {
        if (last[entries[index]!] === index) this.#count(nodes[entries[index]!]!, width);
      }
    }
    this.#epoch = changes.epoch;
    this.#read = changes.entries.length;
  }

  #count(node: NodeRecord, width: number): void {
    const offset = node.index * width;
    const home = node.views?.all[0] ?? node;
    this.amounts.fill(0, offset, offset + width);
    for (const run of node.runs) {
      if (run.group !== undefined && this.#permits(run.group)) continue;
      for (const charge of run.suspended?.kept ?? run.charges) {
        if (charge.node !== home) continue;
        for (let column = 0; column < width; column += 1) this.amounts[offset + column]! += charge.amounts[column] ?? 0;
      }
    }
  }

  /** Whether anything runs that would make room. */
  permitsAny(groups: Iterable<RunGroup>): boolean {
    for (const group of groups) if (group.runs.size > 0 && this.#permits(group)) return true;
    return false;
  }

  #permits(group: RunGroup): boolean {
    let answer = this.#isPermitted.get(group);
    if (answer === undefined) this.#isPermitted.set(group, (answer = this.#ask(group)));
    return answer;
  }
}

/** Kept from pass to pass; looks at each node again only when something there changed. */
export class PreemptionBounds {
  readonly #held = new Map<string, Held>();
  #keys = new WeakMap<JobClass, { queue: string; key: string }>();
  #version = -1;

  /** All that matters to whom a job of the class may preempt: its tier, QOS and account, and for guarantees what it asks for. */
  keyOf(store: ClusterStore, jobClass: JobClass, queue: string): string {
    this.#refresh(store);
    const known = this.#keys.get(jobClass);
    if (known?.queue === queue) return known.key;
    const { input, shape } = jobClass;
    const asked = input.account === undefined ? "" : shape.least.map((amount) => (amount > 0 ? 1 : 0)).join("");
    const tier = store.queue(queue)?.tier ?? 1;
    const key = [tier, store.charging.qosOf(jobClass) ?? "", input.account ?? "", asked].join("\0");
    this.#keys.set(jobClass, { queue, key });
    return key;
  }

  /** False only if no preemption whatever could make room for a job of the class in one of its queues. */
  mayHelp(store: ClusterStore, jobClass: JobClass, variant: Variant, key: string): boolean {
    const { table } = store;
    this.#refresh(store);
    // Makes the groups, if they are not there.
    const groups = store.runGroups.of(store);
    let held = this.#held.get(key);
    if (held === undefined) {
      held = new Held((group) => termsOf(store, jobClass, variant.queue, group) !== undefined);
      this.#held.set(key, held);
    }
    if (!held.permitsAny(groups)) return false;
    held.refresh(table);
    const { amounts, caches } = held;
    return variant.groups.every((group) => {
      refreshEmpty(store, jobClass.shape, variant, group);
      let cache = caches.get(group);
      if (cache === undefined) caches.set(group, (cache = new FitCache()));
      cache.refresh(table.changes, table.nodes, (node) => podsBeside(node, group, amounts, table.width));
      return cache.total >= group.minPods;
    });
  }

  #refresh({ accounts }: ClusterStore): void {
    if (this.#version === accounts.version) return;
    this.#held.clear();
    this.#keys = new WeakMap();
    this.#version = accounts.version;
  }
}

/** Pods of the group on a node with nothing there but what is held. */
function podsBeside(node: NodeRecord, group: Group, held: Float64Array, width: number): number {
  let pods = group.empty.counts[node.index] ?? 0;
  if (pods === 0) return 0;
  const offset = node.index * width;
  if (group.exclusive) {
    for (let column = 0; column < width; column += 1) if (held[offset + column]! > 0) return 0;
    return pods;
  }
  for (const resource of group.asked) {
    if (resource >= width) continue;
    const free = node.capacity[resource]! - held[offset + resource]!;
    pods = Math.min(pods, Math.floor(free / group.request[resource]!));
    if (pods <= 0) return 0;
  }
  return pods;
}
