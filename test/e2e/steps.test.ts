/** Steps: srun in batch scripts on one node and several, what it says and leaves behind, and what becomes of it without Berth. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { nodeProcesses, startCluster, type TestCluster } from "../support/berth.ts";
import { ended, sacct, sbatch, small, writeScript } from "../support/jobs.ts";
import { hangSeconds, waitFor } from "../support/waiting.ts";

/** Runs a script to its end, and gives the lines that it wrote. */
async function outputOf(
  cluster: TestCluster,
  words: string[],
  script: string,
): Promise<{ job: number; lines: string[] }> {
  const path = writeScript(cluster, "script.sh", `#!/bin/bash\n${script}`);
  const job = await sbatch(cluster, [...words, "-o", "%j.out", path]);
  await ended(cluster, [job], ["State"]);
  return {
    job,
    lines: readFileSync(join(cluster.directory, `${job}.out`), "utf8")
      .trimEnd()
      .split("\n"),
  };
}

for (const flags of [
  ["--nodes", "2"],
  ["--driver", "process"],
]) {
  test(`steps on one node, berth up ${flags.join(" ")}`, { timeout: 1000 * hangSeconds }, async () => {
    await using cluster = await startCluster({ flags });
    const { job, lines } = await outputOf(
      cluster,
      [...small, "--job-name=steps"],
      `srun echo one
srun sh -c 'exit 9'; echo "code $?"
srun nosuch; echo "code $?"
srun sh -c 'kill -SEGV $$'; echo "code $?"
echo words | srun cat
hello() { echo "function $1"; }; export -f hello
srun bash -c 'hello there'
srun -J named sh -c 'echo step $SLURM_STEP_ID of $SLURM_JOB_ID: $SLURM_PROCID $SLURM_NTASKS $SLURM_STEP_NUM_NODES'
srun -n3 --overcommit --label sh -c 'echo rank $SLURM_PROCID $SLURM_LOCALID' | sort
srun -n2 -O -o "$PWD/o-%j-%t" sh -c 'echo file $SLURM_PROCID'; cat "o-$SLURM_JOB_ID-0" "o-$SLURM_JOB_ID-1"
srun -n3; echo "code $?"
srun -n9 true; echo "code $?"
srun --nosuch true; echo "code $?"
`,
    );
    assert.deepEqual(lines, [
      "one",
      `srun: error: ${lines[1]!.split(" ")[2]} task 0: Exited with exit code 9`,
      "code 9",
      "berth: error: execve(): nosuch: No such file or directory",
      lines[4],
      "code 2",
      lines[6],
      "code 139",
      "words",
      "function there",
      `step 6 of ${job}: 0 1 1`,
      "0: rank 0 0",
      "1: rank 1 1",
      "2: rank 2 2",
      "file 0",
      "file 1",
      "srun: fatal: No command given to execute.",
      "code 1",
      `srun: error: Unable to create step for job ${job}: More processors requested than permitted`,
      "code 1",
      "srun: unrecognized option '--nosuch'",
      'Try "srun --help" for more information',
      "code 1",
    ]);
    assert.match(lines[6]!, /^srun: error: .*: task 0: Segmentation fault$/);
    const rows = await sacct(cluster, [job], ["JobID", "JobName", "State", "ExitCode", "NTasks"], []);
    assert.deepEqual(
      rows.map((row) => Object.values(row).join(" ")),
      [
        `${job} steps COMPLETED 0:0 `,
        `${job}.batch batch COMPLETED 0:0 1`,
        `${job}.0 echo COMPLETED 0:0 1`,
        `${job}.1 sh FAILED 9:0 1`,
        `${job}.2 nosuch FAILED 2:0 1`,
        `${job}.3 sh FAILED 0:11 1`,
        `${job}.4 cat COMPLETED 0:0 1`,
        `${job}.5 bash COMPLETED 0:0 1`,
        `${job}.6 named COMPLETED 0:0 1`,
        `${job}.7 sh COMPLETED 0:0 3`,
        `${job}.8 sh COMPLETED 0:0 2`,
      ],
    );
  });
}

