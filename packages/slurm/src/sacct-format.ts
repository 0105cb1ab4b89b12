/** sacct's table. */
import { parseIndexList } from "@berth/kinds";
import { formatCpuTime, formatFullDuration, formatLimit } from "./durations.ts";
import { SlurmError } from "./errors.ts";
import { compressHostlist } from "./hostlist.ts";
import { formatMemory } from "./memory.ts";
import { formatMoment } from "./moments.ts";
import type { AccountingRow, AccountingStep } from "./rows.ts";
import { formatJobId } from "./job-ids.ts";
import { formatAccountedExitCode } from "./states.ts";

export interface SacctLayout {
  /** `--format`; absent: sacct's own columns. */
  format?: string;
  brief?: boolean;
  long?: boolean;
  /** -X: no line for the batch step. */
  allocationsOnly?: boolean;
  /** --array: one line an element, also of those that were never split. */
  array?: boolean;
  /** `|` behind every field (`ended`), or between them (`between`). */
  parsable?: "ended" | "between";
  delimiter?: string;
  noHeader?: boolean;
  /** K, M, G, T, P. */
  units?: string;
  timeFormat?: string;
  nowSeconds: number;
}

/** A line: the job itself, or a step: its script, or (`step`) what that started; then `row` says of the job what holds for the step. */
interface Line {
  row: AccountingRow;
  batch: boolean;
  step?: AccountingStep;
}

interface SacctField {
  name: string;
  /** Negative: left. */
  width: number;
  value: (line: Line, layout: SacctLayout) => string;
}

function field(name: string, width: number, value: SacctField["value"]): SacctField {
  return { name, width, value };
}

/** Says something of the job only; empty on the line of its step. */
function ofJob(name: string, width: number, value: (row: AccountingRow, layout: SacctLayout) => string): SacctField {
  return field(name, width, ({ row, batch }, layout) => (batch ? "" : value(row, layout)));
}

/** Says something of what ran; empty on the line of the job. */
function ofStep(name: string, width: number, value: (row: AccountingRow, layout: SacctLayout) => string): SacctField {
  return field(name, width, ({ row, batch }, layout) => (batch ? value(row, layout) : ""));
}

const moment = (seconds: number | undefined, layout: SacctLayout) =>
  formatMoment(seconds, "Unknown", layout.timeFormat, layout.nowSeconds);

function jobState(row: AccountingRow): string {
  return row.state === "CANCELLED" && row.cancelledBy !== undefined ? `CANCELLED by ${row.cancelledBy}` : row.state;
}

/** The script of a job that was ended from outside is a step that was cancelled. */
function stepState(row: AccountingRow): string {
  const endedFromOutside = ["CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "DEADLINE", "REQUEUED"].includes(
    row.state,
  );
  return endedFromOutside || (row.state === "FAILED" && (row.signal ?? 0) > 0) ? "CANCELLED" : row.state;
}

function stepExitCode(row: AccountingRow): string {
  if (row.state === "NODE_FAIL") return "";
  if (["CANCELLED", "TIMEOUT", "REQUEUED"].includes(row.state)) return "0:15";
  return row.state === "PREEMPTED" ? "0:9" : formatAccountedExitCode(row);
}

/** What is after the job's id in that of a line. */
const suffix = ({ batch, step }: Line) => (step !== undefined ? `.${step.id}` : batch ? ".batch" : "");

/** The line of a step: one that ran when the job ended was ended with it. */
function stepLine(row: AccountingRow, step: AccountingStep): Line {
  const { exitCode: code, endTime = row.endTime } = step;
  const signal = code !== undefined && code > 128 ? code - 128 : 0;
  return {
    batch: true,
    step,
    row: {
      ...row,
      state:
        code === undefined
          ? "CANCELLED"
          : signal === 15 || signal === 9
            ? "CANCELLED"
            : code > 0
              ? "FAILED"
              : "COMPLETED",
      exitCode: signal > 0 ? 0 : (code ?? 0),
      signal: code === undefined ? 15 : signal,
      startTime: step.startTime,
      endTime,
      elapsedSeconds: Math.max(0, (endTime ?? step.startTime) - step.startTime),
      allocatedCpus: step.cpus,
      requestedCpus: step.cpus,
      requestedNodes: step.nodes.length,
      nodes: [...step.nodes],
      peakMemoryBytes: step.peakMemoryBytes,
      cpuMilliseconds: undefined,
    },
  };
}

