import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isReason } from "@berth/client";
import type { Explanation, Inquiry, QueueView, Workload } from "@berth/kinds";
import { explanations, inquiries, queueViews, sites, workloads } from "@berth/kinds";
import type { Answer } from "./inquiries.ts";
import { startTestCluster, type TestCluster, waitFor, waitUntil, workload } from "../test-cluster.test.ts";

let cluster: TestCluster;
let controllers: { stop(): Promise<void> };
before(async () => {
  cluster = await startTestCluster();
  await cluster.startNode({ runMs: () => 600_000 });
  controllers = await cluster.startControllers();
});
after(() => cluster.close());

const cpus = (count: number): Workload["spec"]["podSets"] => [
  {
    name: "main",
    role: "Driver",
    count: 1,
    template: { spec: { containers: [{ name: "main", resources: { requests: { cpu: String(count) } } }] } },
  },
];
const submit = (name: string, spec: Partial<Workload["spec"]> = {}): Promise<Workload> =>
  cluster.client.create(workloads, workload(name, { jobName: name, wallTimeSeconds: 600, ...spec }));
const explain = (name: string): Promise<Explanation> => cluster.client.get(explanations, name, { namespace: "ada" });
const listed = async (fieldSelector?: string): Promise<QueueView[]> =>
  (await cluster.client.listAll<QueueView>(queueViews, fieldSelector === undefined ? {} : { fieldSelector })).items;
const names = (views: QueueView[]): (string | undefined)[] => views.map(({ spec }) => spec.jobName);
/** Asks as somebody else would, past the API server's own words on who asks. */
async function ask(user: string, spec: Partial<Inquiry["spec"]> = {}): Promise<Answer> {
  const asker = { user, groups: ["system:authenticated"], seesAll: false };
  const inquiry = { resource: "queueviews", verb: "list" as const, limit: 100, ...spec, asker };
  const answered = await cluster.client.create<Inquiry>(inquiries, {
    apiVersion: "questions.berth.dev/v1alpha1",
    kind: "Inquiry",
    metadata: { name: `test-${Math.random().toString(36).slice(2)}` },
    spec: inquiry,
  });
  const { items, ...rest } = answered.status!;
  return items === undefined ? rest : { ...rest, items: items.map((item) => JSON.parse(item) as QueueView) };
}

test("what runs and what waits, in order; of an array its elements and its rest; by queue, user and id", async () => {
  await submit("whole", { podSets: cpus(3) });
  const [whole] = await waitFor(cluster.client, ["whole"], ({ status }) => status?.phase === "Running");
  await submit("next", { podSets: cpus(4) });
  await waitFor(cluster.client, ["next"], ({ status }) => status?.reason === "Resources");
  await submit("array", { array: { indices: "0-9", maxRunning: 1 }, wallTimeSeconds: 60 });
  await submit("held", { hold: "User", nice: 5 });
  await waitFor(cluster.client, ["array"], ({ status }) => status?.array?.running === "0");
  await waitFor(cluster.client, ["held"], ({ status }) => status?.reason === "HeldByUser");
  const all = await listed();
  assert.deepEqual(names(all), ["whole", "array", "next", "array", "held"]);
  assert.deepEqual(
    all.map(({ status }) => status?.position),
    [undefined, undefined, 1, 2, 3],
  );
  const [running, element, first, rest, held] = all;
  assert.deepEqual([running?.status?.phase, running?.status?.nodes, running?.spec.cpus], ["Running", ["n1"], 3]);
  assert.deepEqual([element?.spec.task, element?.spec.jobId], [0, element?.spec.arrayJobId]);
  assert.equal(element?.metadata.name, `${element?.spec.arrayJobId}-0`);
  assert.deepEqual([rest?.spec.tasks, rest?.spec.maxRunning, rest?.status?.reason], ["1-9", 1, "ArrayTaskLimit"]);
  assert.deepEqual([first?.status?.reason, first?.status?.plannedNodes], ["Resources", ["n1"]]);
  assert.equal(first?.status?.estimatedStart, running?.status?.endTime?.replace(/.*/, first!.status!.estimatedStart!));
  assert.equal(held?.spec.nice, 5);
  const array = element!.spec.arrayJobId!;
  assert.deepEqual(names(await listed(`spec.jobId=${array}`)), ["array", "array"]);
  assert.deepEqual(names(await listed("status.phase=Running,spec.user=ada")), ["whole", "array"]);
  assert.deepEqual(names(await listed("spec.queue!=standard")), []);
  const id = whole!.status!.jobId!;
  assert.equal((await cluster.client.get<QueueView>(queueViews, String(id))).spec.jobName, "whole");
  assert.equal((await cluster.client.get<QueueView>(queueViews, `${array}-0`)).spec.task, 0);
  await assert.rejects(cluster.client.get(queueViews, "999999"), (error) => isReason(error, "NotFound"));
  // Pages of one list tell each line once.
  const page = await cluster.client.list<QueueView>(queueViews, { limit: 2 });
  assert.equal(page.metadata.remainingItemCount, 3);
  const more = await cluster.client.list<QueueView>(queueViews, { limit: 10, continue: page.metadata.continue! });
  assert.deepEqual(names([...page.items, ...more.items]), names(all));
});

