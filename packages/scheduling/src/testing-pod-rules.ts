/** For the tests: rules between pods, given to random jobs, and whether they hold. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Decisions, NodeInput, PodSetInput, PodTerm } from "./index.ts";
import type { Scenario } from "./testing-scenarios.ts";
import { matches } from "./testing-state.ts";
import type { World } from "./testing.ts";

const amount = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const maybe = <T>(value: fc.Arbitrary<T>, freq: number): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq });

const term: fc.Arbitrary<PodTerm> = fc.record({
  pods: fc.constantFrom("a", "b"),
  key: fc.constantFrom("host", "rack"),
});

/** Gives nodes hosts and racks, and most jobs pods that others mean, or rules. `Apart`: no rules but anti-affinity. */
export function withPodRules(scenarios: fc.Arbitrary<Scenario>, kind: "Apart" | "All"): fc.Arbitrary<Scenario> {
  const only = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
    kind === "All" ? maybe(value, 2) : fc.constant(undefined);
  const ofJob = fc.record({
    podClass: maybe(fc.constantFrom("a", "b"), 6),
    antiAffinity: maybe(term, 3),
    affinity: only(term),
    spread: only(fc.record({ ...termParts, maxSkew: amount(2), required: fc.constantFrom(true, true, false) })),
    count: amount(2),
  });
  const rack = fc.constantFrom("r0", "r1", "r1", undefined);
  return fc
    .record({
      scenario: scenarios,
      ofJobs: fc.array(ofJob, { minLength: 14, maxLength: 14 }),
      racks: fc.array(rack, { minLength: 5, maxLength: 5 }),
    })
    .map(({ scenario, ofJobs, racks }) => {
      const nodes = scenario.nodes.map((node, index): NodeInput => {
        const at = racks[index];
        return Object.assign({}, node, { domains: { host: node.name, ...(at === undefined ? {} : { rack: at }) } });
      });
      const jobs = scenario.jobs.map(({ input, ...job }, index) => {
        const { podClass, antiAffinity, affinity, spread, count } = ofJobs[index]!;
        const rules = {
          affinity: affinity && [affinity],
          antiAffinity: antiAffinity && [antiAffinity],
          spread: spread && [spread],
        };
        const isRuled = affinity !== undefined || antiAffinity !== undefined || spread !== undefined;
        const podSets = input.podSets.map((set) => {
          return Object.assign({}, set, {
            count: Math.min(set.count, count),
            podClass,
            rules: isRuled ? rules : undefined,
          });
        });
        // Many at a time, so that they meet.
        const submitTime = input.submitTime >> 1;
        const wallTimeSeconds = input.wallTimeSeconds + 20;
        return Object.assign(job, { input: Object.assign({}, input, { podSets, submitTime, wallTimeSeconds }) });
      });
      return Object.assign({}, scenario, { nodes, jobs });
    });
}

const termParts = { pods: fc.constantFrom("a", "b"), key: fc.constantFrom("host", "rack") };

interface Pods {
  /** All that run, with those that just started. */
  pods: { job: string; node: string; set: PodSetInput }[];
  /** Those that just started, one after the other. */
  order: string[];
  nodes: string[];
  matches: (selector: string, podClass: string) => boolean;
  domainOf: (node: string, key: string) => string | undefined;
}

/** As Kubernetes defines them: anti-affinity between all that run, affinity and spread of those that just started. */
export function checkPodRules({ pods, order, nodes, matches: match, domainOf }: Pods): void {
  const means = (one: PodTerm, podClass: string | undefined): boolean =>
    podClass !== undefined && match(one.pods, podClass);
  for (const [index, mine] of pods.entries()) {
    for (const one of mine.set.rules?.antiAffinity ?? []) {
      const here = domainOf(mine.node, one.key);
      for (const [other, theirs] of pods.entries()) {
        if (other === index || here === undefined || !means(one, theirs.set.podClass)) continue;
        assert.notEqual(domainOf(theirs.node, one.key), here, `${mine.job} keeps off ${theirs.job} by ${one.key}`);
      }
    }
  }
  const there = pods.filter(({ job }) => !order.includes(job));
  for (const job of order) {
    const own = pods.filter((pod) => pod.job === job);
    const { rules, podClass } = own[0]!.set;
    for (const one of rules?.affinity ?? []) {
      const where = new Set(
        there.filter(({ set }) => means(one, set.podClass)).map(({ node }) => domainOf(node, one.key)),
      );
      where.delete(undefined);
      const mine = new Set(own.map(({ node }) => domainOf(node, one.key)));
      assert.ok(!mine.has(undefined));
      if (where.size === 0) assert.ok(means(one, podClass) && mine.size === 1, `job ${job} is first of its kind`);
      else assert.ok(mine.isSubsetOf(where), `job ${job} is where its fellows are`);
    }
    there.push(...own);
    for (const one of rules?.spread ?? []) {
      if (!one.required) continue;
      const counts = new Map<string, number>();
      for (const name of nodes) {
        const domain = domainOf(name, one.key);
        if (domain !== undefined) counts.set(domain, 0);
      }
      for (const { node, set } of there) {
        const domain = domainOf(node, one.key);
        if (domain !== undefined && means(one, set.podClass)) counts.set(domain, counts.get(domain)! + 1);
      }
      const least = Math.min(...counts.values());
      for (const { node } of own) {
        const domain = domainOf(node, one.key);
        assert.ok(domain !== undefined);
        assert.ok(counts.get(domain)! - least <= one.maxSkew, `job ${job} spreads over ${one.key}`);
      }
    }
  }
}

/** Of jobs of one pod set; after a decision. */
export function checkRulesOf(world: World, { starts }: Decisions): void {
  const pods = [...world.running].flatMap(([job, { start, input }]) =>
    start.nodes[0]!.map((node) => ({ job, node, set: input.podSets[0]! })),
  );
  const order = starts.map(({ job, task }) => `${job}/${task ?? ""}`);
  const domainOf = (node: string, key: string): string | undefined => world.nodes.get(node)!.domains?.[key];
  checkPodRules({ pods, order, nodes: [...world.nodes.keys()], matches, domainOf });
}
