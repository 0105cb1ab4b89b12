import type { ReservationEntry } from "./advance-reservations.ts";
import { detailsOf, emptyDetails, type NodeDetails } from "./devices.ts";
import type { JobRecord, Run } from "./records.ts";
import { Timeline } from "./timeline.ts";
import type { NodeInput, Time } from "./types.ts";

/** What jobs of several kinds see of one node, because advance reservations give it to some at times. */
interface NodeViews {
  /** The node itself, as everybody sees it, then a view for each reservation that has users. */
  all: NodeRecord[];
  /** As if there were no reservation: whether it is one that keeps a job waiting. */
  open: Timeline;
  /** The reservations whose windows come again and again, or never end. */
  repeating: readonly ReservationEntry[];
}

export interface NodeRecord {
  index: number;
  readonly name: string;
  input: NodeInput;
  /** Of each resource, then of each column of `details`. */
  capacity: number[];
  details: NodeDetails | undefined;
  nodeClass: string;
  state: NodeInput["state"] | "Gone";
  timeline: Timeline;
  readonly runs: Set<Run>;
  /** Jobs whose reservation has a part of this node. */
  readonly reserved: Set<JobRecord>;
  /** Only jobs that name this advance reservation may use the record, a view of the node; undefined: the node itself. */
  readonly reservation: string | undefined;
  /** The same for all views of a node; undefined: no advance reservation is on it. */
  views: NodeViews | undefined;
}

/** The record of a node that jobs of a reservation (undefined: all others) may use: its view for them, or the node itself. */
export function viewFor(node: NodeRecord, reservation: string | undefined): NodeRecord | undefined {
  if (reservation === undefined) return node;
  return node.views?.all.find((view) => view.reservation === reservation);
}

/** No job names it: a view that is not needed at the moment. */
const unused = "\0";

/** Which nodes changed, in order; each reader remembers how far it has read and learns of no more than what changed since. */
export class ChangeLog {
  entries: number[] = [];
  /** Position of the last entry of each node. */
  readonly last: number[] = [];
  /** Grows when the log is cut: readers of an older one must look at every node. */
  epoch = 0;

  push(node: number, nodes: number): void {
    this.last[node] = this.entries.length;
    this.entries.push(node);
    if (this.entries.length > Math.max(65_536, 8 * nodes)) this.cut();
  }

  cut(): void {
    this.entries = [];
    this.epoch += 1;
  }
}

const noGains: ReadonlyMap<NodeRecord, Timeline> = new Map();

/**
 * What nodes gained (something ended, a reservation moved), with their timelines as they were before: whether a reservation may
 * move to the front is answered from these alone. Recorded only while something is reserved.
 */
class GainLog {
  isRecording = false;
  #entries: { node: NodeRecord; before: Timeline }[] = [];
  #first = 0;

  /** Position after the last entry. */
  get end(): number {
    return this.#first + this.#entries.length;
  }

  record(node: NodeRecord): void {
    if (this.isRecording) this.#entries.push({ node, before: node.timeline.copy() });
  }

