import assert from "node:assert/strict";
import { before, test } from "node:test";
import { parseArguments } from "./arguments.ts";
import { parseJobSelector } from "./command-line-parts.ts";
import { readSacctCommandLine } from "./sacct-command-line.ts";
import { readScancelCommandLine } from "./scancel-command-line.ts";
import { readSinfoCommandLine } from "./sinfo-command-line.ts";
import { readSqueueCommandLine } from "./squeue-command-line.ts";
import { sacctOptions, scancelOptions, sinfoOptions, squeueOptions } from "./command-options.ts";
import { SlurmError } from "./errors.ts";
import { sbatchOptions } from "./options.ts";
import { activeJobStates } from "./states.ts";

before(() => {
  process.env["TZ"] = "UTC";
});

const tables = { sbatchOptions, squeueOptions, scancelOptions, sinfoOptions, sacctOptions };

test("no name and no letter stands for two options", () => {
  for (const [table, definitions] of Object.entries(tables)) {
    const names = definitions.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
    assert.equal(new Set(names).size, names.length, `${table}: ${names.toSorted().join(" ")}`);
    const letters = definitions.flatMap(({ short }) => short ?? []);
    assert.equal(new Set(letters).size, letters.length, table);
  }
});

test("options as getopt_long reads them", () => {
  const read = (...words: string[]) => {
    const { options, operands } = parseArguments(words, sbatchOptions, "sbatch", true);
    return [
      options.map(({ definition, value }) => [definition.name, value].filter((each) => each !== undefined)),
      operands,
    ];
  };
  assert.deepEqual(read("-N3", "-HQ", "-t", "5", "--mem", "1G", "--out=x", "s.sh", "-N", "--foo"), [
    [["nodes", "3"], ["hold"], ["quiet"], ["time", "5"], ["mem", "1G"], ["output", "x"]],
    ["s.sh", "-N", "--foo"],
  ]);
  assert.deepEqual(read("--nice", "5"), [[["nice"]], ["5"]]);
  assert.deepEqual(read("--tasks-per-node=2", "--share", "--", "-x"), [
    [["ntasks-per-node", "2"], ["oversubscribe"]],
    ["-x"],
  ]);
  assert.deepEqual(read("--depend=afterok:1", "--err=e"), [
    [
      ["dependency", "afterok:1"],
      ["error", "e"],
    ],
    [],
  ]);
  const fails = (words: string[], message: RegExp) => assert.throws(() => read(...words), message);
  fails(["--ex"], /option '--ex' is ambiguous; possibilities: '--exclude' '--exclusive'/);
  fails(["--time"], /option '--time' requires an argument/);
  fails(["-t"], /option requires an argument -- 't'/);
  fails(["--hold=1"], /option '--hold' doesn't allow an argument/);
  fails(["--constraints=x"], /unrecognized option '--constraints=x'/);
});

test("jobs as users name them", () => {
  assert.deepEqual(parseJobSelector("348"), { job: 348 });
  assert.deepEqual(parseJobSelector("348_3"), { job: 348, tasks: "3" });
  assert.deepEqual(parseJobSelector("348_[3-5,7]"), { job: 348, tasks: "3-5,7" });
  assert.deepEqual(parseJobSelector("348.batch"), { job: 348, step: "batch" });
  assert.deepEqual(parseJobSelector("348_3.0"), { job: 348, tasks: "3", step: "0" });
  assert.equal(parseJobSelector("abc"), undefined);
});

const refusal = (run: () => unknown, program: string) => {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof SlurmError);
    return [error.format(program), error.exitCode];
  }
  return assert.fail("accepted");
};

