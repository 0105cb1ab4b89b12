/**
 * The interface of the scheduling core. It knows no Kubernetes type: nodes, queues and jobs are names, integers and opaque
 * strings that the caller made from objects.
 *
 * Units, everywhere: times are whole **seconds** since any fixed zero (live: the Unix epoch), lengths are whole seconds,
 * amounts of resources are integers (milli-cpu, bytes, pods, devices) in a vector whose order `ClusterOptions.resources` fixes.
 * Live callers round `now` down and never hand in a `now` smaller than before.
 */

import type { Limits, PreemptMode } from "./account-types.ts";
import type { ForeignPodsInput, Grants, NumaDomainInput, PodRulesInput, TopologyInput } from "./placement-types.ts";
import type { PriorityPolicy } from "./priority-types.ts";

/** Whole seconds since the caller's zero. */
export type Time = number;

/** Amounts by resource index (`ClusterOptions.resources`); missing tail entries are 0. */
export type ResourceVector = readonly number[];

/** Indices of array tasks as sorted, disjoint, inclusive runs: `[[0, 4], [7, 7]]`. */
export type TaskRuns = readonly (readonly [first: number, last: number])[];

/** The one knob of reservations, and the order of backfilling. */
export interface Policy {
  /**
   * Jobs of each queue that hold a reservation, counted in order: 0 none, 1 EASY (default), n the first n, -1 all (conservative).
   * An array counts as one job and reserves for its next task.
   */
  reservationDepth: number;
  /**
   * The order in which jobs behind the reserved ones are tried: by submit time (default), by slot length, or by the queue's own
   * order. `None`: nobody overtakes (first come, first served).
   */
  backfill: "None" | "Arrival" | "Shortest" | "Priority";
  /**
   * What a job means that is still there when its slot is over. `Extend` (default, live): it holds its nodes on, its end is
   * assumed later and reservations in its way are planned anew. `Release`: it counts as gone at its predicted end, because the
   * event that says so has the same time (replay of traces, event by event).
   */
  overdue: "Extend" | "Release";
  /** What orders jobs within a tier; given anew as a whole. */
  priority?: PriorityPolicy;
}

export interface NodeInput {
  name: string;
  /** What Berth may use: allocatable less what foreign pods use. */
  capacity: ResourceVector;
  /** Opaque; equal strings are equal to every selector. */
  nodeClass: string;
  /** Value of the node under each topology key (a label). */
  domains?: Readonly<Record<string, string>>;
  /** Ids of the devices of each resource of `ClusterOptions.devices`; absent: 0, 1, … as the capacity says. */
  devices?: Readonly<Record<string, readonly number[]>>;
  /** Absent: the node does not tell its NUMA domains, and takes no pods that want one. */
  numa?: readonly NumaDomainInput[];
  foreignPods?: readonly ForeignPodsInput[];
  /** What runs there cannot be made to stand still. */
  neverSuspends?: boolean;
  /** `Drained`: what runs goes on, nothing new starts. `Down`: unusable; the caller says when its jobs have ended. */
  state: "Up" | "Drained" | "Down";
}

export interface QueueInput {
  name: string;
  /** Higher is considered first. Default 1. */
  tier?: number;
  /** Restricts the queue to nodes whose class matches; absent: all nodes. */
  selector?: string;
  /** Default `Pack`. */
  placement?: "Pack" | "Spread";
  /** Jobs of a queue that is `Down` or `Inactive` wait; `Drained` starts what it has. */
  state?: "Up" | "Down" | "Drained" | "Inactive";
  maxNodesPerJob?: number;
  maxWallTimeSeconds?: number;
  /** Of all its jobs. */
  limits?: Limits;
  /** Its part of the largest of all queues is the queue factor of its jobs. Default 1. */
  priorityFactor?: number;
  /** The QOS of jobs that name none. */
  qos?: string;
  /** Billing units of one unit of each resource; absent: one a CPU (without `cpu`: one a unit of the first resource). */
  billingWeights?: ResourceVector;
  /** Of its jobs, where those of a higher tier may preempt them. Default `Off`. */
  preemptMode?: PreemptMode;
  /** From the warning of a preempted job to its end. Default 0. */
  graceSeconds?: number;
  /** A job is not preempted before it ran so long. Default 0. */
  preemptExemptSeconds?: number;
}

/** Equal pods of a job. A gang is all pod sets together: all pods start at once or none. */
export interface PodSetInput {
  count: number;
  /** The gang may start with this many; absent: all. A reservation is made for this many. */
  minCount?: number;
  /** Of one pod; put 1 at the index of `pods` if nodes limit them. */
  request: ResourceVector;
  /** Restricts to nodes whose class matches, on top of the queue's. */
  selector?: string;
  /** Names of the only nodes where these pods may be; unlike those of the job they need not be up, or there. */
  nodes?: readonly string[];
  /** Opaque, what rules between pods see of these pods; absent: no rule of others means them. */
  podClass?: string;
  rules?: PodRulesInput;
}

