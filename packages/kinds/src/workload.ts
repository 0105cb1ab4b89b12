import type { Condition, KubernetesObject } from "@berth/machinery";
import type { PodTemplate } from "./pod.ts";

/** One set of equal pods. The end of all Driver pods (one, as a rule) is the job's end; a Worker's death is not the job's. */
export interface PodSet {
  name: string;
  role: "Driver" | "Worker";
  count: number;
  /** The gang may start with this many (elastic jobs); absent: all. */
  minCount?: number;
  template: PodTemplate;
}

/** Slurm's dependency types, in Kubernetes' spelling. */
export const dependencyTypes = [
  "After",
  "AfterAny",
  "AfterOk",
  "AfterNotOk",
  "AfterCorr",
  "AfterBurstBuffer",
  "Singleton",
] as const;
export type DependencyType = (typeof dependencyTypes)[number];

export interface Dependency {
  type: DependencyType;
  /** Job id (of an array: the id of the array); absent with Singleton. */
  job?: number;
  /** One element of the array `job`; absent: all of it. */
  task?: number;
  /** Only with After: seconds after the other's start (Slurm's `+minutes`). */
  delaySeconds?: number;
}

export interface WorkloadPlacement {
  policy?: "Pack" | "Spread";
  /** Whole nodes: nothing else runs there. */
  exclusive?: boolean;
  /** `Numa`: each pod in one NUMA domain, with cores of its own, its memory and its devices. */
  topology?: "None" | "Numa";
  /** Label of a level of the Site's topology: all pods of the job in one domain of it, or in as few as can be had. */
  requiredTopology?: string;
  preferredTopology?: string;
  /** Slurm's --nodelist and --exclude: names of nodes. */
  nodes?: string[];
  excludedNodes?: string[];
  /** How many pods of the job may share a node (Slurm's --ntasks-per-node with one pod a node is 1). */
  podsPerNode?: number;
}

/** What a front end (sbatch) remembers of the submission: paths and patterns, for display and for the job's environment. */
export interface Submission {
  /** `sbatch`, `berth run`, … */
  frontend?: string;
  /** Path of the script as the user gave it; absent for --wrap and standard input. */
  command?: string;
  arguments?: string[];
  workingDirectory?: string;
  /** File name patterns, unexpanded (`slurm-%j.out`), absolute or relative to the working directory. */
  standardOutput?: string;
  standardError?: string;
  standardInput?: string;
  openMode?: "Append" | "Truncate";
  host?: string;
  /** Numbers as asked, absent when not asked: Slurm sets variables only then. */
  tasks?: number;
  tasksPerNode?: number;
  cpusPerTask?: number;
  nodes?: number;
  memoryPerNodeBytes?: number;
  memoryPerCpuBytes?: number;
  comment?: string;
  mailUser?: string;
  mailType?: string[];
  /** Name of the immutable Secret that holds script, arguments and environment. */
  secretName?: string;
}

export interface WorkloadSpec {
  type: "Batch" | "Service";
  jobName?: string;
  /** Must be who asks. */
  user?: string;
  queue?: string;
  account?: string;
  qos?: string;
  reservation?: string;
  /** A promise to the scheduler and a limit; absent: the queue's default. */
  wallTimeSeconds?: number;
  /** May be shrunk to this to start earlier (Slurm's --time-min). */
  minWallTimeSeconds?: number;
  /** Between TERM and KILL; default 30. */
  graceSeconds?: number;
  podSets: PodSet[];
  array?: { indices: string; maxRunning?: number };
  /** `any: false` all must hold (Slurm's `,`), `any: true` one is enough (`?`). */
  dependencies?: { any?: boolean; of: Dependency[]; cancelOnInvalid?: boolean };
  placement?: WorkloadPlacement;
  /** Of the Site's licences, for the whole job (of an array each task) while it runs (Slurm's --licenses). */
  licences?: Record<string, number>;
  /** `limit`: how often it is begun again after the loss of a node (default 5); making room for others is not counted. */
  requeue?: { onNodeFailure?: boolean; onPreemption?: boolean; limit?: number };
  /** RFC 3339: not before, and cancelled if it cannot end before. */
  beginTime?: string;
  deadline?: string;
  /** Subtracted from the priority; larger waits longer. */
  nice?: number;
  /** `User` may be released by the owner, `Admin` only by an operator. */
  hold?: "User" | "Admin";
  submission?: Submission;
}

