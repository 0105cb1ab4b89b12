/** Fair share beside real Slurm's: the same trees with the same usage, and the same decay. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createClusterState, fairShares } from "@berth/scheduling";
import type { FairShareRow } from "@berth/scheduling";
import { missing, SlurmLab, systemUser } from "./lab.ts";

const skip = missing() ?? false;
/** Short, so that a test sees usage decay. */
const halfLifeSeconds = 600;

const lab = new SlurmLab(`PriorityDecayHalfLife=${halfLifeSeconds / 60}
PriorityWeightFairshare=100000
PartitionName=all Nodes=n1 Default=YES MaxTime=10 State=UP OverSubscribe=NO TRESBillingWeights="CPU=1000000"`);

before(async () => {
  if (skip === false) await lab.start();
});
after(() => lab[Symbol.asyncDispose]());

interface Row {
  account: string;
  user: string | undefined;
  shares: number | "Parent";
  normalizedShares: number | undefined;
  rawUsage: number;
  effectiveUsage: number;
  levelFairShare: number | undefined;
  fairShare: number | undefined;
}

function sshare(): Row[] {
  const format = "Account,User,RawShares,NormShares,RawUsage,EffectvUsage,LevelFS,FairShare";
  const number = (text: string): number | undefined =>
    text === "" ? undefined : text === "inf" ? Infinity : Number(text);
  return lab
    .run("sshare", ["-a", "-l", "-P", "-n", "-o", format])
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [account = "", user = "", shares = "", normalized = "", raw = "", effective = "", level = "", fair = ""] =
        line.split("|").map((field) => field.trim());
      return {
        account,
        user: user === "" ? undefined : user,
        shares: shares === "parent" ? "Parent" : Number(shares === "" ? 1 : shares),
        normalizedShares: number(normalized),
        rawUsage: Number(raw),
        effectiveUsage: Number(effective),
        levelFairShare: number(level),
        fairShare: number(fair),
      };
    });
}

/** Account of each account. */
function parents(): Map<string, string> {
  const lines = lab
    .run("sacctmgr", ["-n", "-P", "show", "assoc", "format=Account,User,ParentName"])
    .trimEnd()
    .split("\n");
  return new Map(
    lines
      .map((line) => line.split("|"))
      .filter(([, user]) => user === "")
      .map(([account = "", , parent = ""]) => [account, parent]),
  );
}

/** Our tree with Slurm's shares and usage. */
function ours(rows: readonly Row[]): FairShareRow[] {
  const state = createClusterState({
    resources: ["cpu"],
    policy: { priority: { weights: { fairShare: 1 }, halfLifeSeconds } },
  });
  const above = parents();
  for (const { account, user, shares, rawUsage } of rows) {
    if (user === undefined) {
      if (account !== "root") state.putAccount({ name: account, parent: above.get(account), shares });
      continue;
    }
    state.putMembership({ account, user, shares });
    state.setUsage({ account, user, billingSeconds: rawUsage, asOf: 0 });
  }
  return fairShares(state, 0);
}

function manage(...words: string[]): void {
  lab.run("sacctmgr", ["-iQ", ...words]);
}

function account(name: string, parent: string, shares: string): void {
  manage("add", "account", name, `parent=${parent}`, `fairshare=${shares}`, "cluster=lab");
}

function member(user: string, of: string, shares: string): void {
  manage("add", "user", user, `account=${of}`, `fairshare=${shares}`, "cluster=lab");
}

/** Uses so many CPUs for some seconds. */
function use(user: string, of: string, cpus: number, seconds: number): void {
  lab.run("sbatch", ["-A", of, "-c", String(cpus), "-o", "/dev/null", "--wrap", `sleep ${seconds}`], systemUser(user));
}

