import assert from "node:assert/strict";
import { test } from "node:test";
import { customResourceDefinitions } from "@berth/kinds";
import { compileCustomSchema, type Schema } from "@berth/machinery/server";
import fc from "fast-check";
import { checkScript, wrapScript } from "./directives.ts";
import { SlurmError } from "./errors.ts";
import { readSbatchCommandLine, resolveSbatch } from "./sbatch-options.ts";
import { type SubmissionContext, type SubmissionObjects, toSubmission } from "./to-workload.ts";

const nowSeconds = Date.UTC(2026, 10, 21, 22, 53, 56) / 1000;

interface Given {
  script?: string;
  name?: string;
  environment?: Record<string, string>;
  context?: Partial<SubmissionContext>;
}

/** All that happens between a command line and the objects. */
function submit(words: readonly string[], given: Given = {}): SubmissionObjects {
  const commandLine = readSbatchCommandLine(words);
  const name = given.name ?? commandLine.script ?? "stdin";
  const text = commandLine.wrap === undefined ? (given.script ?? "#!/bin/sh\n:\n") : wrapScript(commandLine.wrap);
  checkScript(Buffer.from(text));
  const resolved = resolveSbatch(commandLine, {
    environment: given.environment ?? {},
    nowSeconds,
    ...(commandLine.wrap === undefined && { script: { name, text } }),
  });
  return toSubmission(resolved, {
    user: "alice",
    workingDirectory: "/home/alice",
    host: "vm",
    environment: given.environment ?? {},
    nowSeconds,
    umask: 0o22,
    script: text,
    ...(commandLine.script !== undefined && { scriptPath: commandLine.script }),
    arguments: commandLine.scriptArguments,
    nameSuffix: "abc12",
    clusterName: "berth",
    ...given.context,
  });
}

function refusal(words: readonly string[], given?: Given): { text: string; exitCode: number } {
  try {
    submit(words, given);
  } catch (error) {
    assert.ok(error instanceof SlurmError, String(error));
    return { text: error.format("sbatch"), exitCode: error.exitCode };
  }
  assert.fail(`${words.join(" ")} was accepted`);
}

const usage = 'Try "sbatch --help" for more information\n';
const failed = (why: string) => `sbatch: error: Batch job submission failed: ${why}\n`;
const invalid = (option: string) => `sbatch: error: Invalid --${option} specification\n`;

/** Without the lines that Berth adds behind Slurm's: what would be right. */
function slurmsOwn(text: string, expected: string): string {
  const rest = text.startsWith(expected) ? text.slice(expected.length) : text;
  return rest
    .split("\n")
    .slice(0, -1)
    .every((line) => /^sbatch: (?!error)/.test(line))
    ? expected
    : text;
}

