/** Which of the nodes that have room: the fullest, the emptiest, the fewest, or those that topology and rules prefer. */
import { sharesDevice } from "./devices.ts";
import { Heap } from "./heap.ts";
import { type FitCache, lacks } from "./fit-cache.ts";
import type { NodeRecord, NodeTable } from "./nodes.ts";
import { pickShared } from "./pick-shared.ts";
import { pickByRules } from "./pod-rules.ts";
import type { RuleView } from "./pod-rules.ts";
import { refreshEmpty, refreshWindow } from "./room.ts";
import type { PlacementContext } from "./room.ts";
import { podsOn, podsThroughout } from "./shape.ts";
import type { Group, Shape, Variant } from "./shape.ts";
import { pickNested } from "./topology.ts";
import type { DomainTable, Pick } from "./topology.ts";
import type { Time } from "./types.ts";

export interface Usage {
  pods: number;
  /** Of a node taken whole: what its pods leave to other pods of the job. */
  left: number[];
}

/** What several groups of one job took so far; empty for the common job of one group. */
export type Taken = Map<NodeRecord, Usage>;

/** A domain to which a placement is bound, or (domain undefined) all nodes, of which it takes the fewest domains. */
export interface Within {
  table: DomainTable | undefined;
  domain: number | undefined;
  below: DomainTable[];
}

export function placementOf(context: PlacementContext, shape: Shape, variant: Variant): "Pack" | "Spread" {
  return shape.input.placement ?? context.queue(variant.queue)?.placement ?? "Pack";
}

export function pick(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  group: Group,
  start: Time,
  seconds: number,
  least: number,
  most: number,
  taken: Taken,
  compact: boolean,
  only: readonly NodeRecord[] | undefined,
  within: Within | undefined,
  view: (() => RuleView) | undefined,
): Pick[] | undefined {
  const { table, now } = context;
  const order = compact ? "Compact" : placementOf(context, shape, variant);
  const maxNodes = context.queue(variant.queue)?.maxNodesPerJob;
  let candidates: Int32Array;
  if (start === now) {
    refreshWindow(context, shape, variant, group);
    if (group.window.total < least && !group.exclusive) return undefined;
    candidates = group.window.counts;
  } else {
    refreshEmpty(context, shape, variant, group);
    candidates = group.empty.counts;
  }
  const learns = start === now && seconds === shape.minSlotSeconds;
  const fitting = (node: NodeRecord): number => {
    const usage = taken.get(node);
    const room = Math.min(group.perNode, group.mostPerNode - (usage?.pods ?? 0));
    if (usage !== undefined && group.exclusive) return podsOn(node, usage.left, group, room);
    if (node.views !== undefined && context.advance.isClosed(node, seconds)) return 0;
    const pods = podsThroughout(node, group, start, seconds);
    // Time has taken from what the cache says: it learns that.
    if (learns && pods < group.window.counts[node.index]!) group.window.set(node.index, pods);
    return Math.min(pods, room);
  };

  table.freshen(now);
  const shares = sharesDevice(group.needs) && !group.exclusive && maxNodes === undefined;
  if (within !== undefined || view !== undefined || shares) {
    const isIn = (node: NodeRecord): boolean =>
      within?.table === undefined || within.table.of[node.index] === within.domain;
    if (view === undefined && (taken.size > 0 || order !== "Pack" || maxNodes !== undefined) && !shares) {
      return pickByOrder(context, group, candidates, fitting, order, maxNodes, least, most, taken, isIn);
    }
    const options: Pick[] = [];
    let total = 0;
    for (const node of table.nodes) {
      const whole = group.exclusive && taken.has(node) && group.empty.counts[node.index]! > 0;
      if ((!candidates[node.index] && !whole) || !isIn(node)) continue;
      const pods = fitting(node);
      if (pods <= 0) continue;
      options.push([node, pods]);
      total += pods;
    }
    if (total < least) return undefined;
    const sign = order === "Spread" ? -1 : 1;
    if (view !== undefined) {
      const more = (maxNodes ?? Infinity) - taken.size;
      return pickByRules(view, options, least, most, table.score, sign, more, taken);
    }
    if (!shares) return pickNested(options, within!.below, Math.min(total, most), table.score);
    const { score } = table;
    options.sort(([a], [b]) => sign * (score[a.index]! - score[b.index]!) || a.index - b.index);
    return pickShared(options, group, start, seconds, least, most);
  }
  if (!compact && taken.size === 0) {
    const cache = start === now ? group.window : group.empty;
    if (most === 1) return pickOne(table, group, cache, fitting, order === "Spread", only);
    if (order === "Pack" && maxNodes === undefined)
      return pickPacked(table, group, cache, start === now, fitting, least, most);
  }
  return pickByOrder(context, group, candidates, fitting, order, maxNodes, least, most, taken);
}

/**
 * As many pods of a job of one pod, each a job of its own, as have room now, where they would go one after the other: on the fullest
 * node until it has no room for more, then on the next.
 */
export function pickTogether(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  group: Group,
  most: number,
): Pick[] | undefined {
  const { table, now } = context;
  const seconds = shape.slotSeconds;
  refreshWindow(context, shape, variant, group);
  table.freshen(now);
  const each = { ...group, perNode: most };
  const fitting = (node: NodeRecord): number => {
    const isClosed = node.views !== undefined && context.advance.isClosed(node, seconds);
    const pods = isClosed ? 0 : podsThroughout(node, each, now, seconds);
    if (pods === 0) group.window.set(node.index, 0);
    return pods;
  };
  return pickPacked(table, group, group.window, true, fitting, 1, most);
}