/** What became of a job that the core does not hold (it ended before it was told). Arrays: of all its tasks together. */
export interface DependencyOutcome {
  /** Absent: never started. */
  startTime?: Time;
  ended: boolean;
  /** Exit code 0; of an array: of every task. Cancelled, timed out, lost: false. */
  ok?: boolean;
  /** Of an array: tasks that ended well, for `AfterCorr`; absent: all if `ok`, else none. */
  okTasks?: TaskRuns;
}

/**
 * Slurm's types. The core follows jobs that it holds (pending or running) by itself from the events it is given, and reads
 * `outcome` for others when the job is added or updated. Of a job that it neither holds nor has an outcome of, `After` and
 * `AfterAny` hold, and the others never will.
 */
export interface DependencyInput {
  type: "After" | "AfterAny" | "AfterOk" | "AfterNotOk" | "AfterCorr" | "AfterBurstBuffer" | "Singleton";
  /** Absent with `Singleton`: no other job of the same user and name, of a smaller id, is pending or running. */
  job?: number;
  /** One task of the array `job`; absent: all of it. */
  task?: number;
  /** Only with `After`: this long after the start. */
  delaySeconds?: number;
  outcome?: DependencyOutcome;
}

export interface ArrayInput {
  /** Tasks that wait. The lowest starts first. The rest are told by `startJob` (running) and `ended`. */
  pending: TaskRuns;
  maxRunning?: number;
  /** Tasks that ended before the core was told of the array, for dependencies on them. */
  ended?: { ok?: TaskRuns; notOk?: TaskRuns };
}

/**
 * Of an array whose tasks are short: one start takes up to `tasks` of them, which run one after the other in one place. The slot is
 * `seconds` longer, and the caller begins no task after these; what was not begun it tells by `endJob` with `requeue`. No start takes
 * more than a fair share of what waits, of which half is left for later, when the array may have so many `places`. Not more than
 * `atMost` starts of it run at once.
 */
export interface LeaseInput {
  tasks: number;
  seconds: number;
  places: number;
  atMost?: number;
}

/** A pending job; an array is one job whatever its number of tasks. */
export interface JobInput {
  /** Unique; the last tie of the order, smaller first. */
  id: number;
  user: string;
  /** One that is not known has no shares of its own and no limits. */
  account?: string;
  /** Only used by `Singleton`. */
  name?: string;
  /** Names, in order of preference. */
  queues: readonly string[];
  submitTime: Time;
  /** Set by an operator, higher first; absent: what the factors of the policy give, less `nice`. */
  priority?: number;
  nice?: number;
  /** Name; absent: the QOS of its first queue. One that is not known has no priority and no limits. */
  qos?: string;
  /** Name of the advance reservation in which, and only in which, it runs. */
  reservation?: string;
  /** When preempted it waits again; false: it is cancelled instead. Default true. */
  requeue?: boolean;
  /** It cannot be made to stand still. */
  neverSuspends?: boolean;
  podSets: readonly PodSetInput[];
  /** Names of nodes to which the job is restricted (Slurm's --nodelist), and that it must not have. */
  nodes?: readonly string[];
  excludedNodes?: readonly string[];
  /** At most so many pods of the job on one node. */
  podsPerNode?: number;
  /** Whole nodes, each empty before and closed to others meanwhile. */
  exclusive?: boolean;
  /** Default: the queue's. */
  placement?: "Pack" | "Spread";
  topology?: TopologyInput;
  /** Each pod in one NUMA domain: whole cores, its memory and its devices. */
  numa?: boolean;
  /** Of `ClusterState.setLicences`, by name; for the whole job (task), while it runs. */
  licences?: Readonly<Record<string, number>>;
  wallTimeSeconds: number;
  /** May be shrunk to this where that lets it start now. */
  minWallTimeSeconds?: number;
  /** Start allowance + grace: a slot is this much longer than the wall time. Default 0. */
  overheadSeconds?: number;
  beginTime?: Time;
  /** Never started when it could not end before; then told in `Decisions.expired`. */
  deadline?: Time;
  hold?: "User" | "Admin";
  /** A reason that only the caller can know; while set, the job waits for it. */
  blocked?: "Cleaning" | "LaunchFailedRequeuedHeld" | "InvalidTemplate" | "UserJobLimit" | "Claims";
  dependencies?: { any?: boolean; of: readonly DependencyInput[] };
  array?: ArrayInput;
  lease?: LeaseInput;
}

