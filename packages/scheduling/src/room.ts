/** How many pods of a shape nodes have room for, now and if they were empty: caches that are kept by change. */
import type { NodeKind, NodeRecord } from "./nodes.ts";
import type { RuledContext } from "./rule-views.ts";
import { mayUse, podsFromNow, podsOn } from "./shape.ts";
import type { Eligibility, Group, Shape, Variant } from "./shape.ts";
import { mostInOneDomain } from "./topology.ts";
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

/** Brings the cache of pods that fit from now throughout the shortest slot up to date. */
export function refreshWindow(context: PlacementContext, shape: Shape, variant: Variant, group: Group): void {
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
  if (group.empty.unread(table.shapes) === 0) return;
  const { topology, nodes = [], excludedNodes = [] } = shape.input;
  const domains = topology?.mode === "Required" ? context.topology.domains(topology.level) : undefined;
  const fit = (node: NodeRecord): number =>
    mayUse(node, shape, variant, group, context) ? podsOn(node, node.capacity, group, group.perNode) : 0;
  const known = new Map<NodeKind, number>();
  const areAlike = nodes.length === 0 && excludedNodes.length === 0 && group.set.nodes === undefined;
  group.empty.refresh(table.shapes, table.nodes, (node) => {
    if (domains?.of[node.index] === -1) return 0;
    if (!areAlike || node.reservation !== undefined) return fit(node);
    let pods = known.get(node.kind);
    if (pods === undefined) known.set(node.kind, (pods = fit(node)));
    return pods;
  });
}

/** Pods that few nodes can take go first, lest others take their room. */
export function tightestFirst(context: PlacementContext, shape: Shape, variant: Variant): readonly Group[] {
  if (variant.groups.length === 1) return variant.groups;
  for (const group of variant.groups) refreshEmpty(context, shape, variant, group);
  return variant.groups.toSorted((a, b) => a.empty.total / a.pods - b.empty.total / b.pods);
}
