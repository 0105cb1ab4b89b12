/** Account and Membership: the tree of shares, and who is in it. */
import type { Condition, KubernetesObject } from "@berth/machinery";
import type { KindDefinition, Schema } from "./definition.ts";
import { type Limits, limits } from "./limits.ts";
import type { ResourceList } from "./pod.ts";
import { boolean, conditions, name, object, quantities, text, userName } from "./schema.ts";

export interface AccountSpec {
  /** Name of the parent account; absent: a child of the root. */
  parent?: string;
  shares?: number | "Parent";
  description?: string;
  /** Anyone who asks is a member (the `default` account of an empty cluster). */
  open?: boolean;
  /** Of all jobs of the account and of the accounts under it. */
  limits?: Limits;
  /**
   * What it gets back from those who borrowed it: jobs of other accounts that use more than they are guaranteed are preempted
   * for it, where their queue or quality of service allows that.
   */
  guaranteed?: ResourceList;
  /** Quality of service of its jobs that name none. */
  qos?: string;
}
export interface AccountStatus {
  conditions?: Condition[];
}
export type Account = KubernetesObject<AccountSpec, AccountStatus> & { spec: AccountSpec };

export interface MembershipSpec {
  user: string;
  account: string;
  shares?: number | "Parent";
  /** The account of this user's jobs that name none. */
  default?: boolean;
  operator?: boolean;
  /** Queue and quality of service of the user's jobs in this account that name none. */
  queue?: string;
  qos?: string;
  /** Of the user's jobs in this account. */
  limits?: Limits;
}
export type Membership = KubernetesObject<MembershipSpec> & { spec: MembershipSpec };

const shares: Schema = {
  "x-kubernetes-int-or-string": true,
  minimum: 0,
  maximum: 1_000_000,
  maxLength: 6,
  pattern: "^Parent$",
  description: "Share among the siblings; default 1. Parent: it competes as if it were in the account above.",
};

export const accountDefinition: KindDefinition = {
  kind: "Account",
  plural: "accounts",
  singular: "account",
  shortNames: ["ba"],
  categories: ["berth"],
  namespaced: false,
  description: "A node of the tree of shares that usage is charged to.",
  spec: object({
    parent: { ...name, description: "Name of the parent account; absent: a child of the root." },
    shares,
    description: text(4096),
    open: { ...boolean, description: "Whoever asks is a member." },
    limits: { ...limits, description: "Of all jobs of the account and of the accounts under it." },
    guaranteed: {
      ...quantities(32),
      description:
        "What it gets back from borrowers, whose jobs are preempted for it where their queue or QOS allows that.",
    },
    qos: { ...name, description: "Quality of service of its jobs that name none." },
  }),
  status: object({
    conditions,
  }),
  rules: [
    {
      rule: "!has(self.spec.parent) || self.spec.parent != self.metadata.name",
      message: "an account cannot be its own parent",
    },
  ],
  columns: [
    { name: "Parent", type: "string", jsonPath: ".spec.parent" },
    { name: "Shares", type: "string", jsonPath: ".spec.shares" },
    { name: "Open", type: "boolean", jsonPath: ".spec.open" },
    { name: "Valid", type: "string", jsonPath: ".status.conditions[?(@.type=='Valid')].status" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
};

export const membershipDefinition: KindDefinition = {
  kind: "Membership",
  plural: "memberships",
  singular: "membership",
  shortNames: ["bm"],
  categories: ["berth"],
  namespaced: false,
  description: "A user's place in an account.",
  spec: {
    ...object(
      {
        user: { ...userName, description: "Name of the user." },
        account: { ...name, description: "Name of the account." },
        shares,
        default: { ...boolean, description: "The account of this user's jobs that name none." },
        operator: { ...boolean, description: "May act on the jobs of the account's other users." },
        queue: { ...name, description: "Queue of the user's jobs in this account that name none." },
        qos: { ...name, description: "Quality of service of the user's jobs in this account that name none." },
        limits: { ...limits, description: "Of the user's jobs in this account." },
      },
      ["user", "account"],
    ),
    "x-kubernetes-validations": [
      {
        rule: "self.user == oldSelf.user && self.account == oldSelf.account",
        message: "user and account of a Membership cannot be changed; make a new one",
        reason: "FieldValueForbidden",
      },
      {
        rule: "!has(self.limits) || !has(self.limits.perUser)",
        message: "limits.perUser is for many users; a Membership is about one: put it into limits itself",
      },
    ],
  },
  status: object({ conditions }),
  columns: [
    { name: "User", type: "string", jsonPath: ".spec.user" },
    { name: "Account", type: "string", jsonPath: ".spec.account" },
    { name: "Shares", type: "string", jsonPath: ".spec.shares" },
    { name: "Default", type: "boolean", jsonPath: ".spec.default" },
    { name: "Operator", type: "boolean", jsonPath: ".spec.operator" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
};
