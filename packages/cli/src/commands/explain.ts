/** `berth explain`: why a job waits and when it will start, where it runs, or how it ended. */
import type { AttemptRow } from "@berth/accounting";
import { isReason } from "@berth/client";
import { explanations, questionsApiVersion, type ExpectedStart, type Explanation, type Workload } from "@berth/kinds";
import { compressHostlist, formatDependencies, formatJobId, type JobRow } from "@berth/slurm";
import { attemptName, readAttempts } from "../accounting.ts";
import { CommandError } from "../command-error.ts";
import { connect, type Cluster } from "../connect.ts";
import { beganWords, runningLines, titleOf, waitedFor, waitingLines } from "../explanation-text.ts";
import { hasEnded, nameOf, parseJobReference, requireJob, taskStateOf, type FoundJob } from "../jobs.ts";
import { labelled } from "../labelled-lines.ts";
import { queuedJobs } from "../queued-jobs.ts";
import { formatData, paint, type OutputFormat } from "../table.ts";
import { formatBytes, formatDuration, formatTime, formatWait } from "../times.ts";

export async function explain(text: string, options: { output?: OutputFormat }): Promise<number> {
  const cluster = await connect();
  const found = await requireJob(cluster, text);
  const ended = found === undefined || hasEnded(found) ? await attemptsOf(cluster, text, found) : [];
  const foreign = found === undefined && ended.length === 0 ? await foreignJob(cluster, text) : undefined;
  if (found === undefined && ended.length === 0 && foreign === undefined)
    throw new CommandError(
      `there is no job ${text}: squeue lists those that wait or run, berth history those that ended`,
    );
  const explanation = found === undefined || hasEnded(found) ? undefined : await explanationOf(cluster, found.workload);
  if (options.output === "json" || options.output === "yaml") {
    const { spec, status } = explanation ?? {};
    const data = { job: text, explanation: spec && { ...spec, ...status }, workload: found?.workload, attempts: ended };
    process.stdout.write(
      await formatData(foreign === undefined ? data : { job: text, queue: foreign }, options.output),
    );
    return 0;
  }
  const lines = foreign !== undefined ? foreignLines(foreign) : found === undefined ? [] : jobLines(found, explanation);
  for (const row of ended.slice(0, 20)) lines.push(...attemptLines(row, found === undefined));
  if (ended.length > 20) lines.push(`  … and ${ended.length - 20} more: sacct -j ${text}`);
  process.stdout.write(`${lines.join("\n")}\n`);
  return 0;
}

async function attemptsOf(cluster: Cluster, text: string, found: FoundJob | undefined): Promise<AttemptRow[]> {
  const { job } = parseJobReference(text);
  const name = found?.task === undefined ? text : `${found.workload.status?.jobId ?? job}_${found.task}`;
  return await readAttempts(cluster, { job: [name] }).catch(() => []);
}

/** From the scheduler; where it does not answer, what the Workload itself tells. */
async function explanationOf({ client }: Cluster, workload: Workload): Promise<Explanation> {
  const { namespace, name } = workload.metadata;
  try {
    return await client.get<Explanation>(explanations, name, { namespace });
  } catch (error) {
    if (!isReason(error, "NotFound", "Forbidden", "Timeout", "Gone", "NotImplemented", "ServiceUnavailable"))
      throw error;
    if (isReason(error, "Timeout", "ServiceUnavailable"))
      process.stderr.write("note: the scheduler does not answer at the moment; this is what it said last\n");
    return told(workload);
  }
}

function told({ metadata, spec, status = {} }: Workload): Explanation {
  const { jobName, user, qos } = spec;
  const { reason, message, estimatedStart, submitTime, startTime, nodes, phase } = status;
  const expected: ExpectedStart | undefined =
    estimatedStart === undefined
      ? undefined
      : { time: estimatedStart, basis: "Forecast", asOf: estimatedStart, assumes: "as last told" };
  return {
    apiVersion: questionsApiVersion,
    kind: "Explanation",
    metadata: { name: metadata.name },
    spec: { jobName, user, qos, queue: status.queue, account: status.account, wallTimeSeconds: status.wallTimeSeconds },
    status: { phase, reason, message, submitTime, startTime, nodes, expectedStart: expected },
  };
}

/** A job of somebody else, of which only the queue tells. */
async function foreignJob(cluster: Cluster, text: string): Promise<JobRow | undefined> {
  const { job, tasks } = parseJobReference(text);
  const rows = (await queuedJobs(cluster, Math.floor(Date.now() / 1000), { jobs: [job] })) ?? [];
  const task = tasks?.first();
  if (task === undefined) return rows.find((row) => row.jobId === job) ?? rows[0];
  return rows.find((row) => row.arrayTaskId === task) ?? rows.find((row) => row.arrayTasks !== undefined);
}

