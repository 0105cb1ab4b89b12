import type { JobClass } from "./classes.ts";
import { addClaim } from "./claims.ts";
import { placeEarliest } from "./earliest.ts";
import { applyCharges } from "./charges.ts";
import { mayReclaim, neverSuspends, preemptsAtAll, termsOf } from "./preemption-rules.ts";
import type { Terms } from "./preemption-rules.ts";
import { onNodes } from "./records.ts";
import type { Charge, JobRecord, Placement, Run } from "./records.ts";
import type { Shape, Variant } from "./shape.ts";
import type { ClusterStore } from "./store.ts";
import { earliestResume, holdEnd, inOrder, moveResume, planResume, split, suspend } from "./suspensions.ts";
import type { Preemption, Time } from "./types.ts";
import { CandidateSet } from "./candidates.ts";
import type { Candidate } from "./candidates.ts";
import { VictimSearch } from "./victims.ts";

/** So many searches for victims that can go on afterwards. */
const mostAttempts = 4;

/**
 * Preemption in one pass of `decide`. A job that finds no room may have running jobs make room (see {@link termsOf} for whose), if
 * it starts by that sooner than by itself, and wholly: a gang all or none. It then has a claim on a place from the end of their
 * grace on, which nobody else may take; should they leave sooner it starts sooner.
 *
 * The victims are those whose highest tier is lowest, who then lose least work together (core-seconds since their start or last
 * checkpoint; nothing if they are told to save their state), who are then fewest, and whose ids are then lowest. Up to eight
 * candidates that is exact. With more, nodes are looked at one by one, each for the cheapest of its candidates that give room for
 * one more pod (exact up to eight on a node), and the cheapest nodes are taken until the gang is whole; what then proves
 * superfluous is left out, the dearest first. For a job of one pod whose candidates are eight on a node at most this is the exact
 * optimum again; a gang may lose more than it had to, but no victim is ever one without whom it would start as well. Where nodes
 * cannot be looked at alone (pods of several shapes, licences) at most 256 candidates are considered, all together.
 *
 * Where rules between pods matter, they must hold with the victims gone, whatever becomes of pods that are only planned or about to
 * leave, for those too for which others are leaving already. Rules may want that somebody stays, so that all of many may not do where
 * some would: each node is looked at for itself then, for a lone pod, with those elsewhere whom anti-affinity concerns.
 *
 * Costs nothing where no queue, QOS or account says that anybody may be preempted; otherwise for each class that finds no room a
 * bound that is kept by change, and where that leaves hope a search: about one look at the candidates on each node, and for the next
 * job of the class at what changed since.
 */
export class PreemptionPass {
  readonly preemptions: Preemption[] = [];
  /** When a job that may not be preempted yet may be. */
  retryAt: Time = Infinity;
  readonly #store: ClusterStore;
  readonly #searches = new Map<Variant, Map<string, { search: VictimSearch; time: Time } | undefined>>();
  readonly #sets = new Map<string, { set: CandidateSet; time: Time } | undefined>();
  readonly #isActive: boolean;

  constructor(store: ClusterStore) {
    this.#store = store;
    this.#isActive = preemptsAtAll(store);
  }

