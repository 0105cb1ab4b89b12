/** Which nodes: pods of a job onto nodes at a given time, and the earliest time at which there is room. */
import { assignDetails, sharesDevice } from "./devices.ts";
import { licenceCharge } from "./licences.ts";
import { pickShared } from "./pick-shared.ts";
import type { PodGrant } from "./placement-types.ts";
import { spoilsReserved } from "./keep-rules.ts";
import { pickByRules } from "./pod-rules.ts";
import type { Occupant, RuleView } from "./pod-rules.ts";
import { viewOf } from "./rule-views.ts";
import type { RuledContext } from "./rule-views.ts";
import { mayUse, podsFromNow, podsOn, podsThroughout } from "./shape.ts";
import type { Eligibility, Group, Shape, Variant } from "./shape.ts";
import { Heap } from "./heap.ts";
import type { FitCache, NodeRecord, NodeTable } from "./nodes.ts";
import type { Charge, Placement } from "./records.ts";
import { mostInOneDomain, pickNested, roomByDomain } from "./topology.ts";
import type { DomainTable, Pick } from "./topology.ts";
import type { Time } from "./types.ts";

export interface PlacementContext extends Eligibility, RuledContext {
  /** Grows with each change of nodes, queues and levels. */
  readonly version: number;
  /** How far the windows of advance reservations are in the timelines. */
  readonly advance: {
    readonly knownUntil: Time;
    extend(until: Time): boolean;
    isClosed(node: NodeRecord, seconds: number): boolean;
  };
}

/** Takes (or gives back, sign 1) what the charges say throughout `[start, end)`. */
export function applyCharges(table: NodeTable, charges: readonly Charge[], start: Time, end: Time, sign: 1 | -1): void {
  for (const { node, amounts } of charges) {
    if (node.views === undefined) {
      if (sign === 1) table.gains.record(node);
      node.timeline.add(start, end, amounts, sign);
      table.touch(node, sign === -1);
      continue;
    }
    node.views.open.add(start, end, amounts, sign);
    for (const view of node.views.all) {
      if (sign === 1) table.gains.record(view);
      view.timeline.add(start, end, amounts, sign);
    }
    table.touch(node, sign === -1);
  }
}

/** Brings the cache of pods that fit from now throughout the shortest slot up to date. */
function refreshWindow(context: PlacementContext, shape: Shape, variant: Variant, group: Group): void {
  const { table, now } = context;
  if (group.window.unread(table.risen) === 0 && group.empty.unread(table.shapes) === 0) return;
  refreshEmpty(context, shape, variant, group);
  table.freshen(now);
  const { asked, request } = group;
  // Whether one pod has room not only now but for its slot is looked at where it may go.
  const isOne = group.pods === 1 && group.needs === undefined && !group.exclusive;
  const fit = (node: NodeRecord): number => {
    node.timeline.advance(now);
    return podsFromNow(node, group, shape.minSlotSeconds);
  };
  group.window.refresh(table.risen, table.nodes, isOne ? () => 1 : fit, {
    usable: group.empty.counts,
    free: table.freeNow,
    width: table.width,
    request,
    asked,
    changesSince: (position) => table.changesSince(position),
  });
}

/** False only if one of the groups finds no room now: the cheap answer for most classes at most times. */
export function mayFitNow(context: PlacementContext, shape: Shape): boolean {
  for (const variant of shape.open) {
    let fits = true;
    for (let index = 0; fits && index < variant.groups.length; index += 1) {
      fits = mayGroupFitNow(context, shape, variant, variant.groups[index]!);
    }
    if (fits) return true;
  }
  return false;
}

function mayGroupFitNow(context: PlacementContext, shape: Shape, variant: Variant, group: Group): boolean {
  if (!mayGroupFitAtAll(context, variant, group)) return false;
  if (group.exclusive && variant.groups.length > 1) return true;
  refreshWindow(context, shape, variant, group);
  return group.window.total >= group.minPods && mayFitInDomain(context, shape, group);
}

