/**
 * The interface of the scheduling core. It knows no Kubernetes type: nodes, queues and jobs are names, integers and opaque
 * strings that the caller made from objects.
 *
 * Units, everywhere: times are whole **seconds** since any fixed zero (live: the Unix epoch), lengths are whole seconds,
 * amounts of resources are integers (milli-cpu, bytes, pods, devices) in a vector whose order `ClusterOptions.resources` fixes.
 * Live callers round `now` down and never hand in a `now` smaller than before.
 */

import type {
  AccountInput,
  LimitHit,
  Limits,
  MembershipInput,
  PreemptMode,
  QualityOfServiceInput,
  UsageRecord,
} from "./account-types.ts";
import type { PriorityPolicy } from "./priority-types.ts";
import type { AdvanceReservation, AdvanceReservationInput, ReservationBlock } from "./reservation-types.ts";
import type { ForeignPodsInput, Grants, NumaDomainInput, PodRulesInput, TopologyInput } from "./placement-types.ts";

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

export interface ClusterOptions {
  /** Names by index, for messages; by custom: `cpu` (milli-cpu), `memory` (bytes), `pods`, then other countable ones. */
  resources: readonly string[];
  /**
   * Whether a node of this class may take pods of this selector. Both are the caller's opaque strings (say, JSON of labels and
   * taints; JSON of node selector, affinity and tolerations). Must be pure: each pair is asked once. Default: always.
   */
  matches?: (selector: string, nodeClass: string) => boolean;
  policy?: Partial<Policy>;
  /**
   * Resources made of single devices of 1000 each. A pod that asks for less than 1000 gets it of one device; more must be whole
   * devices, which nobody shares.
   */
  devices?: readonly string[];
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
  blocked?: "Cleaning" | "LaunchFailedRequeuedHeld" | "InvalidTemplate" | "UserJobLimit";
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
 * what it leaves is kept for the job that needs it. `Checkpoint`: it is told to save its state first.
 */
export interface Preemption {
  job: number;
  task?: number;
  by: number;
  mode: Exclude<PreemptMode, "Off">;
  /** It must be gone after this; 0: at once. */
  graceSeconds: number;
}

/** What one `decide` decided. Everything but `starts` tells changes since the `decide` before. */
export interface Decisions {
  /** In the order decided. The state already counts them as running: tell `endJob` if a start comes to nothing. */
  starts: Start[];
  /** In the order decided; each is told once. */
  preemptions: Preemption[];
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

/** The numbers behind a reason, for a message. */
export interface Explanation {
  job: number;
  reason: WaitReason;
  queue: string | undefined;
  /** Pods needed to start, and how many would fit at this moment with nothing else kept in mind. */
  pods: { needed: number; fitting: number };
  /** Of its largest pod: asked, most free on one usable node, most that any usable node has. By resource index. */
  perPod: { request: number[]; mostFree: number[]; largest: number[] };
  /** Index of the first resource of which no node has enough free for one pod; absent: each has, but not enough together. */
  short?: number;
  /** Nodes: may be used by it and are up; of these, could take one of its pods now. */
  nodes: { usable: number; fitting: number };
  /** Its reservation, or the earliest start that the running and reserved jobs leave. Absent where it depends on an event. */
  start?: { time: Time; nodes: string[]; reserved: boolean };
  /** The job whose end makes room for that start: running, or reserved. */
  waitsFor?: { job: number; task?: number; endTime: Time; node: string };
  /** The first job before it in the queue that waits for resources. */
  behind?: number;
  /** Of `BeginTime`, and of a dependency that waits only for a delay. */
  until?: Time;
  /** Ids of jobs that a dependency waits for. */
  dependsOn?: number[];
  /** Of the queue or array limit at fault. */
  limit?: number;
  /** Of a gang that must have one domain: where most of its pods fit now (absent: nowhere), and how many. */
  topology?: { level: string; domain?: string; fitting: number };
  /** There is room now, but not where rules between pods allow it. */
  rules?: true;
  /** Running jobs may be preempted by its like, but not by it, because rules between pods say where it may go. */
  neverPreempts?: true;
  /** Amounts of `perPod` are of one NUMA domain. */
  numa?: true;
  /** Of `Licenses`: of which the cluster has too few, or too few are free. */
  licence?: { name: string; needed: number; free: number; total: number };
  /** The limit of a queue, account, membership or QOS that is reached. */
  limitHit?: LimitHit;
  /** The window of the advance reservation that it waits for, or that is in its way. */
  window?: ReservationBlock;
  /** Running jobs that make room for it at this moment. */
  preempts?: { job: number; task?: number }[];
  /** By whom and when it was preempted last. */
  preempted?: { by: number; time: Time };
}

export interface ForecastOptions {
  /** At most so many starts are played; default 100,000. */
  maxStarts?: number;
  /**
   * After so many starts time goes on in steps of a twentieth of the time ahead or of the mean slot, with one reservation a queue, which
   * costs less; what starts then has the basis `Estimate`. Default: never.
   */
  exactStarts?: number;
  /** Not farther than this many seconds ahead; default one year. */
  horizonSeconds?: number;
  /** Asked before each decision that is played: true cuts it short, for callers with a budget of time. */
  isOver?: () => boolean;
}

export interface ExpectedStart {
  job: number;
  time: Time;
  /**
   * `Reserved`: holds a reservation now. `Forecast`: by playing the policy onwards, no later arrivals, no early ends. `Estimate`: so
   * too, in steps of time.
   */
  basis: "Reserved" | "Forecast" | "Estimate";
}

export interface Forecast {
  asOf: Time;
  /** In the order of starting; of an array its next task. Jobs not listed have no expected start. */
  starts: ExpectedStart[];
  /** False when `maxStarts`, the horizon or `isOver` cut it short. */
  complete: boolean;
}

/** What would become of a job that is not there. */
export interface Foresight {
  asOf: Time;
  /** By pod set; with the earliest start of a large state all nodes together. Absent where it depends on an event. */
  start?: { time: Time; queue: string; nodes: string[][] };
  /** `Reserved`: a start at once or a reservation. `Forecast`: as {@link ExpectedStart}. */
  basis?: "Reserved" | "Forecast";
  /** Why it would wait; absent where it starts at once. */
  explanation?: Explanation;
}

/** How an attempt ended. */
export interface Ending {
  /** Only of arrays, and then required. */
  task?: number;
  /** Exit code 0. */
  ok: boolean;
  /** The job (or task) waits again, as it was; nothing that depends on it is told an end. */
  requeue?: boolean;
}

/**
 * All that decisions rest on, kept by change: each call costs about what it changes. Unknown names of nodes and queues in jobs
 * are no error (they may come later); unknown ids of jobs are: `SchedulingError`.
 */
export interface ClusterState {
  readonly resources: readonly string[];
  readonly policy: Readonly<Policy>;
  setPolicy(policy: Partial<Policy>): void;

