/** Queue: where work waits, Slurm's partition. */
import type { Condition, KubernetesObject } from "@berth/machinery";
import type { KindDefinition, Schema } from "./definition.ts";
import { type Limits, limits } from "./limits.ts";
import type { PodTemplate, Toleration } from "./pod.ts";
import { preemption, type PreemptionSpec } from "./quality-of-service.ts";
import {
  billingWeights,
  boolean,
  conditions,
  integer,
  list,
  mapOf,
  name,
  object,
  oneOf,
  open,
  seconds,
  text,
  userName,
} from "./schema.ts";

/** Files of the site, not of a user; from exactly one source. */
export interface SharedTree {
  name: string;
  /** Where jobs see it. */
  mountPath: string;
  readOnly?: boolean;
  nfs?: { server: string; path: string };
  csi?: { driver: string; volumeHandle: string; volumeAttributes?: Record<string, string> };
  /** A folder that all nodes of the queue have. */
  hostPath?: { path: string };
}

export interface QueueSpec {
  nodeSelector?: Record<string, string>;
  tolerations?: Toleration[];
  /** Default 3600. */
  defaultWallTimeSeconds?: number;
  /** Default 21 days. */
  maxWallTimeSeconds?: number;
  /** Higher is considered first, and may preempt jobs of lower ones that allow it; default 1. */
  tier?: number;
  /** Of the priority's factor `queue`, beside the largest of any queue; default 1. */
  priorityFactor?: number;
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
  /** On kubelets each is a claim that Berth makes in the namespaces of jobs. */
  sharedTrees?: SharedTree[];
  /** Off when absent. An attempt on a node unheard of for this long is taken as ended: it may then run twice. */
  assumeLostAfterSeconds?: number;
  /** Memory of a job that asks for none, per cpu. */
  defaultMemoryPerCpuBytes?: number;
  limits?: Limits;
  /** Quality of service of its jobs that name none. */
  qos?: string;
  /** What becomes of jobs of this queue when others need their place; absent: nothing, they are never preempted. */
  preemption?: PreemptionSpec;
  /** What one cpu, one GiB of memory, one device counts in usage; absent: the site's. */
  billingWeights?: Record<string, number>;
}
export interface QueueStatus {
  pending?: number;
  running?: number;
  conditions?: Condition[];
}
export type Queue = KubernetesObject<QueueSpec, QueueStatus> & { spec: QueueSpec };

const toleration: Schema = object({
  key: text(316),
  operator: oneOf(["Exists", "Equal"]),
  value: text(63),
  effect: oneOf(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
  tolerationSeconds: integer(0, Number.MAX_SAFE_INTEGER),
});

const absolutePath: Schema = { ...text(4096), pattern: "^/" };

const sharedTree: Schema = {
  ...object(
    {
      name: { type: "string", pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", maxLength: 40 },
      mountPath: { ...absolutePath, pattern: "^/.", description: "Where jobs see it." },
      readOnly: boolean,
      nfs: object({ server: text(253), path: absolutePath }, ["server", "path"]),
      csi: object({ driver: text(63), volumeHandle: text(1024), volumeAttributes: mapOf(text(1024), 32) }, [
        "driver",
        "volumeHandle",
      ]),
      hostPath: { ...object({ path: absolutePath }, ["path"]), description: "A folder that all its nodes have." },
    },
    ["name", "mountPath"],
  ),
  "x-kubernetes-validations": [
    {
      rule: "[has(self.nfs), has(self.csi), has(self.hostPath)].filter(is, is).size() == 1",
      message: "a shared tree comes from exactly one of nfs, csi and hostPath",
    },
  ],
};

export const queueDefinition: KindDefinition = {
  kind: "Queue",
  plural: "queues",
  singular: "queue",
  shortNames: ["bq"],
  categories: ["berth"],
  namespaced: false,
  description: "Where work waits; Slurm's partition.",
  spec: {
    ...object({
      nodeSelector: { ...mapOf(text(63), 64), description: "Labels of its nodes; absent: all nodes." },
      tolerations: { ...list(toleration, 64), description: "Of all its pods." },
      defaultWallTimeSeconds: seconds("Of jobs that ask for none; default 3600."),
      maxWallTimeSeconds: seconds("Longest wall time; default 21 days."),
      tier: {
        ...integer(0, 65_533, "Higher is considered first, and may preempt jobs of lower ones that allow it."),
        default: 1,
      },
      priorityFactor: integer(0, 65_533, "Of the priority's factor queue, beside the largest of any queue. Default 1."),
      placement: { ...oneOf(["Pack", "Spread"], "Onto few nodes, or over many."), default: "Pack" },
      state: {
        ...oneOf(
          ["Up", "Down", "Drained", "Inactive"],
          "Down: jobs wait. Drained: takes no more. Inactive: neither takes nor starts any.",
        ),
        default: "Up",
      },
      default: { ...boolean, description: "The queue of jobs that name none." },
      maxNodesPerJob: integer(1, 1_000_000, "Jobs that need more wait."),
      allow: { ...list(userName, 1024), description: "Users, or groups as @group, who may use it; absent: all." },
      services: boolean,
      podDefaults: open({}),
      sharedTrees: {
        ...list(sharedTree, 16),
        description: "Trees of the site; on kubelets Berth makes a claim of each in the namespaces of jobs.",
      },
      assumeLostAfterSeconds: seconds(
        "An attempt on a node unheard of for this long is taken as ended. It may then run twice. Off when absent.",
      ),
      defaultMemoryPerCpuBytes: integer(1, Number.MAX_SAFE_INTEGER, "Of jobs that ask for no memory."),
      limits,
      qos: { ...name, description: "Quality of service of its jobs that name none." },
      preemption,
      billingWeights,
    }),
    "x-kubernetes-validations": [
      {
        rule: "!has(self.defaultWallTimeSeconds) || !has(self.maxWallTimeSeconds) || self.defaultWallTimeSeconds <= self.maxWallTimeSeconds",
        message: "defaultWallTimeSeconds must not be more than maxWallTimeSeconds",
      },
    ],
  },
  status: object({
    pending: integer(0, Number.MAX_SAFE_INTEGER),
    running: integer(0, Number.MAX_SAFE_INTEGER),
    conditions,
  }),
  columns: [
    { name: "State", type: "string", jsonPath: ".spec.state" },
    {
      name: "Default",
      type: "integer",
      jsonPath: ".spec.defaultWallTimeSeconds",
      description: "Default wall time, s.",
    },
    { name: "Longest", type: "integer", jsonPath: ".spec.maxWallTimeSeconds", description: "Longest wall time, s." },
    { name: "Tier", type: "integer", jsonPath: ".spec.tier" },
    {
      name: "Preemption",
      type: "string",
      jsonPath: ".spec.preemption.mode",
      description: "What becomes of its jobs when others need their place.",
      priority: 1,
    },
    { name: "Pending", type: "integer", jsonPath: ".status.pending" },
    { name: "Running", type: "integer", jsonPath: ".status.running" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
};
