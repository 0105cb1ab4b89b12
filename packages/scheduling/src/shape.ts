import { needsOf, podsInDetail } from "./devices.ts";
import type { DetailNeeds } from "./devices.ts";
import { FitCache, SoonestCache } from "./fit-cache.ts";
import type { NodeRecord } from "./nodes.ts";
import { concernsPods } from "./pod-rules.ts";
import type { JobInput, PodSetInput, QueueInput, ResourceVector, Time, WaitReason } from "./types.ts";

/** Pods of a job that are equal to the scheduler: one pod set, or several with the same request, selector and rules. */
export interface Group {
  readonly pods: number;
  readonly minPods: number;
  readonly request: number[];
  /** Indices of the resources that it asks for. */
  readonly asked: number[];
  readonly selector: string | undefined;
  /** Devices and NUMA domains; undefined for most. */
  readonly needs: DetailNeeds | undefined;
  /** The first of its pod sets, which has the class and the rules of all its pods. */
  readonly set: PodSetInput;
  /** Most pods of the group on one node. */
  readonly perNode: number;
  /** How many pods of all groups of the job may be on a node. */
  readonly mostPerNode: number;
  readonly exclusive: boolean;
  /** Pods that would fit on each node from now for a slot: an upper bound, as time only takes away between changes. */
  readonly window: FitCache;
  /** The node that took its last single pod, how full it was before, and how far the log of changes had come. */
  last: { node: number; score: number; epoch: number; position: number };
  /** When one pod would fit on each node for the whole slot. */
  readonly soonest: SoonestCache;
  /** Pods that would fit on each node if it were empty; 0 where they may not go. */
  readonly empty: FitCache;
  /** Most pods that one domain has room for, of a gang that must have one, as far as `window` knows. */
  room: { version: number; counted: number; most: number };
}

/** A shape within one of its queues. */
export interface Variant {
  readonly queue: string;
  readonly line: string;
  readonly groups: Group[];
}

/**
 * What placement sees of a job: jobs of one shape fit where any of them fits, whoever they belong to. Shared by all classes that
 * differ only in what placement does not see.
 */
export class Shape {
  readonly key: string;
  /** Short name of the key. */
  readonly id: number;
  readonly podSets: readonly PodSetInput[];
  readonly input: Omit<JobInput, "id">;
  readonly variants: Variant[];
  /** Group of each pod set. */
  readonly groupOf: number[];
  readonly slotSeconds: number;
  readonly minSlotSeconds: number;
  /** Whether rules between pods may say something of it. */
  readonly concernsPods: boolean;
  /** Shapes of which this is equal may use the same nodes, where each has one queue and one group of pods. */
  readonly place: string;
  /** Whether it may start with fewer pods. */
  readonly isElastic: boolean;
  /** Of all pods together; and of as few as it may start with. */
  readonly total: number[];
  readonly least: number[];
  /** Classes of the shape: it is forgotten with the last. */
  classes = 0;
  /** Of its first queue. */
  tier = 1;
  /** What keeps all of them from starting whatever is free; and for which version of the queues and nodes that holds. */
  obstacle: WaitReason | undefined = undefined;
  obstacleVersion = -1;
  /** Queues without an obstacle, in order of preference. */
  open: Variant[] = [];
  limit: number | undefined = undefined;

  constructor(key: string, id: number, input: JobInput, kinds: ResourceKinds) {
    const width = kinds.resources.length;
    this.key = key;
    this.id = id;
    this.input = input;
    this.podSets = input.podSets;
    const overhead = input.overheadSeconds ?? 0;
    this.slotSeconds = input.wallTimeSeconds + overhead;
    this.minSlotSeconds = Math.min(this.slotSeconds, (input.minWallTimeSeconds ?? input.wallTimeSeconds) + overhead);
    const keys: string[] = [];
    this.groupOf = [];
    for (const set of input.podSets) {
      const groupKey = JSON.stringify([dense(set.request, width), set.selector, set.nodes, set.podClass, set.rules]);
      if (!keys.includes(groupKey)) keys.push(groupKey);
      this.groupOf.push(keys.indexOf(groupKey));
    }
    this.variants = input.queues.map((queue) => ({
      queue,
      line: lineOf(queue, input),
      groups: keys.map((_, group) => {
        const sets = input.podSets.filter((__, index) => this.groupOf[index] === group);
        const request = requestOf(sets[0]!, input, kinds);
        const pods = sets.reduce((sum, set) => sum + set.count, 0);
        return {
          pods,
          minPods: sets.reduce((sum, set) => sum + (set.minCount ?? set.count), 0),
          request,
          asked: request.flatMap((amount, index) => (amount > 0 ? [index] : [])),
          selector: sets[0]!.selector,
          needs: needsOf(request, kinds.resources, kinds.devices, input.numa === true),
          set: sets[0]!,
          perNode: Math.min(pods, input.podsPerNode ?? pods),
          mostPerNode: input.podsPerNode ?? Infinity,
          exclusive: input.exclusive ?? false,
          last: { node: 0, score: 0, epoch: -1, position: 0 },
          window: new FitCache(),
          empty: new FitCache(),
          soonest: new SoonestCache(),
          room: { version: -1, counted: -1, most: 0 },
        };
      }),
    }));
    this.place = JSON.stringify([
      input.queues,
      input.podSets[0]?.selector,
      input.podSets[0]?.nodes,
      input.nodes,
      input.excludedNodes,
      input.reservation,
    ]);
    this.concernsPods = concernsPods(input.podSets);
    this.isElastic = input.podSets.some(({ count, minCount }) => (minCount ?? count) < count);
    const sum = (pods: (group: Group) => number): number[] =>
      Array.from({ length: width }, (_, index) =>
        this.variants[0]!.groups.reduce((total, group) => total + pods(group) * group.request[index]!, 0),
      );
    this.total = sum(({ pods }) => pods);
    this.least = sum(({ minPods }) => minPods);
  }
}

