import { mostForOnePod } from "./devices.ts";
import { scarceLicence } from "./licences.ts";
import { mayUse, podsAtStep } from "./shape.ts";
import type { Group, Variant } from "./shape.ts";
import { overall } from "./dependencies.ts";
import type { NodeRecord } from "./nodes.ts";
import { placeEarliest } from "./earliest.ts";
import { applyCharges } from "./charges.ts";
import { compareJobs } from "./priority.ts";
import { mostRunning, pendingTasks } from "./records.ts";
import type { JobRecord, Placement } from "./records.ts";
import { windowBefore, windowBehind } from "./reservation-blocks.ts";
import { wouldHaveToSuspend } from "./preemption-rules.ts";
import { isRuled } from "./rule-views.ts";
import { storeOf } from "./store.ts";
import { isInTheWay } from "./suspensions.ts";
import type { ClusterStore } from "./store.ts";
import { roomByDomain } from "./topology.ts";
import type { Pick } from "./topology.ts";
import type { Explanation } from "./explanation-types.ts";
import type { ClusterState } from "./state-types.ts";
import type { Time, WaitReason } from "./types.ts";

const waitsForRoom = new Set<WaitReason>([
  "None",
  "Resources",
  "Priority",
  "ReservedForMaintenance",
  "ReservedForOthers",
  "Licenses",
]);

/**
 * The numbers behind the reason that a waiting job was given by the last `decide`; undefined if it does not wait. Costs about
 * one look at every node, so ask for the jobs that somebody reads about.
 */
export function explain(state: ClusterState, id: number, now: Time): Explanation | undefined {
  const store = storeOf(state);
  store.tick(now);
  store.advance.settle();
  const job = store.jobs.get(id);
  if (job === undefined || pendingTasks(job) === 0) return undefined;
  const variant = job.class.shape.open[0] ?? job.class.shape.variants[0]!;
  const { group, ...free } = tightest(store, job, variant);
  const result: Explanation = {
    job: id,
    reason: job.reason,
    queue: job.reservation?.queue ?? variant.queue,
    pods: free.pods,
    perPod: { request: group.request.slice(), mostFree: free.mostFree, largest: free.largest },
    nodes: free.nodes,
    ...(free.topology === undefined ? {} : { topology: free.topology }),
    ...(group.needs?.numa === true ? { numa: true } : {}),
  };
  const short = group.asked.find((resource) => free.mostFree[resource]! < group.request[resource]!);
  if (short !== undefined) result.short = short;
  if (free.pods.fitting >= free.pods.needed && isRuled(store, job.class.shape)) result.rules = true;
  if (waitsForRoom.has(job.reason) && wouldHaveToSuspend(store, job.class)) result.cannotSuspend = true;
  if (waitsForRoom.has(job.reason) || job.reservation !== undefined) addStart(store, job, result);
  addCauses(store, job, result);
  return result;
}

interface Free {
  group: Group;
  pods: { needed: number; fitting: number };
  nodes: { usable: number; fitting: number };
  mostFree: number[];
  largest: number[];
  topology?: Explanation["topology"];
}

/** What is free now for the group of pods that lacks most. */
function tightest(store: ClusterStore, job: JobRecord, variant: Variant): Free {
  const all = variant.groups.map((group) => freeFor(store, job, variant, group));
  const share = ({ pods }: Free): number => pods.fitting / pods.needed;
  const least = all.reduce((best, next) => (share(next) < share(best) ? next : best));
  if (all.length === 1) return least;
  // In pods of the whole job: those that lack nothing are counted as fitting.
  const needed = all.reduce((sum, { pods }) => sum + pods.needed, 0);
  const fitting = all.reduce((sum, { pods }) => sum + Math.min(pods.fitting, pods.needed), 0);
  return { ...least, pods: { needed, fitting } };
}

function freeFor(store: ClusterStore, job: JobRecord, variant: Variant, group: Group): Free {
  const width = store.resources.length;
  const mostFree = Array.from({ length: width }, () => 0);
  const largest = mostFree.slice();
  const nodes = { usable: 0, fitting: 0 };
  let fitting = 0;
  const { shape } = job.class;
  const domains =
    shape.input.topology?.mode === "Required" ? store.topology.domains(shape.input.topology.level) : undefined;
  const options: Pick[] = [];
  for (const node of store.table.nodes) {
    if (!mayUse(node, shape, variant, group, store) || domains?.of[node.index] === -1) continue;
    const { timeline, capacity } = node;
    const step = timeline.stepAt(store.now);
    const pods = podsAtStep(node, step, group, group.perNode);
    nodes.usable += 1;
    if (pods > 0) nodes.fitting += 1;
    fitting += pods;
    options.push([node, pods]);
    const free = timeline.free.slice(step * timeline.width, (step + 1) * timeline.width);
    const ofPod = group.needs === undefined ? free : mostForOnePod(free, node.details, group.needs, width);
    const atAll = group.needs === undefined ? capacity : mostForOnePod(capacity, node.details, group.needs, width);
    for (let index = 0; index < width; index += 1) {
      mostFree[index] = Math.max(mostFree[index]!, ofPod[index]!);
      largest[index] = Math.max(largest[index]!, atAll[index]!);
    }
  }
  const found: Free = { group, pods: { needed: group.minPods, fitting }, nodes, mostFree, largest };
  if (domains === undefined) return found;
  const { level } = shape.input.topology!;
  found.topology = { level, fitting: 0 };
  for (const [domain, room] of roomByDomain(domains, options)) {
    if (room > found.topology.fitting) found.topology = { level, domain: domains.nameOf(domain), fitting: room };
  }
  return { ...found, pods: { needed: group.minPods, fitting: found.topology.fitting } };
}