/** Inputs tried on Slurm 22.05.8 and 24.11.5, and what they said (standard error, exit code). */
const observed: [words: string[], text: string, exitCode: number][] = [
  ...["abc", "1:2:3:4", "1d", "1h", "", "1.5"].map((time): [string[], string, number] => [
    ["-t", time],
    invalid("time"),
    255,
  ]),
  [["--time-min=20", "-t", "10"], failed("Invalid time-min specification (exceeds job's time or other limits)"), 1],
  [["-p", ""], `sbatch: error: invalid partition specified: (null)\n${failed("Invalid partition name specified")}`, 1],
  // Names that no object can have; of others the cluster says whether they are there.
  [["--qos=No Such"], failed("Invalid qos specification"), 1],
  [["--reservation=No Such"], failed("Requested reservation is invalid"), 1],
  ...[["-M", "other"], ["--clusters=other"]].map((words): [string[], string, number] => [
    words,
    "sbatch: error: No cluster 'other' known by database.\nsbatch: error: 'other' can't be reached now, or it is an invalid entry for --cluster.  Use 'sacctmgr list clusters' to see available clusters.\n",
    1,
  ]),
  [["-N", "0"], failed("Node count specification invalid"), 1],
  [["-N", "2-1"], "sbatch: error: Maximum node count 1 is less than minimum node count 2\n", 255],
  [["-N", "a"], 'sbatch: error: "a" is not a valid node count\n', 255],
  [["-N", "1-2-3"], 'sbatch: error: "2-3" is not a valid node count\n', 255],
  [["-n", "0"], 'sbatch: error: Invalid numeric value "0" for --ntasks.\n', 1],
  [["-n", "x"], 'sbatch: error: Invalid numeric value "x" for --ntasks.\n', 1],
  [["-c", "0"], 'sbatch: error: Invalid numeric value "0" for --cpus-per-task.\n', 1],
  [["--mem=1X"], invalid("mem"), 255],
  [["--mem=-1"], invalid("mem"), 255],
  [
    ["--mem=1G", "--mem-per-cpu=1G"],
    "sbatch: fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.\n",
    1,
  ],
  [["--gres=foo:1"], "sbatch: error: Invalid generic resource (gres) specification\n", 1],
  [
    ["--gpus-per-task=1"],
    "sbatch: error: Failed to validate job spec. --gpus-per-task used without either --gpus or -n/--ntasks is not allowed.\nsbatch: error: Invalid generic resource (gres) specification\n",
    1,
  ],
  [["-w", "n1,n2", "-N", "1"], "sbatch: error: invalid number of nodes (-N 2-1)\n", 1],
  [["--exclusive=foo"], invalid("exclusive"), 255],
  [["--distribution=foo"], invalid("distribution"), 255],
  [["--foo"], `sbatch: unrecognized option '--foo'\n${usage}`, 255],
  [["-Z"], `sbatch: invalid option -- 'Z'\n${usage}`, 255],
  [["--begin=foo"], `Invalid time specification (pos=0): foo\n${invalid("begin")}`, 255],
  [["--deadline=2020-01-01"], failed("Requested time limit is invalid (missing or exceeds some limit)"), 1],
  [["--nice=99999999999"], "sbatch: error: Invalid --nice value, out of range (+/- 2147483645)\n", 255],
  [["--nice=-5"], failed("Invalid --nice value"), 1],
  [["--signal=FOO@10"], invalid("signal"), 255],
  [["--signal=B:USR1@70000"], invalid("signal"), 255],
  [["--mail-type=FOO"], invalid("mail-type"), 255],
  [["--open-mode=foo"], invalid("open-mode"), 255],
  [["--profile=foo"], "sbatch: error: invalid --profile=foo option\n", 255],
  [["--kill-on-invalid-dep=maybe"], invalid("kill-on-invalid-dep"), 255],
  [["--propagate=foo"], "sbatch: error: Bad rlimit name: foo\nsbatch: error: --propagate=foo is not valid.\n", 1],
  [["--hint=foo"], 'sbatch: error: unrecognized --hint argument "foo", see --hint=help\n', 1],
  [["--mem-bind=foo"], 'sbatch: error: unrecognized --mem-bind argument "foo"\n', 255],
  ...["foo:1", "afterok", "afterok:", "afterok:abc", "0", "afterok:0", "after:1+x", ":1"].map(
    (text): [string[], string, number] => [["-d", text], failed("Job dependency problem"), 1],
  ),
  [["-d", "expand:1"], failed("Requested operation not supported on this system"), 1],
  [["-J", "x", "-t", "ok.sh"], invalid("time"), 255],
];

test("bad input is refused with Slurm's words and exit codes", () => {
  for (const [words, text, exitCode] of observed) {
    const said = refusal([...words, "ok.sh"]);
    assert.deepEqual({ ...said, text: slurmsOwn(said.text, text) }, { text, exitCode }, words.join(" "));
  }
});

test("beyond Slurm's words it is said what would be right", () => {
  for (const [words, more] of [
    [["-t", "abc"], /^sbatch: --time takes minutes, .*days-hours/m],
    [["--mem=1X"], /^sbatch: --mem takes .*500M or 4G/m],
    [["--begin=foo"], /^sbatch: --begin takes .*now\+2hours/m],
    [["-d", "afterok:1,foo:2"], /^sbatch: "foo:2" is none of afterok:JOB/m],
  ] as const)
    assert.match(refusal([...words, "ok.sh"]).text, more);
});

test("bad arrays keep Slurm's line, and say what is wrong", () => {
  for (const [value, more] of [
    ["a", /"a" is not an index/],
    ["5-1", /ends before it begins/],
    ["-1", /"-1" is not an index/],
    ["0-10:0", /must be at least 1/],
    ["0-2000000", /largest index is 999999/],
  ] as const) {
    const { text, exitCode } = refusal([`--array=${value}`, "ok.sh"]);
    assert.ok(text.startsWith(failed("Invalid job array specification")), text);
    assert.match(text, more);
    assert.equal(exitCode, 1);
  }
  assert.equal(refusal(["--array=1-10%x", "ok.sh"]).exitCode, 1);
});