/** Why a pending job waits: exactly one. Spelled as `pendingReasons` in `kinds`, which a test of the controllers compares. */
export const waitReasons = [
  /** Not yet considered: only between `addJob` and the next `decide`. */
  "None",
  /** It is its turn: it holds a reservation or is first of its queue, and what it needs is not free. */
  "Resources",
  /** Jobs before it in its queue wait for resources, and it can neither start beside them nor before they do. */
  "Priority",
  "Dependency",
  "DependencyNeverSatisfied",
  "BeginTime",
  "HeldByUser",
  "HeldByAdmin",
  /** So many tasks of the array run as may run at once. */
  "ArrayTaskLimit",
  /** All its queues are down, inactive or unknown. */
  "QueueDown",
  /** It asks for more than the queue's longest wall time, or for more nodes than the queue gives to one job. */
  "QueueTimeLimit",
  "QueueNodeLimit",
  /** A node that it names is not up. */
  "NodeUnavailable",
  /** The nodes that are up and that it may use could not hold it if they were empty. */
  "NodesUnavailable",
  /** It names an advance reservation that has not begun, or whose window has to come again. */
  "Reservation",
  /** The advance reservation that it names is not there (any more), or is over. */
  "ReservationDeleted",
  /** The advance reservation that it names is not for its user and account. */
  "ReservationNotAllowed",
  /** It cannot end before the end of (what is left of) the advance reservation that it names. */
  "ReservationTimeLimit",
  /** It would fit now, or sooner than planned, but for the window of a maintenance; or of reservations for others. */
  "ReservedForMaintenance",
  "ReservedForOthers",
  /** It is its turn, and licences of the whole cluster that it asks for are in use, or there are not so many. */
  "Licenses",
  /** No node is allowed by what it asks of the pods beside it (affinity, spread), whenever those that run now end. */
  "PodAffinity",
  "UserJobLimit",
  /** Limits that are reached now; `explain` says whose, and the numbers. `…Minutes…`: resource-minutes, used or running. */
  "QueueJobLimit",
  "QueueResourceLimit",
  "QueueMinutesLimit",
  "QueueUserJobLimit",
  "QueueUserResourceLimit",
  "AccountJobLimit",
  "AccountResourceLimit",
  "AccountMinutesLimit",
  /** Of a user in an account. */
  "AccountUserJobLimit",
  "AccountUserResourceLimit",
  "AccountUserMinutesLimit",
  "QosJobLimit",
  "QosResourceLimit",
  "QosMinutesLimit",
  "QosUserJobLimit",
  "QosUserResourceLimit",
  /** It alone asks for more than one job may have. */
  "PerJobLimit",
  /** A claim of a volume or of devices that it names is not there, or not ready. */
  "Claims",
  "Cleaning",
  "LaunchFailedRequeuedHeld",
  "InvalidTemplate",
] as const;
export type WaitReason = (typeof waitReasons)[number];

/** Where and how long. `nodes[s][p]` is the name of the node of pod p of pod set s. */
export interface Allocation {
  nodes: string[][];
  /** In which of its queues it runs, which counts and charges it; absent: its first. */
  queue?: string;
  /** Devices, NUMA domains and cores of the pods; absent where no pod of the job asks for any. */
  grants?: Grants;
  startTime: Time;
  /** End of the slot: start + wall time + overhead. */
  endTime: Time;
}

export interface Start extends Allocation {
  job: number;
  /** Only of arrays. */
  task?: number;
  /** All tasks of a lease, `task` the first of them; absent where it is only one. Each ends by an `endJob` of its own. */
  tasks?: number[];
  queue: string;
  /** Granted, to each task: less than asked only with `minWallTimeSeconds`. */
  wallTimeSeconds: number;
}

export interface Reservation extends Allocation {
  job: number;
  /** The lowest pending task, of arrays. */
  task?: number;
  queue: string;
}

/**
 * A running job (task) that has to make room. It counts as running until `endJob` (with `requeue`, unless the mode is `Cancel`);
 * what it leaves is kept for the job that needs it. `Checkpoint`: it is told to save its state first. `Suspend`: it stays where it
 * is and stands still, which `suspendJob` tells; its cores are then the other's, and a resumption gives them back.
 */
export interface Preemption {
  job: number;
  task?: number;
  by: number;
  mode: Exclude<PreemptMode, "Off">;
  /** It must be gone after this; 0: at once. */
  graceSeconds: number;
}

/** A suspended job (task) whose cores are free again: it goes on. It counts as running with all that it has from then on. */
export interface Resumption {
  job: number;
  task?: number;
}

/** What one `decide` decided. Everything but `starts` tells changes since the `decide` before. */
export interface Decisions {
  /** In the order decided. The state already counts them as running: tell `endJob` if a start comes to nothing. */
  starts: Start[];
  /** In the order decided; each is told once. */
  preemptions: Preemption[];
  /** In the order in which they were suspended. */
  resumptions: Resumption[];
  /** New or moved. */
  reservations: Reservation[];
  /** Jobs that still wait and hold a reservation no more. A start takes its reservation with it, and is not told here. */
  unreserved: number[];
  /** Jobs whose reason changed, among them each job added since and not started. For the numbers ask `explain`. */
  waiting: { job: number; reason: WaitReason }[];
  /** Jobs that can no longer end before their deadline; told once, the caller removes them. */
  expired: number[];
  /** When something changes by itself (begin times, delays, reservations, slot ends, deadlines); absent: never. */
  nextWake: Time | undefined;
}
