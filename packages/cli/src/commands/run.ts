/** `berth run`: submits a script, shows why it waits, follows its output and ends as it ends. */
import { defaultDataFolder } from "@berth/identity";
import { isFinal, type Workload } from "@berth/kinds";
import { cancelWorkload } from "../cancellation.ts";
import { CommandError, NoClusterError } from "../command-error.ts";
import { connect, connectData, type Cluster } from "../connect.ts";
import { exitCodeOf } from "../job-end.ts";
import { followFiles, outputFilesOf } from "../output-files.ts";
import { nextSteps, stepArguments, type NextStep } from "../pipeline.ts";
import { objectsOf, readRequest, submit, type Request } from "../submit.ts";
import { paint } from "../table.ts";
import { formatTime, formatWait } from "../times.ts";
import { watchWorkload } from "../watch-workload.ts";
import { countsOf } from "../workload-counts.ts";
import { downCommand, startDetached } from "./up.ts";

/** How long after a first Ctrl-C a second one cancels. */
const secondInterruptMilliseconds = 3000;
const interruptedExitCode = 130;

export async function run(words: string[]): Promise<number> {
  const request = readRequest(words, "berth run");
  const { options } = request.resolved;
  if (options.testOnly === true)
    throw new CommandError("berth run runs: use berth sbatch --test-only to ask when a job would start");
  const steps = nextSteps(request.script.toString("utf8"), request.commandLine.script ?? "stdin");
  const { cluster, started } = await connectOrStart();
  const jobs = [await submitOne(cluster, request)];
  for (const step of steps) jobs.push(await submitOne(cluster, requestOf(step, jobs.at(-1)!), jobs.at(-1)));
  let exitCode = 0;
  for (const job of jobs) {
    exitCode = await follow(cluster, job, jobs);
    if (exitCode !== 0) break;
  }
  if (started !== undefined)
    tell(`Berth goes on running (data folder ${started}); stop it with: ${downCommand(started)}`);
  return exitCode;
}

async function connectOrStart(): Promise<{ cluster: Cluster; started?: string }> {
  try {
    return { cluster: await connect() };
  } catch (error) {
    const named = process.env["BERTH_CONTEXT"] ?? "";
    if (!(error instanceof NoClusterError) || named !== "") throw error;
  }
  const data = defaultDataFolder();
  tell(`no cluster is running: starting one on this machine (data folder ${data})`);
  const { notes } = await startDetached(data, {});
  for (const note of notes) tell(`note: ${note}`);
  return { cluster: await connectData(data), started: data };
}

function requestOf(step: NextStep, before: Workload): Request {
  const id = before.status!.jobId!;
  return readRequest([`--dependency=afterok:${id}`, step.script, ...stepArguments(step, id)], "berth run");
}

async function submitOne(cluster: Cluster, request: Request, before?: Workload): Promise<Workload> {
  const objects = await objectsOf(cluster, request);
  for (const note of new Set([...request.resolved.notes, ...objects.notes])) tell(note);
  const workload = await submit(cluster, objects);
  const after = before === undefined ? "" : `, to start after job ${before.status!.jobId}`;
  tell(`job ${workload.status!.jobId} (${workload.spec.jobName}) is submitted${after}`);
  return workload;
}

/** Shows what becomes of one job until it has ended; resolves to the exit code that it gives. */
async function follow(cluster: Cluster, job: Workload, jobs: readonly Workload[]): Promise<number> {
  const id = job.status!.jobId!;
  const leaving = new AbortController();
  const interrupts = handleInterrupts(cluster, jobs, id, leaving);
  const running = Promise.withResolvers<Workload>();
  const said = new Set<string>();
  const say = (sentence: string): void => {
    if (said.has(sentence)) return;
    said.add(sentence);
    tell(`job ${id} ${sentence}`);
  };
  let progress = "";
  const ended = watchWorkload(
    cluster,
    job.metadata,
    (now) => {
      const { spec, status } = now;
      if (spec.array !== undefined) {
        const text = progressOf(now);
        if (text !== progress) tell(`job ${id} ${(progress = text)}`);
      } else if (status?.phase === "Pending" && status.reason !== undefined && status.reason !== "None")
        say(waitingWords(now));
      else if (status?.phase === "Running") {
        say(`runs${status.nodes === undefined ? "" : ` on ${status.nodes.join(", ")}`}`);
        running.resolve(now);
      }
      return isFinal(status?.phase);
    },
    leaving.signal,
  );
  ended.then((last) => running.resolve(last ?? job), running.reject);
  try {
    if (job.spec.array === undefined) {
      const begun = await running.promise;
      const files = outputFilesOf(begun, undefined);
      const showsNone = begun.status?.phase === "Cancelled" && begun.status.startTime === undefined;
      if (!showsNone) await followFiles(files, ended);
    }
    const last = await ended;
    if (last === undefined) throw new CommandError(`job ${id} was removed while it was followed`);
    return endOf(last, id);
  } catch (error) {
    if (leaving.signal.aborted) return interruptedExitCode;
    throw error;
  } finally {
    interrupts();
  }
}

function endOf(last: Workload, id: number): number {
  const exitCode = exitCodeOf(last);
  const { phase, message } = last.status ?? {};
  if (phase !== "Succeeded")
    tell(
      `job ${id} ended: ${paint("red", phase ?? "", process.stderr)}, exit code ${exitCode}${message === undefined ? "" : `: ${message}`}`,
    );
  return exitCode;
}

function waitingWords({ status }: Workload): string {
  const { reason, message, estimatedStart } = status ?? {};
  const start =
    estimatedStart === undefined
      ? ""
      : `; expected start ${formatTime(estimatedStart)} (${formatWait(estimatedStart)})`;
  return `waits, ${paint("yellow", reason ?? "", process.stderr)}${message === undefined ? "" : `: ${message}`}${start}`;
}

function progressOf(workload: Workload): string {
  const { pending, running, ended } = countsOf([workload]);
  return `array: ${ended} of ${pending + running + ended} elements have ended, ${running} run, ${pending} wait`;
}

/** The first Ctrl-C lets go, a second one cancels. Returns what ends the handling. */
function handleInterrupts(
  cluster: Cluster,
  jobs: readonly Workload[],
  id: number,
  leaving: AbortController,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  const interrupted = (): void => {
    if (timer === undefined) {
      tell(`Ctrl-C again cancels job ${id}; else this command lets go of it, and it goes on (berth logs -f ${id})`);
      timer = setTimeout(() => leaving.abort(), secondInterruptMilliseconds);
      return;
    }
    clearTimeout(timer);
    tell(`cancelling job ${id}`);
    void Promise.all(jobs.map((job) => cancelWorkload(cluster, job))).catch((error: unknown) => {
      tell(`job ${id} could not be cancelled: ${error instanceof Error ? error.message : String(error)}`);
      leaving.abort();
    });
  };
  process.on("SIGINT", interrupted);
  return () => {
    clearTimeout(timer);
    process.off("SIGINT", interrupted);
  };
}

/** What Berth says goes to standard error: standard output is the job's. */
function tell(sentence: string): void {
  process.stderr.write(`${paint("cyan", "berth:", process.stderr)} ${sentence}\n`);
}
