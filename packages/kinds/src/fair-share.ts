/** FairShare: an account of the fair tree, or a user in it, as Slurm's sshare tells it. Answered from the leader's memory, never stored. */
import type { KubernetesObject } from "@berth/machinery";
import type { KindDefinition } from "./definition.ts";
import { integer, mapOf, object, text } from "./schema.ts";

export interface FairShareSpec {
  account: string;
  user?: string;
  parent?: string;
  /** How deep it stands in the tree: the root 0. */
  depth: number;
  /** A number, or `parent`. */
  shares?: string;
  /** As the account's, or membership's, limits say. */
  resourceMinutes?: Record<string, number>;
}

export interface FairShareStatus {
  normalizedShares?: number;
  /** Faded by the half-life, with what runs. */
  billingSeconds?: number;
  /** Of the usage of the account above, and of all. */
  effectiveUsage?: number;
  normalizedUsage?: number;
  /** Absent: nothing was used. */
  levelFairShare?: number;
  /** Of users. */
  fairShare?: number;
  /** What running jobs may still use until their wall times are over, in minutes; as limits count it, of all resources there are. */
  runningResourceMinutes?: Record<string, number>;
  runningNodeMinutes?: number;
  runningBillingMinutes?: number;
}

export type FairShare = KubernetesObject<FairShareSpec, FairShareStatus> & { spec: FairShareSpec };

const number = { type: "number" } as const;

export const fairShareDefinition: KindDefinition = {
  kind: "FairShare",
  plural: "fairshares",
  singular: "fairshare",
  namespaced: false,
  description:
    "Shares and usage of an account, or of a user in it. Answered from the scheduler's memory, never stored; the Site says whose usage is told.",
  spec: object({
    account: text(253),
    user: text(256),
    parent: text(253),
    depth: integer(0, 1000),
    shares: text(64),
    resourceMinutes: mapOf(integer(0, Number.MAX_SAFE_INTEGER), 32),
  }),
  status: object({
    normalizedShares: number,
    billingSeconds: number,
    effectiveUsage: number,
    normalizedUsage: number,
    levelFairShare: number,
    fairShare: number,
    runningResourceMinutes: mapOf(number, 64),
    runningNodeMinutes: number,
    runningBillingMinutes: number,
  }),
  selectable: [".spec.account", ".spec.user"],
  columns: [
    { name: "Account", type: "string", jsonPath: ".spec.account" },
    { name: "User", type: "string", jsonPath: ".spec.user" },
    { name: "Shares", type: "string", jsonPath: ".spec.shares" },
    { name: "Usage", type: "number", jsonPath: ".status.billingSeconds" },
    { name: "Fair share", type: "number", jsonPath: ".status.fairShare" },
  ],
};
