/** What is wrong outside of Berth, on a real API server: each is told on the object, and by `berth status`. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type AnyObject, type Client, resources } from "@berth/client";
import { apiVersion, type Pod, queues, type Workload, workloads } from "@berth/kinds";
import { waitFor } from "../support/waiting.ts";
import { type BerthOnKube, person, startBerth } from "./berth.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { startKwok, withoutKwok } from "./kwok.ts";

const quotas = { group: "", version: "v1", resource: "resourcequotas", namespaced: true } as const;

describe("bad input", { skip: withoutKwok(), timeout: 300_000 }, () => {
  let plane: ControlPlane;
  let client: Client;
  let berth: BerthOnKube;
  before(async () => {
    plane = await startControlPlane({ scheduler: false });
    client = plane.client;
    await startKwok(plane, { nodes: 2, capacity: { cpu: "4", memory: "8Gi", pods: "10" } });
    berth = await startBerth(plane);
  });
  after(async () => {
    await berth?.[Symbol.asyncDispose]();
    await plane?.[Symbol.asyncDispose]();
  });

  const statusSays = (words: RegExp): Promise<true> =>
    waitFor(
      `berth status to say ${words}`,
      async () => words.test((await berth.berth(["status"])).stdout) || undefined,
      60,
    );
  const told = (name: string, namespace: string, words: RegExp): Promise<Workload> =>
    waitFor(
      `${name} to be told ${words}`,
      async () => {
        const found = await client.get<Workload>(workloads, name, { namespace });
        const refusal = found.status?.conditions?.find(({ type, status }) => type === "Admitted" && status === "False");
        return words.test(`${found.status?.message ?? ""} ${refusal?.message ?? ""}`) ? found : undefined;
      },
      60,
    );
  const identity = {
    "berth.dev/owner": person.name,
    "berth.dev/uid": String(person.uid),
    "berth.dev/gid": String(person.gid),
  };
  const makeNamespace = async (name: string, labels: Record<string, string> = {}): Promise<void> => {
    await client.create(resources.namespaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, labels, annotations: identity },
    });
  };
  async function create(
    name: string,
    namespace: string,
    set: object,
    template: object = {},
    spec: object = {},
  ): Promise<void> {
    await client.create<AnyObject>(workloads, {
      apiVersion,
      kind: "Workload",
      metadata: { name, namespace },
      spec: {
        user: person.name,
        podSets: [
          {
            name: "main",
            role: "Driver",
            count: 1,
            template: {
              spec: {
                containers: [{ name: "main", command: ["true"], resources: { requests: { cpu: "100m" } } }],
                ...template,
              },
            },
            ...set,
          },
        ],
        ...spec,
      },
    } as AnyObject);
  }

  test("a queue that selects no node", async () => {
    await client.create<AnyObject>(queues, {
      apiVersion,
      kind: "Queue",
      metadata: { name: "gpu" },
      spec: { nodeSelector: { accelerator: "a100" } },
    } as AnyObject);
    await statusSays(/wrong: queue gpu selects no node: none has the label accelerator=a100; kubectl label node NAME/);
    await makeNamespace("waits");
    await create("forgpus", "waits", {}, {}, { queue: "gpu" });
    const { status } = await told("forgpus", "waits", /no node that it may use is up/);
    assert.equal(status?.reason, "NodesUnavailable");
  });

  test("a quota too small for a gang: none of it is left, and it begins when there is room", async () => {
    await makeNamespace("small");
    await client.create<AnyObject>(quotas, {
      apiVersion: "v1",
      kind: "ResourceQuota",
      metadata: { name: "few", namespace: "small" },
      spec: { hard: { pods: "2" } },
    } as AnyObject);
    await create("gang", "small", { count: 3 });
    const { status } = await told("gang", "small", /exceeded quota: few/);
    assert.equal(status?.reason, "InvalidTemplate");
    await waitFor("what was made of it to go", async () => {
      const { items } = await client.list<Pod>(resources.pods, { namespace: "small" });
      return items.length === 0 || undefined;
    });
    await statusSays(/job small\/gang waits, and not for room: .*exceeded quota: few/);
  });

  test("a template that asks for root, where the namespace is another's or nobody's", async () => {
    const asRoot = { securityContext: { runAsUser: 0 } };
    await makeNamespace("strict", { "pod-security.kubernetes.io/enforce": "restricted" });
    await assert.rejects(create("root", "strict", {}, asRoot), /run as its owner nobody, uid 65534/);
    // What is nobody's has no owner to be.
    await client.create(resources.namespaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "site", labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    });
    await create("root", "site", {}, asRoot);
    await told("root", "site", /namespace site belongs to nobody/);
    await statusSays(/job site\/root was refused: namespace site belongs to nobody/);
  });
});
