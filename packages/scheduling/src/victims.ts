/** Which running jobs make room for one that waits: as few as do, and those that lose least. */
import { applyCharges, place, refreshEmpty } from "./place.ts";
import type { NodeRecord } from "./nodes.ts";
import type { Terms } from "./preemption-rules.ts";
import type { Run } from "./records.ts";
import { podsThroughout } from "./shape.ts";
import type { Group, Shape, Variant } from "./shape.ts";
import type { ClusterStore } from "./store.ts";
import type { Time } from "./types.ts";

/** Up to so many candidates, all sets of them are compared. */
const mostExact = 8;
/** Where nodes cannot be looked at one by one, at most so many candidates are. */
const mostTogether = 256;

export interface Candidate {
  run: Run;
  terms: Terms;
  /** Core-seconds of work (in milli-cpu) that it would lose. */
  loss: number;
}

/** Lexicographic: the highest tier among them, what they lose together, how many they are, and which, so that no two are equal. */
interface Cost {
  tier: number;
  loss: number;
  count: number;
}

function costOf(set: readonly Candidate[]): Cost {
  let [tier, loss] = [-Infinity, 0];
  for (const { terms, loss: own } of set) {
    tier = Math.max(tier, terms.tier);
    loss += own;
  }
  return { tier, loss, count: set.length };
}

function compareSets(a: readonly Candidate[], b: readonly Candidate[]): number {
  const [x, y] = [costOf(a), costOf(b)];
  if (x.tier !== y.tier) return x.tier < y.tier ? -1 : 1;
  if (x.loss !== y.loss) return x.loss < y.loss ? -1 : 1;
  if (x.count !== y.count) return x.count - y.count;
  for (const [index, candidate] of a.entries()) {
    const order = compareRuns(candidate.run, b[index]!.run);
    if (order !== 0) return order;
  }
  return 0;
}

function compareRuns(a: Run, b: Run): number {
  return a.job.id - b.job.id || (a.task ?? -1) - (b.task ?? -1);
}

/** What is cheap to lose first. */
function compareCandidates(a: Candidate, b: Candidate): number {
  return a.terms.tier - b.terms.tier || a.loss - b.loss || compareRuns(a.run, b.run);
}

/** The search for one shape in one queue at one time; kept for a pass, so that a job like the last one costs only what changed. */
export class VictimSearch {
  readonly #store: ClusterStore;
  readonly #shape: Shape;
  readonly #variant: Variant;
  /** When the job is to start. */
  readonly #time: Time;
  readonly #exact: number;
  readonly #candidates: readonly Candidate[];
  readonly #onNode = new Map<NodeRecord, Candidate[]>();
  readonly #firstSets = new Map<NodeRecord, { at: number | undefined; set: Candidate[] | undefined; level: number }>();

  /**
   * `candidates`: in any order; those that end by the time anyway are of no use. `exact`: so many of them are compared in all sets,
   * not node by node.
   */
  constructor(
    store: ClusterStore,
    shape: Shape,
    variant: Variant,
    time: Time,
    candidates: readonly Candidate[],
    exact = mostExact,
  ) {
    this.#exact = exact;
    this.#store = store;
    this.#shape = shape;
    this.#variant = variant;
    this.#time = time;
    for (const group of variant.groups) refreshEmpty(store, shape, variant, group);
    const useful: Candidate[] = [];
    for (const candidate of candidates) {
      let isUseful = false;
      for (const { node } of candidate.run.charges) {
        const view = this.#viewOf(node);
        if (view === undefined || !variant.groups.some((group) => (group.empty.counts[view.index] ?? 0) > 0)) continue;
        isUseful = true;
        const there = this.#onNode.get(view);
        if (there === undefined) this.#onNode.set(view, [candidate]);
        else if (there.at(-1) !== candidate) there.push(candidate);
      }
      if (isUseful) useful.push(candidate);
    }
    this.#candidates = useful.sort(compareCandidates);
    for (const there of this.#onNode.values()) there.sort(compareCandidates);
  }

  #viewOf(node: NodeRecord): NodeRecord | undefined {
    const { reservation } = this.#shape.input;
    if (reservation === undefined) return node;
    return node.views?.all.find((view) => view.reservation === reservation);
  }

