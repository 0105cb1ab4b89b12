/** The part of the interface that is told events: the state on which decisions rest. */
import type { AccountInput, MembershipInput, QualityOfServiceInput, UsageRecord } from "./account-types.ts";
import type { AdvanceReservation, AdvanceReservationInput } from "./reservation-types.ts";
import type {
  Allocation,
  JobInput,
  NodeInput,
  Policy,
  QueueInput,
  Reservation,
  TaskRuns,
  Time,
  WaitReason,
} from "./types.ts";

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
  /**
   * A running job (task) stands still for another, as `decide` had it or as a new leader finds it: nothing but its cores is free.
   * `by`: for which job, where the state was not the one that decided.
   */
  suspendJob(id: number, now: Time, task?: number, by?: number): void;
  /** A suspended job (task) goes on although `decide` did not say so. */
  resumeJob(id: number, now: Time, task?: number): void;
  /** A running job (task) stands still where it is and keeps all that it has (an operator wants it so), or goes on: is it charged? */
  setCharged(id: number, isCharged: boolean, now: Time, task?: number): void;
  /** For which job a running one (a task) stands still, or is told to, since when, and when it goes on as things stand. */
  suspension(id: number, task?: number): { by: number; since: Time; resume: Time } | undefined;
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
