/** Arrays of short tasks, of which one pod carries several in turn: each is still a task of its own. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { createClient, loadKubeconfig, resources } from "@berth/client";
import { labels, leaseOf, type Pod, type Workload, workloads } from "@berth/kinds";
import { nodeProcesses, startCluster, type TestCluster } from "../support/berth.ts";
import { sacct, sbatch, small, writeScript } from "../support/jobs.ts";
import { waitFor } from "../support/waiting.ts";

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster[Symbol.asyncDispose]());
const path = (name: string): string => join(cluster.directory, name);
const lines = (name: string): string[] =>
  existsSync(path(name)) ? readFileSync(path(name), "utf8").trim().split("\n") : [];

const waitForEnd = (id: number): Promise<true> =>
  waitFor(
    `array ${id} to end`,
    async () => ((await cluster.berth(["squeue", "-h", "-j", String(id)])).stdout === "" ? true : undefined),
    100,
  );

/** Writes on its first lines what each task is and when it began. */
const journal = (name: string): string =>
  `echo "$SLURM_ARRAY_TASK_ID $SLURM_JOB_ID $SLURM_ARRAY_JOB_ID $BERTH_POD_UID \${SLURM_RESTART_COUNT:-0}" >>${path(name)}\n`;

/** How many of the tasks shared a pod with another. */
function shared(name: string): number {
  const pods = Map.groupBy(lines(name), (line) => line.split(" ")[3]);
  return [...pods.values()].reduce((sum, tasks) => sum + (tasks.length > 1 ? tasks.length : 0), 0);
}

test("each has its own output file, environment, exit code, signal and row", { timeout: 900_000 }, async () => {
  mkdirSync(path("out"));
  const script = writeScript(
    cluster,
    "short.sh",
    `#!/bin/sh
${journal("short")}echo "$SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT"
case $((SLURM_ARRAY_TASK_ID % 40)) in 7) exit 3 ;; 9) kill -TERM $$ ;; esac
`,
  );
  const outcome = await cluster.berth(
    ["sbatch", "--parsable", "--wait", ...small, "--array=0-199", "-o", path("out/%A-%4a-%j.txt"), script],
    { timeoutSeconds: 600 },
  );
  assert.equal(outcome.code, 143, outcome.stderr);
  const id = Number(outcome.stdout);
  assert.ok(shared("short") > 100, `${shared("short")} of 200 tasks shared a pod`);
  assert.equal(lines("short").length, 200, "each began once");
  for (const line of lines("short")) {
    const [task, job, array] = line.split(" ").map(Number);
    assert.deepEqual([job, array], [id + task!, id]);
  }
  const files = readdirSync(path("out")).sort();
  assert.equal(files.length, 200);
  for (let task = 0; task < 200; task++) {
    const name = `${id}-${String(task).padStart(4, "0")}-${id + task}.txt`;
    assert.equal(readFileSync(path(`out/${name}`), "utf8"), `${task} of 200\n`);
  }
  const rows = await sacct(cluster, [id], ["JobID", "JobIDRaw", "State", "ExitCode"]);
  assert.equal(rows.length, 200);
  for (const [at, row] of rows.entries()) {
    const how = at % 40 === 7 ? "FAILED 3:0" : at % 40 === 9 ? "FAILED 0:15" : "COMPLETED 0:0";
    assert.equal(Object.values(row).join(" "), `${id}_${at} ${id + at} ${how}`);
  }
});

