/** StartEstimate: when would this start? A question: created with a spec, answered with a status, never stored. */
import type { KubernetesObject } from "@berth/machinery";
import type { KindDefinition } from "./definition.ts";
import { integer, list, name, object, oneOf, text, time } from "./schema.ts";
import { workloadSpecSchema } from "./workload-definition.ts";
import { pendingReasons, type PendingReason, type WorkloadSpec } from "./workload.ts";

/**
 * `Reserved`: its place in the plan as it stands, by a start at once or a reservation. `Forecast`: by playing the plan onwards,
 * as if nobody came later and every job took its whole wall time.
 */
const estimateBases = ["Reserved", "Forecast"] as const;

export interface StartEstimateStatus {
  /** What the next job of the cluster will be called; it is not kept for anybody. */
  jobId?: number;
  /** RFC 3339; absent where the start depends on what nobody knows: a hold, a node that is down. */
  startTime?: string;
  queue?: string;
  account?: string;
  /** Names, in the order of the pods; of an array those of its first task. */
  nodes?: string[];
  /** Of one task, on all its nodes. */
  cpus?: number;
  /** Why it would wait. */
  reason?: PendingReason;
  message?: string;
  basis?: (typeof estimateBases)[number];
  asOf?: string;
  /** It would not be admitted; nothing else stands beside this but `asOf`. */
  refusal?: { reason: string; message: string };
}

export type StartEstimate = KubernetesObject<WorkloadSpec, StartEstimateStatus> & { spec: WorkloadSpec };

export const startEstimateDefinition: KindDefinition = {
  kind: "StartEstimate",
  plural: "startestimates",
  singular: "startestimate",
  categories: ["berth"],
  namespaced: true,
  description:
    "Asks when a Workload of this spec would start if it were submitted now. The answer comes with the creation; nothing is stored.",
  spec: workloadSpecSchema,
  status: object({
    jobId: integer(1, Number.MAX_SAFE_INTEGER, "What the next job will be called; not kept for anybody."),
    startTime: time,
    queue: name,
    account: name,
    nodes: list(name, 100_000),
    cpus: integer(0, Number.MAX_SAFE_INTEGER),
    reason: oneOf(pendingReasons),
    message: text(8192),
    basis: oneOf(estimateBases),
    asOf: time,
    refusal: object({ reason: text(256), message: text(8192) }, ["reason", "message"]),
  }),
  columns: [
    { name: "User", type: "string", jsonPath: ".spec.user" },
    { name: "Queue", type: "string", jsonPath: ".spec.queue" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
};
