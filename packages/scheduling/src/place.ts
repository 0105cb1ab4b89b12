/** Pods of a job onto nodes at a given time. */
import { applyCharges } from "./charges.ts";
import { assignDetails } from "./devices.ts";
import { spoilsPlanned } from "./keep-rules.ts";
import { licenceCharge } from "./licences.ts";
import type { NodeRecord } from "./nodes.ts";
import { pick, pickTogether, placementOf } from "./pick.ts";
import type { Taken, Within } from "./pick.ts";
import type { PodGrant } from "./placement-types.ts";
import type { Occupant } from "./pod-rules.ts";
import type { Charge, Placement } from "./records.ts";
import { refreshEmpty, refreshWindow, tightestFirst } from "./room.ts";
import type { PlacementContext } from "./room.ts";
import { viewOf } from "./rule-views.ts";
import { podsThroughout } from "./shape.ts";
import type { Group, Shape, Variant } from "./shape.ts";
import { roomByDomain } from "./topology.ts";
import type { Pick } from "./topology.ts";
import type { Time } from "./types.ts";

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

/** Whether it is known without a look at each where equal jobs of the shape go, one after the other: where nodes are packed. */
export function mayPlaceTogether(context: PlacementContext, shape: Shape, variant: Variant): boolean {
  const { topology, licences } = shape.input;
  const [group, ...others] = variant.groups;
  if (others.length > 0 || group!.pods > 1 || group!.exclusive || group!.needs !== undefined) return false;
  if (topology !== undefined || licences !== undefined || shape.concernsPods) return false;
  const isPacked = placementOf(context, shape, variant) === "Pack";
  return isPacked && context.queue(variant.queue)?.maxNodesPerJob === undefined;
}

/** Places as many equal jobs of one pod each as have room now, at most `most`, and takes them out of the timelines. */
export function placeTogether(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  most: number,
): (Placement & { jobs: number }) | undefined {
  const group = variant.groups[0]!;
  const picks = pickTogether(context, shape, variant, group, most);
  if (picks === undefined) return undefined;
  const charges = picks.map(([node, pods]): Charge => ({
    node,
    amounts: group.request.map((amount) => amount * pods),
  }));
  applyCharges(context.table, charges, context.now, context.now + shape.slotSeconds, -1);
  const jobs = picks.reduce((sum, [, pods]) => sum + pods, 0);
  return { charges, nodes: [picks.map(([node]) => node)], queue: variant.queue, jobs };
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
  if (!shape.concernsPods || !spoilsPlanned(context, shape.podSets, placement, start, start + seconds))
    return placement;
  applyCharges(context.table, charges, start, start + seconds, 1);
  return undefined;
}

/** What of a node pods of a group may have: all of it if it is to be theirs alone. */
function freeFor(node: NodeRecord, group: Group, start: Time, seconds: number): number[] {
  return group.exclusive ? node.capacity.slice() : node.timeline.leastFree(start, start + seconds);
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
