/** Jobs that run, and what they leave: states, exit codes, files, and the environment that they saw. */
import type { Case } from "./case.ts";

const seen =
  "test \"${SLURM_ARRAY_TASK_ID:-3}\" = 3 && env | grep -E '^(SLURM|SBATCH|ENVIRONMENT|HOSTNAME|TMPDIR|CUDA|GPU|FOO|BAR|HOME|USER|LOGNAME|SHELL|PWD)' | sort > {folder}/environment";

function environment(name: string, words: string[], more: Partial<Case> = {}): Case {
  return {
    name: `environment: ${name}`,
    words: ["-o", "/dev/null", ...words],
    script: `#!/bin/sh\n${seen}\n`,
    kind: "Run",
    seesEnvironment: true,
    ...more,
  };
}

function run(name: string, words: string[], script: string, more: Partial<Case> = {}): Case {
  return { name: `run: ${name}`, words, script: `#!/bin/bash\n${script}\n`, kind: "Run", ...more };
}

/** Says that it runs, and waits. */
const waits = "touch {folder}/running\nsleep 600 & wait $!";

const ends: Record<string, string> = {
  "exit 0": "exit 0",
  "exit 3": "exit 3",
  "exit 255": "exit 255",
  "exit 256": "exit 256",
  "command not found": "nosuchcommand",
  "killed by KILL": "kill -KILL $$",
  "killed by SEGV": "kill -SEGV $$",
  "killed by TERM": "kill -TERM $$",
  "last command fails": "echo before\nfalse",
  "last command of several": "false\necho after",
};