async function compare(): Promise<void> {
  await lab.idle();
  await lab.decay();
  const rows = sshare();
  const computed = ours(rows);
  let used = 0;
  for (const row of rows) {
    const name = `${row.user ?? "all"} in ${row.account}`;
    const own = computed.find(({ account, user }) => account === row.account && user === row.user)!;
    const near = (field: string, a: number | undefined, b: number | undefined, tolerance: number): void => {
      if (a === b) return;
      assert.ok(a !== undefined && b !== undefined, `${field} of ${name}: ours ${a}, Slurm's ${b}`);
      assert.ok(
        Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)),
        `${field} of ${name}: ours ${a}, Slurm's ${b}`,
      );
    };
    if (row.rawUsage > 0) used += 1;
    assert.equal(own.shares, row.shares, `RawShares of ${name}`);
    near("RawUsage", own.billingSeconds / Math.max(1, row.rawUsage), row.rawUsage / Math.max(1, row.rawUsage), 1e-6);
    near("EffectvUsage", own.effectiveUsage, row.effectiveUsage, 2e-6);
    if (row.account !== "root" || row.user !== undefined) {
      near("NormShares", own.normalizedShares, row.normalizedShares, 1e-6);
      near("LevelFS", own.levelFairShare, row.levelFairShare, 1e-5);
    }
    near("FairShare", own.fairShare, row.fairShare, 1e-6);
  }
  assert.ok(used > 4, "there is usage to compare");
}

test(
  "a tree of two levels: RawShares, NormShares, RawUsage, EffectvUsage, LevelFS, FairShare",
  { skip, timeout: 300_000 },
  async () => {
    account("physics", "root", "2");
    account("biology", "root", "1");
    member("daemon", "physics", "1");
    member("bin", "physics", "3");
    member("sys", "biology", "1");
    member("games", "biology", "4");
    await lab.ready();
    use("daemon", "physics", 9, 3);
    use("bin", "physics", 4, 2);
    use("sys", "biology", 7, 4);
    use("games", "biology", 1, 2);
    await compare();
  },
);

test("a deeper tree with nobody's shares, the parent's shares, and no shares", { skip, timeout: 300_000 }, async () => {
  account("institute", "root", "5");
  account("theory", "institute", "parent");
  account("lattice", "theory", "3");
  account("experiment", "institute", "2");
  account("guests", "root", "0");
  member("man", "theory", "1");
  member("lp", "lattice", "2");
  member("mail", "lattice", "parent");
  member("news", "experiment", "1");
  member("games", "experiment", "7");
  member("uucp", "guests", "1");
  await lab.ready();
  use("man", "theory", 3, 2);
  use("lp", "lattice", 11, 3);
  use("mail", "lattice", 2, 2);
  use("news", "experiment", 6, 3);
  use("uucp", "guests", 1, 2);
  await compare();
});

test("a tree with equal siblings: what nobody used yet", { skip, timeout: 300_000 }, async () => {
  account("north", "root", "1");
  account("south", "root", "1");
  member("proxy", "north", "1");
  member("backup", "north", "1");
  member("list", "south", "1");
  member("irc", "south", "2");
  await lab.ready();
  use("daemon", "physics", 2, 2);
  await compare();
});

test("usage decays by the half-life", { skip, timeout: 300_000 }, async () => {
  const begun = await lab.decay();
  const first = sshare();
  await lab.waitUntil(begun + 40);
  const ended = await lab.decay();
  const second = sshare();
  const state = createClusterState({ resources: ["cpu"], policy: { priority: { halfLifeSeconds } } });
  for (const { account, user, rawUsage } of first) {
    if (user !== undefined) state.setUsage({ account, user, billingSeconds: rawUsage, asOf: begun });
  }
  let compared = 0;
  for (const { account, user, billingSeconds } of state.usage(ended)) {
    const slurms = second.find((row) => row.account === account && row.user === user)!.rawUsage;
    compared += 1;
    // Slurm takes 1 - 0.693 / half-life a second for the half of a half-life.
    assert.ok(
      Math.abs(billingSeconds / slurms - 1) < 1e-4,
      `${user} in ${account}: ours ${billingSeconds}, Slurm's ${slurms}`,
    );
    assert.ok(slurms < 0.97 * first.find((row) => row.account === account && row.user === user)!.rawUsage);
  }
  assert.ok(compared > 4);
});
