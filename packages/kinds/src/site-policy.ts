/**
 * From the kinds that an operator writes to the input of `scheduling`: one mapping for the live controllers and for site files.
 * Pure; what it gives fits the types of `scheduling` by shape, in its units: whole seconds, milli-cpu, bytes, counts.
 */
import type { Account, Membership } from "./account.ts";
import { defaultGraceSeconds } from "./constants.ts";
import type { Limits } from "./limits.ts";
import { deviceParts, isDevice, numaDomainsOf, partedGpu, partialGpu } from "./devices.ts";
import type { NumaDomains } from "./devices.ts";
import { capacityOf, isReady, type Node } from "./node.ts";
import type { ResourceList } from "./pod.ts";
import type { PreemptionMode, QualityOfService } from "./quality-of-service.ts";
import type { Queue } from "./queue.ts";
import { type Amounts, amountsOf } from "./requests.ts";
import type { Reservation } from "./reservation.ts";
import { nodeClassOf, queueSelectorOf } from "./selectors.ts";
import type { Site } from "./site.ts";
import { windowShifts } from "./time-zone.ts";

/** Keys of domains that are no labels: each node by itself, and all nodes together. */
export const nodeDomain = "the node";
export const clusterDomain = "the cluster";

/** Resources that every state has, by index; extended ones (devices, with a `/` in their name) follow in order. */
const basicResources = ["cpu", "memory", "pods"] as const;

/** All resources of these nodes, in the order of the vectors. */
export function resourcesOf(nodes: Iterable<Node>): string[] {
  const names = new Set<string>();
  for (const node of nodes) for (const name of Object.keys(capacityOf(node))) if (name.includes("/")) names.add(name);
  return [...basicResources, ...[...names].sort()];
}

export function vectorOf(amounts: Amounts, resources: readonly string[]): number[] {
  return resources.map((resource) => {
    const parts = resource === partedGpu ? (amounts[partialGpu] ?? 0) : 0;
    return (amounts[resource] ?? 0) * partsOf(resource) + parts;
  });
}

/** Parts that `scheduling` counts one of a resource by. */
function partsOf(resource: string): number {
  return isDevice(resource) ? deviceParts : 1;
}

/**
 * @param foreign what pods that are not Berth's use there
 */
export function nodeInput(
  node: Node,
  resources: readonly string[],
  foreign: Amounts = {},
): {
  name: string;
  capacity: number[];
  nodeClass: string;
  state: "Up" | "Drained" | "Down";
  domains?: Record<string, string>;
  numa?: NumaDomains["domains"];
} {
  const amounts = capacityOf(node);
  const used = vectorOf(foreign, resources);
  const { domains: numa } = numaDomainsOf(node, resources);
  const isOut = node.spec?.taints?.some(({ key }) => key === "node.kubernetes.io/out-of-service") === true;
  return {
    name: node.metadata.name,
    capacity: vectorOf(amounts, resources).map((amount, index) => Math.max(0, amount - used[index]!)),
    nodeClass: nodeClassOf(node.metadata.labels, node.spec?.taints),
    state: !isReady(node) || isOut ? "Down" : node.spec?.unschedulable === true ? "Drained" : "Up",
    domains: { ...node.metadata.labels, [nodeDomain]: node.metadata.name, [clusterDomain]: "" },
    ...(numa === undefined ? {} : { numa }),
  };
}

/** Limits by resource index; undefined: none. */
type LimitVector = (number | undefined)[];

interface LimitsInput {
  runningJobs?: number;
  submittedJobs?: number;
  resources?: LimitVector;
  resourceMinutes?: LimitVector;
  runningResourceMinutes?: LimitVector;
  perJob?: { wallTimeSeconds?: number; resources?: LimitVector; resourceMinutes?: LimitVector };
  perUser?: { runningJobs?: number; submittedJobs?: number; resources?: LimitVector };
}

/** What of a resource an operator counts as one, in the unit of the core: a cpu, a GiB, a device. */
function unitOf(resource: string): number {
  return resource === "cpu" ? 1000 : resource === "memory" ? 2 ** 30 : 1;
}

function limitVector(list: ResourceList | undefined, resources: readonly string[]): LimitVector | undefined {
  if (list === undefined) return undefined;
  const amounts = amountsOf(list);
  return resources.map((resource) => {
    const amount = amounts[resource];
    return amount === undefined ? undefined : amount * partsOf(resource);
  });
}

