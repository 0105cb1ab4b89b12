/** Jobs that make room: what they are told, what is accounted, and that they come back, also when Berth dies meanwhile. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
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

for (const driver of ["sandbox", "process"] as const) {
  test(
    `a job stands still for another and goes on when that has ended, all of Berth killed meanwhile, driver ${driver}`,
    { timeout: 900_000 },
    () => standsStill(driver),
  );
}

async function standsStill(driver: string): Promise<void> {
  await using cluster = await startCluster({ flags: ["--driver", driver] });
  const applied = await cluster.berth(["apply", "-"], {
    input: "{kind: Queue, metadata: {name: scavenge}, spec: {tier: 0, preemption: {mode: Suspend}}}",
  });
  assert.equal(applied.code, 0, applied.stderr);
  await waitFor("the queue to be known", async () => {
    const { code } = await cluster.berth(["sbatch", "--test-only", "-p", "scavenge", "--wrap", "true"]);
    return code === 0 ? true : undefined;
  });
  const { stdout } = await cluster.berth(["sinfo", "-h", "-N", "-o", "%c"]);
  const all = ["-c", stdout.trim().split("\n")[0]!, "--mem", "50M", "-o", "/dev/null"];
  const file = join(cluster.directory, "counted");
  const script = writeScript(
    cluster,
    "count.sh",
    `#!/bin/sh
echo begins >>${file}
while [ ! -e ${file}.more ]; do echo x >>${file}; sleep 0.1; done
`,
  );
  const filler = await sbatch(cluster, ["-p", "scavenge", "-t", "30", ...all, script]);
  await waitForState(cluster, filler, "RUNNING");
  await waitForFile(file);
  const done = join(cluster.directory, "done");
  const other = await sbatch(cluster, ["-t", "10", ...all, "--wrap", `until [ -e ${done} ]; do sleep 0.1; done`]);
  await waitForState(cluster, other, "RUNNING");
  await waitForState(cluster, filler, "SUSPENDED");
  const still = async (milliseconds: number): Promise<void> => {
    const before = statSync(file).size;
    await delay(milliseconds);
    assert.equal(statSync(file).size, before);
  };
  await still(1000);
  const resumed = await cluster.berth(["scontrol", "resume", String(filler)]);
  assert.equal(resumed.code, 1);
  assert.match(resumed.stderr, /stands still for another job, and goes on by itself/);
  assert.match(
    (await cluster.berth(["explain", String(filler)])).stdout,
    new RegExp(`suspended +for job ${other}, [^]* goes on by\\s+itself when its cores are free, expected at`),
  );
  // Nobody takes its turn: one that is as low waits behind it.
  const behind = await sbatch(cluster, ["-p", "scavenge", "-t", "1", ...all, "--wrap", `test -e ${file}.more`]);

  for (const pid of nodeProcesses(cluster.data)) process.kill(pid, "SIGKILL");
  await still(2000);
  await cluster.up();
  await waitForState(cluster, filler, "SUSPENDED");
  await waitForState(cluster, other, "RUNNING");
  await still(500);
  writeFileSync(done, "");
  const [row] = await ended(cluster, [other], ["State"]);
  assert.equal(row!.State, "COMPLETED");
  await waitForState(cluster, filler, "RUNNING");
  const size = statSync(file).size;
  await waitFor("the filler to count on", () => statSync(file).size > size || undefined);
  assert.ok(!existsSync(`${file}.more`));
  writeFileSync(`${file}.more`, "");
  const rows = await ended(cluster, [filler, behind], ["State", "Suspended", "Restarts"]);
  assert.deepEqual(
    rows.map(({ State }) => State),
    ["COMPLETED", "COMPLETED"],
  );
  assert.match(rows[0]!.Suspended, /^00:00:(?!00)/);
  assert.equal(readFileSync(file, "utf8").match(/begins/g)!.length, 1);
}
