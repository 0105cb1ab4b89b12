import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type AnyObject, type Client, isReason, resources } from "@berth/client";
import type { Pod, Queue, Workload } from "@berth/kinds";
import {
  annotations,
  isFinal,
  labels,
  queues,
  volcanoCommands,
  volcanoJobs,
  volcanoQueues,
  workloads,
} from "@berth/kinds";
import { volcanoDefinitions } from "@berth/kinds/install";
import { startTestCluster, type TestCluster, type TestNode, waitUntil } from "../test-cluster.test.ts";
import type { VolcanoJob, VolcanoJobSpec } from "./job.ts";

let cluster: TestCluster;
let client: Client;
let node: TestNode;
/** By pod: how long each of its lives runs, ms, and how it ends. */
const runs = new Map<string, number>();
const ends = new Map<string, number[]>();
before(async () => {
  cluster = await startTestCluster();
  ({ client } = cluster);
  for (const definition of volcanoDefinitions) {
    const metadata = { ...definition.metadata, labels: { "app.kubernetes.io/part-of": "berth" } };
    await client.create(resources.customResourceDefinitions, { ...definition, metadata } as AnyObject);
  }
  node = await cluster.startNode({
    cpus: 4,
    runMs: ({ metadata: { name } }) => runs.get(name) ?? 20,
    exitCode: ({ metadata: { name } }) => ends.get(name)?.shift() ?? 0,
  });
  await cluster.startControllers({ volcano: true });
});
after(() => cluster.close());

const template = (cpu = "1", more: object = {}) => ({
  spec: {
    containers: [{ name: "main", image: "host", resources: { requests: { cpu } } }],
    restartPolicy: "Never" as const,
    ...more,
  },
});
const submit = (name: string, spec: VolcanoJobSpec, metadata: object = {}): Promise<VolcanoJob> =>
  waitUntil(
    () =>
      client
        .create<VolcanoJob>(volcanoJobs, {
          apiVersion: "batch.volcano.sh/v1alpha1",
          kind: "Job",
          metadata: { name, namespace: "ada", ...metadata },
          spec: { schedulerName: "volcano", ...spec },
        })
        .catch((error: unknown) => {
          // The kind was made a moment ago.
          if (isReason(error, "NotFound")) return undefined as unknown as VolcanoJob;
          throw error;
        }),
    (made) => made !== undefined,
  );
const jobOf = (name: string): Promise<VolcanoJob> => client.get<VolcanoJob>(volcanoJobs, name, { namespace: "ada" });
const phase = (name: string, ...wanted: string[]): Promise<VolcanoJob> =>
  waitUntil(
    () => jobOf(name),
    ({ status }) => wanted.includes(status?.state?.phase ?? ""),
    15_000,
  );
const podOf = (name: string): Promise<Pod> => client.get<Pod>(resources.pods, name, { namespace: "ada" });
const podsOf = async (job: string): Promise<Pod[]> =>
  (await client.listAll<Pod>(resources.pods, { namespace: "ada", labelSelector: `volcano.sh/job-name=${job}` })).items;
const workloadsOf = async (name: string): Promise<Workload[]> =>
  (await client.listAll<Workload>(workloads, { namespace: "ada" })).items.filter(
    ({ metadata }) => metadata.annotations?.[annotations.podsOf] === `Job.batch.volcano.sh/${name}`,
  );
const ended = (name: string): Promise<Workload[]> =>
  waitUntil(
    () => workloadsOf(name),
    (found) => found.length > 0 && found.every(({ status }) => isFinal(status?.phase)),
    15_000,
  );
const phasesOf = ({ status }: VolcanoJob): string[] => (status?.conditions ?? []).map((each) => each.status);
const command = (job: string, action: string): Promise<AnyObject> =>
  client.create(volcanoCommands, {
    apiVersion: "bus.volcano.sh/v1alpha1",
    kind: "Command",
    metadata: { generateName: `${job}-`, namespace: "ada" },
    action,
    target: { apiVersion: "batch.volcano.sh/v1alpha1", kind: "Job", name: job },
  } as unknown as AnyObject);