test("steps over several nodes", { timeout: 1000 * hangSeconds }, async () => {
  await using cluster = await startCluster({ flags: ["--nodes", "4", "--cpus-per-node", "2"] });
  const names = `node-[1-3]`;
  const { job, lines } = await outputOf(
    cluster,
    ["--time=5", "--nodes=3", "--ntasks=6", "--mem=50M"],
    `echo "nodes $SLURM_JOB_NODELIST"
srun sh -c 'echo $SLURM_PROCID $SLURM_LOCALID $SLURM_NODEID $SLURM_NTASKS $SLURM_GTIDS $(hostname) $SLURMD_NODENAME $PWD' | sort
srun -N3 -n3 sh -c 'echo each $SLURM_NODEID' | sort
srun -m cyclic sh -c 'echo $SLURM_PROCID on $SLURM_NODEID' | sort
printf 'a\\nb\\n' | srun -n3 sh -c 'wc -l' | sort | uniq -c | tr -s ' '
srun -l -N3 -n3 sh -c 'exit $SLURM_PROCID' 2>/dev/null; echo "code $?"
printf '0 echo first %%t %%o\\n1-5 echo others %%t %%o\\n' >progs
srun --multi-prog progs | sort
srun -K -n6 sh -c '[ $SLURM_PROCID = 4 ] && exit 3; sleep 300' 2>/dev/null; echo "code $?"
for i in 1 2 3 4 5 6 7 8; do srun -N1 -n1 --exclusive sh -c "sleep 0.2; echo part $i >part-$i" & done 2>/dev/null
wait; cat part-* | wc -l
srun -w node-2 -N1 -n1 hostname
export TOLD='it'"'"'s told'
srun -N3 -n3 sh -c 'echo "$TOLD"' | uniq
`,
  );
  const nodes = ["node-1", "node-2", "node-3"];
  assert.deepEqual(lines, [
    `nodes ${names}`,
    ...[0, 1, 2, 3, 4, 5].map((rank) => {
      const node = Math.floor(rank / 2);
      return `${rank} ${rank % 2} ${node} 6 ${2 * node},${2 * node + 1} ${nodes[node]} ${nodes[node]} ${cluster.directory}`;
    }),
    "each 0",
    "each 1",
    "each 2",
    ...[0, 1, 2, 3, 4, 5].map((rank) => `${rank} on ${rank % 3}`),
    " 3 2",
    "code 2",
    "first 0 0",
    ...[1, 2, 3, 4, 5].map((rank) => `others ${rank} ${rank - 1}`),
    "code 143",
    "8",
    "node-2",
    "it's told",
  ]);
  const rows = await sacct(cluster, [job], ["JobID", "State", "NNodes", "NTasks", "NodeList"], []);
  assert.equal(rows.length, 2 + 7 + 8 + 2);
  assert.deepEqual(Object.values(rows[2]!), [`${job}.0`, "COMPLETED", "3", "6", names]);
  assert.equal(rows.filter(({ State }) => State === "CANCELLED").length, 1);
});

test("a step goes on and ends with every process of Berth dead", { timeout: 1000 * hangSeconds }, async () => {
  await using cluster = await startCluster({ flags: ["--nodes", "2"] });
  const path = writeScript(
    cluster,
    "script.sh",
    `#!/bin/sh
srun -N2 -n2 sh -c 'echo ready >ready.$SLURM_PROCID; until [ -e go ]; do sleep 0.1; done; echo went $SLURM_PROCID'
srun -N2 -n2 sh -c 'echo again $SLURM_PROCID'
touch over
`,
  );
  const job = await sbatch(cluster, ["--time=5", "--nodes=2", "--mem=50M", "-o", "job.out", path]);
  const exists = (name: string): Promise<boolean> =>
    waitFor(`${name} to be there`, () => existsSync(join(cluster.directory, name)) || undefined);
  await exists("ready.0");
  await exists("ready.1");
  for (const pid of nodeProcesses(cluster.data)) process.kill(pid, "SIGKILL");
  writeScript(cluster, "go", "");
  await exists("over");
  const said = readFileSync(join(cluster.directory, "job.out"), "utf8").trimEnd().split("\n");
  assert.deepEqual(said.toSorted(), ["again 0", "again 1", "went 0", "went 1"]);
  await cluster.up();
  await ended(cluster, [job], ["State"]);
  const rows = await sacct(cluster, [job], ["JobID", "State", "NTasks"], []);
  assert.deepEqual(
    rows.slice(2).map((row) => Object.values(row)),
    [
      [`${job}.0`, "COMPLETED", "2"],
      [`${job}.1`, "COMPLETED", "2"],
    ],
  );
});