test("the jobs of others as the Site says: listed without what they run, or only counted", async () => {
  const before = await ask("bob");
  const views = before.items as QueueView[];
  assert.deepEqual(names(views), ["whole", "array", "next", "array", "held"]);
  assert.ok(views.every(({ spec }) => spec.submission === undefined && spec.workload === undefined));
  assert.equal(((await ask("ada")).items as QueueView[])[0]?.spec.workload, "whole");
  const setPrivacy = (jobs: "Everybody" | "Owner"): Promise<unknown> =>
    cluster.client.patch(sites, "site", { spec: { privacy: { jobs } } });
  await setPrivacy("Owner");
  // The Site reaches the controllers by their watch.
  let hidden: QueueView[];
  do hidden = (await ask("bob")).items as QueueView[];
  while (hidden.length > 1);
  assert.deepEqual(hidden[0]?.status?.hidden, { pending: 3, running: 2 });
  assert.deepEqual((await ask("bob", { fields: [{ field: "spec.user", operator: "=", value: "ada" }] })).items, []);
  assert.deepEqual((await ask("bob", { verb: "get", name: String(views[0]?.spec.jobId) })).items, []);
  assert.equal((await ask("ada")).items?.length, 5);
  await setPrivacy("Everybody");
  while ((await ask("bob")).items?.length !== 5);
});

test("a list that somebody else began, or that is forgotten, is refused in words", async () => {
  const page = await ask("ada", { limit: 2 });
  assert.equal(page.remaining, 3);
  assert.match((await ask("bob", { continue: page.continue! })).refusal?.message ?? "", /begin it anew/);
  assert.equal((await ask("ada", { continue: page.continue! })).items?.length, 3);
});

test("an explanation: one reason, the numbers, who holds it back, when it starts and what that assumes", async () => {
  const next = await explain("next");
  const { status } = next;
  assert.deepEqual([status?.reason, status?.slurmReason, status?.phase], ["Resources", "Resources", "Pending"]);
  assert.match(
    status?.message ?? "",
    /needs 4 cpus on one node; at most 0 cpus are free, n1 has room at .* when job \d+ ends/,
  );
  assert.deepEqual(status?.position, { queue: 1, of: 3 });
  assert.equal(status?.expectedStart?.basis, "Reserved");
  assert.deepEqual(status.expectedStart.nodes, ["n1"]);
  assert.match(status.expectedStart.assumes, /holds a reservation/);
  const [blocker] = status.blockers ?? [];
  assert.deepEqual([blocker?.how, blocker?.jobName, blocker?.user, blocker?.node], ["Ends", "whole", "ada", "n1"]);
  assert.deepEqual(status.needs?.perPod[0], { resource: "cpu", asked: 4000, mostFree: 0, largest: 4000 });

  await submit("behind", { podSets: cpus(4) });
  await waitFor(cluster.client, ["behind"], ({ status }) => status?.reason === "Priority");
  // Forecasts are made between decisions; until there is one, the earliest start is told.
  const { status: behind } = await waitUntil(
    () => explain("behind"),
    (found) => found.status?.expectedStart?.basis === "Forecast",
  );
  assert.deepEqual([behind?.expectedStart?.basis, behind?.blockers?.at(-1)?.how], ["Forecast", "Before"]);
  assert.equal(behind?.blockers?.at(-1)?.jobName, "next");
  assert.ok(behind!.expectedStart!.time > status.expectedStart.time);

  const held = (await explain("held")).status;
  assert.deepEqual([held?.reason, held?.expectedStart], ["HeldByUser", undefined]);
  const array = (await explain("array")).status;
  assert.deepEqual(array?.array, { pending: 9, running: 1, ended: 0, maxRunning: 1 });
  assert.deepEqual(array?.limits, [{ name: "ArrayTaskLimit", limit: 1 }]);
  const running = (await explain("whole")).status;
  assert.deepEqual([running?.phase, running?.nodes, running?.reason], ["Running", ["n1"], undefined]);
  assert.equal((Date.parse(running!.endTime!) - Date.parse(running!.startTime!)) / 1000, 600);
  await assert.rejects(explain("nobody"), (error) => isReason(error, "NotFound"));
  const { items } = await cluster.client.listAll<Explanation>(explanations, { namespace: "ada" });
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ["whole", "next", "array", "held", "behind"],
  );
});

test("asked while controllers are down: answered once they are back", async () => {
  await controllers.stop();
  const asked = listed("spec.user=ada");
  await new Promise((resolve) => setTimeout(resolve, 50));
  controllers = await cluster.startControllers();
  assert.deepEqual(names(await asked), ["whole", "array", "next", "array", "behind", "held"]);
});
