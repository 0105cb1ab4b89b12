/** Which jobs advance reservations keep waiting, and which of them. */
import type { ReservationEntry } from "./advance-reservations.ts";
import { isForSomebody } from "./advance-reservations.ts";
import type { JobClass } from "./classes.ts";
import { FitCache } from "./fit-cache.ts";
import { viewFor } from "./nodes.ts";
import type { NodeRecord } from "./nodes.ts";
import type { JobRecord, ReservationRecord } from "./records.ts";
import type { ReservationBlock } from "./reservation-types.ts";
import { podsFromNow } from "./shape.ts";
import type { Group, Shape } from "./shape.ts";
import type { ClusterStore } from "./store.ts";
import type { WaitReason } from "./types.ts";
import { windowAfter } from "./windows.ts";
import type { Window } from "./windows.ts";

/** What keeps all jobs of a class from starting that name a reservation: it, or what it is. */
export function reservationObstacle(store: ClusterStore, jobClass: JobClass): WaitReason | undefined {
  const { reservation, user, account } = jobClass.input;
  if (reservation === undefined) return undefined;
  const entry = store.advance.entries.get(reservation);
  const window = entry?.windows[0];
  if (entry === undefined || window === undefined) return "ReservationDeleted";
  const { users, accounts, durationSeconds } = entry.input;
  const isMember = account !== undefined && store.accountsFrom(account).some((name) => accounts?.includes(name));
  if (!isForSomebody(entry.input) || !(isMember || users?.includes(user) === true)) return "ReservationNotAllowed";
  if (jobClass.shape.minSlotSeconds > durationSeconds) return "ReservationTimeLimit";
  return window.start > store.now ? "Reservation" : undefined;
}

/** What keeps all jobs of a shape from ever starting: windows that come again too soon, on all nodes that they may use. */
export function closureOf(store: ClusterStore, shape: Shape): WaitReason | undefined {
  if (store.advance.boundary === Infinity) return undefined;
  const { now, version } = store;
  const known = closures.get(shape);
  if (known?.now === now && known.version === version) return known.reason;
  const reason = findClosure(store, shape);
  closures.set(shape, { now, version, reason });
  return reason;
}

const closures = new WeakMap<Shape, { now: number; version: number; reason: WaitReason | undefined }>();

function findClosure(store: ClusterStore, shape: Shape): WaitReason | undefined {
  const isOpen = (group: Group): boolean => {
    let pods = 0;
    for (const node of store.table.nodes) {
      const count = group.empty.counts[node.index] ?? 0;
      if (count === 0 || store.advance.isClosed(node, shape.minSlotSeconds)) continue;
      pods += count;
      if (pods >= group.minPods) return true;
    }
    return false;
  };
  if (shape.open.some((variant) => variant.groups.every(isOpen))) return undefined;
  const entry = blockingEntry(store, shape);
  return entry?.input.maintenance === true ? "ReservedForMaintenance" : "ReservedForOthers";
}

/**
 * After a pass: why jobs of a shape wait for which there would be room, now or before the start that is planned, were it not for an
 * advance reservation; undefined: it is not for that. `own`: what is planned for the job that is meant.
 */
export function blockOf(store: ClusterStore, shape: Shape, own?: ReservationRecord): WaitReason | undefined {
  if (store.advance.boundary === Infinity) return undefined;
  const { reservation } = shape.input;
  if (reservation !== undefined && lacksTime(store, shape)) {
    const { everySeconds } = store.advance.entries.get(reservation)!.input;
    return everySeconds === undefined ? "ReservationTimeLimit" : "Reservation";
  }
  const before = own && windowBefore(store, shape, own);
  if (before !== undefined) return reasonOf(before.entry);
  const entry = blockingEntry(store, shape);
  if (entry === undefined) return undefined;
  if (reservation === undefined) {
    if (!fits(store, shape, true, own)) return undefined;
    if (own === undefined && fits(store, shape, false)) return undefined;
  }
  return reasonOf(entry);
}

function reasonOf({ input }: ReservationEntry): WaitReason {
  return input.maintenance === true ? "ReservedForMaintenance" : "ReservedForOthers";
}

/** The window of others whose end is what a planned start waits for; undefined: there is none, or a job leaves as late. */
export function windowBefore(
  store: ClusterStore,
  shape: Shape,
  { charges, start }: Pick<ReservationRecord, "charges" | "start">,
): { entry: ReservationEntry; window: Window } | undefined {
  const nodes = new Set(charges.map(({ node }) => node.views?.all[0] ?? node));
  let found: { entry: ReservationEntry; window: Window } | undefined;
  for (const entry of store.advance.entries.values()) {
    const window = entry.windows.find(({ end }) => end === start);
    if (window === undefined || entry.input.name === shape.input.reservation) continue;
    if (found !== undefined && !isBefore(entry, found.entry)) continue;
    if (entry.nodes.some((node) => nodes.has(node))) found = { entry, window };
  }
  if (found === undefined) return undefined;
  for (const node of nodes) {
    for (const run of node.runs) if (run.end === start) return undefined;
    for (const { reserved } of node.views?.all ?? [node]) {
      for (const job of reserved) if (job.reservation!.end === start) return undefined;
    }
  }
  return found;
}

