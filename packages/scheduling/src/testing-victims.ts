/** For the tests: searches for victims in random situations. */
import fc from "fast-check";
import { applyCharges } from "./charges.ts";
import { obstacleOf } from "./obstacles.ts";
import { place } from "./place.ts";
import type { Run } from "./records.ts";
import { refreshEmpty } from "./room.ts";
import type { ClusterStore } from "./store.ts";
import type { Scenario } from "./testing-scenarios.ts";
import { World } from "./testing.ts";
import { CandidateSet } from "./candidates.ts";
import type { Candidate } from "./candidates.ts";
import { VictimSearch } from "./victims.ts";

/** All that runs at some moment, as candidates, and a job that waits. */
interface Situation {
  scenario: Scenario;
  at: number;
  tiers: number[];
  losses: number[];
}

export function situations(scenarios: fc.Arbitrary<Scenario>): fc.Arbitrary<Situation> {
  return fc.record({
    scenario: scenarios,
    at: fc.integer({ min: 0, max: 10 }),
    tiers: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 40, maxLength: 40 }),
    losses: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 40, maxLength: 40 }),
  });
}

/** Searches for who makes room for each job that waits, and says whether it starts a second later when some are gone. */
export function eachSearch(
  situation: Situation,
  check: (
    find: (exact: number) => Candidate[] | undefined,
    fits: (set: readonly Candidate[]) => boolean,
    all: Candidate[],
    pods: number,
  ) => void,
): void {
  const { scenario, at, tiers, losses } = situation;
  const world = new World(scenario);
  let steps = 0;
  world.onDecide = (_, now) => {
    steps += 1;
    if (steps !== at + 1) return;
    const store = (world.state as ClusterStore).copy();
    store.tick(now);
    for (const job of [...store.plan.reserved, ...store.plan.lifted]) store.plan.drop(job);
    const time = now + 1;
    const runs = [...new Set<Run>(store.charging.runs())].filter(({ end }) => end > time);
    const all = runs.map((run, index): Candidate => {
      const terms = {
        mode: "Requeue",
        graceSeconds: 0,
        exemptSeconds: 0,
        tier: tiers[index]!,
        isReclaimed: false,
      } as const;
      return { run, terms, loss: losses[index]! };
    });
    for (const job of store.jobs.values()) {
      const { shape } = job.class;
      if (obstacleOf(store, shape) !== undefined) continue;
      const variant = shape.open[0]!;
      for (const group of variant.groups) refreshEmpty(store, shape, variant, group);
      const fits = (set: readonly Candidate[]): boolean => {
        const ends = set.map(({ run }) => run.end);
        for (const { run } of set) {
          applyCharges(store.table, run.charges, time, run.end, 1);
          run.end = time;
        }
        const found = place(store, shape, variant, time, shape.slotSeconds, "Minimum");
        if (found !== undefined) applyCharges(store.table, found.charges, time, time + shape.slotSeconds, 1);
        for (const [index, { run }] of set.entries()) {
          run.end = ends[index]!;
          applyCharges(store.table, run.charges, time, run.end, -1);
        }
        return found !== undefined;
      };
      if (fits([])) continue;
      const find = (exact: number): Candidate[] | undefined =>
        new VictimSearch(store, shape, variant, time, new CandidateSet(all), exact).find(() => false);
      check(find, fits, all, variant.groups[0]!.minPods);
    }
  };
  world.play();
}

export const cost = (set: readonly Candidate[]): number[] => [
  Math.max(...set.map(({ terms }) => terms.tier)),
  set.reduce((sum, { loss }) => sum + loss, 0),
  set.length,
];
export const isLess = (a: number[], b: number[]): boolean => {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at >= 0 && a[at]! < b[at]!;
};
