/** `srun` at the prompt: a job of its own that waits its turn, whose one step has the terminal's input and output. */
import { isFinal, quoteForShell, type Workload } from "@berth/kinds";
import {
  readSbatchCommandLine,
  readSrunCommandLine,
  resolveSbatch,
  SlurmError,
  srunOptions,
  type SrunCommandLine,
} from "@berth/slurm";
import { spawn, spawnSync } from "node:child_process";
import { fstatSync, mkdtempSync, readFileSync, rmSync, watch } from "node:fs";
import { constants } from "node:os";
import { basename, join } from "node:path";
import { cancelWorkload } from "../cancellation.ts";
import { connect, type Cluster } from "../connect.ts";
import { exitCodeOf } from "../job-end.ts";
import { GrowingFile } from "../output-files.ts";
import { objectsOf, submit, type Request } from "../submit.ts";
import { watchWorkload } from "../watch-workload.ts";
import { withCluster } from "./contact.ts";
import { showText } from "./help.ts";

const examples =
  "Examples:\n  srun hostname\n  srun -N2 -n4 --label ./simulate input.dat\n  srun --mem=2G --time=10 ./prepare <data.csv >result.csv\n";
/** Sandboxes see this folder of the machine's, whatever TMPDIR says. */
const meetingPlace = "/tmp/berth-srun-";
const secondInterruptMilliseconds = 1000;

