/** Jobs that make room: what they are told, what is accounted, and that they come back, also when Berth dies meanwhile. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { nodeProcesses, startCluster } from "../support/berth.ts";
import { ended, sacct, sbatch, waitForState, writeScript } from "../support/jobs.ts";
import { waitFor, waitForFile } from "../support/waiting.ts";

for (const moment of ["at once", "while it saves"]) {
  test(
    `a job that saves itself at TERM makes room and goes on where it was, all of Berth killed ${moment}`,
    { timeout: 900_000 },
    () => makesRoom(moment === "while it saves"),
  );
}

async function makesRoom(whileSaving: boolean): Promise<void> {
  await using cluster = await startCluster();
  const applied = await cluster.berth(["apply", "-"], {
    input:
      "{kind: Queue, metadata: {name: scavenge}, spec: {tier: 0, preemption: {mode: Checkpoint, graceSeconds: 20}}}",
  });
  assert.equal(applied.code, 0, applied.stderr);
  const out = join(cluster.directory, "log");
  const script = writeScript(
    cluster,
    "scavenger.sh",
    `#!/bin/sh
echo "begins restart=\${SLURM_RESTART_COUNT:-0}" >>${out}
if [ -n "\${SLURM_RESTART_COUNT:-}" ]; then exit 0; fi
trap 'echo asked >>${out}; sleep 2 && echo saved >>${out}; exit 0' TERM
touch ${cluster.directory}/ready
while :; do sleep 0.1; done
`,
  );
  await waitFor("the queue to be known", async () => {
    const { code } = await cluster.berth(["sbatch", "--test-only", "-p", "scavenge", "--wrap", "true"]);
    return code === 0 ? true : undefined;
  });
  const filler = await sbatch(cluster, ["-p", "scavenge", "-t", "30", "--exclusive", "-o", "/dev/null", script]);
  await waitForState(cluster, filler, "RUNNING");
  await waitForFile(join(cluster.directory, "ready"));
  const told = await cluster.berth(["checkpointed", String(filler)]);
  assert.equal(told.stdout, `job ${filler} counts as saved now\n`, told.stderr);
  const words = ["-t", "5", "--exclusive", "-o", "/dev/null", "--wrap", "true"];
  const other = await sbatch(cluster, words);
  // In the middle of it everything of Berth's dies.
  if (whileSaving) await waitFor("TERM", () => readFileSync(out, "utf8").includes("asked") || undefined);
  for (const pid of nodeProcesses(cluster.data)) process.kill(pid, "SIGKILL");
  await cluster.up();
  const [row] = await ended(cluster, [other], ["State", "Start"]);
  assert.equal(row!.State, "COMPLETED");
  const all = await waitFor(
    "the filler to have come back",
    async () => {
      const rows = await sacct(cluster, [filler], ["State"], ["-X", "-D"]);
      return rows.length === 2 && rows.some(({ State }) => State === "COMPLETED") ? rows : undefined;
    },
    60,
  );
  assert.deepEqual(all.map(({ State }) => State).sort(), ["COMPLETED", "PREEMPTED"]);
  assert.deepEqual(readFileSync(out, "utf8").trim().split("\n"), [
    "begins restart=0",
    "asked",
    "saved",
    "begins restart=1",
  ]);
}
