/** For the tests: scenarios with accounts, qualities of service, priorities and limits. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Limits, PriorityPolicy } from "./index.ts";
import type { Scenario } from "./testing-scenarios.ts";
import type { World } from "./testing.ts";

const maybe = <T>(value: fc.Arbitrary<T>, freq = 2): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq });
const vector = (most: number): fc.Arbitrary<(number | undefined)[]> =>
  fc.array(maybe(fc.integer({ min: 1, max: most })), { minLength: 1, maxLength: 2 });

function limits(minutes: boolean): fc.Arbitrary<Limits> {
  return fc.record({
    runningJobs: maybe(fc.integer({ min: 0, max: 3 })),
    resources: maybe(vector(8)),
    resourceMinutes: minutes ? maybe(vector(8)) : fc.constant(undefined),
    runningResourceMinutes: minutes ? maybe(vector(4)) : fc.constant(undefined),
    perJob: maybe(
      fc.record({ wallTimeSeconds: maybe(fc.integer({ min: 10, max: 40 })), resources: maybe(vector(6)) }),
      4,
    ),
    perUser: maybe(fc.record({ runningJobs: maybe(fc.integer({ min: 1, max: 2 })), resources: maybe(vector(6)) })),
  });
}

interface SharingOptions {
  /** Limits, also those on resource-minutes. */
  limits?: "None" | "Counted" | "All";
  priority?: fc.Arbitrary<PriorityPolicy>;
}

const weight = fc.constantFrom(0, 10, 1000);
const anyPriority: fc.Arbitrary<PriorityPolicy> = fc.record({
  weights: fc.record({ age: weight, fairShare: weight, jobSize: weight, queue: weight, qos: weight }),
  maxAgeSeconds: fc.constantFrom(20, 1000),
  halfLifeSeconds: fc.constantFrom(30, 1000, "None" as const),
  favorSmall: fc.boolean(),
});
/** All usage is a whole number, so that nothing depends on rounding. */
export const wholePriority: fc.Arbitrary<PriorityPolicy> = anyPriority.map((policy) =>
  Object.assign(policy, { halfLifeSeconds: "None" as const }),
);

/** Priorities that stay what they are. */
export const lastingPriority: fc.Arbitrary<PriorityPolicy> = anyPriority.map((policy) =>
  Object.assign({}, policy, { weights: { ...policy.weights, age: 0, fairShare: 0 } }),
);

export function withSharing(scenarios: fc.Arbitrary<Scenario>, options: SharingOptions = {}): fc.Arbitrary<Scenario> {
  const { limits: which = "None", priority = anyPriority } = options;
  const some = which === "None" ? fc.constant(undefined) : maybe(limits(which === "All"));
  const shares = fc.constantFrom(0, 1, 1, 2, 5, "Parent" as const);
  return fc
    .record({
      scenario: scenarios,
      priority,
      accounts: fc.array(fc.record({ parent: fc.constantFrom("root", "a0", "a1", "a2"), shares, limits: some }), {
        minLength: 3,
        maxLength: 3,
      }),
      memberships: fc.uniqueArray(
        fc.record({
          account: fc.constantFrom("a0", "a1", "a2"),
          user: fc.constantFrom("u0", "u1"),
          shares,
          limits: some,
        }),
        { selector: ({ account, user }) => account + user, maxLength: 4 },
      ),
      quality: fc.record({
        priority: fc.integer({ min: 0, max: 3 }),
        limits: some,
        usageFactor: fc.constantFrom(0, 1, 2),
      }),
      queue: some,
      owners: fc.array(
        fc.record({
          account: fc.constantFrom("a0", "a1", "a2", "unknown"),
          user: fc.constantFrom("u0", "u1", "u2"),
          qos: maybe(fc.constantFrom("q0", "q9")),
        }),
        { minLength: 14, maxLength: 14 },
      ),
    })
    .map(({ scenario, priority, accounts, memberships, quality, queue, owners }): Scenario => ({
      nodes: scenario.nodes,
      acts: scenario.acts,
      reservations: scenario.reservations,
      policy: Object.assign({}, scenario.policy, { priority }),
      queues: scenario.queues.map((one, index) => Object.assign({}, one, { limits: index === 0 ? queue : undefined })),
      // Below one of a smaller number, so that there is no circle.
      accounts: accounts.map(({ parent, shares, limits }, index) => {
        return { name: `a${index}`, parent: parent < `a${index}` ? parent : undefined, shares, limits };
      }),
      memberships,
      qualities: [Object.assign({ name: "q0" }, quality)],
      jobs: scenario.jobs.map((job, index) =>
        Object.assign({}, job, { input: Object.assign({}, job.input, owners[index]) }),
      ),
    }));
}

