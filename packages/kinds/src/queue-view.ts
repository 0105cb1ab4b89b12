/**
 * QueueView: the jobs of all queues, running ones first, then those that wait in their order; one object a job, of an array one for
 * each element that runs and one for the rest that waits. Answered from the leader's memory, never stored. What others may know of
 * a job is the Site's `privacy`.
 */
import type { KubernetesObject } from "@berth/machinery";
import type { KindDefinition } from "./definition.ts";
import { boolean, integer, list, mapOf, name, object, oneOf, text, time } from "./schema.ts";
import { activePhases, pendingPhases, pendingReasons, type PendingReason, type WorkloadPhase } from "./workload.ts";

const whole = integer(0, Number.MAX_SAFE_INTEGER);
const livePhases = [...pendingPhases, ...activePhases] as const;

export interface QueueViewSpec {
  queue: string;
  /** Absent on the row that only counts what is withheld. */
  jobId?: number;
  /** Only of arrays: the array's id, and the element, or all that wait (`2-4,6`). */
  arrayJobId?: number;
  task?: number;
  tasks?: string;
  maxRunning?: number;
  jobName?: string;
  user?: string;
  uid?: number;
  gid?: number;
  account?: string;
  qos?: string;
  reservation?: string;
  wallTimeSeconds?: number;
  minWallTimeSeconds?: number;
  deadline?: string;
  /** How many nodes (pods) and cpus it is given, or asks for, altogether. */
  nodes?: number;
  cpus?: number;
  tasksOfJob?: number;
  cpusPerTask?: number;
  memoryBytes?: number;
  memoryPerCpu?: boolean;
  /** As squeue prints it: `gres/gpu:2`. */
  devices?: string;
  features?: string;
  exclusive?: boolean;
  nice?: number;
  /** Namespace and name of its Workload. */
  namespace?: string;
  workload?: string;
  /** Only told to who may read the Workload. */
  submission?: {
    workingDirectory?: string;
    command?: string;
    comment?: string;
    standardOutput?: string;
    standardError?: string;
    standardInput?: string;
    host?: string;
    dependency?: string;
    requiredNodes?: string[];
    excludedNodes?: string[];
    requeue?: boolean;
  };
}

/** One factor of a priority: what it is (0 to 1, as a rule), what the site weighs it with, and the product. */
export interface PriorityFactor {
  name: string;
  factor?: number;
  weight?: number;
  points: number;
}

export interface QueueViewStatus {
  phase?: WorkloadPhase;
  reason?: PendingReason;
  message?: string;
  /** Among those that wait in its queue, from 1. */
  position?: number;
  priority?: number;
  priorityFactors?: PriorityFactor[];
  submitTime?: string;
  eligibleTime?: string;
  startTime?: string;
  /** When its wall time is over. */
  endTime?: string;
  estimatedStart?: string;
  /** Names: of what runs those it has, of what waits those it is to get, where they are chosen. */
  nodes?: string[];
  plannedNodes?: string[];
  restarts?: number;
  /** For how long it stood still, up to `suspendedSince` where it does so now. */
  suspendedSeconds?: number;
  suspendedSince?: string;
  /** Of a row that only counts: how many jobs of others wait and run in the queue. */
  hidden?: { pending: number; running: number };
}

export type QueueView = KubernetesObject<QueueViewSpec, QueueViewStatus> & { spec: QueueViewSpec };

export const queueViewDefinition: KindDefinition = {
  kind: "QueueView",
  plural: "queueviews",
  singular: "queueview",
  shortNames: ["bqv"],
  namespaced: false,
  description:
    "A job as it stands in its queue, of whomever it is. Answered from the scheduler's memory, never stored; the Site says what is told of the jobs of others.",
  spec: object({
    queue: name,
    jobId: whole,
    arrayJobId: whole,
    task: whole,
    tasks: text(400_000),
    maxRunning: whole,
    jobName: text(1024),
    user: text(256),
    uid: whole,
    gid: whole,
    account: text(253),
    qos: text(253),
    reservation: text(253),
    wallTimeSeconds: whole,
    minWallTimeSeconds: whole,
    deadline: time,
    nodes: whole,
    cpus: whole,
    tasksOfJob: whole,
    cpusPerTask: whole,
    memoryBytes: whole,
    memoryPerCpu: boolean,
    devices: text(253),
    features: text(4096),
    exclusive: boolean,
    nice: integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    namespace: text(253),
    workload: text(253),
    submission: { ...object({}), "x-kubernetes-preserve-unknown-fields": true },
  }),
  status: object({
    phase: oneOf(livePhases),
    reason: oneOf(pendingReasons),
    message: text(8192),
    position: whole,
    priority: { type: "number" },
    priorityFactors: list(
      object({ name: text(64), factor: { type: "number" }, weight: { type: "number" }, points: { type: "number" } }),
      32,
    ),
    submitTime: time,
    eligibleTime: time,
    startTime: time,
    endTime: time,
    estimatedStart: time,
    nodes: list(name, 100_000),
    plannedNodes: list(name, 100_000),
    restarts: whole,
    suspendedSeconds: whole,
    suspendedSince: time,
    hidden: mapOf(whole, 2),
  }),
  selectable: [
    ".spec.queue",
    ".spec.user",
    ".spec.account",
    ".spec.jobId",
    ".spec.arrayJobId",
    ".spec.namespace",
    ".status.phase",
  ],
  columns: [
    { name: "Queue", type: "string", jsonPath: ".spec.queue" },
    { name: "Position", type: "integer", jsonPath: ".status.position", description: "Among those that wait." },
    { name: "Job", type: "string", jsonPath: ".spec.jobName" },
    { name: "User", type: "string", jsonPath: ".spec.user" },
    { name: "Account", type: "string", jsonPath: ".spec.account" },
    { name: "Phase", type: "string", jsonPath: ".status.phase" },
    { name: "Reason", type: "string", jsonPath: ".status.reason" },
    { name: "Nodes", type: "integer", jsonPath: ".spec.nodes" },
    { name: "CPUs", type: "integer", jsonPath: ".spec.cpus" },
    { name: "Start", type: "string", jsonPath: ".status.startTime" },
    { name: "Expected", type: "string", jsonPath: ".status.estimatedStart", description: "Expected start." },
    { name: "Priority", type: "number", jsonPath: ".status.priority", priority: 1 },
    { name: "Tasks", type: "string", jsonPath: ".spec.tasks", priority: 1 },
    { name: "Ends", type: "string", jsonPath: ".status.endTime", priority: 1 },
    { name: "On", type: "string", jsonPath: ".status.nodes", priority: 1 },
    { name: "Message", type: "string", jsonPath: ".status.message", priority: 1 },
  ],
};
