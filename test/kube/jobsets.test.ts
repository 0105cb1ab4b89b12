/**
 * JobSets that are held and released as one, on a real control plane. Their own controller cannot be had here; what it does of a JobSet without
 * policies (a Job for each replica, suspended as the JobSet is; its end) is played by a few lines.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type AnyObject, Informer, isReason, resources } from "@berth/client";
import { annotations, isFinal, labels, type Pod, type Workload, workloads } from "@berth/kinds";
import type { ResourceKey } from "@berth/machinery";
import { waitFor } from "../support/waiting.ts";
import { person, startBerth, type BerthOnKube } from "./berth.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { startKwok, withoutKwok } from "./kwok.ts";

const jobSets: ResourceKey = {
  group: "jobset.x-k8s.io",
  version: "v1alpha2",
  resource: "jobsets",
  kind: "JobSet",
  namespaced: true,
};
const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: {
    name: "jobsets.jobset.x-k8s.io",
    annotations: { "api-approved.kubernetes.io": "unapproved, for a test" },
  },
  spec: {
    group: jobSets.group,
    scope: "Namespaced",
    names: { plural: "jobsets", singular: "jobset", kind: "JobSet", listKind: "JobSetList" },
    versions: [
      {
        name: jobSets.version,
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: "object", properties: { spec: open, status: open } } },
      },
    ],
  },
} as unknown as AnyObject;

interface JobSet extends AnyObject {
  spec: {
    suspend?: boolean;
    replicatedJobs: { name: string; replicas: number; template: { spec: { template: Record<string, unknown> } } }[];
  };
  status?: { conditions?: { type: string; status: string; reason?: string }[] };
}
interface Job extends AnyObject {
  spec: { suspend?: boolean };
  status?: { conditions?: { type: string; status: string }[] };
}

describe("JobSets on a real control plane", { skip: withoutKwok(), timeout: 600_000 }, () => {
  let cluster: ControlPlane;
  let berth: BerthOnKube;
  const ending = new AbortController();
  const namespace = "lab";
  before(async () => {
    cluster = await startControlPlane({ scheduler: false });
    await cluster.client.create(resources.customResourceDefinitions, definition);
    await waitFor("the kind", () =>
      cluster.client.list(jobSets).then(
        () => true as const,
        () => undefined,
      ),
    );
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
    await play();
  });
  after(async () => {
    ending.abort();
    await berth?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  /** What the JobSet controller does of plain JobSets. */
  async function play(): Promise<void> {
    const { client } = cluster;
    const common = { client, namespace, signal: ending.signal };
    const known = (error: unknown): void => {
      if (!isReason(error, "AlreadyExists", "NotFound", "Conflict") && !ending.signal.aborted) throw error;
    };
    const sync = async (set: JobSet): Promise<void> => {
      const { name, uid = "" } = set.metadata;
      const isDone = set.status?.conditions?.some(({ status }) => status === "True") === true;
      const mine: Job[] = [];
      for (const { name: part, replicas, template } of set.spec.replicatedJobs) {
        for (let index = 0; index < replicas; index++) {
          const job = jobs.get(namespace, `${name}-${part}-${index}`);
          if (job !== undefined) mine.push(job);
          const marks = { "jobset.sigs.k8s.io/jobset-name": name, "jobset.sigs.k8s.io/replicatedjob-name": part };
          const { metadata, ...rest } = template.spec.template as { metadata?: object };
          const own = { ...template.spec, template: { ...rest, metadata: { ...metadata, labels: marks } } };
          if (job === undefined)
            await client
              .create(resources.jobs, {
                apiVersion: "batch/v1",
                kind: "Job",
                metadata: {
                  name: `${name}-${part}-${index}`,
                  namespace,
                  labels: marks,
                  ownerReferences: [
                    { apiVersion: "jobset.x-k8s.io/v1alpha2", kind: "JobSet", name, uid, controller: true },
                  ],
                },
                spec: { ...own, suspend: set.spec.suspend === true },
              } as unknown as AnyObject)
              .catch(known);
          else if (!isDone && (job.spec.suspend === true) !== (set.spec.suspend === true)) {
            const spec = { suspend: set.spec.suspend === true };
            await client.patch(resources.jobs, job.metadata.name, { spec }, { namespace }).catch(known);
          }
        }
      }
      const has = (type: string) => (job: Job) =>
        job.status?.conditions?.some((each) => each.type === type && each.status === "True") === true;
      const total = set.spec.replicatedJobs.reduce((sum, { replicas }) => sum + replicas, 0);
      const type = mine.some(has("Failed"))
        ? "Failed"
        : mine.length === total && mine.every(has("Complete"))
          ? "Completed"
          : undefined;
      if (type === undefined || isDone) return;
      const condition = {
        type,
        status: "True",
        reason: "Played",
        message: "",
        lastTransitionTime: new Date().toISOString(),
      };
      await client
        .patchStatus(jobSets, name, { status: { conditions: [condition], terminalState: type } }, { namespace })
        .catch(known);
    };
    const look = (): void => {
      for (const set of sets.values()) sync(set).catch(() => {});
    };
    const handlers = [{ add: look, update: look }];
    const jobs = new Informer<Job>({ ...common, resource: resources.jobs });
    await jobs.synced;
    const sets = new Informer<JobSet>({ ...common, resource: jobSets, handlers });
    jobs.addHandler(handlers[0]!);
    await sets.synced;
  }

  const replicated = (
    name: string,
    replicas: number,
    seconds: number,
    more: { parallelism?: number; exitCode?: number } = {},
  ) => ({
    name,
    replicas,
    template: {
      spec: {
        parallelism: more.parallelism ?? 1,
        completions: more.parallelism ?? 1,
        backoffLimit: 0,
        template: {
          metadata: {
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
                resources: { requests: { cpu: "1" } },
              },
            ],
          },
        },
      },
    },
  });
  const submit = (name: string, replicatedJobs: object[], more: object = {}): Promise<AnyObject> =>
    cluster.client.create(jobSets, {
      apiVersion: "jobset.x-k8s.io/v1alpha2",
      kind: "JobSet",
      metadata: { name, namespace, labels: { [labels.queue]: "standard" } },
      spec: { suspend: true, replicatedJobs, ...more },
    } as unknown as AnyObject);
  const setWhen = (name: string, type: string): Promise<JobSet> =>
    waitFor(`JobSet ${name} to be ${type}`, async () => {
      const set = await cluster.client.get<JobSet>(jobSets, name, { namespace });
      return set.status?.conditions?.some((each) => each.type === type && each.status === "True") ? set : undefined;
    });
  const workloadWhen = (name: string, what: string, holds: (workload: Workload) => boolean): Promise<Workload> =>
    waitFor(`the Workload of ${name} ${what}`, async () => {
      const { items } = await cluster.client.listAll<Workload>(workloads, { namespace });
      return items.find(
        (each) => each.metadata.annotations?.[annotations.podsOf] === `JobSet.jobset.x-k8s.io/${name}` && holds(each),
      );
    });
  const podsOf = async (name: string): Promise<Pod[]> => {
    const labelSelector = `jobset.sigs.k8s.io/jobset-name=${name}`;
    return (await cluster.client.listAll<Pod>(resources.pods, { namespace, labelSelector })).items;
  };

  test("a JobSet is released as one, and its end is its Workload's", async () => {
    await submit("both", [replicated("driver", 1, 2), replicated("workers", 2, 1, { parallelism: 2 })]);
    await setWhen("both", "Completed");
    const { spec, status, metadata } = await workloadWhen("both", "to end", (each) => isFinal(each.status?.phase));
    assert.deepEqual(
      [status?.phase, status?.attempts, spec.podSets.map(({ name, count }) => [name, count])],
      [
        "Succeeded",
        1,
        [
          ["driver", 1],
          ["workers", 4],
        ],
      ],
    );
    assert.deepEqual(metadata.ownerReferences?.[0]?.kind, "JobSet");
    for (const pod of await podsOf("both")) assert.equal(pod.metadata.labels?.[labels.workload], metadata.name);
  });

  test("it waits whole, is taken back and goes on, and fails when it is cancelled", async () => {
    await submit("first", [replicated("a", 6, 1000)]);
    await workloadWhen("first", "to run", ({ status }) => status?.phase === "Running");
    await submit("second", [replicated("a", 1, 1), replicated("b", 2, 1)]);
    await workloadWhen("second", "to wait", ({ status }) => status?.reason === "Resources");
    assert.deepEqual(await podsOf("second"), []);
    await cluster.client.patch<AnyObject>(jobSets, "first", { spec: { suspend: true } }, { namespace });
    await workloadWhen(
      "first",
      "to be held",
      ({ spec, status }) => spec.hold === "User" && status?.phase === "Pending",
    );
    await setWhen("second", "Completed");
    await cluster.client.patch<AnyObject>(jobSets, "first", { spec: { suspend: false } }, { namespace });
    const again = await workloadWhen("first", "to run again", ({ status }) => status?.phase === "Running");
    assert.equal(again.status?.attempts, 2);
    const cancel = { metadata: { annotations: { [annotations.cancel]: person.name } } };
    await cluster.client.patch(workloads, again.metadata.name, cancel, { namespace });
    const cancelled = await setWhen("first", "Failed");
    assert.equal(cancelled.status?.conditions?.find(({ type }) => type === "Failed")?.reason, "Cancelled");
    await waitFor("its pods to go", async () => (await podsOf("first")).length === 0 || undefined);
  });

  test("it fails with its Jobs, and what cannot be is refused in words", async () => {
    await submit("bad", [replicated("a", 1, 1, { exitCode: 3 })]);
    await setWhen("bad", "Failed");
    const bad = await workloadWhen("bad", "to end", ({ status }) => isFinal(status?.phase));
    assert.deepEqual([bad.status?.phase, bad.status?.exitCode], ["Failed", 3]);
    await assert.rejects(submit("early", [replicated("a", 1, 1)], { suspend: false }), /add suspend: true/);
    const { template, ...rest } = replicated("a", 1, 1);
    const pod = template.spec.template;
    const other = { ...template.spec, template: { ...pod, spec: { ...pod.spec, schedulerName: "other" } } };
    await submit("other", [{ ...rest, template: { spec: other } }]);
    const refused = await setWhen("other", "Failed");
    assert.equal(refused.status?.conditions?.find(({ type }) => type === "Failed")?.reason, "Invalid");
    assert.deepEqual(
      berth.first.lines.filter(({ level }) => level === "error"),
      [],
    );
  });
});
