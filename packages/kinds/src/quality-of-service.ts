/** QualityOfService: what a job asks for beside its queue: priority, limits, the right to preempt. */
import type { Condition, KubernetesObject } from "@berth/machinery";
import type { KindDefinition, Schema } from "./definition.ts";
import { type Limits, limits } from "./limits.ts";
import { conditions, integer, list, name, object, oneOf, userName } from "./schema.ts";

/**
 * What becomes of a preempted job: it waits again (`Requeue`), ends (`Cancel`), saves itself at TERM and waits again (`Checkpoint`:
 * what it did since it last saved itself is what is lost), or stands still until there is room again (`Suspend`).
 */
export const preemptionModes = ["Requeue", "Cancel", "Checkpoint", "Suspend"] as const;
export type PreemptionMode = (typeof preemptionModes)[number];

/** Of a queue or a quality of service. */
export interface PreemptionSpec {
  mode?: PreemptionMode;
  /** Between TERM and KILL; absent: the queue's, or the site's. */
  graceSeconds?: number;
  /** A job is left alone for so long from its start. */
  exemptSeconds?: number;
}

export const preemption: Schema = object({
  mode: {
    ...oneOf(
      preemptionModes,
      "What becomes of its jobs when one of a higher tier or quality of service needs their place; absent: nothing.",
    ),
  },
  graceSeconds: integer(0, 86_400, "Between TERM and KILL; absent: the queue's, or the site's."),
  exemptSeconds: integer(0, 10 * 365 * 86_400, "A job is left alone for so long from its start."),
});

export interface QualityOfServiceSpec {
  /** Of the priority's factor `qos`, beside the largest of any; default 0. */
  priority?: number;
  /** Names of those whose jobs give way to jobs of this one. */
  preempts?: string[];
  /** What becomes of jobs of this one when others need their place; absent: as their queue says. */
  preemption?: PreemptionSpec;
  limits?: Limits;
  /** What its jobs use counts so much in usage; default 1. */
  usageFactor?: number;
  /** Users, groups as `@group`; and accounts, with those under them. Neither: everybody; either is enough. */
  allow?: string[];
  allowAccounts?: string[];
}
export interface QualityOfServiceStatus {
  conditions?: Condition[];
}
export type QualityOfService = KubernetesObject<QualityOfServiceSpec, QualityOfServiceStatus> & {
  spec: QualityOfServiceSpec;
};

export const qualityOfServiceDefinition: KindDefinition = {
  kind: "QualityOfService",
  plural: "qualitiesofservice",
  singular: "qualityofservice",
  shortNames: ["qos"],
  categories: ["berth"],
  namespaced: false,
  description: "What a job may ask for beside its queue: priority, limits of its own, the right to preempt.",
  spec: object({
    priority: integer(0, 1_000_000_000, "Of the priority's factor qos, beside the largest of any. Default 0."),
    preempts: { ...list(name, 256), description: "Names of those whose jobs give way to jobs of this one." },
    preemption,
    limits,
    usageFactor: {
      type: "number",
      minimum: 0,
      maximum: 1_000_000,
      description: "What its jobs use counts so much in usage. Default 1.",
    },
    allow: { ...list(userName, 1024), description: "Users, or groups as @group, who may use it." },
    allowAccounts: { ...list(name, 1024), description: "Accounts whose jobs may use it, with those under them." },
  }),
  status: object({ conditions }),
  rules: [
    {
      rule: "!has(self.spec.preempts) || !self.spec.preempts.exists(p, p == self.metadata.name)",
      message: "a quality of service cannot preempt itself",
    },
  ],
  columns: [
    { name: "Priority", type: "integer", jsonPath: ".spec.priority" },
    { name: "Preempts", type: "string", jsonPath: ".spec.preempts" },
    { name: "Preemption", type: "string", jsonPath: ".spec.preemption.mode" },
    { name: "UsageFactor", type: "number", jsonPath: ".spec.usageFactor", priority: 1 },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
};
