/** From objects to the integers and names of `scheduling`. Pure. */
import type { Amounts, Queue, Site, Workload } from "@berth/kinds";
import {
  defaultGraceSeconds,
  effectiveRequests,
  namedNodes,
  selectorOf,
  startAllowanceSeconds,
  vectorOf,
} from "@berth/kinds";
import type { DependencyInput, DependencyOutcome, JobInput, PodSetInput, TopologyInput } from "@berth/scheduling";
import type { Claims } from "../claims/claims.ts";
import { seconds } from "../context.ts";
import { runsOf } from "../model/array-book.ts";
import type { WorkloadRecord } from "../model/record.ts";
import { hostOf, wrappedPodOf } from "../model/wrapped-pod.ts";
import { holdingsOf } from "./holdings.ts";
import { refusingNodes } from "./rejections.ts";
import { classOfPod, labelsOfPods, rulesOf } from "./pod-rules.ts";

export function graceSecondsOf(workload: Workload, site: Site | undefined): number {
  return workload.spec.graceSeconds ?? site?.spec.graceSeconds ?? defaultGraceSeconds;
}

/** Start allowance, of gangs only: a lone pod's wall time begins with it. */
export function allowanceSecondsOf(workload: Workload): number {
  return isGang(workload) ? startAllowanceSeconds : 0;
}

export function isGang(workload: Workload): boolean {
  const { podSets } = workload.spec;
  return podSets.length > 1 || podSets[0]!.count > 1;
}

function podSetInputs(workload: Workload, { queue, resources, mentioned, claims }: JobContext): PodSetInput[] {
  const namespace = workload.metadata.namespace ?? "";
  return workload.spec.podSets.map(({ count, minCount, template }): PodSetInput => {
    const demand = claims?.demandOf(namespace, template.spec, queue.spec);
    const { spec, requests, terms, nodes, singleClaims } = demand ?? { spec: template.spec };
    const podSet: PodSetInput = {
      count,
      minCount,
      request: vectorOf({ ...effectiveRequests(spec, queue.spec), ...requests }, resources),
      selector: selectorOf(spec, queue.spec, terms),
      ...(nodes === undefined ? {} : { nodes }),
    };
    const holdings = holdingsOf(spec, singleClaims);
    const rules = rulesOf(spec, namespace, queue.spec, holdings);
    if (rules !== undefined) podSet.rules = rules;
    const podClass = classOfPod(labelsOfPods(template, queue.spec), namespace, mentioned, holdings);
    if (podClass !== undefined) podSet.podClass = podClass;
    return podSet;
  });
}

function topologyOf(placement: Workload["spec"]["placement"]): TopologyInput | undefined {
  const { requiredTopology, preferredTopology } = placement ?? {};
  if (requiredTopology !== undefined) return { level: requiredTopology, mode: "Required" };
  return preferredTopology === undefined ? undefined : { level: preferredTopology, mode: "Preferred" };
}

/** Nodes that the job names: by placement, or by the selectors of its pods. */
function nodesOf(workload: Workload): readonly string[] | undefined {
  const named = workload.spec.podSets
    .map((podSet) => namedNodes(podSet.template.spec))
    .find((names) => names !== undefined);
  const placed = workload.spec.placement?.nodes;
  if (named === undefined) return placed;
  return placed === undefined ? named : named.filter((name) => placed.includes(name));
}

export interface JobContext {
  resources: readonly string[];
  /** What pods ask for by the names of other objects. */
  claims?: Pick<Claims, "demandOf">;
  queue: Queue;
  site: Site | undefined;
  /** Labels of pods by which some rule selects. */
  mentioned: ReadonlySet<string>;
  /** What became of a job that the core may not hold; undefined: nothing is known of it. */
  outcomeOf: (jobId: number) => { outcome: DependencyOutcome | undefined; task?: number };
}