function foreignLines(row: JobRow): string[] {
  const time = (seconds: number | undefined): string | undefined =>
    seconds === undefined ? undefined : new Date(seconds * 1000).toISOString();
  const object = { spec: { jobName: row.name, user: row.user } };
  const isPending = row.state === "PENDING";
  const state = `${isPending ? "waits" : "runs"} in queue ${row.partition}, account ${row.account}`;
  const lines = [titleOf(formatJobId(row), object, state)];
  if (isPending) {
    lines.push(...labelled("why", row.reason));
    const start = time(row.startTime);
    if (start !== undefined) lines.push(...labelled("starts", `${formatTime(start)} (${formatWait(start)})`));
    if (row.position !== undefined) lines.push(...labelled("position", `${row.position} in its queue`));
  } else {
    if (row.nodes.length > 0) lines.push(...labelled("on", compressHostlist(row.nodes)));
    const end = time(row.endTime);
    if (end !== undefined) lines.push(...labelled("ends by", `${formatTime(end)} (${formatWait(end)})`));
  }
  lines.push(...labelled("", `It is another user's: ${row.user} is told more.`));
  return lines;
}

function jobLines(found: FoundJob, explanation: Explanation | undefined): string[] {
  const { spec, status } = found.workload;
  const queue = status?.queue ?? spec.queue ?? "(default)";
  const account = status?.account ?? spec.account ?? "(default)";
  const where = `queue ${queue}, account ${account}`;
  const { jobName } = spec;
  const title = (state: string): string =>
    titleOf(nameOf(found), { spec: { jobName, user: spec.user ?? status?.identity?.user } }, state);
  if (explanation === undefined) return [title(where), `  ended: ${endingWords(found)}`];
  const { array } = explanation.status ?? {};
  const lines: string[] = [];
  if (isRunning(found, explanation)) {
    lines.push(title(`${explanation.status?.phase === "Suspended" ? "is suspended" : "runs"} in ${where}`));
    lines.push(...(found.task === undefined ? runningLines(explanation) : []));
  } else {
    lines.push(title(`waits in ${where}`), ...waitingLines(explanation));
    const dependencies = formatDependencies(spec.dependencies);
    if (dependencies !== "(null)")
      lines.push(...labelled("depends on", dependencies.replaceAll("(unfulfilled)", "").replaceAll(",", ", ")));
    if (spec.beginTime !== undefined) lines.push(...labelled("not before", formatTime(spec.beginTime)!));
  }
  if (array !== undefined && found.task === undefined) {
    const most = array.maxRunning === undefined ? "" : `, of which at most ${array.maxRunning} run at once`;
    const counts = `${array.pending} wait, ${array.running} run, ${array.ended} have ended${most}`;
    lines.push(...labelled("elements", counts));
  }
  return lines;
}

function isRunning({ workload, task }: FoundJob, { status }: Explanation): boolean {
  if (task !== undefined) return taskStateOf(workload, task) === "running";
  if (status?.array !== undefined) return status.array.pending === 0;
  return status?.phase !== undefined && status.phase !== "Pending";
}

function endingWords({ workload, task }: FoundJob): string {
  const { status } = workload;
  if (task !== undefined) return taskStateOf(workload, task);
  const how =
    status?.signal === undefined || status.signal === 0
      ? `exit code ${status?.exitCode ?? 0}`
      : `signal ${status.signal}`;
  const message = status?.message === undefined ? "" : `: ${status.message}`;
  return `${status?.phase} with ${how}${status?.endTime === undefined ? "" : ` at ${formatTime(status.endTime)}`}${message}`;
}

function attemptLines(row: AttemptRow, withTitle: boolean): string[] {
  const title = withTitle
    ? [
        `${paint("bold", `Job ${attemptName(row)} (${row.name})`)} of ${row.user}, queue ${row.queue}, account ${row.account}`,
      ]
    : [];
  const stood = row.suspendedSeconds ?? 0;
  const ran =
    row.startTime === null
      ? "never started"
      : `ran ${formatDuration((Date.parse(row.endTime) - Date.parse(row.startTime)) / 1000 - stood)}${stood === 0 ? "" : ` (and stood still for ${formatDuration(stood)})`}${row.nodes.length > 0 ? ` on ${row.nodes.join(", ")}` : ""}`;
  const how = row.signal > 0 ? `signal ${row.signal}` : `exit code ${row.exitCode}`;
  const waits = Object.entries(row.waitSecondsByReason).filter(([, seconds]) => seconds > 0);
  const waited =
    waits.length === 0 ? "" : `; waited ${waits.map(([reason, seconds]) => waitedFor(reason, seconds)).join(", ")}`;
  // Elements of arrays are told nothing of their own.
  const told = row.arrayJobId === null && row.attempt === 1 ? beganWords(row.startTime, row.firstExpectedStart) : "";
  const peak = row.peakMemoryBytes === null ? "" : `; most memory ${formatBytes(row.peakMemoryBytes)}`;
  const cpu = row.cpuMilliseconds === null ? "" : `; ${(row.cpuMilliseconds / 1000).toFixed(2)} s of cpu`;
  return [
    ...title,
    `  ${row.arrayJobId === null ? `attempt ${row.attempt}` : `${attemptName(row)}, attempt ${row.attempt}`}: ${row.state}, ${how}, ${ran}${waited}${told}${peak}${cpu}`,
  ];
}