/** The fullest (or emptiest) node that has room for one pod, the first of equals. */
function pickOne(
  table: NodeTable,
  group: Group,
  cache: FitCache,
  fitting: (node: NodeRecord) => number,
  spread: boolean,
  only: readonly NodeRecord[] | undefined,
): Pick[] | undefined {
  const { nodes, score, changes } = table;
  const { last } = group;
  if (!spread && only === undefined && last.epoch === changes.epoch && cache === group.window) {
    // Nothing but the node that was taken last changed since, and it is no emptier: it is still the fullest.
    let position = last.position;
    while (position < changes.entries.length && changes.entries[position] === last.node) position += 1;
    const node = nodes[last.node]!;
    const isFullest = position === changes.entries.length && score[last.node]! <= last.score;
    if (isFullest && cache.counts[last.node]! > 0 && fitting(node) > 0) {
      last.position = position;
      return [[node, 1]];
    }
  }
  const sign = spread ? -1 : 1;
  let best: NodeRecord | undefined;
  let bestScore = Infinity;
  const consider = (index: number): void => {
    const value = sign * score[index]!;
    if (value > bestScore || (value === bestScore && index > best!.index)) return;
    if (cache === group.window && lacks(table.freeNow, index * table.width, group)) {
      cache.set(index, 0);
      return;
    }
    // A cached count may be too high, never too low.
    if (fitting(nodes[index]!) <= 0) return;
    best = nodes[index]!;
    bestScore = value;
  };
  if (only !== undefined) for (const { index } of only) consider(index);
  else for (const index of cache.positive()) consider(index);
  if (best === undefined) return undefined;
  group.last = {
    node: best.index,
    score: score[best.index]!,
    epoch: changes.epoch,
    position: changes.entries.length,
  };
  return [[best, 1]];
}

/** An upper bound of the pods that fit on nodes now, from what is free there at this moment: the cache learns it. */
function mostAtOnce(table: NodeTable, group: Group, cache: FitCache, options: readonly number[]): number {
  const { freeNow, width } = table;
  const { asked, request } = group;
  let total = 0;
  for (const node of options) {
    let count = cache.counts[node]!;
    for (const resource of asked) {
      const free = freeNow[node * width + resource]!;
      if (free < request[resource]! * count) count = Math.max(0, Math.floor(free / request[resource]!));
    }
    if (count < cache.counts[node]!) cache.set(node, count);
    total += count;
  }
  return total;
}

/** The fullest nodes first, as many pods on each as fit. */
function pickPacked(
  table: NodeTable,
  group: Group,
  cache: FitCache,
  isNow: boolean,
  fitting: (node: NodeRecord) => number,
  least: number,
  most: number,
): Pick[] | undefined {
  const { nodes, score } = table;
  const options = cache.positive().slice();
  if (isNow && mostAtOnce(table, group, cache, options) < least) return undefined;
  const heap = new Heap<number>((a, b) => score[a]! < score[b]! || (score[a] === score[b] && a < b), options);
  const picks: Pick[] = [];
  let missing = most;
  for (let index = heap.pop(); index !== undefined && missing > 0; index = heap.pop()) {
    const pods = Math.min(missing, fitting(nodes[index]!));
    if (pods <= 0) continue;
    picks.push([nodes[index]!, pods]);
    missing -= pods;
  }
  return most - missing >= least ? picks : undefined;
}

function pickByOrder(
  context: PlacementContext,
  group: Group,
  candidates: Int32Array,
  fitting: (node: NodeRecord) => number,
  order: "Pack" | "Spread" | "Compact",
  maxNodes: number | undefined,
  least: number,
  most: number,
  taken: Taken,
  isIn?: (node: NodeRecord) => boolean,
): Pick[] | undefined {
  const { table } = context;
  const options: Pick[] = [];
  let total = 0;
  for (const node of table.nodes) {
    // A node that the job has taken whole may still have room for more of its pods.
    const whole = group.exclusive && taken.has(node) && group.empty.counts[node.index]! > 0;
    if ((!candidates[node.index] && !whole) || isIn?.(node) === false) continue;
    const pods = fitting(node);
    if (pods <= 0) continue;
    options.push([node, pods]);
    total += pods;
  }
  if (total < least) return undefined;
  // Where nodes are counted, the ones that hold most come first; the rule is that of `nodesWhenEmpty`.
  const fewest = order === "Compact" || maxNodes !== undefined;
  const score = new Map(fewest ? [] : options.map(([node]) => [node, table.score[node.index]!]));
  const sign = order === "Spread" ? -1 : 1;
  options.sort((a, b) => {
    const first = taken.has(a[0]);
    if (first !== taken.has(b[0])) return first ? -1 : 1;
    const difference = fewest ? (first ? 0 : b[1] - a[1]) : sign * (score.get(a[0])! - score.get(b[0])!);
    return difference || a[0].index - b[0].index;
  });
  let more = (maxNodes ?? Infinity) - taken.size;
  const usable = options.filter(([node]) => {
    if (!taken.has(node)) more -= 1;
    return taken.has(node) || more >= 0;
  });
  const picks: Pick[] = [];
  let missing = most;
  if (order === "Spread") {
    const share = usable.map(() => 0);
    for (let dealt = true; dealt && missing > 0;) {
      dealt = false;
      for (let index = 0; index < usable.length && missing > 0; index += 1) {
        if (share[index]! >= usable[index]![1]) continue;
        share[index]! += 1;
        missing -= 1;
        dealt = true;
      }
    }
    for (const [index, pods] of share.entries()) if (pods > 0) picks.push([usable[index]![0], pods]);
  } else {
    for (const [node, pods] of usable) {
      if (missing === 0) break;
      picks.push([node, Math.min(pods, missing)]);
      missing -= Math.min(pods, missing);
    }
  }
  return most - missing >= least ? picks : undefined;
}