/** The window behind the reason that {@link blockOf} or {@link reservationObstacle} gives. */
export function windowBehind(store: ClusterStore, job: JobRecord, reason: WaitReason): ReservationBlock | undefined {
  const { shape, input } = job.class;
  if (reason === "ReservedForMaintenance" || reason === "ReservedForOthers") {
    const before = job.reservation && windowBefore(store, shape, job.reservation);
    if (before !== undefined) return told(before.entry, before.window);
    const entry = blockingEntry(store, shape);
    return told(entry, entry && windowAfter(entry.input, store.now));
  }
  if (reason !== "Reservation" && reason !== "ReservationTimeLimit") return undefined;
  const entry = store.advance.entries.get(input.reservation ?? "");
  const window = entry?.windows[0];
  // The window that is there is too short by now: the next one.
  const from = reason === "Reservation" && window !== undefined && window.start <= store.now ? window.end : store.now;
  return told(entry, entry && windowAfter(entry.input, from));
}

function told(entry: ReservationEntry | undefined, window: Window | undefined): ReservationBlock | undefined {
  if (entry === undefined || window === undefined) return undefined;
  const { name, maintenance = false } = entry.input;
  return { reservation: name, startTime: window.start, endTime: window.end, maintenance };
}

/** Whether what is left of the window in which jobs of the shape may run is too short for them. */
function lacksTime(store: ClusterStore, shape: Shape): boolean {
  const window = store.advance.entries.get(shape.input.reservation!)?.windows[0];
  return window !== undefined && window.end - store.now < shape.minSlotSeconds;
}

/** The reservation of others that has a node of the shape before its shortest slot could be over; maintenance before all. */
function blockingEntry(store: ClusterStore, shape: Shape): ReservationEntry | undefined {
  let best: ReservationEntry | undefined;
  for (const entry of store.advance.entries.values()) {
    const window = entry.windows[0];
    if (entry.input.name === shape.input.reservation || window === undefined) continue;
    if (window.start >= store.now + shape.minSlotSeconds) continue;
    if (best !== undefined && !isBefore(entry, best)) continue;
    if (meets(store, shape, entry)) best = entry;
  }
  return best;
}

function isBefore(a: ReservationEntry, b: ReservationEntry): boolean {
  const first = a.input.maintenance === true;
  if (first !== (b.input.maintenance === true)) return first;
  const [x, y] = [a.windows[0]!.start, b.windows[0]!.start];
  return x === y ? a.input.name < b.input.name : x < y;
}

const meetings = new WeakMap<Shape, { version: number; of: Map<ReservationEntry, boolean> }>();

/** Whether jobs of the shape may use a node of the reservation when it is not reserved. Looked up once for each state of the nodes. */
function meets(store: ClusterStore, shape: Shape, entry: ReservationEntry): boolean {
  let known = meetings.get(shape);
  if (known?.version !== store.version) meetings.set(shape, (known = { version: store.version, of: new Map() }));
  let answer = known.of.get(entry);
  if (answer === undefined) {
    const groups = shape.open.flatMap((variant) => variant.groups);
    answer = entry.nodes.some((node) => {
      const index = viewFor(node, shape.input.reservation)?.index ?? -1;
      return groups.some(({ empty }) => (empty.counts[index] ?? 0) > 0);
    });
    known.of.set(entry, answer);
  }
  return answer;
}

/** Whether each group of pods finds room from now for the shortest slot; `open`: as if there were no reservations. */
function fits(store: ClusterStore, shape: Shape, open: boolean, own?: ReservationRecord): boolean {
  return shape.open.some((variant) => variant.groups.every((group) => hasRoom(store, shape, group, open, own)));
}

const openCaches = new WeakMap<Group, FitCache>();

function hasRoom(
  store: ClusterStore,
  shape: Shape,
  group: Group,
  open: boolean,
  own: ReservationRecord | undefined,
): boolean {
  const { table, now } = store;
  const count = (node: NodeRecord): number => {
    if ((group.empty.counts[node.index] ?? 0) === 0) return 0;
    const { timeline } = node;
    if (open && node.views !== undefined) node.timeline = node.views.open;
    node.timeline.advance(now);
    const pods = podsFromNow(node, group, shape.minSlotSeconds);
    node.timeline = timeline;
    return pods;
  };
  let cache = group.window;
  if (open) {
    cache = openCaches.get(group) ?? new FitCache();
    openCaches.set(group, cache);
    cache.refresh(table.changes, table.nodes, count);
  }
  let found = 0;
  const planned = new Set(own?.charges.map(({ node }) => node));
  for (const node of planned) {
    const { views, timeline } = node;
    const free = (views?.open ?? timeline).copy();
    for (const { node: on, amounts } of own!.charges) if (on === node) free.add(own!.start, own!.end, amounts, 1);
    free.advance(now);
    node.timeline = free;
    found += podsFromNow(node, group, shape.minSlotSeconds);
    node.timeline = timeline;
  }
  if (found + cache.total < group.minPods) return false;
  // What the cache says may be too high by now.
  for (let index = 0; index < table.nodes.length && found < group.minPods; index += 1) {
    if ((cache.counts[index] ?? 0) === 0 || planned.has(table.nodes[index]!)) continue;
    const pods = count(table.nodes[index]!);
    if (pods < cache.counts[index]!) cache.set(index, pods);
    found += pods;
  }
  return found >= group.minPods;
}