test("bad scripts are refused with Slurm's words", () => {
  const notAScript =
    "sbatch: error: This does not look like a batch script.  The first\nsbatch: error: line must start with #! followed by the path to an interpreter.\nsbatch: error: For instance: #!/bin/sh\n";
  for (const [script, text] of [
    ["echo x\n", notAScript],
    [" #!/bin/sh\n", notAScript],
    ["\x7fELF", notAScript],
    ["", "sbatch: error: Batch script is empty!\n"],
    [" \n\t\n", "sbatch: error: Batch script contains only whitespace!\n"],
    [
      "#!/bin/sh\r\necho\r\n",
      "sbatch: error: Batch script contains DOS line breaks (\\r\\n)\nsbatch: error: instead of expected UNIX line breaks (\\n).\n",
    ],
    [
      "#!/bin/sh\n\0",
      "sbatch: error: The Slurm controller does not allow scripts that\nsbatch: error: contain a NULL character '\\0'.\n",
    ],
    [`#!/bin/sh\n${"#".repeat(4 * 1024 ** 2)}`, failed("Pathname of a file, directory or other parameter too long")],
  ] as const) {
    assert.deepEqual(refusal(["x.sh"], { script }), { text, exitCode: 1 });
  }
  assert.deepEqual(refusal(["--wrap", "echo", "ok.sh"]), {
    text: "sbatch: error: Script arguments not permitted with --wrap option\n",
    exitCode: 1,
  });
  assert.deepEqual(refusal(["badopt.sh"], { script: "#!/bin/sh\n#SBATCH --foo=1\n" }), {
    text: `sbatch: unrecognized option '--foo=1'\n${usage}`,
    exitCode: 255,
  });
  const badTime = refusal(["badopt2.sh"], { script: "#!/bin/sh\n#SBATCH -t abc\n" });
  assert.ok(badTime.text.startsWith(invalid("time")), badTime.text);
  assert.equal(badTime.exitCode, 255);
  assert.deepEqual(refusal(["quote.sh"], { script: "#!/bin/sh\n#\n#SBATCH --comment=it's\n" }), {
    text: "sbatch: fatal: quote.sh: line 3: Unmatched `'` in [--comment=it's]\n",
    exitCode: 1,
  });
  const ofEnvironment = refusal(["ok.sh"], { environment: { SBATCH_TIMELIMIT: "abc" } });
  assert.deepEqual(ofEnvironment, badTime);
});

test("what Slurm accepts is accepted", () => {
  const accepted: string[][] = [
    ...["0", "1-25", "90", "1-0", "60:00", "2:00:00", "UNLIMITED", "infinite", "10:61", "1:90:00"].map((time) => [
      "-t",
      time,
    ]),
    ["-N", "1-1"],
    ["--mem=0"],
    ["--mem=4000M"],
    ["--array="],
    ["--array=1-10%0"],
    ["--array=1,2,3-5:2%2"],
    ["--array=1-3,2"],
    ...["now+1hour", "2020-01-01", "16:00", "tomorrow", "now+5"].map((time) => [`--begin=${time}`]),
    ["--deadline=now+20minutes", "-t", "10"],
    ["--nice=5"],
    ["--nice"],
    ["--mail-type=ALL", "--mail-user=x"],
    ["--export=NONE"],
    ["--requeue", "--no-requeue"],
    ["-s", "-N1"],
    ["--get-user-env=5"],
    ["--hold"],
    ["-J", ""],
    ["--wckey=x"],
    ["--no-kill"],
    ["--switches=1"],
    ["--use-min-nodes"],
    ["--ignore-pbs"],
    ["-d", ""],
    ["-d", "1"],
    ["-d", "afterok:1?afterany:2"],
    ["-d", "singleton,afterok:1"],
    ["-d", "after:1+5"],
    ["-d", "aftercorr:1"],
    ["-d", "afterok:1_1"],
    ["--exclusive=user"],
    ["-M", "berth"],
  ];
  for (const words of accepted) assert.doesNotThrow(() => submit([...words, "ok.sh"]), words.join(" "));
});

test("what Slurm knows and Berth does not honour is refused in words", () => {
  for (const words of [["--signal=USR1"], ["--uid=bob"], ["--contiguous"], ["-S", "1"], ["--ntasks-per-gpu=1"]]) {
    const { text, exitCode } = refusal([...words, "ok.sh"]);
    assert.match(text, /^sbatch: error: --[a-z-]+ is known to Slurm but not yet honoured by Berth/);
    assert.equal(exitCode, 255);
  }
  assert.match(refusal(["-C", "a|b", "ok.sh"]).text, /"\|".*not yet honoured by Berth/);
  assert.match(refusal(["-N1", ":", "-N2", "ok.sh"]).text, /several components/);
  assert.match(refusal(["x"], { script: "#!/bin/sh\n#SBATCH hetjob\n" }).text, /x: line 2: jobs of several components/);
});

