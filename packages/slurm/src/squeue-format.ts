/** squeue's table. */
import { type Column, type Field, formatTable, type Layout, parseCodes, parseNames } from "./columns.ts";
import { formatDuration, formatLimit } from "./durations.ts";
import { compressHostlist } from "./hostlist.ts";
import { formatJobId, plainTasks } from "./job-ids.ts";
import { formatMemory } from "./memory.ts";
import { formatDateLine, formatMoment } from "./moments.ts";
import type { JobRow } from "./rows.ts";
import { formatExitCode, shortStates } from "./states.ts";

export interface SqueueLayout {
  /** As given by -o (codes), or by -O (names). */
  format?: string;
  names?: string;
  long?: boolean;
  start?: boolean;
  steps?: boolean;
  noHeader?: boolean;
  /** Value of SLURM_TIME_FORMAT. */
  timeFormat?: string;
  nowSeconds: number;
}

const formats = {
  standard: "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R",
  long: "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R",
  start: "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R",
};

/** `(Resources)` of what waits, the nodes of what runs. */
function nodesOrReason(row: JobRow): string {
  return row.state === "PENDING" || row.nodes.length === 0 ? `(${row.reason})` : compressHostlist(row.nodes);
}

const none = "(null)";

function arrayTasks({ arrayTasks, arrayTaskId, arrayMaxRunning }: JobRow): string {
  if (arrayTasks === undefined) return String(arrayTaskId ?? "N/A");
  return `${plainTasks(arrayTasks)}${arrayMaxRunning === undefined ? "" : `%${arrayMaxRunning}`}`;
}

type Fields = Record<string, Field<JobRow>>;

