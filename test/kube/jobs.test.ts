/** Jobs on real nodes: scripts, arrays, gangs and their ends, by the same commands as on the embedded cluster. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { resources } from "@berth/client";
import { apiVersion, isFinal, type Pod, type Workload, type WorkloadSpec, workloads } from "@berth/kinds";
import { waitFor } from "../support/waiting.ts";
import { person, startBerth, type BerthOnKube } from "./berth.ts";
import { startRealCluster, withoutRealNodes, type RealCluster } from "./real-nodes.ts";

describe("jobs on real nodes", { skip: withoutRealNodes(), timeout: 600_000 }, () => {
  let cluster: RealCluster;
  let berth: BerthOnKube;
  before(async () => {
    cluster = await startRealCluster({ nodes: 2 });
    berth = await startBerth(cluster);
  });
  after(async () => {
    await berth?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  const namespace = person.name;
  const output = (name: string): string => readFileSync(join(berth.home, name), "utf8");
  async function submit(...words: string[]): Promise<number> {
    const { code, stdout, stderr } = await berth.berth(["sbatch", ...words]);
    assert.equal(code, 0, stderr);
    return Number(/^Submitted batch job (\d+)/.exec(stdout)?.[1]);
  }
  const find = async (test: (workload: Workload) => boolean): Promise<Workload | undefined> =>
    (await cluster.client.listAll<Workload>(workloads, { namespace })).items.find(test);
  const when = (job: number, what: string, test: (workload: Workload) => boolean): Promise<Workload> =>
    waitFor(`job ${job} ${what}`, () => find((each) => each.status?.jobId === job && test(each)), 120);
  const end = (job: number): Promise<Workload> => when(job, "to end", ({ status }) => isFinal(status?.phase));
  const running = (job: number): Promise<Workload> => when(job, "to run", ({ status }) => status?.phase === "Running");
  const podOf = async (job: number): Promise<Pod | undefined> => {
    const labelSelector = `berth.dev/job-id=${job}`;
    const { items } = await cluster.client.list<Pod>(resources.pods, { namespace, labelSelector });
    return items[0];
  };

  /** A Workload that names its own program, with a wall time as short as no sbatch gives. */
  async function create(name: string, script: string, spec: Partial<WorkloadSpec> = {}): Promise<number> {
    const workload: Workload = {
      apiVersion,
      kind: "Workload",
      metadata: { name, namespace },
      spec: {
        type: "Batch",
        user: person.name,
        podSets: [
          {
            name: "main",
            role: "Driver",
            count: 1,
            template: {
              spec: {
                containers: [{ name: "main", command: ["sh", "-c", script], resources: { requests: { cpu: "100m" } } }],
              },
            },
          },
        ],
        ...spec,
      },
    };
    await cluster.client.create<Workload>(workloads, workload);
    const admitted = await waitFor(`${name} to be admitted`, () =>
      find(({ metadata, status }) => metadata.name === name && status?.jobId !== undefined),
    );
    return admitted.status!.jobId!;
  }

  test("a script runs as its user, with its arguments and variables, into its files and the pod's log", async () => {
    const script = join(berth.home, "job.sh");
    writeFileSync(
      script,
      '#!/bin/sh\n#SBATCH -J first -o out-%j -e err-%j -t 5 -c1 --mem=50M\necho "$(id -u) $1 $SLURM_JOB_ID $SLURM_JOB_NAME"\npwd\necho oops >&2\nexit 3\n',
    );
    const job = await submit(script, "an argument");
    const { status } = await end(job);
    assert.deepEqual([status?.phase, status?.exitCode], ["Failed", 3]);
    assert.equal(output(`out-${job}`), `${person.uid} an argument ${job} first\n${berth.home}\n`);
    assert.equal(output(`err-${job}`), "oops\n");
    assert.match(status?.nodes?.join(",") ?? "", /^node[12]$/);
    await waitFor("its pod to go", async () => (await podOf(job)) === undefined || undefined);
  });

  test("each element of an array ends by itself, and no two share a pod", async () => {
    const job = await submit(
      "-a0-7%4",
      "-otask-%a",
      "-t5",
      "--mem=20M",
      "--wrap",
      "echo $SLURM_ARRAY_TASK_ID; exit $((SLURM_ARRAY_TASK_ID % 2))",
    );
    const { status } = await end(job);
    assert.equal(status?.phase, "Failed");
    assert.deepEqual([status.array?.succeeded, status.array?.failed], ["0-6:2", "1-7:2"]);
    for (let task = 0; task < 8; task++) assert.equal(output(`task-${task}`), `${task}\n`);
  });

  test("at its wall time a job hears TERM, and its end is TimedOut", async () => {
    const file = join(berth.home, "terminated");
    const job = await create("slow", `trap 'echo term >${file}; exit 0' TERM; sleep 600 & wait`, {
      wallTimeSeconds: 3,
    });
    const { status } = await end(job);
    assert.equal(status?.phase, "TimedOut");
    assert.equal(readFileSync(file, "utf8"), "term\n");
  });

  test("who takes more memory than it asked for ends OutOfMemory", async () => {
    const job = await submit("-t", "5", "--mem=30M", "--wrap", `exec awk 'BEGIN{s="x"; while(1) s=s s}'`);
    assert.equal((await end(job)).status?.phase, "OutOfMemory");
  });

  test("a running job shows its log, lets in its owner, and ends when it is cancelled", async () => {
    const job = await submit("-t", "5", "--wrap", "echo begun; sleep 600");
    await running(job);
    const { metadata, spec } = (await podOf(job))!;
    assert.equal(spec.securityContext?.runAsUser, person.uid);
    const log = await waitFor("the log", async () => {
      const { stdout } = await berth.berth(["logs", String(job)]);
      return stdout.includes("begun") ? stdout : undefined;
    });
    assert.equal(log, "begun\n");
    let text = "";
    for await (const chunk of await cluster.client.logs(namespace, metadata.name)) text += String(chunk);
    assert.equal(text, "begun\n");
    let said = "";
    const stdout = new Writable({
      write(chunk, _, done) {
        said += String(chunk);
        done();
      },
    });
    const { exitCode } = await cluster.client.exec(namespace, metadata.name, { command: ["id", "-u"], stdout });
    assert.deepEqual([exitCode, said], [0, `${person.uid}\n`]);
    assert.equal((await berth.berth(["scancel", String(job)])).code, 0);
    assert.equal((await end(job)).status?.phase, "Cancelled");
  });

  test("a gang's script begins when all of its pods are up", async () => {
    const job = await submit("-N2", "-c1", "-t", "5", "-o", "gang", "--wrap", "echo $SLURM_JOB_NODELIST");
    const { status } = await end(job);
    assert.equal(status?.phase, "Succeeded", status?.message);
    assert.equal(output("gang"), "node[1-2]\n");
  });

  test("another process of controllers goes on where one was killed, and one that is asked to end hands over", async () => {
    const job = await submit("-t", "5", "-o", "long", "--wrap", "sleep 8; echo done");
    await running(job);
    const second = await berth.startControllers();
    assert.equal(second.isLeading(), false);
    await berth.first.end("SIGKILL");
    await waitFor("the second to lead", () => second.isLeading() || undefined, 60);
    const { status } = await end(job);
    assert.deepEqual([status?.phase, status?.attempts], ["Succeeded", 1]);
    assert.equal(output("long"), "done\n");
    const third = await berth.startControllers();
    assert.equal(await second.end(), 0);
    await waitFor("the third to lead", () => third.isLeading() || undefined, 30);
    const metrics = await (await fetch(`${third.health}/metrics`)).text();
    assert.match(metrics, /^berth_leader 1$/m);
    assert.match(metrics, /^berth_workloads\{phase="Succeeded"\} \d+$/m);
    assert.equal((await fetch(`${third.health}/readyz`)).status, 200);
  });
});
