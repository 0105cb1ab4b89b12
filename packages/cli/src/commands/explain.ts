/** `berth explain`: why a job waits and when it will start, where it runs, or how it ended. */
import type { AttemptRow } from "@berth/accounting";
import type { Workload } from "@berth/kinds";
import { formatDependencies, reasons } from "@berth/slurm";
import { attemptName, readAttempts } from "../accounting.ts";
import { CommandError } from "../command-error.ts";
import { connect, type Cluster } from "../connect.ts";
import { hasEnded, nameOf, parseJobReference, requireJob, taskStateOf, type FoundJob } from "../jobs.ts";
import { formatData, paint, type OutputFormat } from "../table.ts";
import { formatBytes, formatDuration, formatTime, formatWait } from "../times.ts";
import { countsOf } from "../workload-counts.ts";

export async function explain(text: string, options: { output?: OutputFormat }): Promise<number> {
  const cluster = await connect();
  const found = await requireJob(cluster, text);
  const ended = found === undefined || hasEnded(found) ? await attemptsOf(cluster, text, found) : [];
  if (found === undefined && ended.length === 0)
    throw new CommandError(
      `there is no job ${text}: squeue lists those that wait or run, berth history those that ended`,
    );
  if (options.output === "json" || options.output === "yaml") {
    process.stdout.write(await formatData({ job: text, workload: found?.workload, attempts: ended }, options.output));
    return 0;
  }
  const lines = found === undefined ? [] : workloadLines(found);
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

function workloadLines(found: FoundJob): string[] {
  const { spec, status } = found.workload;
  const title = spec.jobName === undefined ? "" : ` (${spec.jobName})`;
  const where = `queue ${status?.queue ?? spec.queue ?? "(default)"}, account ${status?.account ?? spec.account ?? "(default)"}`;
  const lines = [`${paint("bold", `Job ${nameOf(found)}${title}`)} of ${spec.user ?? "(unknown)"}, ${where}`];
  if (hasEnded(found)) lines.push(`  ended: ${endingWords(found)}`);
  else if (isRunning(found)) lines.push(...runningLines(found.workload));
  else lines.push(...pendingLines(found.workload));
  if (spec.array !== undefined && found.task === undefined) {
    const { pending, running, ended } = countsOf([found.workload]);
    lines.push(`  elements: ${pending} wait, ${running} run, ${ended} have ended`);
  }
  return lines;
}

function isRunning({ workload, task }: FoundJob): boolean {
  if (task !== undefined) return taskStateOf(workload, task) === "running";
  return workload.status?.phase !== undefined && workload.status.phase !== "Pending";
}

function pendingLines({ spec, status }: Workload): string[] {
  const lines: string[] = [];
  const since = status?.submitTime;
  const reason = status?.reason ?? "None";
  const waiting =
    since === undefined ? "waits" : `waits for ${formatDuration((Date.now() - Date.parse(since)) / 1000)}`;
  lines.push(
    `  ${waiting}, reason ${paint("yellow", reason)}${status?.message === undefined ? "" : `: ${status.message}`}`,
  );
  lines.push(`  ${reasons[reason].sentence}`);
  const dependencies = formatDependencies(spec.dependencies);
  if (dependencies !== "(null)") lines.push(`  depends on: ${dependencies.replaceAll("(unfulfilled)", "")}`);
  if (spec.beginTime !== undefined) lines.push(`  not before ${formatTime(spec.beginTime)}`);
  const start = status?.estimatedStart;
  lines.push(
    start === undefined
      ? "  expected start: not known yet"
      : `  expected start: ${paint("green", formatTime(start) ?? start)} (${formatWait(start)}), if all jobs use their whole wall time`,
  );
  lines.push(`  asks for ${askedWords(status?.wallTimeSeconds ?? spec.wallTimeSeconds)}`);
  return lines;
}

function askedWords(wallTimeSeconds: number | undefined): string {
  return wallTimeSeconds === undefined
    ? "the queue's default wall time"
    : `a wall time of ${formatDuration(wallTimeSeconds)}`;
}

function runningLines({ spec, status }: Workload): string[] {
  const nodes = status?.nodes?.join(", ");
  const start = status?.startTime;
  if (start === undefined)
    return [`  ${status?.phase === "Running" ? "runs" : "is starting"}${nodes ? ` on ${nodes}` : ""}`];
  const wallTimeSeconds = status?.wallTimeSeconds ?? spec.wallTimeSeconds;
  const until =
    wallTimeSeconds === undefined ? undefined : new Date(Date.parse(start) + wallTimeSeconds * 1000).toISOString();
  const lines = [`  runs${nodes ? ` on ${nodes}` : ""} since ${formatTime(start)}`];
  if (until !== undefined) lines.push(`  its wall time ends at ${formatTime(until)} (${formatWait(until)})`);
  return lines;
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
  const ran =
    row.startTime === null
      ? "never started"
      : `ran ${formatDuration((Date.parse(row.endTime) - Date.parse(row.startTime)) / 1000)}${row.nodes.length > 0 ? ` on ${row.nodes.join(", ")}` : ""}`;
  const how = row.signal > 0 ? `signal ${row.signal}` : `exit code ${row.exitCode}`;
  const waits = Object.entries(row.waitSecondsByReason).filter(([, seconds]) => seconds > 0);
  const waited =
    waits.length === 0
      ? ""
      : `; waited ${waits.map(([reason, seconds]) => `${formatDuration(seconds)} for ${reason}`).join(", ")}`;
  const peak = row.peakMemoryBytes === null ? "" : `; most memory ${formatBytes(row.peakMemoryBytes)}`;
  const cpu = row.cpuMilliseconds === null ? "" : `; ${(row.cpuMilliseconds / 1000).toFixed(2)} s of cpu`;
  return [
    ...title,
    `  ${row.arrayJobId === null ? `attempt ${row.attempt}` : `${attemptName(row)}, attempt ${row.attempt}`}: ${row.state}, ${how}, ${ran}${waited}${peak}${cpu}`,
  ];
}
