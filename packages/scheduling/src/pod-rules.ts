/**
 * Rules between pods, by the rules of Kubernetes: affinity and spread look at the moment at which a pod starts, anti-affinity
 * keeps pods of two kinds apart for as long as both are there, whichever came first. So that what is reserved can start, pods
 * that keep each other off never share a domain at any time of their slots.
 */
import type { NodeRecord, NodeTable } from "./nodes.ts";
import type { PodRulesInput, PodTerm, SpreadInput } from "./placement-types.ts";
import type { JobRecord, Run } from "./records.ts";
import { soonestEnd } from "./suspensions.ts";
import type { Pick as NodePick, Topology } from "./topology.ts";
import type { PodSetInput, Time } from "./types.ts";

interface SetOfPods {
  podClass?: string;
  rules?: PodRulesInput;
}

/** Pods of one set somewhere, for a time. */
export interface Occupant {
  set: SetOfPods;
  nodes: readonly NodeRecord[];
  start: Time;
  end: Time;
  /** It may as well not be there at that time: rules must hold with it and without it. */
  maybe?: true;
}

/** Where pods of a job are to be: a reservation, or a place that others are leaving. */
export interface Planned {
  job: JobRecord;
  nodes: readonly (readonly NodeRecord[])[];
  start: Time;
  end: Time;
}

/** Runs that would make room: those that are gone for certain from a time on, and those that stand still where they are. */
export interface Leaving {
  gone: ReadonlySet<Run>;
  still: ReadonlySet<Run>;
  from: Time;
}

/** Whether others' rules may mean any of these pods, or they have rules. */
export function concernsPods(podSets: readonly PodSetInput[]): boolean {
  return podSets.some(({ podClass, rules }) => podClass !== undefined || rules !== undefined);
}

/** Whether pods want others to be there. */
export function wantsPods(podSets: readonly PodSetInput[]): boolean {
  return podSets.some(({ rules }) => (rules?.affinity?.length ?? 0) > 0);
}

/** Whether where pods may start is a question of who is there; anti-affinity alone asks for nobody to be there. */
export function countsOnPods(podSets: readonly PodSetInput[]): boolean {
  return wantsPods(podSets) || podSets.some(({ rules }) => rules?.spread?.some(({ required }) => required) === true);
}

function keepsOff(podSets: readonly PodSetInput[]): boolean {
  return podSets.some(({ rules }) => (rules?.antiAffinity?.length ?? 0) > 0);
}

/** Runs that rules can mean; few or none where nobody uses them. */
export class PodIndex {
  /** With their pod sets as they were at the start. */
  readonly #runs = new Map<Run, readonly PodSetInput[]>();
  /** Set while it is looked for room that others would leave: nobody counts on what is only planned, or about to leave. */
  leaving: Leaving | undefined;
  /** While it is asked what there would be room for without any rules. */
  areIgnored = false;
  /** Runs with anti-affinity. */
  #keepers = 0;
  #foreignNodes: NodeRecord[] = [];
  #foreignKeepers = 0;
  #epoch = -1;
  #read = 0;

  add(run: Run): void {
    const { podSets } = run.job.input;
    if (!concernsPods(podSets)) return;
    this.#runs.set(run, podSets);
    if (keepsOff(podSets)) this.#keepers += 1;
  }

  remove(run: Run): void {
    const podSets = this.#runs.get(run);
    if (podSets === undefined) return;
    this.#runs.delete(run);
    if (keepsOff(podSets)) this.#keepers -= 1;
  }

