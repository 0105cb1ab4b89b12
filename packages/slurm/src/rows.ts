/**
 * Plain rows that squeue, sinfo and sacct print. Times are whole seconds since 1970 (UTC),
 * durations whole seconds, memory bytes; an absent time is `N/A` or `Unknown`.
 */
import type { PriorityFactor, SuspensionReport } from "@berth/kinds";
import type { JobState } from "./states.ts";

/** One line of squeue: a job, an array element, or the packed rest of a pending array. */
export interface JobRow {
  /** The element's own id; of the packed rest the id of the array. */
  jobId: number;
  /** Only of arrays: id of the array, and either the element's index or the packed indices (`2-4,6`). */
  arrayJobId?: number;
  arrayTaskId?: number;
  arrayTasks?: string;
  arrayMaxRunning?: number;
  name: string;
  user: string;
  uid?: number;
  gid?: number;
  account: string;
  partition: string;
  qos: string;
  state: JobState;
  /** Slurm's word for why the job waits; `None` where it does not. */
  reason: string;
  /** Berth's sentence on the same. */
  message?: string;
  submitTime?: number;
  eligibleTime?: number;
  /** Of a pending job the expected start. */
  startTime?: number;
  endTime?: number;
  /** Seconds run so far, without those that it stood still. */
  elapsedSeconds: number;
  /** How it stands still, or did since it began. */
  suspension?: SuspensionReport;
  /** Absent: unlimited. */
  timeLimitSeconds?: number;
  minimumTimeLimitSeconds?: number;
  deadline?: number;
  /** Names of the nodes held; empty while pending. */
  nodes: string[];
  /** Of a pending job those that it is to get, where they are chosen. */
  plannedNodes?: string[];
  nodeCount: number;
  cpus: number;
  tasks?: number;
  cpusPerTask?: number;
  /** As asked; `memoryPerCpu` says of what. Absent: the queue's default. */
  memoryBytes?: number;
  memoryPerCpu?: boolean;
  /** `gres/gpu:2`, as squeue's %b prints it; absent: `N/A`. */
  tresPerNode?: string;
  /** Among those that wait in its queue, from 1. */
  position?: number;
  priority?: number;
  priorityFactors?: PriorityFactor[];
  nice: number;
  reservation?: string;
  comment?: string;
  /** `afterok:322(unfulfilled),…`; absent: `(null)`. */
  dependency?: string;
  workingDirectory?: string;
  command?: string;
  standardOutput?: string;
  standardError?: string;
  standardInput?: string;
  features?: string;
  exclusive?: boolean;
  requiredNodes?: string[];
  excludedNodes?: string[];
  exitCode?: number;
  signal?: number;
  restarts: number;
  requeue: boolean;
  submitHost?: string;
  /** Namespace and name of the Workload behind the row. */
  namespace: string;
  workload: string;
}

/** sinfo's words for the state of a node; `*`, `@` and the like are not made. */
export type NodeState =
  | "idle"
  | "allocated"
  | "mixed"
  | "completing"
  | "planned"
  | "draining"
  | "drained"
  | "down"
  | "reserved"
  | "maint"
  | "unknown";

export interface NodeRow {
  name: string;
  hostName?: string;
  state: NodeState;
  /** False: `*` behind the state (Slurm's "not responding"). */
  responding: boolean;
  cpus: number;
  cpusAllocated: number;
  memoryBytes: number;
  memoryAllocatedBytes: number;
  freeMemoryBytes?: number;
  temporaryDiskBytes?: number;
  weight?: number;
  features: string[];
  /** `gpu:2`; absent: `(null)`. */
  gres?: string;
  gresUsed?: string;
  /** Why it is down or drained, who said so, since when. */
  reason?: string;
  reasonUser?: string;
  reasonTime?: number;
  version?: string;
}

export interface PartitionRow {
  name: string;
  default: boolean;
  available: "up" | "down" | "drain" | "inact";
  /** Longest wall time; absent: `infinite`. */
  timeLimitSeconds?: number;
  defaultTimeSeconds?: number;
  maxNodesPerJob?: number;
  /** Groups that may use it; absent: `all`. */
  groups?: string[];
  priorityTier?: number;
  /** Names of its nodes. */
  nodes: string[];
}

/** One ended (or, for the living, current) attempt as sacct prints it. */
export interface AccountingRow {
  jobId: number;
  arrayJobId?: number;
  arrayTaskId?: number;
  /** Packed indices of the rest of an array that has not been split (`2-3,6`). */
  arrayTasks?: string;
  arrayMaxRunning?: number;
  /** From 1; rows of one job with a later attempt are its earlier ones, shown by --duplicates only. */
  attempt: number;
  jobName: string;
  user: string;
  uid?: number;
  group?: string;
  gid?: number;
  account: string;
  partition: string;
  qos: string;
  state: JobState;
  /** Uid of who cancelled it (`CANCELLED by 1001`), or the name where no uid is known. */
  cancelledBy?: number | string;
  exitCode?: number;
  signal?: number;
  submitTime?: number;
  eligibleTime?: number;
  startTime?: number;
  endTime?: number;
  /** Without those that it stood still. */
  elapsedSeconds: number;
  suspendedSeconds?: number;
  timeLimitSeconds?: number;
  allocatedCpus: number;
  requestedCpus: number;
  requestedNodes: number;
  nodes: string[];
  /** Whole memory asked for, and the most that was used. */
  requestedMemoryBytes?: number;
  peakMemoryBytes?: number;
  cpuMilliseconds?: number;
  /** What its script started by srun, in the order of their starts. */
  steps?: readonly AccountingStep[];
  requestedGpus?: number;
  priority?: number;
  /** Slurm's word for the last reason to wait. */
  reason?: string;
  workingDirectory?: string;
  submitLine?: string;
  comment?: string;
  cluster?: string;
  standardOutput?: string;
  standardError?: string;
  standardInput?: string;
}

/** One step of an attempt. */
export interface AccountingStep {
  id: number;
  name: string;
  tasks: number;
  cpus: number;
  nodes: readonly string[];
  /** Seconds since 1970. */
  startTime: number;
  /** Absent: it ran when the job ended. */
  endTime?: number;
  /** 128 + n where signal n ended it. */
  exitCode?: number;
  peakMemoryBytes?: number;
}
