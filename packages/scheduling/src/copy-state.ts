import type { JobClass } from "./classes.ts";
import { applyCharges } from "./charges.ts";
import type { JobRecord, Placement, Run } from "./records.ts";
import type { ClusterStore } from "./store.ts";

/** Gives an empty store the same future as another, sharing nothing that changes. */
export function copyState(from: ClusterStore, copy: ClusterStore): void {
  copy.now = from.now;
  copy.topology.levels = from.topology.levels;
  copy.licences = from.licences;
  for (const queue of from.queues.values()) copy.putQueue(queue);
  copy.accounts.copy(from.accounts);
  for (const node of from.table.nodes) {
    if (node.reservation !== undefined) continue;
    const { input, state, capacity, details } = node;
    if (node === from.table.licences) copy.table.putLicences(from.licences, from.now);
    else copy.table.put(input, state, capacity.slice(0, from.table.width), from.now, details);
  }
  copy.advance.copy(from.advance);
  const own = <P extends Placement>(placement: P): P => ({
    ...placement,
    charges: placement.charges.map(({ node, amounts }) => ({ node: copy.table.twin(node), amounts })),
    nodes: placement.nodes.map((set) => set.map((node) => copy.table.twin(node))),
  });
  const classes = new Map<JobClass, JobClass>();
  for (const job of from.jobs.values()) {
    let jobClass = classes.get(job.class);
    if (jobClass === undefined) {
      classes.set(job.class, (jobClass = copy.classTable.join(job.input)));
      // As last told.
      jobClass.obstacle = job.class.obstacle;
      jobClass.block = job.class.block;
    } else jobClass.members += 1;
    // As it waits: what it has and holds follows below.
    const twin: JobRecord = {
      ...job,
      class: jobClass,
      listed: false,
      runs: undefined,
      sharing: 0,
      reservation: undefined,
      lifted: undefined,
      claims: undefined,
      reported: undefined,
      preemptedBy: job.preemptedBy && new Set(job.preemptedBy),
    };
    copy.jobs.set(job.id, twin);
    copy.watch(twin);
    copy.links.enroll(twin);
    copy.links.copy(twin, job);
    if (job.array !== undefined) {
      const { pending, blocked, never, maxRunning, ok, notOk } = job.array;
      twin.array = {
        pending: pending.copy(),
        blocked: blocked.copy(),
        never: never.copy(),
        maxRunning,
        ok: ok.copy(),
        notOk: notOk.copy(),
      };
    }
  }
  const twins = new Map<Run, Run>();
  for (const job of from.jobs.values()) {
    const twin = copy.jobs.get(job.id)!;
    for (const run of new Set(job.runs?.values())) {
      const placement = own({ charges: run.charges, nodes: run.nodes, grants: run.grants, queue: run.queue });
      applyCharges(copy.table, placement.charges, run.start, run.end, -1);
      const { checkpoint, preempted, slotEnd } = run;
      const begun = copy.begin(twin, run.task, placement, run.start, run.end, run.tasks);
      twins.set(run, Object.assign(begun, { checkpoint, preempted, slotEnd }));
    }
    twin.lastStart = job.lastStart;
  }
  for (const claim of from.claims) {
    const job = copy.jobs.get(claim.job.id);
    if (job === undefined || from.jobs.get(job.id) !== claim.job || claim.class !== claim.job.class) continue;
    const victims = claim.victims.flatMap((run) => twins.get(run) ?? []);
    const twin = own({ ...claim, job, class: job.class, victims });
    applyCharges(copy.table, twin.charges, twin.start, twin.end, -1);
    copy.claims.add(twin);
    (job.claims ??= []).push(twin);
  }
  for (const job of from.jobs.values()) {
    const twin = copy.jobs.get(job.id)!;
    copy.refresh(twin);
    const kept = job.reservation ?? job.lifted;
    if (kept === undefined || !twin.listed) continue;
    const reservation = own(kept);
    applyCharges(copy.table, reservation.charges, reservation.start, reservation.end, -1);
    copy.plan.set(twin, reservation);
    if (job.lifted !== undefined) copy.plan.lift(twin);
  }
  for (const job of from.heads) if (copy.jobs.has(job.id)) copy.heads.add(copy.jobs.get(job.id)!);
  // As told by the last pass of the other.
  copy.touched.clear();
  for (const job of from.touched) if (copy.jobs.has(job.id)) copy.touched.add(copy.jobs.get(job.id)!);
  copy.charging.recount(copy.now);
  copy.accounts.copyMeters(from.accounts);
  copy.plan.gained = from.plan.gained;
  copy.plan.unsure = true;
}
