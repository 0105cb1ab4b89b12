/** Signals into running jobs: to the script, to all of its processes, to one element of an array; with and without a sandbox. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startCluster } from "../support/berth.ts";
import { ended, sbatch, small, waitForState, writeScript } from "../support/jobs.ts";
import { waitFor } from "../support/waiting.ts";

for (const flags of [
  ["--nodes", "2"],
  ["--driver", "process"],
]) {
  test(`scancel --signal, berth up ${flags.join(" ")}`, { timeout: 900_000 }, async () => {
    await using cluster = await startCluster({ flags });
    const read = (name: string): string => {
      const path = join(cluster.directory, name);
      return existsSync(path) ? readFileSync(path, "utf8") : "";
    };
    const says = (name: string, word: string, times: number): Promise<boolean> =>
      waitFor(`${name} to say ${word} ${times} times`, () =>
        read(name)
          .split("\n")
          .filter((line) => line === word).length === times
          ? true
          : undefined,
      );
    const scancel = async (words: string[], code = 0): Promise<string> => {
      const outcome = await cluster.berth(["scancel", ...words]);
      assert.equal(outcome.code, code, `scancel ${words.join(" ")}: ${outcome.stderr}`);
      return outcome.stderr;
    };
    const child = writeScript(
      cluster,
      "child.sh",
      `#!/bin/sh\ntrap 'echo child' USR1\necho ready\nwhile :; do sleep 0.1; done\n`,
    );
    const script = writeScript(
      cluster,
      "job.sh",
      `#!/bin/sh\ntrap 'echo script' USR1\ntrap 'kill $child; exit 3' USR2\n${child} & child=$!\nwhile :; do wait; done\n`,
    );
    const job = await sbatch(cluster, [...small, "-o", "job.out", script]);
    await says("job.out", "ready", 1);
    assert.match(await scancel(["-s", "USR1", String(job)]), /has no steps, so nothing was signalled: --batch/);
    await scancel(["-b", "--signal=SIGUSR1", String(job)]);
    await says("job.out", "script", 1);
    await scancel(["-f", "-s", "10", String(job)]);
    await says("job.out", "script", 2);
    await says("job.out", "child", 1);
    await scancel(["-b", "-s", "USR2", String(job)]);
    assert.deepEqual(await ended(cluster, [job], ["State", "ExitCode"]), [{ State: "FAILED", ExitCode: "3:0" }]);

    const element = writeScript(
      cluster,
      "element.sh",
      `#!/bin/sh\ntrap 'echo got; exit 5' USR1\necho ready\n[ "$SLURM_ARRAY_TASK_ID" != 2 ] || exit 0\nwhile :; do sleep 0.1; done\n`,
    );
    const array = await sbatch(cluster, [...small, "--array=0-3%2", "-o", "%a.out", element]);
    await says("0.out", "ready", 1);
    await says("1.out", "ready", 1);
    assert.match(await scancel(["-b", "-s", "USR1", `${array}_3`], 232), /job id \d+_3: Job is pending execution/);
    await scancel(["-b", "-s", "USR1", `${array}_1`]);
    await says("1.out", "got", 1);
    await says("3.out", "ready", 1);
    assert.equal(read("0.out"), "ready\n", "the others are left alone");
    assert.match(await scancel(["-v", "-b", "-s", "USR1", `${array}_1`]), /already completing or completed/);
    await scancel(["-b", "-s", "USR1", String(array)]);
    const rows = await ended(cluster, [array], ["JobID", "State", "ExitCode"]);
    assert.deepEqual(rows.map(({ JobID, ExitCode }) => `${JobID.split("_")[1]} ${ExitCode}`).sort(), [
      "0 5:0",
      "1 5:0",
      "2 0:0",
      "3 5:0",
    ]);

    const held = await sbatch(cluster, [...small, "-H", "-o", "/dev/null", "--wrap", "true"]);
    assert.match(await scancel(["-b", "-s", "USR1", String(held)], 232), /Job is pending execution/);
    await waitForState(cluster, held, "PENDING");
    for (const name of ["FOO", "SIGFOO", "99", "-1", ""])
      assert.match(await scancel([`--signal=${name}`, String(held)], 1), /Unknown job signal/);
    await scancel(["-s", "KILL", String(held)]);
    await waitForState(cluster, held, "CANCELLED");
  });
}
