import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { ensureToken, startApiServer, type ApiServer } from "@berth/apiserver";
import { createClient, Informer, isReason, loadKubeconfig, resources, type Client } from "@berth/client";
import { argumentsFile, environmentFile, submissionContainer, wrapperScript, type Pod } from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";

const data = mkdtempSync(join(tmpdir(), "berth-node-"));
const work = mkdtempSync(join(tmpdir(), "berth-work-"));
chmodSync(work, 0o777);
const asRoot = process.getuid!() === 0;
const stop = new AbortController();
let api: ApiServer;
let client: Client;
let pods: Informer<Pod>;
let agent: ChildProcess;
let connection: object;
let waiters: (() => void)[] = [];

async function startAgent(): Promise<void> {
  const options = {
    connection,
    dataDirectory: data,
    nodes: [{ name: "n1", cpus: 2, memoryBytes: 2 ** 31 }],
    endpoint: {
      cert: readFileSync(join(data, "pki", "apiserver.crt"), "utf8"),
      key: readFileSync(join(data, "pki", "apiserver.key"), "utf8"),
      token: ensureToken(join(data, "tokens.json"), { user: "berth:apiserver", groups: [] }),
    },
  };
  const program = join(import.meta.dirname, "agent-process.test.ts");
  agent = fork(program, ["--agent", JSON.stringify(options)], { execArgv: ["--disable-warning=ExperimentalWarning"] });
  await once(agent, "message");
}

async function killAgent(): Promise<void> {
  const gone = once(agent, "exit");
  agent.kill("SIGKILL");
  await gone;
}

before(async () => {
  api = await startApiServer({ dataDirectory: data, signal: stop.signal });
  const resolved = loadKubeconfig({ path: api.adminKubeconfig });
  connection = { ...resolved.connection, ca: resolved.connection.ca!.toString() };
  client = createClient(resolved.connection);
  await startAgent();
  const wake = (): void => {
    for (const waiter of waiters.splice(0)) waiter();
  };
  pods = new Informer<Pod>({
    client,
    resource: resources.pods,
    handlers: [{ add: wake, update: wake, delete: wake }],
    signal: stop.signal,
  });
  await pods.synced;
});

after(async () => {
  await killAgent();
  stop.abort();
  await pods.done;
  client.close();
  await api.close();
  rmSync(data, { recursive: true, force: true });
  rmSync(work, { recursive: true, force: true });
});

async function until<T>(found: () => T | undefined): Promise<T> {
  for (;;) {
    const value = found();
    if (value !== undefined) return value;
    await new Promise<void>((resolve) => waiters.push(resolve));
  }
}

const phaseIs = (name: string, phase: string) => (): Pod | undefined => {
  const pod = pods.get("default", name);
  return pod?.status?.phase === phase ? pod : undefined;
};
const ended = (name: string): Promise<Pod> => until(() => phaseIs(name, "Succeeded")() ?? phaseIs(name, "Failed")());
const terminated = (pod: Pod) => pod.status!.containerStatuses![0]!.state!.terminated!;

async function create(
  name: string,
  script: string,
  more: Partial<Pod["spec"]> = {},
  metadata: object = {},
): Promise<void> {
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", ...metadata },
    spec: {
      nodeName: "n1",
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 1,
      containers: [{ name: "main", image: "host", command: ["sh", "-c", script.replaceAll("$$", () => "$$$$")] }],
      ...more,
    },
  };
  await client.create<Pod>(resources.pods, pod);
}

const run = async (
  name: string,
  script: string,
  more: Partial<Pod["spec"]> = {},
  metadata: object = {},
): Promise<Pod> => {
  await create(name, script, more, metadata);
  return ended(name);
};
const log = async (name: string): Promise<string> => text(await client.logs("default", name));

