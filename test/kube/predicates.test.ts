/** What decides where a pod may be, on a real control plane, beside kube-scheduler, which places the pods of others. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type AnyObject, resources } from "@berth/client";
import { annotations, apiVersion, isFinal, type Pod, type Workload, workloads } from "@berth/kinds";
import type { ResourceKey } from "@berth/machinery";
import { waitFor } from "../support/waiting.ts";
import { person, startBerth, type BerthOnKube, type Controllers } from "./berth.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { startKwok, withoutKwok } from "./kwok.ts";

const kind = (group: string, version: string, resource: string, kind: string, namespaced = false): ResourceKey => {
  return { group, version, resource, kind, namespaced };
};
const runtimeClasses = kind("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass");
const storageClasses = kind("storage.k8s.io", "v1", "storageclasses", "StorageClass");
const csiNodes = kind("storage.k8s.io", "v1", "csinodes", "CSINode");
const volumes = kind("", "v1", "persistentvolumes", "PersistentVolume");
const claims = kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true);
const device = (resource: string, name: string, namespaced = false) =>
  kind("resource.k8s.io", "v1", resource, name, namespaced);
const slices = device("resourceslices", "ResourceSlice");
const deviceClasses = device("deviceclasses", "DeviceClass");
const deviceClaims = device("resourceclaims", "ResourceClaim", true);
const claimTemplates = device("resourceclaimtemplates", "ResourceClaimTemplate", true);

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
  let leading: Controllers;
  before(async () => {
    plane = await startControlPlane();
    await startKwok(plane, { nodes: 3, capacity: { cpu: "4", memory: "8Gi", pods: "100", [gpu]: "2" } });
    berth = await startBerth(plane);
    leading = berth.first;
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
        `${(error as Error).message}; it is ${JSON.stringify(last)}; said: ${JSON.stringify(leading.lines.slice(-5))}`,
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

  test("what a RuntimeClass takes beside the containers counts, and where it says, its pods go", async () => {
    await plane.client.create(runtimeClasses, {
      apiVersion: "node.k8s.io/v1",
      kind: "RuntimeClass",
      metadata: { name: "heavy" },
      handler: "heavy",
      overhead: { podFixed: { cpu: "1500m", memory: "64Mi" } },
      scheduling: { nodeSelector: { heavy: "yes" } },
    } as unknown as AnyObject);
    await plane.client.patch(resources.nodes, "kwok-0", { metadata: { labels: { heavy: "yes" } } });
    const heavy = (): Asked => ({ requests: { cpu: "1" }, pod: { runtimeClassName: "heavy" } });
    await submit("first", heavy());
    assert.deepEqual(await runs("first"), ["kwok-0"]);
    await submit("second", heavy());
    await waits("second", /needs 2.5 cpus on one node; at most 1.5 cpus/);
    await cancel("first");
    assert.deepEqual(await runs("second"), ["kwok-0"]);
    await cancel("second");
  });

  const makeClass = (name: string, more: object): Promise<AnyObject> =>
    plane.client.create(storageClasses, {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name },
      volumeBindingMode: "WaitForFirstConsumer",
      ...more,
    } as unknown as AnyObject);
  const onNode = (...names: string[]) => ({
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: names }] }],
    },
  });
  const makeVolume = (name: string, storageClassName: string, node: string, storage = "1Gi", more: object = {}) =>
    plane.client.create(volumes, {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name },
      spec: {
        accessModes: ["ReadWriteOnce"],
        capacity: { storage },
        persistentVolumeReclaimPolicy: "Retain",
        storageClassName,
        local: { path: "/mnt" },
        nodeAffinity: onNode(node),
        ...more,
      },
    } as AnyObject);
  const claimSpec = (storageClassName: string, storage = "1Gi", mode = "ReadWriteOnce") => ({
    accessModes: [mode],
    storageClassName,
    resources: { requests: { storage } },
  });
  const makeClaim = (name: string, storageClassName: string, storage?: string, mode?: string): Promise<AnyObject> =>
    plane.client.create(claims, {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name, namespace },
      spec: claimSpec(storageClassName, storage, mode),
    } as AnyObject);
  const mounting = (...names: string[]): Asked => ({
    pod: { volumes: names.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })) },
  });
  type Claim = AnyObject & { spec: { volumeName?: string }; status: { phase: string } };
  const claimOf = (name: string): Promise<Claim> => plane.client.get<Claim>(claims, name, { namespace });

  test("a volume is where it is: of bound claims, and of those that wait for their node", async () => {
    await makeClass("local", { provisioner: "kubernetes.io/no-provisioner" });
    await submit("early", mounting("data"));
    await waits("early", /waits for claim data, which is not there in namespace lab/, "Claims");
    await makeClaim("data", "local", "2Gi");
    await waits(
      "early",
      /waits for claim data, of which storage class local has no volume left that would do/,
      "Claims",
    );
    await makeVolume("small", "local", "kwok-0");
    await makeVolume("large", "local", "kwok-1", "4Gi");
    await makeVolume("fitting", "local", "kwok-2", "2Gi");
    const [node] = await runs("early");
    const { spec, status } = await claimOf("data");
    assert.deepEqual([status.phase, node], ["Bound", spec.volumeName === "large" ? "kwok-1" : "kwok-2"]);
    // Bound once, it is where it is, also for the next.
    await cancel("early");
    await submit("again", mounting("data"));
    assert.deepEqual(await runs("again"), [node]);
    // What others have is not for Berth: kube-scheduler takes one, Berth's get what is left.
    await submit("gang", { ...mounting("shared"), count: 2 });
    await makeClaim("shared", "local", "2Gi");
    const nodes = await runs("gang");
    assert.equal(new Set([...nodes, node]).size, 2);
    await submit("lost", mounting("none"));
    await makeClaim("none", "elsewhere");
    await waits("lost", /waits for claim none, whose storage class elsewhere is not there/, "Claims");
    await cancel("again", "gang", "lost");
  });

  test("a provisioner is told the node, and may have none there; ephemeral claims come with their pods", async () => {
    await makeClass("made", { provisioner: "example.com/maker" });
    await makeClaim("wanted", "made");
    await submit("maker", mounting("wanted"));
    const asked = (name: string, not = ""): Promise<string> =>
      waitFor(`claim ${name} to be told its node`, async () => {
        const claim = await claimOf(name).catch(() => undefined);
        const told = claim?.metadata.annotations?.["volume.kubernetes.io/selected-node"];
        return told === not ? undefined : told;
      });
    /** What the provisioner of the class would do. */
    const provision = async (name: string, node: string): Promise<void> => {
      const { metadata } = await claimOf(name);
      const claimRef = { apiVersion: "v1", kind: "PersistentVolumeClaim", name, namespace, uid: metadata.uid };
      await makeVolume(`for-${name}`, "made", node, "1Gi", { claimRef });
    };
    const first = await asked("wanted");
    const giveUp = { metadata: { annotations: { "volume.kubernetes.io/selected-node": null } } };
    await plane.client.patch(claims, "wanted", giveUp, { namespace });
    const second = await asked("wanted", first);
    assert.notEqual(second, first);
    await provision("wanted", second);
    assert.deepEqual(await runs("maker"), [second]);
    const ephemeral = {
      volumes: [{ name: "scratch", ephemeral: { volumeClaimTemplate: { spec: claimSpec("made") } } }],
    };
    await submit("scratch", { pod: ephemeral });
    const made = await waitFor("the claim of its pod", async () => {
      const { items } = await plane.client.listAll<Claim>(claims, { namespace });
      return items.find(({ metadata }) => metadata.name.endsWith("-scratch"))?.metadata.name;
    });
    const node = await asked(made);
    await provision(made, node);
    assert.deepEqual(await runs("scratch"), [node]);
    await cancel("maker", "scratch");
    await submit("taken", { pod: ephemeral });
    const left = await waitFor("the claim of the next", async () => {
      const { items } = await plane.client.listAll<Claim>(claims, { namespace });
      return items.find(({ metadata }) => metadata.name.startsWith("taken"))?.metadata.name;
    });
    await asked(left);
    // The pod is there and has no node: the next leader makes another in its stead.
    await leading.end();
    leading = await berth.startControllers();
    const other = await waitFor("the claim of its second pod", async () => {
      const { items } = await plane.client.listAll<Claim>(claims, { namespace });
      return items.find(({ metadata }) => metadata.name.startsWith("taken") && metadata.name !== left)?.metadata.name;
    });
    const place = await asked(other);
    await provision(other, place);
    assert.deepEqual(await runs("taken"), [place]);
    await cancel("taken");
    await waitFor("the claim to go with its pod", () =>
      claimOf(made).then(
        () => undefined,
        () => true,
      ),
    );
  });

  test("a claim of one pod is one pod's; a node attaches so many volumes", async () => {
    await makeClaim("single", "local", "1Gi", "ReadWriteOncePod");
    await makeVolume("one-pod", "local", "kwok-0", "1Gi", { accessModes: ["ReadWriteOncePod"] });
    await submit("has", mounting("single"));
    assert.deepEqual(await runs("has"), ["kwok-0"]);
    await submit("wants", mounting("single"));
    await waits("wants", /host ports, claims of one pod/);
    await cancel("has");
    await runs("wants");
    await cancel("wants");
    const attached = {
      csi: { driver: "csi.example.com", volumeHandle: "v" },
      local: undefined,
      nodeAffinity: undefined,
    };
    for (const name of ["kwok-0", "kwok-1", "kwok-2"]) {
      const drivers = [{ name: "csi.example.com", nodeID: name, topologyKeys: null, allocatable: { count: 1 } }];
      const object = { apiVersion: "storage.k8s.io/v1", kind: "CSINode", metadata: { name }, spec: { drivers } };
      await plane.client.create(csiNodes, object as unknown as AnyObject);
    }
    const four = [0, 1, 2, 3];
    for (const at of four) await makeVolume(`attached-${at}`, "by-hand", "", "1Gi", attached);
    await waitFor("the volumes to be available", async () => {
      const { items } = await plane.client.listAll<AnyObject & { status?: { phase?: string } }>(volumes);
      const free = items.filter(
        ({ metadata, status }) => metadata.name.startsWith("attached") && status?.phase === "Available",
      );
      return free.length === four.length || undefined;
    });
    for (const at of four) await makeClaim(`attached-${at}`, "by-hand");
    await submit("attaches", mounting("attached-0"));
    await submit("attaches-1", mounting("attached-1"));
    await submit("attaches-2", mounting("attached-2"));
    const nodes = [...(await runs("attaches")), ...(await runs("attaches-1")), ...(await runs("attaches-2"))];
    assert.equal(new Set(nodes).size, 3);
    await submit("attaches-3", mounting("attached-3"));
    await waits("attaches-3", /needs 1 attachable-volumes-csi-csi.example.com on one node; at most 0/);
    await cancel("attaches", "attaches-1", "attaches-2", "attaches-3");
  });

  test("devices that pods claim are given to them with their node, and given back", async () => {
    const driver = "gpu.example.com";
    const create = (resource: ResourceKey, name: string, spec: object, of?: string): Promise<AnyObject> =>
      plane.client.create(resource, {
        apiVersion: "resource.k8s.io/v1",
        kind: resource.kind,
        metadata: { name, ...(of === undefined ? {} : { namespace: of }) },
        spec,
      } as AnyObject);
    const gib = (memory: number) => ({
      attributes: { model: { string: memory > 40 ? "large" : "small" } },
      capacity: { memory: { value: `${memory}Gi` } },
    });
    const sizes: Record<string, number[]> = { "kwok-0": [80, 40], "kwok-1": [40, 40], "kwok-2": [40] };
    for (const [nodeName, memories] of Object.entries(sizes)) {
      const devices = memories.map((memory, at) => Object.assign({ name: `gpu-${at}` }, gib(memory)));
      const pool = { name: nodeName, generation: 1, resourceSliceCount: 1 };
      await create(slices, `${nodeName}-gpus`, { driver, pool, nodeName, devices });
    }
    const expression = `device.driver == "${driver}"`;
    await create(deviceClasses, "gpu.example.com", { selectors: [{ cel: { expression } }] });
    const request = (count: number, cel?: string) => ({
      name: "gpu",
      exactly: {
        deviceClassName: "gpu.example.com",
        count,
        ...(cel === undefined ? {} : { selectors: [{ cel: { expression: cel } }] }),
      },
    });
    const template = (name: string, devices: object): Promise<AnyObject> =>
      create(claimTemplates, name, { spec: { devices } }, namespace);
    const large = `device.capacity["${driver}"].memory.compareTo(quantity("80Gi")) >= 0`;
    await template("one", { requests: [request(1)] });
    await template("two", { requests: [request(2)] });
    await template("large", { requests: [request(1, large)] });
    await template("some", {
      requests: [{ name: "any", firstAvailable: [{ name: "a", deviceClassName: "gpu.example.com" }] }],
    });
    const claiming = (resourceClaimTemplateName: string, count = 1): Asked => ({
      count,
      pod: { resourceClaims: [{ name: "gpu", resourceClaimTemplateName }] },
    });
    interface Allocated extends AnyObject {
      status?: { allocation?: { devices: { results: { pool: string; device: string }[] } }; reservedFor?: object[] };
    }
    const allocated = async (): Promise<string[]> =>
      (await plane.client.listAll<Allocated>(deviceClaims, {})).items
        .flatMap(({ status }) => status?.allocation?.devices.results ?? [])
        .map((result) => `${result.pool}/${result.device}`)
        .toSorted();

    await submit("needs-large", { ...claiming("large"), workload: { hold: "User" } });
    await waits("needs-large", /held/, "HeldByUser");
    await submit("each", { ...claiming("one", 3), workload: { placement: { podsPerNode: 1 } } });
    await submit("soon", claiming("absent"));
    await waits("soon", /waits for claim template absent, which is not there/, "Claims");
    await submit("alternatives", claiming("some"));
    assert.match(await refusal("alternatives"), /claim template some: request any: firstAvailable .* is not supported/);
    await runs("each");
    const three = await allocated();
    assert.equal(three.length, 3);
    // Who may have any leaves the large one to who needs it.
    assert.ok(!three.includes("kwok-0/gpu-0"), three.join());
    await plane.client.patch(workloads, "needs-large", { spec: { hold: null } }, { namespace });
    assert.deepEqual(await runs("needs-large"), ["kwok-0"]);
    assert.ok((await allocated()).includes("kwok-0/gpu-0"));
    await submit("next-large", claiming("large"));
    await waits("next-large", /needs 1 .*gpu.example.com where .* on one node; at most 0/);
    // A claim of one that kube-scheduler placed counts too.
    await create(deviceClaims, "theirs", { devices: { requests: [request(1)] } }, "others");
    const other = await foreign("claims", { pod: { resourceClaims: [{ name: "gpu", resourceClaimName: "theirs" }] } });
    assert.equal((await allocated()).length, 5);
    await submit("pair", claiming("two", 1));
    await waits("pair", /before it/, "Priority");
    await cancel("each", "needs-large");
    await remove(other);
    assert.deepEqual(await runs("next-large"), ["kwok-0"]);
    assert.deepEqual(await runs("pair"), ["kwok-1"]);
    assert.equal(new Set(await allocated()).size, 3);
    // One that its user made outlives the job, and is free again.
    await create(deviceClaims, "kept", { devices: { requests: [request(1)] } }, namespace);
    await submit("keeper", { pod: { resourceClaims: [{ name: "gpu", resourceClaimName: "kept" }] } });
    await runs("keeper");
    await cancel("keeper", "next-large", "pair", "soon");
    await waitFor("all devices to be free", async () => (await allocated()).length === 0 || undefined, 60);
  });
});
