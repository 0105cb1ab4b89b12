/**
 * Runs that stand still because others need their cores. They keep what cannot be taken from what stands still: memory, devices,
 * licences and the rest of their place, on the very nodes where they began; and they keep a claim on their cores there, so that
 * nobody but who may preempt them comes between. Slurm's SUSPEND does the same (slurm.schedmd.com: preempt, gres).
 */
import { applyCharges, byNode } from "./charges.ts";
import { viewFor } from "./nodes.ts";
import type { NodeRecord } from "./nodes.ts";
import type { Charge, Run } from "./records.ts";
import type { ClusterStore } from "./store.ts";
import type { Resumption, Time } from "./types.ts";

/** Until a run that was told to stand still does so, it is taken to need so much longer each time. */
const leastExtensionSeconds = 30;
const mostExtensionSeconds = 3600;

export interface Suspension {
  by: number;
  /** When it was told to. */
  since: Time;
  /** What of its charges it gives up meanwhile, and what it keeps: together all of them. */
  freed: Charge[];
  kept: Charge[];
  /** It stands still. Before, it is taken to have its cores until `until`. */
  isStill: boolean;
  until: Time;
  /** When its slot would be over had it run on. */
  slotEnd: Time;
  /** Of its slot, once it stands still; before, at the most. */
  leftSeconds: number;
  /** When it has its cores again. */
  resume: Time;
  /** Up to where which log of changed nodes was read when this was planned; undefined: it is to be planned anew. */
  seen: { epoch: number; position: number } | undefined;
}

/** When what a run has to give up for others is theirs; a run that stands still has given it up. */
export function holdEnd({ end, suspended }: Run): Time {
  return suspended === undefined ? end : suspended.until;
}

/** A run does not come to the end of its slot before; what stands still, or will, comes to it later. */
export function soonestEnd({ end, suspended }: Run, now: Time): Time {
  if (suspended === undefined) return end;
  return suspended.isStill ? now + suspended.leftSeconds : suspended.slotEnd;
}

/** Whether those for whom it makes room still wait for it. */
export function isInTheWay({ alive, suspended }: Run): boolean {
  return alive && suspended?.isStill !== true;
}

/** What a run takes of nodes from now on. */
export function spansOf({ charges, end, suspended }: Run, now: Time): { charges: Charge[]; start: Time; end: Time }[] {
  if (suspended === undefined) return [{ charges, start: now, end }];
  const { kept, freed, isStill, until, resume } = suspended;
  const spans = [{ charges: kept, start: now, end }];
  if (!isStill) spans.push({ charges: freed, start: now, end: Math.min(until, resume) });
  spans.push({ charges: freed, start: Math.max(now, resume), end });
  return spans;
}

/** Takes what a run has from now on (or gives it back, sign 1). */
export function applyRun({ table, now }: Pick<ClusterStore, "table" | "now">, run: Run, sign: 1 | -1): void {
  for (const { charges, start, end } of spansOf(run, now)) {
    if (end > start) applyCharges(table, charges, start, end, sign);
  }
}

/**
 * What a run gives up when it stands still: its cores; where it has whole nodes also all else there that it did not ask for. Of bound
 * cores (NUMA) those of the domain stay its own: nobody else is bound to them.
 */
export function split({ resources }: ClusterStore, run: Run): Pick<Suspension, "freed" | "kept"> {
  const cpu = Math.max(0, resources.indexOf("cpu"));
  const { shape } = run.job.class;
  const { groups } = shape.variants[0]!;
  const isWhole = shape.input.exclusive === true && groups.every(({ needs }) => needs === undefined);
  const asked = new Map<NodeRecord, number[]>();
  if (isWhole) {
    for (const [set, nodes] of run.nodes.entries()) {
      const { request } = shape.podSets[set]!;
      for (const node of nodes) {
        const sum = asked.get(node) ?? node.capacity.map(() => 0);
        for (const [index, amount] of request.entries()) sum[index]! += amount;
        asked.set(node, sum);
      }
    }
  }
  const freed: Charge[] = [];
  const kept: Charge[] = [];
  for (const { node, amounts } of run.charges) {
    const stays = asked.get(node);
    const rest = amounts.map((amount, index) => (index === cpu ? 0 : Math.min(amount, stays?.[index] ?? amount)));
    const given = amounts.map((amount, index) => amount - rest[index]!);
    kept.push({ node, amounts: rest });
    if (given.some((amount) => amount > 0)) freed.push({ node, amounts: given });
  }
  return { freed, kept };
}

/**
 * The first time from which a run has all that it needs for the rest of its slot, and until then what it keeps; undefined: there is
 * none. It must take nothing of the timelines at the moment beyond `from`. `keeps`: false: only what it needs when it goes on counts.
 */
