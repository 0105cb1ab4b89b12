import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Reservation, Workload } from "@berth/kinds";
import { apiVersion, isFinal, reservations, workloads } from "@berth/kinds";
import { timestamp } from "./context.ts";
import { startTestCluster, type TestCluster, waitFor, waitUntil, workload } from "./test-cluster.test.ts";

let cluster: TestCluster;
const runMs = new Map<string, number>();

before(async () => {
  cluster = await startTestCluster();
  for (const name of ["n1", "n2"]) {
    await cluster.startNode({
      name,
      runMs: (pod) => runMs.get(pod.metadata.labels?.["berth.dev/workload"] ?? "") ?? 0,
    });
  }
});
after(async () => {
  await cluster.close();
  assert.deepEqual(cluster.logs, []);
});

const inSeconds = (seconds: number): string => timestamp(Date.now() + seconds * 1000);
const create = (name: string, spec: Partial<Workload["spec"]>): Promise<Workload> =>
  cluster.client.create(workloads, workload(name, { graceSeconds: 0, wallTimeSeconds: 300, ...spec }));
const reserve = (name: string, spec: Reservation["spec"]): Promise<Reservation> =>
  cluster.client.create<Reservation>(reservations, { apiVersion, kind: "Reservation", metadata: { name }, spec });
const told = (name: string, holds: (reservation: Reservation) => boolean): Promise<Reservation> =>
  waitUntil(() => cluster.client.get<Reservation>(reservations, name), holds);
const waitsFor = (reason: string) => (found: Workload) => found.status?.reason === reason;

test("a maintenance window keeps out what could not end before it, also for the next leader; others run", async () => {
  let controllers = await cluster.startControllers();
  await reserve("service", { startTime: inSeconds(600), durationSeconds: 3600, maintenance: true });
  const service = await told("service", ({ status }) => status?.phase === "Pending");
  assert.deepEqual(service.status?.nodes, ["n1", "n2"]);
  assert.equal(service.status.conditions?.[0]?.status, "True");
  await create("long", { wallTimeSeconds: 1200 });
  await create("short", { wallTimeSeconds: 300 });
  const [short] = await waitFor(cluster.client, ["short"]);
  assert.equal(short?.status?.phase, "Succeeded");
  const [long] = await waitFor(cluster.client, ["long"], waitsFor("ReservedForMaintenance"));
  assert.match(long?.status?.message ?? "", /could not end before nodes .* maintenance \(service, from /);
  await controllers.stop();
  controllers = await cluster.startControllers();
  await create("later", { wallTimeSeconds: 1200 });
  await waitFor(cluster.client, ["later", "long"], waitsFor("ReservedForMaintenance"));
  await cluster.client.delete(reservations, "service");
  const done = await waitFor(cluster.client, ["long", "later"]);
  assert.deepEqual(
    done.map(({ status }) => status?.phase),
    ["Succeeded", "Succeeded"],
  );
  await controllers.stop();
});

test("a reservation is for those it names, by its name, and only within it", async () => {
  const controllers = await cluster.startControllers();
  await reserve("course", { startTime: inSeconds(-10), durationSeconds: 3600, nodes: ["n2"], users: ["ada"] });
  await told("course", ({ status }) => status?.phase === "Active");
  runMs.set("inside", 300);
  const ran = ["inside", "outside"].map((name) => create(name, name === "inside" ? { reservation: "course" } : {}));
  await Promise.all(ran);
  const [inside, outside] = await waitFor(cluster.client, ["inside", "outside"]);
  assert.deepEqual(inside?.status?.nodes, ["n2"]);
  assert.deepEqual(outside?.status?.nodes, ["n1"], "its node is nobody else's meanwhile");
  await create("too-long", { reservation: "course", wallTimeSeconds: 7200 });
  await waitFor(cluster.client, ["too-long"], waitsFor("ReservationTimeLimit"));
  await create("nowhere", { reservation: "no-such" });
  const [refused] = await waitFor(cluster.client, ["nowhere"]);
  assert.match(refused?.status?.message ?? "", /there is no reservation no-such; there are course/);
  await cluster.client.delete(reservations, "course");
  await waitFor(cluster.client, ["too-long"], waitsFor("ReservationDeleted"));
  await cluster.client.delete(workloads, "too-long", { namespace: "ada" });
  await controllers.stop();
});

test("one that jobs run into is refused in words, and the API refuses what cannot be meant", async () => {
  const controllers = await cluster.startControllers();
  runMs.set("holder", 60_000);
  await create("holder", { wallTimeSeconds: 600 });
  const [holder] = await waitFor(cluster.client, ["holder"], ({ status }) => status?.phase === "Running");
  const nodes = holder!.status!.nodes!;
  await reserve("over", { startTime: inSeconds(60), durationSeconds: 60, nodes, maintenance: true });
  const over = await told("over", ({ status }) => status?.conditions !== undefined);
  assert.equal(over.status?.conditions?.[0]?.status, "False");
  assert.match(over.status.conditions[0].message, /job/);
  await cluster.client.delete(reservations, "over");
  await reserve("beside", {
    startTime: inSeconds(60),
    durationSeconds: 60,
    nodes,
    maintenance: true,
    ignoreJobs: true,
  });
  await told("beside", ({ status }) => status?.phase === "Pending");
  await cluster.client.delete(reservations, "beside");
  await cluster.client.delete(workloads, "holder", { namespace: "ada" });
  const spec = { startTime: inSeconds(60), durationSeconds: 60 };
  await assert.rejects(reserve("nobody", spec), /say whom it is for: users, accounts, or maintenance: true/);
  await assert.rejects(
    reserve("twice", { ...spec, maintenance: true, nodes: ["n1"], nodeCount: 1 }),
    /name nodes, or say how many/,
  );
  await assert.rejects(
    reserve("often", { ...spec, maintenance: true, durationSeconds: 600, everySeconds: 60 }),
    /everySeconds/,
  );
  await waitUntil(
    () => cluster.client.list<Workload>(workloads, { namespace: "ada" }),
    ({ items }) => items.every(({ status }) => isFinal(status?.phase)),
  );
  await controllers.stop();
});
