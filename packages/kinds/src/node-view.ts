/** NodeView: what of a node is in use by jobs, of whomever. Answered from the leader's memory, never stored. */
import type { KubernetesObject } from "@berth/machinery";
import type { KindDefinition } from "./definition.ts";
import { boolean, integer, mapOf, object } from "./schema.ts";

export interface NodeViewStatus {
  /** By jobs; amounts of cpu are thousandths, of memory bytes. */
  used?: Record<string, number>;
  /** A job that waits has a reservation on it. */
  planned?: boolean;
  /** Jobs (and elements of arrays) that run on it. */
  jobs?: number;
}

export type NodeView = KubernetesObject<object, NodeViewStatus> & { spec: object };

export const nodeViewDefinition: KindDefinition = {
  kind: "NodeView",
  plural: "nodeviews",
  singular: "nodeview",
  namespaced: false,
  description:
    "What of a node is in use by jobs, and whether one that waits has a reservation on it. Answered from the scheduler's memory, never stored.",
  spec: object({}),
  status: object({
    used: mapOf(integer(0, Number.MAX_SAFE_INTEGER), 256),
    planned: boolean,
    jobs: integer(0, Number.MAX_SAFE_INTEGER),
  }),
  columns: [
    { name: "Jobs", type: "integer", jsonPath: ".status.jobs" },
    { name: "CPU", type: "integer", jsonPath: ".status.used.cpu", description: "In use, in thousandths." },
    { name: "Memory", type: "integer", jsonPath: ".status.used.memory", description: "In use, in bytes." },
    { name: "Planned", type: "boolean", jsonPath: ".status.planned" },
  ],
};
