/** Whether a reservation may move to the front, from what nodes gained since it was last looked at. */
import { mayUse, podsThroughout } from "./shape.ts";
import type { Group } from "./shape.ts";
import { firstWindow } from "./earliest.ts";
import type { NodeRecord } from "./nodes.ts";
import type { JobRecord, Levels, ReservationRecord } from "./records.ts";
import type { ClusterStore } from "./store.ts";
import type { Timeline } from "./timeline.ts";
import { lastUntil } from "./timeline.ts";
import type { Time } from "./types.ts";

/**
 * The nodes that can give a reserved job an earlier start; none: planning it anew would be in vain. Nothing earlier was possible
 * when it was planned; since then only the nodes that gained can have made it so. For a job of one node that is one look at each
 * of these; a gang may move anywhere if at some earlier time the pods that fitted then and what was gained since reach its size.
 */
export function improvableOn(
  store: ClusterStore,
  job: JobRecord,
  reservation: ReservationRecord,
): readonly NodeRecord[] | "Anywhere" {
  const { shape } = job.class;
  const variant = shape.variants[0]!;
  const group = variant.groups[0]!;
  const isSimple =
    shape.variants.length === 1 &&
    variant.groups.length === 1 &&
    shape.minSlotSeconds === shape.slotSeconds &&
    shape.input.topology === undefined &&
    shape.input.licences === undefined &&
    !shape.concernsPods &&
    store.queue(variant.queue)?.maxNodesPerJob === undefined;
  if (store.plan.unsure || !isSimple || (group.pods > 1 && reservation.levels === undefined)) return "Anywhere";
  const gained = store.table.gains.since(reservation.testedAt);
  reservation.testedAt = store.table.gains.end;
  const found: NodeRecord[] = [];
  for (const [node, before] of gained) {
    node.timeline.advance(store.now);
    before.advance(store.now);
    if (node.timeline.equals(before)) continue;
    if (!mayUse(node, shape, variant, group, store)) continue;
    // One that was lifted takes nothing at the moment.
    const now = job.reservation === undefined ? node : withoutOwn(node, node.timeline, reservation);
    if (group.pods === 1) {
      const earlier = firstWindow(now, group, 1, shape.slotSeconds, store.now, reservation.start);
      if (earlier < reservation.start) found.push(node);
      continue;
    }
    const then = withoutOwn(node, before, reservation);
    if (raise(reservation.levels!, now, then, group, shape.slotSeconds, store.now, reservation.start)) {
      return "Anywhere";
    }
  }
  return found.sort((a, b) => a.index - b.index);
}

/** The node with a timeline in which the reservation itself takes nothing. */
function withoutOwn(node: NodeRecord, timeline: Timeline, reservation: ReservationRecord): NodeRecord {
  const own = reservation.charges.filter((charge) => charge.node === node);
  if (own.length === 0 && timeline === node.timeline) return node;
  const copy = own.length === 0 ? timeline : timeline.copy();
  for (const { amounts } of own) copy.add(reservation.start, reservation.end, amounts, 1);
  return { ...node, timeline: copy };
}

/** Adds to the levels what the node gained; true if they reach the gang's size somewhere. */
function raise(
  levels: Levels,
  now: NodeRecord,
  then: NodeRecord,
  group: Group,
  seconds: number,
  from: Time,
  until: Time,
): boolean {
  const points = new Set<Time>([from]);
  for (const { timeline } of [now, then]) {
    for (const time of timeline.times) {
      for (const point of [time, time - seconds + 1]) if (point > from && point < until) points.add(point);
    }
  }
  const sorted = [...points].sort((a, b) => a - b);
  const { times, sums } = levels;
  for (const [index, point] of sorted.entries()) {
    const gain = podsThroughout(now, group, point, seconds) - podsThroughout(then, group, point, seconds);
    if (gain <= 0) continue;
    const next = sorted[index + 1] ?? until;
    for (let level = lastUntil(times, point); level < times.length && times[level]! < next; level += 1) {
      sums[level]! += gain;
      if (sums[level]! >= group.minPods) return true;
    }
  }
  return false;
}
