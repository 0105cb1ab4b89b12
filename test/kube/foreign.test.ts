/** Work that Berth did not make, on a real control plane: Jobs that are held as one, groups of pods, replicas of others. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isReason, resources, type AnyObject } from "@berth/client";
import { annotations, apiVersion, isFinal, labels, type Pod, queues, type Workload, workloads } from "@berth/kinds";
import type { ResourceKey } from "@berth/machinery";
import { coschedulingGroups, volcanoGroups } from "../support/group-kinds.ts";
import { waitFor } from "../support/waiting.ts";
import { person, startBerth, type BerthOnKube } from "./berth.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { startKwok, withoutKwok } from "./kwok.ts";

const deployments: ResourceKey = {
  group: "apps",
  version: "v1",
  resource: "deployments",
  kind: "Deployment",
  namespaced: true,
};

interface JobObject extends AnyObject {
  spec: { suspend?: boolean; parallelism?: number };
  status?: {
    active?: number;
    succeeded?: number;
    completedIndexes?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
  };
}

describe("foreign work on a real control plane", { skip: withoutKwok(), timeout: 600_000 }, () => {
  let cluster: ControlPlane;
  let berth: BerthOnKube;
  const namespace = "lab";
  before(async () => {
    cluster = await startControlPlane({ scheduler: false });
    await startKwok(cluster, { nodes: 2, capacity: { cpu: "4", memory: "8Gi", pods: "100" } });
    berth = await startBerth(cluster);
    const owned = {
      [annotations.owner]: person.name,
      [annotations.uid]: String(person.uid),
      [annotations.gid]: String(person.gid),
    };
    await cluster.client.create(resources.namespaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, annotations: owned },
    });
  });
  after(async () => {
    await berth?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  /** A pod that says all that a managed namespace asks for, and runs for so many seconds. */
  const template = (seconds: number, more: { cpu?: string; labels?: object; exitCode?: number } = {}) => ({
    metadata: {
      labels: more.labels,
      annotations: {
        [annotations.simulatedRunSeconds]: String(seconds),
        [annotations.simulatedExitCode]: String(more.exitCode ?? 0),
      },
    },
    spec: {
      schedulerName: "berth",
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 1,
      securityContext: {
        runAsUser: person.uid,
        runAsGroup: person.gid,
        supplementalGroupsPolicy: "Strict",
      },
      containers: [
        {
          name: "main",
          image: "none",
          securityContext: { allowPrivilegeEscalation: false },
          resources: { requests: { cpu: more.cpu ?? "1" } },
        },
      ],
    },
  });
  const makeJob = (name: string, spec: object, pod = template(1), metadata: object = {}): Promise<AnyObject> =>
    cluster.client.create(resources.jobs, {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name, namespace, labels: { [labels.queue]: "standard" }, ...metadata },
      spec: { suspend: true, template: pod, ...spec },
    } as AnyObject);
  const jobOf = (name: string): Promise<JobObject> =>
    cluster.client.get<JobObject>(resources.jobs, name, { namespace });
  const conditionOf = (job: JobObject, type: string) =>
    job.status?.conditions?.find((condition) => condition.type === type && condition.status === "True");
  const jobWhen = (name: string, what: string, test: (job: JobObject) => boolean): Promise<JobObject> =>
    waitFor(`Job ${name} ${what}`, async () => {
      const job = await jobOf(name);
      return test(job) ? job : undefined;
    });
  const workloadsOf = async (host: string): Promise<Workload[]> =>
    (await cluster.client.listAll<Workload>(workloads, { namespace })).items.filter(
      ({ metadata }) => metadata.annotations?.[annotations.podsOf] === host,
    );
  const workloadWhen = (host: string, what: string, test: (workload: Workload) => boolean): Promise<Workload> =>
    waitFor(`the Workload of ${host} ${what}`, async () => (await workloadsOf(host)).find(test));
  const podsOf = async (job: string): Promise<Pod[]> =>
    (await cluster.client.listAll<Pod>(resources.pods, { namespace, labelSelector: `job-name=${job}` })).items;

  test("a Job is released as one, its pods take turns at its places, and its end is its Workload's", async () => {
    await makeJob("many", { parallelism: 3, completions: 7, completionMode: "Indexed" });
    const done = await jobWhen("many", "to complete", (job) => conditionOf(job, "Complete") !== undefined);
    assert.deepEqual([done.status?.succeeded, done.status?.completedIndexes], [7, "0-6"]);
    const [one, ...others] = await workloadsOf("Job.batch/many");
    assert.deepEqual(others, []);
    const { spec, status } = await workloadWhen("Job.batch/many", "to end", (each) => isFinal(each.status?.phase));
    assert.deepEqual([status?.phase, status?.attempts, spec.podSets[0]!.count], ["Succeeded", 1, 3]);
    assert.equal(one!.metadata.ownerReferences?.[0]?.kind, "Job");
    for (const pod of await podsOf("many")) assert.equal(pod.metadata.labels?.[labels.workload], one!.metadata.name);
  });

  test("it waits whole while there is no room, and says why", async () => {
    await makeJob("first", { parallelism: 6 }, template(1000));
    await workloadWhen("Job.batch/first", "to run", ({ status }) => status?.phase === "Running");
    await makeJob("second", { parallelism: 3 }, template(1));
    const waits = await workloadWhen("Job.batch/second", "to wait", ({ status }) => status?.reason === "Resources");
    const second = await jobOf("second");
    assert.deepEqual([second.spec.suspend, await podsOf("second")], [true, []]);
    assert.match(waits.status?.message ?? "", /cpu/);
    const told = await waitFor("an event of it", async () => {
      const { items } = await cluster.client.listAll<AnyObject & { message?: string }>(resources.events, { namespace });
      return items.find(({ metadata, message = "" }) => metadata.name.startsWith("second.") && message.includes("cpu"));
    });
    assert.notEqual(told, undefined);
    // Taken back by hand: it waits on hold, and makes room.
    await cluster.client.patch<AnyObject>(resources.jobs, "first", { spec: { suspend: true } }, { namespace });
    await workloadWhen(
      "Job.batch/first",
      "to be held",
      ({ spec, status }) => spec.hold === "User" && status?.phase === "Pending",
    );
    await jobWhen("second", "to complete", (job) => conditionOf(job, "Complete") !== undefined);
    await cluster.client.patch<AnyObject>(resources.jobs, "first", { spec: { suspend: false } }, { namespace });
    const again = await workloadWhen("Job.batch/first", "to run again", ({ status }) => status?.phase === "Running");
    assert.equal(again.status?.attempts, 2);
    // Deleting a Job ends all of it.
    await cluster.client.delete(resources.jobs, "first", { namespace, propagationPolicy: "Background" });
    await waitFor("its Workload to go", async () => (await workloadsOf("Job.batch/first")).length === 0 || undefined);
    await waitFor("its pods to go", async () => (await podsOf("first")).length === 0 || undefined);
  });

  test("a Job fails as its pods do, at its wall time, when it is cancelled and when it is refused", async () => {
    await makeJob("bad", { backoffLimit: 0 }, template(1, { exitCode: 3 }));
    await jobWhen("bad", "to fail", (job) => conditionOf(job, "Failed")?.reason === "BackoffLimitExceeded");
    const bad = await workloadWhen("Job.batch/bad", "to end", ({ status }) => isFinal(status?.phase));
    assert.deepEqual([bad.status?.phase, bad.status?.exitCode], ["Failed", 3]);

    await makeJob("slow", {}, template(1000), { annotations: { [annotations.wallTimeSeconds]: "3" } });
    const slow = await jobWhen("slow", "to fail", (job) => conditionOf(job, "Failed") !== undefined);
    assert.equal(conditionOf(slow, "Failed")?.reason, "DeadlineExceeded");
    const timedOut = await workloadWhen("Job.batch/slow", "to end", ({ status }) => isFinal(status?.phase));
    assert.equal(timedOut.status?.phase, "TimedOut");

    await makeJob("unwanted", {}, template(1000));
    const { metadata } = await workloadWhen(
      "Job.batch/unwanted",
      "to run",
      ({ status }) => status?.phase === "Running",
    );
    const cancel = { metadata: { annotations: { [annotations.cancel]: person.name } } };
    await cluster.client.patch(workloads, metadata.name, cancel, { namespace });
    const unwanted = await jobWhen("unwanted", "to fail", (job) => conditionOf(job, "Failed") !== undefined);
    assert.equal(conditionOf(unwanted, "Failed")?.reason, "Cancelled");
    assert.equal((await podsOf("unwanted")).length, 0);

    await makeJob("refused", {}, template(1), { labels: { [labels.queue]: "nowhere" } });
    const refused = await jobWhen("refused", "to fail", (job) => conditionOf(job, "Failed") !== undefined);
    assert.equal(conditionOf(refused, "Failed")?.reason, "UnknownQueue");
  });

  for (const [kind, named] of [
    [coschedulingGroups, (name: string) => ({ labels: { "scheduling.x-k8s.io/pod-group": name } })],
    [volcanoGroups, (name: string) => ({ annotations: { "scheduling.k8s.io/group-name": name } })],
  ] as const) {
    const of = kind.metadata.name.replace("podgroups.", "");
    test(`pods of a PodGroup of ${of} begin together`, async () => {
      const version = of === "scheduling.volcano.sh" ? "v1beta1" : "v1alpha1";
      const groups: ResourceKey = { group: of, version, resource: "podgroups", kind: "PodGroup", namespaced: true };
      const makePod = (name: string): Promise<AnyObject> => {
        const { metadata, spec } = template(3);
        const own = named("crew") as { labels?: object; annotations?: object };
        return cluster.client.create(resources.pods, {
          apiVersion: "v1",
          kind: "Pod",
          metadata: {
            name,
            namespace,
            labels: own.labels,
            annotations: { ...metadata.annotations, ...own.annotations },
          },
          spec,
        } as unknown as AnyObject);
      };
      const names = [0, 1, 2, 3].map((at) => `crew-${version}-${at}`);
      await makePod(names[0]!);
      const conditionIn = async (): Promise<string> => {
        const pod = await cluster.client.get<Pod>(resources.pods, names[0]!, { namespace });
        return pod.status?.conditions?.find(({ type }) => type === "PodScheduled")?.message ?? "";
      };
      await waitFor("word of the kind", async () => (await conditionIn()).includes("does not serve") || undefined);
      await cluster.client.create(resources.customResourceDefinitions, kind);
      const made = { apiVersion: `${of}/${version}`, kind: "PodGroup", metadata: { name: "crew", namespace } };
      await waitFor("the group", () =>
        cluster.client.create(groups, { ...made, spec: { minMember: 3 } } as AnyObject).catch((error: unknown) => {
          if (isReason(error, "NotFound")) return undefined;
          throw error;
        }),
      );
      await waitFor("word of the rest", async () => (await conditionIn()).includes("has 3 pods") || undefined);
      for (const name of names.slice(1, 3)) await makePod(name);
      const host = `PodGroup.${of}/crew`;
      await workloadWhen(host, "to run", ({ status }) => status?.phase === "Running");
      const phase = async (): Promise<string | undefined> =>
        (await cluster.client.get<AnyObject & { status?: { phase?: string } }>(groups, "crew", { namespace })).status
          ?.phase;
      await waitFor("the group to run", async () => (await phase()) === "Running" || undefined);
      await makePod(names[3]!);
      const { status, spec } = await workloadWhen(host, "to end", (each) => isFinal(each.status?.phase));
      assert.deepEqual([status?.phase, spec.podSets.map(({ count }) => count)], ["Succeeded", [3]]);
      const last = of === "scheduling.volcano.sh" ? "Completed" : "Finished";
      await waitFor(`the group to be ${last}`, async () => (await phase()) === last || undefined);
      await waitFor("the fourth to end", async () => {
        const pod = await cluster.client.get<Pod>(resources.pods, names[3]!, { namespace });
        return pod.status?.phase === "Succeeded" || undefined;
      });
    });
  }

  test("replicas of a Deployment each wait in its queue, and run on for as long as they may", async () => {
    await cluster.client.create(queues, {
      apiVersion,
      kind: "Queue",
      metadata: { name: "brief" },
      spec: { defaultWallTimeSeconds: 6 },
    });
    const deploy = (name: string, queue: string): Promise<AnyObject> => {
      const pod = template(1_000_000, { labels: { app: name, [labels.queue]: queue } });
      return cluster.client.create(deployments, {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name, namespace, labels: { [labels.queue]: queue } },
        spec: {
          replicas: 2,
          selector: { matchLabels: { app: name } },
          template: { ...pod, spec: { ...pod.spec, restartPolicy: "Always" } },
        },
      } as AnyObject);
    };
    const replicasOf = async (name: string): Promise<Pod[]> =>
      (await cluster.client.listAll<Pod>(resources.pods, { namespace, labelSelector: `app=${name}` })).items;
    await deploy("web", "brief");
    const running = await waitFor("its replicas to run", async () => {
      const pods = await replicasOf("web");
      return pods.length === 2 && pods.every(({ status }) => status?.phase === "Running") ? pods : undefined;
    });
    const isRenewed = ({ metadata, spec, status }: Workload): boolean =>
      metadata.name.startsWith("web-") &&
      spec.type === "Service" &&
      status?.phase === "Running" &&
      (spec.wallTimeSeconds ?? 0) > 12;
    await waitFor("both to be renewed more than once", async () => {
      const { items } = await cluster.client.listAll<Workload>(workloads, { namespace });
      return items.filter(isRenewed).length === 2 || undefined;
    });
    const uids = (pods: Pod[]): string[] => pods.map(({ metadata }) => metadata.uid ?? "").sort();
    assert.deepEqual(uids(await replicasOf("web")), uids(running));
    await cluster.client.delete(deployments, "web", { namespace, propagationPolicy: "Background" });
    // What can never run waits and says so; it is not made again and again.
    await deploy("nowhere", "nowhere");
    await waitFor("word of the queue", async () => {
      const pods = await replicasOf("nowhere");
      const words = pods.map(
        ({ status }) => status?.conditions?.find(({ type }) => type === "PodScheduled")?.message ?? "",
      );
      return (words.length === 2 && words.every((text) => /there is no queue nowhere/.test(text))) || undefined;
    });
    assert.deepEqual(
      (await replicasOf("nowhere")).map(({ status }) => status?.phase),
      ["Pending", "Pending"],
    );
    await cluster.client.delete(deployments, "nowhere", { namespace, propagationPolicy: "Background" });
  });

  test("another process of controllers goes on with a Job that runs", async () => {
    await makeJob("long", { parallelism: 2, completions: 4 }, template(4));
    await workloadWhen("Job.batch/long", "to run", ({ status }) => status?.phase === "Running");
    const second = await berth.startControllers();
    await berth.first.end("SIGKILL");
    await waitFor("the second to lead", () => second.isLeading() || undefined, 60);
    await jobWhen("long", "to complete", (job) => conditionOf(job, "Complete") !== undefined);
    const { status } = await workloadWhen("Job.batch/long", "to end", (each) => isFinal(each.status?.phase));
    assert.deepEqual([status?.phase, status?.attempts], ["Succeeded", 1]);
    assert.equal((await podsOf("long")).length, 4);
    const errors = second.lines.filter(({ level }) => level === "error");
    assert.deepEqual(errors, []);
  });
});
