import { FitCache } from "./nodes.ts";
import type { NodeRecord } from "./nodes.ts";
import { compareJobs } from "./records.ts";
import type { JobRecord } from "./records.ts";
import type { JobInput, PodSetInput, QueueInput, ResourceVector, Time, WaitReason } from "./types.ts";

/** Pods of a job that are equal to the scheduler: one pod set, or several with the same request and selector. */
export interface Group {
  readonly pods: number;
  readonly minPods: number;
  readonly request: number[];
  /** Indices of the resources that it asks for. */
  readonly asked: number[];
  readonly selector: string | undefined;
  /** Most pods of the job on one node. */
  readonly perNode: number;
  readonly exclusive: boolean;
  /** Pods that would fit on each node from now for a slot: an upper bound, as time only takes away between changes. */
  readonly window: FitCache;
  /** The node that took its last single pod, and how far the log of changes had come. */
  last: { node: number; epoch: number; position: number };
  /** Pods that would fit on each node if it were empty; 0 where they may not go. */
  readonly empty: FitCache;
}

/** A class of jobs within one of its queues. */
export interface Variant {
  readonly queue: string;
  readonly groups: Group[];
}

/**
 * Jobs that are equal but for who they are and when they came: what one is refused, all are refused. Holds those of them that
 * nothing of their own keeps from starting, in order.
 */
export class JobClass {
  readonly key: string;
  readonly podSets: readonly PodSetInput[];
  readonly input: Omit<JobInput, "id">;
  readonly variants: Variant[];
  /** Group of each pod set. */
  readonly groupOf: number[];
  readonly slotSeconds: number;
  readonly minSlotSeconds: number;
  readonly #jobs: JobRecord[] = [];
  #head = 0;
  /** Jobs of the class, listed or not: it is forgotten with the last. */
  members = 0;
  /** Where a pass has come to. */
  cursor = 0;
  /** What keeps all of them from starting whatever is free; and for which version of the queues and nodes that holds. */
  obstacle: WaitReason | undefined = undefined;
  obstacleVersion = -1;
  /** Queues without an obstacle, in order of preference. */
  open: Variant[] = [];
  limit: number | undefined = undefined;

  constructor(key: string, input: JobInput, width: number) {
    this.key = key;
    this.input = input;
    this.podSets = input.podSets;
    const overhead = input.overheadSeconds ?? 0;
    this.slotSeconds = input.wallTimeSeconds + overhead;
    this.minSlotSeconds = Math.min(this.slotSeconds, (input.minWallTimeSeconds ?? input.wallTimeSeconds) + overhead);
    const keys: string[] = [];
    this.groupOf = [];
    for (const set of input.podSets) {
      const groupKey = JSON.stringify([dense(set.request, width), set.selector]);
      if (!keys.includes(groupKey)) keys.push(groupKey);
      this.groupOf.push(keys.indexOf(groupKey));
    }
    this.variants = input.queues.map((queue) => ({
      queue,
      groups: keys.map((_, group) => {
        const sets = input.podSets.filter((__, index) => this.groupOf[index] === group);
        const request = dense(sets[0]!.request, width);
        const pods = sets.reduce((sum, set) => sum + set.count, 0);
        return {
          pods,
          minPods: sets.reduce((sum, set) => sum + (set.minCount ?? set.count), 0),
          request,
          asked: request.flatMap((amount, index) => (amount > 0 ? [index] : [])),
          selector: sets[0]!.selector,
          perNode: Math.min(pods, input.podsPerNode ?? pods),
          exclusive: input.exclusive ?? false,
          last: { node: 0, epoch: -1, position: 0 },
          window: new FitCache(),
          empty: new FitCache(),
        };
      }),
    }));
  }

  get begin(): number {
    return this.#head;
  }

  get end(): number {
    return this.#jobs.length;
  }

  at(position: number): JobRecord | undefined {
    return this.#jobs[position];
  }