/** As {@link mayFitNow}, from what is known without a look at the nodes that changed. */
export function mayFitAtAll(context: PlacementContext, shape: Shape): boolean {
  for (const variant of shape.open) {
    let fits = true;
    for (let index = 0; fits && index < variant.groups.length; index += 1) {
      fits = mayGroupFitAtAll(context, variant, variant.groups[index]!);
    }
    if (fits) return true;
  }
  return false;
}

function mayGroupFitAtAll(context: PlacementContext, variant: Variant, group: Group): boolean {
  const { table } = context;
  const { window, minPods } = group;
  if (group.exclusive && variant.groups.length > 1) return true;
  if (window.total < minPods && group.empty.unread(table.shapes) === 0) {
    table.freshen(context.now);
    if (window.passOver(table, group)) return false;
  }
  // If all that changed had room for as many pods as ever go on one node, would it do?
  return window.total + window.unread(table.risen) * group.perNode >= minPods;
}

function mayFitInDomain(context: PlacementContext, shape: Shape, group: Group): boolean {
  const { topology } = shape.input;
  if (topology?.mode !== "Required" || group.pods === 1) return true;
  const { room, window } = group;
  if (room.version !== context.version || room.counted !== window.version) {
    room.version = context.version;
    room.counted = window.version;
    const domains = context.topology.domains(topology.level);
    room.most = mostInOneDomain(domains, window.counts, context.table.nodes.length);
  }
  return room.most >= group.minPods;
}

/** Brings the cache of pods that fit on empty nodes up to date. */
export function refreshEmpty(context: PlacementContext, shape: Shape, variant: Variant, group: Group): void {
  const { table } = context;
  const { topology } = shape.input;
  const domains = topology?.mode === "Required" ? context.topology.domains(topology.level) : undefined;
  group.empty.refresh(table.shapes, table.nodes, (node) =>
    domains?.of[node.index] !== -1 && mayUse(node, shape, variant, group, context)
      ? podsOn(node, node.capacity, group, group.perNode)
      : 0,
  );
}

interface Usage {
  pods: number;
  /** Of a node taken whole: what its pods leave to other pods of the job. */
  left: number[];
}

/** What several groups of one job took so far; empty for the common job of one group. */
type Taken = Map<NodeRecord, Usage>;

/** A domain to which a placement is bound, or (domain undefined) all nodes, of which it takes the fewest domains. */
interface Within {
  table: DomainTable | undefined;
  domain: number | undefined;
  below: DomainTable[];
}

/**
 * Places a job at `start` for `seconds` and takes it out of the timelines; undefined, and nothing taken, if it does not fit.
 * `Most`: as many pods as fit up to the full count, at least the minimum; else exactly the full count or the minimum.
 */
export function place(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  start: Time,
  seconds: number,
  count: "Full" | "Minimum" | "Most",
  only?: readonly NodeRecord[],
): Placement | undefined {
  const { licences, topology } = shape.input;
  if (licences === undefined) {
    return topology === undefined
      ? placeWithin(context, shape, variant, start, seconds, count, only)
      : placeInDomain(context, shape, variant, start, seconds, count);
  }
  const charge = licenceCharge(context.table, licences);
  if (charge === undefined) return undefined;
  const free = charge.node.timeline.leastFree(start, start + seconds);
  if (charge.amounts.some((amount, column) => amount > 0 && free[column]! < amount)) return undefined;
  const placement =
    topology === undefined
      ? placeWithin(context, shape, variant, start, seconds, count, only)
      : placeInDomain(context, shape, variant, start, seconds, count);
  if (placement === undefined) return undefined;
  applyCharges(context.table, [charge], start, start + seconds, -1);
  placement.charges.push(charge);
  return placement;
}

function placeWithin(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  start: Time,
  seconds: number,
  count: "Full" | "Minimum" | "Most",
  only?: readonly NodeRecord[],
  within?: Within,
): Placement | undefined {
  const placed = placeGroups(context, shape, variant, start, seconds, count, false, only, within);
  if (placed !== undefined || variant.groups.length === 1) return placed;
  // Pods of several shapes: where the queue's order finds no room, the fewest nodes may.
  return placeGroups(context, shape, variant, start, seconds, count, true, only, within);
}