export async function srun(words: string[]): Promise<number> {
  const { BERTH_BIN: programs, BERTH_STEPS: steps } = process.env;
  // A login shell in a job may have set a search path of its own.
  if (programs !== undefined && steps !== undefined) return await become(join(programs, "srun"), words);
  const line = readSrunCommandLine(words);
  if (line.show !== undefined)
    return showText("srun", line.show, srunOptions, examples, "[OPTIONS] PROGRAM [ARGUMENTS…]");
  return await withCluster("srun", async () => {
    const cluster = await connect();
    if (cluster.data === undefined) {
      throw new SlurmError(
        1,
        `error: ${cluster.description} has nodes of other kinds, on which steps are not there yet: use sbatch, or berth run`,
      );
    }
    const folder = mkdtempSync(meetingPlace);
    try {
      return await inJob(cluster, line, folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

async function become(program: string, words: string[]): Promise<number> {
  const child = spawn(program, words, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  return await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
  });
}

async function inJob(cluster: Cluster, line: SrunCommandLine, folder: string): Promise<number> {
  const hasInput = isPipeOrFile(0);
  if (hasInput && spawnSync("sh", ["-c", `mkfifo -m 600 "$1/in"`, "sh", folder]).status !== 0)
    throw new SlurmError(1, "error: mkfifo failed: input cannot be handed on");
  const objects = await objectsOf(cluster, requestOf(line, folder, hasInput));
  for (const note of objects.notes) process.stderr.write(`srun: ${note}\n`);
  const job = await submit(cluster, objects).catch((error: unknown) => {
    throw asAllocation(error);
  });
  const id = job.status!.jobId!;
  const say = (text: string): void => {
    if (!line.quiet) process.stderr.write(`srun: ${text}\n`);
  };
  const leave = handleSignals(cluster, job, say);
  const input = hasInput
    ? spawn("sh", ["-c", handOn, "srun-input", folder], { stdio: ["inherit", "ignore", "ignore"] })
    : undefined;
  const files = [
    { file: new GrowingFile(join(folder, "out")), stream: process.stdout },
    { file: new GrowingFile(join(folder, "err")), stream: process.stderr },
  ];
  const stepEnded = Promise.withResolvers<number>();
  const copy = (): void => {
    const code = readCode(join(folder, "code"));
    for (const { file, stream } of files) file.read((bytes) => stream.write(bytes));
    // What was written before its code was is copied now.
    if (code !== undefined) stepEnded.resolve(code);
  };
  const watcher = watch(folder, copy);
  const over = new AbortController();
  let waited = false;
  const jobEnded = watchWorkload(
    cluster,
    job.metadata,
    ({ status }) => {
      if (status?.phase === "Pending" && !waited && status.reason !== undefined && status.reason !== "None") {
        waited = true;
        say(`job ${id} queued and waiting for resources`);
      } else if (status?.phase === "Running" && waited) {
        waited = false;
        say(`job ${id} has been allocated resources`);
      }
      return isFinal(status?.phase);
    },
    over.signal,
  );
  jobEnded.catch(() => undefined);
  try {
    copy();
    return await Promise.race([
      stepEnded.promise,
      jobEnded.then((last) => {
        copy();
        return readCode(join(folder, "code")) ?? endedWithoutCode(last, say);
      }),
    ]);
  } finally {
    over.abort();
    watcher.close();
    input?.kill("SIGKILL");
    for (const { file } of files) file.close();
    leave();
  }
}

/** srun has other words for what sbatch is refused. */
function asAllocation(error: unknown): unknown {
  if (!(error instanceof SlurmError)) return error;
  return new SlurmError(
    error.exitCode,
    ...error.lines.map((line) => line.replace("Batch job submission failed", "Unable to allocate resources")),
  );
}

function endedWithoutCode(last: Workload | undefined, say: (text: string) => void): number {
  const { phase, message } = last?.status ?? {};
  if (phase === "Cancelled" && last?.status?.startTime === undefined) say("error: Job allocation has been revoked");
  else say(`error: the job ended: ${phase ?? "it was removed"}${message === undefined ? "" : `: ${message}`}`);
  return last === undefined ? 1 : exitCodeOf(last);
}

function requestOf(line: SrunCommandLine, folder: string, hasInput: boolean): Request {
  const program = line.command[0]!;
  const files = [
    `--output=${folder}/out`,
    `--error=${folder}/err`,
    `--input=${hasInput ? `${folder}/in` : "/dev/null"}`,
  ];
  const words = [`--job-name=${basename(program)}`, ...line.allocation, ...files, "--no-requeue"];
  const quoted = ["srun", ...line.step, "--", ...line.command].map(quoteForShell).join(" ");
  const script = Buffer.from(`#!/bin/sh
echo 0 >${folder}/begun
if [ -n "\${BERTH_STEPS-}" ]; then ${quoted}; berth_code=$?
else echo "srun: error: this node has no steps" >&2; berth_code=1; fi
echo "$berth_code" >${folder}/code.new && mv ${folder}/code.new ${folder}/code
exit "$berth_code"
`);
  const commandLine = readSbatchCommandLine([...words, "--wrap=srun"]);
  const resolved = resolveSbatch(commandLine, {
    environment: srunEnvironment(process.env),
    nowSeconds: Math.floor(Date.now() / 1000),
  });
  return { commandLine, resolved, script, frontend: "srun" };
}

/** What srun reads of its environment about the job, under the names that sbatch reads. */
function srunEnvironment(environment: Record<string, string | undefined>): Record<string, string | undefined> {
  const of: Record<string, string | undefined> = {};
  for (const name of [
    "ACCOUNT",
    "CONSTRAINT",
    "GPUS",
    "GRES",
    "MEM_PER_CPU",
    "MEM_PER_NODE",
    "PARTITION",
    "QOS",
    "RESERVATION",
    "TIMELIMIT",
  ])
    of[`SBATCH_${name}`] = environment[`SLURM_${name}`];
  return of;
}

/** The first Ctrl-C asks, a second one within a second cancels; other requests to end cancel at once. */
function handleSignals(cluster: Cluster, job: Workload, say: (text: string) => void): () => void {
  let last = 0;
  const cancel = (): void => {
    void cancelWorkload(cluster, job).catch((error: unknown) => {
      say(`error: the job could not be cancelled: ${error instanceof Error ? error.message : String(error)}`);
    });
  };
  const interrupted = (): void => {
    const now = Date.now();
    if (now - last < secondInterruptMilliseconds) {
      say(`sending Ctrl-C to job ${job.status!.jobId}`);
      cancel();
    } else say("interrupt (one more within 1 sec to abort)");
    last = now;
  };
  process.on("SIGINT", interrupted);
  process.on("SIGTERM", cancel);
  process.on("SIGHUP", cancel);
  return () => {
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", cancel);
    process.off("SIGHUP", cancel);
  };
}

/**
 * Hands standard input on by a process of its own, so that a full pipe blocks nobody here. Until the job has its end of the pipe open, which it
 * opens more than once, the other end is held, and nothing is written.
 */
const handOn = `exec 3<>"$1/in"; until [ -e "$1/begun" ]; do sleep 0.05; done; exec cat >"$1/in" 3<&-`;

function isPipeOrFile(descriptor: number): boolean {
  try {
    const stat = fstatSync(descriptor);
    return stat.isFIFO() || stat.isFile() || stat.isSocket();
  } catch {
    return false;
  }
}

function readCode(path: string): number | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    return text === "" ? undefined : Number(text);
  } catch {
    return undefined;
  }
}
