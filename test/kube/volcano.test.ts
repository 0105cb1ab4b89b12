/** Jobs, Queues and Commands of Volcano's on a real control plane without Volcano, and with it; the rights that this takes. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type AnyObject, isReason, resources } from "@berth/client";
import {
  annotations,
  isFinal,
  labels,
  type Pod,
  queues,
  type Queue,
  volcanoCommands,
  volcanoJobs,
  volcanoQueues,
  type Workload,
  workloads,
} from "@berth/kinds";
import { controllersUser, manifests } from "@berth/kinds/install";
import { systemNamespace } from "@berth/kinds";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository, run } from "../support/berth.ts";
import { waitFor } from "../support/waiting.ts";
import { person, startBerth, type BerthOnKube } from "./berth.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { startKwok, withoutKwok } from "./kwok.ts";

interface VolcanoJob extends AnyObject {
  status?: {
    state?: { phase?: string; reason?: string; message?: string };
    retryCount?: number;
    conditions?: { status: string }[];
  };
}

describe("Volcano's kinds on a real control plane", { skip: withoutKwok(), timeout: 300_000 }, () => {
  let cluster: ControlPlane;
  let berth: BerthOnKube;
  const namespace = "lab";
  before(async () => {
    cluster = await startControlPlane({ scheduler: false, audit: "Metadata" });
    await startKwok(cluster, { nodes: 2, capacity: { cpu: "4", memory: "8Gi", pods: "100" } });
    berth = await startBerth(cluster, { install: ["--volcano"], controllers: ["--volcano"] });
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

  /** As examples of Volcano's have it: who runs it, and by which scheduler, is not said. */
  const template = (seconds: number, more: { cpu?: string; exitCode?: number; spec?: object } = {}) => ({
    metadata: {
      annotations: {
        [annotations.simulatedRunSeconds]: String(seconds),
        [annotations.simulatedExitCode]: String(more.exitCode ?? 0),
      },
    },
    spec: {
      restartPolicy: "OnFailure",
      containers: [{ name: "main", image: "none", resources: { requests: { cpu: more.cpu ?? "1" } } }],
      ...more.spec,
    },
  });
  const submit = (name: string, spec: object, metadata: object = {}): Promise<AnyObject> =>
    cluster.client.create(volcanoJobs, {
      apiVersion: "batch.volcano.sh/v1alpha1",
      kind: "Job",
      metadata: { name, namespace, ...metadata },
      spec: { schedulerName: "volcano", ...spec },
    } as AnyObject);
  const jobOf = (name: string): Promise<VolcanoJob> => cluster.client.get<VolcanoJob>(volcanoJobs, name, { namespace });
  const jobWhen = (name: string, phase: string): Promise<VolcanoJob> =>
    waitFor(`Job ${name} to be ${phase}`, async () => {
      const job = await jobOf(name);
      return job.status?.state?.phase === phase ? job : undefined;
    });
  const podsOf = async (job: string): Promise<Pod[]> => {
    const labelSelector = `volcano.sh/job-name=${job}`;
    return (await cluster.client.listAll<Pod>(resources.pods, { namespace, labelSelector })).items;
  };
  const workloadsOf = async (name: string): Promise<Workload[]> =>
    (await cluster.client.listAll<Workload>(workloads, { namespace })).items.filter(
      ({ metadata }) => metadata.annotations?.[annotations.podsOf] === `Job.batch.volcano.sh/${name}`,
    );
  const command = (job: string, action: string, kind = "Job"): Promise<AnyObject> =>
    cluster.client.create(volcanoCommands, {
      apiVersion: "bus.volcano.sh/v1alpha1",
      kind: "Command",
      metadata: { generateName: `${job}-`, namespace },
      action,
      target: { apiVersion: "batch.volcano.sh/v1alpha1", kind, name: job, uid: "" },
    } as unknown as AnyObject);

  test("a Job with plugins is placed as one, and its pods are as its owner and know each other", async () => {
    await submit("train", {
      minAvailable: 3,
      policies: [{ event: "PodEvicted", action: "RestartJob" }],
      plugins: { ssh: [], env: [], svc: [] },
      maxRetry: 5,
      queue: "default",
      tasks: [
        {
          name: "ps",
          replicas: 1,
          template: template(2),
          policies: [{ event: "TaskCompleted", action: "CompleteJob" }],
        },
        { name: "worker", replicas: 2, template: template(1000) },
      ],
    });
    const running = await waitFor("its pods to run", async () => {
      const pods = await podsOf("train");
      return pods.length === 3 && pods.every(({ spec }) => spec.nodeName !== undefined) ? pods : undefined;
    });
    const worker = running.find(({ metadata }) => metadata.name === "train-worker-1")!;
    assert.deepEqual(
      [
        worker.spec.securityContext?.runAsUser,
        worker.spec["hostname"],
        worker.spec["subdomain"],
        worker.spec.schedulerName,
      ],
      [person.uid, "train-worker-1", "train", "berth"],
    );
    assert.equal(worker.spec.restartPolicy, "OnFailure");
    const done = await jobWhen("train", "Completed");
    assert.deepEqual(
      done.status?.conditions?.map(({ status }) => status),
      ["Pending", "Running", "Completing", "Completed"],
    );
    const service = await cluster.client.get<AnyObject & { spec: Record<string, unknown> }>(
      { group: "", version: "v1", resource: "services", namespaced: true },
      "train",
      { namespace },
    );
    assert.deepEqual([service.spec["clusterIP"], service.metadata.ownerReferences?.[0]?.name], ["None", "train"]);
    const [workload, ...others] = await waitFor("its Workload to end", async () => {
      const found = await workloadsOf("train");
      return found.every(({ status }) => isFinal(status?.phase)) ? found : undefined;
    });
    assert.deepEqual([others, workload!.status?.phase], [[], "Succeeded"]);
    assert.deepEqual(
      workload!.spec.podSets.map(({ name, count }) => [name, count]),
      [
        ["ps", 1],
        ["worker", 2],
      ],
    );
    await cluster.client.delete(volcanoJobs, "train", { namespace, propagationPolicy: "Background" });
    await waitFor("all of it to go", async () => {
      const service = await cluster.client
        .get({ group: "", version: "v1", resource: "services", namespaced: true }, "train", { namespace })
        .catch(() => undefined);
      return (service === undefined && (await podsOf("train")).length === 0) || undefined;
    });
  });

  test("a gang waits whole; suspended it makes room, and resumed goes on", async () => {
    await submit("first", { tasks: [{ name: "w", replicas: 6, template: template(1000) }] });
    await jobWhen("first", "Running");
    await submit("second", { tasks: [{ name: "w", replicas: 3, template: template(1) }] });
    const waits = await waitFor("word of why it waits", async () => {
      const { status } = await jobOf("second");
      return status?.state?.reason === "Resources" ? status.state : undefined;
    });
    assert.match(waits.message ?? "", /cpu/);
    assert.deepEqual(await podsOf("second"), []);
    await command("first", "AbortJob");
    await jobWhen("first", "Aborted");
    await jobWhen("second", "Completed");
    await command("first", "ResumeJob");
    const again = await jobWhen("first", "Running");
    assert.equal(again.status?.retryCount, 1);
    await waitFor("the commands to be done", async () => {
      const { items } = await cluster.client.list(volcanoCommands, { namespace });
      return items.length === 0 || undefined;
    });
    await cluster.client.delete(volcanoJobs, "first", { namespace, propagationPolicy: "Background" });
    await waitFor("its pods to go", async () => (await podsOf("first")).length === 0 || undefined);
  });

  test("another process of controllers goes on with a Job that runs and restarts what fails", async () => {
    await submit("long", {
      policies: [{ event: "PodFailed", action: "RestartJob" }],
      maxRetry: 2,
      tasks: [
        { name: "good", replicas: 1, template: template(1000) },
        { name: "bad", replicas: 1, template: { ...template(6, { exitCode: 3, spec: { restartPolicy: "Never" } }) } },
      ],
    });
    await jobWhen("long", "Running");
    const second = await berth.startControllers();
    await berth.first.end("SIGKILL");
    await waitFor("the second to lead", () => second.isLeading() || undefined, 60);
    const failed = await jobWhen("long", "Failed");
    assert.deepEqual([failed.status?.retryCount, failed.status?.state?.reason], [2, "MaxRetry"]);
    const [workload, ...others] = await waitFor("its Workload to end", async () => {
      const found = await workloadsOf("long");
      return found.every(({ status }) => isFinal(status?.phase)) ? found : undefined;
    });
    assert.deepEqual([others, workload!.status?.phase, workload!.status?.attempts], [[], "Failed", 1]);
    assert.deepEqual(
      second.lines.filter(({ level }) => level === "error"),
      [],
    );
  });

  test("what a user may not be, and what cannot be had, is refused in words", async () => {
    const task = { name: "w", replicas: 1, template: template(1) };
    const host = template(1, { spec: { hostNetwork: true } });
    await assert.rejects(submit("no", { tasks: [{ ...task, template: host }] }), /hostNetwork/);
    const root = template(1, { spec: { securityContext: { runAsUser: 0 } } });
    await assert.rejects(submit("no", { tasks: [{ ...task, template: root }] }), /runAsUser/);
    const account = template(1, { spec: { serviceAccountName: "admin" } });
    await assert.rejects(submit("no", { tasks: [{ ...task, template: account }] }), /serviceAccountName/);
    await assert.rejects(submit("no", { tasks: [{ ...task, minAvailable: 2 }] }), /minAvailable must not be more/);
    await assert.rejects(submit("no", { tasks: [task], networkTopology: {} }), /networkTopology: .*not supported/);
    await submit("circle", { tasks: [{ ...task, dependsOn: { name: ["w"] } }] });
    assert.match((await jobWhen("circle", "Failed")).status!.state!.message!, /dependsOn.*circle/);
    await assert.rejects(
      cluster.client.patch(volcanoJobs, "circle", { spec: { maxRetry: 9 } }, { namespace }),
      /stays as it was made/,
    );
  });

  test("a Queue of Volcano's stands for one of Berth's", async () => {
    await cluster.client.create(volcanoQueues, {
      apiVersion: "scheduling.volcano.sh/v1beta1",
      kind: "Queue",
      metadata: { name: "test" },
      spec: { weight: 2, reclaimable: false, capability: { cpu: 2 } },
    } as AnyObject);
    const made = await waitFor("Berth's Queue", () =>
      cluster.client.get<Queue>(queues, "test").catch((error: unknown) => {
        if (isReason(error, "NotFound")) return undefined;
        throw error;
      }),
    );
    assert.deepEqual([made.spec.limits, made.spec.priorityFactor], [{ resources: { cpu: "2" } }, 2]);
    await submit("queued", { queue: "test", tasks: [{ name: "w", replicas: 2, template: template(1) }] });
    await jobWhen("queued", "Completed");
    assert.equal((await podsOf("queued"))[0]!.metadata.labels![labels.queue], "test");
    await command("test", "CloseQueue", "Queue");
    await waitFor("it to be closed", async () => {
      const { spec } = await cluster.client.get<Queue>(queues, "test");
      return spec.state === "Drained" || undefined;
    });
    await cluster.client.delete(volcanoQueues, "test");
    await waitFor("Berth's to go with it", () =>
      cluster.client.get<Queue>(queues, "test").then(
        () => undefined,
        () => true,
      ),
    );
  });

  test("their rights are enough for it, and all used", async () => {
    const rights = (volcano: boolean): string[] =>
      manifests({
        image: "",
        version: "",
        level: "policies",
        managedBy: "berth",
        users: { passwd: "", group: "" },
        givesIds: false,
        ...(volcano ? { volcano: { left: [] } } : {}),
      })
        .filter(({ kind, metadata }) => /^(Cluster)?Role$/.test(kind) && metadata.name === "berth-controllers")
        .flatMap((role) => (role as unknown as { rules: { resources: string[]; verbs: string[] }[] }).rules)
        .flatMap(({ resources: names, verbs }) => verbs.flatMap((verb) => names.map((name) => `${verb} ${name}`)));
    const before = new Set(rights(false));
    const events = readFileSync(cluster.auditLog, "utf8")
      .trimEnd()
      .split("\n")
      .map(
        (line) =>
          JSON.parse(line) as {
            verb: string;
            user: { username: string };
            objectRef?: { resource: string; subresource?: string };
            responseStatus?: { code: number };
          },
      )
      .filter(({ user }) => user.username === controllersUser(systemNamespace));
    const nameOf = ({ verb, objectRef: of }: (typeof events)[number]): string =>
      `${verb} ${of?.resource}${of?.subresource === undefined ? "" : `/${of.subresource}`}`;
    const used = new Set(events.filter(({ responseStatus }) => responseStatus?.code !== 403).map(nameOf));
    const refused = new Set(events.filter(({ responseStatus }) => responseStatus?.code === 403).map(nameOf));
    assert.deepEqual(
      [...refused].filter((what) => what !== "create namespaces" && what !== "list secrets"),
      [],
    );
    // Lists are for servers whose watches cannot begin with one; finalizers for an authorizer; Jobs go where they say when.
    const seldom = /^(list |update jobs\/finalizers$|delete jobs$|patch queues$)/;
    assert.deepEqual(
      [...new Set(rights(true))].filter((what) => !before.has(what) && !used.has(what) && !seldom.test(what)),
      [],
    );
  });

  test("where Volcano comes Berth leaves its Jobs alone, and says so", async () => {
    const status = () =>
      run(join(repository, "berth"), ["status"], { env: { BERTH_CONTEXT: cluster.kubeconfig }, timeoutSeconds: 60 });
    assert.match((await status()).stdout, /Jobs and Queues of Volcano are run by Berth/);
    // Its manifests write over what is there; their generator leaves its mark.
    await cluster.client.patch(resources.customResourceDefinitions, "jobs.batch.volcano.sh", {
      metadata: { annotations: { "controller-gen.kubebuilder.io/version": "v0.18.0" } },
    });
    await submit("theirs", { tasks: [{ name: "w", replicas: 1, template: template(1) }] });
    assert.match(
      (await status()).stdout,
      /Volcano is here: its Jobs, Queues and the pods of its scheduler are left alone/,
    );
    const again = await run(join(repository, "berth"), ["install", "--volcano"], {
      env: { BERTH_CONTEXT: cluster.kubeconfig },
      timeoutSeconds: 60,
    });
    assert.notEqual(again.code, 0);
    assert.match(again.stderr, /jobs\.batch\.volcano\.sh is there, and not Berth's/);
    assert.equal((await jobOf("theirs")).status, undefined);
  });
});
