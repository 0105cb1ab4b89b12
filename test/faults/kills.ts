/**
 * The promise of idea 6: whatever Node.js process of Berth is killed, and when, no job is lost, no attempt runs twice and
 * each attempt is accounted once. Jobs tell of themselves by appending to a journal that Berth knows nothing of.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { nodeProcesses, startCluster } from "../support/berth.ts";
import type { TestCluster } from "../support/berth.ts";
import { seededRandom } from "../support/random.ts";

export interface KillFigures {
  seed: number;
  kills: number;
  jobs: number;
  tasks: number;
  submissionsRepeated: number;
  attemptsStarted: number;
  attemptsAccounted: number;
  preempted: number;
  cancelled: number;
  seconds: number;
}

interface Submitted {
  id: number;
  kind: "true" | "sleep" | "fail" | "array" | "short" | "dependent" | "cancelled" | "scavenger";
  tasks: number;
}

const arraySize = 5;
/** Of arrays whose tasks are so short that a pod carries several of them. */
const shortArraySize = 60;

export async function killUnderLoad(options: { kills: number; jobs: number; seed: number }): Promise<KillFigures> {
  const random = seededRandom(options.seed);
  const began = Date.now();
  await using cluster = await startCluster({ flags: ["--nodes", "2"] });
  const journal = join(cluster.directory, "journal");
  mkdirSync(journal);
  const script = join(cluster.directory, "job.sh");
  // One append of one short line each: atomic, so lines of jobs that run side by side do not mix.
  writeFileSync(
    script,
    `#!/bin/sh
#SBATCH --output=/dev/null --time=10 --cpus-per-task=1 --mem=50M
echo "start $SLURM_JOB_ID \${SLURM_RESTART_COUNT:-0} $$" >>${journal}/lines
sleep "$1"
echo "end $SLURM_JOB_ID \${SLURM_RESTART_COUNT:-0} $$" >>${journal}/lines
exit "$2"
`,
  );
  // It saves itself when it is asked to go, which takes a moment.
  const saving = join(cluster.directory, "saving.sh");
  writeFileSync(
    saving,
    `#!/bin/sh
#SBATCH --output=/dev/null --time=10 --cpus-per-task=1 --mem=50M
tell() { echo "$1 $SLURM_JOB_ID \${SLURM_RESTART_COUNT:-0} $$" >>${journal}/lines; }
trap 'sleep 0.6 && tell end; exit 0' TERM
tell start
steps=0
while [ $steps -lt "$1" ]; do sleep 0.1; steps=$((steps + 1)); done
trap '' TERM
tell end
`,
  );
  const queue = await cluster.berth(["apply", "-"], {
    input: "{kind: Queue, metadata: {name: scavenge}, spec: {tier: 0, preemption: {mode: Requeue, graceSeconds: 20}}}",
  });
  assert.equal(queue.code, 0, queue.stderr);
  const submitted: Submitted[] = [];
  let submissionsRepeated = 0;
  const submit = async (kind: Submitted["kind"], argv: string[]): Promise<void> => {
    for (let trial = 1; ; trial++) {
      const outcome = await cluster.berth(["sbatch", "--parsable", ...argv], { timeoutSeconds: 120 });
      if (outcome.code === 0) {
        const tasks = kind === "array" ? arraySize : kind === "short" ? shortArraySize : 1;
        submitted.push({ id: Number(outcome.stdout.trim()), kind, tasks });
        return;
      }
      submissionsRepeated++;
      assert.ok(trial < 50, `sbatch was refused ${trial} times, last: ${outcome.stderr}`);
      await pause(500);
    }
  };
  const cancelling: Promise<void>[] = [];
  const cancel = async (id: number, afterMs: number): Promise<void> => {
    await pause(afterMs);
    for (let trial = 1; ; trial++) {
      const outcome = await cluster.berth(["scancel", String(id)], { timeoutSeconds: 120 });
      if (outcome.code === 0) return;
      assert.ok(trial < 50, `scancel was refused ${trial} times, last: ${outcome.stderr}`);
      await pause(500);
    }
  };
  const submitAll = async (): Promise<void> => {
    for (let count = 0; count < options.jobs; count++) {
      const draw = random();
      const seconds = (random() * 2).toFixed(2);
      if (draw < 0.22) await submit("true", [script, "0", "0"]);
      else if (draw < 0.45) await submit("sleep", [script, seconds, "0"]);
      else if (draw < 0.54) await submit("fail", [script, seconds, "3"]);
      else if (draw < 0.61) await submit("array", [`--array=0-${arraySize - 1}`, script, seconds, "0"]);
      else if (draw < 0.66) await submit("short", [`--array=0-${shortArraySize - 1}`, script, "0.02", "0"]);
      else if (draw < 0.9) {
        const cancelled = random() < 0.5;
        if (cancelled) await submit("cancelled", [saving, "600"]);
        else await submit("scavenger", ["-p", "scavenge", saving, "10"]);
        if (cancelled) cancelling.push(cancel(submitted.at(-1)!.id, random() * 3000));
      } else {
        const other = submitted[Math.floor(random() * submitted.length)];
        await submit("dependent", [...(other ? [`--dependency=afterany:${other.id}`] : []), script, seconds, "0"]);
      }
    }
    await Promise.all(cancelling);
  };
  let submitting = true;
  const killAll = async (): Promise<number> => {
    let kills = 0;
    while (kills < options.kills) {
      await pause(200 + random() * 1800);
      const pids = nodeProcesses(cluster.data);
      const victim = pids[Math.floor(random() * pids.length)];
      if (victim !== undefined) {
        try {
          process.kill(victim, "SIGKILL");
          kills++;
        } catch {
          continue;
        }
      }
      // Whoever runs Berth starts it again when its supervisor is gone.
      if (victim === undefined || victim === pids[0]) await cluster.up();
      if (!submitting && kills >= options.kills / 2 && nothingLeft(await states(cluster, submitted))) break;
    }
    return kills;
  };
  const [, kills] = await Promise.all([submitAll().finally(() => (submitting = false)), killAll()]);
  if (nodeProcesses(cluster.data).length === 0) await cluster.up();
  const deadline = Date.now() + 600_000;
  while (!nothingLeft(await states(cluster, submitted))) {
    assert.ok(Date.now() < deadline, `jobs do not end: ${JSON.stringify(open(await states(cluster, submitted)))}`);
    await pause(1000);
  }
  // Awaited here: the cluster goes when this function returns.
  return await judge(cluster, submitted, journal, { kills, began, submissionsRepeated, seed: options.seed });
}