test("squeue's command line", () => {
  const query = readSqueueCommandLine([
    "-h",
    "-o",
    "%i",
    "-j",
    "1,2_[3-4]",
    "--me",
    "-t",
    "R,pd",
    "-p",
    "a,b",
    "-n",
    "x",
  ]);
  assert.equal(query.noHeader, true);
  assert.equal(query.format, "%i");
  assert.deepEqual(query.jobs, [{ job: 1 }, { job: 2, tasks: "3-4" }]);
  assert.deepEqual(query.states, ["RUNNING", "PENDING"]);
  assert.deepEqual(query.partitions, ["a", "b"]);
  assert.equal(readSqueueCommandLine([]).states, activeJobStates);
  assert.equal(readSqueueCommandLine(["-t", "all"]).states, undefined);
  assert.deepEqual(readSqueueCommandLine([], { SQUEUE_STATES: "R", SQUEUE_FORMAT: "%i %t" }).states, ["RUNNING"]);
  assert.deepEqual(
    refusal(() => readSqueueCommandLine(["-t", "FOO"]), "squeue"),
    [
      "squeue: error: Invalid job state specified: FOO\nsqueue: error: Valid job states include: pending,running,suspended,completed,cancelled,failed,timeout,node_fail,preempted,boot_fail,deadline,out_of_memory,completing,configuring,resizing,resv_del_hold,requeued,requeue_fed,requeue_hold,revoked,signaling,special_exit,stage_out,stopped\n\n",
      1,
    ],
  );
  assert.deepEqual(
    refusal(() => readSqueueCommandLine(["--helpformat"]), "squeue"),
    ["squeue: unrecognized option '--helpformat'\nTry \"squeue --help\" for more information\n", 1],
  );
  assert.match(
    String(refusal(() => readSqueueCommandLine(["--json"]), "squeue")[0]),
    /known to Slurm but not yet honoured/,
  );
});

test("scancel's command line", () => {
  const request = readScancelCommandLine(["-s", "USR1", "-b", "348_[7-8]", "12"]);
  assert.deepEqual(
    [request.signal, request.to, request.jobs],
    [10, "Batch", [{ job: 348, tasks: "7-8" }, { job: 12 }]],
  );
  assert.deepEqual(
    refusal(() => readScancelCommandLine([]), "scancel"),
    ["scancel: error: No job identification provided\n", 1],
  );
  assert.deepEqual(
    refusal(() => readScancelCommandLine(["abc"]), "scancel"),
    ["scancel: error: Invalid job id abc\n", 1],
  );
  assert.deepEqual(
    refusal(() => readScancelCommandLine(["-s", "FOO", "1"]), "scancel"),
    ["Unknown job signal: FOO\n", 1],
  );
  assert.deepEqual(
    refusal(() => readScancelCommandLine(["-t", "FOO"]), "scancel"),
    ["Invalid job state specified: FOO\nValid job states are PENDING, RUNNING, and SUSPENDED\n", 1],
  );
  assert.deepEqual(readScancelCommandLine(["-u", "bob", "--name=x"]).users, ["bob"]);
});

test("sinfo's command line", () => {
  const query = readSinfoCommandLine(["-N", "-l", "-p", "debug", "-t", "idle,alloc", "-n", "n[1-2]"]);
  assert.deepEqual(
    [query.byNode, query.long, query.partitions, query.states, query.nodes],
    [true, true, ["debug"], ["idle", "allocated"], ["n1", "n2"]],
  );
  assert.throws(() => readSinfoCommandLine(["-t", "FOO"]), /Bad state string: "FOO"/);
});

test("sacct's command line", () => {
  const now = Date.UTC(2026, 10, 21, 23, 20, 20) / 1000;
  const midnight = Date.UTC(2026, 10, 21) / 1000;
  const query = readSacctCommandLine(["-X", "-P", "-n", "-j", "358,348_2", "-o", "jobid,state%20"], now);
  assert.deepEqual(
    [query.allocationsOnly, query.parsable, query.noHeader, query.format],
    [true, "between", true, "jobid,state%20"],
  );
  assert.deepEqual(query.jobs, [{ job: 358 }, { job: 348, tasks: "2" }]);
  assert.equal(query.startSeconds, undefined);
  assert.equal(readSacctCommandLine([], now).startSeconds, midnight);
  assert.equal(readSacctCommandLine(["-S", "now-10minutes"], now).startSeconds, now - 600);
  assert.equal(readSacctCommandLine(["-S", "10:00"], now).startSeconds, midnight + 36_000);
  assert.deepEqual(readSacctCommandLine(["-s", "CA,F,TO", "-E", "now"], now).states, [
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
  ]);
  assert.equal(readSacctCommandLine([], now, { SACCT_FORMAT: "jobid" }).format, "jobid");
  assert.deepEqual(
    refusal(() => readSacctCommandLine(["-s", "FOO"], now), "sacct"),
    ["sacct: fatal: unrecognized job state value 'FOO'\n", 1],
  );
  assert.deepEqual(
    refusal(() => readSacctCommandLine(["-S", "foo"], now), "sacct"),
    ["Invalid time specification (pos=0): foo\n", 1],
  );
});
