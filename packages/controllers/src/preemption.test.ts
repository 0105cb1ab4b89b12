import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Accounting } from "@berth/accounting";
import { type Client, resources } from "@berth/client";
import type { Pod, QualityOfService, Queue, Workload } from "@berth/kinds";
import { apiVersion, isFinal, qualitiesOfService, queues, workloads } from "@berth/kinds";
import {
  startTestCluster,
  type TestCluster,
  type TestNode,
  waitFor,
  waitUntil,
  workload,
} from "./test-cluster.test.ts";

let cluster: TestCluster;
let node: TestNode;
const runMs = new Map<string, number>();
const workloadOf = (pod: Pod): string => pod.metadata.labels?.["berth.dev/workload"] ?? "";
/** By attempt where that is said, else by Workload. */
const lengthOf = (pod: Pod): number => runMs.get(pod.metadata.name) ?? runMs.get(workloadOf(pod)) ?? 0;

before(async () => {
  cluster = await startTestCluster();
  node = await cluster.startNode({ cpus: 4, runMs: lengthOf });
  const queue = (name: string, spec: Queue["spec"]): Promise<Queue> =>
    cluster.client.create<Queue>(queues, { apiVersion, kind: "Queue", metadata: { name }, spec });
  await queue("students", { tier: 0, preemption: { mode: "Requeue", graceSeconds: 1 } });
  await queue("guests", { tier: 0, preemption: { mode: "Cancel", graceSeconds: 1 } });
  const qos = (name: string, spec: QualityOfService["spec"]): Promise<QualityOfService> =>
    cluster.client.create<QualityOfService>(qualitiesOfService, {
      apiVersion,
      kind: "QualityOfService",
      metadata: { name },
      spec,
    });
  await qos("scavenger", { preemption: { mode: "Requeue", graceSeconds: 1 } });
  await qos("urgent", { preempts: ["scavenger"] });
});
after(() => cluster.close());

const cpus = (cpu: string): Workload["spec"]["podSets"] => [
  {
    name: "main",
    role: "Driver",
    count: 1,
    template: { spec: { containers: [{ name: "main", resources: { requests: { cpu } } }] } },
  },
];
const create = (name: string, spec: Partial<Workload["spec"]> = {}): Promise<Workload> =>
  cluster.client.create(workloads, workload(name, { wallTimeSeconds: 600, podSets: cpus("4"), ...spec }));
const running = (name: string): Promise<Workload[]> =>
  waitFor(cluster.client, [name], ({ status }) => status?.phase === "Running");
const rowsOf = async (of: Workload | undefined): Promise<string[]> => {
  const rows = await cluster.accounting.query({ jobs: [{ job: of!.status!.jobId! }] });
  return rows.map(({ task, attempt, state }) => `${task}.${attempt} ${state}`).sort();
};
const podsGone = (): Promise<unknown> =>
  waitUntil(
    () => cluster.client.list<Pod>(resources.pods, { namespace: "ada" }),
    ({ items }) => items.length === 0,
  );

test("a job of a lower tier makes room, says for whom, is accounted, and comes back", async () => {
  const controllers = await cluster.startControllers();
  runMs.set("student-main-0-a1", 60_000).set("student-main-0-a2", 200).set("researcher", 300);
  await create("student", { queue: "students" });
  await running("student");
  await create("researcher");
  const [researcher] = await waitFor(cluster.client, ["researcher"]);
  assert.equal(researcher?.status?.phase, "Succeeded");
  const [student] = await waitFor(cluster.client, ["student"]);
  assert.equal(student?.status?.phase, "Succeeded");
  assert.equal(student.status.restarts, 1);
  const told = student.status.conditions?.find(({ type }) => type === "Preempted");
  assert.deepEqual([told?.reason, told?.message], ["Requeue", `made room for job ${researcher.status.jobId}`]);
  assert.deepEqual(await rowsOf(student), ["-1.1 Preempted", "-1.2 Succeeded"]);
  assert.ok(student.status.startTime! >= researcher.status.startTime!);
  await podsGone();
  await controllers.stop();
});

test("only as many tasks of an array go as room is needed; a queue may have them cancelled for good", async () => {
  const controllers = await cluster.startControllers();
  runMs.set("many", 3000).set("two", 100);
  await create("many", { queue: "students", podSets: cpus("1"), array: { indices: "0-3" } });
  await waitFor(cluster.client, ["many"], ({ status }) => status?.array?.running === "0-3");
  await create("two", { podSets: cpus("2") });
  await waitFor(cluster.client, ["two"]);
  const [many] = await waitFor(cluster.client, ["many"]);
  assert.equal(many?.status?.array?.succeeded, "0-3");
  const rows = await rowsOf(many);
  assert.equal(rows.filter((row) => row.endsWith("Preempted")).length, 2);
  assert.equal(rows.filter((row) => row.endsWith("Succeeded")).length, 4);

  runMs.set("guest", 60_000).set("host", 100);
  await create("guest", { queue: "guests" });
  await running("guest");
  await create("host");
  const [guest] = await waitFor(cluster.client, ["guest", "host"]);
  assert.equal(guest?.status?.phase, "Preempted");
  assert.deepEqual(await rowsOf(guest), ["-1.1 Preempted"]);
  await podsGone();
  await controllers.stop();
});

