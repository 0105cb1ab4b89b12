import type { AccountInput, MembershipInput, QualityOfServiceInput, UsageRecord } from "./account-types.ts";
import { checkAccount, checkQualityOfService, checkShares } from "./account-validation.ts";
import { SchedulingError } from "./error.ts";
import { arrange, factorBehind, rank } from "./fair-share.ts";
import { Account, Association, Party, QualityOfService } from "./parties.ts";
import type { Run } from "./records.ts";
import type { QueueInput, Time } from "./types.ts";
import { decayOver, Meter } from "./usage.ts";
import type { Rate } from "./usage.ts";

const rootName = "root";

/** Who jobs belong to. */
export interface Owner {
  account: string;
  user: string;
  /** The queue that counts, and the quality of service. */
  queue: string;
  qos: string | undefined;
}

/** The tree of accounts, qualities of service and queues as parties with usage and limits, kept by change. */
export class Accounts {
  readonly root: Account;
  readonly accounts = new Map<string, Account>();
  readonly queues = new Map<string, Party>();
  readonly qualities = new Map<string, QualityOfService>();
  readonly #resources: readonly string[];
  readonly #queueOf: (name: string) => QueueInput | undefined;
  /** Grows when parties of jobs may be others than before. */
  version = 0;
  halfLifeSeconds = 7 * 86_400;
  /** Somebody has limits. */
  hasLimits = false;
  #isArranged = false;
  #rankedAt: Time | undefined = undefined;
  #startsSinceRanking = 0;
  #priorityOfQualities = 0;

  constructor(resources: readonly string[], queueOf: (name: string) => QueueInput | undefined) {
    this.#resources = resources;
    this.#queueOf = queueOf;
    this.root = new Account(rootName, resources.length);
    this.root.input = { name: rootName };
    this.accounts.set(rootName, this.root);
  }

  // --- who there is

