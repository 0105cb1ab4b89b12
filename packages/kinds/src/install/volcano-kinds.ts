/**
 * Kinds of Volcano's as CustomResourceDefinitions of Berth's own writing, for clusters without Volcano. What Berth does not do is refused when
 * it is asked for; the rest of the checks is the controllers'.
 */
import type { KubernetesObject } from "@berth/machinery";
import type { Column, Rule, Schema } from "../definition.ts";
import { boolean, integer, list, mapOf, object, oneOf, open, quantities, text, time } from "../schema.ts";
import { volcanoCommands, volcanoJobs, volcanoPodGroups, volcanoQueues } from "../volcano.ts";

const whole = (most = 1_000_000): Schema => integer(0, most);
const duration: Schema = { ...text(64), pattern: "^([0-9]+(\\.[0-9]+)?(h|ms|m|s|us|µs|ns))+$|^0$" };
const dnsName: Schema = { ...text(253), pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" };

const actions = ["AbortJob", "RestartJob", "RestartTask", "RestartPod", "TerminateJob", "CompleteJob", "ResumeJob"];
const events = ["*", "PodFailed", "PodEvicted", "PodPending", "TaskCompleted", "TaskFailed", "Unknown"];
const phases = [
  "Pending",
  "Aborting",
  "Aborted",
  "Running",
  "Restarting",
  "Completing",
  "Completed",
  "Terminating",
  "Terminated",
  "Failed",
];

const refused = (field: string, why: string): Rule => ({
  rule: `!has(self.${field})`,
  message: `${field}: ${why}`,
  reason: "FieldValueForbidden",
});

const policies: Schema = list(
  {
    ...object({
      action: oneOf(actions),
      event: oneOf(events),
      events: list(oneOf(events), 8),
      exitCode: { type: "integer", format: "int32" },
      timeout: duration,
    }),
    "x-kubernetes-validations": [
      {
        rule: "(has(self.event) || has(self.events) && self.events.size() > 0) != has(self.exitCode)",
        message: "a policy has either event (or events) or exitCode",
      },
      { rule: "!has(self.exitCode) || self.exitCode != 0", message: "exitCode 0 is no failure" },
      { rule: "has(self.action)", message: "action: what is to be done is missing" },
    ],
  },
  16,
);

const task: Schema = {
  ...object(
    {
      name: { ...text(63), pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" },
      replicas: { ...whole(100_000), default: 0 },
      minAvailable: whole(100_000),
      template: open({ spec: open({}) }, ["spec"]),
      policies,
      maxRetry: { type: "integer", format: "int32" },
      dependsOn: object({ name: list(text(63), 8), iteration: oneOf(["any", "all"]) }),
      topologyPolicy: text(63),
      partitionPolicy: open({}),
    },
    ["template"],
  ),
  "x-kubernetes-validations": [
    {
      rule: "!has(self.minAvailable) || self.minAvailable <= self.replicas",
      message: "minAvailable must not be more than replicas",
    },
    refused("partitionPolicy", "partitions of a task are not supported; leave it out"),
    {
      rule: "!has(self.topologyPolicy) || self.topologyPolicy in ['', 'none']",
      message: "topologyPolicy: NUMA policies of tasks are not supported; leave it out",
      reason: "FieldValueForbidden",
    },
  ],
};

const jobSpec: Schema = {
  ...object({
    schedulerName: text(63),
    minAvailable: whole(100_000),
    minSuccess: integer(1, 100_000),
    tasks: { ...list(task, 8), minItems: 1, description: "At most 8 kinds of pods." },
    policies,
    plugins: mapOf({ type: "array", items: text(16_384), maxItems: 16, nullable: true } as Schema, 8),
    queue: { ...dnsName, default: "default" },
    maxRetry: { ...whole(), default: 3 },
    ttlSecondsAfterFinished: whole(2_147_483_647),
    priorityClassName: dnsName,
    runningEstimate: {
      ...duration,
      description: "Taken and not looked at: annotation berth.dev/wall-time-seconds promises.",
    },
    volumes: list(
      {
        ...object(
          { mountPath: { ...text(4096), pattern: "^[^:]+$" }, volumeClaimName: text(253), volumeClaim: open({}) },
          ["mountPath"],
        ),
        "x-kubernetes-validations": [
          {
            rule: "has(self.volumeClaimName) != has(self.volumeClaim)",
            message: "a volume has either volumeClaimName (a claim that is there) or volumeClaim (one to be made)",
          },
        ],
      },
      16,
    ),
    networkTopology: open({}),
  }),
  "x-kubernetes-validations": [
    refused("networkTopology", "network topology is not supported here; leave it out"),
    {
      rule: "!has(self.plugins) || self.plugins.all(p, p in ['env', 'svc', 'ssh', 'mpi', 'pytorch', 'tensorflow'])",
      message: "plugins: there are env, svc, ssh, mpi, pytorch and tensorflow here",
    },
  ],
};

const counts = {
  pending: whole(),
  running: whole(),
  succeeded: whole(),
  failed: whole(),
  terminating: whole(),
  unknown: whole(),
};

const jobStatus: Schema = object({
  ...counts,
  state: object({ phase: oneOf(phases), reason: text(1024), message: text(32_768), lastTransitionTime: time }),
  minAvailable: whole(),
  taskStatusCount: mapOf(object({ phase: mapOf(whole(), 8) }), 64),
  version: whole(),
  retryCount: whole(),
  runningDuration: text(64),
  controlledResources: mapOf(text(253), 64),
  conditions: list(object({ status: oneOf(phases), lastTransitionTime: time }), 64),
});

const queueSpec: Schema = {
  ...object({
    weight: { ...integer(1, 65_535), default: 1 },
    capability: quantities(32),
    reclaimable: boolean,
    type: text(253),
    parent: text(253),
    priority: whole(),
    dequeueStrategy: oneOf(["fifo", "traverse"]),
    guarantee: open({}),
    deserved: open({}),
    affinity: open({}),
    extendClusters: { type: "array", items: open({}), maxItems: 64 },
  }),
  "x-kubernetes-validations": [
    {
      rule: "!has(self.guarantee) || !has(self.guarantee.resource)",
      message: "guarantee: queues have none here; put guaranteed into an Account of berth.dev",
    },
    refused("deserved", "queues have none here; put guaranteed and shares into an Account of berth.dev"),
    refused("affinity", "put nodeSelector into a Queue of berth.dev instead"),
    refused("extendClusters", "jobs are not handed to other clusters"),
    {
      rule: "!has(self.parent) || self.parent in ['', 'root']",
      message: "parent: queues have no tree here; the tree of shares is that of Accounts of berth.dev",
    },
  ],
};
/** Fields that CEL is to see must be declared. */
(queueSpec.properties!["guarantee"] as Schema).properties = { resource: open({}) };

const groupSpec: Schema = open({
  minMember: whole(),
  minTaskMember: mapOf(whole(), 64),
  queue: { ...dnsName, default: "default" },
  priorityClassName: text(253),
  minResources: quantities(32),
});
const groupStatus: Schema = object({
  phase: text(63),
  running: whole(),
  succeeded: whole(),
  failed: whole(),
  conditions: list(
    object({
      type: text(63),
      status: text(63),
      transitionID: text(63),
      lastTransitionTime: time,
      reason: text(1024),
      message: text(32_768),
    }),
    16,
  ),
});

interface Shape {
  key: typeof volcanoJobs;
  shortNames: string[];
  description: string;
  properties: Record<string, Schema>;
  columns?: Column[];
  /** Rules that see the whole object. */
  rules?: Rule[];
}

const column = (name: string, type: Column["type"], jsonPath: string): Column => ({ name, type, jsonPath });
const age = column("Age", "date", ".metadata.creationTimestamp");

const shapes: Shape[] = [
  {
    key: volcanoJobs,
    shortNames: ["vcjob", "vj"],
    description: "A Job of Volcano's, as Berth runs it where Volcano is not installed.",
    properties: { spec: jobSpec, status: jobStatus },
    columns: [
      column("Status", "string", ".status.state.phase"),
      column("MinAvailable", "integer", ".status.minAvailable"),
      column("Runnings", "integer", ".status.running"),
      age,
      { ...column("Queue", "string", ".spec.queue"), priority: 1 },
    ],
  },
  {
    key: volcanoCommands,
    shortNames: [],
    description: "What vcctl asks of a Job or a Queue: suspend, resume, open, close.",
    properties: {
      action: oneOf([...actions, "OpenQueue", "CloseQueue"]),
      reason: text(1024),
      message: text(32_768),
      target: open({ apiVersion: text(317), kind: oneOf(["Job", "Queue"]), name: text(253), uid: text(63) }, [
        "kind",
        "name",
      ]),
    },
  },
  {
    key: volcanoQueues,
    shortNames: ["q", "queue-v1beta1"],
    description: "A Queue of Volcano's: stands for a Queue of berth.dev of the same name.",
    properties: {
      spec: queueSpec,
      status: open({ state: oneOf(["Open", "Closed", "Closing", "Unknown"]) }),
    },
    columns: [column("Weight", "integer", ".spec.weight"), column("State", "string", ".status.state"), age],
  },
  {
    key: volcanoPodGroups,
    shortNames: ["pg", "podgroup-v1beta1"],
    description: "Pods that begin together.",
    properties: { spec: groupSpec, status: groupStatus },
    columns: [column("Status", "string", ".status.phase"), column("MinMember", "integer", ".spec.minMember"), age],
  },
];

export const volcanoDefinitions: readonly KubernetesObject[] = shapes.map(
  ({ key: { group, version, resource, kind = "", namespaced }, shortNames, description, properties, columns }) => ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${resource}.${group}` },
    spec: {
      group,
      scope: namespaced ? "Namespaced" : "Cluster",
      names: {
        plural: resource,
        singular: kind.toLowerCase(),
        kind,
        listKind: `${kind}List`,
        ...(shortNames.length === 0 ? {} : { shortNames }),
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: "object",
              description,
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                ...properties,
              },
            },
          },
          ...(properties["status"] === undefined ? {} : { subresources: { status: {} } }),
          ...(columns === undefined ? {} : { additionalPrinterColumns: columns }),
        },
      ],
    },
  }),
);