for (const flags of [
  ["--nodes", "2"],
  ["--driver", "process"],
]) {
  test(`scancel of steps, berth up ${flags.join(" ")}`, { timeout: 1000 * hangSeconds }, async () => {
    await using cluster = await startCluster({ flags });
    const path = writeScript(
      cluster,
      "script.sh",
      `#!/bin/sh
srun sh -c 'touch ready.0; sleep 300' 2>/dev/null; echo "code $?"
srun -n2 -O sh -c 'touch ready.1; sleep 300' 2>/dev/null; echo "code $?"
srun -n2 -O sh -c 'trap "echo heard; exit 5" USR1; touch ready.$SLURM_PROCID.2; while :; do sleep 0.1; done' 2>/dev/null; echo "code $?"
`,
    );
    const job = await sbatch(cluster, [...small, "-o", "job.out", path]);
    const exists = (name: string): Promise<boolean> =>
      waitFor(`${name} to be there`, () => existsSync(join(cluster.directory, name)) || undefined);
    const scancel = async (words: string[]): Promise<void> => {
      const outcome = await cluster.berth(["scancel", ...words]);
      assert.deepEqual([outcome.code, outcome.stderr], [0, ""]);
    };
    await exists("ready.0");
    await scancel([`${job}.0`]);
    await exists("ready.1");
    await scancel([`${job}.1`]);
    await exists("ready.0.2");
    await exists("ready.1.2");
    await scancel(["-s", "USR1", String(job)]);
    const [row] = await ended(cluster, [job], ["State"]);
    assert.equal(row!.State, "COMPLETED");
    const said = readFileSync(join(cluster.directory, "job.out"), "utf8").trimEnd().split("\n");
    assert.deepEqual(said, ["code 137", "code 137", "heard", "heard", "code 5"]);
  });
}

test(
  "a node that goes takes its part of a step with it, and the step ends",
  { timeout: 1000 * hangSeconds },
  async () => {
    await using cluster = await startCluster({ flags: ["--nodes", "2", "--cpus-per-node", "1"] });
    const path = writeScript(
      cluster,
      "script.sh",
      `#!/bin/sh
srun sh -c 'touch "$PWD/ready.$SLURM_PROCID"; sleep 300'; echo "code $?"
srun -N1 -n1 echo after; echo "code $?"
`,
    );
    const job = await sbatch(cluster, ["--time=5", "--nodes=2", "--ntasks=2", "--mem=50M", "-o", "job.out", path]);
    for (const rank of [0, 1])
      await waitFor("both tasks to run", () => existsSync(join(cluster.directory, `ready.${rank}`)) || undefined);
    const told = (pid: string, file: string): string => {
      try {
        return readFileSync(`/proc/${pid}/${file}`, "utf8");
      } catch {
        return "";
      }
    };
    // The task tells whose it is; of those above it one serves its node.
    let serving = readdirSync("/proc").find((pid) => {
      const environment = told(pid, "environ");
      return environment.includes(cluster.directory) && environment.includes("SLURM_PROCID=1\0");
    });
    while (serving !== undefined && serving !== "0" && !told(serving, "cmdline").includes("\0--berth-serve\0"))
      serving = told(serving, "stat")
        .replace(/^.*\) /, "")
        .split(" ")[1];
    assert.ok(Number(serving) > 1, "the process that serves on the second node");
    process.kill(Number(serving), "SIGKILL");
    await ended(cluster, [job], ["State"]);
    const said = readFileSync(join(cluster.directory, "job.out"), "utf8").trimEnd().split("\n");
    assert.deepEqual(said.toSorted(), [
      "after",
      "code 0",
      "code 143",
      "srun: error: node-1: task 0: Terminated",
      "srun: error: node-2: task 1: the node is gone",
    ]);
  },
);
