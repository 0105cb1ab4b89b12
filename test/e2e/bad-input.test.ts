/** What is wrong is refused in Slurm's words, with Slurm's exit codes, before anything is queued. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { repository, run, startCluster, type TestCluster } from "../support/berth.ts";
import { ended, sbatch, small, writeScript } from "../support/jobs.ts";
import { waitForFile } from "../support/waiting.ts";

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster[Symbol.asyncDispose]());

const cases: [name: string, words: string[], code: number, words: RegExp][] = [
  ["an unknown option", ["--foo"], 255, /unrecognized option '--foo'/],
  ["an unknown letter", ["-Z"], 255, /invalid option -- 'Z'/],
  ["a time that is none", ["-t", "abc"], 255, /Invalid --time specification/],
  ["a time with too many parts", ["-t", "1:2:3:4"], 255, /Invalid --time specification/],
  ["a time over the queue's", ["-t", "100-0"], 1, /Requested time limit is invalid[^]*allows at most/],
  ["memory that is none", ["--mem=1X"], 255, /Invalid --mem specification/],
  ["two kinds of memory", ["--mem=1G", "--mem-per-cpu=1G"], 1, /mutually exclusive/],
  ["more memory than a node has", ["--mem=900T"], 1, /Requested node configuration is not available/],
  ["no cpus", ["-c", "0"], 1, /Invalid numeric value "0" for --cpus-per-task/],
  ["an array that is none", ["--array=a"], 1, /Invalid job array specification/],
  ["an array that runs backwards", ["--array=5-1"], 1, /Invalid job array specification[^]*ends before it begins/],
  ["an array too large", ["--array=0-1000000"], 1, /Invalid job array specification/],
  ["a dependency that is none", ["-d", "foo:1"], 1, /Job dependency problem/],
  ["a dependency on what never was", ["-d", "afterok:999999"], 1, /Job dependency problem/],
  ["an unknown queue", ["-p", "nope"], 1, /invalid partition specified: nope[^]*Invalid partition name specified/],
  ["an unknown account", ["-A", "nope"], 1, /Invalid account or account\/partition combination/],
  ["an unknown quality of service", ["-q", "nope"], 1, /Invalid qos specification/],
  ["an unknown node", ["-w", "nowhere"], 1, /Invalid node name specified/],
  ["a begin that is none", ["--begin=foo"], 255, /Invalid --begin specification/],
  ["an option not honoured yet", ["--bbf=foo"], 255, /--bbf is known to Slurm but not yet honoured by Berth/],
];

for (const [name, words, code, expected] of cases) {
  test(`sbatch refuses ${name}`, { timeout: 900_000 }, async () => {
    const outcome = await cluster.berth(["sbatch", ...words, "--wrap", "true"]);
    assert.equal(outcome.code, code, `${outcome.stdout}${outcome.stderr}`);
    assert.match(outcome.stderr, expected);
    assert.equal(outcome.stdout, "");
    assert.doesNotMatch(outcome.stderr, /\n\s+at /);
  });
}

test("scripts that are none", { timeout: 900_000 }, async () => {
  const path = (name: string, content: string | Buffer): string => {
    writeFileSync(join(cluster.directory, name), content);
    return name;
  };
  const scripts: [string, RegExp][] = [
    ["missing.sh", /Unable to open file missing\.sh/],
    [path("empty.sh", ""), /Batch script is empty!/],
    [path("blank.sh", " \n\t\n"), /only whitespace/],
    [path("plain.sh", "echo hello\n"), /This does not look like a batch script/],
    [path("binary", Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1, 2])), /This does not look like a batch script/],
    [path("nul.sh", "#!/bin/sh\n\0\n"), /NULL character/],
    [path("dos.sh", "#!/bin/sh\r\necho\r\n"), /DOS line breaks/],
    [path("quote.sh", "#!/bin/sh\n#SBATCH --comment=it's\n"), /quote\.sh: line 2: Unmatched/],
    [path("unknown.sh", "#!/bin/sh\n#SBATCH --foo=1\n"), /unrecognized option '--foo=1'/],
  ];
  for (const [script, expected] of scripts) {
    const outcome = await cluster.berth(["sbatch", script]);
    assert.notEqual(outcome.code, 0, script);
    assert.match(outcome.stderr, expected);
  }
  assert.equal((await cluster.berth(["squeue", "-h", "-t", "all"])).stdout, "", "nothing was queued");
});

test(
  "output that cannot be written: the job fails as Slurm's does, before its script starts",
  { timeout: 900_000 },
  async () => {
    mkdirSync(join(cluster.directory, "blocked"));
    writeFileSync(join(cluster.directory, "blocked", "file"), "");
    const id = await sbatch(cluster, [
      ...small,
      "-o",
      "blocked/file/out.txt",
      "--wrap",
      `touch ${cluster.directory}/ran`,
    ]);
    const [row] = await ended(cluster, [id], ["State", "ExitCode"]);
    assert.deepEqual(row, { State: "FAILED", ExitCode: "0:53" });
  },
);

test(
  "a folder that is not there: the job says so and runs elsewhere; an interpreter that is not",
  { timeout: 900_000 },
  async () => {
    const chdir = await sbatch(cluster, [
      ...small,
      "-D",
      "/no/such/folder",
      "-o",
      join(cluster.directory, "chdir.txt"),
      "--wrap",
      "pwd",
    ]);
    const script = writeScript(cluster, "interpreter.sh", "#!/no/such/interpreter\n");
    const interpreter = await sbatch(cluster, [...small, "-o", "interpreter.txt", script]);
    const rows = await ended(cluster, [chdir, interpreter], ["State", "ExitCode"]);
    assert.deepEqual(rows, [
      { State: "COMPLETED", ExitCode: "0:0" },
      { State: "FAILED", ExitCode: "2:0" },
    ]);
    assert.match(readFileSync(join(cluster.directory, "chdir.txt"), "utf8"), /couldn't chdir[^]*\/tmp\n$/);
    assert.match(readFileSync(join(cluster.directory, "interpreter.txt"), "utf8"), /\/no\/such\/interpreter/);
  },
);

test("jobs that misbehave: fork away, close their streams, flood their output", { timeout: 900_000 }, async () => {
  const left = join(cluster.directory, "left-behind");
  const forks = await sbatch(cluster, [
    ...small,
    "-o",
    "/dev/null",
    "--wrap",
    `(setsid sh -c 'echo $$ >${left}; sleep 1000' &) ; while [ ! -s ${left} ]; do sleep 0.1; done`,
  ]);
  const closes = await sbatch(cluster, [
    ...small,
    "-o",
    "closed.txt",
    "--wrap",
    "exec <&- >&- 2>&-; sleep 0.1; exit 5",
  ]);
  const floods = await sbatch(cluster, [...small, "-o", "flood.txt", "--wrap", "yes | head -c 50000000"]);
  await waitForFile(left);
  const rows = await ended(cluster, [forks, closes, floods], ["State", "ExitCode"]);
  assert.deepEqual(
    rows.map(({ State, ExitCode }) => `${State} ${ExitCode}`),
    ["COMPLETED 0:0", "FAILED 5:0", "COMPLETED 0:0"],
  );
  // On nodes with a sandbox the pid is of a namespace that is gone; elsewhere the process itself must be.
  const [, sleeper] = [left, await run("pgrep", ["-f", "sleep 1000"])];
  assert.equal(sleeper.stdout, "", "what a job leaves behind is killed");
  assert.equal(readFileSync(join(cluster.directory, "flood.txt")).length, 50_000_000);
});

test("the other commands, each in its own words", { timeout: 900_000 }, async () => {
  const refusals: [string[], number, RegExp][] = [
    [["squeue", "-j", "999999"], 1, /slurm_load_jobs error: Invalid job id specified/],
    [["squeue", "-t", "FOO"], 1, /squeue: error: Invalid job state specified: FOO/],
    [["squeue", "-o", "%i", "extra"], 1, /Unrecognized option: extra/],
    [["scancel"], 1, /scancel: error: No job identification provided/],
    [["scancel", "abc"], 1, /scancel: error: Invalid job id abc/],
    [["scancel", "-s", "FOO", "1"], 1, /Unknown job signal: FOO/],
    [["sacct", "-o", "foo"], 1, /Invalid field requested: "foo"/],
    [["sacct", "-s", "FOO"], 1, /unrecognized job state value 'FOO'/],
    [["sinfo", "-t", "FOO"], 1, /Bad state string: "FOO"/],
    [["explain", "999999"], 1, /there is no job 999999/],
    [["explain", "abc"], 1, /abc is not a job id/],
    [["logs", "999999"], 1, /there is no job 999999/],
    [["cancel", "999999"], 1, /there is no job 999999/],
    [["nonsense"], 1, /unknown command 'nonsense'/],
    [["completion", "tcsh"], 1, /there are bash, zsh and fish/],
    [["simulate", "nowhere.swf"], 1, /nowhere\.swf cannot be read/],
  ];
  for (const [words, code, expected] of refusals) {
    const outcome = await cluster.berth(words);
    assert.equal(outcome.code, code, `${words.join(" ")}: ${outcome.stdout}${outcome.stderr}`);
    assert.match(outcome.stderr, expected);
  }
  const nobody = await cluster.berth(["squeue", "-u", "no-such-user-here"]);
  assert.equal(nobody.code, 0);
  assert.match(nobody.stderr, /squeue: error: Invalid user: no-such-user-here/);
});

test("without a cluster every command says how to start one", { timeout: 900_000 }, async () => {
  const env = {
    BERTH_CONTEXT: join(cluster.directory, "nothing-here/"),
    XDG_STATE_HOME: join(cluster.directory, "no-state"),
  };
  for (const words of [["squeue"], ["status"], ["sbatch", "--wrap", "true"], ["sinfo"], ["sacct"], ["scancel", "1"]]) {
    const outcome = await cluster.berth(words, { env });
    assert.equal(outcome.code, 1, words.join(" "));
    assert.match(outcome.stderr, /there is no such data folder or kubeconfig|no cluster/);
  }
});

test("the launcher by its other names", { timeout: 900_000 }, async () => {
  const link = join(cluster.directory, "squeue");
  symlinkSync(join(repository, "berth"), link);
  const outcome = await run(link, ["-h", "-t", "all", "-o", "%i"], { env: { BERTH_CONTEXT: cluster.data } });
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match((await run(link, ["--version"])).stdout, /^slurm /);
});
