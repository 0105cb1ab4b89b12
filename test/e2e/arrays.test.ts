/** Arrays, and jobs that wait for others. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startCluster, type TestCluster } from "../support/berth.ts";
import { ended, sacct, sbatch, small, squeueField, waitForState, writeScript } from "../support/jobs.ts";
import { waitFor } from "../support/waiting.ts";

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster[Symbol.asyncDispose]());
const path = (name: string): string => join(cluster.directory, name);
const read = (name: string): string => readFileSync(path(name), "utf8");

test(
  "each element has its own file, id, environment and row; --wait gives the largest code",
  { timeout: 900_000 },
  async () => {
    const script = writeScript(
      cluster,
      "array.sh",
      '#!/bin/sh\n#SBATCH --array=1-7:3,2\n#SBATCH -t 1 --mem=50M\n#SBATCH -o array-%A-%a.txt\necho "$SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT, $SLURM_ARRAY_TASK_MIN to $SLURM_ARRAY_TASK_MAX"\nexit $((SLURM_ARRAY_TASK_ID == 4 ? 9 : 0))\n',
    );
    const outcome = await cluster.berth(["sbatch", "--parsable", "--wait", script]);
    assert.equal(outcome.code, 9, outcome.stderr);
    const id = Number(outcome.stdout);
    for (const task of [1, 2, 4, 7]) assert.equal(read(`array-${id}-${task}.txt`), `${task} of 4, 1 to 7\n`);
    const rows = await sacct(cluster, [id], ["JobID", "JobIDRaw", "State", "ExitCode"]);
    assert.deepEqual(
      rows.map((row) => Object.values(row).join(" ")),
      [1, 2, 4, 7].map((task) => `${id}_${task} ${id + task} ${task === 4 ? "FAILED 9:0" : "COMPLETED 0:0"}`),
    );
  },
);

test("%1 lets one element run at a time", { timeout: 900_000 }, async () => {
  const script = writeScript(
    cluster,
    "one.sh",
    `#!/bin/sh\nmkdir ${path("alone")} || exit 1\nsleep 0.2\nrmdir ${path("alone")}\n`,
  );
  const outcome = await cluster.berth(["sbatch", "--wait", ...small, "--array=0-5%1", "-o", "/dev/null", script]);
  assert.equal(outcome.code, 0, "two elements ran at one time");
});

test("squeue packs what waits, -r takes it apart, scancel takes elements", { timeout: 900_000 }, async () => {
  const id = await sbatch(cluster, [...small, "--hold", "--array=0-9%2", "-o", "/dev/null", "--wrap", "true"]);
  const line = async (...words: string[]): Promise<string[]> =>
    (await cluster.berth(["squeue", "-h", "-j", String(id), "-o", "%i %T %r", ...words])).stdout.trimEnd().split("\n");
  assert.deepEqual(await line(), [`${id}_[0-9%2] PENDING JobHeldUser`]);
  assert.equal((await line("-r")).length, 10);
  assert.equal((await cluster.berth(["scancel", `${id}_[3-5]`, `${id}_9`])).code, 0);
  await waitFor("the elements to go", async () =>
    (await line())[0] === `${id}_[0-2,6-8%2] PENDING JobHeldUser` ? true : undefined,
  );
  assert.equal((await cluster.berth(["scancel", String(id)])).code, 0);
  await waitFor("the array to go", async () =>
    (await cluster.berth(["squeue", "-h", "-j", String(id)])).stdout === "" ? true : undefined,
  );
});

test(
  "dependencies: on success, on failure, on any end, on elements, and one that can never be",
  { timeout: 900_000 },
  async () => {
    const go = path("go");
    const wait = `while [ ! -e ${go} ]; do sleep 0.1; done; `;
    const good = await sbatch(cluster, [...small, "-o", "/dev/null", "--wrap", `${wait}exit 0`]);
    const bad = await sbatch(cluster, [...small, "-o", "/dev/null", "--wrap", `${wait}exit 1`]);
    const after = (dependency: string, ...more: string[]): Promise<number> =>
      sbatch(cluster, [...small, "-o", "/dev/null", "-d", dependency, ...more, "--wrap", "true"]);
    const run = [
      await after(`afterok:${good}`),
      await after(`afternotok:${bad}`),
      await after(`afterany:${good}:${bad}`),
      await after(`afterok:${bad}?afterok:${good}`),
      await after(`after:${good}`),
    ];
    const never = await after(`afterok:${bad}`);
    const cancelled = await after(`afterok:${bad}`, "--kill-on-invalid-dep=yes");
    assert.equal(await squeueField(cluster, never, "%r"), "Dependency");
    assert.match(
      (await cluster.berth(["explain", String(never)])).stdout,
      new RegExp(`why +Dependency[\\s\\S]*depends on +afterok:${bad}`),
    );
    writeFileSync(go, "");
    for (const row of await ended(cluster, run, ["State"])) assert.equal(row.State, "COMPLETED");
    await waitFor("the job that can never start", async () =>
      (await squeueField(cluster, never, "%r")) === "DependencyNeverSatisfied" ? true : undefined,
    );
    const [killed] = await ended(cluster, [cancelled], ["State"]);
    assert.match(killed!.State, /^CANCELLED/);
    await cluster.berth(["scancel", String(never)]);
  },
);

test("dependencies on what had ended already", { timeout: 900_000 }, async () => {
  const submit = async (words: string[]): Promise<string> =>
    (await cluster.berth(["sbatch", "--parsable", "--wait", ...small, "-o", "/dev/null", ...words])).stdout.trim();
  const array = await submit(["--array=0-2", "--wrap", "true"]);
  const bad = await submit(["--wrap", "exit 1"]);
  const jobs = [];
  for (const dependency of [`afterok:${array}`, `afterok:${array}_1`, `afternotok:${bad}`, `afterany:${bad}`])
    jobs.push(await sbatch(cluster, [...small, "-o", "/dev/null", "-d", dependency, "--wrap", "true"]));
  for (const row of await ended(cluster, jobs, ["State"])) assert.equal(row.State, "COMPLETED");
});

test("element after element, and one of a name at a time", { timeout: 900_000 }, async () => {
  const first = await sbatch(cluster, [
    ...small,
    "--array=0-3",
    "-o",
    "/dev/null",
    "--wrap",
    "exit $((SLURM_ARRAY_TASK_ID == 2))",
  ]);
  const second = await sbatch(cluster, [
    ...small,
    "--array=0-3",
    "-d",
    `aftercorr:${first}`,
    "-o",
    "second-%a",
    "--wrap",
    "true",
  ]);
  await waitFor(
    "three elements to end",
    async () => {
      const rows = await sacct(cluster, [second], ["JobID", "State"]);
      return rows.filter(({ State }) => State === "COMPLETED").length === 3 ? true : undefined;
    },
    60,
  );
  assert.equal(existsSync(path("second-2")), false);
  await cluster.berth(["scancel", String(second)]);

  const script = writeScript(
    cluster,
    "single.sh",
    `#!/bin/sh\nmkdir ${path("single")} || exit 1\nsleep 0.3\nrmdir ${path("single")}\n`,
  );
  const jobs = [];
  for (let index = 0; index < 3; index += 1)
    jobs.push(await sbatch(cluster, [...small, "-J", "single", "-d", "singleton", "-o", "/dev/null", script]));
  for (const row of await ended(cluster, jobs, ["State"])) assert.equal(row.State, "COMPLETED");
});

test("begin time and hold", { timeout: 900_000 }, async () => {
  const id = await sbatch(cluster, [...small, "--begin=now+1hour", "-o", "/dev/null", "--wrap", "true"]);
  await waitForState(cluster, id, "PENDING");
  await waitFor("the reason", async () => ((await squeueField(cluster, id, "%r")) === "BeginTime" ? true : undefined));
  const explained = await cluster.berth(["explain", String(id)]);
  assert.match(explained.stdout, /why +BeginTime/);
  assert.match(explained.stdout, / starts +\S/);
  assert.equal((await cluster.berth(["hold", String(id)])).stdout, `job ${id} is held\n`);
  await waitFor("the hold", async () => ((await squeueField(cluster, id, "%r")) === "JobHeldUser" ? true : undefined));
  assert.match((await cluster.berth(["explain", String(id)])).stdout, new RegExp(`berth release ${id}\\.`));
  assert.equal((await cluster.berth(["release", String(id)])).stdout, `job ${id} is released\n`);
  await waitFor("the release", async () => ((await squeueField(cluster, id, "%r")) === "BeginTime" ? true : undefined));
  assert.match((await cluster.berth(["hold", "999"])).stderr, /job 999: there is no such job/);
  await cluster.berth(["scancel", String(id)]);
});
