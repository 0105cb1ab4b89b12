/** Whose running jobs may have to make room for whom, and how. */
import type { PreemptMode } from "./account-types.ts";
import type { JobClass } from "./classes.ts";
import type { Run } from "./records.ts";
import type { ClusterStore } from "./store.ts";

/** Running jobs that are the same to preemption. */
export interface RunGroup {
  queue: string;
  qos: string | undefined;
  account: string;
  runs: Set<Run>;
}

/** What may be done to the runs of a group for jobs of a class. */
export interface Terms {
  mode: Exclude<PreemptMode, "Off">;
  graceSeconds: number;
  exemptSeconds: number;
  tier: number;
  /** Instead of `Suspend`, where a node cannot. Absent: then nothing may be done. */
  instead?: Pick<Terms, "mode" | "graceSeconds">;
  /** Only if {@link mayReclaim} holds. */
  isReclaimed: boolean;
}

/** All runs by group; made when preemption is first asked for, and kept by change from then on. */
export class RunGroups {
  readonly #groups = new Map<string, RunGroup>();
  #version = -1;

  /** Everything has to be looked at again. */
  forget(): void {
    this.#version = -1;
    this.#groups.clear();
  }

  of(store: ClusterStore): Iterable<RunGroup> {
    if (this.#version !== store.accounts.version) {
      this.forget();
      this.#version = store.accounts.version;
      for (const run of store.charging.runs()) this.add(store, run);
    }
    return this.#groups.values();
  }

  add(store: ClusterStore, run: Run): void {
    if (this.#version < 0) return;
    const { class: jobClass } = run.job;
    const { account = "" } = jobClass.input;
    const qos = store.charging.qosOf(jobClass);
    const key = `${run.queue}\0${qos ?? ""}\0${account}`;
    let group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, (group = { queue: run.queue, qos, account, runs: new Set() }));
    group.runs.add(run);
    run.group = group;
  }

  remove(run: Run): void {
    run.group?.runs.delete(run);
  }
}

/** Whether anybody may be preempted at all. */
export function preemptsAtAll({ queues, accounts }: ClusterStore): boolean {
  for (const { preemptMode = "Off" } of queues.values()) if (preemptMode !== "Off") return true;
  for (const { input } of accounts.qualities.values()) if ((input?.preempts?.length ?? 0) > 0) return true;
  for (const { input } of accounts.accounts.values()) if (input?.guaranteed !== undefined) return true;
  return false;
}

/**
 * What jobs of a class in one of its queues may do to the runs of a group; undefined: nothing. Never to those of a higher tier, nor
 * where neither queue nor QOS of the victims says what becomes of them. In this order:
 * - those of a lower tier, as their queue says;
 * - those of a QOS that the job's `preempts`, unless that QOS preempts the job's (over others too): as their QOS says, or their queue;
 * - those of accounts that have more than is guaranteed to them (without a guarantee: anything), if the job's account has with it
 *   no more than is guaranteed to it: as their queue says, or their QOS.
 */
export function termsOf(
  store: ClusterStore,
  jobClass: JobClass,
  queueName: string,
  group: RunGroup,
): Terms | undefined {
  const tier = store.queue(group.queue)?.tier ?? 1;
  const ownTier = store.queue(queueName)?.tier ?? 1;
  if (ownTier < tier) return undefined;
  const queue = store.queue(group.queue);
  const qos = store.accounts.qualities.get(group.qos ?? "")?.input;
  const ofQueue = queue?.preemptMode ?? "Off";
  const ownQos = store.charging.qosOf(jobClass);
  const exemptSeconds = Math.max(queue?.preemptExemptSeconds ?? 0, qos?.preemptExemptSeconds ?? 0);
  const terms = (mode: PreemptMode, graceSeconds: number, isReclaimed = false): Terms | undefined => {
    if (mode === "Off") return undefined;
    if (mode !== "Suspend") return { mode, graceSeconds, exemptSeconds, tier, isReclaimed };
    const other = [queue?.preemptMode, qos?.preemptMode].find((one) => one !== undefined && one !== mode);
    const instead = other === undefined || other === "Off" ? undefined : { mode: other, graceSeconds };
    return { mode, graceSeconds: 0, exemptSeconds, tier, isReclaimed, ...(instead && { instead }) };
  };
  const graceOfQueue = queue?.graceSeconds ?? qos?.graceSeconds ?? 0;
  if (ownTier > tier && ofQueue !== "Off") return terms(ofQueue, graceOfQueue);
  if (outranks(store, ownQos, group.qos)) {
    return terms(qos?.preemptMode ?? ofQueue, qos?.graceSeconds ?? graceOfQueue);
  }
  if (outranks(store, group.qos, ownQos) || !hasGuarantee(store, jobClass, group.account)) return undefined;
  return terms(queue?.preemptMode ?? qos?.preemptMode ?? "Off", graceOfQueue, true);
}

