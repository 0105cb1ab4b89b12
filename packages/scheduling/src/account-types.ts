/** The part of the interface that says who may use how much: accounts and their members, qualities of service, limits, usage. */
import type { ResourceVector, Time } from "./types.ts";

/** Limits by resource index; `undefined`, or a missing entry: no limit. */
export type LimitVector = readonly (number | undefined)[];

/**
 * What may be had at most. Absent: no limit. An array counts each of its tasks, as in Slurm. Where several limits hold (queue, QOS,
 * membership, account and all accounts above it) each of them holds.
 */
export interface Limits {
  runningJobs?: number;
  /** Pending and running together. Refuses a submission ({@link LimitHit} of `submitRefusal`), holds nobody. */
  submittedJobs?: number;
  /** In use at once. */
  resources?: LimitVector;
  /**
   * Amount × minutes: what was used, decayed as all usage is, and what running jobs may still use until the end of their slots. A job
   * whose slot would go beyond waits (Slurm's GrpTRESMins with AccountingStorageEnforce=safe). So the limit is never passed.
   */
  resourceMinutes?: LimitVector;
  /** Amount × minutes that running jobs may still use until the end of their slots (Slurm's GrpTRESRunMins). */
  runningResourceMinutes?: LimitVector;
  /** Of one job. Refuses a submission; holds a job that waited when the limit came, or when it was changed. */
  perJob?: JobLimits;
  /** Of each user among those that the limits are for; not of a membership. */
  perUser?: UserLimits;
}

export interface JobLimits {
  wallTimeSeconds?: number;
  resources?: LimitVector;
  /** Amount × minutes of the wall time. */
  resourceMinutes?: LimitVector;
}

export interface UserLimits {
  runningJobs?: number;
  submittedJobs?: number;
  resources?: LimitVector;
}

/**
 * Shares among siblings (accounts and members of the same account): an integer from 0. `Parent`: an account whose members compete
 * as if they were members of the account above it; a member who shares the account's usage and comes first in it.
 */
export type Shares = number | "Parent";

/** An account of the tree; `root` is the root itself, there without being put. */
export interface AccountInput {
  name: string;
  /** Absent, or not known (yet): the root. */
  parent?: string;
  /** Default 1. */
  shares?: Shares;
  /** Of all jobs in it and in the accounts below it. */
  limits?: Limits;
  /** What it may have whatever others do, by resource; what it has beyond that is borrowed, and may be taken back. */
  guaranteed?: ResourceVector;
}

/** A user in an account. A user who has jobs in a known account without being put there is a member with 1 share. */
export interface MembershipInput {
  account: string;
  user: string;
  /** Default 1. */
  shares?: Shares;
  limits?: Limits;
}

export interface QualityOfServiceInput {
  name: string;
  /** Its share of the largest priority of all QOS is the factor of its jobs. Default 0. */
  priority?: number;
  limits?: Limits;
  /** Names of the QOS whose jobs it may preempt. */
  preempts?: readonly string[];
  preemptMode?: PreemptMode;
  graceSeconds?: number;
  /** Running for less than this, its jobs are not preempted. */
  preemptExemptSeconds?: number;
  /** Usage of its jobs counts this many times. Default 1; 0: it is free. */
  usageFactor?: number;
}

export type PreemptMode = "Off" | "Requeue" | "Cancel" | "Suspend" | "Checkpoint";

/**
 * Usage up to a time, decayed by the half-life until then: of a user in an account, or, for the resource-minutes of limits, of a
 * queue or a QOS. Told once for what ended before the state was made.
 */
export interface UsageRecord {
  account?: string;
  /** With `account`. */
  user?: string;
  queue?: string;
  qos?: string;
  /** Billing units × seconds: Slurm's RawUsage. */
  billingSeconds: number;
  /** Amount × seconds by resource, for limits on resource-minutes. Default 0. */
  resourceSeconds?: ResourceVector;
  asOf: Time;
}

/** Whose limit it is. */
export interface LimitHolder {
  kind: "Queue" | "Account" | "Membership" | "QualityOfService";
  /** Of the queue, the QOS or the account. */
  name: string;
  /** Of a membership, and of limits per user. */
  user?: string;
}

/** A limit that is reached, with the numbers, in the unit of the limit. */
export interface LimitHit {
  of: LimitHolder;
  what:
    | "RunningJobs"
    | "SubmittedJobs"
    | "Resources"
    | "ResourceMinutes"
    | "RunningResourceMinutes"
    | "JobWallTime"
    | "JobResources"
    | "JobResourceMinutes";
  /** Index of the resource. */
  resource?: number;
  limit: number;
  /** 0 for limits of one job. */
  inUse: number;
  asked: number;
}

/** What running jobs may still use until their wall times are over: Slurm's TRESRunMins, in seconds. */
export interface StillToRun {
  /** Amount × seconds, by resource. */
  resourceSeconds: number[];
  /** A node counts once for each job that has pods there. */
  nodeSeconds: number;
  billingSeconds: number;
}

/** A line of Slurm's `sshare`: an account, or a user in it. */
export interface FairShareRow {
  account: string;
  user?: string;
  parent?: string;
  shares: Shares;
  /** Part of the shares of all siblings; with those of the parent, its part. */
  normalizedShares: number;
  /** Decayed, with running jobs charged until now: Slurm's RawUsage. */
  billingSeconds: number;
  /** What running jobs may still use until the end of their slots: for the order it counts at once. */
  promisedBillingSeconds: number;
  /** Absent: nothing runs. */
  stillToRun: StillToRun | undefined;
  /** Part of the usage (with what is promised) of the account above. */
  effectiveUsage: number;
  /** Normalized shares by effective usage; Infinity where nothing was used. Absent: it competes with nobody. */
  levelFairShare: number | undefined;
  /** Of users: rank by users, in (0, 1]; the fair share factor of their jobs. */
  fairShare?: number;
}