  /** Whether pods that have no rules can be kept off by others. */
  hasKeepers(table: NodeTable, reserved: Iterable<JobRecord>, claims: Iterable<Planned>): boolean {
    this.#refresh(table);
    if (this.#keepers > 0 || this.#foreignKeepers > 0) return true;
    for (const job of reserved) if (keepsOff(job.input.podSets)) return true;
    for (const { job } of claims) if (keepsOff(job.input.podSets)) return true;
    return false;
  }

  /**
   * All pods that rules can mean and that are there at some time of `[start, end)`. What is planned for now is there only once it
   * has begun: somebody may come before it, or it may not begin.
   */
  *occupants(
    { table, now }: { table: NodeTable; now: Time },
    planned: Iterable<Planned>,
    start: Time,
    end: Time,
  ): IterableIterator<Occupant> {
    this.#refresh(table);
    const { leaving } = this;
    for (const [run, podSets] of this.#runs) {
      if (run.start >= end) continue;
      if (leaving !== undefined && (run.suspended !== undefined || leaving.still.has(run))) {
        // When one that stands still goes on is not settled: only that it does not end before it has had its time.
        const soonest = soonestEnd(run, now);
        yield* bySet(podSets, { nodes: run.nodes, start: run.start, end: soonest }, false);
        yield* bySet(podSets, { nodes: run.nodes, start: soonest, end: Infinity }, true);
        continue;
      }
      if (run.end <= start) continue;
      const leaves = leaving?.gone.has(run) === true;
      if (leaves && leaving.from <= start) continue;
      yield* bySet(podSets, run, leaves || (leaving !== undefined && run.preempted !== undefined));
    }
    for (const one of planned) {
      if (!one.job.class.shape.concernsPods || one.end <= start || one.start >= end) continue;
      const slot = { nodes: one.nodes, start: Math.max(one.start, now + 1), end: one.end };
      yield* bySet(one.job.input.podSets, slot, leaving !== undefined);
    }
    yield* this.foreign(table);
  }

  /** Pod sets of a run, if rules can mean any of them. */
  setsOf(run: Run): readonly PodSetInput[] {
    return this.#runs.get(run) ?? [];
  }

  /** Pods of others, which are there for ever as far as the core knows. */
  *foreign(table: NodeTable): IterableIterator<Occupant> {
    this.#refresh(table);
    for (const node of this.#foreignNodes) {
      for (const { podClass, count, antiAffinity } of node.input.foreignPods!) {
        const nodes = Array.from({ length: count }, () => node);
        yield { set: { podClass, rules: { antiAffinity } }, nodes, start: -Infinity, end: Infinity };
      }
    }
  }

  #refresh({ nodes, shapes }: NodeTable): void {
    if (this.#epoch === shapes.epoch && this.#read === shapes.entries.length) return;
    this.#epoch = shapes.epoch;
    this.#read = shapes.entries.length;
    this.#foreignNodes = nodes.filter(
      ({ state, input, reservation }) =>
        state !== "Gone" && reservation === undefined && (input.foreignPods?.length ?? 0) > 0,
    );
    this.#foreignKeepers = this.#foreignNodes.filter(({ input }) =>
      input.foreignPods!.some(({ antiAffinity }) => (antiAffinity?.length ?? 0) > 0),
    ).length;
  }
}

function* bySet(
  podSets: readonly PodSetInput[],
  { nodes, start, end }: Pick<Planned, "nodes" | "start" | "end">,
  isMaybe: boolean,
): IterableIterator<Occupant> {
  for (const [index, set] of podSets.entries()) {
    if (set.podClass === undefined && set.rules === undefined) continue;
    yield { set, nodes: nodes[index] ?? [], start, end, ...(isMaybe ? { maybe: true } : {}) };
  }
}

export interface RuleContext {
  readonly table: NodeTable;
  readonly topology: Topology;
  matches: (selector: string, nodeClass: string) => boolean;
}

/** The keys of domains in which pods of two sets are kept apart, by either's anti-affinity. */
export function keysApart(context: Pick<RuleContext, "matches">, a: SetOfPods, b: SetOfPods): string[] {
  const means = ({ pods }: PodTerm, { podClass }: SetOfPods): boolean =>
    podClass !== undefined && context.matches(pods, podClass);
  const ofA = (a.rules?.antiAffinity ?? []).filter((term) => means(term, b));
  const ofB = (b.rules?.antiAffinity ?? []).filter((term) => means(term, a));
  return [...ofA, ...ofB].map(({ key }) => key);
}

interface Spread {
  input: SpreadInput;
  /** Pods by domain, of the domains that count. */
  counts: Map<number, number>;
  /** Those among them that may as well not be there. */
  maybe: Map<number, number>;
  isSelf: boolean;
}

/** What the rules say of one set of pods that is to start at a time, pod by pod. */
export class RuleView {
  readonly #context: RuleContext;
  readonly #set: SetOfPods;
  /** Domains that are closed, by key. */
  readonly #closed = new Map<string, Set<number>>();
  /** Domains in which each affinity term holds. */
  readonly #affine: { term: PodTerm; domains: Set<number>; isSelf: boolean; isMaybe: boolean }[];
  /** Where no pod of them is anywhere, and all means themselves, the first pod may go anywhere. */
  #isFirst: boolean;
  readonly #spreads: Spread[];
  readonly #preferred: { key: string; weight: number; counts: Map<number, number>; isSelf: boolean }[];