test("one that is cancelled ends, or does not begin; the others go on", { timeout: 900_000 }, async () => {
  // Long enough that the pod of task 40 is met: it waits for a file, and holds up those behind it in its pod.
  const script = writeScript(
    cluster,
    "cancel.sh",
    `#!/bin/sh\n${journal("cancel")}echo I am $SLURM_ARRAY_TASK_ID\n[ $SLURM_ARRAY_TASK_ID != 40 ] || exec sleep 100\n`,
  );
  const id = await sbatch(cluster, [...small, "--array=0-99%1", "-o", path("cancel-%a.txt"), script]);
  await waitFor("task 40 to run", () => (lines("cancel").some((line) => line.startsWith("40 ")) ? true : undefined));
  const client = createClient(loadKubeconfig({ path: join(cluster.data, "admin.kubeconfig") }).connection);
  const { items } = await client.listAll<Pod>(resources.pods, {});
  const pod = items.find((each) => leaseOf(each)?.tasks.includes(40) === true);
  assert.ok(pod !== undefined, "task 40 shares its pod");
  // Who cannot read the file asks the node for what this task wrote, which is not what its pod did.
  const log = await client.logs(pod.metadata.namespace!, pod.metadata.name, { task: 40 });
  assert.equal(await textOf(log), "I am 40\n");
  client.close();
  assert.equal((await cluster.berth(["logs", `${id}_40`])).stdout, "I am 40\n");
  // What comes after it in its pod waits again at once, and goes on in another when this one has ended.
  assert.equal((await cluster.berth(["scancel", `${id}_[40,97]`])).code, 0);
  await waitForEnd(id);
  const rows = await sacct(cluster, [id], ["JobID", "State"]);
  for (const row of rows) {
    // One that did not begin stands as a list of elements.
    const isCancelled = [`${id}_40`, `${id}_[97]`].includes(row.JobID);
    assert.match(row.State, isCancelled ? /^CANCELLED/ : /^COMPLETED$/, row.JobID);
  }
  assert.equal(rows.length, 100);
  const begun = lines("cancel").map((line) => Number(line.split(" ")[0]));
  assert.equal(new Set(begun).size, begun.length, "none began twice");
  assert.ok(!begun.includes(97));
});

test("the wall time is each task's own", { timeout: 900_000 }, async () => {
  const script = writeScript(
    cluster,
    "wall.sh",
    `#!/bin/sh\n${journal("wall")}[ $SLURM_ARRAY_TASK_ID != 30 ] || exec sleep 100\n`,
  );
  const id = await sbatch(cluster, [...small, "--hold", "--array=0-59", "-o", path("wall-%a.txt"), script]);
  // sbatch counts in minutes.
  const client = createClient(loadKubeconfig({ path: join(cluster.data, "admin.kubeconfig") }).connection);
  // sbatch ends when the job has its id; the label comes after.
  const { name, namespace } = await waitFor("the job by its label", async () => {
    const { items } = await client.listAll<Workload>(workloads, { labelSelector: `${labels.jobId}=${id}` });
    return items[0]?.metadata;
  });
  await client.patch(workloads, name, { spec: { wallTimeSeconds: 3, hold: null } }, { namespace });
  client.close();
  await waitForEnd(id);
  const rows = await sacct(cluster, [id], ["JobID", "State"]);
  assert.deepEqual(
    rows.filter(({ State }) => State !== "COMPLETED").map(({ JobID, State }) => `${JobID} ${State}`),
    [`${id}_30 TIMEOUT`],
  );
  assert.match(readFileSync(path("wall-30.txt"), "utf8"), new RegExp(`JOB ${id + 30} ON .* DUE TO TIME LIMIT`));
});

test("tasks go on, once each, while all processes of Berth are killed", { timeout: 900_000 }, async () => {
  const script = writeScript(cluster, "killed.sh", `#!/bin/sh\n${journal("killed")}sleep 0.02\n`);
  const id = await sbatch(cluster, [...small, "--array=0-299", "-o", "/dev/null", script]);
  for (let round = 0; round < 3; round++) {
    await waitFor("more tasks to begin", () => (lines("killed").length > 20 + round * 60 ? true : undefined));
    for (const pid of nodeProcesses(cluster.data)) process.kill(pid, "SIGKILL");
    await cluster.up();
  }
  await waitForEnd(id);
  assert.ok(shared("killed") > 100, `${shared("killed")} of 300 tasks shared a pod`);
  const begun = lines("killed").map((line) => line.split(" ")[0]);
  assert.equal(new Set(begun).size, begun.length, "none began twice");
  const rows = await sacct(cluster, [id], ["JobID", "State", "ExitCode"]);
  assert.deepEqual(
    rows.map(({ JobID, State, ExitCode }) => `${JobID} ${State} ${ExitCode}`),
    Array.from({ length: 300 }, (_, task) => `${id}_${task} COMPLETED 0:0`),
  );
});
