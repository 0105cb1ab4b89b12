/** Which running jobs make room for one that waits: as few as do, and those that lose least. */
import { compareCandidates, compareSets, costOf, freesOf, isCheaper } from "./candidates.ts";
import type { Candidate, CandidateSet } from "./candidates.ts";
import { Heap } from "./heap.ts";
import { applyCharges } from "./charges.ts";
import { carefully, mayClaim, standingClaims } from "./keep-rules.ts";
import { place } from "./place.ts";
import type { Planned } from "./pod-rules.ts";
import { refreshEmpty } from "./room.ts";
import { viewFor } from "./nodes.ts";
import type { NodeRecord } from "./nodes.ts";
import type { Placement, Run } from "./records.ts";
import { isRuled } from "./rule-views.ts";
import { poolsByNode } from "./ruled-victims.ts";
import { podsThroughout } from "./shape.ts";
import type { Group, Shape, Variant } from "./shape.ts";
import type { ClusterStore } from "./store.ts";
import type { Time } from "./types.ts";

/** Up to so many candidates, all sets of them are compared. */
const mostExact = 8;
/** Where nodes cannot be looked at one by one, at most so many candidates are. */
const mostTogether = 256;

/** What a node would give for how much, at least or exactly. */
interface Offer {
  node: NodeRecord;
  /** Undefined: not worked out yet, the rest is a lower bound. */
  add: Candidate[] | undefined;
  gain: number;
  /** Loss for each pod gained. */
  price: number;
  count: number;
}

function isBetter(a: Offer, b: Offer): boolean {
  return a.price !== b.price
    ? a.price < b.price
    : a.count !== b.count
      ? a.count < b.count
      : a.node.index < b.node.index;
}

/** The search for one shape in one queue at one time; kept for a pass, so that a job like the last one costs only what changed. */
export class VictimSearch {
  readonly #store: ClusterStore;
  readonly #shape: Shape;
  readonly #variant: Variant;
  /** When the job is to start. */
  readonly time: Time;
  readonly #exact: number;
  readonly #set: CandidateSet;
  /** Claims that count on pods which are there, at the last search. */
  #standing: readonly Planned[] = [];
  /** The first offer of each node, and how far the log of changes had come. */
  readonly #first = new Map<
    NodeRecord,
    { at: number | undefined; level: number; offer: Offer | undefined; most: number }
  >();

  /** `exact`: so many candidates are compared in all sets, not node by node. */
  constructor(store: ClusterStore, shape: Shape, variant: Variant, time: Time, set: CandidateSet, exact = mostExact) {
    this.#exact = exact;
    this.#store = store;
    this.#shape = shape;
    this.#variant = variant;
    this.time = time;
    this.#set = set;
    for (const group of variant.groups) refreshEmpty(store, shape, variant, group);
  }

  #isUseful({ run }: Candidate): boolean {
    return run.charges.some(({ node }) => {
      const index = viewFor(node, this.#shape.input.reservation)?.index ?? -1;
      return this.#variant.groups.some((group) => (group.empty.counts[index] ?? 0) > 0);
    });
  }

