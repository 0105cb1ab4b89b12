/** The shared informers: one copy of each collection that any controller needs, kept small. */
import { type AnyObject, type Client, Informer, resources } from "@berth/client";
import type {
  Account,
  Container,
  Membership,
  Node,
  Pod,
  QualityOfService,
  Queue,
  Reservation,
  Site,
  Workload,
} from "@berth/kinds";
import {
  accounts,
  annotations,
  labels,
  leaseCondition,
  suspensionCondition,
  memberships,
  qualitiesOfService,
  queues,
  reservations,
  sites,
  workloads,
} from "@berth/kinds";
import type { Log } from "./context.ts";
import {
  coschedulingLabel,
  hostsOf,
  jobSetLabel,
  replicatedJobLabel,
  volcanoAnnotations,
} from "./model/hosts-of-pods.ts";
import { portsOf } from "./scheduler/holdings.ts";
import { hostOf } from "./model/wrapped-pod.ts";
import { volcanoLabels, volcanoPodAnnotations } from "./volcano/names.ts";

export interface Stores {
  workloads: Informer<Workload>;
  pods: Informer<Pod>;
  nodes: Informer<Node>;
  queues: Informer<Queue>;
  accounts: Informer<Account>;
  memberships: Informer<Membership>;
  qualitiesOfService: Informer<QualityOfService>;
  reservations: Informer<Reservation>;
  sites: Informer<Site>;
  namespaces: Informer;
}

function withoutManagedFields<T extends AnyObject>(object: T): T {
  delete object.metadata.managedFields;
  return object;
}

/** A kubelet lists the images that it has, and volumes: tens of kilobytes, on each of thousands of nodes. */
function slimNode(node: Node): Node {
  delete node.metadata.managedFields;
  if (node.status === undefined) return node;
  const {
    images: _images,
    volumesInUse: _inUse,
    volumesAttached: _attached,
    ...status
  } = node.status as Node["status"] & Record<"images" | "volumesInUse" | "volumesAttached", unknown>;
  return { ...node, status };
}

/** What the life of an attempt is told by; there may be tens of thousands of these. */
function slimOwnPod({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, finalizers } = metadata;
  const has = metadata.annotations ?? {};
  const kept: Record<string, string> = {};
  for (const key of keptAnnotations) if (has[key] !== undefined) kept[key] = has[key];
  const slim: Pod = {
    apiVersion,
    kind,
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp, labels: ownLabels(metadata.labels ?? {}) },
    spec: { nodeName: spec.nodeName, containers: spec.containers.slice(0, 1).map(({ name }) => ({ name })) },
  };
  if (spec["workloadRef"] !== undefined) slim.spec["workloadRef"] = spec["workloadRef"];
  if (Object.keys(kept).length > 0) slim.metadata.annotations = kept;
  if (deletionTimestamp !== undefined) slim.metadata.deletionTimestamp = deletionTimestamp;
  if (finalizers !== undefined) slim.metadata.finalizers = finalizers;
  slim.metadata.ownerReferences = metadata.ownerReferences?.filter(({ controller }) => controller === true);
  if (status !== undefined) {
    const { phase, reason, message, containerStatuses } = status;
    slim.status = { phase };
    if (reason !== undefined) slim.status.reason = reason;
    if (message !== undefined) slim.status.message = message;
    if (containerStatuses !== undefined) slim.status.containerStatuses = containerStatuses;
    const conditions = status.conditions?.filter(({ type }) => keptConditions.has(type)) ?? [];
    if (conditions.length > 0) slim.status.conditions = conditions;
  }
  return slim;
}

const keptConditions = new Set([leaseCondition, suspensionCondition, "DisruptionTarget"]);
const keptAnnotations = [
  annotations.gate,
  annotations.gateOpenedAt,
  annotations.gangSize,
  annotations.wallTimeSeconds,
  annotations.stopped,
  annotations.tasks,
  annotations.leaseSeconds,
  annotations.grant,
  annotations.suspend,
  ...volcanoAnnotations,
  volcanoPodAnnotations.jobVersion,
];
const keptLabels = [
  labels.workload,
  labels.task,
  labels.podSet,
  labels.podIndex,
  labels.attempt,
  coschedulingLabel,
  jobSetLabel,
  replicatedJobLabel,
  volcanoLabels.taskSpec,
];