  /** The victims; undefined: none would do. `isBarred`: those that this job must leave alone. */
  find(isBarred: (candidate: Candidate) => boolean): Candidate[] | undefined {
    const left = this.#candidates.filter((one) => one.run.alive && one.run.preempted === undefined && !isBarred(one));
    if (left.length === 0) return undefined;
    const isPlain = this.#variant.groups.length === 1 && this.#shape.input.licences === undefined;
    const levels = [...new Set(left.map(({ terms }) => terms.tier))].sort((a, b) => a - b);
    for (const level of levels) {
      const pool = left.filter(({ terms }) => terms.tier <= level);
      if (pool.length <= this.#exact) {
        if (this.#fits(pool)) return this.#least(pool);
        continue;
      }
      const some = isPlain ? this.#byNodes(level, isBarred) : undefined;
      if (some !== undefined && this.#fits(some)) return this.#prune(some);
      if (pool.length <= mostTogether && this.#fits(pool)) return this.#prune(pool);
    }
    return undefined;
  }

  /** Whether the whole job finds room when they are gone. Everything is as it was afterwards. */
  #fits(set: readonly Candidate[]): boolean {
    const { table } = this.#store;
    const seconds = this.#shape.slotSeconds;
    for (const { run } of set) applyCharges(table, run.charges, this.#time, run.end, 1);
    const placement = place(this.#store, this.#shape, this.#variant, this.#time, seconds, "Minimum");
    if (placement !== undefined) applyCharges(table, placement.charges, this.#time, this.#time + seconds, 1);
    for (const { run } of set) applyCharges(table, run.charges, this.#time, run.end, -1);
    return placement !== undefined;
  }

  /** The best of all subsets of a pool that would do. */
  #least(pool: readonly Candidate[]): Candidate[] {
    const subsets: { bits: number; set: Candidate[] }[] = [];
    for (let bits = 1; bits < 1 << pool.length; bits += 1) {
      subsets.push({ bits, set: pool.filter((_, index) => (bits >> index) & 1) });
    }
    subsets.sort((a, b) => compareSets(a.set, b.set));
    const vain: number[] = [];
    for (const { bits, set } of subsets) {
      // Less than what does not do, does not do.
      if (vain.some((more) => (bits & more) === bits)) continue;
      if (this.#fits(set)) return set;
      vain.push(bits);
    }
    return pool.slice();
  }

  /** Leaves out what is not needed, what is dearest first; of many, in halves first. */
  #prune(set: readonly Candidate[]): Candidate[] {
    let kept = set.toSorted((a, b) => -compareCandidates(a, b));
    for (let size = kept.length >> 1; size >= 1; size >>= 1) {
      if (size > 1 && kept.length <= 32) continue;
      for (let from = 0; from < kept.length;) {
        const rest = [...kept.slice(0, from), ...kept.slice(from + size)];
        if (rest.length > 0 && rest.length < kept.length && this.#fits(rest)) kept = rest;
        else from += size;
      }
    }
    return kept.length <= this.#exact ? this.#least(kept) : kept;
  }

  /** Node by node: from each what gives one more pod at the least loss, the cheapest of all nodes first. */
  #byNodes(level: number, isBarred: (candidate: Candidate) => boolean): Candidate[] | undefined {
    const group = this.#variant.groups[0]!;
    const { table, now } = this.#store;
    let missing = group.minPods;
    for (const node of table.nodes) {
      if (!group.empty.counts[node.index] || missing <= 0) continue;
      if (missing > 1 || !this.#onNode.has(node)) missing -= this.#pods(node, group, []);
    }
    if (missing <= 0) return [];
    const chosen = new Set<Candidate>();
    const options: { node: NodeRecord; add: Candidate[]; gain: number; price: number }[] = [];
    const offer = (node: NodeRecord): void => {
      const before = [...chosen].filter(({ run }) => run.charges.some((charge) => this.#viewOf(charge.node) === node));
      const isFirst = before.length === 0 && missing === group.minPods;
      const known = isFirst ? this.#firstSets.get(node) : undefined;
      const at = table.changes.last[node.index];
      let add = known?.set;
      if (known === undefined || known.at !== at || known.level !== level || known.set?.some(isBarred)) {
        node.timeline.advance(now);
        const there = this.#onNode
          .get(node)!
          .filter(
            (one) =>
              one.terms.tier <= level &&
              one.run.alive &&
              one.run.preempted === undefined &&
              !chosen.has(one) &&
              !isBarred(one),
          );
        add = this.#oneMore(node, group, before, there);
        if (isFirst) this.#firstSets.set(node, { at, set: add, level });
      }
      if (add === undefined) return;
      const gain = missing === 1 ? 1 : this.#pods(node, group, [...before, ...add]) - this.#pods(node, group, before);
      options.push({ node, add, gain, price: costOf(add).loss / gain });
    };
    for (const node of this.#onNode.keys()) offer(node);
    while (missing > 0) {
      let best: (typeof options)[number] | undefined;
      for (const option of options) {
        if (best === undefined || option.price < best.price) best = option;
        else if (option.price === best.price && compareSets(option.add, best.add) < 0) best = option;
      }
      if (best === undefined) return undefined;
      for (const candidate of best.add) chosen.add(candidate);
      missing -= best.gain;
      if (missing <= 0) break;
      const { node } = best;
      options.splice(options.indexOf(best), 1);
      offer(node);
    }
    return [...chosen];
  }

  /** The cheapest of those on a node that give one more pod there; undefined: all of them do not. */
  #oneMore(
    node: NodeRecord,
    group: Group,
    before: readonly Candidate[],
    there: readonly Candidate[],
  ): Candidate[] | undefined {
    const goal = this.#pods(node, group, before) + 1;
    if (goal > group.perNode || this.#pods(node, group, [...before, ...there]) < goal) return undefined;
    const does = (set: readonly Candidate[]): boolean => this.#pods(node, group, [...before, ...set]) >= goal;
    if (there.length <= mostExact) {
      let best: Candidate[] | undefined;
      for (let bits = 1; bits < 1 << there.length; bits += 1) {
        const set = there.filter((_, index) => (bits >> index) & 1);
        if ((best === undefined || compareSets(set, best) < 0) && does(set)) best = set;
      }
      return best;
    }
    let count = 1;
    while (!does(there.slice(0, count))) count += 1;
    let kept = there.slice(0, count);
    for (let index = kept.length - 2; index >= 0; index -= 1) {
      const rest = kept.toSpliced(index, 1);
      if (does(rest)) kept = rest;
    }
    // One alone may be cheaper than several.
    for (const candidate of there) if (compareSets([candidate], kept) < 0 && does([candidate])) return [candidate];
    return kept;
  }

  /** Pods of the group on a node throughout the slot once these are gone. */
  #pods(node: NodeRecord, group: Group, gone: readonly Candidate[]): number {
    if (node.views !== undefined && this.#store.advance.isClosed(node, this.#shape.slotSeconds)) return 0;
    let on = node;
    if (gone.length > 0) {
      const timeline = node.timeline.copy();
      for (const { run } of gone) {
        for (const charge of run.charges) {
          if (this.#viewOf(charge.node) === node) timeline.add(this.#time, run.end, charge.amounts, 1);
        }
      }
      on = { ...node, timeline };
    }
    return podsThroughout(on, group, this.#time, this.#shape.slotSeconds);
  }
}