/** The largest of the steps' exit codes. */
function derivedExitCode({ steps = [] }: AccountingRow): string {
  const worst = Math.max(0, ...steps.map(({ exitCode = 0 }) => exitCode));
  return worst > 128 ? `0:${worst - 128}` : `${worst}:0`;
}

function usedMemory(row: AccountingRow, { units }: SacctLayout): string {
  if (row.peakMemoryBytes === undefined) return "";
  return formatMemory(Math.floor(row.peakMemoryBytes / 1024) * 1024, units);
}

function tres(row: AccountingRow, cpus: number, nodes: number): string {
  if (cpus === 0) return "";
  const parts = [`billing=${cpus}`, `cpu=${cpus}`];
  if (row.requestedGpus) parts.push(`gres/gpu=${row.requestedGpus}`);
  if (row.requestedMemoryBytes) parts.push(`mem=${formatMemory(row.requestedMemoryBytes)}`);
  return [...parts, `node=${nodes}`].join(",");
}

const cpuSeconds = (row: AccountingRow) => row.elapsedSeconds * row.allocatedCpus;
const allocated = (row: AccountingRow) => (row.startTime === undefined ? 0 : row.allocatedCpus);
const waited = (row: AccountingRow, layout: SacctLayout) =>
  Math.max(
    0,
    (row.startTime ?? row.endTime ?? layout.nowSeconds) - (row.eligibleTime ?? row.submitTime ?? layout.nowSeconds),
  );

/** The batch step has what its node gives: the first nodes give one more where it does not divide. */
function ofFirstNode(cpus: number, row: AccountingRow): number {
  return Math.ceil(cpus / Math.max(1, row.nodes.length));
}

const fields: SacctField[] = [
  field("Account", 10, ({ row }) => row.account),
  field("AllocCPUS", 10, ({ row, batch, step }) =>
    String(batch && !step ? ofFirstNode(allocated(row), row) : allocated(row)),
  ),
  field("AllocNodes", 10, ({ row, batch, step }) => String(batch && !step ? 1 : row.nodes.length)),
  ofJob("AllocTRES", 10, (row) => tres(row, allocated(row), row.nodes.length)),
  ofStep("AveCPU", 10, (row) => formatFullDuration((row.cpuMilliseconds ?? 0) / 1000)),
  ofStep("AveRSS", 10, usedMemory),
  field("Cluster", 10, ({ row }) => row.cluster ?? "berth"),
  ofJob("Comment", 14, (row) => row.comment ?? ""),
  field("CPUTime", 10, ({ row }) => formatFullDuration(cpuSeconds(row))),
  field("CPUTimeRAW", 10, ({ row }) => String(cpuSeconds(row))),
  ofJob("DerivedExitCode", 15, derivedExitCode),
  field("Elapsed", 10, ({ row }) => formatFullDuration(row.elapsedSeconds)),
  field("ElapsedRaw", 10, ({ row }) => String(row.elapsedSeconds)),
  ofJob("Eligible", 19, (row, layout) => moment(row.eligibleTime, layout)),
  field("End", 19, ({ row }, layout) => moment(row.endTime, layout)),
  field("ExitCode", 8, ({ row, batch, step }) => (batch && !step ? stepExitCode(row) : formatAccountedExitCode(row))),
  ofJob("GID", 6, (row) => String(row.gid ?? "")),
  ofJob("Group", 9, (row) => row.group ?? ""),
  field("JobID", -12, (line) => formatJobId(line.row) + suffix(line)),
  field("JobIDRaw", -12, (line) => String(line.row.jobId) + suffix(line)),
  field("JobName", 10, ({ row, batch, step }) => step?.name ?? (batch ? "batch" : row.jobName)),
  ofStep("MaxRSS", 10, usedMemory),
  ofStep("MaxRSSNode", 10, (row) => (row.peakMemoryBytes === undefined ? "" : (row.nodes[0] ?? ""))),
  ofStep("MaxRSSTask", 10, (row) => (row.peakMemoryBytes === undefined ? "" : "0")),
  ofStep("MinCPU", 10, (row) => formatFullDuration((row.cpuMilliseconds ?? 0) / 1000)),
  field("NCPUS", 10, ({ row }) => String(allocated(row))),
  field("NNodes", 8, ({ row, batch, step }) => String(batch && !step ? 1 : row.nodes.length || row.requestedNodes)),
  field("NodeList", 15, ({ row, batch, step }) =>
    batch && !step ? (row.nodes[0] ?? "") : row.nodes.length === 0 ? "None assigned" : compressHostlist(row.nodes),
  ),
  field("NTasks", 8, ({ batch, step }) => (batch ? String(step?.tasks ?? 1) : "")),
  ofJob("Partition", 10, (row) => row.partition),
  ofJob("Planned", 10, (row, layout) => formatFullDuration(waited(row, layout))),
  ofJob("Priority", 10, (row) => String(row.priority ?? 0)),
  ofJob("QOS", 10, (row) => row.qos),
  ofJob("Reason", 22, (row) => row.reason ?? "None"),
  field("ReqCPUS", 8, ({ row, batch, step }) =>
    String(batch && !step ? ofFirstNode(row.requestedCpus, row) : row.requestedCpus),
  ),
  ofJob("ReqMem", 10, (row, { units }) =>
    row.requestedMemoryBytes === undefined ? "0" : formatMemory(row.requestedMemoryBytes, units),
  ),
  field("ReqNodes", 8, ({ row, batch, step }) => String(batch && !step ? 1 : row.requestedNodes)),
  ofJob("ReqTRES", 10, (row) => tres(row, row.requestedCpus, row.requestedNodes)),
  ofJob("Reserved", 10, (row, layout) => formatFullDuration(waited(row, layout))),
  ofJob("Restarts", 8, (row) => String(Math.max(0, row.attempt - 1))),
  field("Start", 19, ({ row }, layout) => moment(row.startTime, layout)),
  field("State", 10, ({ row, batch, step }) => (step ? row.state : batch ? stepState(row) : jobState(row))),
  ofJob("StdErr", 20, (row) => row.standardError ?? row.standardOutput ?? ""),
  ofJob("StdIn", 20, (row) => row.standardInput ?? "/dev/null"),
  ofJob("StdOut", 20, (row) => row.standardOutput ?? ""),
  field("Submit", 19, ({ row }, layout) => moment(row.submitTime, layout)),
  ofJob("SubmitLine", 20, (row) => row.submitLine ?? ""),
  ofJob("Suspended", 10, (row) => formatFullDuration(row.suspendedSeconds ?? 0)),
  ofJob("Timelimit", 10, (row) => formatLimit(row.timeLimitSeconds, formatFullDuration)),
  ofJob("TimelimitRaw", 10, (row) => formatLimit(row.timeLimitSeconds, (seconds) => String(Math.ceil(seconds / 60)))),
  field("TotalCPU", 10, ({ row }) => formatCpuTime(row.cpuMilliseconds ?? 0)),
  ofJob("UID", 6, (row) => String(row.uid ?? "")),
  ofJob("User", 9, (row) => row.user),
  ofJob("WorkDir", 20, (row) => row.workingDirectory ?? ""),
];