function ownLabels(has: Record<string, string>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const key of keptLabels) if (has[key] !== undefined) kept[key] = has[key];
  return kept;
}

const claimSources = ["persistentVolumeClaim", "ephemeral"];

/** Of foreign pods what they ask for, besides where they are. */
export function slimPod(pod: Pod): Pod {
  if (pod.metadata.labels?.[labels.workload] !== undefined) return slimOwnPod(pod);
  delete pod.metadata.managedFields;
  const slim = (list: Pod["spec"]["containers"] | undefined): Pod["spec"]["containers"] =>
    (list ?? []).map((container) => {
      const { name, resources, restartPolicy } = container;
      const kept: Container = { name, resources };
      if (restartPolicy !== undefined) kept["restartPolicy"] = restartPolicy;
      const ports = portsOf(container);
      if (ports.length > 0) kept["ports"] = ports;
      return kept;
    });
  const { affinity, containers, initContainers, nodeName, overhead, resources, schedulerName } = pod.spec;
  const { schedulingGates, workloadRef, resourceClaims } = pod.spec;
  const volumes =
    pod.spec.volumes?.filter((volume) => claimSources.some((source) => volume[source] !== undefined)) ?? [];
  pod.spec = {
    nodeName,
    schedulerName,
    containers: slim(containers),
    ...(initContainers === undefined ? {} : { initContainers: slim(initContainers) }),
    ...(overhead === undefined ? {} : { overhead }),
    ...(resources === undefined ? {} : { resources }),
    ...(schedulingGates === undefined ? {} : { schedulingGates }),
    ...(workloadRef === undefined ? {} : { workloadRef }),
    ...(resourceClaims === undefined ? {} : { resourceClaims }),
    ...(volumes.length === 0 ? {} : { volumes }),
  };
  if (affinity?.["podAntiAffinity"] !== undefined) pod.spec.affinity = { podAntiAffinity: affinity["podAntiAffinity"] };
  return pod;
}

/** Of index `host`: whose pods these are, see {@link hostsOf}. */
export function hostKey(namespace: string | undefined, host: string): string {
  return `${namespace}|${host}`;
}

/** Starts all informers; await their `synced`. */
export function startStores(client: Client, log: Log, signal: AbortSignal): Stores {
  const onError = (error: unknown): void => {
    if (!signal.aborted) log("warn", `watching failed, and is begun again: ${(error as Error).message}`);
  };
  const common = { client, signal, onError };
  return {
    workloads: new Informer<Workload>({
      ...common,
      resource: workloads,
      transform: withoutManagedFields,
      indexers: {
        host: (workload) => {
          const host = hostOf(workload);
          return host === undefined ? [] : [hostKey(workload.metadata.namespace, host)];
        },
      },
    }),
    pods: new Informer<Pod>({
      ...common,
      resource: resources.pods,
      transform: slimPod,
      indexers: {
        host: (pod) => hostsOf(pod).map((host) => hostKey(pod.metadata.namespace, host)),
        volcano: ({ metadata }) => {
          const app = metadata.labels?.["app"] ?? "";
          return app.startsWith("volcano-") ? [app] : [];
        },
      },
    }),
    nodes: new Informer<Node>({ ...common, resource: resources.nodes, transform: slimNode }),
    queues: new Informer<Queue>({ ...common, resource: queues, transform: withoutManagedFields }),
    accounts: new Informer<Account>({ ...common, resource: accounts, transform: withoutManagedFields }),
    memberships: new Informer<Membership>({
      ...common,
      resource: memberships,
      transform: withoutManagedFields,
      indexers: { user: (membership) => [membership.spec.user] },
    }),
    qualitiesOfService: new Informer<QualityOfService>({
      ...common,
      resource: qualitiesOfService,
      transform: withoutManagedFields,
    }),
    reservations: new Informer<Reservation>({ ...common, resource: reservations, transform: withoutManagedFields }),
    sites: new Informer<Site>({ ...common, resource: sites, transform: withoutManagedFields }),
    namespaces: new Informer({
      ...common,
      resource: resources.namespaces,
      transform: withoutManagedFields,
      indexers: { owner: ({ metadata }) => [metadata.annotations?.[annotations.owner] ?? ""] },
    }),
  };
}

export async function storesSynced(stores: Stores): Promise<void> {
  await Promise.all(Object.values(stores).map((informer: Informer) => informer.synced));
}
