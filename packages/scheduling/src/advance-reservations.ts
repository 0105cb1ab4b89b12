import { SchedulingError } from "./error.ts";
import { spansOf } from "./suspensions.ts";
import type { NodeRecord } from "./nodes.ts";
import type { AdvanceReservation, AdvanceReservationInput } from "./reservation-types.ts";
import type { ClusterStore } from "./store.ts";
import { Timeline } from "./timeline.ts";
import type { Time } from "./types.ts";
import { checkReservation } from "./validation.ts";
import { longestGapSeconds, overlapEver, windowAfter } from "./windows.ts";
import type { Window } from "./windows.ts";

/** A hundred years. */
const foreverSeconds = 100 * 365 * 86_400;

/** Windows of one reservation that timelines hold at most; what would end beyond them is not planned. */
const mostWindows = 256;

export interface ReservationEntry {
  readonly input: AdvanceReservationInput;
  /** By index. */
  nodes: NodeRecord[];
  /** Those that are not over and that the timelines know, in order; none: it is over. */
  windows: Window[];
  /** When it begins or ends next, after the time that the timelines were last rolled to: moved on only by {@link AdvanceReservations.roll}. */
  boundary: Time;
}

/**
 * The advance reservations. In its windows the nodes of a reservation have nothing left for others: that is taken out of their
 * timelines. Jobs that may use it see views of these nodes, records of their own with a timeline that has something only in the
 * windows. What runs or is planned on a node is missing from all its views, so that a job that outlives its slot into a window (or
 * out of one) is in nobody's way unseen.
 *
 * Of a repeating reservation the window that is or the next one is always in the timelines, which is enough for starts; farther
 * ones are put there when something is planned to end beyond ({@link extend}).
 */
export class AdvanceReservations {
  readonly entries = new Map<string, ReservationEntry>();
  /** All windows that begin before are in the timelines. */
  knownUntil: Time = Infinity;
  /** When something begins or ends next. */
  boundary: Time = Infinity;
  readonly #store: ClusterStore;
  /** Nodes whose timelines have to be made anew. */
  readonly #dirty = new Set<NodeRecord>();

  constructor(store: ClusterStore) {
    this.#store = store;
  }

