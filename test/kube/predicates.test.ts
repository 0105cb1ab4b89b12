/** What decides where a pod may be, on a real control plane, beside kube-scheduler, which places the pods of others. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type AnyObject, resources } from "@berth/client";
import { annotations, apiVersion, isFinal, type Pod, type Workload, workloads } from "@berth/kinds";
import { waitFor } from "../support/waiting.ts";
import { person, startBerth, type BerthOnKube } from "./berth.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { startKwok, withoutKwok } from "./kwok.ts";

const namespace = "lab";
const gpu = "example.com/gpus";

interface Asked {
  /** Of the one container. */
  container?: Record<string, unknown>;
  requests?: Record<string, string>;
  limits?: Record<string, string>;
  pod?: Record<string, unknown>;
  count?: number;
  runSeconds?: number;
  workload?: Partial<Workload["spec"]>;
}

describe("predicates on a real control plane", { skip: withoutKwok(), timeout: 600_000 }, () => {
  let plane: ControlPlane;
  let berth: BerthOnKube;
  before(async () => {
    plane = await startControlPlane();
    await startKwok(plane, { nodes: 3, capacity: { cpu: "4", memory: "8Gi", pods: "100", [gpu]: "2" } });
    berth = await startBerth(plane);
    const owned = {
      [annotations.owner]: person.name,
      [annotations.uid]: String(person.uid),
      [annotations.gid]: String(person.gid),
    };
    for (const [name, stated] of [[namespace, owned] as const, ["others", {}] as const]) {
      const metadata = { name, annotations: stated };
      await plane.client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata });
    }
    await waitFor("the service account of others", () =>
      plane.client.get(resources.serviceAccounts, "default", { namespace: "others" }).catch(() => undefined),
    );
  });
  after(async () => {
    await berth?.[Symbol.asyncDispose]();
    await plane?.[Symbol.asyncDispose]();
  });

  const templateOf = ({ container, requests = { cpu: "100m" }, limits, pod, runSeconds = 10_000 }: Asked) => ({
    metadata: { annotations: { [annotations.simulatedRunSeconds]: String(runSeconds) } },
    spec: {
      containers: [{ name: "main", image: "none", resources: { requests, limits }, ...container }],
      terminationGracePeriodSeconds: 0,
      ...pod,
    },
  });
  const submit = (name: string, asked: Asked = {}): Promise<AnyObject> =>
    plane.client.create(workloads, {
      apiVersion,
      kind: "Workload",
      metadata: { name, namespace },
      spec: {
        wallTimeSeconds: 600,
        graceSeconds: 0,
        podSets: [{ name: "main", count: asked.count ?? 1, template: templateOf(asked) }],
        ...asked.workload,
      },
    } as AnyObject);
  /** A pod that kube-scheduler places. */
  const foreign = async (name: string, asked: Asked & { node?: string }): Promise<Pod> => {
    const { metadata, spec } = templateOf(asked);
    const at = asked.node === undefined ? {} : { nodeSelector: { "kubernetes.io/hostname": asked.node } };
    await plane.client.create(resources.pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "others", ...metadata },
      spec: { ...spec, ...at },
    } as AnyObject);
    return waitFor(`${name} to run`, async () => {
      const pod = await plane.client.get<Pod>(resources.pods, name, { namespace: "others" });
      return pod.status?.phase === "Running" ? pod : undefined;
    });
  };
  const workloadWhen = (
    name: string,
    what: string,
    isSo: (status: NonNullable<Workload["status"]>) => boolean,
  ): Promise<NonNullable<Workload["status"]>> => {
    let last: Workload["status"];
    return waitFor(
      `${name} ${what}`,
      async () => {
        last = (await plane.client.get<Workload>(workloads, name, { namespace })).status;
        return last !== undefined && isSo(last) ? last : undefined;
      },
      60,
    ).catch((error: unknown) => {
      throw new Error(
        `${(error as Error).message}; it is ${JSON.stringify(last)}; said: ${JSON.stringify(berth.first.lines.slice(-5))}`,
      );
    });
  };
  const runs = async (name: string): Promise<string[]> => {
    const { nodes = [] } = await workloadWhen(name, "to run", ({ phase }) => phase === "Running");
    return nodes.toSorted();
  };
  const waits = async (name: string, why: RegExp, reason = "Resources"): Promise<void> => {
    await workloadWhen(
      name,
      `to wait for ${reason} with ${String(why)}`,
      (status) => status.phase === "Pending" && status.reason === reason && why.test(status.message ?? ""),
    );
  };
  const refusal = async (name: string): Promise<string> => {
    const refusedIn = ({ conditions = [] }: NonNullable<Workload["status"]>) =>
      conditions.find(({ type, status }) => type === "Admitted" && status === "False");
    return refusedIn(await workloadWhen(name, "to be refused", (status) => refusedIn(status) !== undefined))!.message;
  };
  const cancel = async (...names: string[]): Promise<void> => {
    for (const name of names) {
      const stated = { metadata: { annotations: { [annotations.cancel]: person.name } } };
      await plane.client.patch(workloads, name, stated, { namespace });
    }
    for (const name of names) await workloadWhen(name, "to end", ({ phase }) => isFinal(phase));
  };
  const remove = async (...pods: Pod[]): Promise<void> => {
    for (const { metadata } of pods) await plane.client.delete(resources.pods, metadata.name, { namespace: "others" });
  };

  test("a port of a node is one pod's: of Berth's, and of others that kube-scheduler placed", async () => {
    const listens = (hostPort: number, more: object = {}) => ({
      container: { ports: [{ containerPort: 80, hostPort, ...more }] },
    });
    const other = await foreign("listens", { ...listens(8080), node: "kwok-1" });
    await submit("port", { ...listens(8080), count: 2 });
    assert.deepEqual(await runs("port"), ["kwok-0", "kwok-2"]);
    await submit("another", listens(8081));
    await submit("datagrams", listens(8080, { protocol: "UDP" }));
    await runs("another");
    await runs("datagrams");
    await submit("late", listens(8080, { hostIP: "10.0.0.1" }));
    await waits("late", /host ports/);
    await remove(other);
    assert.deepEqual(await runs("late"), ["kwok-1"]);
    await submit("elsewhere", listens(8080, { hostIP: "10.0.0.2" }));
    assert.deepEqual(await runs("elsewhere"), ["kwok-1"]);
    await submit("many", { ...listens(9090), count: 4 });
    await waits("many", /rules between its pods/, "NodesUnavailable");
    await cancel("port", "another", "datagrams", "late", "elsewhere", "many");
  });

  test("a node that is cordoned, tainted by its state or not ready takes nothing new", async () => {
    const cordon = (name: string, unschedulable: boolean) =>
      plane.client.patch(resources.nodes, name, { spec: { unschedulable: unschedulable || null } });
    await cordon("kwok-0", true);
    // As a kubelet under pressure says it: the controller manager makes the taint of it.
    const pressure = async (status: string): Promise<void> => {
      const node = await plane.client.get<AnyObject & { status: { conditions: { type: string }[] } }>(
        resources.nodes,
        "kwok-1",
      );
      const { conditions } = node.status;
      Object.assign(
        conditions.find(({ type }) => type === "DiskPressure")!,
        { status },
      );
      await plane.client.patchStatus(resources.nodes, "kwok-1", { status: { conditions } });
    };
    await pressure("True");
    await waitFor("the taint", async () => {
      const node = await plane.client.get<AnyObject & { spec: { taints?: { key: string }[] } }>(
        resources.nodes,
        "kwok-1",
      );
      return node.spec.taints?.some(({ key }) => key === "node.kubernetes.io/disk-pressure") || undefined;
    });
    await submit("wide", { requests: { cpu: "3" }, count: 2 });
    await waits("wide", /could not hold it|no node|only|usable|may use/, "NodesUnavailable");
    await submit("narrow", { requests: { cpu: "3" } });
    assert.deepEqual(await runs("narrow"), ["kwok-2"]);
    await pressure("False");
    await cordon("kwok-0", false);
    assert.deepEqual(await runs("wide"), ["kwok-0", "kwok-1"]);
    await cancel("wide", "narrow");
  });

  test("extended resources count, those of others too", async () => {
    const devices = (count: string): Asked => ({ limits: { [gpu]: count } });
    const other = await foreign("uses", { ...devices("1"), node: "kwok-0" });
    await submit("two", { ...devices("2"), count: 2 });
    assert.deepEqual(await runs("two"), ["kwok-1", "kwok-2"]);
    await submit("one", devices("1"));
    assert.deepEqual(await runs("one"), ["kwok-0"]);
    await submit("more", devices("1"));
    await waits("more", new RegExp(`needs 1 ${gpu} on one node; at most 0`));
    await remove(other);
    assert.deepEqual(await runs("more"), ["kwok-0"]);
    await submit("never", devices("3"));
    assert.match(await refusal("never"), new RegExp(`needs 3 ${gpu} on one node; the largest has 2`));
    await cancel("two", "one", "more");
  });
});
