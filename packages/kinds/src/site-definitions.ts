/** Queue, Account, Membership and Site as data. */
import type { KindDefinition, Schema } from "./definition.ts";
import { boolean, conditions, integer, list, mapOf, name, object, oneOf, open, text } from "./schema.ts";

const seconds = (description: string): Schema => integer(1, 10 * 365 * 86_400, description);
const shares = integer(1, 1_000_000, "Share among the siblings; default 1.");
const user: Schema = { type: "string", minLength: 1, maxLength: 256 };

const toleration: Schema = object({
  key: text(316),
  operator: oneOf(["Exists", "Equal"]),
  value: text(63),
  effect: oneOf(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
  tolerationSeconds: integer(0, Number.MAX_SAFE_INTEGER),
});

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
      nodeSelector: mapOf(text(63), 64),
      tolerations: list(toleration, 64),
      defaultWallTimeSeconds: seconds("Of jobs that ask for none; default 3600."),
      maxWallTimeSeconds: seconds("Longest wall time; default 21 days."),
      tier: { ...integer(0, 65_533, "Higher is considered first."), default: 1 },
      placement: { ...oneOf(["Pack", "Spread"]), default: "Pack" },
      state: { ...oneOf(["Up", "Down", "Drained", "Inactive"]), default: "Up" },
      default: boolean,
      maxNodesPerJob: integer(1, 1_000_000),
      allow: list(user, 1024),
      services: boolean,
      podDefaults: open({}),
      assumeLostAfterSeconds: seconds(
        "An attempt on a node unheard of for this long is taken as ended. It may then run twice. Off when absent.",
      ),
      defaultMemoryPerCpuBytes: integer(1, Number.MAX_SAFE_INTEGER),
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
    { name: "Pending", type: "integer", jsonPath: ".status.pending" },
    { name: "Running", type: "integer", jsonPath: ".status.running" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
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
  }),
  status: object({ conditions }),
  rules: [
    {
      rule: "!has(self.spec.parent) || self.spec.parent != self.metadata.name",
      message: "an account cannot be its own parent",
    },
  ],
  columns: [
    { name: "Parent", type: "string", jsonPath: ".spec.parent" },
    { name: "Shares", type: "integer", jsonPath: ".spec.shares" },
    { name: "Open", type: "boolean", jsonPath: ".spec.open" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
};

export const membershipDefinition: KindDefinition = {
  kind: "Membership",
  plural: "memberships",
  singular: "membership",
  categories: ["berth"],
  namespaced: false,
  description: "A user's place in an account.",
  spec: {
    ...object(
      {
        user,
        account: name,
        shares,
        default: { ...boolean, description: "The account of this user's jobs that name none." },
        operator: { ...boolean, description: "May act on the jobs of the account's other users." },
      },
      ["user", "account"],
    ),
    "x-kubernetes-validations": [
      {
        rule: "self.user == oldSelf.user && self.account == oldSelf.account",
        message: "user and account of a Membership cannot be changed; make a new one",
        reason: "FieldValueForbidden",
      },
    ],
  },
  status: object({ conditions }),
  columns: [
    { name: "User", type: "string", jsonPath: ".spec.user" },
    { name: "Account", type: "string", jsonPath: ".spec.account" },
    { name: "Default", type: "boolean", jsonPath: ".spec.default" },
    { name: "Operator", type: "boolean", jsonPath: ".spec.operator" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
};

export const siteDefinition: KindDefinition = {
  kind: "Site",
  plural: "sites",
  singular: "site",
  categories: ["berth"],
  namespaced: false,
  description: "What holds for the whole cluster; there is one, named `site`.",
  spec: object({
    reservationDepth: integer(-1, 1_000_000, "Jobs that hold a reservation: 0 none, 1 EASY, n, -1 all. Default 1."),
    clusterName: text(253),
    finishedWorkloads: object({
      keepSeconds: integer(0, 10 * 365 * 86_400, "Finished Workloads are removed after this; default one day."),
      keepCount: integer(0, 10_000_000, "No more finished Workloads than this are kept; default 10,000."),
    }),
    maxJobsPerUser: integer(1, 10_000_000, "Pending and running jobs of one user; default 10,000."),
    openAccounts: { ...boolean, description: "Open accounts take whoever asks; default true." },
    graceSeconds: integer(0, 86_400, "Between TERM and KILL; default 30."),
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
