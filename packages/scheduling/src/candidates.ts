/** Who might make room, and what that would cost. */
import type { NodeRecord } from "./nodes.ts";
import type { Terms } from "./preemption-rules.ts";
import type { Charge, Run } from "./records.ts";
import type { Time } from "./types.ts";

export interface Candidate {
  run: Run;
  terms: Terms;
  /** Core-seconds of work (in milli-cpu) that it would lose. */
  loss: number;
  /** What others get of it; absent: all that it has, from the time of the search on. */
  frees?: { charges: readonly Charge[]; from: Time };
}

export function freesOf({ run, frees }: Candidate, time: Time): { charges: readonly Charge[]; from: Time } {
  return frees === undefined ? { charges: run.charges, from: time } : { ...frees, from: Math.max(time, frees.from) };
}

/** Lexicographic: the highest tier among them, what they lose together, how many they are, and which, so that no two are equal. */
interface Cost {
  tier: number;
  loss: number;
  count: number;
}

export function costOf(set: readonly Candidate[]): Cost {
  let [tier, loss] = [-Infinity, 0];
  for (const { terms, loss: own } of set) {
    tier = Math.max(tier, terms.tier);
    loss += own;
  }
  return { tier, loss, count: set.length };
}

export function compareSets(a: readonly Candidate[], b: readonly Candidate[]): number {
  const [x, y] = [costOf(a), costOf(b)];
  if (x.tier !== y.tier) return x.tier < y.tier ? -1 : 1;
  return compareLosses(x, y) || compareIds(a, b);
}

function compareLosses(a: Pick<Cost, "loss" | "count">, b: Pick<Cost, "loss" | "count">): number {
  if (a.loss !== b.loss) return a.loss < b.loss ? -1 : 1;
  return a.count - b.count;
}

function compareIds(a: readonly Candidate[], b: readonly Candidate[]): number {
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
export function compareCandidates(a: Candidate, b: Candidate): number {
  return a.terms.tier - b.terms.tier || a.loss - b.loss || compareRuns(a.run, b.run);
}

/** Where the highest tier is settled: what they lose, how many they are, which. */
export function isCheaper(a: readonly Candidate[], b: readonly Candidate[]): boolean {
  return (compareLosses(costOf(a), costOf(b)) || compareIds(a, b)) < 0;
}

/** All who could make room for jobs of a queue, QOS and account. */
export class CandidateSet {
  readonly all: readonly Candidate[];
  /** By the node itself, whatever view of it a job sees. */
  readonly onNode = new Map<NodeRecord, Candidate[]>();
  readonly levels: readonly number[];

  constructor(candidates: readonly Candidate[]) {
    this.all = candidates.toSorted(compareCandidates);
    this.levels = [...new Set(candidates.map(({ terms }) => terms.tier))].sort((a, b) => a - b);
    for (const candidate of this.all) {
      for (const { node } of candidate.run.charges) {
        const there = this.onNode.get(node);
        if (there === undefined) this.onNode.set(node, [candidate]);
        else if (there.at(-1) !== candidate) there.push(candidate);
      }
    }
  }
}
