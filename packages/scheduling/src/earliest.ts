/** The earliest time at which there is room for a job. */
import { licencesFrom } from "./licences.ts";
import { podsAtStep, podsThroughout } from "./shape.ts";
import type { Group, Shape, Variant } from "./shape.ts";
import type { NodeRecord } from "./nodes.ts";
import { applyCharges } from "./charges.ts";
import { place } from "./place.ts";
import { refreshEmpty } from "./room.ts";
import type { PlacementContext } from "./room.ts";
import type { Levels, Placement } from "./records.ts";
import type { Time } from "./types.ts";

export interface Search {
  /** Filled for a gang of one group on several nodes. */
  levels?: Levels;
  /** Nothing else is looked at. */
  only?: readonly NodeRecord[];
  /** Filled for a lone pod: the nodes that have room at the earliest time. */
  found?: readonly NodeRecord[];
}

/** Earliest time from `from` and before `before` at which `pods` of the group fit throughout `seconds`; Infinity: never. */
function earliest(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  group: Group,
  pods: number,
  seconds: number,
  from: Time,
  before: Time,
  search: Search,
): Time {
  refreshEmpty(context, shape, variant, group);
  if (group.empty.total < pods) return Infinity;
  if (group.pods === 1 && search.only === undefined && from === context.now) {
    const { empty } = group;
    const best = group.soonest.earliest(context.table, from, (node) => {
      if (empty.counts[node.index] === 0) return Infinity;
      if (node.views !== undefined && context.advance.isClosed(node, seconds)) return Infinity;
      node.timeline.advance(from);
      return firstWindow(node, group, 1, seconds, from, Infinity);
    });
    search.found = best.nodes;
    return best.time < before ? best.time : Infinity;
  }
  const nodes: NodeRecord[] = [];
  for (const node of search.only ?? context.table.nodes) {
    if (!group.empty.counts[node.index]) continue;
    if (node.views !== undefined && context.advance.isClosed(node, seconds)) continue;
    node.timeline.advance(context.now);
    nodes.push(node);
  }
  if (shape.input.topology?.mode === "Required" && pods > 1) {
    return earliestInDomain(context, shape.input.topology.level, nodes, group, pods, seconds, from, before);
  }
  if (pods === 1 || nodes.length === 1) {
    let best = before;
    for (const node of nodes) best = Math.min(best, firstWindow(node, group, pods, seconds, from, best));
    return best < before ? best : Infinity;
  }
  return earliestTogether(nodes, group, pods, seconds, from, before, search.levels);
}

/** As {@link earliest}, all pods in one domain: the one that has room first. */
function earliestInDomain(
  context: PlacementContext,
  level: string,
  nodes: readonly NodeRecord[],
  group: Group,
  pods: number,
  seconds: number,
  from: Time,
  before: Time,
): Time {
  const domains = context.topology.domains(level);
  const parts = new Map<number, NodeRecord[]>();
  for (const node of nodes) {
    const domain = domains.of[node.index]!;
    if (domain < 0) continue;
    const part = parts.get(domain);
    if (part === undefined) parts.set(domain, [node]);
    else part.push(node);
  }
  let best = before;
  for (const part of parts.values()) {
    let room = 0;
    for (const { index } of part) room += group.empty.counts[index]!;
    if (room < pods) continue;
    const time =
      part.length === 1
        ? firstWindow(part[0]!, group, pods, seconds, from, best)
        : earliestTogether(part, group, pods, seconds, from, best);
    if (time < best) best = time;
    if (best === from) return from;
  }
  return best < before ? best : Infinity;
}

export function firstWindow(
  node: NodeRecord,
  group: Group,
  pods: number,
  seconds: number,
  from: Time,
  before: Time,
): Time {
  const { times } = node.timeline;
  if (group.needs !== undefined) {
    for (let step = node.timeline.stepAt(from), at = from; at < before; step += 1, at = times[step] ?? Infinity) {
      if (podsThroughout(node, group, at, seconds) >= pods) return at;
    }
    return Infinity;
  }
  let candidate = from;
  for (let step = node.timeline.stepAt(from); step < times.length; step += 1) {
    if (times[step]! >= candidate + seconds) return candidate;
    if (podsAtStep(node, step, group, pods) < pods) {
      candidate = times[step + 1] ?? Infinity;
      if (candidate >= before) return Infinity;
    }
  }
  return candidate;
}