function addStart(store: ClusterStore, job: JobRecord, result: Explanation): void {
  const kept = job.reservation ?? job.claims?.[0];
  let placement: (Placement & { start: Time }) | undefined = kept;
  if (placement === undefined) {
    for (const variant of job.class.shape.open) {
      const found = placeEarliest(store, job.class.shape, variant, placement?.start ?? Infinity);
      if (found === undefined) continue;
      applyCharges(store.table, found.charges, found.start, found.start + job.class.shape.slotSeconds, 1);
      placement = found;
    }
  }
  if (placement === undefined) return;
  const nodes = [...new Set(placement.charges.map(({ node }) => node))];
  result.start = {
    time: placement.start,
    nodes: nodes.filter((node) => node !== store.table.licences).map(({ name }) => name),
    reserved: placement === kept,
  };
  if (placement.start > store.now) {
    // What a reservation of others keeps from it last, no job gives it.
    const window = windowBefore(store, job.class.shape, placement);
    const last = window === undefined ? lastBefore(nodes, placement.start, job) : undefined;
    if (last !== undefined) result.waitsFor = last;
  }
}

/** The job that leaves one of the nodes last before a time. */
function lastBefore(nodes: NodeRecord[], time: Time, waiting: JobRecord): Explanation["waitsFor"] {
  let last: NonNullable<Explanation["waitsFor"]> | undefined;
  const consider = (job: JobRecord, task: number | undefined, endTime: Time, node: NodeRecord): void => {
    if (endTime > time || job === waiting) return;
    const later = last === undefined || endTime > last.endTime;
    if (!later && !(endTime === last!.endTime && job.id < last!.job)) return;
    last = { job: job.id, ...(task === undefined ? {} : { task }), endTime, node: node.name };
  };
  for (const node of nodes) {
    for (const run of node.runs) consider(run.job, run.task, run.end, node);
    for (const job of node.reserved) {
      if (job.reservation !== undefined) consider(job, job.array?.pending.first(), job.reservation.end, node);
    }
  }
  return last;
}

function addCauses(store: ClusterStore, job: JobRecord, result: Explanation): void {
  if (job.claims !== undefined) {
    const runs = job.claims.flatMap(({ victims }) => victims.filter(isInTheWay));
    result.preempts = runs.flatMap(({ job: { id }, tasks, task: only }) =>
      [...(tasks ?? [only])].map((task) => (task === undefined ? { job: id } : { job: id, task })),
    );
  }
  if (job.preempted !== undefined) result.preempted = job.preempted;
  const ahead = [...store.heads].filter(
    (head) => head !== job && compareJobs(store, head, job) < 0 && head.input.queues.includes(result.queue ?? ""),
  );
  if ((result.reason === "Resources" || result.reason === "Priority") && ahead.length > 0) {
    result.behind = ahead.reduce((first, next) => (compareJobs(store, next, first) < 0 ? next : first)).id;
  }
  const window = windowBehind(store, job, result.reason);
  if (window !== undefined) result.window = window;
  if (result.reason === "BeginTime" && job.input.beginTime !== undefined) result.until = job.input.beginTime;
  if (result.reason === "Dependency" || result.reason === "DependencyNeverSatisfied") {
    const { readyAt } = overall(job, store.now);
    if (readyAt !== undefined) result.until = readyAt;
    const open = job.dependencies.filter(
      ({ status, input }) => status !== "Met" || input.type === "AfterCorr" || input.delaySeconds !== undefined,
    );
    const ids = open.flatMap(({ input }) => (input.job === undefined ? [] : [input.job]));
    if (open.some(({ input }) => input.type === "Singleton")) ids.push(...store.links.namesakesBefore(job));
    result.dependsOn = [...new Set(ids)];
  }
  if (result.reason === "ArrayTaskLimit" && job.array !== undefined) result.limit = mostRunning(job);
  if (result.reason === "Licenses") result.licence = scarceLicence(store.table, job.class.shape, store.now);
  if (job.class.limitHit !== undefined && result.reason === job.class.obstacle) result.limitHit = job.class.limitHit;
  if (job.class.shape.limit !== undefined && result.reason === job.class.shape.obstacle) {
    result.limit = job.class.shape.limit;
  }
}