function jobFields(layout: SqueueLayout): { codes: Fields; names: Fields } {
  const moment = (seconds: number | undefined) => formatMoment(seconds, "N/A", layout.timeFormat, layout.nowSeconds);
  const field = (header: string, value: (row: JobRow) => string): Field<JobRow> => ({ header, value });
  const memory = (row: JobRow) => (row.memoryBytes === undefined ? "0" : formatMemory(row.memoryBytes));
  const left = (row: JobRow) => {
    if (row.timeLimitSeconds === undefined) return "UNLIMITED";
    return formatLimit(row.timeLimitSeconds, (seconds) => formatDuration(seconds - row.elapsedSeconds));
  };
  const tres = (row: JobRow) => {
    const whole = (row.memoryBytes ?? 0) * (row.memoryPerCpu ? row.cpus : row.nodeCount);
    const gres = row.tresPerNode ? `,${row.tresPerNode}` : "";
    return `cpu=${row.cpus}${whole > 0 ? `,mem=${formatMemory(whole)}` : ""},node=${row.nodeCount},billing=${row.cpus}${gres.replace(/:(\d+)$/, "=$1")}`;
  };
  const all = {
    account: field("ACCOUNT", (row) => row.account),
    arrayJobId: field("ARRAY_JOB_ID", (row) => String(row.arrayJobId ?? row.jobId)),
    arrayTaskId: field("ARRAY_TASK_ID", arrayTasks),
    command: field("COMMAND", (row) => row.command ?? none),
    comment: field("COMMENT", (row) => row.comment ?? none),
    cpus: field("CPUS", (row) => String(row.cpus)),
    deadline: field("DEADLINE", (row) => moment(row.deadline)),
    dependency: field("DEPENDENCY", (row) => row.dependency ?? none),
    eligible: field("ELIGIBLE_TIME", (row) => moment(row.eligibleTime)),
    endTime: field("END_TIME", (row) => moment(row.endTime)),
    excluded: field("EXC_NODES", (row) => compressHostlist(row.excludedNodes ?? [])),
    execHost: field("EXEC_HOST", (row) => row.nodes[0] ?? "n/a"),
    exitCode: field("EXIT_CODE", (row) => formatExitCode(row)),
    features: field("FEATURES", (row) => row.features ?? none),
    group: field("GROUP", (row) => String(row.gid ?? "")),
    jobId: field("JOBID", formatJobId),
    jobIdRaw: field("JOBID", (row) => String(row.jobId)),
    licenses: field("LICENSES", () => none),
    memory: field("MIN_MEMORY", memory),
    minCpus: field("MIN_CPUS", (row) => String(row.cpusPerTask ?? 1)),
    minTmp: field("MIN_TMP_DISK", () => "0"),
    name: field("NAME", (row) => row.name),
    nice: field("NICE", (row) => String(row.nice)),
    nodeList: field("NODELIST", (row) => compressHostlist(row.nodes)),
    nodes: field("NODES", (row) => String(row.nodeCount)),
    nodesOrReason: field("NODELIST(REASON)", nodesOrReason),
    overSubscribe: field("OVER_SUBSCRIBE", (row) => (row.exclusive ? "NO" : "OK")),
    partition: field("PARTITION", (row) => row.partition),
    priority: field("PRIORITY", (row) => String(Math.trunc(row.priority ?? 0))),
    qos: field("QOS", (row) => row.qos),
    reason: field("REASON", (row) => row.reason),
    requeue: field("REQUEUE", (row) => (row.requeue ? "1" : "0")),
    required: field("REQ_NODES", (row) => compressHostlist(row.requiredNodes ?? [])),
    reservation: field("RESERVATION", (row) => row.reservation ?? none),
    restarts: field("RESTART_COUNT", (row) => String(row.restarts)),
    scheduledNodes: field("SCHEDNODES", (row) => (row.plannedNodes ? compressHostlist(row.plannedNodes) : none)),
    startTime: field("START_TIME", (row) => moment(row.startTime)),
    state: field("STATE", (row) => row.state),
    stateShort: field("ST", (row) => shortStates[row.state]),
    stdErr: field("STDERR", (row) => row.standardError ?? row.standardOutput ?? none),
    stdIn: field("STDIN", (row) => row.standardInput ?? "/dev/null"),
    stdOut: field("STDOUT", (row) => row.standardOutput ?? none),
    submitTime: field("SUBMIT_TIME", (row) => moment(row.submitTime)),
    tasks: field("TASKS", (row) => String(row.tasks ?? row.nodeCount)),
    time: field("TIME", (row) => formatDuration(row.elapsedSeconds)),
    timeLeft: field("TIME_LEFT", left),
    timeLimit: field("TIME_LIMIT", (row) => formatLimit(row.timeLimitSeconds)),
    timeMinimum: field("MIN_TIME", (row) => formatLimit(row.minimumTimeLimitSeconds, formatDuration, "N/A")),
    tresAllocated: field("TRES_ALLOC", tres),
    tresPerNode: field("TRES_PER_NODE", (row) => row.tresPerNode ?? "N/A"),
    uid: field("UID", (row) => String(row.uid ?? "")),
    user: field("USER", (row) => row.user),
    wckey: field("WCKEY", () => none),
    workDir: field("WORK_DIR", (row) => row.workingDirectory ?? none),
    notKnown: field("S:C:T", () => "*:*:*"),
  };
  const codes: Fields = {
    a: all.account,
    A: all.jobIdRaw,
    b: all.tresPerNode,
    B: all.execHost,
    c: all.minCpus,
    C: all.cpus,
    d: all.minTmp,
    D: all.nodes,
    e: all.endTime,
    E: all.dependency,
    f: all.features,
    F: all.arrayJobId,
    g: all.group,
    G: all.group,
    h: all.overSubscribe,
    i: all.jobId,
    j: all.name,
    k: all.comment,
    K: all.arrayTaskId,
    l: all.timeLimit,
    L: all.timeLeft,
    m: all.memory,
    M: all.time,
    n: all.required,
    N: all.nodeList,
    o: all.command,
    p: all.priority,
    P: all.partition,
    q: all.qos,
    Q: all.priority,
    r: all.reason,
    R: all.nodesOrReason,
    S: all.startTime,
    t: all.stateShort,
    T: all.state,
    u: all.user,
    U: all.uid,
    v: all.reservation,
    V: all.submitTime,
    w: all.wckey,
    W: all.licenses,
    x: all.excluded,
    y: all.nice,
    Y: all.scheduledNodes,
    z: all.notKnown,
    Z: all.workDir,
  };
  const names: Fields = {
    account: all.account,
    arrayjobid: all.arrayJobId,
    arraytaskid: all.arrayTaskId,
    batchhost: all.execHost,
    command: all.command,
    comment: all.comment,
    deadline: all.deadline,
    dependency: all.dependency,
    eligibletime: all.eligible,
    endtime: all.endTime,
    exit_code: all.exitCode,
    feature: all.features,
    groupid: all.group,
    jobarrayid: all.jobId,
    jobid: all.jobIdRaw,
    licenses: all.licenses,
    mincpus: all.minCpus,
    minmemory: all.memory,
    mintime: all.timeMinimum,
    name: all.name,
    nice: all.nice,
    nodelist: all.nodeList,
    numcpus: all.cpus,
    numnodes: all.nodes,
    numtasks: all.tasks,
    oversubscribe: all.overSubscribe,
    partition: all.partition,
    priority: all.priority,
    prioritylong: all.priority,
    qos: all.qos,
    reason: all.reason,
    reasonlist: all.nodesOrReason,
    reqnodes: all.required,
    requeue: all.requeue,
    reservation: all.reservation,
    restartcnt: all.restarts,
    schednodes: all.scheduledNodes,
    starttime: all.startTime,
    state: all.state,
    statecompact: all.stateShort,
    stderr: all.stdErr,
    stdin: all.stdIn,
    stdout: all.stdOut,
    submittime: all.submitTime,
    timeleft: all.timeLeft,
    timelimit: all.timeLimit,
    timeused: all.time,
    "tres-alloc": all.tresAllocated,
    "tres-per-node": all.tresPerNode,
    gres: all.tresPerNode,
    userid: all.uid,
    username: all.user,
    wckey: all.wckey,
    workdir: all.workDir,
  };
  return { codes, names };
}

