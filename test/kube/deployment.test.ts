/** The controllers as `berth install` puts them there: an image of this repository, run by a kubelet as the Deployment says. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type AnyObject, type Client, type Lease, resources } from "@berth/client";
import { annotations, isFinal, type Pod, systemNamespace, type Workload, workloads } from "@berth/kinds";
import { waitFor } from "../support/waiting.ts";
import { installBerth, type Installed, person } from "./berth.ts";
import { berthImage } from "./images.ts";
import { startRealCluster, withoutRealNodes, type RealCluster } from "./real-nodes.ts";

const deployments = { group: "apps", version: "v1", resource: "deployments", namespaced: true } as const;
const volumes = { group: "", version: "v1", resource: "persistentvolumes", namespaced: false } as const;
const inSystem = { namespace: systemNamespace };
const name = "berth-controllers";

describe("the Deployment of the controllers", { skip: withoutRealNodes(), timeout: 300_000 }, () => {
  let cluster: RealCluster;
  let client: Client;
  let berth: Installed;
  before(async () => {
    cluster = await startRealCluster({
      images: [berthImage()],
      // The API server reaches what pods serve by their addresses: nobody forwards those of Services here.
      apiServerFlags: ["--enable-aggregator-routing=true"],
    });
    client = cluster.client;
    await makeClaimable();
    berth = await installBerth(cluster, { words: ["--level", "webhook"] });
  });
  after(async () => {
    berth?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  /** As the default storage class of a cluster would: a volume that is given to the group of its pod. */
  async function makeClaimable(): Promise<void> {
    const path = join(cluster.folder, "accounting");
    mkdirSync(path);
    const matchExpressions = [{ key: "kubernetes.io/hostname", operator: "In", values: [cluster.nodes[0]!.name] }];
    await client.create(volumes, {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: "accounting" },
      spec: {
        capacity: { storage: "10Gi" },
        accessModes: ["ReadWriteOnce"],
        local: { path },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions }] } },
      },
    } as AnyObject);
  }
  const podsOfControllers = async (): Promise<Pod[]> =>
    (await client.list<Pod>(resources.pods, { ...inSystem, labelSelector: `app.kubernetes.io/name=${name}` })).items;
  const isReady = ({ metadata, status }: Pod): boolean =>
    metadata.deletionTimestamp === undefined &&
    status?.conditions?.some(({ type, status: holds }) => type === "Ready" && holds === "True") === true;
  const leader = async (): Promise<string> =>
    (await client.get<Lease>(resources.leases, "controllers", inSystem)).spec?.holderIdentity ?? "";
  /** The pod that is ready and leads, other than one of before. */
  const leading = (before?: string): Promise<Pod> =>
    waitFor(
      "a pod of the controllers to lead",
      async () => {
        const holder = await leader().catch(() => "");
        return (await podsOfControllers()).find(
          (pod) => isReady(pod) && pod.metadata.name !== before && holder.startsWith(pod.metadata.name),
        );
      },
      90,
    );
  async function submit(...words: string[]): Promise<number> {
    const { code, stdout, stderr } = await berth.berth(["sbatch", "-t", "5", "--mem=20M", ...words]);
    assert.equal(code, 0, stderr);
    return Number(/^Submitted batch job (\d+)/.exec(stdout)?.[1]);
  }
  const when = (job: number, test: (workload: Workload) => boolean): Promise<Workload> =>
    waitFor(
      `job ${job}`,
      async () => {
        const { items } = await client.listAll<Workload>(workloads, { namespace: person.name });
        return items.find((each) => each.status?.jobId === job && test(each));
      },
      60,
    );
  const end = (job: number): Promise<Workload> => when(job, ({ status }) => isFinal(status?.phase));
  const running = (job: number): Promise<Workload> => when(job, ({ status }) => status?.phase === "Running");

  const accounted = (job: number): Promise<true> =>
    waitFor(
      `accounting to tell of job ${job}`,
      async () => {
        const { stdout } = await berth.berth(["sacct", "-nXo", "JobID,State", "-j", String(job)]);
        return new RegExp(`^ *${job} +COMPLETED`).test(stdout) || undefined;
      },
      60,
    );

  test("it runs under restricted PodSecurity, leads, and is told healthy", async () => {
    const pod = await leading();
    const { metadata } = await client.get<AnyObject>(resources.namespaces, systemNamespace);
    assert.equal(metadata.labels?.["pod-security.kubernetes.io/enforce"], "restricted");
    assert.equal(pod.spec.securityContext?.runAsUser, 65_532);
    const { code, stdout } = await waitFor("berth status to be content", async () => {
      const outcome = await berth.administer(["status"]);
      return outcome.code === 0 ? outcome : undefined;
    });
    assert.equal(code, 0);
    assert.match(stdout, /controllers: 1 of 1 ready, image localhost\/berth:/);
    assert.match(stdout, new RegExp(`leader: ${pod.metadata.name}`));
    assert.match(stdout, /level webhook: what pods of a managed namespace lack is filled in by the controllers/);
    assert.doesNotMatch(stdout, /wrong:/);
  });

  test("its webhook fills in what a pod of a managed namespace lacks", async () => {
    const owner = { [annotations.owner]: person.name, [annotations.uid]: "1234", [annotations.gid]: "1234" };
    await client.create(resources.namespaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "filled", annotations: owner },
    });
    const made = await waitFor(
      "the webhook to fill in what the controllers said of the namespace",
      async () => {
        const pod = await client
          .create<Pod>(
            resources.pods,
            {
              apiVersion: "v1",
              kind: "Pod",
              metadata: { name: "plain", namespace: "filled" },
              spec: { containers: [{ name: "main", image: "localhost/busybox:1" }] },
            } as Pod,
            { dryRun: true },
          )
          .catch(() => undefined);
        // Whose ids these are is not so: the controllers mend it.
        return pod?.spec.securityContext?.runAsGroup === person.gid ? pod : undefined;
      },
      60,
    );
    assert.deepEqual([made.spec.schedulerName, made.spec.securityContext?.runAsUser], ["berth", person.uid]);
  });

  test("a job runs, and questions and accounting are answered by the pod through the API server", async () => {
    const job = await submit("-o", "out", "--wrap", "id -u");
    assert.equal((await end(job)).status?.phase, "Succeeded");
    assert.equal(readFileSync(join(berth.home, "out"), "utf8"), `${person.uid}\n`);
    await accounted(job);
  });

  test("under any UID, as OpenShift gives: the next pod goes on with what runs and with the record", async () => {
    const job = await submit("--wrap", "sleep 8");
    await running(job);
    const before = (await leading()).metadata.name;
    const securityContext = { runAsUser: 1_000_670_000, runAsGroup: 0, fsGroup: 1_000_670_000 };
    await client.patch(deployments, name, { spec: { template: { spec: { securityContext } } } }, inSystem);
    const next = await leading(before);
    assert.equal(next.spec.securityContext?.runAsUser, 1_000_670_000);
    const { status } = await end(job);
    assert.deepEqual([status?.phase, status?.attempts], ["Succeeded", 1]);
    await accounted(job - 1);
    await accounted(job);
  });

  test("where a pod waits to lead it leads when the other is gone", async () => {
    const before = (await leading()).metadata.name;
    await client.patch(deployments, name, { spec: { replicas: 2 } }, inSystem);
    const other = await waitFor("the second pod to wait", async () =>
      (await podsOfControllers()).find((pod) => isReady(pod) && pod.metadata.name !== before),
    );
    assert.ok((await leader()).startsWith(before));
    await client.delete(resources.pods, before, inSystem);
    await waitFor("the other to lead", async () =>
      (await leader()).startsWith(other.metadata.name) ? true : undefined,
    );
    await submit("--wrap", "true").then(end);
    await client.patch(deployments, name, { spec: { replicas: 1 } }, inSystem);
  });

  test("an uninstallation leaves running work alone, and an installation goes on with it", async () => {
    const job = await submit("-o", "left", "--wrap", "sleep 5; echo done");
    await running(job);
    const removed = await berth.administer(["uninstall", "--yes"]);
    assert.equal(removed.code, 0, removed.stderr);
    assert.match(removed.stdout, /1 running pod of jobs: they go on/);
    assert.match(removed.stdout, /MutatingWebhookConfiguration berth-fill removed/);
    await waitFor("the controllers to go", async () => (await podsOfControllers()).length === 0 || undefined);
    await waitFor("the job to end by itself", async () => {
      const { items } = await client.list<Pod>(resources.pods, { namespace: person.name });
      return items.find(({ status }) => status?.phase === "Succeeded");
    });
    assert.equal(readFileSync(join(berth.home, "left"), "utf8"), "done\n");
    assert.equal((await berth.administer(["install"])).code, 0);
    assert.equal((await end(job)).status?.phase, "Succeeded");
    await accounted(job);
  });
});
