/** What shapes know of every node, brought up to date from the logs of changes. */
import type { ChangeLog, Changes } from "./change-log.ts";
import type { NodeRecord, NodeTable } from "./nodes.ts";
import type { Time } from "./types.ts";

interface Bar {
  usable: Int32Array;
  free: Float64Array;
  width: number;
  request: readonly number[];
  asked: readonly number[];
  changesSince: (position: number) => Changes;
}

function isBarred(bar: Bar, node: number): boolean {
  // What is free is the same for all shapes, and at hand.
  return lacks(bar.free, node * bar.width, bar) || bar.usable[node] === 0;
}

/** Whether a free vector has less than one pod asks for. */
export function lacks(
  free: Float64Array,
  offset: number,
  { asked, request }: { asked: readonly number[]; request: readonly number[] },
): boolean {
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
  /** Nodes with a count above 0, in no order, among some that no longer have one; undefined: nobody asked. */
  #positive: number[] | undefined;
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
      this.#positive = undefined;
      let total = 0;
      for (let node = 0; node < nodes.length; node += 1) {
        const count = bar !== undefined && isBarred(bar, node) ? 0 : fit(nodes[node]!);
        counts[node] = count;
        total += count;
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
    if (count === 0 || this.#positive === undefined || this.#isListed[node] === 1) return;
    this.#isListed[node] = 1;
    this.#positive.push(node);
  }

  /** Nodes with a count above 0, in no order; valid until the next refresh. */
  positive(): readonly number[] {
    if (this.#positive === undefined) {
      this.#positive = [];
      this.#isListed = new Uint8Array(this.counts.length);
      for (const [node, count] of this.counts.entries()) {
        if (count === 0) continue;
        this.#isListed[node] = 1;
        this.#positive.push(node);
      }
      return this.#positive;
    }
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
      if (this.#times.length < nodes.length) this.#times = new Float64Array(nodes.length);
      for (let index = 0; index < nodes.length; index += 1) this.#times[index] = lasting(nodes[index]!);
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