  /** Each node that gained since a position, with its timeline as it was then. */
  since(position: number): ReadonlyMap<NodeRecord, Timeline> {
    if (position >= this.end) return noGains;
    const result = new Map<NodeRecord, Timeline>();
    for (let index = Math.max(0, position - this.#first); index < this.#entries.length; index += 1) {
      const { node, before } = this.#entries[index]!;
      if (!result.has(node)) result.set(node, before);
    }
    return result;
  }

  forgetBefore(position: number): void {
    const gone = Math.min(Math.max(0, position - this.#first), this.#entries.length);
    if (gone === 0) return;
    this.#entries.splice(0, gone);
    this.#first += gone;
  }
}

interface Bar {
  usable: Int32Array;
  free: Float64Array;
  width: number;
  request: readonly number[];
  asked: readonly number[];
  changesSince: (position: number) => Changes;
}

/** What changed since a position of the log. */
interface Changes {
  /** The most that is free of each resource on any of the nodes. */
  roof: readonly number[];
  /** Made for the second reader. */
  sorted: SortedNodes | undefined;
  readers: number;
}

/** Nodes, those with most of the first resource free first, and how much that was when they were sorted. */
interface SortedNodes {
  nodes: number[];
  free: Float64Array;
  /** How often a node was found to have less by now. */
  stale: number;
}

function isBarred(bar: Bar, node: number): boolean {
  if (bar.usable[node] === 0) return true;
  const offset = node * bar.width;
  const { asked, request, free } = bar;
  for (let index = 0; index < asked.length; index += 1) {
    const resource = asked[index]!;
    if (free[offset + resource]! < request[resource]!) return true;
  }
  return false;
}

/**
 * A whole number for each node (pods that fit) and their sum, brought up to date from a change log. With a bar it is an upper
 * bound.
 */
export class FitCache {
  counts: Int32Array = new Int32Array(0);
  total = 0;
  /** Grows with each change of a count. */
  version = 0;
  #epoch = -1;
  #read = 0;
  /** Nodes with a count above 0, in no order, among some that no longer have one. */
  #positive: number[] = [];
  #isListed = new Uint8Array(0);

  /** At most so many changes are unread; Infinity: all nodes must be looked at. */
  unread(log: ChangeLog): number {
    return this.#epoch === log.epoch ? log.entries.length - this.#read : Infinity;
  }

  /**
   * Looks at the nodes that changed since the last time. `bar`, if given, refuses most nodes cheaply: 0 stays for nodes where
   * `usable` is 0, and for those with less than `request` of a resource `asked` in `free`.
   */
  refresh(log: ChangeLog, nodes: readonly NodeRecord[], fit: (node: NodeRecord) => number, bar?: Bar): void {
    const isNew = this.#epoch !== log.epoch || this.counts.length < nodes.length;
    if (this.counts.length < nodes.length) this.counts = new Int32Array(nodes.length);
    const { counts } = this;
    if (isNew) {
      this.#positive = [];
      this.#isListed = new Uint8Array(counts.length);
      let total = 0;
      for (let node = 0; node < nodes.length; node += 1) {
        const count = bar !== undefined && isBarred(bar, node) ? 0 : fit(nodes[node]!);
        counts[node] = count;
        total += count;
        if (count > 0) this.#list(node);
      }
      this.total = total;
      this.version += 1;
      this.#epoch = log.epoch;
    } else if (this.#read < log.entries.length) {
      if (bar === undefined) this.#readAll(log, (node) => fit(nodes[node]!));
      else this.#readBarred(log, nodes, fit, bar);
    }
    this.#read = log.entries.length;
  }

  #readAll(log: ChangeLog, fit: (node: number) => number): void {
    const { entries, last } = log;
    for (let index = this.#read; index < entries.length; index += 1) {
      const node = entries[index]!;
      // A node that changed again later is looked at once.
      if (last[node] !== index) continue;
      const count = fit(node);
      if (count !== this.counts[node]) this.set(node, count);
    }
  }

  #readBarred(log: ChangeLog, nodes: readonly NodeRecord[], fit: (node: NodeRecord) => number, bar: Bar): void {
    const { roof, sorted } = bar.changesSince(this.#read);
    // What the cache says of nodes without room may stay too high.
    for (const resource of bar.asked) if (roof[resource]! < bar.request[resource]!) return;
    if (sorted === undefined) {
      this.#readAll(log, (node) => (isBarred(bar, node) ? 0 : fit(nodes[node]!)));
      return;
    }
    const { free, width } = bar;
    const { nodes: order, free: known } = sorted;
    const least = bar.request[0]!;
    for (let position = 0; position < order.length && known[position]! >= least; position += 1) {
      const node = order[position]!;
      let count = 0;
      if (least > 0 && free[node * width]! < least) sorted.stale += 1;
      else if (!isBarred(bar, node)) count = fit(nodes[node]!);
      if (count !== this.counts[node]) this.set(node, count);
    }
  }

  /**
   * True if what changed since the last time has no room for what is asked: nothing that is known changes, and what changed counts as
   * looked at.
   */
  passOver(table: NodeTable, { asked, request }: { asked: readonly number[]; request: readonly number[] }): boolean {
    const { risen } = table;
    if (this.#epoch !== risen.epoch || this.counts.length < table.nodes.length) return false;
    if (this.#read === risen.entries.length) return true;
    const { roof } = table.changesSince(this.#read);
    for (let index = 0; index < asked.length; index += 1) {
      const resource = asked[index]!;
      if (roof[resource]! >= request[resource]!) continue;
      this.#read = risen.entries.length;
      return true;
    }
    return false;
  }

  /** What changed since the last time has no room: it counts as looked at, what is known of it stays as it was. */
  skip(log: ChangeLog): void {
    if (this.#epoch === log.epoch) this.#read = log.entries.length;
  }

  set(node: number, count: number): void {
    this.version += 1;
    this.total += count - this.counts[node]!;
    this.counts[node] = count;
    if (count > 0 && this.#isListed[node] === 0) this.#list(node);
  }

  #list(node: number): void {
    this.#isListed[node] = 1;
    this.#positive.push(node);
  }

  /** Nodes with a count above 0, in no order; valid until the next refresh. */
  positive(): readonly number[] {
    const nodes = this.#positive;
    let kept = 0;
    for (let index = 0; index < nodes.length; index += 1) {
      const node = nodes[index]!;
      if (this.counts[node]! > 0) {
        nodes[kept] = node;
        kept += 1;
      } else this.#isListed[node] = 0;
    }
    nodes.length = kept;
    return nodes;
  }
}

const licenceInput: NodeInput = { name: "", capacity: [], nodeClass: "", state: "Down" };

/** For each node the first time at which one pod fits for a slot, brought up to date from the change log. */
export class SoonestCache {
  #times = new Float64Array(0);
  #epoch = -1;
  #read = 0;

  /** The earliest of these times, and the nodes that have it, by index. `soonest` is asked of nodes that changed. */
  earliest(
    table: NodeTable,
    now: Time,
    soonest: (node: NodeRecord) => Time,
  ): { time: Time; nodes: readonly NodeRecord[] } {
    const { nodes, changes } = table;
    // What an advance reservation leaves of a node changes with time too: it is asked each time.
    const lasting = (node: NodeRecord): Time => (node.views === undefined ? soonest(node) : NaN);
    if (this.#epoch !== changes.epoch || this.#times.length < nodes.length) {
      this.#times = Float64Array.from(nodes, lasting);
      this.#epoch = changes.epoch;
    } else {
      for (let index = this.#read; index < changes.entries.length; index += 1) {
        const node = changes.entries[index]!;
        if (changes.last[node] === index) this.#times[node] = lasting(nodes[node]!);
      }
    }
    this.#read = changes.entries.length;
    const times = this.#times;
    let best = Infinity;
    let found: NodeRecord[] = [];
    for (let index = 0; index < nodes.length; index += 1) {
      let time = times[index]!;
      // What began to fit earlier may end to do so: windows that lie ahead stay as they are.
      if (!(time >= now)) {
        time = soonest(nodes[index]!);
        if (nodes[index]!.views === undefined) times[index] = time;
      }
      if (time > best || time === Infinity) continue;
      if (time < best) found = [];
      best = time;
      found.push(nodes[index]!);
    }
    return { time: best, nodes: found };
  }
}

/** All nodes, by name and by index. */
export class NodeTable {
  readonly nodes: NodeRecord[] = [];
  readonly byName = new Map<string, NodeRecord>();
  /** Made with the first licence. */
  licences: NodeRecord | undefined = undefined;
  readonly licenceColumns = new Map<string, number>();
  /** Nodes whose timeline changed, and nodes of which more than that changed (capacity, class, state). */
  readonly changes = new ChangeLog();
  /** Of the changes those that may let more pods fit than before: upper bounds need no others. */
  readonly risen = new ChangeLog();
  readonly shapes = new ChangeLog();
  readonly gains = new GainLog();
  readonly width: number;
  readonly #resources: readonly string[];
  readonly #deviceResources: ReadonlySet<number>;
  /** What of each node is free now, by node and resource: the first step of the timelines, close together for quick refusals. */
  freeNow: Float64Array = new Float64Array(0);
  /** Free share of each node now, summed over its resources, by which nodes are packed or spread. */
  score: Float64Array = new Float64Array(0);
  #isStale: Uint8Array = new Uint8Array(0);
  readonly #stale: number[] = [];
  readonly #changesSince = {
    epoch: -1,
    end: -1,
    from: new Map<number, Changes>(),
    /** The one that was asked for last. */
    last: undefined as Changes | undefined,
    lastFrom: -1,
  };

  constructor(resources: readonly string[], deviceResources: ReadonlySet<number>) {
    this.width = resources.length;
    this.#resources = resources;
    this.#deviceResources = deviceResources;
  }

  /** True when something of it changed. `base` is dense; `details`: as they were in the table that is copied. */
  put(
    input: NodeInput,
    state: NodeRecord["state"],
    base: number[],
    now: Time,
    copied?: NodeDetails,
  ): { node: NodeRecord; changed: boolean } {
    const existing = this.byName.get(input.name);
    const before = copied ?? existing?.details;
    const { details, capacity } = detailsOf(input, base, this.#resources, this.#deviceResources, before);
    return this.#put(existing, input, state, capacity, details, now);
  }

  /** All licences, also those that are gone (0). They are columns of a node of their own, on which no pod may run. */
  putLicences(licences: Readonly<Record<string, number>>, now: Time): { node: NodeRecord; changed: boolean } {
    const { licences: known, licenceColumns: columns, width } = this;
    for (const name of Object.keys(licences)) if (!columns.has(name)) columns.set(name, width + columns.size);
    const capacity = Array.from({ length: width }, () => 0);
    for (const name of columns.keys()) capacity.push(licences[name] ?? 0);
    const details = known?.details?.width === capacity.length ? known.details : emptyDetails(capacity.length);
    const put = this.#put(known, licenceInput, "Gone", capacity, details, now);
    this.licences = put.node;
    return put;
  }

  #put(
    existing: NodeRecord | undefined,
    input: NodeInput,
    state: NodeRecord["state"],
    capacity: number[],
    details: NodeDetails | undefined,
    now: Time,
  ): { node: NodeRecord; changed: boolean } {
    if (existing === undefined) {
      const node: NodeRecord = {
        index: this.nodes.length,
        name: input.name,
        input,
        capacity,
        details,
        nodeClass: input.nodeClass,
        state,
        timeline: new Timeline(capacity, now),
        runs: new Set(),
        reserved: new Set(),
        reservation: undefined,
        views: undefined,
      };
      this.nodes.push(node);
      if (input !== licenceInput) this.byName.set(input.name, node);
      this.touchShape(node);
      return { node, changed: true };
    }
    const difference = capacity.map((amount, index) => amount - (existing.capacity[index] ?? 0));
    const same =
      difference.every((amount) => amount === 0) &&
      existing.nodeClass === input.nodeClass &&
      existing.state === state &&
      existing.details === details &&
      (existing.input === input || sameRules(existing.input, input));
    existing.input = input;
    if (same) return { node: existing, changed: false };
    existing.timeline.advance(now);
    if (existing.timeline.width < capacity.length) existing.timeline.widen(capacity.length);
    existing.timeline.add(now, Infinity, difference, 1);
    existing.capacity = capacity;
    existing.details = details;
    existing.nodeClass = input.nodeClass;
    existing.state = state;
    this.touchShape(existing);
    return { node: existing, changed: true };
  }

  /**
   * Gives nodes the views that reservations need; `wanted` in the order by which equal nodes are told apart. The caller makes their
   * timelines; whatever else is known of a node, all its views share.
   */
  arrangeViews(wanted: readonly { node: NodeRecord; reservation: string }[]): void {
    const { nodes } = this;
    const before = new Map<NodeRecord, Map<string, NodeRecord>>();
    const places: number[] = [];
    for (const [index, record] of nodes.entries()) {
      if (record.reservation === undefined) continue;
      places.push(index);
      const base = record.views?.all[0];
      if (base === undefined) continue;
      const known = before.get(base) ?? new Map<string, NodeRecord>();
      before.set(base, known.set(record.reservation, record));
      base.views!.all = [base];
    }
    for (const [position, { node, reservation }] of wanted.entries()) {
      const index = places[position] ?? nodes.length;
      let view = before.get(node)?.get(reservation);
      if (view === undefined) {
        view = { ...node, index, reservation, timeline: new Timeline(node.capacity, node.timeline.times[0]!) };
      } else before.get(node)!.delete(reservation);
      view.index = index;
      nodes[index] = view;
      node.views!.all.push(view);
    }
    for (const known of before.values()) for (const view of known.values()) view.state = "Gone";
    for (const index of places.slice(wanted.length)) nodes[index] = this.#unusedView(nodes[index]!, index);
    this.invalidate();
    for (let index = 0; index < this.#isStale.length; index += 1) this.#isStale[index] = 0;
    this.#stale.length = 0;
    for (const node of nodes) this.#touch(node, false);
  }

  #unusedView(like: NodeRecord, index: number): NodeRecord {
    const timeline = new Timeline(like.capacity, like.timeline.times[0]!);
    const own = { runs: new Set<Run>(), reserved: new Set<JobRecord>(), views: undefined };
    return { ...like, index, state: "Gone", reservation: unused, timeline, ...own };
  }

  /** What a node is, its views are. */
  alignViews(node: NodeRecord): void {
    for (const view of node.views?.all.slice(1) ?? []) {
      const { index, timeline, reservation } = view;
      Object.assign(view, node, { index, timeline, reservation });
    }
  }

  /** The record here that a record of another table, of which this one is a copy, stands for. */
  twin(record: NodeRecord): NodeRecord {
    if (record.input === licenceInput) return this.licences!;
    const node = this.byName.get(record.name)!;
    if (record.reservation === undefined) return node;
    return node.views?.all.find(({ reservation }) => reservation === record.reservation) ?? node;
  }

  /** Brings {@link freeNow} and {@link score} up to date. */
  freshen(now: Time): void {
    const { nodes, width } = this;
    if (this.#isStale.length < nodes.length) {
      const size = Math.max(64, 2 * nodes.length);
      const [free, score, stale] = [new Float64Array(size * width), new Float64Array(size), new Uint8Array(size)];
      free.set(this.freeNow);
      score.set(this.score);
      stale.set(this.#isStale);
      for (let index = this.#isStale.length; index < nodes.length; index += 1) this.#stale.push(index);
      this.freeNow = free;
      this.score = score;
      this.#isStale = stale;
    }
    for (const index of this.#stale) {
      this.#isStale[index] = 0;
      const { timeline, capacity } = nodes[index]!;
      timeline.advance(now);
      let score = 0;
      for (let resource = 0; resource < width; resource += 1) {
        const free = timeline.free[resource]!;
        this.freeNow[index * width + resource] = free;
        if (capacity[resource]! > 0) score += free / capacity[resource]!;
      }
      this.score[index] = score;
    }
    this.#stale.length = 0;
  }

  /** For the readers of the log of changes; most ask for the same position. {@link freeNow} must be fresh. */
  changesSince(position: number): Changes {
    const { width, freeNow } = this;
    const { entries, epoch, last } = this.risen;
    const known = this.#changesSince;
    if (known.end !== entries.length || known.epoch !== epoch) {
      known.epoch = epoch;
      known.end = entries.length;
      known.from.clear();
      known.last = undefined;
    }
    let changes = known.lastFrom === position ? known.last : known.from.get(position);
    if (changes === undefined) {
      const roof = Array.from({ length: width }, () => -Infinity);
      for (let index = position; index < entries.length; index += 1) {
        const offset = entries[index]! * width;
        for (let resource = 0; resource < width; resource += 1) {
          if (freeNow[offset + resource]! > roof[resource]!) roof[resource] = freeNow[offset + resource]!;
        }
      }
      changes = { roof, sorted: undefined, readers: 0 };
      known.from.set(position, changes);
    }
    known.last = changes;
    known.lastFrom = position;
    changes.readers += 1;
    if (changes.readers === 2) {
      const nodes: number[] = [];
      for (let index = position; index < entries.length; index += 1) {
        if (last[entries[index]!] === index) nodes.push(entries[index]!);
      }
      changes.sorted = this.#sorted(nodes);
    } else if (changes.sorted !== undefined && changes.sorted.stale > 4 * changes.sorted.nodes.length) {
      changes.sorted = this.#sorted(changes.sorted.nodes);
    }
    return changes;
  }

  #sorted(nodes: number[]): SortedNodes {
    const { freeNow, width } = this;
    nodes.sort((a, b) => freeNow[b * width]! - freeNow[a * width]! || a - b);
    return { nodes, free: Float64Array.from(nodes, (node) => freeNow[node * width]!), stale: 0 };
  }

  /** Every reader looks at every node again. */
  invalidate(): void {
    for (const log of [this.changes, this.risen, this.shapes]) log.cut();
  }

  /** With all views of the node. `isLoss`: it has less than before, at no time more. */
  touch(node: NodeRecord, isLoss = false): void {
    if (node.views === undefined) this.#touch(node, isLoss);
    else for (const view of node.views.all) this.#touch(view, isLoss);
  }

  #touch(node: NodeRecord, isLoss: boolean): void {
    if (this.#isStale[node.index] === 0) {
      this.#isStale[node.index] = 1;
      this.#stale.push(node.index);
    }
    this.changes.push(node.index, this.nodes.length);
    if (!isLoss) this.risen.push(node.index, this.nodes.length);
  }

  touchShape(node: NodeRecord): void {
    this.#touch(node, false);
    this.shapes.push(node.index, this.nodes.length);
  }
}

/** Whether topology and rules between pods see the same. */
function sameRules(a: NodeInput, b: NodeInput): boolean {
  if (a.domains === b.domains && a.foreignPods === b.foreignPods) return true;
  return JSON.stringify([a.domains, a.foreignPods]) === JSON.stringify([b.domains, b.foreignPods]);
}