test("what has no effect is said, once, where one would be expected", () => {
  const notes = (...words: string[]) => submit([...words, "ok.sh"]).notes;
  assert.deepEqual(notes("--mail-type=END", "--mail-type=FAIL"), [
    "warning: --mail-type has no effect here: Berth sends no mail",
  ]);
  assert.deepEqual(notes("--mail-type=NONE", "--mail-user=a@b"), []);
  assert.match(notes("--tmp=10G")[0]!, /--tmp has no effect/);
  assert.match(notes("-p", "a,b")[0]!, /several partitions .* the first, a,/);
  assert.deepEqual(notes("-N2", "-n1"), ["warning: can't run 1 processes on 2 nodes, setting nnodes to 1"]);
});

test("command line beats environment beats directives; mail types add up", () => {
  const script = "#!/bin/sh\n#SBATCH -J head -t 1 -p slow --mail-type=END\n\n# more\n#SBATCH -c 3 --mail-type=FAIL\n";
  const environment = { SBATCH_TIMELIMIT: "4", SBATCH_JOB_NAME: "fromenv" };
  const { spec } = submit(["-J", "cli", "x.sh"], { script, environment }).workload;
  assert.equal(spec.jobName, "cli");
  assert.equal(spec.wallTimeSeconds, 240);
  assert.equal(spec.queue, "slow");
  assert.equal(spec.submission?.cpusPerTask, 3);
  assert.deepEqual(spec.submission?.mailType, ["END", "FAIL"]);
  assert.equal(submit(["x.sh"], { script, environment }).workload.spec.jobName, "fromenv");
  // Memory: what was written goes before the environment, also of another kind.
  const memory = submit(["--mem=1G", "x.sh"], { environment: { SBATCH_MEM_PER_CPU: "2G" } }).workload.spec.submission;
  assert.equal(memory?.memoryPerNodeBytes, 1024 ** 3);
  assert.equal(memory?.memoryPerCpuBytes, undefined);
});

test("names of jobs and objects", () => {
  assert.equal(submit(["dir/My Job.sh"]).workload.spec.jobName, "My Job.sh");
  assert.equal(submit(["--wrap", "true"]).workload.spec.jobName, "wrap");
  assert.equal(submit([]).workload.spec.jobName, "sbatch");
  const { workload, secret } = submit(["-J", "Zürich: x/y (2)", "x.sh"]);
  assert.equal(workload.metadata.name, "z-rich-x-y-2-abc12");
  assert.equal(secret.metadata.name, workload.spec.submission?.secretName);
  assert.equal(submit(["-J", "::", "x.sh"]).workload.metadata.name, "job-abc12");
});

test("nodes, tasks and CPUs", () => {
  const shape = (words: string[], context?: Partial<SubmissionContext>) =>
    submit([...words, "x.sh"], context ? { context } : {}).workload.spec.podSets.map(({ name, count, template }) => {
      const { cpu, memory } = template.spec.containers[0]!.resources!.requests!;
      return `${name} ${count} × ${cpu}${memory === undefined ? "" : ` ${memory}`}`;
    });
  assert.deepEqual(shape([]), ["main 1 × 1"]);
  assert.deepEqual(shape(["-n4", "-c2", "--mem=1G"]), ["main 1 × 8 1024Mi"]);
  assert.deepEqual(shape(["-N2", "-n3", "--mem-per-cpu=100"]), ["main 1 × 2 200Mi", "worker 1 × 1 100Mi"]);
  assert.deepEqual(shape(["-N4", "-n6"]), ["main 1 × 2", "worker 1 × 2", "worker-rest 2 × 1"]);
  assert.deepEqual(shape(["-n6", "--ntasks-per-node=3"]), ["main 1 × 3", "worker 1 × 3"]);
  assert.deepEqual(shape(["-N3", "--ntasks-per-node=2", "-c", "2"]), ["main 1 × 4", "worker 2 × 4"]);
  assert.deepEqual(shape(["-n17"], { largestNodeCpus: 4 }), ["main 1 × 4", "worker 1 × 4", "worker-rest 3 × 3"]);
  assert.deepEqual(shape(["-N1-64"]), ["main 1 × 1"]);
  assert.deepEqual(shape(["-N1-3", "-n8"], { largestNodeCpus: 4 }), ["main 1 × 4", "worker 1 × 4"]);
  assert.deepEqual(shape(["-w", "n[1-3]"]), ["main 1 × 1", "worker 2 × 1"]);
  assert.match(
    refusal(["--ntasks-per-node=2", "-N2", "-n5", "x"]).text,
    /Requested node configuration is not available/,
  );
});

