import type { ReservationEntry } from "./advance-reservations.ts";
import { applyCharges } from "./charges.ts";
import type { Claim } from "./claims.ts";
import type { JobClass } from "./classes.ts";
import type { NodeRecord } from "./nodes.ts";
import { obstacleOf } from "./obstacles.ts";
import { runsOf } from "./records.ts";
import type { JobRecord, Placement, ReservationRecord, Run } from "./records.ts";
import { mayFitNow } from "./room.ts";
import type { ClusterStore } from "./store.ts";
import { applyRun } from "./suspensions.ts";
import type { QueueInput } from "./types.ts";
import type { Meter } from "./usage.ts";

/** So many nodes, jobs or runs are a piece of the work. */
const pieceSize = 200;

/** All of a state that changes, as it was at one moment: nothing of it is written to by the state that it was taken of. */
interface Image extends Pick<ClusterStore, "now" | "licences"> {
  levels: readonly string[];
  gained: boolean;
  queues: QueueInput[];
  nodes: (Pick<NodeRecord, "input" | "state" | "capacity" | "details"> & { isLicences: boolean })[];
  reservations: ReservationEntry[];
  meters: Map<string, Meter>;
  /** What was told of classes. */
  classes: Map<JobClass, Pick<JobClass, "obstacle" | "block">>;
  /** In their own classes still. */
  jobs: JobRecord[];
  planned: Map<JobRecord, { kept: ReservationRecord; isLifted: boolean }>;
  /** `original`: by which claims name it. */
  runs: { job: JobRecord; run: Run; original: Run }[];
  claims: Claim[];
  heads: number[];
  touched: number[];
}

/**
 * Gives an empty store the same future as another, sharing nothing that changes. All that is needed of the other is taken down in
 * the first step, which costs little a job; the others may wait while it goes on.
 */
export function* copyState(from: ClusterStore, copy: ClusterStore): Generator<undefined, void> {
  const image = imageOf(from);
  copy.now = image.now;
  copy.topology.levels = image.levels;
  copy.licences = image.licences;
  for (const queue of image.queues) copy.putQueue(queue);
  copy.accounts.copy(from.accounts);
  yield;
  yield* build(image, copy);
}

function imageOf(from: ClusterStore): Image {
  const jobs: JobRecord[] = [];
  const planned: Image["planned"] = new Map();
  const runs: Image["runs"] = [];
  for (const original of from.jobs.values()) {
    const job = { ...original };
    jobs.push(job);
    const { array, dependencies, dependents, preemptedBy, reservation, lifted } = original;
    if (array !== undefined) {
      const { pending, blocked, never, ok, notOk } = array;
      job.array = {
        ...array,
        pending: pending.copy(),
        blocked: blocked.copy(),
        never: never.copy(),
        ok: ok.copy(),
        notOk: notOk.copy(),
      };
    }
    if (dependencies.length > 0) job.dependencies = Array.from(dependencies, (one) => ({ ...one }));
    if (dependents !== undefined) job.dependents = new Set(dependents);
    if (preemptedBy !== undefined) job.preemptedBy = new Set(preemptedBy);
    const kept = reservation ?? lifted;
    if (kept !== undefined) {
      planned.set(job, { kept: { ...kept, levels: undefined }, isLifted: lifted !== undefined });
    }
    for (const run of runsOf(original)) {
      const suspended = run.suspended && { ...run.suspended };
      runs.push({ job, run: { ...run, suspended, tasks: run.tasks && new Set(run.tasks) }, original: run });
    }
  }
  const claims: Claim[] = [];
  for (const claim of from.claims) {
    if (from.jobs.get(claim.job.id) === claim.job && claim.class === claim.job.class) claims.push({ ...claim });
  }
  return {
    now: from.now,
    licences: from.licences,
    levels: from.topology.levels,
    gained: from.plan.gained,
    queues: [...from.queues.values()],
    nodes: from.table.nodes.flatMap((node) => {
      const { input, state, capacity, details } = node;
      if (node.reservation !== undefined) return [];
      return { input, state, capacity, details, isLicences: node === from.table.licences };
    }),
    reservations: from.advance.copyOfEntries(),
    meters: from.accounts.copyOfMeters(),
    classes: new Map(from.classTable.classes.values().map((of) => [of, { obstacle: of.obstacle, block: of.block }])),
    jobs,
    planned,
    runs,
    claims,
    heads: Array.from(from.heads, ({ id }) => id),
    touched: Array.from(from.touched, ({ id }) => id),
  };
}

