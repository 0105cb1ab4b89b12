/** The lab itself: a control plane, simulated nodes and real nodes do what other tests take for granted. */
import { isReason, resources, type AnyObject } from "@berth/client";
import { annotations } from "@berth/kinds";
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { Writable } from "node:stream";
import { createClient, loadKubeconfig } from "@berth/client";
import { waitFor } from "../support/waiting.ts";
import { startControlPlane, withoutControlPlane, type ControlPlane } from "./control-plane.ts";
import { startKwok, withoutKwok } from "./kwok.ts";
import { startRealCluster, withoutRealNodes, type RealCluster } from "./real-nodes.ts";

const pods = { resource: resources.pods, options: { namespace: "default" } };

function pod(name: string, container: object, more: { annotations?: Record<string, string>; spec?: object } = {}) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, annotations: more.annotations },
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 1,
      containers: [{ name: "main", image: "localhost/busybox:1", ...container }],
      ...more.spec,
    },
  };
}

const phase = async (cluster: ControlPlane, name: string): Promise<string | undefined> =>
  ((await cluster.client.get(pods.resource, name, pods.options)).status as { phase?: string } | undefined)?.phase;

const until = (cluster: ControlPlane, name: string, wanted: string): Promise<boolean> =>
  waitFor(`pod ${name} ${wanted}`, async () => (await phase(cluster, name)) === wanted || undefined, 60);

describe("control planes", { skip: withoutControlPlane(), timeout: 600_000 }, () => {
  it("stand side by side, know users and accounts, survive kills and leave nothing", async () => {
    const first = await startControlPlane({ audit: "Metadata" });
    const second = await startControlPlane({ controllerManager: false, scheduler: false });
    try {
      assert.notEqual(first.url, second.url);
      await second.client.create(pods.resource, pod("p", {}), pods.options);
      await assert.rejects(first.client.get(pods.resource, "p", pods.options), (error) => isReason(error, "NotFound"));

      const user = await first.kubeconfigFor("ada", ["users"]);
      const ada = createClient(loadKubeconfig({ path: user }).connection);
      await assert.rejects(ada.list(resources.pods), /User "ada" cannot list resource "pods"/);
      ada.close();
      const path = await first.kubeconfigForServiceAccount("default", "default");
      const robot = createClient(loadKubeconfig({ path }).connection);
      await assert.rejects(robot.list(resources.pods), /User "system:serviceaccount:default:default" cannot list/);
      robot.close();
      assert.match(readFileSync(first.auditLog, "utf8"), /"user":\{"username":"ada","groups":\["users","system:authen/);

      await first.client.create(pods.resource, pod("kept", {}), pods.options);
      for (const name of ["etcd", "kube-apiserver"] as const) {
        await first.end(name);
        await first.start(name);
      }
      await waitFor("the API server again", () => phase(first, "kept").catch(() => undefined));
    } finally {
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
    }
    assert.ok(!existsSync(first.folder) && !existsSync(second.folder));
  });
});

describe("simulated nodes", { skip: withoutKwok(), timeout: 600_000 }, () => {
  let cluster: ControlPlane;
  before(async () => {
    cluster = await startControlPlane();
    await startKwok(cluster, { nodes: 20, capacity: { "example.com/gpu": "4" } });
  });
  after(() => cluster[Symbol.asyncDispose]());

  const run = (name: string, stated: Record<string, string>, spec: object = {}): Promise<AnyObject> =>
    cluster.client.create(pods.resource, pod(name, {}, { annotations: stated, spec }), pods.options);

  it("run pods as long as they say, and end them as they say", async () => {
    await run("short", { [annotations.simulatedRunSeconds]: "2" });
    await run("fails", { [annotations.simulatedRunSeconds]: "1", [annotations.simulatedExitCode]: "3" });
    await run("long", { [annotations.simulatedRunSeconds]: "1000" });
    await run("cut", { [annotations.simulatedRunSeconds]: "1000", [annotations.wallTimeSeconds]: "2" });
    await run("gated", { [annotations.simulatedRunSeconds]: "1", [annotations.gate]: "closed" });
    await run("service", {}, { restartPolicy: "Always" });
    await until(cluster, "short", "Succeeded");
    await until(cluster, "fails", "Failed");
    await until(cluster, "cut", "Failed");
    interface Ended {
      status: { reason?: string; containerStatuses: { state: { terminated: { exitCode: number } } }[] };
    }
    const ended = async (name: string): Promise<Ended> =>
      (await cluster.client.get(pods.resource, name, pods.options)) as unknown as Ended;
    assert.equal((await ended("fails")).status.containerStatuses[0]!.state.terminated.exitCode, 3);
    assert.equal((await ended("cut")).status.reason, "DeadlineExceeded");
    assert.equal((await ended("cut")).status.containerStatuses[0]!.state.terminated.exitCode, 143);
    for (const name of ["long", "gated", "service"]) await until(cluster, name, "Running");
    const opened = { [annotations.gate]: "open", [annotations.gateOpenedAt]: new Date().toISOString() };
    await cluster.client.patch(pods.resource, "gated", { metadata: { annotations: opened } }, pods.options);
    await until(cluster, "gated", "Succeeded");
    await cluster.client.delete(pods.resource, "long", pods.options);
    await waitFor("the end of long", () =>
      phase(cluster, "long").then(
        () => undefined,
        (error: unknown) => isReason(error, "NotFound") || undefined,
      ),
    );
    assert.equal(await phase(cluster, "service"), "Running");
  });
});

describe("real nodes", { skip: withoutRealNodes(), timeout: 600_000 }, () => {
  let cluster: RealCluster;
  before(async () => {
    cluster = await startRealCluster({ nodes: 1 });
  });
  after(() => cluster[Symbol.asyncDispose]());

  it("run pods, whose log and whose shell come through the API", async () => {
    const { client } = cluster;
    await client.create(
      pods.resource,
      pod("hello", { command: ["sh", "-c", "hostname; echo done; sleep 1000"] }),
      pods.options,
    );
    await until(cluster, "hello", "Running");
    const log = await waitFor("the log", async () => {
      let text = "";
      for await (const chunk of await client.logs("default", "hello")) text += String(chunk);
      return text.includes("done") ? text : undefined;
    });
    assert.equal(log, "hello\ndone\n");
    let output = "";
    const stdout = new Writable({
      write(chunk, _, done) {
        output += String(chunk);
        done();
      },
    });
    const { exitCode } = await client.exec("default", "hello", { command: ["sh", "-c", "id -u; exit 7"], stdout });
    assert.deepEqual([output, exitCode], ["0\n", 7]);
    // In a pod the API is at its Service's address.
    const token = "cat /var/run/secrets/kubernetes.io/serviceaccount/token | wc -c; nc -w 3 10.96.0.1 443 </dev/null";
    assert.equal((await client.exec("default", "hello", { command: ["sh", "-c", token] })).exitCode, 0);
  });

  it("end pods as they ended, and lose those of a machine that is gone", async () => {
    const { client } = cluster;
    await client.create(pods.resource, pod("fails", { command: ["sh", "-c", "exit 3"] }), pods.options);
    await until(cluster, "fails", "Failed");
    const failed = await client.get(pods.resource, "fails", pods.options);
    assert.match(JSON.stringify(failed.status), /"exitCode":3/);
    const [node] = cluster.nodes;
    await node!.killKubelet();
    assert.equal(await phase(cluster, "hello"), "Running");
    await node!.startKubelet();
    await node!.kill();
    assert.throws(() => node!.run("true"));
  });
});