test("GPUs in all forms become resources of the pods", () => {
  const devices = (...words: string[]) =>
    submit([...words, "x.sh"]).workload.spec.podSets.map(({ template: { spec } }) => {
      const { cpu: _cpu, memory: _memory, ...rest } = spec.containers[0]!.resources!.limits ?? {};
      return Object.assign(rest, spec.nodeSelector);
    });
  const gpus = (count: number) => ({ "nvidia.com/gpu": String(count) });
  assert.deepEqual(devices("--gres=gpu:2"), [gpus(2)]);
  assert.deepEqual(devices("--gres=gpu"), [gpus(1)]);
  assert.deepEqual(devices("--gres=gres:gpu:2"), [gpus(2)]);
  assert.deepEqual(devices("--gres=nvidia.com/gpu:8"), [gpus(8)]);
  assert.deepEqual(devices("--gres=gpu:a100:2"), [{ ...gpus(2), "berth.dev/gpu-type": "a100" }]);
  assert.deepEqual(devices("--gres=gpu:NVIDIAA40"), [{ ...gpus(1), "berth.dev/gpu-type": "NVIDIAA40" }]);
  assert.deepEqual(devices("--gres=gpu:2g.24gb:1"), [
    { "nvidia.com/mig-2g.24gb": "1", "berth.dev/gpu-type": "2g.24gb" },
  ]);
  assert.deepEqual(devices("--gres=shard:4"), [{ "nvidia.com/gpu.shared": "4" }]);
  assert.deepEqual(devices("--gres=none"), [{}]);
  assert.deepEqual(devices("--gpus=h100:2"), [{ ...gpus(2), "berth.dev/gpu-type": "h100" }]);
  assert.deepEqual(devices("-G3", "-N2"), [gpus(2), gpus(1)]);
  assert.deepEqual(devices("--gpus-per-node=1", "-N2"), [gpus(1), gpus(1)]);
  assert.deepEqual(devices("--gpus-per-task=1", "-n2"), [gpus(2)]);
  const { requests } = submit(["--gpus=2", "--cpus-per-gpu=4", "--mem-per-gpu=8G", "x"]).workload.spec.podSets[0]!
    .template.spec.containers[0]!.resources!;
  assert.deepEqual(requests, { cpu: "8", memory: "16384Mi", "nvidia.com/gpu": "2" });
});

test("all the rest of a Workload", () => {
  const { workload, secret, exportedEnvironment } = submit(
    [
      "--begin=now+1hour",
      "--deadline=2027-01-01",
      "-a3-7:2%1",
      "-d",
      "afterok:1:2_3?after:4+5",
      "--kill-on-invalid-dep=yes",
      "-H",
      "--nice=7",
      "-C",
      "big&fast-2",
      "-x",
      "n[1,3]",
      "--exclusive",
      "--no-requeue",
      "-D",
      "../bob",
      "-o",
      "none",
      "-e",
      "%x.err",
      "--open-mode=append",
      "--export=ALL,A=b",
      "x.sh",
      "a",
      "b c",
    ],
    { environment: { HOME: "/home/alice", "BASH_FUNC_f%%": "() { :; }", SLURM_JOB_ID: "3", SLURM_CPU_BIND: "q" } },
  );
  const { spec } = workload;
  assert.equal(spec.beginTime, "2026-11-21T23:53:56Z");
  assert.deepEqual(spec.array, { indices: "3-7:2", maxRunning: 1 });
  assert.deepEqual(spec.dependencies, {
    any: true,
    of: [
      { type: "AfterOk", job: 1 },
      { type: "AfterOk", job: 2, task: 3 },
      { type: "After", job: 4, delaySeconds: 300 },
    ],
    cancelOnInvalid: true,
  });
  assert.equal(spec.hold, "User");
  assert.equal(spec.nice, 7);
  assert.deepEqual(spec.placement, { exclusive: true, excludedNodes: ["n1", "n3"] });
  assert.deepEqual(spec.requeue, { onNodeFailure: false, onPreemption: false });
  assert.deepEqual(spec.podSets[0]!.template.spec.nodeSelector, {
    "berth.dev/feature-big": "true",
    "berth.dev/feature-fast-2": "true",
  });
  const { submission } = spec;
  assert.equal(submission?.workingDirectory, "/home/bob");
  assert.equal(submission?.command, "/home/alice/x.sh");
  assert.equal(submission?.standardOutput, "/dev/null");
  assert.equal(submission?.standardError, "%x.err");
  assert.equal(submission?.openMode, "Append");
  assert.deepEqual(exportedEnvironment, {
    HOME: "/home/alice",
    "BASH_FUNC_f%%": "() { :; }",
    SLURM_CPU_BIND: "q",
    A: "b",
    SLURM_EXPORT_ENV: "ALL,A=b",
    SLURM_GET_USER_ENV: "1",
  });
  const text = (key: string) => Buffer.from(secret.data[key]!, "base64").toString();
  assert.equal(text("arguments"), "set -- 'a' 'b c'\n");
  assert.match(text("environment"), /^export A='b'$/m);
  assert.match(text("environment"), /SLURM_SUBMIT_DIR='\/home\/alice'/);
  assert.ok(text("run").startsWith("umask 0022\n"), "files are opened under the submitter's mask");
});