describe("a pod on the embedded node", () => {
  test("tells exit codes from signals", async () => {
    for (const [script, exitCode, signal] of [
      ["true", 0, undefined],
      ["exit 3", 3, undefined],
      ["exit 137", 137, undefined],
      ["kill -9 $$", 137, 9],
      ["kill -SEGV $$", 139, 11],
      ["no-such-command", 127, undefined],
    ] as const) {
      const pod = await run(`code-${exitCode}-${signal ?? 0}`, script);
      assert.equal(terminated(pod).exitCode, exitCode, script);
      assert.equal(terminated(pod).signal, signal, script);
      assert.equal(pod.status!.phase, exitCode === 0 ? "Succeeded" : "Failed");
      assert.equal(typeof JSON.parse(terminated(pod).message!).cpuMilliseconds, "number");
    }
  });

  test("gets env, references, config, and its log is kept", async () => {
    await client.create(resources.configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "settings", namespace: "default" },
      data: { colour: "blue" },
    } as KubernetesObject);
    await run("environment", "", {
      volumes: [{ name: "settings", configMap: { name: "settings" } }],
      containers: [
        {
          name: "main",
          image: "host",
          command: ["sh", "-c", "echo $(A)-$B-$C-$NAME; cat /etc/of/settings/colour; exit 0"],
          env: [
            { name: "A", value: "a" },
            { name: "B", value: "$(A)$(NONE)" },
            { name: "C", valueFrom: { configMapKeyRef: { name: "settings", key: "colour" } } },
            { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          ],
          volumeMounts: [{ name: "settings", mountPath: "/etc/of/settings" }],
        },
      ],
    });
    assert.equal(await log("environment"), "a-a$(NONE)-blue-environment\nblue");
  });

  test("init containers come first, and their failure is the pod's", async () => {
    const init = (script: string) => [{ name: "first", image: "host", command: ["sh", "-c", script] }];
    await run("init-good", `cat ${work}/made`, { initContainers: init(`echo made > ${work}/made`) });
    assert.equal(await log("init-good"), "made\n");
    const bad = await run("init-bad", `touch ${work}/never`, { initContainers: init("exit 4") });
    assert.equal(bad.status!.phase, "Failed");
    assert.ok(!existsSync(join(work, "never")));
  });

  test("OnFailure starts again until it succeeds", async () => {
    const script = `echo x >> ${work}/tries; [ $(wc -l < ${work}/tries) -ge 2 ]`;
    const pod = await run("again", script, { restartPolicy: "OnFailure" });
    assert.equal(pod.status!.containerStatuses![0]!.restartCount, 1);
    assert.equal(pod.status!.phase, "Succeeded");
  });

  test("a container that is started again and again ends at the wall time, in its pauses too", async () => {
    const annotations = { "berth.dev/wall-time-seconds": "2" };
    const pod = await run("for-ever", "exit 1", { restartPolicy: "Always" }, { annotations });
    assert.deepEqual([pod.status!.phase, pod.status!.reason], ["Failed", "DeadlineExceeded"]);
    assert.ok(pod.status!.containerStatuses![0]!.restartCount >= 1);
  });

  test("refuses other images, missing config and volumes in words", async () => {
    const foreign = await run("foreign", "", { containers: [{ name: "main", image: "nginx" }] });
    assert.equal(foreign.status!.containerStatuses![0]!.state!.waiting!.reason, "ErrImagePull");
    assert.match(foreign.status!.message!, /image "host".* works/);
    const volume = { volumes: [{ name: "v", nfs: { server: "x", path: "/" } }] };
    assert.match(
      (await run("nfs", "true", volume)).status!.message!,
      /"v" is a nfs, which the embedded node cannot mount/,
    );
  });

  test("is ended at its wall time, whatever it does with TERM and wherever it forks", async () => {
    const script = `trap '' TERM; (setsid sleep 4242 &); echo up; while :; do sleep 1; done`;
    const pod = await run("wall", script, {}, { annotations: { "berth.dev/wall-time-seconds": "1" } });
    assert.equal(pod.status!.reason, "DeadlineExceeded");
    assert.equal(terminated(pod).signal, 9);
    assert.ok(!processes().some((line) => line.includes("sleep\u00004242")));
  });

  test("a wall time that is changed holds for what runs, longer also than activeDeadlineSeconds", async () => {
    const change = (name: string, seconds: number): Promise<Pod> =>
      client.patch<Pod>(
        resources.pods,
        name,
        { metadata: { annotations: { "berth.dev/wall-time-seconds": String(seconds) } } },
        { namespace: "default" },
      );
    const stated = { annotations: { "berth.dev/wall-time-seconds": "8" } };
    const labels = { "berth.dev/workload": "longer", "berth.dev/attempt": "1", "berth.dev/pod-set": "main" };
    await create("longer", "sleep 10", { activeDeadlineSeconds: 9 }, { ...stated, labels });
    await create("shorter", "sleep 100", {}, { annotations: { "berth.dev/wall-time-seconds": "600" } });
    await until(phaseIs("longer", "Running"));
    await change("longer", 600);
    await until(phaseIs("shorter", "Running"));
    await change("shorter", 1);
    await until(phaseIs("shorter", "Failed"));
    assert.equal(pods.get("default", "shorter")?.status?.reason, "DeadlineExceeded");
    await until(phaseIs("longer", "Succeeded"));
  });

  test("deletion is TERM, grace, then gone", async () => {
    await create("deleted", `trap 'echo bye > ${work}/bye; exit 0' TERM; while :; do sleep 0.1; done`);
    await until(phaseIs("deleted", "Running"));
    await client.delete(resources.pods, "deleted", { namespace: "default" });
    await until(() => (pods.get("default", "deleted") === undefined ? true : undefined));
    assert.equal(readFileSync(join(work, "bye"), "utf8"), "bye\n");
  });

  test("out of memory is said, also when the script goes on", async (t) => {
    if (!asRoot) return t.skip("control groups need root");
    const pod = await run("memory", "", {
      containers: [
        {
          name: "main",
          image: "host",
          command: ["sh", "-c", "head -c 300m /dev/zero | tail -c 250m | wc -c; exit 0"],
          resources: { limits: { memory: "32Mi" } },
        },
      ],
    });
    assert.equal(terminated(pod).reason, "OOMKilled", JSON.stringify(pod.status));
    assert.equal(pod.status!.phase, "Failed");
  });

  test("where memory is short the command goes first", async () => {
    await run("adjusted", "cat /proc/self/oom_score_adj");
    assert.equal(await log("adjusted"), "500\n");
  });

  test("a limit of memory holds, whatever tasks before it left in the group", async (t) => {
    if (!asRoot) return t.skip("control groups need root");
    const left = `/dev/shm/${basename(work)}`;
    const with_ = (memory: string, script: string) => ({
      containers: [{ name: "main", image: "host", command: ["sh", "-c", script], resources: { limits: { memory } } }],
    });
    await run("leaves", "", with_("512Mi", `head -c 64m /dev/zero >${left}`));
    const pod = await run("limited", "", with_("32Mi", `rm -f ${left}; head -c 300m /dev/zero | tail -c 250m | wc -c`));
    rmSync(left, { force: true });
    assert.equal(terminated(pod).reason, "OOMKilled", JSON.stringify(pod.status));
  });

  test("a launcher that goes away before it began its next task is replaced", async () => {
    await run("served", "true");
    const launchers = launcherPids();
    assert.ok(launchers.length > 0);
    for (const pid of launchers) process.kill(pid, "SIGSTOP");
    await create("replaced", "echo here");
    await until(() => pods.get("default", "replaced")?.status?.containerStatuses?.[0]?.state?.running);
    for (const pid of launchers) process.kill(pid, "SIGKILL");
    assert.equal((await ended("replaced")).status!.phase, "Succeeded");
    assert.equal(await log("replaced"), "here\n");
  });

  test("a gate holds the script until it opens", async () => {
    await create("gated", `echo started > ${work}/gated`, {}, { annotations: { "berth.dev/gate": "closed" } });
    await until(phaseIs("gated", "Running"));
    assert.ok(!existsSync(join(work, "gated")));
    const annotations = { "berth.dev/gate": "open", "berth.dev/gate-opened-at": new Date().toISOString() };
    await client.patch(resources.pods, "gated", { metadata: { annotations } }, { namespace: "default" });
    assert.equal((await ended("gated")).status!.phase, "Succeeded");
  });

  test("floods its output and closes its streams without harm", async () => {
    await run("flood", "head -c 5000000 /dev/zero; exec >&- 2>&- <&-; exit 6");
    assert.equal((await log("flood")).length, 5_000_000);
    assert.equal(terminated(pods.get("default", "flood")!).exitCode, 6);
    assert.equal((await text(await client.logs("default", "flood", { limitBytes: 10 }))).length, 10);
  });
});