/** Tries domains with room for each group, those first that hold most of the gang and have least left over. */
function placeInDomain(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  start: Time,
  seconds: number,
  count: "Full" | "Minimum" | "Most",
): Placement | undefined {
  const { level, mode } = shape.input.topology!;
  const { topology } = context;
  const wanted = variant.groups.map((group) => (count === "Minimum" ? group.minPods : group.pods));
  const least = variant.groups.map((group) => (count === "Full" ? group.pods : group.minPods));
  const options = variant.groups.map((group) => optionsOf(context, shape, variant, group, start, seconds));
  const upwards = topology.upwards(level);
  for (const table of mode === "Required" ? upwards.slice(0, 1) : upwards) {
    const rooms = options.map((ofGroup) => roomByDomain(table, ofGroup));
    const total = (domain: number): number => rooms.reduce((sum, room) => sum + (room.get(domain) ?? 0), 0);
    const held = (domain: number): number =>
      rooms.reduce((sum, room, group) => sum + Math.min(wanted[group]!, room.get(domain) ?? 0), 0);
    const domains = [...rooms[0]!.keys()]
      .filter((domain) => rooms.every((room, group) => (room.get(domain) ?? 0) >= least[group]!))
      .sort((a, b) => held(b) - held(a) || total(a) - total(b) || (table.paths[a]! < table.paths[b]! ? -1 : 1));
    const below = topology.below(table.keys[table.keys.length - 1]!);
    for (const domain of domains) {
      const placed = placeWithin(context, shape, variant, start, seconds, count, undefined, { table, domain, below });
      if (placed !== undefined) return placed;
    }
  }
  if (mode === "Required") return undefined;
  const anywhere: Within = { table: undefined, domain: undefined, below: topology.below(undefined) };
  return placeWithin(context, shape, variant, start, seconds, count, undefined, anywhere);
}

/** Nodes with room for pods of a group, each for itself. */
function optionsOf(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  group: Group,
  start: Time,
  seconds: number,
): Pick[] {
  const { table, now } = context;
  let candidates: Int32Array;
  if (start === now) {
    refreshWindow(context, shape, variant, group);
    candidates = group.window.counts;
  } else {
    refreshEmpty(context, shape, variant, group);
    candidates = group.empty.counts;
  }
  const learns = start === now && seconds === shape.minSlotSeconds;
  const options: Pick[] = [];
  for (const node of table.nodes) {
    if (!candidates[node.index]) continue;
    if (node.views !== undefined && context.advance.isClosed(node, seconds)) continue;
    const pods = podsThroughout(node, group, start, seconds);
    if (learns && pods < candidates[node.index]!) group.window.set(node.index, pods);
    if (pods > 0) options.push([node, pods]);
  }
  return options;
}

