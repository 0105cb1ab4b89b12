import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createClusterState, decide, explainPriority, fairShares } from "./index.ts";
import type { ClusterState, JobInput, PriorityPolicy } from "./index.ts";

function cluster(priority: PriorityPolicy = {}, cpus = 10): ClusterState {
  const state = createClusterState({
    resources: ["processors"],
    policy: { backfill: "Priority", priority: { weights: { fairShare: 1000 }, ...priority } },
  });
  state.putNode({ name: "n", capacity: [cpus], nodeClass: "", state: "Up" });
  state.putQueue({ name: "q" });
  return state;
}

function job(id: number, user: string, account: string, more: Partial<JobInput> = {}): JobInput {
  return {
    id,
    user,
    account,
    queues: ["q"],
    submitTime: id,
    podSets: [{ count: 1, request: [1] }],
    wallTimeSeconds: 100,
    ...more,
  };
}

/** Members as `account/user`: their usage; shares where they are not 1. */
function grow(
  accounts: Record<string, { parent?: string; shares?: number | "Parent" }>,
  members: Record<string, number | { usage: number; shares: number | "Parent" }>,
): ClusterState {
  const state = cluster({ halfLifeSeconds: "None" });
  for (const [name, more] of Object.entries(accounts)) state.putAccount({ name, ...more });
  for (const [name, of] of Object.entries(members)) {
    const [account, user] = name.split("/") as [string, string];
    state.putMembership({ account, user, shares: typeof of === "number" ? 1 : of.shares });
    state.setUsage({ account, user, billingSeconds: typeof of === "number" ? of : of.usage, asOf: 0 });
  }
  return state;
}

function factors(state: ClusterState): Record<string, number> {
  const rows = fairShares(state, 0).filter(({ user }) => user !== undefined);
  return Object.fromEntries(rows.map(({ account, user, fairShare }) => [`${account}/${user}`, fairShare!]));
}

test("a tree worked by hand: the account that used less of its share comes first with all its members", () => {
  const state = grow(
    { physics: { shares: 2 }, biology: {} },
    { "physics/ada": 300, "physics/bob": 100, "biology/cid": 100, "biology/dan": { usage: 0, shares: 3 } },
  );
  // biology: 1/3 of the shares, 1/5 of the usage: 1.667; physics: 2/3 and 4/5: 0.833.
  assert.deepEqual(factors(state), {
    "biology/cid": 3 / 4,
    "biology/dan": 4 / 4,
    "physics/ada": 1 / 4,
    "physics/bob": 2 / 4,
  });
  const rows = fairShares(state, 0);
  const physics = rows.find(({ account, user }) => account === "physics" && user === undefined)!;
  assert.equal(physics.normalizedShares, 2 / 3);
  assert.equal(physics.effectiveUsage, 4 / 5);
  assert.ok(Math.abs(physics.levelFairShare! - 5 / 6) < 1e-12);
  const cid = rows.find(({ user }) => user === "cid")!;
  assert.deepEqual([cid.normalizedShares, cid.effectiveUsage, cid.levelFairShare], [1 / 4, 1, 1 / 4]);
});

test("equal accounts compete as one, equal members have one rank", () => {
  const state = grow({ a: {}, b: {} }, { "a/1": 10, "a/2": 30, "b/3": 20, "b/4": 20 });
  assert.deepEqual(factors(state), { "a/1": 4 / 4, "b/3": 3 / 4, "b/4": 3 / 4, "a/2": 1 / 4 });
});

test("no shares come last, the shares of the parent are those of the account above", () => {
  const state = grow(
    { a: {}, inner: { parent: "a", shares: "Parent" }, poor: { shares: 0 } },
    {
      "a/1": 10,
      "inner/2": 5,
      "inner/3": { usage: 9, shares: "Parent" },
      "poor/4": 0,
      "root/5": { usage: 0, shares: 1 },
    },
  );
  // 3 has no shares of its own: first in its level; 2 competes with 1.
  assert.deepEqual(factors(state), { "root/5": 1, "inner/3": 4 / 5, "inner/2": 3 / 5, "a/1": 2 / 5, "poor/4": 1 / 5 });
});

test("accounts in a circle and absurd shares are refused, and nothing of them is kept", () => {
  const state = grow({ a: {}, b: { parent: "a" }, c: { parent: "b" } }, { "c/1": 1 });
  assert.throws(
    () => state.putAccount({ name: "a", parent: "c" }),
    /account a would be above itself: a in c in b in a/,
  );
  assert.throws(
    () => state.putAccount({ name: "d", shares: -1 }),
    /account d: shares are -1, must be an integer from 0/,
  );
  assert.throws(() => state.putAccount({ name: "root", parent: "a" }), /has no parent/);
  assert.throws(() => cluster({ halfLifeSeconds: 0 }), /halfLifeSeconds is 0, must be a number above 0, or "None"/);
  assert.equal(fairShares(state, 0).find(({ account }) => account === "a")!.parent, "root");
  assert.ok(!fairShares(state, 0).some(({ account }) => account === "d"));
});