describe("a submission", () => {
  async function submit(name: string, script: string, env: Record<string, string>): Promise<Pod> {
    const encode = (value: string): string => Buffer.from(value).toString("base64");
    const secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, namespace: "default" },
      immutable: true,
      data: {
        run: encode(wrapperScript),
        script: encode(script),
        environment: encode(environmentFile({ PATH: process.env["PATH"]!, MINE: "yes" })),
        arguments: encode(argumentsFile(["one", "two words"])),
      },
    } as KubernetesObject;
    await client.create(resources.secrets, secret);
    const { volume, mount, command } = submissionContainer(name);
    return run(name, "", {
      volumes: [volume],
      containers: [
        {
          name: "main",
          image: "host",
          command,
          volumeMounts: [mount],
          env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
        },
      ],
    });
  }

  test("runs with its arguments and environment, and its output file is its log", async () => {
    const out = join(work, "sub", "out.txt");
    const script = `#!/bin/sh\necho "$(basename $0) $2 $MINE $PWD"; echo error >&2; exit 9\n`;
    const pod = await submit("good", script, { BERTH_CHDIR: work, BERTH_OUTPUT: out });
    assert.equal(terminated(pod).exitCode, 9);
    assert.equal(readFileSync(out, "utf8"), `slurm_script two words yes ${work}\nerror\n`);
    assert.equal(await log("good"), readFileSync(out, "utf8"));
  });

  test("whose output cannot be opened fails before it starts", async () => {
    const pod = await submit("closed", "#!/bin/sh\ntrue\n", { BERTH_OUTPUT: "/proc/none/out" });
    assert.equal(terminated(pod).exitCode, 53);
    const report = JSON.parse(terminated(pod).message!) as { failure: string; message: string };
    assert.equal(report.failure, "output");
    assert.match(report.message, /could not open the output file \/proc\/none\/out/);
  });
});

