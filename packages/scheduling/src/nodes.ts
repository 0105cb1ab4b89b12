import type { ReservationEntry } from "./advance-reservations.ts";
import { ChangeLog, GainLog } from "./change-log.ts";
import type { Changes, SortedNodes } from "./change-log.ts";
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

/** Nodes that are equal to whoever does not ask for one by name, as long as they are empty. */
export interface NodeKind {
  readonly key: string;
  nodes: number;
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
  kind: NodeKind;
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

const licenceInput: NodeInput = { name: "", capacity: [], nodeClass: "", state: "Down" };

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
  readonly #kinds = new Map<string, NodeKind>();
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
        kind: this.#kindOf({ nodeClass: input.nodeClass, capacity, details, state }),
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
    const { kind } = existing;
    kind.nodes -= 1;
    if (kind.nodes === 0) this.#kinds.delete(kind.key);
    existing.kind = this.#kindOf(existing);
    this.touchShape(existing);
    return { node: existing, changed: true };
  }

  /** The kind of a node that joins it. */
  #kindOf({
    nodeClass,
    capacity,
    details,
    state,
  }: Pick<NodeRecord, "nodeClass" | "capacity" | "details" | "state">): NodeKind {
    const key = JSON.stringify([nodeClass, state, capacity, details]);
    let kind = this.#kinds.get(key);
    if (kind === undefined) this.#kinds.set(key, (kind = { key, nodes: 0 }));
    kind.nodes += 1;
    return kind;
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