  /** Whether jobs of the class could have others make room. */
  mayPreempt(jobClass: JobClass): boolean {
    if (!this.#isActive) return false;
    return jobClass.shape.open.some((variant) => this.#searchFor(jobClass, variant) !== undefined);
  }

  /** Has others make room for a job that finds none and holds no reservation at the moment. True: it has a claim now. */
  attempt(job: JobRecord): boolean {
    const store = this.#store;
    const { class: jobClass } = job;
    if (!this.mayPreempt(jobClass)) return false;
    const { now, charging } = store;
    for (const variant of jobClass.shape.open) {
      const known = this.#searchFor(jobClass, variant);
      if (known === undefined || charging.limitIn(jobClass, variant.queue, now) !== undefined) continue;
      const { search, time } = known;
      const { deadline, overheadSeconds = 0 } = job.input;
      const { shape } = jobClass;
      const { slotSeconds } = shape;
      if (deadline !== undefined && time + slotSeconds > deadline + overheadSeconds) continue;
      if (this.#startsAnyway(job, time)) return false;
      const reclaimable = new Map<string, boolean>();
      const stuck = new Set<Run>();
      const isBarred = ({ run, terms }: Candidate): boolean => {
        if (stuck.has(run) || run.job === job || job.preemptedBy?.has(run.job.id) === true) return true;
        if (!terms.isReclaimed) return false;
        const { account = "" } = run.job.class.input;
        if (!reclaimable.has(account)) reclaimable.set(account, mayReclaim(store, jobClass, account));
        return !reclaimable.get(account)!;
      };
      for (let attempts = 0; attempts < mostAttempts; attempts += 1) {
        const victims = search.find(isBarred);
        if (victims === undefined || victims.length === 0 || !this.#leavesGuarantees(jobClass, victims)) break;
        const never = neverGoingOn(store, shape, search, victims);
        if (never === undefined) {
          this.#commit(job, victims, search);
          return true;
        }
        stuck.add(never);
      }
    }
    return false;
  }

  /** Whether each of those from whom is reclaimed is still beyond what is guaranteed when its turn comes, after the others. */
  #leavesGuarantees(jobClass: JobClass, victims: readonly Candidate[]): boolean {
    const gone: Run[] = [];
    for (const { run, terms } of victims) {
      const { account = "" } = run.job.class.input;
      if (terms.isReclaimed && !mayReclaim(this.#store, jobClass, account, gone)) return false;
      gone.push(run);
    }
    return true;
  }

  /** Whether it would start by itself no later. */
  #startsAnyway({ class: { shape } }: JobRecord, time: Time): boolean {
    const store = this.#store;
    for (const variant of shape.open) {
      const found = placeEarliest(store, shape, variant, time + 1);
      if (found === undefined) continue;
      applyCharges(store.table, found.charges, found.start, found.start + shape.slotSeconds, 1);
      return true;
    }
    return false;
  }

  #searchFor(jobClass: JobClass, variant: Variant): { search: VictimSearch; time: Time } | undefined {
    const store = this.#store;
    const key = store.preemptionBounds.keyOf(store, jobClass, variant.queue);
    let ofVariant = this.#searches.get(variant);
    if (ofVariant === undefined) this.#searches.set(variant, (ofVariant = new Map()));
    if (ofVariant.has(key)) return ofVariant.get(key);
    const mayHelp = store.preemptionBounds.mayHelp(store, jobClass, variant, key);
    const known = mayHelp ? this.#candidates(jobClass, variant.queue, key) : undefined;
    const found = known && {
      search: new VictimSearch(store, jobClass.shape, variant, known.time, known.set),
      time: known.time,
    };
    ofVariant.set(key, found);
    return found;
  }

  /** The candidates for jobs of a class in a queue: the same for all of the same tier, QOS and account, wherever they fit. */
  #candidates(jobClass: JobClass, queue: string, key: string): { set: CandidateSet; time: Time } | undefined {
    const store = this.#store;
    if (this.#sets.has(key)) return this.#sets.get(key);
    store.charging.settle(store.now);
    const candidates: Candidate[] = [];
    let grace = 0;
    for (const group of store.runGroups.of(store)) {
      if (group.runs.size === 0) continue;
      const terms = termsOf(store, jobClass, queue, group);
      if (terms === undefined) continue;
      for (const run of group.runs) {
        if (run.preempted !== undefined) continue;
        const candidate = candidateOf(store, run, terms);
        if (candidate === undefined) continue;
        const exemptUntil = run.suspended === undefined ? run.start + terms.exemptSeconds : store.now;
        if (exemptUntil > store.now) this.retryAt = Math.min(this.retryAt, exemptUntil);
        else if (run.end > graceEnd(store, candidate.terms.graceSeconds)) {
          candidates.push(candidate);
          grace = Math.max(grace, candidate.terms.graceSeconds);
        }
      }
    }
    const found =
      candidates.length === 0 ? undefined : { set: new CandidateSet(candidates), time: graceEnd(store, grace) };
    this.#sets.set(key, found);
    return found;
  }

  #commit(job: JobRecord, victims: Candidate[], search: VictimSearch): void {
    const store = this.#store;
    const { now, table } = store;
    const { shape } = job.class;
    for (const { run, terms } of victims) {
      const isSuspended = terms.mode === "Suspend";
      if (isSuspended && run.suspended !== undefined) {
        // It stands still already, and goes on later than was planned.
        moveResume(store, run, job.id);
        continue;
      }
      const mode = !isSuspended && job !== run.job && run.job.input.requeue === false ? "Cancel" : terms.mode;
      if (isSuspended) suspend(store, run, job.id, graceEnd(store, terms.graceSeconds));
      else run.preempted = { by: job.id, mode };
      if (!isSuspended) run.job.preempted = { by: job.id, time: now };
      (run.job.preemptedBy ??= new Set()).add(job.id);
      if (!isSuspended) {
        store.moveEnd(run, graceEnd(store, terms.graceSeconds));
        run.slotEnd = run.end;
      }
      for (const task of run.tasks ?? [run.task]) {
        this.preemptions.push({
          job: run.job.id,
          ...(task === undefined ? {} : { task }),
          by: job.id,
          mode,
          graceSeconds: terms.graceSeconds,
        });
      }
    }
    // With the grace of those chosen alone it may be sooner.
    const soonest = Math.max(now + 1, ...victims.map(({ run }) => holdEnd(run)));
    let start = soonest;
    let placement: Placement | undefined;
    for (start of [soonest, search.time]) {
      placement = search.placeAt(start);
      if (placement !== undefined) break;
    }
    const home = onNodes(placement!);
    const end = start + shape.slotSeconds;
    applyCharges(table, home.charges, start, end, -1);
    addClaim(store, { ...home, job, class: job.class, start, end, victims: victims.map(({ run }) => run) });
    for (const run of inOrder(victims.flatMap(({ run }) => (run.suspended === undefined ? [] : [run]))))
      planResume(store, run, true);
  }
}

/** A job that is told to go now is gone a second later at the earliest: until its end is told it holds what it has. */
function graceEnd({ now }: ClusterStore, graceSeconds: number): Time {
  return now + Math.max(1, graceSeconds);
}

/** What may be done to a run under some terms, and what others get by that; undefined: nothing. */
function candidateOf(store: ClusterStore, run: Run, given: Terms): Candidate | undefined {
  const { suspended } = run;
  let terms = given;
  if (terms.mode === "Suspend" && neverSuspends(run)) {
    if (terms.instead === undefined) return undefined;
    terms = { ...terms, ...terms.instead };
  }
  if (terms.mode !== "Suspend") {
    // Its processes would have to run to end, beside those of the one for which it stands still.
    return suspended === undefined ? { run, terms, loss: lossOf(store, run, terms.mode) } : undefined;
  }
  if (suspended?.isStill === false) return undefined;
  const charges = suspended?.freed ?? split(store, run).freed;
  if (charges.length === 0) return undefined;
  return { run, terms, loss: 0, frees: { charges, from: suspended?.resume ?? store.now } };
}

/**
 * Of victims that would be suspended one that could not go on afterwards, as what it keeps meanwhile is planned for others, or there
 * is no time for the rest of its slot. Everything is as it was afterwards.
 */
function neverGoingOn(
  store: ClusterStore,
  shape: Shape,
  search: VictimSearch,
  victims: readonly Candidate[],
): Run | undefined {
  const still = inOrder(victims.flatMap(({ run, terms }) => (terms.mode === "Suspend" ? [run] : [])));
  if (still.length === 0) return undefined;
  const { now, table } = store;
  const done: Parameters<typeof applyCharges>[] = [];
  const apply = (charges: readonly Charge[], start: Time, end: Time, sign: 1 | -1): void => {
    if (end <= start) return;
    applyCharges(table, charges, start, end, sign);
    done.push([table, charges, start, end, sign]);
  };
  const endOf = ({ run, terms }: Candidate): Time =>
    run.suspended === undefined ? graceEnd(store, terms.graceSeconds) : now + 1;
  for (const candidate of victims) {
    const { run, frees } = candidate;
    const from = Math.max(endOf(candidate), frees?.from ?? now);
    if (run.suspended === undefined) apply(frees?.charges ?? run.charges, from, run.end, 1);
    else apply(run.suspended.freed, Math.max(now, run.suspended.resume), run.end, 1);
  }
  const soonest = Math.max(now + 1, ...victims.map(endOf));
  let never: Run | undefined = still[0];
  for (const start of [soonest, search.time]) {
    const placement = search.placeAt(start, victims);
    if (placement === undefined) continue;
    apply(placement.charges, start, start + shape.slotSeconds, -1);
    never = still.find((run) => {
      const { kept, freed } = run.suspended ?? split(store, run);
      const from = run.suspended === undefined ? graceEnd(store, 0) : now;
      const leftSeconds = run.suspended?.leftSeconds ?? run.end - now;
      apply(kept, now, run.end, 1);
      const resume = earliestResume(store, run, kept, leftSeconds, from);
      if (resume === undefined) return true;
      apply(kept, now, resume + leftSeconds, -1);
      apply(freed, resume, resume + leftSeconds, -1);
      return false;
    });
    break;
  }
  for (const [, charges, start, end, sign] of done) applyCharges(table, charges, start, end, sign === 1 ? -1 : 1);
  return never;
}

/** Core-seconds (of a thousandth) since its start or last checkpoint; none if it can save its state. */
function lossOf({ now, resources }: ClusterStore, run: Run, mode: string): number {
  if (mode === "Checkpoint" || mode === "Suspend") return 0;
  const cpu = Math.max(0, resources.indexOf("cpu"));
  const since = Math.max(run.start, run.checkpoint ?? run.start);
  let amount = 0;
  for (const { amounts } of run.charges) amount += amounts[cpu] ?? 0;
  return Math.max(0, now - since) * amount;
}