test("a Job of two tasks is one Workload with two pod sets, and has what its plugins promise", async () => {
  await submit("duo", {
    tasks: [
      { name: "ps", replicas: 1, template: template() },
      { name: "worker", replicas: 2, template: template("500m") },
    ],
    plugins: { env: [], svc: ["--disable-network-policy"], ssh: ["--ssh-key-file-path=/home/ada/.ssh"] },
  });
  const done = await phase("duo", "Completed");
  assert.deepEqual(phasesOf(done), ["Pending", "Running", "Completed"]);
  const { succeeded, minAvailable, taskStatusCount, retryCount } = done.status!;
  assert.deepEqual(
    { succeeded, minAvailable, retryCount, taskStatusCount },
    {
      succeeded: 3,
      minAvailable: 3,
      retryCount: 0,
      taskStatusCount: { ps: { phase: { Succeeded: 1 } }, worker: { phase: { Succeeded: 2 } } },
    },
  );
  const [one, ...others] = await ended("duo");
  assert.deepEqual(others, []);
  assert.deepEqual(
    [one!.status?.phase, one!.spec.podSets.map(({ name, count }) => [name, count])],
    [
      "Succeeded",
      [
        ["ps", 1],
        ["worker", 2],
      ],
    ],
  );
  const pod = await podOf("duo-worker-1");
  assert.equal(pod.metadata.labels?.[labels.workload], one!.metadata.name);
  assert.deepEqual([pod.spec["hostname"], pod.spec["subdomain"]], ["duo-worker-1", "duo"]);
  const env = pod.spec.containers[0]!.env!;
  assert.equal(env.find(({ name }) => name === "VC_TASK_INDEX")?.value, "1");
  assert.ok(env.some(({ name }) => name === "VC_WORKER_HOSTS"));
  const hosts = await client.get<AnyObject & { data: Record<string, string> }>(resources.configMaps, "duo-svc", {
    namespace: "ada",
  });
  assert.deepEqual(hosts.data, {
    "ps.host": "duo-ps-0.duo",
    VC_PS_HOSTS: "duo-ps-0.duo",
    VC_PS_NUM: "1",
    "worker.host": "duo-worker-0.duo\nduo-worker-1.duo",
    VC_WORKER_HOSTS: "duo-worker-0.duo,duo-worker-1.duo",
    VC_WORKER_NUM: "2",
  });
  const keys = await client.get<AnyObject & { data: Record<string, string> }>(resources.secrets, "duo-ssh", {
    namespace: "ada",
  });
  const text = (key: string): string => Buffer.from(keys.data[key]!, "base64").toString();
  assert.match(text("id_rsa"), /^-----BEGIN RSA PRIVATE KEY-----\n/);
  assert.match(text("authorized_keys"), /^ssh-rsa AAAAB3NzaC1yc2E\S+\n$/);
  assert.match(text("config"), /Host duo-worker-0\n {2}HostName duo-worker-0\.duo\n {2}Port 22\n/);
  assert.equal(node.begun.get("duo-worker-1"), 1);
});

test("of more replicas than minAvailable the rest wait by themselves, and the end is Volcano's", async () => {
  for (const name of ["elastic-w-0", "elastic-w-1"]) runs.set(name, 500);
  await submit("elastic", { minAvailable: 2, tasks: [{ name: "w", replicas: 3, template: template() }] });
  const done = await phase("elastic", "Completed");
  assert.equal(done.status?.succeeded, 3);
  assert.deepEqual(
    (await ended("elastic"))[0]!.spec.podSets.map(({ count }) => count),
    [2],
  );
  assert.match((await podOf("elastic-w-2")).metadata.labels![labels.workload]!, /^elastic-w-2-/);

  // Where there is no room they have the places of those that have ended.
  await submit("turns", { minAvailable: 2, tasks: [{ name: "w", replicas: 5, template: template("2") }] });
  assert.equal((await phase("turns", "Completed")).status?.succeeded, 5);
  const [turns] = await ended("turns");
  assert.equal((await podOf("turns-w-4")).metadata.labels![labels.workload], turns!.metadata.name);

  ends.set("broken-w-0", [3]);
  await submit("broken", { tasks: [{ name: "w", replicas: 2, template: template() }] });
  const broken = await phase("broken", "Failed");
  assert.equal(broken.status?.state?.message, "1 of 2 pods failed; task w needs 2 that succeed");
  const [failed] = await ended("broken");
  assert.deepEqual([failed!.status?.phase, failed!.status?.exitCode], ["Failed", 3]);
});

test("pods with claims are made without a node, and bound at their places", async () => {
  await submit("claims", {
    volumes: [{ mountPath: "/data", volumeClaimName: "there" }],
    tasks: [{ name: "w", replicas: 2, template: template() }],
  });
  await phase("claims", "Completed");
  const [workload] = await ended("claims");
  for (const pod of await podsOf("claims")) {
    assert.equal(pod.metadata.labels?.[labels.workload], workload!.metadata.name);
    assert.deepEqual(pod.spec.containers[0]!.volumeMounts, [{ name: "job-volume-0", mountPath: "/data" }]);
  }
});

