/** What changed of nodes, for readers that look at no more than that. */
import type { NodeRecord } from "./nodes.ts";
import type { Timeline } from "./timeline.ts";

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

/** What changed since a position of the log. */
export interface Changes {
  /** The most that is free of each resource on any of the nodes. */
  roof: readonly number[];
  /** Made for the second reader. */
  sorted: SortedNodes | undefined;
  readers: number;
}

/** Nodes, those with most of the first resource free first, and how much that was when they were sorted. */
export interface SortedNodes {
  nodes: number[];
  free: Float64Array;
  /** How often a node was found to have less by now. */
  stale: number;
}

const noGains: ReadonlyMap<NodeRecord, Timeline> = new Map();

/**
 * What nodes gained (something ended, a reservation moved), with their timelines as they were before: whether a reservation may
 * move to the front is answered from these alone. Recorded only while something is reserved.
 */
export class GainLog {
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
