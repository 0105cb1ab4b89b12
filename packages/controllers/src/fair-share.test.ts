import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { Account, Membership, QualityOfService, Site, UsageCheckpoint, Workload } from "@berth/kinds";
import {
  accounts,
  apiVersion,
  memberships,
  qualitiesOfService,
  sites,
  usageCheckpoints,
  workloads,
} from "@berth/kinds";
import { startTestCluster, type TestCluster, waitFor, waitUntil, workload } from "./test-cluster.test.ts";

let cluster: TestCluster;
let controllers: { stop(): Promise<void> };
const runMs = new Map<string, number>();

before(async () => {
  cluster = await startTestCluster();
  await cluster.startNode({
    cpus: 4,
    runMs: (pod) => runMs.get(pod.metadata.labels?.["berth.dev/workload"] ?? "") ?? 0,
  });
  controllers = await cluster.startControllers();
});
afterEach(async () => {
  const { items } = await cluster.client.list<Workload>(workloads, { namespace: "ada" });
  for (const { metadata } of items) await cluster.client.delete(workloads, metadata.name, { namespace: "ada" });
  await waitUntil(
    () => cluster.client.list<Workload>(workloads, { namespace: "ada" }),
    ({ items: left }) => left.length === 0,
  );
});
after(async () => {
  await cluster.close();
  assert.deepEqual(cluster.logs, []);
});

const create = (name: string, spec: Partial<Workload["spec"]> = {}): Promise<Workload> =>
  cluster.client.create(workloads, workload(name, { graceSeconds: 0, wallTimeSeconds: 300, ...spec }));
const account = (name: string, spec: Account["spec"]): Promise<Account> =>
  cluster.client.create<Account>(accounts, {
    apiVersion,
    kind: "Account",
    metadata: { name },
    spec: { open: true, ...spec },
  });
const member = (accountName: string, spec: Partial<Membership["spec"]> = {}): Promise<Membership> =>
  cluster.client.create<Membership>(memberships, {
    apiVersion,
    kind: "Membership",
    metadata: { name: `ada-${accountName}` },
    spec: { user: "ada", account: accountName, ...spec },
  });
const cpus = (cpu: string): Workload["spec"]["podSets"] => [
  {
    name: "main",
    role: "Driver",
    count: 1,
    template: { spec: { containers: [{ name: "main", resources: { requests: { cpu } } }] } },
  },
];
const started = (name: string): Promise<Workload[]> =>
  waitFor(cluster.client, [name], ({ status }) => status?.phase === "Running");
const release = (name: string): Promise<Workload> =>
  cluster.client.patch<Workload>(workloads, name, { spec: { hold: null } }, { namespace: "ada" });
const waitsFor = (reason: string) => (found: Workload) => found.status?.reason === reason;

test("limits hold jobs with their reason and the numbers, and refuse what is one too many or too large", async () => {
  await account("small", {
    limits: { runningJobs: 1, submittedJobs: 3, resources: { cpu: 2 }, perJob: { wallTimeSeconds: 600 } },
  });
  await waitUntil(async () => (await create("probe", { account: "small", hold: "User" })) !== undefined, Boolean);
  runMs.set("first", 60_000);
  await create("first", { account: "small" });
  await started("first");
  await create("second", { account: "small" });
  const [second] = await waitFor(cluster.client, ["second"], waitsFor("AccountJobLimit"));
  assert.equal(second?.status?.message, "account small may run 1 job at once; 1 runs");
  await create("fourth", { account: "small" });
  const [fourth] = await waitFor(cluster.client, ["fourth"]);
  assert.equal(fourth?.status?.conditions?.[0]?.reason, "LimitExceeded");
  assert.match(fourth.status.message ?? "", /account small may have 3 jobs pending or running; there are 3/);
  await cluster.client.patch(accounts, "small", { spec: { limits: { submittedJobs: null } } });
  await waitUntil(async () => {
    await create("long", { account: "small", wallTimeSeconds: 1200 });
    const [long] = await waitFor(cluster.client, ["long"], ({ status }) => status?.conditions !== undefined);
    if (long?.status?.message?.includes("1200") === true) return true;
    await cluster.client.delete(workloads, "long", { namespace: "ada" });
    return false;
  }, Boolean);
  const [long] = await waitFor(cluster.client, ["long"]);
  assert.match(long?.status?.message ?? "", /one job of account small may run for 600 seconds; this one asks for 1200/);
  // A limit that is raised lets go at once.
  await cluster.client.patch(accounts, "small", { spec: { limits: { runningJobs: 2 } } });
  await waitFor(cluster.client, ["second"]);
});