  put(given: AdvanceReservationInput): void {
    checkReservation(given);
    const input = withoutGaps(given);
    const before = this.entries.get(input.name);
    if (before !== undefined && isSame(before.input, input)) return;
    const first = windowAfter(input, this.#store.now);
    const keep = [...(input.chosenNodes ?? []), ...(before?.nodes.map(({ name }) => name) ?? [])];
    const entry: ReservationEntry = {
      input,
      nodes: this.#choose(input, keep),
      windows: first === undefined ? [] : [first],
      boundary: boundaryAfter(this.#store.now, first),
    };
    this.#refuseOverlap(entry);
    if (input.nodeCount !== undefined && entry.nodes.length < input.nodeCount && input.chosenNodes === undefined) {
      throw new SchedulingError(
        `reservation ${input.name} wants ${input.nodeCount} nodes; ${entry.nodes.length} can be had`,
      );
    }
    if (input.ignoreJobs !== true && first !== undefined) this.#refuseJobs(entry, first);
    this.entries.set(input.name, entry);
    this.#changed(new Set([...(before?.nodes ?? []), ...entry.nodes]));
  }

  remove(name: string): void {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new SchedulingError(`reservation ${name} is not known`);
    this.entries.delete(name);
    this.#changed(new Set(entry.nodes));
  }

  list(now: Time): AdvanceReservation[] {
    const all = [...this.entries.values()].sort((a, b) => (a.input.name < b.input.name ? -1 : 1));
    return all.map(({ input, nodes }) => {
      const { start, end } = windowAfter(input, now) ?? {
        start: input.startTime,
        end: input.startTime + input.durationSeconds,
      };
      return {
        name: input.name,
        phase: end <= now ? "Ended" : start <= now ? "Active" : "Pending",
        startTime: start,
        endTime: end,
        nodes: nodes.map((node) => node.name),
      };
    });
  }

  /** A node is new, or more of it than what runs there changed. */
  nodeChanged(node: NodeRecord): void {
    const affected = new Set<NodeRecord>(node.views === undefined ? [] : [node]);
    for (const entry of this.entries.values()) {
      const { input, nodes } = entry;
      const had = nodes.includes(node);
      if (!had && input.nodeCount !== undefined && nodes.length >= input.nodeCount) continue;
      const keep = [...(input.chosenNodes ?? []), ...nodes.map(({ name }) => name)];
      const chosen = this.#choose(input, keep, had ? undefined : { node, to: nodes });
      if (chosen.length === nodes.length && chosen.every((one, index) => one === nodes[index])) continue;
      for (const one of [...nodes, ...chosen]) if (nodes.includes(one) !== chosen.includes(one)) affected.add(one);
      entry.nodes = chosen;
    }
    if (affected.size > 0) this.#changed(affected);
  }

  /** Time has come to `store.now`: windows begin and end, the next of repeating ones comes into the timelines. */
  roll(): void {
    const { now, plan, table } = this.#store;
    if (this.boundary > now) return;
    this.settle();
    for (const entry of this.entries.values()) {
      if (entry.boundary > now) continue;
      while (entry.windows.length > 0 && entry.windows[0]!.end <= now) entry.windows.shift();
      if (entry.windows.length === 0) this.#addNext(entry);
      // What is free changes by time alone.
      for (const node of entry.nodes) table.touch(node);
      entry.boundary = boundaryAfter(now, entry.windows[0]);
    }
    plan.gained = true;
    this.#store.version += 1;
    this.#reckon();
  }

  /** Puts the windows that begin before `until` into the timelines; false: no more of them can be put there. */
  extend(until: Time): boolean {
    const before = this.knownUntil;
    if (before >= until) return true;
    for (const entry of this.entries.values()) {
      while (nextStart(entry) < until && entry.windows.length < mostWindows) this.#addNext(entry);
    }
    this.#reckon();
    return this.knownUntil > before;
  }

  /** Whether the windows of others come too often for a slot of so many seconds ever to lie between them. */
  isClosed(node: NodeRecord, seconds: number): boolean {
    for (const { input, windows } of node.views?.repeating ?? []) {
      if (input.name === node.reservation || longestGapSeconds(input) >= seconds) continue;
      if (windows.length > 0 && windows[0]!.start < this.#store.now + seconds) return true;
    }
    return false;
  }

  copyOfEntries(): ReservationEntry[] {
    return Array.from(this.entries.values(), (entry) => ({
      ...entry,
      nodes: entry.nodes.slice(),
      windows: entry.windows.slice(),
    }));
  }

  /** The same reservations as of another state, for a copy of it, before anything runs there. */
  copy(entries: Iterable<ReservationEntry>): void {
    const { table } = this.#store;
    for (const entry of entries) {
      const own = entry.nodes.map((node) => table.twin(node));
      this.entries.set(entry.input.name, { ...entry, nodes: own });
    }
    for (const entry of this.entries.values()) this.#changed(entry.nodes);
    this.settle();
  }

  /** The nodes of a reservation, by index. `keep`: chosen before. */
  #choose(
    input: AdvanceReservationInput,
    keep: readonly string[],
    added?: { node: NodeRecord; to: NodeRecord[] },
  ): NodeRecord[] {
    const { table } = this.#store;
    const isMeant = (node: NodeRecord): boolean =>
      node.state !== "Gone" &&
      (input.nodes === undefined
        ? input.selector === undefined || this.#store.matches(input.selector, node.nodeClass)
        : input.nodes.includes(node.name));
    if (input.nodeCount === undefined) {
      // One node more is not a look at all of them.
      if (added !== undefined) {
        if (!isMeant(added.node)) return added.to;
        return [...added.to, added.node].sort((a, b) => a.index - b.index);
      }
      return [...table.byName.values()].filter(isMeant).sort((a, b) => a.index - b.index);
    }
    const kept = new Set(keep);
    const isKept = (node: NodeRecord): boolean => kept.has(node.name) && node.state !== "Down";
    const rivals = this.#rivals(input);
    const isTaken = (node: NodeRecord): boolean => rivals.some(({ nodes }) => nodes.includes(node));
    const options = [...table.byName.values()].filter(
      (node) => isMeant(node) && (isKept(node) || (node.state !== "Down" && !isTaken(node))),
    );
    const first = windowAfter(input, this.#store.now);
    const rank = new Map(
      options.map((node) => [
        node,
        [isKept(node) ? 0 : 1, node.state === "Up" ? 0 : 1, first === undefined ? 0 : conflictSeconds(node, first)],
      ]),
    );
    options.sort((a, b) => {
      const [x, y] = [rank.get(a)!, rank.get(b)!];
      return x[0]! - y[0]! || x[1]! - y[1]! || x[2]! - y[2]! || a.index - b.index;
    });
    return options.slice(0, input.nodeCount).sort((a, b) => a.index - b.index);
  }

  /** Other reservations that may not have the same nodes. */
  #rivals(input: AdvanceReservationInput): ReservationEntry[] {
    if (input.maintenance === true) return [];
    return [...this.entries.values()].filter(
      (other) =>
        other.input.name !== input.name &&
        other.input.maintenance !== true &&
        other.windows.length > 0 &&
        overlapEver(input, other.input),
    );
  }

  #refuseOverlap({ input, nodes, windows }: ReservationEntry): void {
    if (windows.length === 0) return;
    const rivals = this.#rivals(input);
    for (const node of nodes) {
      const names = rivals.filter((other) => other.nodes.includes(node)).map((other) => other.input.name);
      if (names.length === 0) continue;
      throw new SchedulingError(
        `reservation ${input.name} would lie over ${names.join(", ")} on node ${node.name}; choose other nodes or times`,
      );
    }
  }

  #refuseJobs({ input, nodes }: ReservationEntry, first: Window): void {
    for (const node of nodes) {
      for (const run of node.runs) {
        if (run.end <= first.start || run.start >= first.end || run.job.input.reservation === input.name) continue;
        const task = run.task === undefined ? "" : `_${run.task}`;
        throw new SchedulingError(
          `reservation ${input.name} begins at ${first.start}, but job ${run.job.id}${task} runs on node ${node.name} until ${run.end}; ` +
            `choose a later start or other nodes, or set ignoreJobs`,
        );
      }
    }
  }

