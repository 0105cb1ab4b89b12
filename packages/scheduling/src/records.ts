import type { PreemptMode } from "./account-types.ts";
import type { Claim } from "./claims.ts";
import type { JobClass } from "./classes.ts";
import { amountsOfGrant } from "./devices.ts";
import { licenceCharge } from "./licences.ts";
import type { NodeRecord, NodeTable } from "./nodes.ts";
import type { PodGrant } from "./placement-types.ts";
import type { RunGroup } from "./preemption-rules.ts";
import { RunSet } from "./runs.ts";
import type { Suspension } from "./suspensions.ts";
import type { Rate } from "./usage.ts";
import type { Allocation, DependencyInput, JobInput, Reservation, TaskRuns, Time, WaitReason } from "./types.ts";

/** What a job takes of one node; released by the same numbers, whatever became of the node meanwhile. */
export interface Charge {
  node: NodeRecord;
  amounts: number[];
}

export interface Placement {
  charges: Charge[];
  /** Node of each pod, by pod set. */
  nodes: NodeRecord[][];
  /** Devices and domains of each pod; absent where none asks for any. */
  grants?: (PodGrant | null)[][];
  queue: string;
}

export interface Run extends Placement {
  job: JobRecord;
  task: number | undefined;
  /** Of a lease: its tasks that have not ended. */
  tasks?: Set<number>;
  /** In a forecast: tasks that began together, each in a place of its own, and will end so. */
  together?: TaskRuns;
  start: Time;
  /** End of the slot as granted, and the end that is assumed now (later once it is overdue). */
  slotEnd: Time;
  end: Time;
  /** What it is charged, and from when on it is charged to those to whom it belongs now. */
  rate: Rate;
  chargedFrom: Time;
  /** Its state is saved up to then. */
  checkpoint?: Time;
  /** It was told to make room. */
  preempted?: { by: number; mode: Exclude<PreemptMode, "Off"> };
  /** It stands still for another, or is told to. */
  suspended?: Suspension;
  /** It stands still: its rate is without what is billed. */
  isUnbilled?: boolean;
  /** What it was charged before `chargedFrom`. */
  chargedBefore?: { from: Time; to: Time; rate: Rate }[];
  group?: RunGroup;
  alive: boolean;
}

/** How many pods of a gang would fit at each time before its reservation: `sums[j]` from `times[j]` on. An upper bound. */
export interface Levels {
  times: Time[];
  sums: number[];
}

export interface ReservationRecord extends Placement {
  start: Time;
  end: Time;
  /** Of a gang of one group on several nodes. */
  levels?: Levels;
  /** Place among the jobs that held one, in the order in which the last pass came to them. */
  place: number;
  /** How far the gains of nodes were taken into account when it was last planned or looked at. */
  testedAt: number;
}

export interface DependencyRecord {
  input: DependencyInput;
  status: "Waiting" | "Met" | "Never";
  /** With a delay: met from then on. */
  readyAt?: Time;
}

export interface ArrayRecord {
  pending: RunSet;
  /** Pending tasks whose fellow (AfterCorr) has not ended well yet, and those whose fellow never will. */
  blocked: RunSet;
  never: RunSet;
  maxRunning: number;
  ok: RunSet;
  notOk: RunSet;
}

export interface JobRecord {
  readonly id: number;
  input: JobInput;
  class: JobClass;
  /** In its class's list, that is, nothing of its own keeps it from starting. */
  listed: boolean;
  expired: boolean;
  array: ArrayRecord | undefined;
  dependencies: DependencyRecord[];
  /** Ids of jobs with a dependency on this one. */
  dependents: Set<number> | undefined;
  /** By task; -1 outside arrays. Those of a lease share theirs; those that began together have one, by the first of them. */
  runs: Map<number, Run> | undefined;
  /** How many more tasks than places `runs` has; below 0 where tasks began together. */
  sharing: number;
  lastStart: Time | undefined;
  reservation: ReservationRecord | undefined;
  /** A reservation taken out of the timelines for a moment; put back if it still fits. */
  lifted: ReservationRecord | undefined;
  /** Places that others are leaving for it. */
  claims: Claim[] | undefined;
  /** By whom and when it was preempted last, and by whom ever. */
  preempted: { by: number; time: Time } | undefined;
  preemptedBy: Set<number> | undefined;
  /** Why it waits although it is its turn, if only for what an advance reservation keeps from it. */
  block: WaitReason | undefined;
  /** Tasks that are counted as submitted. */
  counted: number;
  /** As last told. */
  reason: WaitReason;
  reported: Pick<ReservationRecord, "start" | "queue" | "nodes"> | undefined;
}

export function pendingTasks(job: JobRecord): number {
  if (job.array !== undefined) return job.array.pending.size + job.array.blocked.size + job.array.never.size;
  return job.runs === undefined || job.runs.size === 0 ? 1 : 0;
}

