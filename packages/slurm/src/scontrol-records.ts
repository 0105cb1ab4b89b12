/** What `scontrol show` prints: records of `Name=value` words, on several lines or on one. */
import { formatFullDuration, formatLimit } from "./durations.ts";
import { compressHostlist } from "./hostlist.ts";
import { formatMemory } from "./memory.ts";
import { plainTasks } from "./job-ids.ts";
import { formatMoment } from "./moments.ts";
import type { JobRow, NodeRow, PartitionRow } from "./rows.ts";
import { formatExitCode } from "./states.ts";

/** What a row of squeue does not tell of a job, and its Workload does. */
export interface JobFacts {
  group?: string;
  licences?: Record<string, number>;
  mailUser?: string;
  mailTypes?: readonly string[];
  cancelOnInvalid?: boolean;
  tasksPerNode?: number;
  spread?: boolean;
}

const none = "(null)";
const yes = (isSo: boolean): string => (isSo ? "YES" : "NO");
const record = (lines: readonly string[], onOneLine: boolean): string =>
  onOneLine ? `${lines.join(" ")}\n` : `${lines.join("\n   ")}\n\n`;
const hosts = (names: readonly string[] | undefined): string =>
  names === undefined || names.length === 0 ? none : compressHostlist(names);

/** `foo:2,bar`, as they were asked for; absent: `(null)`. */
export function formatLicences(licences: Record<string, number> | undefined): string {
  const words = Object.entries(licences ?? {}).map(([name, count]) => (count === 1 ? name : `${name}:${count}`));
  return words.length === 0 ? none : words.join(",");
}

/** `cpu=4,mem=800M,node=2,billing=4,gres/gpu=2`. */
function formatTres(row: Pick<JobRow, "cpus" | "nodeCount" | "memoryBytes" | "memoryPerCpu" | "tresPerNode">): string {
  const memory = (row.memoryBytes ?? 0) * (row.memoryPerCpu ? row.cpus : row.nodeCount);
  const gres = row.tresPerNode === undefined ? "" : `,${row.tresPerNode.replace(/:(\d+)$/, "=$1")}`;
  return `cpu=${row.cpus}${memory > 0 ? `,mem=${formatMemory(memory)}` : ""},node=${row.nodeCount},billing=${row.cpus}${gres}`;
}