interface AccountedAttempt {
  id: number;
  state: string;
  exitCode: string;
}

/** The attempts in accounting of the given jobs, and which jobs squeue still lists. */
async function states(
  cluster: TestCluster,
  submitted: Submitted[],
): Promise<{ queued: string[]; accounted: AccountedAttempt[]; expected: number }> {
  const queue = await cluster.berth(["squeue", "--noheader", "--format=%i %T"], { timeoutSeconds: 120 });
  const expected = submitted.reduce((sum, job) => sum + job.tasks, 0);
  if (queue.code !== 0) return { queued: ["unknown"], accounted: [], expected };
  const accounting = await cluster.berth(
    ["sacct", "-X", "-D", "--noheader", "--parsable2", "--format=JobIDRaw,State,ExitCode", "--starttime=now-1days"],
    { timeoutSeconds: 120 },
  );
  const accounted = accounting.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("|"))
    .map(([id, state, exitCode]) => ({ id: Number(id), state: state ?? "", exitCode: exitCode ?? "" }))
    .filter((row) => !["PENDING", "RUNNING", "COMPLETING"].includes(row.state));
  return { queued: queue.stdout.split("\n").filter((line) => line !== ""), accounted, expected };
}

type States = Awaited<ReturnType<typeof states>>;
const nothingLeft = (now: States): boolean => now.queued.length === 0;
const open = (now: States): string[] => now.queued;

async function judge(
  cluster: TestCluster,
  submitted: Submitted[],
  journal: string,
  run: { kills: number; began: number; submissionsRepeated: number; seed: number },
): Promise<KillFigures> {
  const { accounted } = await states(cluster, submitted);
  const lines = readFileSync(join(journal, "lines"), "utf8").trim().split("\n");
  const starts = new Set<string>();
  const running = new Map<string, string>();
  for (const line of lines) {
    const [what, id, restart] = line.split(" ") as [string, string, string];
    if (what === "start") {
      const key = `${id} attempt ${Number(restart) + 1}`;
      assert.ok(!starts.has(key), `${key} started more than once`);
      assert.equal(running.get(id), undefined, `${key} started while another attempt ran`);
      starts.add(key);
      running.set(id, restart);
    } else {
      assert.equal(running.get(id), restart, `job ${id}: "${line}" is the end of none that ran`);
      running.delete(id);
    }
  }
  assert.deepEqual([...running], [], "jobs that were cut off");
  const rows = new Map<number, AccountedAttempt[]>();
  for (const row of accounted) rows.set(row.id, [...(rows.get(row.id) ?? []), row]);
  for (const job of submitted) {
    for (let index = 0; index < job.tasks; index++) {
      const id = job.id + index;
      const own = rows.get(id) ?? [];
      const told = `job ${id} (${job.kind}) has rows ${JSON.stringify(own)}`;
      // Each time a scavenger made room has a row of its own.
      const last = job.kind === "scavenger" ? own.filter(({ state }) => state !== "PREEMPTED") : own;
      assert.equal(last.length, 1, told);
      if (job.kind === "cancelled") {
        assert.match(last[0]!.state, /^CANCELLED/, told);
        continue;
      }
      assert.ok(starts.has(`${id} attempt ${own.length}`), `${told} and never ran`);
      const outcome = job.kind === "fail" ? "FAILED 3:0" : "COMPLETED 0:0";
      assert.equal(`${last[0]!.state} ${last[0]!.exitCode}`, outcome, told);
    }
  }
  // A submission whose answer was lost may have left a job that nobody knows of: it too ran once and has one row.
  for (const [id, own] of rows) {
    const ended = own.filter(({ state }) => state !== "PREEMPTED");
    assert.equal(ended.length, 1, `job ${id} has rows ${JSON.stringify(own)}`);
    // sbatch takes back what it was not answered about: that may have gone before it began.
    const ran = starts.has(`${id} attempt ${own.length}`);
    assert.ok(ran || ended[0]!.state !== "COMPLETED", `job ${id} is told to have ended well and never ran`);
  }
  return {
    seed: run.seed,
    kills: run.kills,
    jobs: submitted.length,
    tasks: submitted.reduce((sum, job) => sum + job.tasks, 0),
    submissionsRepeated: run.submissionsRepeated,
    attemptsStarted: starts.size,
    attemptsAccounted: accounted.length,
    preempted: accounted.filter(({ state }) => state === "PREEMPTED").length,
    cancelled: accounted.filter(({ state }) => state.startsWith("CANCELLED")).length,
    seconds: Math.round((Date.now() - run.began) / 1000),
  };
}
