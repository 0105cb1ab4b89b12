/** What waits, why, and until when: reservations and backfill on real nodes. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startCluster } from "../support/berth.ts";
import { ended, sacct, sbatch, squeueField, waitForState } from "../support/jobs.ts";
import { waitFor, waitForFile } from "../support/waiting.ts";

const cores = availableParallelism();

test(
  "a big job gets a reservation, a short one is put before it, a long one is not",
  { timeout: 900_000, skip: cores < 2 ? "needs two cores" : false },
  async () => {
    await using cluster = await startCluster();
    const go = join(cluster.directory, "go");
    const wait = `touch ${cluster.directory}/begun; while [ ! -e ${go} ]; do sleep 0.1; done`;
    const submit = (time: number, cpus: number, wrap: string): Promise<number> =>
      sbatch(cluster, ["-t", String(time), "-c", String(cpus), "--mem=50M", "-o", "/dev/null", "--wrap", wrap]);
    // Holds all but one core for as much as ten minutes.
    const holder = await submit(10, cores - 1, wait);
    await waitForFile(join(cluster.directory, "begun"));
    await waitForState(cluster, holder, "RUNNING");
    const big = await submit(10, cores, "true");
    const long = await submit(20, 1, "true");
    const short = await submit(5, 1, "true");
    const [filled] = await ended(cluster, [short], ["State"]);
    assert.equal(filled!.State, "COMPLETED");
    assert.equal(await squeueField(cluster, big, "%r"), "Resources");
    assert.equal(await squeueField(cluster, long, "%r"), "Priority");

    const explained = await cluster.berth(["explain", String(big)]);
    assert.match(explained.stdout, /why +Resources: \S/);
    assert.match(explained.stdout, /starts +.*\(in (8|9|10|11) min\)/);
    const start = await squeueField(cluster, big, "%S");
    assert.match(start ?? "", /^\d{4}-\d\d-\d\dT/);
    const listed = await cluster.berth(["squeue", "--start", "-h", "-o", "%i %S"]);
    assert.ok(listed.stdout.includes(`${big} ${start}`), listed.stdout);

    // The holder ends long before it had to: the plan is made anew at once, in its order.
    writeFileSync(go, "");
    const rows = await ended(cluster, [big, long], ["Start", "State"]);
    assert.deepEqual(
      rows.map(({ State }) => State),
      ["COMPLETED", "COMPLETED"],
    );
    assert.ok(rows[0]!.Start <= rows[1]!.Start);
  },
);

test("more than any node has, and whole nodes", { timeout: 900_000 }, async () => {
  await using cluster = await startCluster();
  const refused = await cluster.berth(["sbatch", "-c", String(cores + 1), "--wrap", "true"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /Requested node configuration is not available/);
  assert.match(refused.stderr, new RegExp(`${cores + 1} cpus on one node; the largest has ${cores} cpu`));
  const whole = await sbatch(cluster, [
    "-t",
    "1",
    "--exclusive",
    "-o",
    "whole.txt",
    "--wrap",
    "echo $SLURM_CPUS_ON_NODE",
  ]);
  const [row] = await ended(cluster, [whole], ["State", "AllocCPUS"]);
  assert.equal(row!.State, "COMPLETED");
});

test("the wall time ends a job and all that it started, and says so", { timeout: 900_000 }, async () => {
  await using cluster = await startCluster();
  const stubborn = await sbatch(cluster, [
    "-t",
    "1",
    "--mem=50M",
    "-o",
    "limit.txt",
    "--wrap",
    "(trap '' TERM; while :; do sleep 1; done) & exec sleep 1000",
  ]);
  const [row] = await ended(cluster, [stubborn], ["State", "ExitCode", "Elapsed", "Timelimit"]);
  assert.equal(row!.State, "TIMEOUT");
  assert.equal(row!.ExitCode, "0:0");
  assert.equal(row!.Timelimit, "00:01:00");
  assert.match(
    readFileSync(join(cluster.directory, "limit.txt"), "utf8"),
    new RegExp(`\\*\\*\\* JOB ${stubborn} ON \\S+ CANCELLED AT \\S+ DUE TO TIME LIMIT \\*\\*\\*`),
  );
});

test(
  "two nodes: a job of both, and one placed by name",
  { timeout: 900_000, skip: cores < 2 ? "needs two cores" : false },
  async () => {
    await using cluster = await startCluster({ flags: ["--nodes", "2"] });
    assert.match((await cluster.berth(["sinfo", "-h", "-N", "-o", "%N %T"])).stdout, /^node-1 idle\nnode-2 idle\n$/);
    const both = await sbatch(cluster, [
      "-t",
      "1",
      "-N",
      "2",
      "--mem=50M",
      "-o",
      "both.txt",
      "--wrap",
      'echo "$SLURM_JOB_NUM_NODES $SLURM_JOB_NODELIST"',
    ]);
    const named = await sbatch(cluster, [
      "-t",
      "1",
      "-w",
      "node-2",
      "--mem=50M",
      "-o",
      "named.txt",
      "--wrap",
      "echo $SLURM_JOB_NODELIST",
    ]);
    const rows = await ended(cluster, [both, named], ["State", "NodeList", "NNodes"]);
    assert.deepEqual(rows, [
      { State: "COMPLETED", NodeList: "node-[1-2]", NNodes: "2" },
      { State: "COMPLETED", NodeList: "node-2", NNodes: "1" },
    ]);
    assert.equal(readFileSync(join(cluster.directory, "both.txt"), "utf8"), "2 node-[1-2]\n");
    await waitFor("the nodes to be idle", async () =>
      (await cluster.berth(["sinfo", "-h", "-o", "%D %t"])).stdout === "2 idle\n" ? true : undefined,
    );
    assert.equal((await sacct(cluster, [both], ["AllocCPUS"]))[0]!.AllocCPUS, "2");
  },
);