  /** Windows or nodes of reservations changed on these nodes, or what the nodes are. */
  #changed(nodes: Iterable<NodeRecord>): void {
    const { plan } = this.#store;
    for (const node of nodes) {
      this.#dirty.add(node);
      for (const job of node.reserved) plan.lift(job);
    }
    plan.doubt();
    this.#store.version += 1;
    this.#reckon();
  }

  /** Brings views and timelines up to date; before anything is decided or asked. */
  settle(): void {
    if (this.#dirty.size === 0) return;
    const { table, now } = this.#store;
    for (const node of this.#dirty) {
      if (node.views === undefined && this.#on(node).length > 0) {
        node.views = { all: [node], open: node.timeline, repeating: [] };
      }
    }
    const entries = [...this.entries.values()].filter(
      (entry) => entry.windows.length > 0 && isForSomebody(entry.input),
    );
    entries.sort((a, b) => (a.input.name < b.input.name ? -1 : 1));
    const wanted = entries.flatMap(({ input, nodes }) =>
      nodes.filter(({ state }) => state !== "Gone").map((node) => ({ node, reservation: input.name })),
    );
    const present = table.nodes.filter(({ reservation, state }) => reservation !== undefined && state !== "Gone");
    const isSame =
      wanted.length === present.length &&
      wanted.every(({ node, reservation }, at) => {
        return present[at]!.views === node.views && present[at]!.reservation === reservation;
      });
    if (!isSame) table.arrangeViews(wanted);
    for (const node of this.#dirty) {
      table.alignViews(node);
      this.#rebuild(node, now);
    }
    this.#dirty.clear();
  }

  /** Those whose windows take of the node. */
  #on(node: NodeRecord): ReservationEntry[] {
    if (node.state === "Gone") return [];
    return [...this.entries.values()].filter(({ windows, nodes }) => windows.length > 0 && nodes.includes(node));
  }

  /** Makes the timelines of a node anew: its windows and what runs there. Nothing is planned there at the moment. */
  #rebuild(node: NodeRecord, now: Time): void {
    const { table } = this.#store;
    const here = this.#on(node);
    const { capacity } = node;
    const make = (free: readonly number[], given: string | undefined, among: ReservationEntry[]): Timeline => {
      const timeline = new Timeline(free, now);
      for (const { input, windows } of among) {
        for (const { start, end } of windows) timeline.add(start, end, capacity, input.name === given ? 1 : -1);
      }
      for (const run of node.runs) {
        for (const { charges, start, end } of spansOf(run, now)) {
          for (const charge of charges) if (charge.node === node) timeline.add(start, end, charge.amounts, -1);
        }
      }
      for (const claim of this.#store.claims) {
        for (const charge of claim.charges) {
          if (charge.node === node) timeline.add(claim.start, claim.end, charge.amounts, -1);
        }
      }
      return timeline;
    };
    const nothing = capacity.map(() => 0);
    for (const view of node.views?.all ?? [node]) {
      view.timeline = make(view === node ? capacity : nothing, view.reservation, here);
      table.touchShape(view);
    }
    if (here.length === 0) node.views = undefined;
    else {
      node.views!.open = make(capacity, undefined, []);
      node.views!.repeating = here.filter(
        ({ input }) => input.everySeconds !== undefined || input.durationSeconds === foreverSeconds,
      );
    }
  }

  #addNext(entry: ReservationEntry): void {
    const last = entry.windows.at(-1);
    const window = windowAfter(entry.input, last?.end ?? this.#store.now);
    if (window === undefined) return;
    entry.windows.push(window);
    const { table, plan, now } = this.#store;
    for (const node of entry.nodes) {
      for (const view of node.views!.all) {
        view.timeline.add(window.start, window.end, node.capacity, view.reservation === entry.input.name ? 1 : -1);
      }
      table.touch(node);
      plan.repair(node, now);
    }
  }

  #reckon(): void {
    this.knownUntil = Infinity;
    this.boundary = Infinity;
    for (const entry of this.entries.values()) {
      this.knownUntil = Math.min(this.knownUntil, nextStart(entry));
      this.boundary = Math.min(this.boundary, entry.boundary);
    }
  }
}