export const pendingPhases = ["Pending"] as const;
export const activePhases = ["Starting", "Running", "Suspended", "Completing"] as const;
export const finalPhases = [
  "Succeeded",
  "Failed",
  "TimedOut",
  "OutOfMemory",
  "NodeFailed",
  "Preempted",
  "Cancelled",
  "DeadlineExceeded",
] as const;
export type FinalPhase = (typeof finalPhases)[number];
export type WorkloadPhase = (typeof pendingPhases)[number] | (typeof activePhases)[number] | FinalPhase;

/**
 * Why a pending job waits: exactly one, from this closed list. The words of Slurm stand beside each in
 * `slurm`'s table of reasons.
 */
export const pendingReasons = [
  "None",
  "Resources",
  "Priority",
  "Dependency",
  "DependencyNeverSatisfied",
  "BeginTime",
  "HeldByUser",
  "HeldByAdmin",
  "ArrayTaskLimit",
  "QueueDown",
  "QueueTimeLimit",
  "QueueNodeLimit",
  "NodeUnavailable",
  "NodesUnavailable",
  "Reservation",
  "ReservationDeleted",
  "ReservationNotAllowed",
  "ReservationTimeLimit",
  "ReservedForMaintenance",
  "ReservedForOthers",
  "Licenses",
  "PodAffinity",
  "UserJobLimit",
  "QueueJobLimit",
  "QueueResourceLimit",
  "QueueMinutesLimit",
  "QueueUserJobLimit",
  "QueueUserResourceLimit",
  "AccountJobLimit",
  "AccountResourceLimit",
  "AccountMinutesLimit",
  "AccountUserJobLimit",
  "AccountUserResourceLimit",
  "AccountUserMinutesLimit",
  "QosJobLimit",
  "QosResourceLimit",
  "QosMinutesLimit",
  "QosUserJobLimit",
  "QosUserResourceLimit",
  "PerJobLimit",
  "Claims",
  "Cleaning",
  "LaunchFailedRequeuedHeld",
  "InvalidTemplate",
] as const;
export type PendingReason = (typeof pendingReasons)[number];

/** States of array tasks as index lists in the form of `array.indices` (`0-4,7`); an empty string is none. */
export interface ArrayStatus {
  /** How many elements there are. */
  tasks?: number;
  pending: string;
  /** Those of `pending` that are with a pod which carries several tasks in turn: they may have begun since. */
  leased?: string;
  running: string;
  succeeded: string;
  failed: string;
  timedOut?: string;
  outOfMemory?: string;
  nodeFailed?: string;
  cancelled?: string;
  /** Attempts that ended and were begun again, only of tasks that had such: `{"17": 2}`; the current one is the third. */
  attempts?: Record<string, number>;
  /** Of these, how many the loss of a node ended: what `requeue.limit` counts. */
  nodeFailures?: Record<string, number>;
}

export interface WorkloadStatus {
  /** Of an array the first of `tasks` ids: element k has id jobId + k. Assigned once at admission, never reused. */
  jobId?: number;
  phase?: WorkloadPhase;
  conditions?: Condition[];
  identity?: { user: string; uid: number; gid: number; groups: number[]; home?: string; shell?: string };
  /** Resolved at admission from spec, queue and account defaults. */
  queue?: string;
  account?: string;
  qos?: string;
  wallTimeSeconds?: number;
  reason?: PendingReason;
  message?: string;
  estimatedStart?: string;
  /** First estimate ever given, kept to measure how honest estimates are. */
  firstEstimatedStart?: string;
  /** Seconds waited so far by reason, up to `since`; the time after it belongs to `reason`. */
  waits?: { since: string; seconds: Partial<Record<PendingReason, number>> };
  submitTime?: string;
  eligibleTime?: string;
  startTime?: string;
  endTime?: string;
  /** For how long its current or last attempt stood still, up to `suspendedSince` where it does so now (not for arrays). */
  suspendedSeconds?: number;
  suspendedSince?: string;
  /** Exit code and signal of the driver; of an array the largest. */
  exitCode?: number;
  signal?: number;
  /** Names of the nodes of the current or last attempt, in the order of the pods. */
  nodes?: string[];
  /** Attempts begun so far (not for arrays: see array.attempts). */
  attempts?: number;
  /** Attempts that ended and were begun again: Slurm's Restarts. */
  restarts?: number;
  /** Of these, how many followed the loss of a node: what `requeue.limit` counts (of arrays: array.nodeFailures). */
  nodeFailures?: number;
  /** Name of the user who had it ended. */
  cancelledBy?: string;
  array?: ArrayStatus;
  observedGeneration?: number;
}

export type Workload = KubernetesObject<WorkloadSpec, WorkloadStatus> & { spec: WorkloadSpec };