test("who has just saved its state makes room before who has not, also after the leader died", async () => {
  let controllers = await cluster.startControllers();
  for (const name of ["older", "newer"]) {
    runMs.set(`${name}-main-0-a1`, 600_000).set(`${name}-main-0-a2`, 100);
    await create(name, { queue: "students", podSets: cpus("2") });
    await running(name);
    await new Promise((resolve) => setTimeout(resolve, 1100));
  }
  // By itself the newer would go, which has done less.
  const annotations = { "berth.dev/checkpointed-at": new Date(Date.now() + 60_000).toISOString() };
  await cluster.client.patch(workloads, "older", { metadata: { annotations } }, { namespace: "ada" });
  await controllers.stop();
  controllers = await cluster.startControllers();
  runMs.set("half", 100);
  await create("half", { podSets: cpus("2") });
  const [half] = await waitFor(cluster.client, ["half"]);
  assert.equal(half?.status?.phase, "Succeeded");
  const [older] = await waitFor(cluster.client, ["older"]);
  assert.deepEqual(await rowsOf(older), ["-1.1 Preempted", "-1.2 Succeeded"]);
  const newer = await cluster.client.get<Workload>(workloads, "newer", { namespace: "ada" });
  assert.equal(newer.status?.phase, "Running");
  await cluster.client.delete(workloads, "newer", { namespace: "ada" });
  await podsGone();
  await controllers.stop();
});

/** Annotations of a Workload by which tasks tell that they are saved; the time counts as that at which it is read. */
const tell = (name: string, told: Record<string, string>): Promise<unknown> => {
  const annotations = Object.fromEntries(Object.entries(told).map(([key, text]) => [`berth.dev/${key}`, text]));
  return cluster.client.patch(workloads, name, { metadata: { annotations } }, { namespace: "ada" });
};
const annotationsOf = async (name: string): Promise<Record<string, string>> =>
  (await cluster.client.get<Workload>(workloads, name, { namespace: "ada" })).metadata.annotations ?? {};

test("each task of an array keeps its checkpoint when the leader changes, told to it or while there was none", async () => {
  let controllers = await cluster.startControllers();
  const later = (): string => new Date(Date.now() + 60_000).toISOString();
  const tasksOf = (text = ""): string[] => text.split("; ").map((part) => part.split(" ")[1] ?? "");
  for (const told of ["together", "singly"]) {
    runMs.set(told, 100);
    for (const task of [0, 1, 2, 3]) runMs.set(`${told}-t${task}-main-0-a1`, 600_000);
    await create(told, { queue: "students", podSets: cpus("1"), array: { indices: "0-3" } });
    await waitFor(cluster.client, [told], ({ status }) => status?.array?.running === "0-3");
    await new Promise((resolve) => setTimeout(resolve, 1100));
    if (told === "together") {
      // The second overwrites the first, which the leader has read.
      await tell(told, { "checkpointed-at": `${later()} 1` });
      const kept = "berth.dev/checkpointed-tasks";
      await waitUntil(
        () => annotationsOf(told),
        (all) => tasksOf(all[kept]).join() === "1",
      );
      await tell(told, { "checkpointed-at": `${later()} 3` });
      await waitUntil(
        () => annotationsOf(told),
        (all) => ["1,3", "3,1"].includes(tasksOf(all[kept]).join()),
      );
      await controllers.stop();
    } else {
      await controllers.stop();
      await tell(told, { "checkpointed-at.1": later() });
      await tell(told, { "checkpointed-at.3": later() });
      await tell(told, { "checkpointed-at.2": "no time" });
    }
    controllers = await cluster.startControllers();
    runMs.set(`after-${told}`, 100);
    await create(`after-${told}`, { podSets: cpus("2") });
    const [after] = await waitFor(cluster.client, [`after-${told}`]);
    assert.equal(after?.status?.phase, "Succeeded");
    const [array] = await waitFor(cluster.client, [told], () => true);
    // Rows of an array come once a second.
    await waitUntil(
      () => rowsOf(array),
      (rows) => rows.filter((row) => row.endsWith("Preempted")).join() === "1.1 Preempted,3.1 Preempted",
    );
    await cluster.client.delete(workloads, told, { namespace: "ada" });
    await podsGone();
  }
  await controllers.stop();
});