/** What Slurm's sacct also knows, and Berth does not measure: shown empty. */
const unmeasured =
  "AdminComment AssocID AveCPUFreq AveDiskRead AveDiskWrite AvePages AveVMSize BlockID Constraints ConsumedEnergy ConsumedEnergyRaw Container DBIndex Extra FailedNode Flags Layout Licenses MaxDiskRead MaxDiskReadNode MaxDiskReadTask MaxDiskWrite MaxDiskWriteNode MaxDiskWriteTask MaxPages MaxPagesNode MaxPagesTask MaxVMSize MaxVMSizeNode MaxVMSizeTask McsLabel MinCPUNode MinCPUTask QOSRAW QOSREQ ReqCPUFreq ReqCPUFreqGov ReqCPUFreqMax ReqCPUFreqMin Reservation ReservationId ResvCPU ResvCPURAW SLUID SystemComment SystemCPU TRESUsageInAve TRESUsageInMax TRESUsageInMaxNode TRESUsageInMaxTask TRESUsageInMin TRESUsageInMinNode TRESUsageInMinTask TRESUsageInTot TRESUsageOutAve TRESUsageOutMax TRESUsageOutMaxNode TRESUsageOutMaxTask TRESUsageOutMin TRESUsageOutMinNode TRESUsageOutMinTask TRESUsageOutTot UserCPU WCKey WCKeyID".split(
    " ",
  );

const fieldByName = new Map<string, SacctField>([
  ...unmeasured.map((name): [string, SacctField] => [name.toLowerCase(), field(name, 10, () => "")]),
  ...fields.map((entry): [string, SacctField] => [entry.name.toLowerCase(), entry]),
]);