/** Whether a QOS preempts another, and not, be it over others, the other way round. */
function outranks(store: ClusterStore, qos: string | undefined, other: string | undefined): boolean {
  if (qos === undefined || other === undefined || qos === other) return false;
  const named = (name: string): readonly string[] => store.accounts.qualities.get(name)?.input?.preempts ?? [];
  if (!named(qos).includes(other)) return false;
  const seen = new Set([other]);
  for (const name of seen) {
    for (const next of named(name)) {
      if (next === qos) return false;
      seen.add(next);
    }
  }
  return true;
}

/** Whether something that the class asks for is guaranteed to its account, so that it may be reclaimed from another one. */
function hasGuarantee(store: ClusterStore, { input, shape }: JobClass, other: string): boolean {
  if (input.account === undefined || other === input.account) return false;
  return store.accountsFrom(input.account).some((name) => {
    const guaranteed = store.accounts.accounts.get(name)?.input?.guaranteed ?? [];
    return guaranteed.some((amount, resource) => amount > 0 && shape.least[resource]! > 0);
  });
}

/**
 * Whether one job more is within what is guaranteed to the account of the class, and the other account is beyond that; with what
 * preemption already gives to the one and takes from the other; `gone`: others that it would take too.
 */
export function mayReclaim(
  store: ClusterStore,
  { input, shape }: JobClass,
  other: string,
  gone: readonly Run[] = [],
): boolean {
  if (input.account === undefined || other === input.account) return false;
  const own = store.accountsFrom(input.account);
  const asked = shape.least.flatMap((amount, resource) => (amount > 0 ? [resource] : []));
  const known = store.accounts.accounts;
  const isWithin = own.some((name) => {
    const account = known.get(name);
    const counted = asked.filter((resource) => (account?.input?.guaranteed?.[resource] ?? 0) > 0);
    return (
      counted.length > 0 &&
      counted.every((resource) => {
        const used = account!.meter.inUse[resource]! + claimedBy(store, name, resource);
        return used + shape.least[resource]! <= account!.input!.guaranteed![resource]!;
      })
    );
  });
  if (!isWithin) return false;
  const theirs = store.accountsFrom(other).filter((name) => !own.includes(name));
  const guaranteed = theirs
    .map((name) => known.get(name))
    .filter((account) => account?.input?.guaranteed !== undefined);
  if (guaranteed.length === 0) return true;
  return guaranteed.some((account) =>
    asked.some((resource) => {
      const amount = account!.input!.guaranteed![resource] ?? 0;
      return amount > 0 && account!.meter.inUse[resource]! - leaving(store, account!.name, resource, gone) > amount;
    }),
  );
}

/** What jobs of an account are about to use for which others make room. */
function claimedBy(store: ClusterStore, account: string, resource: number): number {
  let sum = 0;
  for (const { job } of store.claims) {
    const { input, shape } = job.class;
    if (input.account === undefined || !store.accountsFrom(input.account).includes(account)) continue;
    sum += shape.least[resource]!;
  }
  return sum;
}

/** What jobs of an account use that are about to make room; `also`: more of them. */
function leaving(store: ClusterStore, account: string, resource: number, also: readonly Run[]): number {
  let sum = 0;
  for (const run of new Set([...[...store.claims].flatMap(({ victims }) => victims), ...also])) {
    const { input } = run.job.class;
    if (!run.alive || input.account === undefined || !store.accountsFrom(input.account).includes(account)) continue;
    for (const { amounts } of run.charges) sum += amounts[resource] ?? 0;
  }
  return sum;
}

/** Whether a run cannot be made to stand still, for what it is or where. */
export function neverSuspends({ job, charges }: Run): boolean {
  return job.input.neverSuspends === true || charges.some(({ node }) => node.input.neverSuspends === true);
}

/** Whether something runs that would have to stand still for jobs of a class, cannot, and nothing else is to become of it. */
export function wouldHaveToSuspend(store: ClusterStore, jobClass: JobClass): boolean {
  if (!preemptsAtAll(store)) return false;
  return jobClass.shape.open.some(({ queue }) =>
    [...store.runGroups.of(store)].some((group) => {
      if (group.runs.size === 0) return false;
      const terms = termsOf(store, jobClass, queue, group);
      return terms?.mode === "Suspend" && terms.instead === undefined && [...group.runs].some(neverSuspends);
    }),
  );
}