/** Each once: tasks of a lease share one. */
export function runsOf(job: JobRecord): Iterable<Run> {
  if (job.runs === undefined) return [];
  return job.sharing > 0 ? new Set(job.runs.values()) : job.runs.values();
}

/** Starts of an array that run, or for which others make room. */
export function runningNow({ runs, sharing, claims }: JobRecord): number {
  return (runs?.size ?? 0) - sharing + (claims?.length ?? 0);
}

/** How many of them there may be at once. */
export function mostRunning({ array, input }: JobRecord): number {
  return Math.min(array?.maxRunning ?? Infinity, input.lease?.atMost ?? Infinity);
}

/** A job that waits and of which nothing is known but its input. */
export function newRecord(input: JobInput, jobClass: JobClass): JobRecord {
  return {
    id: input.id,
    input: { ...input, podSets: jobClass.shape.podSets, array: undefined },
    class: jobClass,
    listed: false,
    expired: false,
    array: input.array === undefined ? undefined : newArray(input.array),
    dependencies: [],
    dependents: undefined,
    runs: undefined,
    sharing: 0,
    lastStart: undefined,
    reservation: undefined,
    lifted: undefined,
    claims: undefined,
    preempted: undefined,
    preemptedBy: undefined,
    block: undefined,
    counted: 0,
    reason: "None",
    reported: undefined,
  };
}

/** As it is once it runs: on the nodes themselves, not on the views of them that its reservation gives it. */
export function onNodes(placement: Placement): Placement {
  const { charges, nodes, ...rest } = placement;
  if (!charges.some(({ node }) => node.reservation !== undefined)) return placement;
  const home = (node: NodeRecord): NodeRecord => node.views?.all[0] ?? node;
  return {
    ...rest,
    charges: charges.map(({ node, amounts }) => ({ node: home(node), amounts })),
    nodes: nodes.map((set) => set.map(home)),
  };
}

/** What a job takes of the nodes that it was given by others, by pod set; nodes that are not known count for nothing. */
export function placementOf(table: NodeTable, job: JobRecord, allocation: Allocation): Placement {
  const { shape } = job.class;
  const { groups } = shape.variants[0]!;
  const amounts = new Map<NodeRecord, number[]>();
  const free = new Map<NodeRecord, number[]>();
  const grants: (PodGrant | null)[][] = [];
  const nodes = allocation.nodes.map((ofSet, set) => {
    const group = groups[shape.groupOf[set] ?? -1];
    const granted: (PodGrant | null)[] = (grants[set] = []);
    return ofSet.flatMap((name, pod) => {
      const node = table.byName.get(name);
      if (node === undefined) return [];
      const sum = amounts.get(node) ?? node.capacity.map(() => 0);
      let taken: readonly number[] = group?.request ?? [];
      if (group?.needs !== undefined) {
        const start = Math.max(allocation.startTime, node.timeline.times[0]!);
        const least = free.get(node) ?? node.timeline.leastFree(start, allocation.endTime);
        free.set(node, least);
        const told = allocation.grants?.[set]?.[pod];
        const found = amountsOfGrant(told, least, node.details, group.needs, group.request);
        taken = found.amounts;
        granted.push(found.grant);
      }
      amounts.set(
        node,
        job.input.exclusive === true ? node.capacity.slice() : sum.map((amount, index) => amount + (taken[index] ?? 0)),
      );
      return [node];
    });
  });
  const charges = [...amounts].map(([node, taken]): Charge => ({ node, amounts: taken }));
  const licences = job.input.licences === undefined ? undefined : licenceCharge(table, job.input.licences);
  if (licences !== undefined) charges.push(licences);
  const needs = groups.some((group) => group.needs !== undefined);
  return { charges, nodes, ...(needs ? { grants } : {}), queue: allocation.queue ?? job.input.queues[0] ?? "" };
}

/** `before`: the array as it was, whose ended tasks stay known where the input does not tell them. */
export function newArray(input: NonNullable<JobInput["array"]>, before?: ArrayRecord): ArrayRecord {
  return {
    pending: new RunSet(input.pending),
    blocked: new RunSet(),
    never: new RunSet(),
    maxRunning: input.maxRunning ?? Infinity,
    ok: input.ended?.ok === undefined ? (before?.ok ?? new RunSet()) : new RunSet(input.ended.ok),
    notOk: input.ended?.notOk === undefined ? (before?.notOk ?? new RunSet()) : new RunSet(input.ended.notOk),
  };
}

export function reservationOf(job: JobRecord, reservation: Placement & { start: Time; end: Time }): Reservation {
  const task = job.array?.pending.first();
  return {
    job: job.id,
    ...(task === undefined ? {} : { task }),
    queue: reservation.queue,
    nodes: reservation.nodes.map((set) => set.map((node) => node.name)),
    ...(reservation.grants === undefined ? {} : { grants: reservation.grants }),
    startTime: reservation.start,
    endTime: reservation.end,
  };
}