describe("logs and exec", () => {
  test("follows a log to its end", async () => {
    await create("follow", `for i in 1 2 3; do echo $i; sleep 0.1; done`);
    await until(() => phaseIs("follow", "Running")() ?? phaseIs("follow", "Succeeded")());
    assert.equal(await text(await client.logs("default", "follow", { follow: true })), "1\n2\n3\n");
    assert.equal(await text(await client.logs("default", "follow", { tailLines: 2 })), "2\n3\n");
    await assert.rejects(client.logs("default", "follow", { previous: true }), /previous terminated container/);
  });

  test("exec: streams, exit code, and the same namespaces", async () => {
    await create("exec", `echo $$ > ${work}/pid; sleep 60`);
    await until(phaseIs("exec", "Running"));
    const out = new Collected();
    const result = await client.exec("default", "exec", {
      command: ["sh", "-c", `cat; readlink /proc/1/cwd >/dev/null; echo err >&2; exit 5`],
      stdin: Readable.from(["hello"]),
      stdout: out,
      stderr: new Collected(),
    });
    assert.equal(result.exitCode, 5);
    assert.equal(out.text, "hello");
    const tree = new Collected();
    await client.exec("default", "exec", { command: ["ps", "-e", "-o", "args"], stdout: tree });
    assert.match(tree.text, /sleep 60/);
    await assert.rejects(
      client.exec("default", "follow", { command: ["true"], stdout: out }),
      (error) => isReason(error, "BadRequest") && /not running/.test(error.message),
    );
    await client.delete(resources.pods, "exec", { namespace: "default", gracePeriodSeconds: 0 });
  });
});