/**
 * squeue's output for rows that are already filtered and in order.
 * @throws SlurmError 1 for codes or names that squeue does not know
 */
export function formatSqueue(rows: readonly JobRow[], layout: SqueueLayout): string {
  if (layout.steps) return formatSteps(rows, !layout.noHeader);
  const { codes, names } = jobFields(layout);
  let columns: Layout<JobRow>;
  if (layout.names !== undefined) columns = parseNames(layout.names, names, "job");
  else {
    const standard = layout.start ? formats.start : layout.long ? formats.long : formats.standard;
    columns = parseCodes(layout.format ?? standard, codes, "job");
  }
  const dateLine = layout.long && !layout.noHeader ? `${formatDateLine(layout.nowSeconds)}\n` : "";
  return dateLine + formatTable(columns, rows, !layout.noHeader);
}

/** One line a batch step: what of each running job its script is. */
function formatSteps(rows: readonly JobRow[], heading: boolean): string {
  const column = (header: string, width: number, value: (row: JobRow) => string): Column<JobRow> => ({
    field: { header, value },
    width,
    right: true,
    before: header === "STEPID" ? "" : " ",
  });
  const columns = [
    column("STEPID", 15, (row) => `${formatJobId(row)}.batch`),
    column("NAME", 8, () => "batch"),
    column("PARTITION", 9, (row) => row.partition),
    column("USER", 8, (row) => row.user),
    column("TIME", 9, (row) => formatDuration(row.elapsedSeconds)),
    column("NODELIST", 0, (row) => row.nodes[0] ?? ""),
  ];
  const running = rows.filter((row) => row.nodes.length > 0 && row.state !== "PENDING");
  return formatTable({ columns, after: "" }, running, heading);
}
