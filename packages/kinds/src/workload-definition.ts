/** Workload as data. The types of workload.ts say the same to the compiler; a test holds the two together. */
import { maximumArrayTasks } from "./constants.ts";
import type { KindDefinition, Rule, Schema } from "./definition.ts";
import { boolean, conditions, integer, list, mapOf, name, object, oneOf, open, seconds, text, time } from "./schema.ts";
import { activePhases, dependencyTypes, finalPhases, pendingPhases, pendingReasons } from "./workload.ts";

const bytes = (description?: string): Schema => integer(0, Number.MAX_SAFE_INTEGER, description);
const count = integer(1, 1_000_000);
const path = text(4096);

const podTemplate: Schema = object(
  {
    metadata: object({ labels: mapOf(text(63), 64), annotations: mapOf(text(262_144), 64) }),
    spec: open(
      {
        containers: {
          ...list(
            open(
              {
                name: { type: "string", pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", maxLength: 63 },
                image: text(1024),
                command: list(text(4_194_304), 16_384),
                args: list(text(4_194_304), 16_384),
                workingDir: path,
              },
              ["name"],
            ),
            16,
          ),
          minItems: 1,
        },
      },
      ["containers"],
    ),
  },
  ["spec"],
);

const podSet: Schema = {
  ...object(
    {
      name: { type: "string", pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", maxLength: 40 },
      role: { ...oneOf(["Driver", "Worker"], "The end of all Driver pods is the job's end."), default: "Driver" },
      count: { ...integer(1, 100_000, "How many equal pods."), default: 1 },
      minCount: integer(1, 100_000, "The job may start with this many."),
      template: podTemplate,
    },
    ["name", "template"],
  ),
  "x-kubernetes-validations": [
    { rule: "!has(self.minCount) || self.minCount <= self.count", message: "minCount must not be more than count" },
  ],
};

const dependency: Schema = {
  ...object(
    {
      type: oneOf(dependencyTypes),
      job: integer(1, Number.MAX_SAFE_INTEGER, "Job id of the other; of an array, the id of the array."),
      task: integer(0, Number.MAX_SAFE_INTEGER, "One element of that array; absent: all of it."),
      delaySeconds: integer(0, 10 * 365 * 86_400, "Only with After: seconds after the other's start."),
    },
    ["type"],
  ),
  "x-kubernetes-validations": [
    {
      rule: "(self.type == 'Singleton') != has(self.job)",
      message: "a dependency names a job, unless it is Singleton, which names none",
    },
    {
      rule: "!has(self.delaySeconds) || self.type == 'After'",
      message: "delaySeconds is only for a dependency of type After",
    },
  ],
};

const submission: Schema = object({
  frontend: text(64),
  command: path,
  arguments: list(text(131_072), 16_384),
  workingDirectory: path,
  standardOutput: path,
  standardError: path,
  standardInput: path,
  openMode: oneOf(["Append", "Truncate"]),
  host: text(253),
  tasks: count,
  tasksPerNode: count,
  cpusPerTask: count,
  nodes: count,
  memoryPerNodeBytes: bytes(),
  memoryPerCpuBytes: bytes(),
  comment: text(4096),
  mailUser: text(256),
  mailType: list(text(64), 16),
  secretName: name,
});

/** Also what a StartEstimate asks about. */
export const workloadSpecSchema: Schema = {
  ...object(
    {
      type: { ...oneOf(["Batch", "Service"]), default: "Batch" },
      jobName: text(1024, "What Slurm calls the name; need not be a DNS name."),
      user: { ...text(256, "Must be who asks; absent: the owner of the namespace."), minLength: 1 },
      queue: name,
      account: name,
      qos: name,
      reservation: name,
      wallTimeSeconds: seconds("A promise to the scheduler, and a limit; absent: the queue's default."),
      minWallTimeSeconds: seconds("May be shrunk to this to start earlier."),
      graceSeconds: integer(0, 86_400, "Between TERM and KILL; absent: the site's, or 30."),
      podSets: {
        ...list(podSet, 8),
        minItems: 1,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
      },
      array: object(
        {
          indices: {
            type: "string",
            minLength: 1,
            maxLength: 65_536,
            pattern: "^[0-9]+(-[0-9]+(:[0-9]+)?)?(,[0-9]+(-[0-9]+(:[0-9]+)?)?)*$",
            description: "Index list, `0-9,20,30-60:10`.",
          },
          maxRunning: integer(1, maximumArrayTasks, "How many tasks may run at once."),
        },
        ["indices"],
      ),
      dependencies: object(
        {
          any: boolean,
          of: { ...list(dependency, 256), minItems: 1 },
          cancelOnInvalid: boolean,
        },
        ["of"],
      ),
      placement: object({
        policy: oneOf(["Pack", "Spread"]),
        exclusive: boolean,
        topology: {
          ...oneOf(["None", "Numa"]),
          description: "Numa: each pod in one NUMA domain, with cores of its own, its memory and its devices.",
        },
        requiredTopology: text(316, "Label of nodes: all pods of the job where it has one value."),
        preferredTopology: text(
          316,
          "Label of nodes: all pods where it has one value, or few, if that can be had at once.",
        ),
        nodes: list(name, 1024),
        excludedNodes: list(name, 1024),
        podsPerNode: integer(1, 1024),
      }),
      licences: {
        ...mapOf(integer(1, 1_000_000_000), 64),
        description: "Of the Site's licences, for the whole job (of an array each task) while it runs.",
      },
      requeue: {
        ...object({
          onNodeFailure: { ...boolean, default: true },
          onPreemption: { ...boolean, default: true },
          limit: { ...integer(0, 100, "Attempts after the loss of a node; preemptions are not counted."), default: 5 },
        }),
        default: {},
      },
      beginTime: time,
      deadline: time,
      nice: integer(-2_147_483_645, 2_147_483_645, "Subtracted from the priority; larger waits longer."),
      hold: oneOf(["User", "Admin"]),
      submission,
    },
    ["podSets"],
  ),
  "x-kubernetes-validations": [
    {
      rule: "self.podSets.exists(p, p.role == 'Driver')",
      message: "one pod set must have role Driver: the end of its pods is the job's end",
    },
    {
      rule: "!has(self.minWallTimeSeconds) || !has(self.wallTimeSeconds) || self.minWallTimeSeconds <= self.wallTimeSeconds",
      message: "minWallTimeSeconds must not be more than wallTimeSeconds",
    },
  ],
};

/** `spec` may not change, but for the list that DESIGN gives: what stands here is everything else. */
const immutableFields = [
  "type",
  "jobName",
  "user",
  "qos",
  "reservation",
  "minWallTimeSeconds",
  "graceSeconds",
  "podSets",
  "placement",
  "licences",
  "requeue",
  "submission",
];
/** May change as long as nothing of the Workload has started. */
const mutableWhilePending = ["queue", "account", "dependencies", "beginTime", "deadline"];

const unchanged = (field: string): string =>
  `has(self.spec.${field}) == has(oldSelf.spec.${field}) && ` +
  `(!has(self.spec.${field}) || self.spec.${field} == oldSelf.spec.${field})`;
const pending = "!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase == 'Pending'";

const rules: Rule[] = [
  {
    rule: "size(self.metadata.name) <= 63",
    message: "the name of a Workload must not be longer than 63 characters, because it is a label of its pods",
  },
  ...immutableFields.map((field): Rule => ({
    rule: unchanged(field),
    message: `spec.${field} cannot be changed once the Workload is made; submit a new one`,
    reason: "FieldValueForbidden",
  })),
  ...mutableWhilePending.map((field): Rule => ({
    rule: `${pending} || (${unchanged(field)})`,
    message: `spec.${field} can be changed only while the Workload is pending`,
    reason: "FieldValueForbidden",
  })),
  {
    rule:
      "has(self.spec.array) == has(oldSelf.spec.array) && " +
      "(!has(self.spec.array) || self.spec.array.indices == oldSelf.spec.array.indices)",
    message: "spec.array.indices cannot be changed once the Workload is made; maxRunning can",
    reason: "FieldValueForbidden",
  },
  {
    // Longer only by an operator: see admission-policies.ts.
    rule: "!has(oldSelf.spec.wallTimeSeconds) || has(self.spec.wallTimeSeconds)",
    message: "spec.wallTimeSeconds can be changed, not taken away",
    reason: "FieldValueForbidden",
  },
];

const indexList = text(400_000);

const status: Schema = object({
  jobId: integer(1, Number.MAX_SAFE_INTEGER),
  phase: oneOf([...pendingPhases, ...activePhases, ...finalPhases]),
  conditions,
  identity: object(
    {
      user: text(256),
      uid: integer(0, 4_294_967_295),
      gid: integer(0, 4_294_967_295),
      groups: list(integer(0, 4_294_967_295), 65_536),
      home: path,
      shell: path,
    },
    ["user", "uid", "gid", "groups"],
  ),
  queue: name,
  account: name,
  qos: name,
  wallTimeSeconds: integer(1, Number.MAX_SAFE_INTEGER),
  reason: oneOf(pendingReasons),
  message: text(8192),
  estimatedStart: time,
  firstEstimatedStart: time,
  waits: object({ since: time, seconds: mapOf(integer(0, Number.MAX_SAFE_INTEGER), 64) }, ["since", "seconds"]),
  submitTime: time,
  eligibleTime: time,
  startTime: time,
  endTime: time,
  suspendedSeconds: integer(0, Number.MAX_SAFE_INTEGER),
  suspendedSince: time,
  exitCode: integer(0, 255),
  signal: integer(0, 255),
  nodes: list(name, 100_000),
  attempts: integer(0, 1_000_000),
  restarts: integer(0, 1_000_000),
  nodeFailures: integer(0, 1_000_000),
  cancelledBy: text(256),
  array: object(
    {
      tasks: integer(0, maximumArrayTasks),
      pending: indexList,
      leased: indexList,
      running: indexList,
      succeeded: indexList,
      failed: indexList,
      timedOut: indexList,
      outOfMemory: indexList,
      nodeFailed: indexList,
      cancelled: indexList,
      attempts: mapOf(integer(0, 1_000_000), maximumArrayTasks),
      nodeFailures: mapOf(integer(0, 1_000_000), maximumArrayTasks),
    },
    ["pending", "running", "succeeded", "failed"],
  ),
  observedGeneration: integer(0, Number.MAX_SAFE_INTEGER),
});

export const workloadDefinition: KindDefinition = {
  kind: "Workload",
  plural: "workloads",
  singular: "workload",
  shortNames: ["bw"],
  categories: ["all", "berth"],
  namespaced: true,
  description:
    "The only thing that waits, is scheduled, limited, ended, requeued, accounted and explained: pod sets with a wall time, an account and a queue.",
  spec: workloadSpecSchema,
  status,
  rules,
  columns: [
    { name: "JobID", type: "integer", jsonPath: ".status.jobId", description: "Job id; of an array the first." },
    { name: "Name", type: "string", jsonPath: ".spec.jobName" },
    { name: "User", type: "string", jsonPath: ".status.identity.user" },
    { name: "Queue", type: "string", jsonPath: ".status.queue" },
    { name: "Phase", type: "string", jsonPath: ".status.phase" },
    { name: "Reason", type: "string", jsonPath: ".status.reason", description: "Why it waits." },
    { name: "Nodes", type: "string", jsonPath: ".status.nodes" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
    { name: "Start", type: "string", jsonPath: ".status.estimatedStart", description: "Expected start.", priority: 1 },
    { name: "Account", type: "string", jsonPath: ".status.account", priority: 1 },
    { name: "QOS", type: "string", jsonPath: ".status.qos", priority: 1 },
    { name: "Message", type: "string", jsonPath: ".status.message", priority: 1 },
  ],
};