/** For gangs: adds up, over all nodes, how the number of pods that fit changes with the time of the start. */
function earliestTogether(
  nodes: NodeRecord[],
  group: Group,
  pods: number,
  seconds: number,
  from: Time,
  before: Time,
  levels: Levels = { times: [], sums: [] },
): Time {
  // Most gangs find room soon, so the near future is looked at first.
  let horizon = from + 3600;
  for (;;) {
    const changes = new Map<Time, number>();
    let sum = 0;
    let beyond = false;
    for (const node of nodes) {
      const { times } = node.timeline;
      const first = node.timeline.stepAt(from);
      let pods = podsThroughout(node, group, from, seconds);
      sum += pods;
      const points: Time[] = [];
      for (let step = first + 1; step < times.length; step += 1) {
        const time = times[step]!;
        const enters = time - seconds + 1;
        if (enters > from && enters <= horizon) points.push(enters);
        if (time <= horizon) points.push(time);
        else beyond = true;
      }
      if (points.length > 1) points.sort((a, b) => a - b);
      for (const time of points) {
        const then = podsThroughout(node, group, time, seconds);
        if (then !== pods) changes.set(time, (changes.get(time) ?? 0) + then - pods);
        pods = then;
      }
    }
    levels.times = [from];
    levels.sums = [sum];
    if (sum >= pods) return from;
    for (const time of Float64Array.from(changes.keys()).sort()) {
      if (time >= before) return Infinity;
      sum += changes.get(time)!;
      if (sum >= pods) return time;
      levels.times.push(time);
      levels.sums.push(sum);
    }
    if (!beyond || horizon >= before) return Infinity;
    horizon = from + (horizon - from) * 8;
  }
}

/** The first time after `time` at which a usable node changes (where pods matter: any node); Infinity: none. */
function nextChange(context: PlacementContext, shape: Shape, group: Group, time: Time): Time {
  let next = Infinity;
  for (const node of context.table.nodes) {
    if (!group.empty.counts[node.index] && !shape.concernsPods) continue;
    const { times } = node.timeline;
    const step = node.timeline.stepAt(time) + 1;
    if (step < times.length && times[step]! < next) next = times[step]!;
  }
  return next;
}

/**
 * The earliest placement of a job (its smallest gang, its full slot) that starts at `now` or later and before `before`, taken out
 * of the timelines; undefined if there is none.
 */
export function placeEarliest(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  before: Time,
  search: Search = {},
): (Placement & { start: Time }) | undefined {
  for (;;) {
    const found = placeAmongKnown(context, shape, variant, before, search);
    // Windows of repeating reservations that are not in the timelines yet must not be planned over, nor missed.
    const { advance, now, table } = context;
    const until = advance.knownUntil;
    const end = found === undefined ? Infinity : found.start + shape.slotSeconds;
    if (end <= until || until === Infinity) return found;
    if (found !== undefined) applyCharges(table, found.charges, found.start, end, 1);
    else if (shape.input.reservation === undefined || before <= until) return undefined;
    if (!advance.extend(found === undefined ? until + Math.max(1, until - now) : end)) return undefined;
  }
}

function placeAmongKnown(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  before: Time,
  search: Search,
): (Placement & { start: Time }) | undefined {
  let from = context.now;
  const attempts = shape.concernsPods ? 1000 : 10_000;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    let start = from;
    for (let settled = false; !settled;) {
      settled = true;
      if (shape.input.licences !== undefined) {
        const time = licencesFrom(context.table, shape, start, shape.slotSeconds);
        if (time >= before) return undefined;
        start = time;
      }
      for (const group of variant.groups) {
        const time = earliest(context, shape, variant, group, group.minPods, shape.slotSeconds, start, before, search);
        if (time === Infinity) return undefined;
        if (time > start) {
          start = time;
          settled = variant.groups.length === 1 && shape.input.licences === undefined;
        }
      }
    }
    const lone = variant.groups.length === 1 ? search.found : undefined;
    search.found = undefined;
    const placement = place(context, shape, variant, start, shape.slotSeconds, "Minimum", search.only ?? lone);
    if (placement !== undefined) return { ...placement, start };
    // Room for each group alone, or on more nodes than the queue gives to one job: look on from the next change.
    from = Math.min(...variant.groups.map((group) => nextChange(context, shape, group, start)));
    if (!(from < before) || from === Infinity) return undefined;
  }
  return undefined;
}