  insert(job: JobRecord): void {
    const jobs = this.#jobs;
    if (jobs.length === this.#head || compareJobs(jobs[jobs.length - 1]!, job) < 0) jobs.push(job);
    else jobs.splice(this.#find(job), 0, job);
  }

  remove(job: JobRecord): void {
    const position = this.#find(job);
    if (position === this.#head) {
      this.#head += 1;
      if (this.#head > 64 && this.#head * 2 > this.#jobs.length) {
        this.#jobs.splice(0, this.#head);
        this.cursor = Math.max(0, this.cursor - this.#head);
        this.#head = 0;
      }
    } else {
      this.#jobs.splice(position, 1);
      if (position < this.cursor) this.cursor -= 1;
    }
    if (this.cursor < this.#head) this.cursor = this.#head;
  }

  *listed(): IterableIterator<JobRecord> {
    for (let position = this.#head; position < this.#jobs.length; position += 1) yield this.#jobs[position]!;
  }

  /** Position of the first listed job that is not before this one. */
  #find(job: JobRecord): number {
    const jobs = this.#jobs;
    let low = this.#head;
    let high = jobs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareJobs(jobs[middle]!, job) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export function classKey(input: JobInput): string {
  return JSON.stringify([
    input.queues,
    input.podSets.map((set) => [set.count, set.minCount, set.request, set.selector]),
    input.nodes,
    input.excludedNodes,
    input.podsPerNode,
    input.exclusive,
    input.placement,
    input.wallTimeSeconds,
    input.minWallTimeSeconds,
    input.overheadSeconds,
  ]);
}

export function dense(vector: ResourceVector, width: number): number[] {
  return Array.from({ length: width }, (_, index) => vector[index] ?? 0);
}

/** Answers whether a node may take pods of a group, apart from what is free there. */
export interface Eligibility {
  matches: (selector: string, nodeClass: string) => boolean;
  queue: (name: string) => QueueInput | undefined;
}

export function mayUse(node: NodeRecord, job: JobClass, variant: Variant, group: Group, by: Eligibility): boolean {
  if (node.state !== "Up") return false;
  const { nodes, excludedNodes } = job.input;
  if (nodes !== undefined && nodes.length > 0 && !nodes.includes(node.name)) return false;
  if (excludedNodes !== undefined && excludedNodes.includes(node.name)) return false;
  const queueSelector = by.queue(variant.queue)?.selector;
  if (queueSelector !== undefined && !by.matches(queueSelector, node.nodeClass)) return false;
  return group.selector === undefined || by.matches(group.selector, node.nodeClass);
}

/** How many pods of the group a free vector holds, at most `most`. */
export function podsIn(free: readonly number[], offset: number, group: Group, most: number): number {
  let count = most;
  const { asked, request } = group;
  for (let index = 0; index < asked.length; index += 1) {
    const resource = asked[index]!;
    const amount = free[offset + resource]!;
    if (amount < request[resource]! * count) {
      count = Math.floor(amount / request[resource]!);
      if (count <= 0) return 0;
    }
  }
  return count;
}

/** As {@link podsIn}, of a step of the node's timeline; an exclusive group finds room only where all is free. */
export function podsAtStep(node: NodeRecord, step: number, group: Group, most: number): number {
  const { free, width } = node.timeline;
  const offset = step * width;
  if (group.exclusive) {
    for (let index = 0; index < width; index += 1) if (free[offset + index] !== node.capacity[index]) return 0;
  }
  return podsIn(free, offset, group, most);
}

/** How many pods of the group fit on the node throughout `[start, start + seconds)`. */
export function podsThroughout(node: NodeRecord, group: Group, start: Time, seconds: number): number {
  const { times } = node.timeline;
  const end = start + seconds;
  let count = group.perNode;
  for (let step = node.timeline.stepAt(start); step < times.length; step += 1) {
    if (step > 0 && times[step]! >= end) break;
    count = podsAtStep(node, step, group, count);
    if (count === 0) return 0;
  }
  return count;
}

/** As {@link podsThroughout}, from the first step of the timeline. */
export function podsFromNow(node: NodeRecord, group: Group, seconds: number): number {
  const { times } = node.timeline;
  const end = times[0]! + seconds;
  let count = podsAtStep(node, 0, group, group.perNode);
  for (let step = 1; count > 0 && step < times.length && times[step]! < end; step += 1) {
    count = podsAtStep(node, step, group, count);
  }
  return count;
}