interface Use {
  runs: number;
  amounts: number[];
  /** Amount × seconds until the end of the slots of what runs. */
  ahead: number[];
}

/** Counts from the running jobs alone who uses what, and holds it against all limits there are. */
export function checkLimits({ scenario, running, inputs, nodes, now }: World, minutes: boolean): void {
  const uses = new Map<string, { limits: Limits | undefined; use: Use }>();
  const add = (name: string, limits: Limits | undefined, amounts: number[], seconds: number): void => {
    let known = uses.get(name);
    if (known === undefined)
      uses.set(name, (known = { limits, use: { runs: 0, amounts: [0, 0, 0], ahead: [0, 0, 0] } }));
    known.use.runs += 1;
    for (const [index, amount] of amounts.entries()) {
      known.use.amounts[index]! += amount;
      known.use.ahead[index]! += amount * seconds;
    }
  };
  const places = new Set<unknown>();
  for (const { start } of running.values()) {
    // Tasks of a lease share a place.
    if (places.has(start)) continue;
    places.add(start);
    const input = inputs.get(start.job)!;
    const amounts = [0, 0, 0];
    if (input.exclusive === true) {
      for (const name of new Set(start.nodes.flat())) {
        for (const [index, amount] of nodes.get(name)!.capacity.entries()) amounts[index]! += amount;
      }
    } else {
      for (const [set, names] of start.nodes.entries()) {
        for (const [index, amount] of input.podSets[set]!.request.entries()) amounts[index]! += amount * names.length;
      }
    }
    const seconds = Math.max(0, start.endTime - now);
    const all = (name: string, limits: Limits | undefined): void => {
      add(name, limits, amounts, seconds);
      add(`${name} of ${input.user}`, limits?.perUser, amounts, seconds);
    };
    all(`queue ${start.queue}`, scenario.queues.find(({ name }) => name === start.queue)!.limits);
    if (input.qos === "q0") all("q0", scenario.qualities![0]!.limits);
    const membership = scenario.memberships!.find(
      ({ account, user }) => account === input.account && user === input.user,
    );
    if (membership !== undefined) add(`${input.user} in ${input.account}`, membership.limits, amounts, seconds);
    for (let name = input.account; name !== undefined;) {
      const account = scenario.accounts!.find((one) => one.name === name);
      if (account !== undefined) all(`account ${name}`, account.limits);
      name = account?.parent;
    }
  }
  for (const [name, { limits, use }] of uses) {
    assert.ok(use.runs <= (limits?.runningJobs ?? Infinity), `${name}: ${use.runs} jobs at ${now}`);
    for (const [index, amount] of use.amounts.entries()) {
      assert.ok(
        amount <= (limits?.resources?.[index] ?? Infinity),
        `${name}: ${amount} of resource ${index} at ${now}`,
      );
      if (!minutes) continue;
      const ahead = use.ahead[index]! / 60;
      const most = Math.min(
        limits?.runningResourceMinutes?.[index] ?? Infinity,
        limits?.resourceMinutes?.[index] ?? Infinity,
      );
      assert.ok(ahead <= most + 1e-9, `${name}: ${ahead} minutes of resource ${index} at ${now}`);
    }
  }
}