  /** The victims; undefined: none would do. `isBarred`: those that this job must leave alone. */
  find(isBarred: (candidate: Candidate) => boolean): Candidate[] | undefined {
    const { all, levels } = this.#set;
    const { claims, pods } = this.#store;
    // One that stands still ends later: others may have counted on its end.
    const isCounted = claims.values().some(({ job }) => job.class.shape.concernsPods);
    const mayGo = (one: Candidate): boolean =>
      one.run.alive &&
      one.run.preempted === undefined &&
      !isBarred(one) &&
      !(isCounted && one.frees !== undefined && pods.setsOf(one.run).length > 0);
    this.#standing = standingClaims(this.#store);
    if (isRuled(this.#store, this.#shape)) return this.#findRuled(mayGo);
    const isPlain = this.#variant.groups.length === 1 && this.#shape.input.licences === undefined;
    const few = all.length > 4 * mostTogether ? undefined : all.filter((one) => mayGo(one) && this.#isUseful(one));
    for (const level of levels) {
      const pool = few?.filter(({ terms }) => terms.tier <= level);
      if (pool !== undefined && pool.length <= this.#exact) {
        if (pool.length > 0 && this.#fits(pool)) return this.#least(pool) ?? pool;
        continue;
      }
      const found = isPlain ? this.#byNodes(level, mayGo) : undefined;
      if (found !== undefined && this.#fits(found.set)) return found.isLeast ? found.set : this.#prune(found.set);
      if (pool !== undefined && pool.length <= mostTogether && this.#fits(pool)) return this.#prune(pool);
    }
    return undefined;
  }

  /**
   * Rules may want that somebody stays, or that somebody leaves who is elsewhere: all sets of few candidates; of many, for a lone pod who is
   * in its way on each node, otherwise the nodes that lose least or all together.
   */
  #findRuled(mayGo: (candidate: Candidate) => boolean): Candidate[] | undefined {
    const { all, levels } = this.#set;
    const { pods } = this.#store;
    const isMet = ({ run, frees }: Candidate): boolean => frees === undefined && pods.setsOf(run).length > 0;
    const useful = all.filter((one) => mayGo(one) && (isMet(one) || this.#isUseful(one)));
    for (const level of levels) {
      const pool = useful.filter(({ terms }) => terms.tier <= level);
      if (pool.length === 0 || !this.#hasRoom(pool)) continue;
      const found = pool.length <= this.#exact ? this.#least(pool, true) : this.#amongMany(pool, level, mayGo);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #amongMany(
    pool: readonly Candidate[],
    level: number,
    mayGo: (candidate: Candidate) => boolean,
  ): Candidate[] | undefined {
    const { groups } = this.#variant;
    const group = groups[0]!;
    const isSimple = groups.length === 1 && this.#shape.input.licences === undefined;
    if (isSimple && group.pods === 1) {
      const pools = poolsByNode(this.#store, group, pool, (node, gone) => this.#pods(node, group, gone) > 0);
      const found = pools.flatMap((set) => (this.#fits(set) ? [this.#prune(set, true)] : []));
      if (found.length > 0) return found.reduce((best, next) => (compareSets(next, best) < 0 ? next : best));
    } else if (isSimple) {
      const { set = [] } = this.#byNodes(level, mayGo) ?? {};
      if (set.length > 0 && this.#fits(set)) return this.#prune(set, true);
    }
    return pool.length <= mostTogether && this.#fits(pool) ? this.#prune(pool, true) : undefined;
  }

  /** Whether there is room when they are gone, whatever the rules. */
  #hasRoom(set: readonly Candidate[]): boolean {
    const { pods } = this.#store;
    this.#apply(set, 1);
    pods.areIgnored = true;
    const placement = this.#place(this.time);
    pods.areIgnored = false;
    this.#apply(set, -1);
    return placement !== undefined;
  }

  /** Whether the whole job finds room when they are gone. Everything is as it was afterwards. */
  #fits(set: readonly Candidate[]): boolean {
    this.#apply(set, 1);
    const placement = this.placeAt(this.time, set);
    this.#apply(set, -1);
    return placement !== undefined;
  }

  #apply(set: readonly Candidate[], sign: 1 | -1): void {
    for (const candidate of set) {
      const { charges, from } = freesOf(candidate, this.time);
      applyCharges(this.#store.table, charges, from, candidate.run.end, sign);
    }
  }

  /** Where the job would be, when these leave too; nothing is taken. Nobody counts on pods that are only planned, or about to leave. */
  placeAt(start: Time, leaving: readonly Candidate[] = []): Placement | undefined {
    if (!this.#shape.concernsPods && this.#standing.length === 0) return this.#place(start);
    // Who only stands still stays where it is.
    const [gone, still] = [new Set<Run>(), new Set<Run>()];
    for (const { run, frees } of leaving) (frees === undefined ? gone : still).add(run);
    return carefully(this.#store, { gone, still, from: start }, () => {
      const found = this.#place(start);
      if (found === undefined) return undefined;
      const slot = { nodes: found.nodes, start, end: start + this.#shape.slotSeconds };
      return mayClaim(this.#store, this.#shape, slot, this.#standing) ? found : undefined;
    });
  }

  #place(start: Time): Placement | undefined {
    const seconds = this.#shape.slotSeconds;
    const placement = place(this.#store, this.#shape, this.#variant, start, seconds, "Minimum");
    if (placement !== undefined) applyCharges(this.#store.table, placement.charges, start, start + seconds, 1);
    return placement;
  }

  /** The best of all subsets of a pool that would do. */
  #least(pool: readonly Candidate[], isRuled = false): Candidate[] | undefined {
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
      // Rules may want that somebody stays: then more may do where less does not.
      if (!isRuled || !this.#hasRoom(set)) vain.push(bits);
    }
    return undefined;
  }

  /** Leaves out what is not needed, what is dearest first; of many, in halves first. */
  #prune(set: readonly Candidate[], isRuled = false): Candidate[] {
    let kept = set.toSorted((a, b) => -compareCandidates(a, b));
    for (let size = kept.length >> 1; size >= 1; size >>= 1) {
      if (size > 1 && kept.length <= 32) continue;
      const before = kept.length;
      for (let from = 0; from < kept.length;) {
        const rest = [...kept.slice(0, from), ...kept.slice(from + size)];
        if (rest.length > 0 && rest.length < kept.length && this.#fits(rest)) kept = rest;
        else from += size;
      }
      // Who was needed beside others may not be without them.
      if (isRuled && size === 1 && kept.length < before) size = 2;
    }
    return kept.length <= this.#exact ? (this.#least(kept, isRuled) ?? kept) : kept;
  }

  /**
   * Node by node: from each what gives one more pod at the least loss, the cheapest of all nodes first. `isLeast`: none of them is
   * superfluous.
   */
  #byNodes(
    level: number,
    mayGo: (candidate: Candidate) => boolean,
  ): { set: Candidate[]; isLeast: boolean } | undefined {
    const group = this.#variant.groups[0]!;
    let missing = group.minPods;
    const offers: Offer[] = [];
    let most = 0;
    for (const node of this.#store.table.nodes) {
      if (!group.empty.counts[node.index]) continue;
      const home = node.views?.all[0] ?? node;
      if (!this.#set.onNode.has(home)) {
        if (group.minPods > 1) missing -= this.#pods(node, group, []);
        continue;
      }
      const first = this.#firstOffer(node, home, level, mayGo);
      if (group.minPods > 1) missing -= this.#pods(node, group, []);
      most += first.most;
      if (first.offer !== undefined) offers.push(first.offer);
    }
    if (missing <= 0) return { set: [], isLeast: true };
    if (most < missing) return undefined;
    const chosen = new Set<Candidate>();
    const heap = new Heap<Offer>(isBetter, offers);
    const used = new Map<NodeRecord, number>();
    while (missing > 0) {
      const offer = heap.pop();
      if (offer === undefined) return undefined;
      const { node } = offer;
      if (offer.add === undefined || offer.add.some((one) => chosen.has(one))) {
        const next = this.#nextOffer(node, level, mayGo, chosen);
        if (used.size === 0) this.#first.get(node)!.offer = next;
        if (next !== undefined) heap.push(next);
        continue;
      }
      for (const candidate of offer.add) chosen.add(candidate);
      missing -= offer.gain;
      used.set(node, (used.get(node) ?? 0) + 1);
      if (missing <= 0) break;
      const next = this.#nextOffer(node, level, mayGo, chosen);
      if (next !== undefined) heap.push(next);
    }
    const isSimple =
      [...chosen].every(({ run }) => run.charges.length === 1) && this.#shape.input.topology === undefined;
    const isLeast = isSimple && missing === 0 && [...used.values()].every((times) => times === 1);
    return { set: [...chosen], isLeast };
  }

  /** A lower bound, as long as nobody asked for more, and the most pods that the node could give. */
  #firstOffer(
    node: NodeRecord,
    home: NodeRecord,
    level: number,
    mayGo: (candidate: Candidate) => boolean,
  ): { offer: Offer | undefined; most: number } {
    const at = this.#store.table.changes.last[node.index];
    const known = this.#first.get(node);
    if (known !== undefined && known.at === at && known.level === level) {
      if (known.offer?.add === undefined || known.offer.add.every(mayGo)) return known;
    }
    const group = this.#variant.groups[0]!;
    const { slotSeconds } = this.#shape;
    node.timeline.advance(this.#store.now);
    const least = node.timeline.leastFree(this.time, this.time + slotSeconds);
    const wanted = group.exclusive ? node.capacity : group.request;
    const sum = least.slice();
    let [ratio, count, any] = [0, 1, false];
    const lacking: number[] = [];
    for (const [column, amount] of wanted.entries()) if (amount > least[column]!) lacking.push(column);
    const cheapest = lacking.map(() => Infinity);
    const largest = lacking.map(() => 0);
    for (const candidate of this.#set.onNode.get(home)!) {
      if (candidate.terms.tier > level || !mayGo(candidate)) continue;
      any = true;
      for (const charge of freesOf(candidate, this.time).charges) {
        if (charge.node !== home) continue;
        for (const [column, amount] of charge.amounts.entries()) sum[column]! += amount;
        for (const [index, column] of lacking.entries()) {
          const amount = charge.amounts[column] ?? 0;
          if (amount <= 0) continue;
          cheapest[index] = Math.min(cheapest[index]!, candidate.loss / amount);
          largest[index] = Math.max(largest[index]!, amount);
        }
      }
    }
    let most = any ? group.perNode : 0;
    for (const [column, amount] of wanted.entries()) {
      if (amount > 0) most = Math.min(most, Math.max(0, Math.floor(sum[column]! / amount)));
    }
    if (group.exclusive && most > 0) most = group.perNode;
    for (const [index, column] of lacking.entries()) {
      const lack = wanted[column]! - least[column]!;
      ratio = Math.max(ratio, largest[index]! > 0 ? lack * cheapest[index]! : 0);
      count = Math.max(count, largest[index]! > 0 ? Math.ceil(lack / largest[index]!) : 1);
    }
    const offer: Offer | undefined =
      most === 0 ? undefined : { node, add: undefined, gain: 1, price: ratio / Math.max(1, most), count };
    const first = { at, level, offer, most };
    this.#first.set(node, first);
    return first;
  }

  /** What it really takes to gain another pod on a node, beside what is chosen already. */
  #nextOffer(
    node: NodeRecord,
    level: number,
    mayGo: (candidate: Candidate) => boolean,
    chosen: ReadonlySet<Candidate>,
  ): Offer | undefined {
    const group = this.#variant.groups[0]!;
    const here = this.#set.onNode.get(node.views?.all[0] ?? node)!;
    const before = here.filter((one) => chosen.has(one));
    const there = here.filter((one) => one.terms.tier <= level && !chosen.has(one) && mayGo(one));
    const add = this.#oneMore(node, group, before, there);
    if (add === undefined) return undefined;
    const had = this.#pods(node, group, before);
    const gain = group.minPods === 1 ? 1 : this.#pods(node, group, [...before, ...add]) - had;
    const { loss, count } = costOf(add);
    return { node, add, gain, price: loss / gain, count };
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
        if ((best === undefined || isCheaper(set, best)) && does(set)) best = set;
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
    for (const candidate of there) if (isCheaper([candidate], kept) && does([candidate])) return [candidate];
    return kept;
  }

  /** Pods of the group on a node throughout the slot once these are gone. */
  #pods(node: NodeRecord, group: Group, gone: readonly Candidate[]): number {
    if (node.views !== undefined && this.#store.advance.isClosed(node, this.#shape.slotSeconds)) return 0;
    let on = node;
    if (gone.length > 0) {
      const timeline = node.timeline.copy();
      for (const candidate of gone) {
        const { charges, from } = freesOf(candidate, this.time);
        for (const charge of charges) {
          if (viewFor(charge.node, this.#shape.input.reservation) === node)
            timeline.add(from, candidate.run.end, charge.amounts, 1);
        }
      }
      on = { ...node, timeline };
    }
    return podsThroughout(on, group, this.time, this.#shape.slotSeconds);
  }
}