function* build(image: Image, copy: ClusterStore): Generator<undefined, void> {
  const { table, jobs } = copy;
  let done = 0;
  const isPiece = (): boolean => (done += 1) % pieceSize === 0;
  const own = <P extends Placement>(placement: P): P => ({
    ...placement,
    charges: placement.charges.map(({ node, amounts }) => ({ node: table.twin(node), amounts })),
    nodes: placement.nodes.map((set) => set.map((node) => table.twin(node))),
  });
  for (const { input, state, capacity, details, isLicences } of image.nodes) {
    if (isLicences) table.putLicences(image.licences, image.now);
    else table.put(input, state, capacity.slice(0, table.width), image.now, details);
    if (isPiece()) yield;
  }
  copy.advance.copy(image.reservations);
  yield;
  const classes = new Map<JobClass, JobClass>();
  for (const job of image.jobs) {
    let jobClass = classes.get(job.class);
    if (jobClass === undefined) {
      const told = image.classes.get(job.class);
      classes.set(job.class, (jobClass = Object.assign(copy.classTable.join(job.input), told)));
    } else jobClass.members += 1;
    // As it waits: what it has and holds follows below.
    job.class = jobClass;
    job.listed = false;
    job.runs = undefined;
    job.sharing = 0;
    job.reservation = undefined;
    job.lifted = undefined;
    job.claims = undefined;
    job.reported = undefined;
    jobs.set(job.id, job);
    copy.watch(job);
    copy.links.adopt(job);
    if (isPiece()) yield;
  }
  const twins = new Map<Run, Run>();
  for (const { job, run, original } of image.runs) {
    const { lastStart } = job;
    const { charges, nodes, grants, queue, checkpoint, preempted, slotEnd } = run;
    const placement = own({ charges, nodes, grants, queue });
    if (run.suspended === undefined) applyCharges(table, placement.charges, run.start, run.end, -1);
    const begun = copy.begin(job, run.task, placement, run.start, run.end, run.tasks);
    twins.set(original, Object.assign(begun, { checkpoint, preempted, slotEnd }));
    const { suspended, isUnbilled, chargedFrom, chargedBefore } = run;
    if (isUnbilled === true || chargedBefore !== undefined) {
      Object.assign(begun, { isUnbilled, chargedFrom, chargedBefore: chargedBefore?.slice(), rate: run.rate });
    }
    if (suspended !== undefined) {
      const { freed, kept } = suspended;
      const own = (charges: Run["charges"]): Run["charges"] =>
        charges.map(({ node, amounts }) => ({ node: table.twin(node), amounts }));
      begun.suspended = { ...suspended, freed: own(freed), kept: own(kept), seen: undefined };
      applyRun(copy, begun, -1);
      copy.standing.add(begun);
    }
    job.lastStart = lastStart;
    if (isPiece()) yield;
  }
  for (const claim of image.claims) {
    const job = jobs.get(claim.job.id)!;
    const victims = claim.victims.flatMap((run) => twins.get(run) ?? []);
    const twin = own({ ...claim, job, class: job.class, victims });
    applyCharges(table, twin.charges, twin.start, twin.end, -1);
    copy.claims.add(twin);
    (job.claims ??= []).push(twin);
  }
  for (const job of image.jobs) {
    copy.refresh(job);
    const plan = image.planned.get(job);
    if (plan !== undefined && job.listed) {
      const reservation = own(plan.kept);
      applyCharges(table, reservation.charges, reservation.start, reservation.end, -1);
      copy.plan.set(job, reservation);
      if (plan.isLifted) copy.plan.lift(job);
    }
    if (isPiece()) yield;
  }
  for (const id of image.heads) if (jobs.has(id)) copy.heads.add(jobs.get(id)!);
  // As told by the last pass of the other.
  copy.touched.clear();
  for (const id of image.touched) if (jobs.has(id)) copy.touched.add(jobs.get(id)!);
  copy.charging.recount(copy.now);
  copy.accounts.setMeters(image.meters);
  copy.plan.gained = image.gained;
  copy.plan.unsure = true;
  yield;
  // The first decision finds what there is to know of each node looked up.
  for (const { shape } of copy.classTable.classes.values()) {
    if (obstacleOf(copy, shape) === undefined) mayFitNow(copy, shape);
    yield;
  }
}