describe("an agent that is killed", () => {
  test("leaves its jobs running, and takes them back with their end", async () => {
    await create("over", `echo a >> ${work}/over; sleep 1.5; echo b >> ${work}/over; exit 7`);
    await create("long", `echo a >> ${work}/long; sleep 3; exit 8`);
    await until(phaseIs("over", "Running"));
    await until(phaseIs("long", "Running"));
    await killAgent();
    while (!existsSync(join(work, "over")) || readFileSync(join(work, "over"), "utf8") !== "a\nb\n") await pause(50);
    await startAgent();
    assert.equal(terminated(await ended("over")).exitCode, 7);
    assert.equal(terminated(await ended("long")).exitCode, 8);
    assert.equal(readFileSync(join(work, "long"), "utf8"), "a\n");
  });

  test("the wall time holds without it", async () => {
    await create("alone", "sleep 100", {}, { annotations: { "berth.dev/wall-time-seconds": "1" } });
    await until(phaseIs("alone", "Running"));
    await killAgent();
    const uid = pods.get("default", "alone")!.metadata.uid!;
    const state = join(data, "nodes", "pods", uid, "main.0", "state");
    while (!/^ended /m.test(readFileSync(state, "utf8"))) await pause(50);
    await startAgent();
    assert.equal((await ended("alone")).status!.reason, "DeadlineExceeded");
  });

  test("follows to its end what was asked to go before, and is not told gone while it runs", async () => {
    const script = `trap 'echo asked >> ${work}/saved; sleep 2 && echo saved >> ${work}/saved; exit 3' TERM
: > ${work}/ready; while :; do sleep 0.1; done`;
    await create("going", script, {}, { finalizers: ["berth.dev/accounting"] });
    while (!existsSync(join(work, "ready"))) await pause(50);
    // The agent dies before it hears of the deletion, or in the middle of it.
    await killAgent();
    await client.delete(resources.pods, "going", { namespace: "default", gracePeriodSeconds: 20 });
    await startAgent();
    await pause(700);
    await killAgent();
    await startAgent();
    assert.equal(terminated(await ended("going")).exitCode, 3);
    // Who is told again is not kept from saving.
    assert.equal(readFileSync(join(work, "saved"), "utf8"), "asked\nsaved\n");
    await client.patch(resources.pods, "going", { metadata: { finalizers: null } }, { namespace: "default" });
    await until(() => (pods.get("default", "going") === undefined ? true : undefined));
  });

  test("what stands still does so without it, and ends where it was deleted meanwhile", async () => {
    for (const name of ["frozen", "freed"]) await create(name, `while sleep 0.1; do echo x >> ${work}/${name}; done`);
    const suspend = (name: string, by: string): Promise<unknown> =>
      client.patch(resources.pods, name, { metadata: { annotations: { "berth.dev/suspend": by } } }, inDefault);
    const stands = (name: string, status: string): Promise<Pod> =>
      until(() => {
        const pod = pods.get("default", name);
        const told = pod?.status?.conditions?.find(({ type }) => type === "berth.dev/Suspended");
        return told?.status === status ? pod : undefined;
      });
    const size = (name: string): number => readFileSync(join(work, name), "utf8").length;
    for (const name of ["frozen", "freed"]) {
      while (!existsSync(join(work, name))) await pause(50);
      await suspend(name, "root");
      await stands(name, "True");
    }
    const { uid } = pods.get("default", "frozen")!.metadata;
    await killAgent();
    const before = ["frozen", "freed"].map(size);
    await suspend("freed", "");
    await client.delete(resources.pods, "frozen", { ...inDefault, gracePeriodSeconds: 0 });
    await pause(1500);
    assert.deepEqual(["frozen", "freed"].map(size), before);
    await startAgent();
    await stands("freed", "False");
    while (size("freed") === before[1]) await pause(50);
    while (readdirSync(join(data, "nodes", "pods")).includes(uid!)) await pause(50);
    assert.equal(size("frozen"), before[0]);
    // And one that is deleted while it stands.
    await suspend("freed", "root");
    await stands("freed", "True");
    await client.delete(resources.pods, "freed", { ...inDefault, gracePeriodSeconds: 5 });
    await until(() => (pods.get("default", "freed") === undefined ? true : undefined));
    while (readdirSync(join(data, "nodes", "suspended")).length > 0) await pause(50);
  });

  test("what runs goes on where a volume cannot be had again", async () => {
    const settings = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "passing", namespace: "default" } };
    await client.create(resources.configMaps, { ...settings, data: { a: "b" } } as KubernetesObject);
    await create("mounted", `: > ${work}/mounted; while [ ! -e ${work}/on ]; do sleep 0.1; done; exit 9`, {
      volumes: [{ name: "settings", configMap: { name: "passing" } }],
    });
    while (!existsSync(join(work, "mounted"))) await pause(50);
    await killAgent();
    await client.delete(resources.configMaps, "passing", { namespace: "default" });
    await startAgent();
    await pause(300);
    writeFileSync(join(work, "on"), "");
    assert.equal(terminated(await ended("mounted")).exitCode, 9);
  });

  test("killed at any moment, nothing runs twice and everything ends", async () => {
    const names = Array.from({ length: 12 }, (_, index) => `crash-${index}`);
    for (const [index, name] of names.entries()) {
      await create(name, `echo x >> ${work}/${name}; exit ${index}`);
      if (index % 3 === 2) {
        await killAgent();
        await startAgent();
      }
    }
    for (const [index, name] of names.entries()) {
      assert.equal(terminated(await ended(name)).exitCode, index);
      assert.equal(readFileSync(join(work, name), "utf8"), "x\n", name);
    }
  });

  test("ends what was deleted while it was away, and removes its folder", async () => {
    await create("orphan", `sleep 4243`);
    const { metadata } = await until(phaseIs("orphan", "Running"));
    await killAgent();
    await client.delete(resources.pods, "orphan", { namespace: "default", gracePeriodSeconds: 0 });
    await startAgent();
    while (readdirSync(join(data, "nodes", "pods")).includes(metadata.uid!)) await pause(50);
    assert.ok(!processes().some((line) => line.includes("sleep\u00004243")));
  });
});

const inDefault = { namespace: "default" };

class Collected extends Writable {
  text = "";
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The agent's launchers and what wraps them. */
function launcherPids(): number[] {
  const below = (pid: number): number[] => {
    try {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
      return children.flatMap((child) => [Number(child)].concat(below(Number(child))));
    } catch {
      return [];
    }
  };
  return below(agent.pid!).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("berth_measure()"));
}

function processes(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, "utf8");
      } catch {
        return "";
      }
    });
}
