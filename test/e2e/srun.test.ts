/** srun at the prompt: a job of its own, with the terminal's input and output, and the exit code of its step. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { startCluster } from "../support/berth.ts";
import { ended, sacct, waitForState } from "../support/jobs.ts";
import { hangSeconds, waitFor } from "../support/waiting.ts";

test("srun at the prompt", { timeout: 1000 * hangSeconds }, async () => {
  await using cluster = await startCluster({ flags: ["--nodes", "2", "--cpus-per-node", "2"] });
  const srun = (words: string[], input?: string) => cluster.berth(["srun", "--mem=50M", ...words], { input });
  const before = readdirSync("/tmp").filter((name) => name.startsWith("berth-srun-")).length;

  const two = await srun(["-N2", "-n4", "-l", "sh", "-c", "echo $SLURM_PROCID $(hostname); echo word >&2"]);
  assert.deepEqual(
    [two.code, two.stdout.trimEnd().split("\n").toSorted()],
    [0, ["0: 0 node-1", "1: 1 node-1", "2: 2 node-2", "3: 3 node-2"]],
  );
  assert.deepEqual(two.stderr.trimEnd().split("\n").toSorted(), ["0: word", "1: word", "2: word", "3: word"]);

  const numbers = Array.from({ length: 100_000 }, (_, index) => `${index}\n`).join("");
  const copied = await srun(["cat"], numbers);
  assert.equal(copied.code, 0, copied.stderr);
  assert.ok(copied.stdout === numbers, "what went in comes out");

  const failed = await srun(["-J", "fails", "sh", "-c", "exit 7"]);
  assert.deepEqual([failed.code, failed.stdout], [7, ""]);
  assert.match(failed.stderr, /^srun: error: node-\d: task 0: Exited with exit code 7\n$/);
  const rows = await ended(cluster, [3], ["JobName", "State", "ExitCode"]);
  assert.deepEqual(rows, [{ JobName: "fails", State: "FAILED", ExitCode: "7:0" }]);
  assert.deepEqual(
    (await sacct(cluster, [3], ["JobID", "JobName"], [])).map(({ JobID, JobName }) => `${JobID} ${JobName}`),
    ["3 fails", "3.batch batch", "3.0 fails"],
  );

  const tooLarge = await srun(["-N3", "true"]);
  assert.equal(tooLarge.code, 1);
  assert.match(
    tooLarge.stderr,
    /^srun: error: Unable to allocate resources: Requested node configuration is not available\n/,
  );
  assert.equal((await srun([])).stderr, "srun: fatal: No command given to execute.\n");
  assert.match((await srun(["--pty", "sh"])).stderr, /--pty is known to Slurm but not yet honoured/);

  const waiting = srun(["-N2", "--exclusive", "sleep", "300"]);
  await waitForState(cluster, 4, "RUNNING");
  const queued = srun(["-N2", "echo", "late"]);
  await waitForState(cluster, 5, "PENDING");
  await cluster.berth(["scancel", "4"]);
  assert.notEqual((await waiting).code, 0);
  const late = await queued;
  assert.deepEqual([late.code, late.stdout], [0, "late\nlate\n"], late.stderr);
  assert.match(
    late.stderr,
    /^srun: job 5 queued and waiting for resources\nsrun: job 5 has been allocated resources\n$/,
  );
  await waitFor("nothing to be left in /tmp", () =>
    readdirSync("/tmp").filter((name) => name.startsWith("berth-srun-")).length <= before ? true : undefined,
  );
});
