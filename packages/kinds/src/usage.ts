/** Usage as it stands in the status of Accounts, Queues and QualitiesOfService: where the controllers go on after a restart. */
import type { Schema } from "./definition.ts";
import { integer, mapOf, object, time } from "./schema.ts";

export interface UsageCheckpoint {
  /** Faded to then. */
  asOf: string;
  /** The last row of accounting that is in it. */
  accountedThrough: number;
  /** By user; of queues and qualities of service all together, under the empty name. */
  users: Record<string, { billingSeconds: number; resourceSeconds?: Record<string, number> }>;
}

const amount: Schema = { type: "number", minimum: 0 };

export const usage: Schema = {
  ...object(
    {
      asOf: time,
      accountedThrough: integer(0, Number.MAX_SAFE_INTEGER, "The last row of accounting that is in it."),
      users: mapOf(object({ billingSeconds: amount, resourceSeconds: mapOf(amount, 64) }, ["billingSeconds"]), 100_000),
    },
    ["asOf", "accountedThrough", "users"],
  ),
  description:
    "What ended jobs used, by user, faded by the half-life to asOf: where the controllers go on after a restart.",
};