  /** Adds, or replaces what is known of it. What runs there stays. */
  putNode(node: NodeInput): void;
  /** What runs there stays known until it is ended. */
  removeNode(name: string): void;
  /** Keys of the levels of the nodes' topology, the largest domains first (block, rack). */
  setTopology(levels: readonly string[]): void;
  /** All licences that there are, by name; those of the set before that are absent are gone. */
  setLicences(licences: Readonly<Record<string, number>>): void;
  putQueue(queue: QueueInput): void;
  removeQueue(name: string): void;

  /** Adds or replaces. An account above itself is refused, in words. */
  putAccount(account: AccountInput): void;
  /** Its members and the accounts below it are the root's until it is put again. */
  removeAccount(name: string): void;
  putMembership(membership: MembershipInput): void;
  removeMembership(account: string, user: string): void;
  putQualityOfService(qos: QualityOfServiceInput): void;
  removeQualityOfService(name: string): void;
  /** Replaces what is known of the usage that is over; running jobs are charged by the state itself. */
  setUsage(usage: UsageRecord): void;
  /** All usage that is not 0, decayed to `now`, with running jobs charged until then: for checkpoints. */
  usage(now: Time): UsageRecord[];
  /** What the account (and those below it) use beyond `guaranteed`, by resource. */
  borrowed(account: string): number[];
  /**
   * Adds an advance reservation, or changes it. Refused in words: where jobs run beyond its start (but see `ignoreJobs`), where it
   * would lie over another one, where there are too few nodes.
   */
  putReservation(reservation: AdvanceReservationInput): void;
  /** What runs in it goes on; jobs that name it wait on. */
  removeReservation(name: string): void;
  /** All that are known, by name. */
  advanceReservations(now: Time): AdvanceReservation[];

  /** A new pending job (or array). What it depends on is read here: the jobs that it names are to be added before it. */
  addJob(job: JobInput): void;
  /**
   * Changes a job that waits (hold, release, priority, queues, dependencies, wall time …): the fields given replace the old ones,
   * `undefined` removes. Of an array also while tasks run, for its pending tasks.
   */
  updateJob(id: number, changes: Partial<Omit<JobInput, "id">>, now: Time): void;
  /** A pending job goes (cancelled). Of an array: its pending tasks, or those in `tasks`; running ones go on. */
  removeJob(id: number, now: Time, tasks?: TaskRuns): void;

  /**
   * A pending job (task) runs: how a new leader tells what it finds. `decide` does this itself for its starts. Nodes unknown
   * to the state are left out. `more`: the other tasks of a lease.
   */
  startJob(id: number, allocation: Allocation, task?: number, more?: readonly number[]): void;
  /** The predicted end of a running job changed: its gang started late, its wall time was changed. */
  setEnd(id: number, endTime: Time, now: Time, task?: number): void;
  /** A running job (task) has saved its state: only what it does afterwards is lost when it is preempted. */
  setCheckpoint(id: number, time: Time, task?: number): void;
  /** A running job (task) ended or is to wait again. An array is forgotten with its last task. */
  endJob(id: number, now: Time, ending: Ending): void;

  has(id: number): boolean;
  /** As of the last `decide`; absent when it does not wait (unknown, or all that is left of it runs). */
  reason(id: number): WaitReason | undefined;
  reservation(id: number): Reservation | undefined;
  /** All of them, by start. */
  reservations(): Reservation[];
  /** Whether any job waits: a cheap answer, where {@link counts} looks at all. */
  hasPending(): boolean;
  counts(): { nodes: number; pendingJobs: number; pendingTasks: number; running: number };
}