export const runCases: Case[] = [
  ...Object.entries(ends).map(([name, script]) => run(name, [], script)),
  { name: "run: bad interpreter", words: [], script: "#!/no/such/interpreter\ntrue\n", kind: "Run" },
  { name: "run: wrap", words: [], wrap: "echo $0; echo wrapped", kind: "Run" },
  { name: "run: from standard input", words: [], input: "#!/bin/sh\necho from stdin; cat\n", kind: "Run" },
  run("arguments", [], 'for word in "$@"; do echo "<$word>"; done', {
    arguments: ["one", "two words", "", "*", "--x=$y"],
  }),
  run("both streams in one file", [], "echo out; echo err >&2; echo out again"),
  run("two files", ["-o", "o-%j.txt", "-e", "e-%j.txt"], "echo out; echo err >&2"),
  run("name and user in the file", ["-J", "a.b", "-o", "%x-%u-%j.txt"], "echo out"),
  run("padding, percent and backslash", ["-o", "%8j-%%-%3x.txt", "-e", "\\%j.txt"], "echo out; echo err >&2"),
  run("node and step in the file", ["-o", "%j-%t-%n-%s-%J.txt"], "echo out"),
  run("array words without an array", ["-o", "%A_%a.txt"], "echo out"),
  run("chdir", ["-D", "{folder}/below", "-o", "x.txt"], "pwd", { files: {}, words: ["-D", "{folder}", "-o", "x.txt"] }),
  run("folder that is not there", ["-D", "/no/such/folder", "-o", "{folder}/x.txt"], "pwd"),
  run("output in a folder that is not there", ["-o", "logs/x.txt"], "echo out"),
  run("input", ["-i", "in.txt"], "cat", { files: { "in.txt": "read this\n" } }),
  run("input that is not there", ["-i", "nothing.txt"], "cat"),
  run("no input", [], "cat; echo end"),
  run("output is truncated", ["-o", "old.txt"], "echo new", { files: {}, words: ["-o", "a.txt"] }),
  run("umask and folder", [], "umask; pwd; ulimit -c"),
  run("process group", [], "[ $(ps -o pgid= -p $$) -eq $$ ] && echo leader"),
  run(
    "array",
    ["-a", "1-3"],
    "echo $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT $SLURM_ARRAY_TASK_MIN-$SLURM_ARRAY_TASK_MAX",
  ),
  run("array with a pattern", ["-a", "2,7", "-o", "%x-%a.txt"], "echo $SLURM_ARRAY_TASK_ID; exit $SLURM_ARRAY_TASK_ID"),
  run("array, padded", ["-a", "5", "-o", "t%4a.txt"], "echo $SLURM_ARRAY_TASK_STEP"),
  run("array of which one fails", ["-a", "0-2"], "exit $SLURM_ARRAY_TASK_ID"),
  run("array one at a time", ["-a", "0-2%1"], "date +%s%N > /dev/null"),
  run("dependency: ok", ["-d", "afterok:{id:run: exit 0}"], "echo ran"),
  run("dependency: not ok", ["-d", "afternotok:{id:run: exit 3}"], "echo ran"),
  run("dependency: any", ["-d", "afterany:{id:run: exit 3}:{id:run: exit 0}"], "echo ran"),
  run("dependency: never", ["-d", "afterok:{id:run: exit 3}", "--kill-on-invalid-dep=yes"], "echo ran"),
  run("dependency: one of", ["-d", "afterok:{id:run: exit 3}?afterok:{id:run: exit 0}"], "echo ran"),
  run("dependency: of an array", ["-d", "afterok:{id:run: array}"], "echo ran"),
  run("dependency: of an element", ["-d", "afterok:{id:run: array of which one fails}_0"], "echo ran"),
  run("wait", ["-W"], "exit 4"),
  run("wait for an array", ["-W", "-a", "0-2"], "exit $SLURM_ARRAY_TASK_ID"),
  run("wait, killed", ["-W"], "kill -KILL $$"),
  run("parsable", ["--parsable"], "true"),
  run("scancel", [], waits, { acts: [["scancel", "{id}"]] }),
  run("scancel, trapped", [], `trap 'echo caught; exit 7' TERM\n${waits}`, { acts: [["scancel", "{id}"]] }),
  run("scancel by name", ["-J", "of-this-name"], waits, { acts: [["scancel", "-n", "of-this-name"]] }),
  run("signal to the batch shell", [], `trap 'echo got USR1 >> {folder}/signals; exit 0' USR1\n${waits}`, {
    acts: [["scancel", "-b", "-s", "USR1", "{id}"]],
  }),
  run("signal to all", [], `trap 'echo got USR2; exit 3' USR2\n${waits}`, {
    acts: [["scancel", "-f", "-s", "USR2", "{id}"]],
  }),
  run("looked at while it runs", ["-J", "looked", "-t", "5"], waits, {
    acts: [
      ["squeue", "-h", "-j", "{id}", "-o", "%j %u %t %T %l %C %D %r %P"],
      ["squeue", "-h", "-j", "{id}", "-O", "name:10,username:8,state:12,numcpus:5,timelimit:8"],
      ["scontrol", "release", "{id}"],
      ["scontrol", "hold", "{id}"],
      ["scancel", "{id}"],
    ],
  }),
  environment("nothing", []),
  environment("two nodes", ["-N2", "-n6", "--ntasks-per-node=3", "-c1"]),
  environment("tasks", ["-n3"]),
  environment("cpus per task", ["-c2"]),
  environment("uneven tasks", ["-N2", "-n3"]),
  environment("tasks per node only", ["-N2", "--ntasks-per-node=2"]),
  environment("nodes only", ["-N2"]),
  environment("exclusive", ["--exclusive"]),
  environment("mem", ["--mem=300M"]),
  environment("mem-per-cpu", ["--mem-per-cpu=100M", "-n2"]),
  environment("array", ["-a", "3-7:2"]),
  environment("comment, account and qos", ["-A", "default", "-q", "normal", "--comment=x"]),
  environment("named", ["-J", "a name"]),
  environment("export none", ["--export=NONE"], { environment: { FOO: "foo", BAR: "bar" } }),
  environment("export all", ["--export=ALL"], { environment: { FOO: "foo", BAR: "bar" } }),
  environment("export one", ["--export=FOO"], { environment: { FOO: "foo", BAR: "bar" } }),
  environment("export a value", ["--export=FOO=other"], { environment: { FOO: "foo", BAR: "bar" } }),
  environment("export all and a value", ["--export=ALL,FOO=other"], { environment: { FOO: "foo", BAR: "bar" } }),
  environment("export by SBATCH_EXPORT", [], { environment: { FOO: "foo", SBATCH_EXPORT: "NONE" } }),
  environment("distribution", ["-n2", "-m", "cyclic"]),
  environment("overcommit", ["-O", "-n8", "-N1"]),
  environment("threads per core", ["--threads-per-core=1"]),
  environment("hint", ["--hint=nomultithread"]),
  environment("profile", ["--profile=task"]),
  environment("open mode", ["--open-mode=append"]),
  environment("spread", ["--spread-job", "-N2", "-n2"]),
  environment("nodes range", ["-N", "1-2", "-n", "2"]),
  environment("wckey", ["--wckey=key"]),
];
