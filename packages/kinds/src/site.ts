/** Site: what holds for the whole cluster. */
import type { Condition, KubernetesObject } from "@berth/machinery";
import type { KindDefinition } from "./definition.ts";
import { billingWeights, boolean, conditions, integer, list, mapOf, object, oneOf, seconds, text } from "./schema.ts";

/** Who sees jobs (or usage): everybody, those of the same account, only whose they are. Operators and the admin see all. */
const audiences = ["Everybody", "Account", "Owner"] as const;
export type Audience = (typeof audiences)[number];
const backfillOrders = ["None", "Arrival", "Shortest", "Priority"] as const;

/** Each factor is between 0 and 1, but for `nice`; a weight that is absent is 0. */
export interface PriorityWeights {
  age?: number;
  fairShare?: number;
  jobSize?: number;
  queue?: number;
  qos?: number;
}

export interface SiteSpec {
  /** Jobs that hold a reservation: 0 none, 1 EASY, n, -1 all. Default 1. */
  reservationDepth?: number;
  /** In which order jobs behind the reserved ones are tried; default `Priority` where that has weights, else `Arrival`. */
  backfill?: (typeof backfillOrders)[number];
  clusterName?: string;
  /** Finished Workloads are removed after this (default 24 h), or when there are more than that (default 10,000). */
  finishedWorkloads?: { keepSeconds?: number; keepCount?: number };
  /** Pending and running jobs of one user, array tasks counted (default 10,000; arrays count once while pending). */
  maxJobsPerUser?: number;
  /** Membership in open accounts is refused when false. Default true. */
  openAccounts?: boolean;
  graceSeconds?: number;
  /** Slurm's multifactor priority; without weights: first come, first served. */
  priority?: {
    weights?: PriorityWeights;
    /** The factor age is 1 from here on; default 7 days. */
    maxAgeSeconds?: number;
    /** In which usage fades to its half; default 7 days. */
    halfLifeSeconds?: number;
    /** The factor jobSize is larger for smaller jobs. */
    favorSmall?: boolean;
  };
  /** What one cpu, one GiB of memory, one device counts in usage; default: a cpu 1. Queues may say otherwise. */
  billingWeights?: Record<string, number>;
  /** How many of each there are for the whole cluster. */
  licences?: Record<string, number>;
  /** Labels of nodes from the widest to the narrowest: block, rack. */
  topology?: { levels?: string[] };
  /** Who sees whose jobs and usage by questions and commands; default `Everybody`. */
  privacy?: { jobs?: Audience; usage?: Audience };
}
export interface SiteStatus {
  conditions?: Condition[];
}
export type Site = KubernetesObject<SiteSpec, SiteStatus> & { spec: SiteSpec };

const weight = (factor: string): ReturnType<typeof integer> => integer(0, 4_294_967_295, `Of the factor ${factor}.`);

export const siteDefinition: KindDefinition = {
  kind: "Site",
  plural: "sites",
  singular: "site",
  categories: ["berth"],
  namespaced: false,
  description: "What holds for the whole cluster; there is one, named `site`.",
  spec: object({
    reservationDepth: integer(-1, 1_000_000, "Jobs that hold a reservation: 0 none, 1 EASY, n, -1 all. Default 1."),
    backfill: oneOf(
      backfillOrders,
      "In which order jobs behind the reserved ones are tried. Default Priority where that has weights, else Arrival.",
    ),
    clusterName: text(253, "What Slurm's commands call the cluster. Default berth."),
    finishedWorkloads: object({
      keepSeconds: integer(0, 10 * 365 * 86_400, "Finished Workloads are removed after this; default one day."),
      keepCount: integer(0, 10_000_000, "No more finished Workloads than this are kept; default 10,000."),
    }),
    maxJobsPerUser: integer(1, 10_000_000, "Pending and running jobs of one user; default 10,000."),
    openAccounts: { ...boolean, description: "Open accounts take whoever asks; default true." },
    graceSeconds: integer(0, 86_400, "Between TERM and KILL; default 30."),
    priority: {
      ...object({
        weights: object({
          age: weight("age: how long it waits"),
          fairShare: weight("fairShare: how much less than its share its account and user used"),
          jobSize: weight("jobSize: what part of the cluster it asks for"),
          queue: weight("queue: priorityFactor of its queue"),
          qos: weight("qos: priority of its quality of service"),
        }),
        maxAgeSeconds: seconds("The factor age is 1 from here on. Default 7 days."),
        halfLifeSeconds: seconds("In which usage fades to its half. Default 7 days."),
        favorSmall: { ...boolean, description: "The factor jobSize is larger for smaller jobs." },
      }),
      description: "Weights of the priority's factors; without any: first come, first served.",
    },
    billingWeights,
    licences: {
      ...mapOf(integer(0, 1_000_000_000), 256),
      description: "How many of each there are for the whole cluster; jobs say how many they need.",
    },
    topology: object({
      levels: { ...list(text(316), 16), description: "Labels of nodes from the widest to the narrowest." },
    }),
    privacy: object({
      jobs: oneOf(audiences, "Who sees whose jobs. Default Everybody."),
      usage: oneOf(audiences, "Who sees whose usage. Default Everybody."),
    }),
  }),
  status: object({ conditions }),
  rules: [
    {
      rule: "self.metadata.name == 'site'",
      message: "there is one Site, and its name is site",
      reason: "FieldValueInvalid",
    },
  ],
  columns: [
    {
      name: "Depth",
      type: "integer",
      jsonPath: ".spec.reservationDepth",
      description: "Jobs that hold a reservation.",
    },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
};
