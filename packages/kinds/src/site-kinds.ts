/** Queue, Account, Membership and Site: what an operator sets. All are cluster-scoped. */
import type { Condition, KubernetesObject } from "@berth/machinery";
import type { PodTemplate, Toleration } from "./pod.ts";

/** Where work waits; Slurm's partition. */
export interface QueueSpec {
  nodeSelector?: Record<string, string>;
  tolerations?: Toleration[];
  /** Default 3600. */
  defaultWallTimeSeconds?: number;
  /** Default 21 days. */
  maxWallTimeSeconds?: number;
  /** Higher is considered first; default 1. */
  tier?: number;
  placement?: "Pack" | "Spread";
  /** `Down`: jobs wait; `Drained`: new jobs are refused. */
  state?: "Up" | "Down" | "Drained" | "Inactive";
  /** The queue of jobs that name none. */
  default?: boolean;
  maxNodesPerJob?: number;
  /** Names of users, or of groups as `@group`; absent: everybody. */
  allow?: string[];
  services?: boolean;
  /** Laid under every pod of the queue: image, volumes, tolerations. */
  podDefaults?: Partial<PodTemplate>;
  /** Off when absent. An attempt on a node unheard of for this long is taken as ended: it may then run twice. */
  assumeLostAfterSeconds?: number;
  /** Memory of a job that asks for none, per cpu. */
  defaultMemoryPerCpuBytes?: number;
}
export interface QueueStatus {
  pending?: number;
  running?: number;
  conditions?: Condition[];
}
export type Queue = KubernetesObject<QueueSpec, QueueStatus> & { spec: QueueSpec };

export interface AccountSpec {
  /** Name of the parent account; absent: a child of the root. */
  parent?: string;
  shares?: number;
  description?: string;
  /** Anyone who asks is a member (the `default` account of an empty cluster). */
  open?: boolean;
}
export interface AccountStatus {
  conditions?: Condition[];
}
export type Account = KubernetesObject<AccountSpec, AccountStatus> & { spec: AccountSpec };

export interface MembershipSpec {
  user: string;
  account: string;
  shares?: number;
  /** The account of this user's jobs that name none. */
  default?: boolean;
  operator?: boolean;
}
export type Membership = KubernetesObject<MembershipSpec> & { spec: MembershipSpec };

export interface SiteSpec {
  /** Jobs that hold a reservation: 0 none, 1 EASY, n, -1 all. Default 1. */
  reservationDepth?: number;
  clusterName?: string;
  /** Finished Workloads are removed after this (default 24 h), or when there are more than that (default 10,000). */
  finishedWorkloads?: { keepSeconds?: number; keepCount?: number };
  /** Pending and running jobs of one user, array tasks counted (default 10,000; arrays count once while pending). */
  maxJobsPerUser?: number;
  /** Membership in open accounts is refused when false. Default true. */
  openAccounts?: boolean;
  graceSeconds?: number;
}
export interface SiteStatus {
  conditions?: Condition[];
}
export type Site = KubernetesObject<SiteSpec, SiteStatus> & { spec: SiteSpec };