function minutesVector(
  minutes: Record<string, number> | undefined,
  resources: readonly string[],
): LimitVector | undefined {
  if (minutes === undefined) return undefined;
  return resources.map((resource) => {
    const limit = minutes[resource];
    return limit === undefined ? undefined : limit * unitOf(resource) * partsOf(resource);
  });
}

/** Resource-minutes of the core as limits count them: of cpus, GiB of memory, devices. */
export function resourceMinutesOf(minutes: readonly number[], resources: readonly string[]): Record<string, number> {
  const named = resources.map((resource, index) => {
    return [resource, minutes[index]! / unitOf(resource) / partsOf(resource)] as const;
  });
  return Object.fromEntries(named.filter(([resource]) => resource !== "pods"));
}

function limitsInput(limits: Limits | undefined, resources: readonly string[]): LimitsInput | undefined {
  if (limits === undefined) return undefined;
  const { perJob, perUser } = limits;
  return {
    runningJobs: limits.runningJobs,
    submittedJobs: limits.submittedJobs,
    resources: limitVector(limits.resources, resources),
    resourceMinutes: minutesVector(limits.resourceMinutes, resources),
    runningResourceMinutes: minutesVector(limits.runningResourceMinutes, resources),
    perJob:
      perJob === undefined
        ? undefined
        : {
            wallTimeSeconds: perJob.wallTimeSeconds,
            resources: limitVector(perJob.resources, resources),
            resourceMinutes: minutesVector(perJob.resourceMinutes, resources),
          },
    perUser:
      perUser === undefined
        ? undefined
        : {
            runningJobs: perUser.runningJobs,
            submittedJobs: perUser.submittedJobs,
            resources: limitVector(perUser.resources, resources),
          },
  };
}

/** Weights of one cpu, one GiB, one device as weights of one unit of each resource. */
function weightVector(weights: Record<string, number> | undefined, resources: readonly string[]): number[] | undefined {
  if (weights === undefined) return undefined;
  return resources.map((resource) => (weights[resource] ?? 0) / unitOf(resource) / partsOf(resource));
}

/** What a second of these amounts counts in usage, in a queue: billing units, a cpu's by default. */
export function billingOf(amounts: Amounts, queue: Queue, site: Site | undefined, qos?: QualityOfService): number {
  const weights = queue.spec.billingWeights ?? site?.spec.billingWeights ?? { cpu: 1 };
  let sum = 0;
  for (const [resource, amount] of Object.entries(amounts)) {
    if (resource === partialGpu) sum += ((weights[partedGpu] ?? 0) / deviceParts) * amount;
    sum += ((weights[resource] ?? 0) / unitOf(resource)) * amount;
  }
  return sum * (qos?.spec.usageFactor ?? 1);
}

export function queueInput(
  queue: Queue,
  resources: readonly string[],
  site?: Site,
): {
  name: string;
  tier?: number;
  selector?: string;
  placement?: "Pack" | "Spread";
  state?: "Up" | "Down" | "Drained" | "Inactive";
  maxNodesPerJob?: number;
  maxWallTimeSeconds?: number;
  limits?: LimitsInput;
  priorityFactor?: number;
  qos?: string;
  billingWeights?: number[];
  preemptMode?: PreemptionMode;
  graceSeconds?: number;
  preemptExemptSeconds?: number;
} {
  const { spec } = queue;
  const { preemption } = spec;
  return {
    name: queue.metadata.name,
    tier: spec.tier,
    selector: queueSelectorOf(spec),
    placement: spec.placement,
    state: spec.state,
    maxNodesPerJob: spec.maxNodesPerJob,
    maxWallTimeSeconds: spec.maxWallTimeSeconds,
    limits: limitsInput(spec.limits, resources),
    priorityFactor: spec.priorityFactor,
    qos: spec.qos,
    billingWeights: weightVector(spec.billingWeights ?? site?.spec.billingWeights, resources),
    preemptMode: preemption?.mode,
    graceSeconds:
      preemption?.mode === undefined
        ? undefined
        : (preemption.graceSeconds ?? site?.spec.graceSeconds ?? defaultGraceSeconds),
    preemptExemptSeconds: preemption?.exemptSeconds,
  };
}

/** Of an account that is part of no cycle: see {@link accountProblems}. */
export function accountInput(
  account: Account,
  resources: readonly string[],
): { name: string; parent?: string; shares?: number | "Parent"; limits?: LimitsInput; guaranteed?: number[] } {
  const { spec } = account;
  return {
    name: account.metadata.name,
    parent: spec.parent,
    shares: spec.shares,
    limits: limitsInput(spec.limits, resources),
    guaranteed: spec.guaranteed === undefined ? undefined : vectorOf(amountsOf(spec.guaranteed), resources),
  };
}

