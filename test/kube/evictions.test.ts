/** What a kubelet or the API evicts is told as what it is. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { resources } from "@berth/client";
import { apiVersion, isFinal, labels, type Pod, type PodTemplate, type Workload, workloads } from "@berth/kinds";
import { waitFor } from "../support/waiting.ts";
import { person, startBerth, type BerthOnKube } from "./berth.ts";
import { startRealCluster, withoutRealNodes, type RealCluster } from "./real-nodes.ts";

const namespace = person.name;
const staticPods = "/run/static-pods";

describe("evictions", { skip: withoutRealNodes(), timeout: 600_000 }, () => {
  let cluster: RealCluster;
  let berth: BerthOnKube;
  before(async () => {
    cluster = await startRealCluster({
      nodes: 2,
      kubelet: { staticPodPath: staticPods, fileCheckFrequency: "1s" },
    });
    berth = await startBerth(cluster);
    // Makes the namespace.
    const { code, stderr } = await berth.berth(["sbatch", "--wait", "-t1", "--wrap", "true"]);
    assert.equal(code, 0, stderr);
  });
  after(async () => {
    await berth?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  async function create(
    name: string,
    script: string,
    cpu: string,
    spec: Partial<PodTemplate["spec"]> = {},
  ): Promise<void> {
    const { volumes, ...rest } = spec;
    const volumeMounts = volumes?.map(({ name: volume }) => ({ name: volume, mountPath: `/${volume}` })) ?? [];
    const main = { name: "main", command: ["sh", "-c", script], resources: { requests: { cpu } }, volumeMounts };
    await cluster.client.create<Workload>(workloads, {
      apiVersion,
      kind: "Workload",
      metadata: { name, namespace },
      spec: {
        type: "Batch",
        user: person.name,
        wallTimeSeconds: 300,
        podSets: [
          {
            name: "main",
            role: "Driver",
            count: 1,
            template: { spec: { ...rest, ...(volumes && { volumes }), containers: [main] } },
          },
        ],
      },
    });
  }
  const get = (name: string): Promise<Workload> => cluster.client.get<Workload>(workloads, name, { namespace });
  const when = (name: string, what: string, isSo: (workload: Workload) => boolean): Promise<Workload> =>
    waitFor(`${name} ${what}`, async () => {
      const workload = await get(name);
      return isSo(workload) ? workload : undefined;
    });
  const end = (name: string): Promise<Workload> => when(name, "to end", ({ status }) => isFinal(status?.phase));
  const podsOf = async (name: string): Promise<Pod[]> =>
    (await cluster.client.list<Pod>(resources.pods, { namespace, labelSelector: `${labels.workload}=${name}` })).items;

  test("a pod that a kubelet does not take was no attempt, its reason is told, and it goes where there is room", async () => {
    const [node] = cluster.nodes;
    // A pod of the node's own, which the API never hears of, because its namespace is not there.
    const hog = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "hog", namespace: "nowhere" },
      spec: {
        hostNetwork: true,
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: "main",
            image: "localhost/busybox:1",
            command: ["sleep", "3601"],
            resources: { requests: { cpu: "1500m" } },
          },
        ],
      },
    };
    node!.run("mkdir", "-p", staticPods);
    node!.run("sh", "-c", `printf %s '${JSON.stringify(hog)}' >${staticPods}/hog.json`);
    await waitFor("the node's own pod to run", () =>
      node!.run("sh", "-c", `ps ax -o args | grep -c '[s]leep 3601' || true`).trim() !== "0" ? true : undefined,
    );
    await create("bound", "true", "1", { nodeSelector: { "kubernetes.io/hostname": "node1" } });
    const waits = await when(
      "bound",
      "to wait again and say who refused it",
      ({ status }) =>
        status?.phase === "Pending" && (status.attempts ?? 0) === 0 && /OutOfcpu/.test(status.message ?? ""),
    );
    assert.match(waits.status!.message!, /^node node1 did not take it \(OutOfcpu: /);
    // Another, that may go anywhere, is not held up by the node that says no.
    await create("free", "true", "1");
    const free = await end("free");
    assert.deepEqual([free.status?.phase, free.status?.attempts, free.status?.nodes], ["Succeeded", 1, ["node2"]]);
    node!.run("rm", `${staticPods}/hog.json`);
    const bound = await end("bound");
    assert.deepEqual([bound.status?.phase, bound.status?.attempts], ["Succeeded", 1]);
    assert.equal(bound.status?.restarts, undefined);
  });

  test("a pod that the API evicts is begun again, and one that writes more than its limit has failed, in words", async () => {
    await create("moved", "[ $SLURM_RESTART_COUNT ] || sleep 300", "100m");
    await when("moved", "to run", ({ status }) => status?.phase === "Running");
    const [pod] = await podsOf("moved");
    await cluster.client.request({
      method: "POST",
      path: `/api/v1/namespaces/${namespace}/pods/${pod!.metadata.name}/eviction`,
      body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: pod!.metadata.name, namespace } },
    });
    const moved = await end("moved");
    assert.deepEqual([moved.status?.phase, moved.status?.attempts, moved.status?.restarts], ["Succeeded", 2, 1]);

    const volumes = [{ name: "scratch", emptyDir: { sizeLimit: "1Mi" } }];
    await create("greedy", "dd if=/dev/zero of=/scratch/file bs=1M count=8; sleep 300", "100m", { volumes });
    const greedy = await end("greedy");
    assert.deepEqual([greedy.status?.phase, greedy.status?.attempts], ["Failed", 1]);
    assert.match(greedy.status?.message ?? "", /exceeds the limit/);
  });
});
