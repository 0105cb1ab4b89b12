/** Pods as `kubectl run` makes them, on a whole embedded cluster: nobody but Berth gives them a node. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Outcome, run, startCluster, type TestCluster } from "../support/berth.ts";
import { sacct } from "../support/jobs.ts";
import { waitFor } from "../support/waiting.ts";
import { withoutKubectl } from "./cluster.ts";

/** A user of this machine besides root, for whose pods only root can start a cluster. */
const other = readFileSync("/etc/passwd", "utf8")
  .split("\n")
  .map((line) => line.split(":"))
  .map(([name = "", , uid]) => ({ name, uid: Number(uid) }))
  .find(({ uid }) => uid >= 1000);
const withoutOther = process.getuid!() !== 0 ? "needs root" : other === undefined ? "needs a user besides root" : false;

describe("plain pods", { skip: withoutKubectl, timeout: 900_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster();
    all = { requests: { cpu: await ok("get nodes -o jsonpath={.items[0].status.allocatable.cpu}") } };
  });
  after(() => cluster[Symbol.asyncDispose]());

  const kubectl = (words: string[], input?: string): Promise<Outcome> =>
    run("kubectl", words, {
      input,
      env: { KUBECONFIG: join(cluster.data, "admin.kubeconfig"), HOME: cluster.directory },
    });
  async function ok(words: string, ...more: string[]): Promise<string> {
    const { code, stdout, stderr } = await kubectl([...words.split(" "), ...more]);
    assert.equal(code, 0, `kubectl ${words}: ${stderr}${stdout}`);
    return stdout;
  }
  async function apply(name: string, spec: object, metadata: object = {}): Promise<void> {
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name, ...metadata }, spec };
    const { code, stderr } = await kubectl(["apply", "-f", "-"], JSON.stringify(pod));
    assert.equal(code, 0, stderr);
  }
  const jobIdOf = (pod: string): Promise<string> =>
    ok(`get pod ${pod} -o jsonpath={.metadata.labels.berth\\.dev/job-id}`);
  let all: { requests: { cpu: string } };
  const sleeper = (more: object = {}): object => ({
    terminationGracePeriodSeconds: 1,
    containers: [{ name: "main", image: "host", command: ["sleep", "1000"], resources: all }],
    ...more,
  });

  it("run, follow their log, succeed, stay, and are in the records", async () => {
    await ok("run hello --image=host --restart=Never --", "sh", "-c", "id -u; sleep 1; echo bye");
    await ok("wait --for=condition=PodScheduled --timeout=300s pod/hello");
    assert.equal(await ok("logs -f hello"), `${process.getuid!()}\nbye\n`);
    await ok("wait --for=jsonpath={.status.phase}=Succeeded --timeout=300s pod/hello");
    const id = await jobIdOf("hello");
    const [row] = await waitFor("the row", async () => {
      const rows = await sacct(cluster, [id], ["JobName", "State", "ExitCode"]);
      return rows[0]?.State === "COMPLETED" ? rows : undefined;
    });
    assert.deepEqual(row, { JobName: "hello", State: "COMPLETED", ExitCode: "0:0" });
    assert.match((await cluster.berth(["history"])).stdout, /^\d+ +hello +standard .*Succeeded/m);
    assert.match(await ok("get pod hello"), /^hello +0\/1 +Completed /m);
    assert.match(await ok("describe pod hello"), /Normal +Scheduled +.* default\/hello to /);
    await ok("delete pod hello");
    await waitFor("its Workload to go", async () => (await ok("get workloads -o name")) === "" || undefined);
  });

  it("run as the owner of their namespace", { skip: withoutOther }, async () => {
    await ok("create namespace owned");
    await ok(`annotate namespace owned berth.dev/owner=${other!.name}`);
    await ok("-n owned run who --image=host --restart=Never --", "id", "-u");
    await ok("-n owned wait --for=jsonpath={.status.phase}=Succeeded --timeout=300s pod/who");
    assert.equal(await ok("-n owned logs who"), `${other!.uid}\n`);
    const asRoot = { spec: { securityContext: { runAsUser: 0 } } };
    const overrides = `--overrides=${JSON.stringify(asRoot)}`;
    await ok("-n owned run root --image=host --restart=Never", overrides, "--", "id", "-u");
    await ok("-n owned wait --for=jsonpath={.status.phase}=Failed --timeout=300s pod/root");
    assert.match(await ok("-n owned get pod root -o jsonpath={.status.message}"), /runAsUser: jobs run as their owner/);
    await ok("delete namespace owned");
  });

  it("wait behind a full node and say why, then go in", async () => {
    await apply("full", sleeper());
    await ok("wait --for=condition=Ready --timeout=300s pod/full");
    assert.match(await ok("exec full -- sh -c", "echo inside"), /^inside$/m);
    await ok("run next --image=host --restart=Never --", "echo", "went in");
    await ok("wait --for=condition=PodScheduled=False --timeout=300s pod/next");
    const described = await waitFor("the event", async () => {
      const text = await ok("describe pod next");
      return text.includes("FailedScheduling") ? text : undefined;
    });
    assert.match(described, /Status: +Pending/);
    assert.match(described, /Warning +FailedScheduling .*needs 1 cpu on one node; at most 0 cpus are free/);
    assert.match(
      await ok("get pod next -o jsonpath={.status.conditions[?(@.type=='PodScheduled')].reason}"),
      /^Unschedulable$/,
    );
    const id = await jobIdOf("full");
    await ok("delete pod full");
    await ok("wait --for=jsonpath={.status.phase}=Succeeded --timeout=300s pod/next");
    assert.equal(await ok("logs next"), "went in\n");
    const [row] = await sacct(cluster, [id], ["JobName", "State"]);
    assert.match(row!.State, /^CANCELLED/);
  });

  it("end at their wall time, however often they are started again", async () => {
    await apply("again", sleeper({ activeDeadlineSeconds: 3, restartPolicy: "Always" }));
    await ok("wait --for=jsonpath={.status.phase}=Failed --timeout=300s pod/again");
    assert.equal(await ok("get pod again -o jsonpath={.status.reason}"), "DeadlineExceeded");
    const id = await jobIdOf("again");
    const rows = await waitFor("the row", async () => {
      const found = await sacct(cluster, [id], ["State", "Timelimit"]);
      return found[0]?.State === "RUNNING" ? undefined : found;
    });
    assert.equal(rows[0]!.State, "TIMEOUT");
  });

  it("fail with Berth's words where they can never run, and where they are cancelled", async () => {
    await ok("run lost --image=host --restart=Never --labels=berth.dev/queue=nope -- true");
    await ok("wait --for=jsonpath={.status.phase}=Failed --timeout=300s pod/lost");
    assert.match(await ok("get pod lost -o jsonpath={.status.message}"), /there is no queue nope; there are standard/);

    await apply("holder", sleeper());
    await ok("wait --for=condition=Ready --timeout=300s pod/holder");
    await apply("unwanted", sleeper());
    const name = await waitFor("its Workload", async () => {
      const found = await ok("get workloads -o jsonpath={.items[?(@.spec.jobName=='unwanted')].metadata.name}");
      return found === "" ? undefined : found;
    });
    await ok(`wait --for=jsonpath={.status.phase}=Pending --timeout=300s workload/${name}`);
    const id = await ok(`get workload ${name} -o jsonpath={.status.jobId}`);
    assert.equal((await cluster.berth(["scancel", id])).code, 0);
    await ok("wait --for=jsonpath={.status.phase}=Failed --timeout=300s pod/unwanted");
    assert.equal(await ok("get pod unwanted -o jsonpath={.status.reason}"), "Cancelled");
    // What runs is ended as kubectl delete ends it.
    assert.equal((await cluster.berth(["scancel", await jobIdOf("holder")])).code, 0);
    await ok("wait --for=delete --timeout=300s pod/holder");
  });
});