test("a burst of one user takes no more than a share, also within one decision", () => {
  const state = cluster();
  state.putAccount({ name: "a" });
  for (let id = 0; id < 20; id += 1) state.addJob(job(id, id < 10 ? "early" : "late", "a"));
  const byUser = decide(state, 50).starts.map(({ job: id }) => (id < 10 ? "early" : "late"));
  assert.equal(byUser.filter((user) => user === "early").length, 5);
  // Turn by turn, the first by submit time.
  assert.deepEqual(byUser.slice(0, 4), ["early", "late", "early", "late"]);
});

test("the whole slot counts at once, what was not used is given back, and usage halves", () => {
  const state = cluster({ halfLifeSeconds: 1000 });
  state.putAccount({ name: "a" });
  state.addJob(job(1, "ada", "a", { podSets: [{ count: 1, request: [4] }], submitTime: 0 }));
  decide(state, 0);
  const row = (now: number): { billingSeconds: number; promisedBillingSeconds: number } =>
    fairShares(state, now).find(({ user }) => user === "ada")!;
  assert.deepEqual([row(0).billingSeconds, row(0).promisedBillingSeconds], [0, 400]);
  const used = (4 * 1000 * (1 - 2 ** -0.01)) / Math.LN2;
  assert.ok(Math.abs(row(10).billingSeconds - used) < 1e-9);
  assert.equal(row(10).promisedBillingSeconds, 360);
  state.endJob(1, 10, { ok: true });
  assert.equal(row(10).promisedBillingSeconds, 0);
  assert.ok(Math.abs(row(1010).billingSeconds - used / 2) < 1e-9);
  assert.ok(Math.abs(state.usage(1010)[0]!.billingSeconds - used / 2) < 1e-9);
});

test("what running jobs may still use, until their wall times are over, is that of their user and of all accounts above", () => {
  const state = cluster({}, 11);
  state.putAccount({ name: "a" });
  state.putAccount({ name: "b", parent: "a" });
  state.addJob(job(1, "ada", "b", { podSets: [{ count: 2, request: [4] }], overheadSeconds: 20 }));
  state.addJob(job(2, "ada", "b", { wallTimeSeconds: 1000 }));
  state.addJob(job(3, "bob", "a", { array: { pending: [[0, 1]] }, wallTimeSeconds: 60 }));
  assert.equal(decide(state, 0).starts.length, 4);
  const left = (now: number, secondsLeft?: Parameters<typeof fairShares>[2]): Record<string, number[]> =>
    Object.fromEntries(
      fairShares(state, now, secondsLeft).map(({ account, user, stillToRun: still }) => [
        user ?? account,
        still === undefined ? [] : [still.resourceSeconds[0]!, still.billingSeconds],
      ]),
    );
  // Of job 1 for the 100 seconds of its wall time.
  const ofAda = 8 * 100 + 1000;
  assert.deepEqual(left(0), {
    root: [ofAda + 120, ofAda + 120],
    a: [ofAda + 120, ofAda + 120],
    bob: [120, 120],
    b: [ofAda, ofAda],
    ada: [ofAda, ofAda],
  });
  // Those that are over their wall times take nothing off.
  assert.deepEqual(left(110)["bob"], []);
  assert.deepEqual(left(110)["root"], [890, 890]);
  assert.deepEqual(left(0, (id) => (id === 3 ? 7 : undefined))["bob"], [14, 14]);
  state.endJob(2, 110, { ok: true });
  assert.deepEqual(left(110)["root"], []);
});

test("a new leader goes on from a checkpoint: what is over is told, what runs is charged from its start", () => {
  const before = cluster({ halfLifeSeconds: 1000 });
  before.putAccount({ name: "a" });
  before.putMembership({ account: "a", user: "ada", shares: 2 });
  for (const id of [1, 2, 3]) before.addJob(job(id, id === 3 ? "bob" : "ada", "a", { submitTime: 0 }));
  const { starts } = decide(before, 0);
  before.endJob(1, 60, { ok: true });
  const after = cluster({ halfLifeSeconds: 1000 });
  after.putAccount({ name: "a" });
  after.putMembership({ account: "a", user: "ada", shares: 2 });
  for (const usage of before.usage(70)) after.setUsage(usage);
  for (const id of [2, 3]) {
    after.addJob(job(id, id === 3 ? "bob" : "ada", "a", { submitTime: 0 }));
    after.startJob(
      id,
      starts.find((start) => start.job === id)!,
    );
  }
  const [old, fresh] = [fairShares(before, 90), fairShares(after, 90)];
  for (const [index, row] of old.entries()) {
    for (const field of ["billingSeconds", "promisedBillingSeconds", "effectiveUsage"] as const) {
      assert.ok(Math.abs(row[field] - fresh[index]![field]) < 1e-9, `${field} of ${row.user ?? row.account}`);
    }
    assert.equal(fresh[index]!.fairShare, row.fairShare);
  }
});

