import type { JobClass } from "./classes.ts";
import type { NodeRecord } from "./nodes.ts";
import type { RunSet } from "./runs.ts";
import type { DependencyInput, JobInput, Time, WaitReason } from "./types.ts";

/** What a job takes of one node; released by the same numbers, whatever became of the node meanwhile. */
export interface Charge {
  node: NodeRecord;
  amounts: number[];
}

export interface Placement {
  charges: Charge[];
  /** Node of each pod, by pod set. */
  nodes: NodeRecord[][];
  queue: string;
}

export interface Run extends Placement {
  job: JobRecord;
  task: number | undefined;
  start: Time;
  /** End of the slot as granted, and the end that is assumed now (later once it is overdue). */
  slotEnd: Time;
  end: Time;
  alive: boolean;
}

/** How many pods of a gang would fit at each time before its reservation: `sums[j]` from `times[j]` on. An upper bound. */
export interface Levels {
  times: Time[];
  sums: number[];
}

export interface ReservationRecord extends Placement {
  start: Time;
  end: Time;
  /** Of a gang of one group on several nodes. */
  levels?: Levels;
  /** How far the gains of nodes were taken into account when it was last planned or looked at. */
  testedAt: number;
}

export interface DependencyRecord {
  input: DependencyInput;
  status: "Waiting" | "Met" | "Never";
  /** With a delay: met from then on. */
  readyAt?: Time;
}

export interface ArrayRecord {
  pending: RunSet;
  /** Pending tasks whose fellow (AfterCorr) has not ended well yet, and those whose fellow never will. */
  blocked: RunSet;
  never: RunSet;
  maxRunning: number;
  ok: RunSet;
  notOk: RunSet;
}

export interface JobRecord {
  readonly id: number;
  input: JobInput;
  /** Tier and net priority, by which it is ordered. */
  tier: number;
  priority: number;
  class: JobClass;
  /** In its class's list, that is, nothing of its own keeps it from starting. */
  listed: boolean;
  expired: boolean;
  array: ArrayRecord | undefined;
  dependencies: DependencyRecord[];
  /** Ids of jobs with a dependency on this one. */
  dependents: Set<number> | undefined;
  /** By task; -1 outside arrays. */
  runs: Map<number, Run> | undefined;
  lastStart: Time | undefined;
  reservation: ReservationRecord | undefined;
  /** A reservation taken out of the timelines for a moment; put back if it still fits. */
  lifted: ReservationRecord | undefined;
  /** As last told. */
  reason: WaitReason;
  reported: ReservationRecord | undefined;
}

/** The order of jobs: tier, priority, submit time, id. Negative: `a` first. */
export function compareJobs(a: JobRecord, b: JobRecord): number {
  return b.tier - a.tier || b.priority - a.priority || a.input.submitTime - b.input.submitTime || a.id - b.id;
}

export function pendingTasks(job: JobRecord): number {
  if (job.array !== undefined) return job.array.pending.size + job.array.blocked.size + job.array.never.size;
  return job.runs === undefined || job.runs.size === 0 ? 1 : 0;
}
