/** Jobs that stand still because an operator says so: what they do, what is told of them and accounted, with all of Berth dead too. */
import assert from "node:assert/strict";
import { appendFileSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { test } from "node:test";
import { nodeProcesses, startCluster, type TestCluster } from "../support/berth.ts";
import { ended, sacct, sbatch, small, waitForState, writeScript } from "../support/jobs.ts";
import { waitFor, waitForFile } from "../support/waiting.ts";

/** Counts on in a file until `more` is there. */
function counting(file: string): string {
  return `#!/bin/sh
trap 'echo asked >>${file}; exit 9' TERM
while [ ! -e ${file}.more ]; do echo x >>${file}; sleep 0.1; done
exit 4
`;
}

async function standsStill(file: string, milliseconds: number): Promise<void> {
  const before = statSync(file).size;
  await delay(milliseconds);
  assert.equal(statSync(file).size, before);
}

async function squeue(cluster: TestCluster, job: number, format: string): Promise<string[]> {
  const { stdout } = await cluster.berth(["squeue", "-h", "-r", "-j", String(job), "-o", format]);
  return stdout.trim().split("\n");
}

const scontrol = (cluster: TestCluster, ...words: string[]) => cluster.berth(["scontrol", ...words]);

for (const driver of ["sandbox", "process"] as const) {
  test(
    `a job stands still beyond its wall time, all of Berth killed meanwhile, driver ${driver}`,
    { timeout: 900_000 },
    () => outlives(driver),
  );
}

async function outlives(driver: string): Promise<void> {
  await using cluster = await startCluster({ flags: ["--driver", driver] });
  const file = join(cluster.directory, "counted");
  const script = writeScript(cluster, "count.sh", counting(file));
  const job = await sbatch(cluster, [...small, "-t", "0:15", "-o", "/dev/null", script]);
  await waitForState(cluster, job, "RUNNING");
  await waitForFile(file);
  const asked = await scontrol(cluster, "suspend", String(job));
  assert.deepEqual([asked.code, asked.stdout, asked.stderr], [0, "", ""]);
  await waitForState(cluster, job, "SUSPENDED");
  assert.match((await cluster.berth(["explain", String(job)])).stdout, /suspended +by .* waits for an operator/);
  const twice = await scontrol(cluster, "suspend", String(job));
  assert.equal(twice.code, 1);
  assert.match(twice.stderr, /slurm_suspend error: Requested operation is presently disabled: .*already/);

  for (const pid of nodeProcesses(cluster.data)) process.kill(pid, "SIGKILL");
  // Its wall time is over in between.
  await standsStill(file, 18_000);
  await cluster.up();
  await waitForState(cluster, job, "SUSPENDED");
  await standsStill(file, 1500);
  const [row] = await squeue(cluster, job, "%i %t %M");
  const [, state, used] = row!.split(" ");
  assert.equal(state, "S");
  assert.match(used!, /^0:[0-5]\d$/);

  const resumed = await scontrol(cluster, "resume", String(job));
  assert.deepEqual([resumed.code, resumed.stderr], [0, ""]);
  await waitForState(cluster, job, "RUNNING");
  const size = statSync(file).size;
  await waitFor("it to go on", () => statSync(file).size > size || undefined);
  appendFileSync(`${file}.more`, "");
  await ended(cluster, [job], ["State"]);
  const [told] = await sacct(cluster, [job], ["State", "ExitCode", "ElapsedRaw", "Suspended"], ["-X"]);
  assert.deepEqual([told!.State, told!.ExitCode], ["FAILED", "4:0"]);
  assert.match(told!.Suspended!, /^00:(00:[1-5]|0[1-9]:)/);
  assert.ok(Number(told!.ElapsedRaw) < 60, told!.ElapsedRaw);
  const late = await scontrol(cluster, "resume", String(job));
  assert.equal(late.code, 1);
  assert.match(
    late.stderr,
    /^slurm_resume error: (Invalid job id specified|Job\/step already completing or completed): /,
  );
}

test(
  "elements of an array stand still one by one; what is cancelled or out of time ends",
  { timeout: 900_000 },
  async () => {
    await using cluster = await startCluster();
    const file = join(cluster.directory, "counted");
    const script = writeScript(
      cluster,
      "count.sh",
      `#!/bin/sh\nexec sh ${cluster.directory}/of.sh ${file}.$SLURM_ARRAY_TASK_ID\n`,
    );
    writeScript(cluster, "of.sh", `trap 'echo asked >>$1; exit 9' TERM; while :; do echo x >>$1; sleep 0.1; done\n`);
    const job = await sbatch(cluster, [...small, "-t", "10", "-a", "0-1", "-o", "/dev/null", script]);
    await Promise.all([waitForFile(`${file}.0`), waitForFile(`${file}.1`)]);
    const pending = await sbatch(cluster, [...small, "--hold", "--wrap", "true"]);
    const refused = await scontrol(cluster, "suspend", String(pending));
    assert.match(refused.stderr, /slurm_suspend error: Job is pending execution: job \d+: it waits/);
    await waitFor("both to run", async () => {
      const rows = await squeue(cluster, job, "%K %T");
      return rows.filter((row) => row.endsWith("RUNNING")).length === 2 || undefined;
    });
    assert.deepEqual((await scontrol(cluster, "suspend", `${job}_1`)).stderr, "");
    await waitFor(
      "one to stand still",
      async () => (await squeue(cluster, job, "%K %T")).includes("1 SUSPENDED") || undefined,
    );
    await standsStill(`${file}.1`, 1000);
    const size = statSync(`${file}.0`).size;
    await waitFor("the other to go on", () => statSync(`${file}.0`).size > size || undefined);
    assert.deepEqual((await cluster.berth(["suspend", `${job}_0`])).stderr, "");
    await waitFor("both to stand still", async () => {
      const rows = await squeue(cluster, job, "%K %T");
      return rows.filter((row) => row.endsWith("SUSPENDED")).length === 2 || undefined;
    });
    // Who is cancelled hears TERM; the other goes on when it is let.
    await cluster.berth(["scancel", `${job}_0`]);
    await waitFor("TERM", () => readFileSync(`${file}.0`, "utf8").includes("asked") || undefined);
    await standsStill(`${file}.1`, 500);
    assert.deepEqual((await cluster.berth(["resume", String(job)])).stderr, "");
    const stood = statSync(`${file}.1`).size;
    await waitFor("it to go on", () => statSync(`${file}.1`).size > stood || undefined);
    await cluster.berth(["scancel", String(job), String(pending)]);
    await ended(cluster, [job], ["State"]);
  },
);