test("priority is told by its parts, and an operator's overrides them", () => {
  const state = cluster({
    weights: { age: 100, fairShare: 1000, jobSize: 50, queue: 10, qos: 20 },
    maxAgeSeconds: 1000,
  });
  state.putQueue({ name: "q", priorityFactor: 3 });
  state.putQueue({ name: "other", priorityFactor: 6 });
  state.putQualityOfService({ name: "high", priority: 8 });
  state.putQualityOfService({ name: "low", priority: 2 });
  state.putAccount({ name: "a" });
  state.addJob(
    job(1, "ada", "a", { qos: "low", nice: 7, hold: "User", podSets: [{ count: 2, request: [2] }], submitTime: 0 }),
  );
  const told = explainPriority(state, 1, 500)!;
  assert.deepEqual(told.factors, { age: 0.5, fairShare: 1, jobSize: 0.7, queue: 0.5, qos: 0.25 });
  assert.deepEqual(told.parts, { age: 50, fairShare: 1000, jobSize: 35, queue: 5, qos: 5 });
  assert.equal(told.priority, 50 + 1000 + 35 + 5 + 5 - 7);
  state.updateJob(1, { priority: 3 }, 500);
  assert.deepEqual([explainPriority(state, 1, 500)!.priority, explainPriority(state, 1, 500)!.isSet], [3, true]);
});

test("the size of a job is the mean of its parts of all nodes and of all CPUs", () => {
  const policy = { priority: { weights: { jobSize: 1000 } } };
  const state = createClusterState({ resources: ["memory", "cpu"], policy });
  state.putQueue({ name: "q" });
  for (const name of ["n0", "n1", "n2", "n3"]) {
    state.putNode({ name, capacity: [100, 16_000], nodeClass: "", state: "Up" });
  }
  const size = (more: Partial<JobInput>): number => {
    state.addJob(job(1, "ada", "a", { hold: "User", ...more }));
    const { factors } = explainPriority(state, 1, 0)!;
    state.removeJob(1, 0);
    return factors.jobSize;
  };
  const one = { podSets: [{ count: 1, request: [100, 16_000] }] };
  const four = { podSets: [{ count: 4, request: [1, 4000] }] };
  assert.equal(size(one), 0.25);
  assert.equal(size(four), 0.25);
  assert.equal(size({ ...four, podsPerNode: 1 }), (1 + 0.25) / 2);
  assert.equal(size({ ...four, podsPerNode: 3 }), (0.5 + 0.25) / 2);
  assert.equal(size({ podSets: [{ count: 4, request: [1, 16_000] }], podsPerNode: 1 }), 1);
  // What is reserved is not there twice, and what is gone not at all.
  state.putReservation({ name: "r", startTime: 0, durationSeconds: 10, users: ["ada"] });
  assert.equal(size(one), 0.25);
  state.removeNode("n3");
  state.removeNode("n2");
  assert.equal(size(one), 0.5);
  state.setPolicy({ priority: { weights: { jobSize: 1000 }, favorSmall: true } });
  assert.equal(size({ podSets: [{ count: 1, request: [0, 8000] }] }), 1 - (0.5 + 0.25) / 2);
});

test("law: children of an account with a higher level fair share all come before those of a lower one", () => {
  const tree = fc.array(
    fc.record({
      parent: fc.nat(20),
      shares: fc.integer({ min: 0, max: 4 }),
      members: fc.array(fc.record({ shares: fc.integer({ min: 0, max: 4 }), usage: fc.integer({ min: 0, max: 5 }) }), {
        maxLength: 3,
      }),
    }),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(tree, (accounts) => {
      const state = cluster({ halfLifeSeconds: "None" });
      for (const [index, { parent, shares, members }] of accounts.entries()) {
        const above = parent % (index + 1);
        state.putAccount({ name: `a${index}`, parent: above === index ? undefined : `a${above}`, shares });
        for (const [user, member] of members.entries()) {
          state.putMembership({ account: `a${index}`, user: `u${user}`, shares: member.shares });
          state.setUsage({ account: `a${index}`, user: `u${user}`, billingSeconds: member.usage, asOf: 0 });
        }
      }
      const rows = fairShares(state, 0);
      const below = (account: string): number[] =>
        rows.flatMap((row) => {
          if (row.account === account && row.user !== undefined) return [row.fairShare!];
          return row.parent === account && row.user === undefined ? below(row.account) : [];
        });
      const siblings = rows.filter(({ user, account }) => user === undefined && account !== "root");
      for (const first of siblings) {
        for (const second of siblings) {
          if (first.parent !== second.parent || first.levelFairShare! <= second.levelFairShare!) continue;
          const [least, most] = [Math.min(...below(first.account)), Math.max(...below(second.account))];
          assert.ok(least > most, `${first.account} ${least}, ${second.account} ${most}`);
        }
      }
    }),
    { numRuns: 300 },
  );
});