/** What is said of the first time that it is put changes nothing later. */
function isSame(a: AdvanceReservationInput, b: AdvanceReservationInput): boolean {
  const meant = (input: AdvanceReservationInput): string =>
    JSON.stringify({ ...input, chosenNodes: undefined, ignoreJobs: undefined });
  return meant(a) === meant(b);
}

/** Windows without a gap are one that is never over. */
function withoutGaps(given: AdvanceReservationInput): AdvanceReservationInput {
  const { everySeconds, shifts: _, ...input } = given;
  if (everySeconds === undefined) return input;
  return everySeconds > input.durationSeconds ? given : { ...input, durationSeconds: foreverSeconds };
}

export function isForSomebody({ users, accounts }: AdvanceReservationInput): boolean {
  return (users?.length ?? 0) + (accounts?.length ?? 0) > 0;
}

/** Start of the first window that the timelines do not know; Infinity: they know all. */
function nextStart({ input, windows }: ReservationEntry): Time {
  const last = windows.at(-1);
  if (input.everySeconds === undefined || last === undefined) return Infinity;
  return windowAfter(input, last.end)!.start;
}

function boundaryAfter(now: Time, window: Window | undefined): Time {
  if (window === undefined) return Infinity;
  return window.start > now ? window.start : window.end;
}

function conflictSeconds(node: NodeRecord, { start, end }: Window): number {
  let seconds = 0;
  for (const run of node.runs) seconds += Math.max(0, Math.min(run.end, end) - Math.max(run.start, start));
  return seconds;
}