test("policies: a failed pod begins all anew until maxRetry, an exit code or a completed task ends all", async () => {
  ends.set("again-w-1", [1]);
  runs.set("again-w-0", 150);
  await submit("again", {
    policies: [{ event: "PodFailed", action: "RestartJob" }],
    tasks: [{ name: "w", replicas: 2, template: template() }],
  });
  const again = await phase("again", "Completed", "Failed");
  assert.deepEqual(phasesOf(again), ["Pending", "Running", "Restarting", "Pending", "Running", "Completed"]);
  assert.deepEqual([again.status?.retryCount, again.status?.version], [1, 1]);
  const [workload, ...others] = await ended("again");
  assert.deepEqual([others, workload!.status?.attempts], [[], 1]);

  ends.set("never-w-0", [1, 1, 1, 1]);
  await submit("never", {
    maxRetry: 2,
    tasks: [
      { name: "w", replicas: 1, template: template(), policies: [{ event: "PodFailed", action: "RestartTask" }] },
    ],
  });
  const never = await phase("never", "Failed");
  assert.deepEqual([never.status?.retryCount, never.status?.state?.reason], [2, "MaxRetry"]);

  ends.set("code-w-0", [42]);
  runs.set("code-w-1", 60_000);
  await submit("code", {
    policies: [
      { exitCode: 7, action: "RestartJob" },
      { exitCode: 42, action: "TerminateJob" },
    ],
    tasks: [{ name: "w", replicas: 2, template: template() }],
  });
  const code = await phase("code", "Terminated");
  assert.equal(code.status?.state?.message, "PodFailed of pod code-w-0, exit code 42: TerminateJob");
  assert.equal((await ended("code"))[0]!.status?.phase, "Cancelled");

  runs.set("mpi-worker-0", 60_000);
  await submit("mpi", {
    tasks: [
      {
        name: "master",
        replicas: 1,
        template: template(),
        policies: [{ event: "TaskCompleted", action: "CompleteJob" }],
        dependsOn: { name: ["worker"] },
      },
      { name: "worker", replicas: 1, template: template() },
    ],
    plugins: { mpi: [], svc: ["--disable-network-policy=true"] },
  });
  const mpi = await phase("mpi", "Completed", "Failed");
  assert.deepEqual(phasesOf(mpi).slice(-2), ["Completing", "Completed"]);
  const master = await podOf("mpi-master-0");
  assert.equal(master.spec.containers[0]!.env?.find(({ name }) => name === "MPI_HOST")?.value, "mpi-worker-0.mpi");
  assert.equal((await ended("mpi"))[0]!.status?.phase, "Succeeded");
});

test("suspended by a command it holds nothing, and goes on when it is resumed; a pod that is deleted comes again", async () => {
  runs.set("pause-w-0", 60_000).set("pause-w-1", 60_000);
  await submit("pause", { tasks: [{ name: "w", replicas: 2, template: template("2") }] });
  await phase("pause", "Running");
  await client.delete(resources.pods, "pause-w-1", { namespace: "ada" });
  await waitUntil(
    () => Promise.resolve(node.begun.get("pause-w-1")),
    (times) => times === 2,
    15_000,
  );
  await command("pause", "AbortJob");
  await phase("pause", "Aborted");
  assert.deepEqual(await podsOf("pause"), []);
  const [held] = await waitUntil(
    () => workloadsOf("pause"),
    ([found]) => found?.status?.phase === "Pending",
    15_000,
  );
  assert.equal(held!.spec.hold, "User");
  await submit("between", { tasks: [{ name: "w", replicas: 1, template: template("4") }] });
  await phase("between", "Completed");
  runs.set("pause-w-0", 20).set("pause-w-1", 20);
  await command("pause", "ResumeJob");
  const done = await phase("pause", "Completed");
  assert.equal(done.status?.retryCount, 1);
  assert.deepEqual((await client.list(volcanoCommands, { namespace: "ada" })).items, []);
  assert.equal((await ended("pause"))[0]!.status?.attempts, 2);
});

test("an evicted pod is an event, and so is one that waits too long", async () => {
  runs.set("evicted-w-0", 60_000);
  await submit("evicted", {
    policies: [{ event: "PodEvicted", action: "TerminateJob" }],
    tasks: [{ name: "w", replicas: 1, template: template() }],
  });
  await phase("evicted", "Running");
  await client.delete(resources.pods, "evicted-w-0", { namespace: "ada" });
  const evicted = await phase("evicted", "Terminated");
  assert.match(evicted.status!.state!.message!, /^PodEvicted of pod evicted-w-0/);

  runs.set("late-w-0", 60_000);
  await submit("late", {
    minAvailable: 1,
    policies: [{ event: "PodPending", action: "AbortJob", timeout: "500ms" }],
    tasks: [{ name: "w", replicas: 2, template: template("4") }],
  });
  await phase("late", "Aborted");
  await client.delete(volcanoJobs, "late", { namespace: "ada" });
});

