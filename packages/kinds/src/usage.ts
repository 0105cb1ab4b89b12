/**
 * UsageCheckpoint: usage of an account, or of a queue or quality of service that limits resource-minutes, as it stands at a time: where
 * the controllers go on after a restart. An object of its own, lest who may read accounts reads what the Site keeps private.
 */
import type { KubernetesObject } from "@berth/machinery";
import type { KindDefinition, Schema } from "./definition.ts";
import { integer, mapOf, name, object, oneOf, time } from "./schema.ts";

const usageHolders = ["Account", "Queue", "QualityOfService"] as const;
export type UsageHolder = (typeof usageHolders)[number];

interface UsageCheckpointSpec {
  /** Whose usage it is. */
  of: { kind: UsageHolder; name: string };
  /** Faded to then. */
  asOf: string;
  /** The last row of accounting that is in it. */
  accountedThrough: number;
  /** By user; of queues and qualities of service all together, under the empty name. */
  users: Record<string, { billingSeconds: number; resourceSeconds?: Record<string, number> }>;
}

export type UsageCheckpoint = KubernetesObject<UsageCheckpointSpec> & { spec: UsageCheckpointSpec };

const amount: Schema = { type: "number", minimum: 0 };

export const usageCheckpointDefinition: KindDefinition = {
  kind: "UsageCheckpoint",
  plural: "usagecheckpoints",
  singular: "usagecheckpoint",
  namespaced: false,
  description:
    "What ended jobs used, by user, faded by the half-life to asOf: where the controllers go on after a restart. Only operators read it; FairShare tells of it as the Site's privacy says.",
  spec: object(
    {
      of: object({ kind: oneOf(usageHolders), name }, ["kind", "name"]),
      asOf: time,
      accountedThrough: integer(0, Number.MAX_SAFE_INTEGER, "The last row of accounting that is in it."),
      users: mapOf(object({ billingSeconds: amount, resourceSeconds: mapOf(amount, 64) }, ["billingSeconds"]), 100_000),
    },
    ["of", "asOf", "accountedThrough", "users"],
  ),
  columns: [
    { name: "Of", type: "string", jsonPath: ".spec.of.kind" },
    { name: "Name", type: "string", jsonPath: ".spec.of.name" },
    { name: "As of", type: "date", jsonPath: ".spec.asOf" },
  ],
};