function placeGroups(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  start: Time,
  seconds: number,
  count: "Full" | "Minimum" | "Most",
  compact: boolean,
  only: readonly NodeRecord[] | undefined,
  within: Within | undefined,
): Placement | undefined {
  const charges: Charge[] = [];
  const nodesOfGroup: NodeRecord[][] = [];
  const grantsOfGroup: (PodGrant | null)[][] = [];
  const own: Occupant[] = [];
  const taken: Taken = new Map();
  for (const group of tightestFirst(context, shape, variant)) {
    const least = count === "Full" ? group.pods : group.minPods;
    const most = count === "Minimum" ? group.minPods : group.pods;
    const view = viewOf(context, shape, group, start, start + seconds, own);
    const picks = pick(context, shape, variant, group, start, seconds, least, most, taken, compact, only, within, view);
    if (picks === undefined) {
      applyCharges(context.table, charges, start, start + seconds, 1);
      return undefined;
    }
    const added: Charge[] = [];
    const grants = new Map<NodeRecord, PodGrant[]>();
    for (const [node, pods] of picks) {
      const usage = taken.get(node);
      if (group.needs !== undefined) {
        const free = usage !== undefined && group.exclusive ? usage.left.slice() : freeFor(node, group, start, seconds);
        const found = assignDetails(free, node.details!, group.needs, group.request, pods);
        grants.set(node, found.grants);
        if (!group.exclusive) added.push({ node, amounts: found.amounts });
        else if (usage === undefined) added.push({ node, amounts: node.capacity.slice() });
        const left = group.exclusive
          ? (usage?.left ?? node.capacity).map((amount, index) => amount - (found.amounts[index] ?? 0))
          : [];
        taken.set(node, { pods: (usage?.pods ?? 0) + pods, left });
      } else if (!group.exclusive) {
        added.push({ node, amounts: group.request.map((amount) => amount * pods) });
        taken.set(node, { pods: (usage?.pods ?? 0) + pods, left: [] });
      } else {
        if (usage === undefined) added.push({ node, amounts: node.capacity.slice() });
        const left = (usage?.left ?? node.capacity).map((amount, index) => amount - (group.request[index] ?? 0) * pods);
        taken.set(node, { pods: (usage?.pods ?? 0) + pods, left });
      }
    }
    applyCharges(context.table, added, start, start + seconds, -1);
    charges.push(...added);
    const nodes = spreadOut(picks, placementOf(context, shape, variant));
    const at = variant.groups.indexOf(group);
    nodesOfGroup[at] = nodes;
    if (view !== undefined) own.push({ set: group.set, nodes, start, end: start + seconds });
    grantsOfGroup[at] = nodes.map((node) => grants.get(node)?.shift() ?? null);
  }
  const placement: Placement = { charges, nodes: bySets(shape, nodesOfGroup), queue: variant.queue };
  if (variant.groups.some(({ needs }) => needs !== undefined)) placement.grants = bySets(shape, grantsOfGroup);
  if (!shape.concernsPods || !spoilsReserved(context, shape.podSets, placement, start, start + seconds))
    return placement;
  applyCharges(context.table, charges, start, start + seconds, 1);
  return undefined;
}

/** What of a node pods of a group may have: all of it if it is to be theirs alone. */
function freeFor(node: NodeRecord, group: Group, start: Time, seconds: number): number[] {
  return group.exclusive ? node.capacity.slice() : node.timeline.leastFree(start, start + seconds);
}

function fewestNodes(
  { table }: PlacementContext,
  group: Group,
  isIn?: (node: NodeRecord) => boolean,
): number | undefined {
  const { counts: all } = group.empty;
  if (group.minPods === 1 && isIn === undefined) return group.empty.total > 0 ? 1 : undefined;
  const counts = isIn === undefined ? all.toSorted() : all.filter((_, index) => isIn(table.nodes[index]!)).sort();
  let nodes = 0;
  for (let missing = group.minPods; missing > 0; nodes += 1) {
    if (nodes === counts.length || counts[counts.length - 1 - nodes] === 0) return undefined;
    missing -= counts[counts.length - 1 - nodes]!;
  }
  return nodes;
}

/** Pods that few nodes can take go first, lest others take their room. */
function tightestFirst(context: PlacementContext, shape: Shape, variant: Variant): readonly Group[] {
  if (variant.groups.length === 1) return variant.groups;
  for (const group of variant.groups) refreshEmpty(context, shape, variant, group);
  return variant.groups.toSorted((a, b) => a.empty.total / a.pods - b.empty.total / b.pods);
}

/**
 * Whether the job would fit if all usable nodes were empty, and on how few nodes (of the order in which a placement takes them);
 * undefined: it would not.
 */
export function nodesWhenEmpty(context: PlacementContext, shape: Shape, variant: Variant): number | undefined {
  const { topology } = shape.input;
  if (topology?.mode !== "Required") return nodesWhenEmptyIn(context, shape, variant);
  const domains = context.topology.domains(topology.level);
  const found = domains.paths.flatMap((_, domain) => {
    const isIn = (node: NodeRecord): boolean => domains.of[node.index] === domain;
    return nodesWhenEmptyIn(context, shape, variant, isIn) ?? [];
  });
  return found.length === 0 ? undefined : Math.min(...found);
}