  constructor(context: RuleContext, set: SetOfPods, occupants: Iterable<Occupant>, start: Time) {
    this.#context = context;
    this.#set = set;
    const rules: PodRulesInput = set.rules ?? {};
    this.#affine = (rules.affinity ?? []).map((term) => {
      return { term, domains: new Set<number>(), isSelf: this.#means(term, set), isMaybe: false };
    });
    this.#spreads = (rules.spread ?? []).map((input) => {
      const counts = this.#countedDomains(input, rules);
      return { input, counts, maybe: new Map<number, number>(), isSelf: this.#means(input, set) };
    });
    this.#preferred = (rules.preferredPods ?? []).map((term) => {
      return { key: term.key, weight: term.weight, counts: new Map<number, number>(), isSelf: this.#means(term, set) };
    });
    for (const occupant of occupants) this.#see(occupant, start);
    this.#isFirst = this.#affine.every(({ domains, isSelf, isMaybe }) => isSelf && !isMaybe && domains.size === 0);
  }

  /** No pod that the affinity needs is anywhere, nor can its own pods be the first. */
  get lacksPods(): boolean {
    return !this.#isFirst && this.#affine.some(({ domains }) => domains.size === 0);
  }

  #means(term: PodTerm, { podClass }: SetOfPods): boolean {
    return podClass !== undefined && this.#context.matches(term.pods, podClass);
  }

  #domain(key: string, node: NodeRecord): number {
    return this.#context.topology.domainsOfKey(key).of[node.index]!;
  }

  #close(key: string, node: NodeRecord): void {
    const domain = this.#domain(key, node);
    if (domain < 0) return;
    let closed = this.#closed.get(key);
    if (closed === undefined) this.#closed.set(key, (closed = new Set()));
    closed.add(domain);
  }

  #see({ set, nodes, start, end, maybe }: Occupant, at: Time): void {
    for (const term of this.#set.rules?.antiAffinity ?? []) {
      if (this.#means(term, set)) for (const node of nodes) this.#close(term.key, node);
    }
    for (const term of set.rules?.antiAffinity ?? []) {
      if (this.#means(term, this.#set)) for (const node of nodes) this.#close(term.key, node);
    }
    if (start > at || end <= at) return;
    for (const affine of this.#affine) {
      const { key } = affine.term;
      if (!this.#means(affine.term, set) || !nodes.some((node) => this.#domain(key, node) >= 0)) continue;
      if (maybe === true) affine.isMaybe = true;
      else for (const node of nodes) if (this.#domain(key, node) >= 0) affine.domains.add(this.#domain(key, node));
    }
    for (const spread of this.#spreads) {
      if (!this.#means(spread.input, set)) continue;
      for (const node of nodes) {
        this.#count(spread.counts, spread.input.key, node, true);
        if (maybe === true) this.#count(spread.maybe, spread.input.key, node, false);
      }
    }
    for (const [index, term] of (this.#set.rules?.preferredPods ?? []).entries()) {
      if (!this.#means(term, set)) continue;
      for (const node of nodes) this.#count(this.#preferred[index]!.counts, term.key, node, false);
    }
  }

  #count(counts: Map<number, number>, key: string, node: NodeRecord, onlyKnown: boolean): void {
    const domain = this.#domain(key, node);
    if (domain < 0 || (onlyKnown && !counts.has(domain))) return;
    counts.set(domain, (counts.get(domain) ?? 0) + 1);
  }

  #countedDomains(input: SpreadInput, rules: PodRulesInput): Map<number, number> {
    const counts = new Map<number, number>();
    for (const node of this.#context.table.nodes) {
      if (node.state === "Gone") continue;
      if (input.nodes !== undefined && !this.#context.matches(input.nodes, node.nodeClass)) continue;
      // A node that lacks one of the keys counts for none.
      if (rules.spread!.some(({ required, key }) => required === input.required && this.#domain(key, node) < 0))
        continue;
      counts.set(this.#domain(input.key, node), 0);
    }
    return counts;
  }

  /** Whether one more pod may go there. */
  allows(node: NodeRecord): boolean {
    for (const [key, closed] of this.#closed) if (closed.has(this.#domain(key, node))) return false;
    for (const { term, domains } of this.#affine) {
      const domain = this.#domain(term.key, node);
      if (domain < 0 || (!this.#isFirst && !domains.has(domain))) return false;
    }
    for (const { input, counts, maybe, isSelf } of this.#spreads) {
      if (!input.required) continue;
      const domain = this.#domain(input.key, node);
      const count = counts.get(domain);
      if (count === undefined) return false;
      if (count + (isSelf ? 1 : 0) - least(input, counts, maybe) > input.maxSkew) return false;
    }
    return true;
  }

  /** A pod goes there. */
  take(node: NodeRecord): void {
    this.#see({ set: this.#set, nodes: [node], start: -Infinity, end: Infinity }, 0);
    if (this.#affine.length > 0) this.#isFirst = false;
  }

  /** By which nodes are preferred: required spread first, then weights, then spread that is only wished for; smaller is better. */
  rank(node: NodeRecord): [number, number, number] {
    let spread = 0;
    let wished = 0;
    for (const { input, counts } of this.#spreads) {
      const count = counts.get(this.#domain(input.key, node)) ?? 0;
      if (input.required) spread += count;
      else wished += count;
    }
    let weight = 0;
    for (const { selector, weight: value } of this.#set.rules?.preferredNodes ?? []) {
      if (this.#context.matches(selector, node.nodeClass)) weight += value;
    }
    for (const { key, weight: value, counts } of this.#preferred)
      weight += value * (counts.get(this.#domain(key, node)) ?? 0);
    return [spread, -weight, wished];
  }

  /** Domains among which the first pod of a gang that wants to be together chooses: by the first affinity term. */
  firstDomains(options: readonly NodePick[]): number[] | undefined {
    if (!this.#isFirst || this.#affine.length === 0) return undefined;
    const { key } = this.#affine[0]!.term;
    const room = new Map<number, number>();
    for (const [node, pods] of options) {
      const domain = this.#domain(key, node);
      if (domain >= 0) room.set(domain, (room.get(domain) ?? 0) + pods);
    }
    const { paths } = this.#context.topology.domainsOfKey(key);
    return [...room.keys()].sort((a, b) => room.get(a)! - room.get(b)! || (paths[a]! < paths[b]! ? -1 : 1));
  }

  isInFirst(domain: number, node: NodeRecord): boolean {
    return this.#domain(this.#affine[0]!.term.key, node) === domain;
  }
}

function least(
  { minDomains }: SpreadInput,
  counts: ReadonlyMap<number, number>,
  maybe: ReadonlyMap<number, number>,
): number {
  if (minDomains !== undefined && counts.size < minDomains) return 0;
  if (maybe.size === 0) return Math.min(...counts.values());
  return Math.min(...Array.from(counts, ([domain, count]) => count - (maybe.get(domain) ?? 0)));
}

/**
 * Pods one after the other, each where the rules allow it and like it best; undefined where fewer than `least` find a place.
 * Exact for one pod, for one spread, and for anti-affinity under one key; gangs under several of them may wait although some
 * arrangement would do, but never break a rule.
 * @param view made anew by each call, because pods that are placed change it
 * @param order sign of the score: 1 the fullest nodes first, -1 the emptiest
 * @param maxNodes beside those that other pods of the job have `before`
 */
export function pickByRules(
  view: () => RuleView,
  options: readonly NodePick[],
  least: number,
  most: number,
  score: Float64Array,
  order: 1 | -1,
  maxNodes: number,
  before: ReadonlyMap<NodeRecord, unknown>,
): NodePick[] | undefined {
  const first = most > 1 ? view().firstDomains(options) : undefined;
  if (first === undefined) return deal(view(), options, least, most, score, order, maxNodes, before);
  for (const domain of first) {
    const fresh = view();
    const within = options.filter(([node]) => fresh.isInFirst(domain, node));
    const picks = deal(fresh, within, least, most, score, order, maxNodes, before);
    if (picks !== undefined) return picks;
  }
  return undefined;
}

function deal(
  view: RuleView,
  options: readonly NodePick[],
  least: number,
  most: number,
  score: Float64Array,
  order: 1 | -1,
  maxNodes: number,
  before: ReadonlyMap<NodeRecord, unknown>,
): NodePick[] | undefined {
  let more = maxNodes;
  const taken = new Map<NodeRecord, number>();
  let missing = most;
  for (; missing > 0; missing -= 1) {
    let best: NodeRecord | undefined;
    let bestRank: readonly number[] = [];
    for (const [node, pods] of options) {
      const mine = taken.get(node) ?? 0;
      const isNew = mine === 0 && !before.has(node);
      if (mine >= pods || (isNew && more <= 0) || !view.allows(node)) continue;
      const rank = [...view.rank(node), order * score[node.index]!];
      if (best === undefined || isBefore(rank, bestRank)) [best, bestRank] = [node, rank];
    }
    if (best === undefined) break;
    view.take(best);
    if (!taken.has(best) && !before.has(best)) more -= 1;
    taken.set(best, (taken.get(best) ?? 0) + 1);
  }
  return most - missing >= least ? [...taken] : undefined;
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return a[index]! < b[index]!;
  return false;
}