/** `scontrol show job` of one row. */
export function jobRecord(row: JobRow, facts: JobFacts, nowSeconds: number, onOneLine = false): string {
  const time = (seconds: number | undefined, absent = "Unknown"): string =>
    formatMoment(seconds, absent, undefined, nowSeconds);
  const isPending = row.state === "PENDING";
  const tasks = row.tasks ?? (facts.tasksPerNode === undefined ? row.nodeCount : facts.tasksPerNode * row.nodeCount);
  const cpusPerTask = row.cpusPerTask ?? 1;
  const throttle = row.arrayMaxRunning === undefined ? "" : ` ArrayTaskThrottle=${row.arrayMaxRunning}`;
  const array =
    row.arrayJobId === undefined
      ? ""
      : ` ArrayJobId=${row.arrayJobId} ArrayTaskId=${
          row.arrayTasks === undefined
            ? row.arrayTaskId
            : `${plainTasks(row.arrayTasks)}${row.arrayMaxRunning === undefined ? "" : `%${row.arrayMaxRunning}`}`
        }${throttle}`;
  const memory = row.memoryBytes === undefined ? "0" : formatMemory(row.memoryBytes);
  const suspended = row.suspension?.isSuspended === true ? time(Date.parse(row.suspension.since) / 1000) : "None";
  const lines = [
    `JobId=${row.jobId}${array} JobName=${row.name}`,
    `UserId=${row.user}(${row.uid ?? ""}) GroupId=${facts.group ?? row.gid ?? ""}(${row.gid ?? ""}) MCS_label=N/A`,
    `Priority=${isPending && row.reason.startsWith("JobHeld") ? 0 : Math.trunc(row.priority ?? 0)} Nice=${row.nice} Account=${row.account} QOS=${row.qos}`,
    `JobState=${row.state} Reason=${row.reason.replaceAll(" ", "_")} Dependency=${row.dependency ?? none}`,
    `Requeue=${row.requeue ? 1 : 0} Restarts=${row.restarts} BatchFlag=1 Reboot=0 ExitCode=${formatExitCode(row)}`,
    `RunTime=${formatFullDuration(row.elapsedSeconds)} TimeLimit=${formatLimit(row.timeLimitSeconds, formatFullDuration)} TimeMin=${formatLimit(row.minimumTimeLimitSeconds, formatFullDuration, "N/A")}`,
    `SubmitTime=${time(row.submitTime)} EligibleTime=${time(row.eligibleTime)}`,
    `AccrueTime=${time(row.eligibleTime)}`,
    `StartTime=${time(row.startTime)} EndTime=${time(row.endTime)} Deadline=${time(row.deadline, "N/A")}`,
    `SuspendTime=${suspended} SecsPreSuspend=0 LastSchedEval=${time(nowSeconds)} Scheduler=Backfill`,
    `Partition=${row.partition} AllocNode:Sid=${row.submitHost ?? "localhost"}:0`,
    `ReqNodeList=${hosts(row.requiredNodes)} ExcNodeList=${hosts(row.excludedNodes)}`,
    isPending && row.plannedNodes !== undefined
      ? `NodeList= SchedNodeList=${compressHostlist(row.plannedNodes)}`
      : `NodeList=${compressHostlist(row.nodes)}`,
    ...(row.nodes.length === 0 ? [] : [`BatchHost=${row.nodes[0]}`]),
    `NumNodes=${isPending && row.nodeCount > 1 ? `${row.nodeCount}-${row.nodeCount}` : row.nodeCount} NumCPUs=${row.cpus} NumTasks=${tasks} CPUs/Task=${cpusPerTask} ReqB:S:C:T=0:0:*:*`,
    `TRES=${formatTres(row)}`,
    `Socks/Node=* NtasksPerN:B:S:C=${facts.tasksPerNode ?? 0}:0:*:* CoreSpec=*`,
    `MinCPUsNode=${cpusPerTask * (facts.tasksPerNode ?? 1)} ${row.memoryPerCpu ? "MinMemoryCPU" : "MinMemoryNode"}=${memory} MinTmpDiskNode=0`,
    `Features=${row.features ?? none} DelayBoot=00:00:00`,
    ...(row.reservation === undefined ? [] : [`Reservation=${row.reservation}`]),
    `OverSubscribe=${row.exclusive ? "NO" : "OK"} Contiguous=0 Licenses=${formatLicences(facts.licences)} Network=(null)`,
    `Command=${row.command ?? none}`,
    `WorkDir=${row.workingDirectory ?? none}`,
    ...(row.comment === undefined ? [] : [`Comment=${row.comment} `]),
    `StdErr=${row.standardError ?? row.standardOutput ?? none}`,
    `StdIn=${row.standardInput ?? "/dev/null"}`,
    `StdOut=${row.standardOutput ?? none}`,
    `Power=`,
    ...(row.tresPerNode === undefined ? [] : [`TresPerNode=${row.tresPerNode.replace("/", ":")}`]),
    ...(facts.cancelOnInvalid === true ? ["KillOInInvalidDependent=Yes"] : []),
    ...(facts.mailTypes === undefined || facts.mailTypes.length === 0
      ? []
      : [`MailUser=${facts.mailUser ?? row.user} MailType=${facts.mailTypes.join(",")}`]),
  ];
  return record(lines, onOneLine);
}

/** `scontrol show partition`. `nodes`: those of the partition. */
export function partitionRecord(row: PartitionRow, nodes: readonly NodeRow[], onOneLine = false): string {
  const cpus = nodes.reduce((sum, node) => sum + node.cpus, 0);
  const memory = nodes.reduce((sum, node) => sum + node.memoryBytes, 0);
  const groups = row.groups === undefined || row.groups.length === 0 ? "ALL" : row.groups.join(",");
  return record(
    [
      `PartitionName=${row.name}`,
      `AllowGroups=${groups} AllowAccounts=ALL AllowQos=ALL`,
      `AllocNodes=ALL Default=${yes(row.default)} QoS=N/A`,
      `DefaultTime=${formatLimit(row.defaultTimeSeconds, formatFullDuration, "NONE")} DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO`,
      `MaxNodes=${row.maxNodesPerJob ?? "UNLIMITED"} MaxTime=${formatLimit(row.timeLimitSeconds, formatFullDuration)} MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED`,
      `Nodes=${hosts(row.nodes)}`,
      `PriorityJobFactor=1 PriorityTier=${row.priorityTier ?? 1} RootOnly=NO ReqResv=NO OverSubscribe=NO`,
      `OverTimeLimit=NONE PreemptMode=OFF`,
      `State=${{ up: "UP", down: "DOWN", drain: "DRAIN", inact: "INACTIVE" }[row.available]} TotalCPUs=${cpus} TotalNodes=${nodes.length} SelectTypeParameters=NONE`,
      `JobDefaults=(null)`,
      `DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED`,
      `TRES=cpu=${cpus},mem=${formatMemory(memory)},node=${nodes.length},billing=${cpus}`,
    ],
    onOneLine,
  );
}