test("cancelled, refused and timed out Jobs tell so; one with a time to live goes", async () => {
  runs.set("gone-w-0", 60_000);
  await submit("gone", { tasks: [{ name: "w", replicas: 1, template: template() }] });
  await phase("gone", "Running");
  const [{ metadata }] = (await workloadsOf("gone")) as [Workload];
  await client.patch(
    workloads,
    metadata.name,
    { metadata: { annotations: { [annotations.cancel]: "ada" } } },
    { namespace: "ada" },
  );
  const gone = await phase("gone", "Terminated");
  assert.equal(gone.status?.state?.reason, "Cancelled");

  await submit("nowhere", { queue: "nowhere", tasks: [{ name: "w", replicas: 1, template: template() }] });
  const nowhere = await phase("nowhere", "Failed");
  assert.equal(nowhere.status?.state?.reason, "UnknownQueue");

  await submit("brief", { ttlSecondsAfterFinished: 0, tasks: [{ name: "w", replicas: 1, template: template() }] });
  await waitUntil(
    () =>
      client.list(volcanoJobs, { namespace: "ada" }).then(({ items }) => items.map(({ metadata: { name } }) => name)),
    (names) => !names.includes("brief"),
    15_000,
  );
});

test("what cannot be had is refused in words that name the field", async () => {
  const one = { name: "w", replicas: 1, template: template() };
  await assert.rejects(
    submit("no", { tasks: [{ ...one, minAvailable: 2 }] }),
    /minAvailable must not be more than replicas/,
  );
  await assert.rejects(
    submit("no", { tasks: [one], policies: [{ action: "AbortJob" }] }),
    /either event \(or events\) or exitCode/,
  );
  await assert.rejects(submit("no", { tasks: [one], plugins: { magic: [] } }), /plugins: there are env, svc, ssh/);
  const refused: [string, VolcanoJobSpec, RegExp][] = [
    ["twice", { tasks: [one, one] }, /^spec\.tasks\[1\]\.name: another task is named w already$/],
    ["much", { minAvailable: 3, tasks: [one] }, /^spec\.minAvailable: 3 is more than all tasks have replicas, 1$/],
    ["other", { schedulerName: "default-scheduler", tasks: [one] }, /^spec\.schedulerName: default-scheduler/],
    ["circle", { tasks: [{ ...one, dependsOn: { name: ["w"] } }] }, /in a circle$/],
    ["word", { tasks: [one], plugins: { svc: ["--wrong"] } }, /^spec\.plugins\.svc: --wrong is not known/],
    ["events", { tasks: [one], policies: [{ events: ["*", "PodFailed"], action: "AbortJob" }] }, /event \* is for all/],
  ];
  for (const [name, spec, words] of refused) {
    await submit(name, spec);
    const { status } = await phase(name, "Failed");
    assert.match(status!.state!.message!, words);
  }
});

test("a Queue of Volcano's stands for one of Berth's, which opens, closes and goes with it", async () => {
  const made = await client.create<AnyObject>(volcanoQueues, {
    apiVersion: "scheduling.volcano.sh/v1beta1",
    kind: "Queue",
    metadata: { name: "render" },
    spec: { weight: 4, capability: { cpu: 2 }, reclaimable: false },
  } as AnyObject);
  const queueWhen = (holds: (queue: Queue | undefined) => boolean): Promise<Queue | undefined> =>
    waitUntil(() => client.get<Queue>(queues, "render").catch(() => undefined), holds, 60_000);
  const queue = await queueWhen((found) => found !== undefined);
  assert.deepEqual(
    [queue!.spec.priorityFactor, queue!.spec.limits, queue!.spec.state],
    [4, { resources: { cpu: "2" } }, "Up"],
  );
  assert.equal(queue!.metadata.ownerReferences?.[0]?.uid, made.metadata.uid);
  await submit("queued", { queue: "render", tasks: [{ name: "w", replicas: 1, template: template() }] });
  await phase("queued", "Completed");
  await client.create(volcanoCommands, {
    apiVersion: "bus.volcano.sh/v1alpha1",
    kind: "Command",
    metadata: { name: "close-render", namespace: "ada" },
    action: "CloseQueue",
    target: { kind: "Queue", name: "render" },
  } as unknown as AnyObject);
  await queueWhen((found) => found?.spec.state === "Drained");
  await submit("after", { queue: "render", tasks: [{ name: "w", replicas: 1, template: template() }] });
  assert.match((await phase("after", "Failed")).status!.state!.message!, /render/);
});

test("where Volcano runs its Jobs are left alone", async () => {
  const name = "jobs.batch.volcano.sh";
  const label = (value: string | null) =>
    client.patch(resources.customResourceDefinitions, name, {
      metadata: { labels: { "app.kubernetes.io/part-of": value } },
    });
  await label(null);
  await waitUntil(
    () => Promise.resolve(cluster.logs.some((line) => line.includes("are left alone"))),
    (isTold) => isTold,
    15_000,
  );
  await submit("theirs", { tasks: [{ name: "w", replicas: 1, template: template() }] });
  await label("berth");
  await phase("theirs", "Completed");
});