export function earliestResume(
  store: ClusterStore,
  run: Run,
  kept: readonly Charge[],
  leftSeconds: number,
  from: Time,
  keeps = true,
): Time | undefined {
  const { now, table } = store;
  const { reservation } = run.job.class.shape.input;
  const view = (node: NodeRecord): NodeRecord =>
    node === table.licences ? node : (viewFor(node, reservation) ?? node);
  const [all, rest] = [byNode(run.charges), byNode(kept)];
  const hasRoom = (charges: ReadonlyMap<NodeRecord, readonly number[]>, start: Time, end: Time): boolean =>
    charges.entries().every(([node, amounts]) => {
      const free = view(node).timeline.leastFree(start, end);
      return amounts.every((amount, index) => amount <= 0 || free[index]! >= amount);
    });
  for (let time = from; time < Infinity;) {
    const end = time + leftSeconds;
    store.advance.extend(end);
    for (const { node } of run.charges) view(node).timeline.advance(now);
    if (keeps && !hasRoom(rest, now, end)) return undefined;
    if (hasRoom(all, time, end)) return time;
    let next = Infinity;
    for (const { node } of run.charges) {
      const { times } = view(node).timeline;
      const step = view(node).timeline.stepAt(time) + 1;
      if (step < times.length && times[step]! > time) next = Math.min(next, times[step]!);
    }
    time = next;
  }
  return undefined;
}

/** A run is to stand still: its cores are free from `until` on, for whom it does so. {@link planResume} must follow. */
export function suspend(store: ClusterStore, run: Run, by: number, until: Time): void {
  applyRun(store, run, 1);
  run.suspended = {
    by,
    since: store.now,
    ...split(store, run),
    isStill: false,
    until,
    slotEnd: run.end,
    leftSeconds: run.end - store.now,
    resume: run.end,
    seen: undefined,
  };
  applyRun(store, run, -1);
  store.standing.add(run);
  store.plan.gained = true;
}

/** A run that stands still does so for another one too: its cores are free. {@link planResume} must follow. */
export function moveResume(store: ClusterStore, run: Run, by: number): void {
  applyRun(store, run, 1);
  Object.assign(run.suspended!, { by, resume: run.end, seen: undefined });
  applyRun(store, run, -1);
}

/**
 * Plans when a run has its cores again: as soon as there is room, after what runs or is planned there. `isFirst`: this was never
 * planned. Later it gives way to reservations no more than one that runs does: where others outlive their slots, or its own time
 * is another, those behind it move.
 */
export function planResume(store: ClusterStore, run: Run, isFirst = false): void {
  const { now, plan, table } = store;
  const { kept, isStill, until, leftSeconds, resume: before } = run.suspended!;
  const from = isStill ? now : Math.max(now, until);
  applyRun(store, run, 1);
  let found = earliestResume(store, run, kept, leftSeconds, from);
  if (!isFirst && (found === undefined || found > Math.max(before, from))) {
    for (const job of new Set(run.charges.flatMap(({ node }) => [...node.reserved]))) plan.lift(job);
    found = earliestResume(store, run, kept, leftSeconds, from);
  }
  const resume =
    found ??
    earliestResume(store, run, kept, leftSeconds, from, false) ??
    // Its nodes have less than it needs: it goes on when it is there alone.
    Math.max(from, ...run.charges.map(({ node }) => node.timeline.times.at(-1)!));
  const end = resume + leftSeconds;
  run.suspended!.resume = resume;
  if (end !== run.end) {
    store.charging.move(run, end, now);
    run.end = end;
    store.ends.push({ time: end, run });
  }
  run.slotEnd = end;
  applyRun(store, run, -1);
  if (resume !== before) {
    plan.gained = true;
    for (const { node } of run.charges) plan.repair(node, now);
  }
  run.suspended!.seen = { epoch: table.changes.epoch, position: table.changes.entries.length };
}

/** Before a pass: those for which there is room sooner, or no more, are planned anew, who was suspended first first. */
export function settleSuspensions(store: ClusterStore): void {
  if (store.standing.size === 0) return;
  const { now, table } = store;
  for (const run of inOrder(store.standing)) {
    const suspended = run.suspended!;
    if (!suspended.isStill && suspended.until <= now) {
      const late = Math.min(Math.max(now - suspended.since, leastExtensionSeconds), mostExtensionSeconds);
      applyRun(store, run, 1);
      suspended.until = now + late;
      suspended.seen = undefined;
      applyRun(store, run, -1);
    }
    const { seen, resume } = suspended;
    const isSame =
      seen?.epoch === table.changes.epoch &&
      run.charges.every(({ node }) => (table.changes.last[node.index] ?? -1) < seen.position);
    if (!isSame || resume <= now) planResume(store, run);
  }
}

/** After a pass: those whose cores are free go on. */
export function resumeDue(store: ClusterStore): Resumption[] {
  const resumptions: Resumption[] = [];
  for (const run of inOrder(store.standing)) {
    if (!run.suspended!.isStill || run.suspended!.resume > store.now) continue;
    store.goOn(run);
    for (const task of run.tasks ?? [run.task]) {
      resumptions.push({ job: run.job.id, ...(task === undefined ? {} : { task }) });
    }
  }
  return resumptions;
}

export function inOrder(standing: Iterable<Run>): Run[] {
  return [...standing].sort(
    (a, b) =>
      (a.suspended?.since ?? Infinity) - (b.suspended?.since ?? Infinity) ||
      a.job.id - b.job.id ||
      (a.task ?? -1) - (b.task ?? -1),
  );
}