test("what very many tasks tell becomes a summary", async () => {
  const controllers = await cluster.startControllers();
  runMs.set("crowd", 600_000);
  await create("crowd", { queue: "students", podSets: cpus("10m"), array: { indices: "0-79" } });
  await waitFor(cluster.client, ["crowd"], ({ status }) => status?.array?.running === "0-79");
  const time = (after: number): string => new Date(Date.now() + after).toISOString();
  await tell(
    "crowd",
    Object.fromEntries(Array.from({ length: 80 }, (_, task) => [`checkpointed-at.${task}`, time(5000)])),
  );
  const kept = await waitUntil(
    () => annotationsOf("crowd"),
    (all) => all["berth.dev/checkpointed-tasks"] !== undefined,
  );
  assert.deepEqual(
    Object.keys(kept).filter((key) => key.startsWith("berth.dev/checkpointed-at")),
    [],
  );
  assert.match(kept["berth.dev/checkpointed-tasks"]!, /^\S+Z 0-79$/);
  await cluster.client.delete(workloads, "crowd", { namespace: "ada" });
  await podsGone();
  await controllers.stop();
});

test("by quality of service, and never a job that does not want to come back without being cancelled", async () => {
  const controllers = await cluster.startControllers();
  runMs.set("scavenger-main-0-a1", 60_000).set("scavenger-main-0-a2", 100).set("urgent", 100);
  await create("scavenger", { qos: "scavenger" });
  await running("scavenger");
  await create("urgent", { qos: "urgent" });
  const [scavenger] = await waitFor(cluster.client, ["scavenger", "urgent"]);
  assert.deepEqual(await rowsOf(scavenger), ["-1.1 Preempted", "-1.2 Succeeded"]);
  runMs.set("once", 60_000).set("again", 100);
  await create("once", { qos: "scavenger", requeue: { onPreemption: false } });
  await running("once");
  await create("again", { qos: "urgent" });
  const [once] = await waitFor(cluster.client, ["once", "again"]);
  assert.equal(once?.status?.phase, "Preempted");
  await podsGone();
  await controllers.stop();
});

/** Writes of controllers that die after so many of them, once armed: what comes later never reaches the API or the database. */
function dying(writes: number): { client: Client; accounting: Accounting; arm: () => void; isDead: () => boolean } {
  let left = Infinity;
  const wrapped = <T extends object>(target: T, names: readonly string[]): T =>
    new Proxy(target, {
      get(of, name, receiver) {
        const value: unknown = Reflect.get(of, name, receiver);
        if (!names.includes(String(name))) return value;
        return (...given: unknown[]) => {
          if (left-- <= 0) return Promise.reject(new Error("killed"));
          return (value as (...given: unknown[]) => Promise<unknown>)(...given);
        };
      },
    });
  return {
    client: wrapped(cluster.client, ["create", "update", "patch", "patchStatus", "delete", "request"]),
    accounting: wrapped(cluster.accounting, ["record"]),
    arm: () => (left = writes),
    isDead: () => left < 0,
  };
}

const [half] = cpus("2");
const gang: Workload["spec"]["podSets"] = [half!, { ...half!, name: "worker", role: "Worker" }];

test("whoever leads dies between any two writes of a preemption: nothing runs twice, each attempt is accounted once", async () => {
  // Every second victim is a gang. Each third write is enough for every day; `BERTH_WRITES=1` takes them all.
  const step = Number(process.env["BERTH_WRITES"] ?? 3);
  for (let writes = 0, isThrough = 0; isThrough < 2; writes += step) {
    assert.ok(writes < 60, "a preemption takes fewer writes than that");
    const [victim, other] = [`victim-${writes}`, `other-${writes}`];
    runMs.set(`${victim}-main-0-a1`, 60_000).set(`${victim}-main-0-a2`, 50).set(other, 50);
    let controllers = await cluster.startControllers();
    await create(victim, { queue: "students", ...(writes % 2 === 1 ? { podSets: gang } : {}) });
    const [started] = await running(victim);
    await controllers.stop();

    const mortal = dying(writes);
    const first = await cluster.startControllers({ client: mortal.client, accounting: mortal.accounting });
    mortal.arm();
    await create(other);
    await waitUntil(
      async () => mortal.isDead() || (await cluster.client.get<Workload>(workloads, victim, { namespace: "ada" })),
      (found) => found === true || isFinal(found.status?.phase),
    );
    isThrough = mortal.isDead() ? 0 : isThrough + 1;
    await first.stop();

    controllers = await cluster.startControllers();
    const [done, theOther] = await waitFor(cluster.client, [victim, other]);
    const what = `after ${writes} writes`;
    const [preempted, succeeded, ...more] = await rowsOf(started);
    assert.deepEqual([preempted, more], ["-1.1 Preempted", []], what);
    // A gang that was being made when its leader died is made anew, under another number: that was no attempt.
    assert.match(succeeded ?? "", writes % 2 === 1 ? /^-1\.[23] Succeeded$/ : /^-1\.2 Succeeded$/, what);
    assert.equal(done?.status?.restarts, 1, what);
    assert.deepEqual(await rowsOf(theOther), ["-1.1 Succeeded"], what);
    await podsGone();
    for (const [name, count] of node.begun) assert.equal(count, 1, `${name} ${what}`);
    await controllers.stop();
  }
});