function nodesWhenEmptyIn(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  isIn?: (node: NodeRecord) => boolean,
): number | undefined {
  const left = new Map<NodeRecord, Usage>();
  for (const group of tightestFirst(context, shape, variant)) {
    refreshEmpty(context, shape, variant, group);
    let missing = group.minPods;
    if (group.empty.total < missing) return undefined;
    if (variant.groups.length === 1) return fewestNodes(context, group, isIn);
    const nodes = context.table.nodes.filter((node) => group.empty.counts[node.index]! > 0 && isIn?.(node) !== false);
    // Nodes already taken first, then the largest: the fewest nodes.
    const rank = (node: NodeRecord): number => (left.has(node) ? Infinity : group.empty.counts[node.index]!);
    nodes.sort((a, b) => (rank(a) === rank(b) ? a.index - b.index : rank(b) - rank(a)));
    for (const node of nodes) {
      if (missing === 0) break;
      const usage = left.get(node) ?? { pods: 0, left: node.capacity };
      const pods = podsOn(node, usage.left, group, Math.min(missing, group.perNode - usage.pods));
      if (pods <= 0) continue;
      missing -= pods;
      const amounts =
        group.needs === undefined
          ? group.request.map((amount) => amount * pods)
          : assignDetails(usage.left.slice(), node.details!, group.needs, group.request, pods).amounts;
      left.set(node, {
        pods: usage.pods + pods,
        left: usage.left.map((amount, index) => amount - (amounts[index] ?? 0)),
      });
    }
    if (missing > 0) return undefined;
  }
  return left.size;
}

function placementOf(context: PlacementContext, shape: Shape, variant: Variant): "Pack" | "Spread" {
  return shape.input.placement ?? context.queue(variant.queue)?.placement ?? "Pack";
}

/** A node for each pod: blocks when packed, in turn when spread. */
function spreadOut(picks: Pick[], placement: "Pack" | "Spread"): NodeRecord[] {
  const sorted = picks.length < 2 ? picks : picks.toSorted((a, b) => a[0].index - b[0].index);
  const result: NodeRecord[] = [];
  if (placement === "Pack" || sorted.length < 2) {
    for (const [node, pods] of sorted) for (let pod = 0; pod < pods; pod += 1) result.push(node);
    return result;
  }
  for (let round = 0, more = true; more; round += 1) {
    more = false;
    for (const [node, pods] of sorted) {
      if (pods > round) result.push(node);
      if (pods > round + 1) more = true;
    }
  }
  return result;
}

/** Deals the nodes of each group to its pod sets: to each its minimum, then what is left in order. */
function bySets<T>(shape: Shape, nodesOfGroup: T[][]): T[][] {
  if (shape.podSets.length === 1) return nodesOfGroup;
  const extra = nodesOfGroup.map((nodes, group) => {
    let least = 0;
    for (const [index, set] of shape.podSets.entries()) {
      if (shape.groupOf[index] === group) least += set.minCount ?? set.count;
    }
    return nodes.length - least;
  });
  const next = nodesOfGroup.map(() => 0);
  return shape.podSets.map((set, index) => {
    const group = shape.groupOf[index]!;
    const least = set.minCount ?? set.count;
    const more = Math.min(set.count - least, extra[group]!);
    extra[group]! -= more;
    const from = next[group]!;
    next[group]! += least + more;
    return nodesOfGroup[group]!.slice(from, next[group]);
  });
}

function pick(
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
    if (usage !== undefined && group.exclusive) return podsOn(node, usage.left, group, group.perNode - usage.pods);
    if (node.views !== undefined && context.advance.isClosed(node, seconds)) return 0;
    const pods = podsThroughout(node, group, start, seconds);
    // Time has taken from what the cache says: it learns that.
    if (learns && pods < group.window.counts[node.index]!) group.window.set(node.index, pods);
    return usage === undefined ? pods : Math.min(pods, group.perNode - usage.pods);
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

/** How long a placement could last: until what it takes is free no more on one of its nodes. At most `longest` seconds. */
export function longestSlot(charges: readonly Charge[], start: Time, longest: number): number {
  let end = start + longest;
  for (const { node, amounts } of charges) {
    const { times, free, width } = node.timeline;
    const columns = Math.min(width, amounts.length);
    for (let step = node.timeline.stepAt(start); step < times.length && times[step]! < end; step += 1) {
      let fits = true;
      for (let index = 0; index < columns; index += 1) {
        if (free[step * width + index]! < amounts[index]!) fits = false;
      }
      if (!fits) end = Math.max(start, times[step]!);
    }
  }
  return end - start;
}
