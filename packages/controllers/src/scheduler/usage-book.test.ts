import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { AttemptRow } from "@berth/accounting";
import type { Client } from "@berth/client";
import { accounts, apiVersion, type Account, type UsageCheckpoint, usageCheckpoints } from "@berth/kinds";
import { accrued, type ClusterState, decayOver, type UsageRecord } from "@berth/scheduling";
import type { Context } from "../context.ts";
import { startStores, storesSynced } from "../stores.ts";
import { startTestCluster, type TestCluster } from "../test-cluster.test.ts";
import { UsageBook } from "./usage-book.ts";

let cluster: TestCluster;
before(async () => {
  cluster = await startTestCluster();
  for (const name of ["bio", "chem"]) {
    await cluster.client.create<Account>(accounts, { apiVersion, kind: "Account", metadata: { name }, spec: {} });
  }
});
after(() => cluster.close());

const halfLife = 7 * 86_400;
const start = Date.parse("2026-11-01T00:00:00Z") / 1000;
const time = (seconds: number): string => new Date(seconds * 1000).toISOString();

function row(at: number): AttemptRow {
  const begin = start + at * 3600;
  return {
    workloadUid: `u${at}`,
    task: -1,
    attempt: 1,
    jobId: at + 1,
    arrayJobId: null,
    tasks: null,
    namespace: "ada",
    workload: `w${at}`,
    name: "w",
    user: at % 3 === 0 ? "ada" : "bob",
    uid: 1,
    account: at % 2 === 0 ? "bio" : "chem",
    queue: "standard",
    qos: null,
    requestedMilliCpus: 1000,
    requestedMemoryBytes: 0,
    requestedNodes: 1,
    wallTimeSeconds: 3600,
    submitTime: time(begin),
    eligibleTime: null,
    startTime: time(begin),
    endTime: time(begin + 600 * (1 + (at % 5))),
    waitSecondsByReason: {},
    firstExpectedStart: null,
    lastExpectedStart: null,
    state: "Succeeded",
    exitCode: 0,
    signal: 0,
    nodes: ["n1"],
    peakMemoryBytes: null,
    cpuMilliseconds: null,
    dependencies: "",
    workingDirectory: null,
    command: null,
    cancelledBy: null,
    billing: 2 + (at % 4),
    allocated: { cpu: 1000 * (1 + (at % 4)) },
    suspendedSeconds: null,
    steps: null,
  };
}

/** What the core would be told, faded to one time. */
function toldBy(book: UsageBook, now: number): Map<string, number> {
  const told = new Map<string, number>();
  const setUsage = ({ account, user, billingSeconds, asOf }: UsageRecord): void => {
    told.set(`${account} ${user}`, billingSeconds * decayOver(now - asOf, halfLife));
  };
  book.feed({ setUsage } as unknown as ClusterState, ["cpu"]);
  return told;
}

/** A client whose process dies after so many writes. */
function dying(client: Client, writes: number): Client {
  let left = writes;
  const die = (): void => {
    if (left-- <= 0) throw new Error("killed");
  };
  return new Proxy(client, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver);
      if (name !== "patchStatus" && name !== "patch" && name !== "create") return value;
      return async (...given: unknown[]) => {
        die();
        return await (value as (...given: unknown[]) => Promise<unknown>)(...given);
      };
    },
  });
}

test("whoever dies between any two writes, each row counts once", async () => {
  const expected = new Map<string, number>();
  const now = start + 40 * 86_400;
  let rows = 0;
  for (let life = 0; life < 12; life++) {
    const ending = new AbortController();
    const client = dying(cluster.client, life % 5);
    const context = {
      client,
      accounting: cluster.accounting,
      now: () => now * 1000,
      log: () => {},
      signal: ending.signal,
    } as unknown as Context;
    const stores = startStores(cluster.client, () => {}, ending.signal);
    await storesSynced(stores);
    const book = new UsageBook(context, stores);
    await book.read();
    const told = toldBy(book, now);
    assert.deepEqual([...told.keys()].sort(), [...expected.keys()].sort(), `life ${life}`);
    for (const [who, usage] of expected) {
      assert.ok(
        Math.abs(told.get(who)! - usage) < usage * 1e-9,
        `life ${life}: ${who} has ${told.get(who)}, not ${usage}`,
      );
    }
    for (const more of [row(rows++), row(rows++), row(rows++)]) {
      // A second write of the same row is none.
      await cluster.accounting.record([more]);
      await cluster.accounting.record([more]);
      const who = `${more.account} ${more.user}`;
      const begin = Date.parse(more.startTime!) / 1000;
      const end = Date.parse(more.endTime) / 1000;
      const used = more.billing! * accrued(end - begin, halfLife) * decayOver(now - end, halfLife);
      expected.set(who, (expected.get(who) ?? 0) + used);
    }
    await book.checkpoint().catch((error: Error) => assert.equal(error.message, "killed"));
    ending.abort();
  }
  const { spec } = await cluster.client.get<UsageCheckpoint>(usageCheckpoints, "account-bio");
  assert.ok(spec.accountedThrough > 0);
  assert.deepEqual(Object.keys(spec.users).sort(), ["ada", "bob"]);
  // Who reads accounts reads no usage, which the Site may keep private.
  assert.equal("usage" in ((await cluster.client.get<Account>(accounts, "bio")).status ?? {}), false);
});