  putAccount(input: AccountInput): void {
    checkAccount(input, this.#resources);
    if (input.name === rootName && input.parent !== undefined) {
      throw new SchedulingError(`account ${rootName} is the root of all: it has no parent`);
    }
    const path = [input.name];
    for (let name = input.parent; name !== undefined; name = this.accounts.get(name)?.input?.parent) {
      path.push(name);
      if (name === input.name)
        throw new SchedulingError(`account ${input.name} would be above itself: ${path.join(" in ")}`);
    }
    const account = this.#account(input.name);
    account.input = { ...input };
    account.limits = input.limits;
    this.#changed();
  }

  removeAccount(name: string): void {
    const account = this.accounts.get(name);
    if (account?.input === undefined) throw new SchedulingError(`account ${name} is not known`);
    account.input = name === rootName ? { name } : undefined;
    account.limits = undefined;
    this.#changed();
  }

  putMembership(input: MembershipInput): void {
    checkShares(input.shares, `membership of ${input.user} in account ${input.account}`);
    const association = this.association(input.account, input.user);
    association.input = { ...input };
    association.limits = input.limits;
    this.#changed();
  }

  removeMembership(account: string, user: string): void {
    const association = this.accounts.get(account)?.members.get(user);
    if (association?.input === undefined) throw new SchedulingError(`user ${user} is no member of account ${account}`);
    association.input = undefined;
    association.limits = undefined;
    this.forgetUnused(association);
    this.#changed();
  }

  putQualityOfService(input: QualityOfServiceInput): void {
    checkQualityOfService(input, this.#resources);
    const qos = this.#quality(input.name);
    qos.input = { ...input };
    qos.limits = input.limits;
    this.#changed();
  }

  removeQualityOfService(name: string): void {
    const qos = this.qualities.get(name);
    if (qos?.input === undefined) throw new SchedulingError(`QOS ${name} is not known`);
    qos.input = undefined;
    qos.limits = undefined;
    this.#changed();
  }

  /** A queue came, went or changed. */
  queueChanged(name: string): void {
    this.#queue(name).limits = this.#queueOf(name)?.limits;
    this.#changed();
  }

  #changed(): void {
    this.version += 1;
    this.#isArranged = false;
    this.#rankedAt = undefined;
    this.hasLimits = false;
    this.#priorityOfQualities = 0;
    for (const account of this.accounts.values()) {
      if (account.limits !== undefined) this.hasLimits = true;
      for (const { limits } of account.members.values()) if (limits !== undefined) this.hasLimits = true;
    }
    for (const { limits, input } of this.qualities.values()) {
      if (limits !== undefined) this.hasLimits = true;
      this.#priorityOfQualities = Math.max(this.#priorityOfQualities, input?.priority ?? 0);
    }
    for (const { limits } of this.queues.values()) if (limits !== undefined) this.hasLimits = true;
  }

  #account(name: string): Account {
    let account = this.accounts.get(name);
    if (account === undefined) {
      account = new Account(name, this.#resources.length);
      this.accounts.set(name, account);
    }
    return account;
  }

  #queue(name: string): Party {
    let party = this.queues.get(name);
    if (party === undefined) {
      party = new Party({ kind: "Queue", name }, this.#resources.length);
      this.queues.set(name, party);
    }
    return party;
  }

  #quality(name: string): QualityOfService {
    let qos = this.qualities.get(name);
    if (qos === undefined) {
      qos = new QualityOfService({ kind: "QualityOfService", name }, this.#resources.length);
      this.qualities.set(name, qos);
    }
    return qos;
  }

  /** A user in an account, from now on known. */
  association(account: string, user: string): Association {
    const of = this.#account(account);
    let association = of.members.get(user);
    if (association === undefined) {
      association = new Association(of, user, this.#resources.length);
      of.members.set(user, association);
      this.#isArranged = false;
      this.#rankedAt = undefined;
    }
    return association;
  }

  /** A member whom nobody put there is one as long as there are jobs or usage. */
  forgetUnused(association: Association): void {
    const { input, classes, meter, account, user } = association;
    if (input !== undefined || classes > 0 || !meter.isEmpty || meter.rate > 0) return;
    account.members.delete(user);
    this.#isArranged = false;
    this.#rankedAt = undefined;
  }

  /** The parts of priority that qualities of service give. */
  qualityFactor(name: string | undefined): number {
    const priority = this.qualities.get(name ?? "")?.input?.priority ?? 0;
    return this.#priorityOfQualities === 0 ? 0 : priority / this.#priorityOfQualities;
  }

  // --- the tree

  /** Links accounts with those above them; usage of accounts is that of their members. */
  #arrange(): void {
    if (this.#isArranged) return;
    this.#isArranged = true;
    for (const account of this.accounts.values()) {
      account.children.clear();
      account.parent = undefined;
    }
    for (const account of this.accounts.values()) {
      if (account === this.root || account.input === undefined) continue;
      const above = this.accounts.get(account.input.parent ?? rootName);
      account.parent = above?.input === undefined ? this.root : above;
      account.parent.children.add(account);
    }
    arrange(this.root);
  }

  /** All whose jobs these are: queue, QOS, member, accounts, each with the user in it where limits ask for that. */
  partiesOf({ account, user, queue, qos }: Owner): Party[] {
    this.#arrange();
    const parties: Party[] = [];
    const add = (party: Party): void => {
      parties.push(party);
      const ofUser = party.ofUser(user);
      if (ofUser !== undefined) parties.push(ofUser);
    };
    add(this.#queue(queue));
    if (qos !== undefined) add(this.#quality(qos));
    const innermost = this.accounts.get(account);
    const association = innermost?.members.get(user);
    if (association !== undefined) parties.push(association);
    for (let of: Account | undefined = innermost; of !== undefined; of = of.parent) add(of);
    return parties;
  }

  /**
   * Counts and charges everything anew after the tree or limits changed: usage that is over stays with members, queues and
   * qualities of service; that of accounts is summed up.
   */
  recount(runs: Iterable<Run>, partiesOf: (run: Run) => readonly Party[], now: Time): void {
    this.#arrange();
    const all = this.#all();
    for (const party of all) {
      party.meter.advance(now, this.halfLifeSeconds);
      party.meter.stopAll();
      party.running = 0;
      party.submitted = 0;
      party.users.clear();
    }
    const sum = (account: Account): void => {
      account.meter.set(0, []);
      for (const child of account.children) {
        sum(child);
        account.meter.addAll(child.meter, this.halfLifeSeconds);
      }
      for (const member of account.members.values()) account.meter.addAll(member.meter, this.halfLifeSeconds);
    };
    for (const account of this.accounts.values()) if (account.parent === undefined) sum(account);
    for (const run of runs) {
      for (const party of partiesOf(run)) {
        party.running += 1;
        party.meter.begin(run.rate, Math.max(party.meter.asOf, now), run.end, now, this.halfLifeSeconds);
      }
    }
  }

  #all(): Party[] {
    const all: Party[] = [...this.accounts.values(), ...this.queues.values(), ...this.qualities.values()];
    for (const { members } of this.accounts.values()) all.push(...members.values());
    return all;
  }

  // --- usage

  setHalfLife(seconds: number, now: Time): void {
    for (const party of this.#all()) party.meter.advance(now, this.halfLifeSeconds);
    this.halfLifeSeconds = seconds;
    this.#rankedAt = undefined;
  }

  /** What a job is charged a second that takes these amounts. */
  rateOf(queue: string, qos: string | undefined, amounts: readonly number[]): Rate {
    const weights = this.#queueOf(queue)?.billingWeights;
    const factor = this.qualities.get(qos ?? "")?.input?.usageFactor ?? 1;
    let billing = 0;
    if (weights !== undefined)
      for (const [index, weight] of weights.entries()) billing += weight * (amounts[index] ?? 0);
    else {
      const cpu = this.#resources.indexOf("cpu");
      billing = cpu < 0 ? (amounts[0] ?? 0) : amounts[cpu]! / 1000;
    }
    return { billing: billing * factor, amounts };
  }

  begin(run: Run, parties: readonly Party[], now: Time): void {
    for (const party of parties) {
      party.running += 1;
      party.meter.begin(run.rate, run.chargedFrom, run.end, now, this.halfLifeSeconds);
    }
    this.#startsSinceRanking += 1;
  }

  end(run: Run, parties: readonly Party[], now: Time): void {
    for (const party of parties) {
      party.running -= 1;
      party.meter.end(run.rate, run.end, now, this.halfLifeSeconds);
    }
    this.#rankedAt = undefined;
  }

  /** `charged`: what running jobs have used of what is known. */
  setUsage(record: UsageRecord, now: Time, charged: ReadonlyMap<Party, Rate>): void {
    const { account, user, queue, qos, billingSeconds, resourceSeconds = [], asOf } = record;
    const names = [account, queue, qos].filter((name) => name !== undefined);
    if (names.length !== 1 || (account === undefined) !== (user === undefined)) {
      throw new SchedulingError("usage is that of a user in an account, of a queue, or of a QOS");
    }
    if (![billingSeconds, ...resourceSeconds].every((amount) => Number.isFinite(amount) && amount >= 0)) {
      throw new SchedulingError(
        `usage of ${user ?? names[0]}: ${billingSeconds} billing seconds, must be a number from 0`,
      );
    }
    const party =
      account !== undefined
        ? this.association(account, user!)
        : queue !== undefined
          ? this.#queue(queue)
          : this.#quality(qos!);
    party.meter.advance(now, this.halfLifeSeconds);
    const kept = decayOver(party.meter.asOf - asOf, this.halfLifeSeconds);
    const running = charged.get(party);
    party.meter.set(
      billingSeconds * kept + (running?.billing ?? 0),
      this.#resources.map((_, index) => (resourceSeconds[index] ?? 0) * kept + (running?.amounts[index] ?? 0)),
    );
    this.version += 1;
    this.#rankedAt = undefined;
  }

  /** Usage of what is over, decayed to `now`; `charged` is that of running jobs. */
  usage(charged: ReadonlyMap<Party, Rate>, now: Time): UsageRecord[] {
    const records: UsageRecord[] = [];
    const add = (of: Partial<UsageRecord>, party: Party): void => {
      const running = charged.get(party);
      // What rounding leaves is nothing.
      const rest = (used: number, ofRunning = 0): number => (used - ofRunning > used * 1e-12 ? used - ofRunning : 0);
      const billingSeconds = rest(party.meter.usedAt(now, this.halfLifeSeconds), running?.billing);
      const resourceSeconds = this.#resources.map((_, index) =>
        rest(party.meter.usedAmountAt(index, now, this.halfLifeSeconds), running?.amounts[index]),
      );
      if (billingSeconds === 0 && resourceSeconds.every((amount) => amount === 0)) return;
      records.push({ ...of, billingSeconds, resourceSeconds, asOf: now });
    };
    for (const { name, members } of this.accounts.values()) {
      for (const member of members.values()) add({ account: name, user: member.user }, member);
    }
    for (const [queue, party] of this.queues) add({ queue }, party);
    for (const [qos, party] of this.qualities) add({ qos }, party);
    return records;
  }

  borrowed(name: string): number[] {
    const account = this.accounts.get(name);
    return this.#resources.map((_, index) =>
      Math.max(0, (account?.meter.inUse[index] ?? 0) - (account?.input?.guaranteed?.[index] ?? Infinity)),
    );
  }

  // --- fair share

  /** Ranks all members, unless nothing changed since. */
  rankAll(now: Time): void {
    this.#arrange();
    if (this.#rankedAt === now && this.#startsSinceRanking === 0) return;
    this.#rankedAt = now;
    this.#startsSinceRanking = 0;
    rank(this.root, this.usageOf, now);
  }

  /** Billing seconds that count for the order: used, and what running jobs may still use. */
  readonly usageOf = ({ meter }: Party, now: Time): number =>
    meter.usedAt(now, this.halfLifeSeconds) + meter.promisedAt(now);

  /**
   * A job of the association has just begun: its rank falls at once. All ranks are made anew so often that a start costs about the
   * logarithm of the number of members; with up to 32 members after each start. True: they were.
   */
  reRank(association: Association, now: Time): boolean {
    if (this.#startsSinceRanking * 32 >= this.root.memberCount) {
      this.rankAll(now);
      return true;
    }
    if (this.#isInTree(association)) association.fairShare = factorBehind(this.root, association, this.usageOf, now);
    return false;
  }

  #isInTree({ account }: Association): boolean {
    return account === this.root || account.parent !== undefined;
  }

  /** The factor of a member, as of the last ranking; of others 0. */
  fairShareOf(association: Association): number {
    return this.#isInTree(association) ? association.fairShare : 0;
  }

  // --- copies

  /** Becomes equal to another, but for what runs and waits. */
  copy(from: Accounts): void {
    this.halfLifeSeconds = from.halfLifeSeconds;
    for (const { input } of from.accounts.values()) if (input !== undefined) this.putAccount(input);
    for (const account of from.accounts.values()) {
      for (const member of account.members.values()) {
        const twin = this.association(account.name, member.user);
        twin.input = member.input;
        twin.limits = member.limits;
      }
    }
    for (const qos of from.qualities.values()) if (qos.input !== undefined) this.putQualityOfService(qos.input);
    for (const name of from.queues.keys()) this.queueChanged(name);
    this.#changed();
  }

  /** What all have used, by whose it is. */
  copyOfMeters(): Map<string, Meter> {
    const meters = new Map<string, Meter>();
    for (const [name, { meter }] of this.#byName()) {
      const copy = new Meter(this.#resources.length);
      copy.copy(meter);
      meters.set(name, copy);
    }
    return meters;
  }

  /** Meters as they were of others, whose runs are the same. */
  setMeters(meters: ReadonlyMap<string, Meter>): void {
    for (const [name, { meter }] of this.#byName()) {
      const other = meters.get(name);
      if (other !== undefined) meter.copy(other);
    }
    this.#rankedAt = undefined;
  }

  #byName(): Map<string, Party> {
    const result = new Map<string, Party>();
    for (const party of this.#all()) {
      const { kind, name, user = "" } = party.holder;
      result.set([kind, name, user].join("\0"), party);
    }
    return result;
  }
}
