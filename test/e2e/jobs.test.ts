/** A batch script from its submission to its row in accounting. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { repository, startCluster, type TestCluster } from "../support/berth.ts";
import { ended, sacct, sbatch, small, waitForState, writeScript } from "../support/jobs.ts";
import { waitForFile } from "../support/waiting.ts";

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster[Symbol.asyncDispose]());
const read = (name: string): string => readFileSync(join(cluster.directory, name), "utf8");

test("examples/pi by one command", { timeout: 900_000 }, async () => {
  const outcome = await cluster.berth(["run", join(repository, "examples/pi/pi.sbatch")]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.equal(outcome.stdout, "pi is 3.141592653590, from 8 parts\n");
  assert.match(outcome.stderr, /job \d+ \(pi\) is submitted/);
  assert.match(outcome.stderr, /job \d+ \(pi-reduce\) is submitted, to start after job \d+/);
});

test("sbatch answers as Slurm does, and the output lies where Slurm would put it", { timeout: 900_000 }, async () => {
  const script = writeScript(
    cluster,
    "hello.sh",
    '#!/bin/sh\n#SBATCH --time=1\n#SBATCH --mem=50M\necho "hello $1 from $SLURM_JOB_ID"; echo oops >&2\n',
  );
  const outcome = await cluster.berth(["sbatch", "--wait", script, "a b"]);
  assert.equal(outcome.code, 0, outcome.stderr);
  const id = /^Submitted batch job (\d+)\n$/.exec(outcome.stdout)?.[1];
  assert.ok(id !== undefined, outcome.stdout);
  assert.equal(read(`slurm-${id}.out`), `hello a b from ${id}\noops\n`);
  assert.equal(statSync(join(cluster.directory, `slurm-${id}.out`)).uid, process.getuid!());
});

test("exit codes: of the script, of a signal, of what cannot be run", { timeout: 900_000 }, async () => {
  const cases: [string, string, string, number][] = [
    ["exit 0", "COMPLETED", "0:0", 0],
    ["exit 3", "FAILED", "3:0", 3],
    ["kill -9 $$", "FAILED", "0:9", 1],
    ["no-such-command", "FAILED", "127:0", 127],
  ];
  await Promise.all(
    cases.map(async ([command, state, exitCode, waited]) => {
      const outcome = await cluster.berth([
        "sbatch",
        "--parsable",
        "--wait",
        ...small,
        "-o",
        "/dev/null",
        "--wrap",
        command,
      ]);
      assert.equal(outcome.code, waited, `${command}: ${outcome.stderr}`);
      const [row] = await ended(cluster, [outcome.stdout.trim()], ["State", "ExitCode"]);
      assert.deepEqual(row, { State: state, ExitCode: exitCode }, command);
    }),
  );
});

test("berth run ends with the job's exit code, and standard output is the job's", { timeout: 900_000 }, async () => {
  const script = writeScript(cluster, "fails.sh", "#!/bin/sh\necho one; sleep 0.3; echo two; exit 7\n");
  const outcome = await cluster.berth(["run", ...small, script]);
  assert.equal(outcome.code, 7);
  assert.equal(outcome.stdout, "one\ntwo\n");
  assert.match(outcome.stderr, /ended: Failed, exit code 7/);
});

test("directives, their traps, and what goes over them", { timeout: 900_000 }, async () => {
  const script = writeScript(
    cluster,
    "directives.sh",
    `#!/bin/sh
#SBATCH --job-name="a name"   # a comment
##SBATCH --job-name=off
# SBATCH --job-name=off

#SBATCH -o first-%x-%j.txt --error=second-%j.txt
#SBATCH --time=2 --mem=50M -n1
echo "$SLURM_JOB_NAME|$SLURM_NTASKS|$SLURM_SUBMIT_DIR|$GREETING"
echo to the error file >&2
#SBATCH --job-name=too-late
`,
  );
  const outcome = await cluster.berth(["sbatch", "--parsable", "--wait", "--comment=c", script], {
    env: { GREETING: "it's me" },
  });
  assert.equal(outcome.code, 0, outcome.stderr);
  const id = outcome.stdout.trim();
  assert.equal(read(`first-a name-${id}.txt`), `a name|1|${cluster.directory}|it's me\n`);
  assert.equal(read(`second-${id}.txt`), "to the error file\n");
  const over = await cluster.berth(
    ["sbatch", "--parsable", "--wait", "-J", "over", "-o", "over-%x.txt", "--export=NONE", script],
    {
      env: { GREETING: "hidden" },
    },
  );
  assert.equal(over.code, 0, over.stderr);
  assert.equal(read("over-over.txt"), `over|1|${cluster.directory}|\n`);
});

test(
  "a script on standard input, --wrap, --chdir, --input, --open-mode, a missing folder for the output",
  { timeout: 900_000 },
  async () => {
    mkdirSync(join(cluster.directory, "elsewhere"));
    writeFileSync(join(cluster.directory, "input.txt"), "given\n");
    const piped = await cluster.berth(
      ["sbatch", "--wait", ...small, "-o", "piped.txt", "-i", join(cluster.directory, "input.txt")],
      {
        input: "#!/bin/sh\ncat; echo $SLURM_JOB_NAME\n",
      },
    );
    assert.equal(piped.code, 0, piped.stderr);
    assert.equal(read("piped.txt"), "given\nsbatch\n");
    const folder = await cluster.berth([
      "sbatch",
      "--wait",
      ...small,
      "-D",
      "elsewhere",
      "-o",
      "new/%j-%u.txt",
      "--parsable",
      "--wrap",
      "pwd",
    ]);
    assert.equal(folder.code, 0, folder.stderr);
    assert.equal(
      read(`elsewhere/new/${folder.stdout.trim()}-${userInfo().username}.txt`),
      `${join(cluster.directory, "elsewhere")}\n`,
    );
    for (const word of ["first", "second"]) {
      const { code } = await cluster.berth([
        "sbatch",
        "--wait",
        ...small,
        "--open-mode=append",
        "-o",
        "grows.txt",
        "--wrap",
        `echo ${word}`,
      ]);
      assert.equal(code, 0);
    }
    assert.equal(read("grows.txt"), "first\nsecond\n");
  },
);

test("other interpreters, and scripts that are what they are to them", { timeout: 900_000 }, async () => {
  const script = writeScript(
    cluster,
    "awk.sh",
    "#!/usr/bin/awk -f\n#SBATCH --time=1 --mem=50M\n#SBATCH -o awk.txt\nBEGIN { print 6 * 7 }\n",
  );
  const outcome = await cluster.berth(["sbatch", "--wait", script]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.equal(read("awk.txt"), "42\n");
});

test("cancelled while it runs: the script gets TERM, accounting says by whom", { timeout: 900_000 }, async () => {
  const begun = join(cluster.directory, "cancel-begun");
  const script = writeScript(
    cluster,
    "cancel.sh",
    `#!/bin/sh\ntrap 'echo told; exit 4' TERM\ntouch ${begun}\nwhile :; do sleep 0.1; done\n`,
  );
  const id = await sbatch(cluster, [...small, "-o", "cancel.txt", script]);
  await waitForFile(begun);
  const outcome = await cluster.berth(["scancel", String(id)]);
  assert.deepEqual([outcome.code, outcome.stdout, outcome.stderr], [0, "", ""]);
  const [row] = await ended(cluster, [id], ["State"]);
  assert.equal(row!.State, `CANCELLED by ${process.getuid!()}`);
  assert.match(read("cancel.txt"), /told/);
  assert.match(read("cancel.txt"), new RegExp(`\\*\\*\\* JOB ${id} ON \\S+ CANCELLED AT `));
  // What has ended, and what never was, are no errors.
  assert.deepEqual(await cluster.berth(["scancel", String(id), "999999"]), {
    code: 0,
    signal: null,
    stdout: "",
    stderr: "",
  });
});

test("cancelled while it waits: it never starts", { timeout: 900_000 }, async () => {
  const id = await sbatch(cluster, [...small, "--begin=now+1hour", "-o", "never.txt", "--wrap", "echo no"]);
  await waitForState(cluster, id, "PENDING");
  const outcome = await cluster.berth(["cancel", String(id)]);
  assert.equal(outcome.stdout, `job ${id} is being cancelled\n`);
  const [row] = await ended(cluster, [id], ["State", "Elapsed", "Start"]);
  assert.match(row!.State, /^CANCELLED by /);
  assert.equal(row!.Elapsed, "00:00:00");
  assert.equal(existsSync(join(cluster.directory, "never.txt")), false);
});

test("logs while it runs and after, and history", { timeout: 900_000 }, async () => {
  const go = join(cluster.directory, "go");
  const id = await sbatch(cluster, [
    ...small,
    "-J",
    "logged",
    "-o",
    "logged.txt",
    "--wrap",
    `echo one; while [ ! -e ${go} ]; do sleep 0.1; done; echo two`,
  ]);
  await waitForState(cluster, id, "RUNNING");
  const following = cluster.berth(["logs", "-f", String(id)]);
  await waitForFile(join(cluster.directory, "logged.txt"));
  writeFileSync(go, "");
  assert.deepEqual(await following, { code: 0, signal: null, stdout: "one\ntwo\n", stderr: "" });
  await ended(cluster, [id], ["State"]);
  assert.equal((await cluster.berth(["logs", String(id)])).stdout, "one\ntwo\n");
  const history = await cluster.berth(["history", "-n", "200"]);
  assert.match(history.stdout, new RegExp(`^${id} +logged +standard +\\S+ +.*Succeeded +0`, "m"));
  const [first] = (
    JSON.parse((await cluster.berth(["history", "-n", "1", "-o", "json"])).stdout) as { items: { user: string }[] }
  ).items;
  assert.equal(first!.user, userInfo().username);
});

test("accounting: times, resources and names of a job and of its batch step", { timeout: 900_000 }, async () => {
  const script = writeScript(cluster, "busy.sh", "#!/bin/sh\ni=0; while [ $i -lt 200000 ]; do i=$((i+1)); done\n");
  const outcome = await cluster.berth([
    "sbatch",
    "--parsable",
    "--wait",
    "-t",
    "3",
    "-c1",
    "--mem=100M",
    "-o",
    "/dev/null",
    script,
  ]);
  assert.equal(outcome.code, 0, outcome.stderr);
  const id = outcome.stdout.trim();
  const names = [
    "JobID",
    "JobName",
    "Partition",
    "Account",
    "AllocCPUS",
    "State",
    "Timelimit",
    "ReqMem",
    "NodeList",
    "TotalCPU",
    "MaxRSS",
  ] as const;
  const [job, step] = await sacct(cluster, [id], names, []);
  assert.equal(job!.JobID, id);
  assert.equal(step!.JobID, `${id}.batch`);
  assert.deepEqual(
    [
      job!.JobName,
      job!.Partition,
      job!.Account,
      job!.AllocCPUS,
      job!.State,
      job!.Timelimit,
      job!.ReqMem,
      job!.NodeList,
    ],
    [basename(script), "standard", "default", "1", "COMPLETED", "00:03:00", "100M", "node-1"],
  );
  assert.equal(step!.JobName, "batch");
  const [total] = await sacct(cluster, [id], ["TotalCPU", "CPUTimeRAW", "Submit", "Start", "End"]);
  assert.match(total!.TotalCPU, /^\d\d:\d\d[:.]/);
  assert.ok(total!.Submit <= total!.Start && total!.Start <= total!.End);
});