export function membershipInput(
  membership: Membership,
  resources: readonly string[],
): { account: string; user: string; shares?: number | "Parent"; limits?: LimitsInput } {
  const { account, user, shares, limits } = membership.spec;
  return { account, user, shares, limits: limitsInput(limits, resources) };
}

export function qualityOfServiceInput(
  qos: QualityOfService,
  resources: readonly string[],
): {
  name: string;
  priority?: number;
  limits?: LimitsInput;
  preempts?: readonly string[];
  preemptMode?: PreemptionMode;
  graceSeconds?: number;
  preemptExemptSeconds?: number;
  usageFactor?: number;
} {
  const { spec } = qos;
  return {
    name: qos.metadata.name,
    priority: spec.priority,
    limits: limitsInput(spec.limits, resources),
    preempts: spec.preempts,
    preemptMode: spec.preemption?.mode,
    graceSeconds: spec.preemption?.graceSeconds,
    preemptExemptSeconds: spec.preemption?.exemptSeconds,
    usageFactor: spec.usageFactor,
  };
}

/** @throws RangeError where its time zone is none */
export function reservationInput(reservation: Reservation): {
  name: string;
  startTime: number;
  durationSeconds: number;
  everySeconds?: number;
  shifts?: readonly { from: number; seconds: number }[];
  nodes?: readonly string[];
  nodeCount?: number;
  selector?: string;
  users?: readonly string[];
  accounts?: readonly string[];
  maintenance?: boolean;
  ignoreJobs?: boolean;
  chosenNodes?: readonly string[];
} {
  const { spec, status, metadata } = reservation;
  // What was accepted as it stands is not refused because a job has outlived its slot since.
  const accepted = status?.conditions?.find(({ type }) => type === "Accepted");
  const isAccepted = accepted?.status === "True" && accepted.observedGeneration === metadata.generation;
  const startTime = Math.floor(Date.parse(spec.startTime) / 1000);
  const { everySeconds, timeZone } = spec;
  return {
    name: metadata.name,
    startTime,
    durationSeconds: spec.durationSeconds,
    everySeconds,
    ...(timeZone === undefined || everySeconds === undefined ? {} : { shifts: windowShifts(startTime, timeZone) }),
    nodes: spec.nodes,
    nodeCount: spec.nodeCount,
    selector: queueSelectorOf(spec),
    users: spec.users,
    accounts: spec.accounts,
    maintenance: spec.maintenance,
    ignoreJobs: spec.ignoreJobs === true || isAccepted,
    chosenNodes: spec.nodeCount === undefined ? undefined : status?.nodes,
  };
}

/** The policy of a cluster whose Site says this; undefined: of one without. Where priority has weights it orders backfilling too. */
export function policyInput(site: Site | undefined): {
  reservationDepth: number;
  backfill: "None" | "Arrival" | "Shortest" | "Priority";
  priority?: NonNullable<Site["spec"]["priority"]>;
} {
  const { reservationDepth = 1, priority } = site?.spec ?? {};
  const isWeighted = Object.values(priority?.weights ?? {}).some((weight) => weight > 0);
  const backfill = site?.spec.backfill ?? (isWeighted ? "Priority" : "Arrival");
  return { reservationDepth, backfill, ...(priority === undefined ? {} : { priority }) };
}

/**
 * What is wrong with the tree of accounts, in words, by the name of the account: it is in a cycle, or its parent is not there. The
 * first are left out of the core; the others are the root's children until their parent comes.
 */
export function accountProblems(
  accounts: Iterable<Account>,
): Map<string, { reason: "Cycle" | "UnknownParent"; message: string }> {
  const parents = new Map<string, string | undefined>();
  for (const { metadata, spec } of accounts) parents.set(metadata.name, spec.parent);
  const problems = new Map<string, { reason: "Cycle" | "UnknownParent"; message: string }>();
  for (const [name, parent] of parents) {
    if (parent !== undefined && !parents.has(parent)) {
      problems.set(name, {
        reason: "UnknownParent",
        message: `there is no account ${parent}; until it is made, ${name} is a child of the root`,
      });
      continue;
    }
    const way = [name];
    for (let above = parent; above !== undefined && !way.slice(1).includes(above); above = parents.get(above)) {
      way.push(above);
      if (above !== name) continue;
      problems.set(name, { reason: "Cycle", message: `is its own ancestor: ${way.join(" in ")}; change one parent` });
      break;
    }
  }
  return problems;
}