/** The pending part of an admitted Workload. */
export function jobInput(record: WorkloadRecord, context: JobContext): JobInput {
  const { workload } = record;
  const { spec, status = {}, metadata } = workload;
  const { placement } = spec;
  return {
    id: record.jobId!,
    user: status.identity?.user ?? spec.user ?? "",
    account: status.account,
    name: spec.jobName,
    queues: [status.queue ?? context.queue.metadata.name],
    submitTime: seconds(status.submitTime ?? metadata.creationTimestamp) ?? 0,
    nice: spec.nice,
    qos: status.qos,
    reservation: spec.reservation,
    // A pod that its user made cannot be made again.
    ...(spec.requeue?.onPreemption === false || wrappedPodOf(workload) !== undefined ? { requeue: false } : {}),
    // What others make and remove is told by others.
    ...(hostOf(workload) !== undefined || wrappedPodOf(workload) !== undefined ? { neverSuspends: true } : {}),
    podSets: podSetInputs(workload, context),
    nodes: nodesOf(workload),
    excludedNodes: excludedNodesOf(record),
    podsPerNode: placement?.podsPerNode,
    exclusive: placement?.exclusive,
    placement: placement?.policy,
    topology: topologyOf(placement),
    numa: placement?.topology === "Numa" ? true : undefined,
    licences: spec.licences,
    wallTimeSeconds: wallTimeOf(workload),
    minWallTimeSeconds: spec.minWallTimeSeconds,
    overheadSeconds: allowanceSecondsOf(workload) + graceSecondsOf(workload, context.site),
    beginTime: seconds(spec.beginTime),
    deadline: seconds(spec.deadline),
    hold: spec.hold,
    blocked:
      record.blocked !== undefined
        ? "InvalidTemplate"
        : claimProblem(workload, context) === undefined
          ? undefined
          : "Claims",
    dependencies:
      spec.dependencies === undefined
        ? undefined
        : { any: spec.dependencies.any, of: dependencyInputs(workload, context) },
    array:
      record.book === undefined
        ? undefined
        : {
            pending: runsOf(record.book.pending),
            maxRunning: spec.array?.maxRunning,
            ended: { ok: runsOf(record.book.succeeded), notOk: runsOf(record.book.notSucceeded) },
          },
  };
}

/** What claims of its pods lack, in words. */
export function claimProblem(
  { spec, metadata: { namespace = "" } }: Workload,
  { claims, queue }: Pick<JobContext, "claims" | "queue">,
): string | undefined {
  if (claims === undefined) return undefined;
  for (const { template } of spec.podSets) {
    const problem = claims.demandOf(namespace, template.spec, queue.spec)?.problem;
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function excludedNodesOf(record: WorkloadRecord): readonly string[] | undefined {
  const { excludedNodes } = record.workload.spec.placement ?? {};
  if (record.refusedBy.size === 0) return excludedNodes;
  return [...(excludedNodes ?? []), ...refusingNodes(record)];
}

/** Wall time in force: what is asked, which admission and the policy for changes have let pass, or as resolved at admission. */
export function wallTimeOf({ spec, status }: Workload): number {
  return spec.wallTimeSeconds ?? status?.wallTimeSeconds ?? 0;
}

function dependencyInputs(workload: Workload, context: JobContext): DependencyInput[] {
  return workload.spec.dependencies!.of.map(({ type, job, task, delaySeconds }): DependencyInput => {
    if (job === undefined) return { type };
    const known = context.outcomeOf(job);
    // The id of an array's element names that element of the array.
    return {
      type,
      job: known.task === undefined ? job : job - known.task,
      task: task ?? known.task,
      delaySeconds,
      outcome: known.outcome,
    };
  });
}

/** Sum of two vectors' amounts by name, for what foreign pods use. */
export function addAmounts(to: Amounts, amounts: Amounts, sign: 1 | -1): void {
  for (const [resource, amount] of Object.entries(amounts)) to[resource] = (to[resource] ?? 0) + sign * amount;
}