const standardFormat = "jobid,jobname,partition,account,alloccpus,state,exitcode";
const briefFormat = "jobid,state,exitcode";
const longFormat =
  "jobid,jobidraw,jobname,partition,maxvmsize,maxvmsizenode,maxvmsizetask,avevmsize,maxrss,maxrssnode,maxrsstask,averss,maxpages,maxpagesnode,maxpagestask,avepages,mincpu,mincpunode,mincputask,avecpu,ntasks,alloccpus,elapsed,state,exitcode,avecpufreq,reqcpufreqmin,reqcpufreqmax,reqcpufreqgov,reqmem,consumedenergy,maxdiskread,maxdiskreadnode,maxdiskreadtask,avediskread,maxdiskwrite,maxdiskwritenode,maxdiskwritetask,avediskwrite,reqtres,alloctres,tresusageinave,tresusageinmax,tresusageinmaxnode,tresusageinmaxtask,tresusageinmin,tresusageinminnode,tresusageinmintask,tresusageintot,tresusageoutmax,tresusageoutmaxnode,tresusageoutmaxtask,tresusageoutave,tresusageouttot";

interface SacctColumn {
  field: SacctField;
  width: number;
}

/** @throws SlurmError 1 for an unknown field */
function readFormat(format: string): SacctColumn[] {
  const columns: SacctColumn[] = [];
  for (const entry of format.split(",").filter((word) => word.trim() !== "")) {
    const match = /^\s*([A-Za-z]+)(?:%(-?\d+))?\s*$/.exec(entry);
    const name = match?.[1]?.toLowerCase();
    if (name === "all") {
      columns.push(
        ...[...fieldByName.values()]
          .toSorted((a, b) => (a.name < b.name ? -1 : 1))
          .map((known) => ({ field: known, width: known.width })),
      );
      continue;
    }
    const known = name === undefined ? undefined : fieldByName.get(name);
    if (!match || !known) throw new SlurmError(1, `error: Invalid field requested: "${entry.trim()}"`);
    columns.push({ field: known, width: match[2] === undefined ? known.width : Number(match[2]) });
  }
  return columns;
}

/** Names of all fields, for `--helpformat`: four in a line. */
export function sacctFieldNames(): string {
  const names = [...fieldByName.values()].map(({ name }) => name).toSorted();
  let text = "";
  for (let at = 0; at < names.length; at += 4) {
    text += `${names
      .slice(at, at + 4)
      .map((name) => name.padEnd(19))
      .join(" ")}\n`;
  }
  return text;
}

/**
 * sacct's output for rows that are already filtered and in order. What is too long for its column ends in `+`.
 * @throws SlurmError 1 for an unknown field
 */
export function formatSacct(rows: readonly AccountingRow[], layout: SacctLayout): string {
  const format = layout.format ?? (layout.brief ? briefFormat : layout.long ? longFormat : standardFormat);
  const columns = readFormat(format);
  const lines: Line[] = [];
  for (const row of layout.array ? rows.flatMap(expandElements) : rows) {
    lines.push({ row, batch: false });
    if (layout.allocationsOnly || row.startTime === undefined) continue;
    lines.push({ row, batch: true });
    for (const step of row.steps ?? []) lines.push(stepLine(row, step));
  }
  let text = "";
  if (layout.parsable) {
    const delimiter = layout.delimiter ?? "|";
    const end = layout.parsable === "ended" ? `${delimiter}\n` : "\n";
    if (!layout.noHeader) text += columns.map((column) => column.field.name).join(delimiter) + end;
    for (const line of lines) text += columns.map((column) => column.field.value(line, layout)).join(delimiter) + end;
    return text;
  }
  if (!layout.noHeader) {
    text += `${columns.map((column) => cell(column.field.name, column.width)).join("")}\n`;
    text += `${columns.map((column) => `${"-".repeat(Math.abs(column.width))} `).join("")}\n`;
  }
  for (const line of lines) {
    text += `${columns.map((column) => cell(column.field.value(line, layout), column.width)).join("")}\n`;
  }
  return text;
}

function expandElements(row: AccountingRow): AccountingRow[] {
  if (row.arrayTasks === undefined) return [row];
  const { arrayTasks, arrayMaxRunning: _maxRunning, ...rest } = row;
  const first = row.arrayJobId ?? row.jobId;
  return [...parseIndexList(arrayTasks)].map((task) =>
    Object.assign({}, rest, { jobId: first + task, arrayJobId: first, arrayTaskId: task }),
  );
}

function cell(text: string, width: number): string {
  const size = Math.abs(width);
  const cut = text.length > size ? `${text.slice(0, Math.max(0, size - 1))}+` : text;
  return `${width < 0 ? cut.padEnd(size) : cut.padStart(size)} `;
}