/** Those of a queue that wait for the same nodes: jobs of an advance reservation are in nobody else's way. */
export function lineOf(queue: string, { reservation = "" }: Pick<JobInput, "reservation">): string {
  return `${queue}\0${reservation}`;
}

/** Names of the resources, and which of them are made of single devices. */
export interface ResourceKinds {
  readonly resources: readonly string[];
  readonly devices: ReadonlySet<number>;
}

/** What one pod takes; of a NUMA domain whole cores. */
export function requestOf(set: PodSetInput, input: Pick<JobInput, "numa">, { resources }: ResourceKinds): number[] {
  const request = dense(set.request, resources.length);
  const cpu = resources.indexOf("cpu");
  if (input.numa === true && cpu >= 0) request[cpu] = Math.ceil(request[cpu]! / 1000) * 1000;
  return request;
}

export function shapeKey(input: JobInput): string {
  return JSON.stringify([
    input.queues,
    input.podSets.map((set) => [
      set.count,
      set.minCount,
      set.request,
      set.selector,
      set.nodes,
      set.podClass,
      set.rules,
    ]),
    input.nodes,
    input.excludedNodes,
    input.podsPerNode,
    input.exclusive,
    input.placement,
    input.wallTimeSeconds,
    input.minWallTimeSeconds,
    input.overheadSeconds,
    input.topology,
    input.numa,
    input.licences,
    input.reservation,
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

export function mayUse(node: NodeRecord, shape: Shape, variant: Variant, group: Group, by: Eligibility): boolean {
  if (node.state !== "Up" || node.reservation !== shape.input.reservation) return false;
  const { nodes, excludedNodes } = shape.input;
  if (group.set.nodes?.includes(node.name) === false) return false;
  if (nodes !== undefined && nodes.length > 0 && !nodes.includes(node.name)) return false;
  if (excludedNodes !== undefined && excludedNodes.includes(node.name)) return false;
  const queueSelector = by.queue(variant.queue)?.selector;
  if (queueSelector !== undefined && !by.matches(queueSelector, node.nodeClass)) return false;
  return group.selector === undefined || by.matches(group.selector, node.nodeClass);
}

/** How many pods of the group a free vector holds, at most `most`. */
function podsIn(free: readonly number[], offset: number, group: Group, most: number): number {
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
  const pods = podsIn(free, offset, group, most);
  return group.needs === undefined || pods === 0
    ? pods
    : podsInDetail(free, offset, node.details, group.needs, group.request, pods);
}

/** As {@link podsIn}, of a node's free vector with its devices and domains. */
export function podsOn(node: NodeRecord, free: readonly number[], group: Group, most: number): number {
  const pods = podsIn(free, 0, group, most);
  return group.needs === undefined || pods === 0
    ? pods
    : podsInDetail(free, 0, node.details, group.needs, group.request, pods);
}

/** A device is not changed on the way: what holds at each step need not hold throughout. */
function inSameDetail(node: NodeRecord, group: Group, start: Time, end: Time, most: number): number {
  if (group.needs === undefined || most === 0) return most;
  return podsInDetail(node.timeline.leastFree(start, end), 0, node.details, group.needs, group.request, most);
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
  return inSameDetail(node, group, start, end, count);
}

/** As {@link podsThroughout}, from the first step of the timeline. */
export function podsFromNow(node: NodeRecord, group: Group, seconds: number): number {
  const { times } = node.timeline;
  const end = times[0]! + seconds;
  let count = podsAtStep(node, 0, group, group.perNode);
  for (let step = 1; count > 0 && step < times.length && times[step]! < end; step += 1) {
    count = podsAtStep(node, step, group, count);
  }
  return inSameDetail(node, group, times[0]!, end, count);
}