test("an account that is its own ancestor says so and takes no jobs until that is mended", async () => {
  await account("up", {});
  await account("down", { parent: "up" });
  await cluster.client.patch(accounts, "up", { spec: { parent: "down" } });
  const told = (status: string) =>
    waitUntil(
      () => cluster.client.get<Account>(accounts, "up"),
      (found) => found.status?.conditions?.some((known) => known.type === "Valid" && known.status === status) === true,
    );
  const up = await told("False");
  assert.match(up.status?.conditions?.[0]?.message ?? "", /its own ancestor: up in down in up/);
  await create("inside", { account: "down" });
  const [inside] = await waitFor(cluster.client, ["inside"]);
  assert.equal(inside?.status?.conditions?.[0]?.reason, "InvalidAccount");
  await cluster.client.patch(accounts, "up", { spec: { parent: null } });
  await told("True");
  await create("again", { account: "down" });
  await waitFor(cluster.client, ["again"]);
});

test("shares and what was used make the order, also after a restart; each ended attempt counts once", async () => {
  await cluster.client.patch<Site>(sites, "site", {
    spec: { priority: { weights: { fairShare: 1000 }, halfLifeSeconds: 3600 } },
  });
  for (const name of ["greedy", "modest"]) {
    await account(name, { shares: 1 });
    await member(name);
  }
  runMs.set("used", 2500);
  await create("used", { account: "greedy", podSets: cpus("4") });
  await waitFor(cluster.client, ["used"]);
  const order = async (suffix: string): Promise<string[]> => {
    const names = [`a${suffix}`, `b${suffix}`];
    await create(names[0]!, { account: "greedy", podSets: cpus("4"), hold: "User" });
    await create(names[1]!, { account: "modest", podSets: cpus("4"), hold: "User" });
    runMs.set(`holder${suffix}`, 1500);
    await create(`holder${suffix}`, { account: "default", podSets: cpus("4") });
    await started(`holder${suffix}`);
    for (const name of names) await release(name);
    const done = await waitFor(cluster.client, names);
    return done
      .sort((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
      .map(({ metadata }) => metadata.name);
  };
  // The first in line is the first in the account that used less, although it came later.
  runMs.set("a1", 300).set("b1", 300);
  const [first] = await order("1");
  assert.equal(first, "b1");
  await controllers.stop();
  const usageOf = async (name: string): Promise<number> =>
    (await cluster.client.get<UsageCheckpoint>(usageCheckpoints, `account-${name}`)).spec.users["ada"]
      ?.billingSeconds ?? 0;
  const [greedy, modest] = [await usageOf("greedy"), await usageOf("modest")];
  assert.ok(greedy > 7.9 && greedy <= 24, `two seconds and more of four cpus, not ${greedy}`);
  assert.ok(modest < greedy);
  controllers = await cluster.startControllers();
  runMs.set("a2", 300).set("b2", 300);
  const [again] = await order("2");
  assert.equal(again, "b2");
  await controllers.stop();
  controllers = await cluster.startControllers();
  await controllers.stop();
  const later = await usageOf("greedy");
  assert.ok(
    later >= greedy * 0.99 && later <= greedy + 8,
    `${later} after ${greedy}: what was counted is not counted again`,
  );
  controllers = await cluster.startControllers();
});

test("a quality of service gives priority, and is only for those it names", async () => {
  const qos = (name: string, spec: QualityOfService["spec"]): Promise<QualityOfService> =>
    cluster.client.create<QualityOfService>(qualitiesOfService, {
      apiVersion,
      kind: "QualityOfService",
      metadata: { name },
      spec,
    });
  await cluster.client.patch<Site>(sites, "site", { spec: { priority: { weights: { fairShare: 0, qos: 1000 } } } });
  await qos("urgent", { priority: 10 });
  await qos("foreign", { allow: ["bob"] });
  // Until the controllers have heard of it, it is unknown.
  let probes = 0;
  await waitUntil(async () => {
    const name = `probe-${++probes}`;
    await create(name, { qos: "foreign" });
    const [found] = await waitFor(cluster.client, [name]);
    return found?.status?.conditions?.[0]?.reason === "QualityOfServiceNotAllowed";
  }, Boolean);
  runMs.set("holder", 1000).set("plain", 200).set("pressing", 200);
  await create("holder", { podSets: cpus("4") });
  await started("holder");
  await create("plain", { podSets: cpus("4") });
  await create("pressing", { podSets: cpus("4"), qos: "urgent" });
  await waitFor(cluster.client, ["pressing"], ({ status }) => status?.phase === "Running");
  const [plain] = await waitFor(cluster.client, ["plain"], ({ status }) => status?.phase !== "Running");
  assert.equal(plain?.status?.phase, "Pending");
  const done = await waitFor(cluster.client, ["plain", "pressing"]);
  const rows = await cluster.accounting.query({ jobs: [{ job: done[1]!.status!.jobId! }] });
  assert.deepEqual([rows[0]?.qos, rows[0]?.allocated?.["cpu"], rows[0]?.billing], ["urgent", 4000, 4]);
});