const nodeStates: Partial<Record<NodeRow["state"], string>> = {
  drained: "IDLE+DRAIN",
  draining: "MIXED+DRAIN",
  planned: "IDLE+PLANNED",
  reserved: "IDLE+RESERVED",
  maint: "IDLE+MAINTENANCE",
};

/** `scontrol show node`. `partitions`: names of those that it is in. */
export function nodeRecord(row: NodeRow, partitions: readonly string[], onOneLine = false): string {
  const features = row.features.length === 0 ? none : row.features.join(",");
  const state = nodeStates[row.state] ?? row.state.toUpperCase();
  const mebibytes = (bytes: number | undefined): number => Math.floor((bytes ?? 0) / 2 ** 20);
  const used = row.cpusAllocated > 0 || row.memoryAllocatedBytes > 0;
  const lines = [
    `NodeName=${row.name} Arch=x86_64 CoresPerSocket=${row.cpus} `,
    `CPUAlloc=${row.cpusAllocated} CPUEfctv=${row.cpus} CPUTot=${row.cpus} CPULoad=N/A`,
    `AvailableFeatures=${features}`,
    `ActiveFeatures=${features}`,
    `Gres=${row.gres ?? none}`,
    `NodeAddr=${row.hostName ?? row.name} NodeHostName=${row.hostName ?? row.name} Version=${row.version ?? "N/A"}`,
    `RealMemory=${mebibytes(row.memoryBytes)} AllocMem=${mebibytes(row.memoryAllocatedBytes)} FreeMem=${mebibytes(row.freeMemoryBytes)} Sockets=1 Boards=1`,
    `State=${state}${row.responding ? "" : "*"} ThreadsPerCore=1 TmpDisk=0 Weight=${row.weight ?? 1} Owner=N/A MCS_label=N/A`,
    `Partitions=${partitions.join(",")} `,
    `CfgTRES=cpu=${row.cpus},mem=${mebibytes(row.memoryBytes)}M,billing=${row.cpus}`,
    `AllocTRES=${used ? `cpu=${row.cpusAllocated}${row.memoryAllocatedBytes > 0 ? `,mem=${mebibytes(row.memoryAllocatedBytes)}M` : ""}` : ""}`,
    ...(row.reason === undefined
      ? []
      : [`Reason=${row.reason} [${row.reasonUser ?? "root"}@${formatMoment(row.reasonTime, "Unknown")}]`]),
  ];
  return record(lines, onOneLine);
}

export interface ReservationRow {
  name: string;
  startTime?: number;
  endTime?: number;
  durationSeconds: number;
  nodes: readonly string[];
  users: readonly string[];
  accounts: readonly string[];
  flags: readonly string[];
  active: boolean;
}

/** `scontrol show reservation`. */
export function reservationRecord(row: ReservationRow, cpus: number, onOneLine = false): string {
  const list = (names: readonly string[]): string => (names.length === 0 ? none : names.join(","));
  return record(
    [
      `ReservationName=${row.name} StartTime=${formatMoment(row.startTime, "Unknown")} EndTime=${formatMoment(row.endTime, "Unknown")} Duration=${formatFullDuration(row.durationSeconds)}`,
      `Nodes=${hosts(row.nodes)} NodeCnt=${row.nodes.length} CoreCnt=${cpus} Features=(null) PartitionName=(null) Flags=${row.flags.join(",")}`,
      `TRES=cpu=${cpus}`,
      `Users=${list(row.users)} Groups=(null) Accounts=${list(row.accounts)} Licenses=(null) State=${row.active ? "ACTIVE" : "INACTIVE"} BurstBuffer=(null) Watts=n/a`,
      `MaxStartDelay=(null)`,
    ],
    onOneLine,
  );
}