test("--export names what the job gets", () => {
  const environment = { HOME: "/h", FOO: "1", PATH: "/p", SHELL: "/bin/bash" };
  const plain = {
    HOME: "/h",
    SHELL: "/bin/bash",
    USER: "alice",
    LOGNAME: "alice",
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games",
    SLURM_GET_USER_ENV: "1",
  };
  const exported = (value: string) => submit([`--export=${value}`, "x"], { environment }).exportedEnvironment;
  assert.deepEqual(exported("NONE"), { ...plain, SLURM_EXPORT_ENV: "NONE" });
  assert.deepEqual(exported("FOO"), { ...plain, FOO: "1", SLURM_EXPORT_ENV: "FOO" });
  assert.deepEqual(exported("all"), environment);
  assert.deepEqual(exported("A='x,y',NOT_SET").A, "x,y");
});

interface Definition {
  spec: { names: { kind: string }; versions: { schema: { openAPIV3Schema: Schema } }[] };
}

const schema = compileCustomSchema(
  (customResourceDefinitions as unknown as Definition[]).find(({ spec }) => spec.names.kind === "Workload")!.spec
    .versions[0]!.schema.openAPIV3Schema,
);

function assertValid({ workload }: SubmissionObjects): void {
  const object = structuredClone(workload) as unknown as Parameters<typeof schema.validate>[0];
  assert.deepEqual(schema.prune(object).unknownFields, []);
  assert.deepEqual(schema.validate(schema.setDefaults(object)), []);
}

const number = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 2 ** 31 })).map(String);
const junk = fc.oneof(number, fc.constantFrom("", "a", "-1", "a,b", "n[1-3]", "UP_1", "1-3:2%4", "x".repeat(5000)));
const given = fc.oneof(
  fc.tuple(fc.constantFrom("-N", "-n", "-c", "--mem", "--mem-per-cpu", "-t", "--ntasks-per-node", "--mincpus"), number),
  fc.tuple(fc.constantFrom("-J", "-p", "-A", "-o", "-e", "-i", "-D", "--comment", "-w", "-x", "-C", "-a", "-d"), junk),
  fc
    .tuple(fc.constantFrom("--gres=gpu", "--gpus", "--gpus-per-task", "--gpus-per-node", "--cpus-per-gpu"), number)
    .map(([name, value]): [string, string] => (name === "--gres=gpu" ? ["--gres", `gpu:${value}`] : [name, value])),
);

test("whatever is asked is refused in words, or is a Workload that the API takes", () => {
  for (const words of [
    ["-N1-3", "-n8", "-a0-9:3%2", "-d", "afterok:1", "--gres=gpu:a100:2"],
    ["--wrap", "x"],
  ]) {
    assertValid(submit(words));
  }
  fc.assert(
    fc.property(fc.array(given, { maxLength: 6 }), (options) => {
      let objects: SubmissionObjects;
      try {
        objects = submit([...options.flat(), "x.sh"]);
      } catch (error) {
        assert.ok(error instanceof SlurmError, String(error));
        assert.ok(error.exitCode === 1 || error.exitCode === 255);
        return;
      }
      assertValid(objects);
    }),
    { numRuns: 400 },
  );
});
