/**
 * Usage of what has ended, kept over restarts. Of each Account, and of each Queue and QualityOfService that limits
 * resource-minutes, a UsageCheckpoint has the sum of the rows of accounting up to one of them, faded to a time; what was recorded since
 * is added when controllers begin. So every row counts once, whenever anybody dies. What runs is charged by the core.
 */
import { type AnyObject, isReason, resources } from "@berth/client";
import { isPassingTrouble, type UsageEntry } from "@berth/accounting";
import type { UsageCheckpoint, UsageHolder } from "@berth/kinds";
import { apiVersion, defaultHalfLifeSeconds, systemNamespace, usageCheckpoints, vectorOf } from "@berth/kinds";
import { accrued, type ClusterState, decayOver } from "@berth/scheduling";
import { type Context, seconds, timestamp } from "../context.ts";
import type { Stores } from "../stores.ts";

/** Checkpoints are written when something ended, and not more often than this. */
const intervalMs = 60_000;
const rowsAtOnce = 2000;
const checkpointsAtOnce = 500;
/** What has faded to less than a millionth is no usage any more. */
const halfLivesKept = 20;
/** Says up to which row every checkpoint knows. */
const markerName = "usage";
const markerKey = "checkpointedThrough";

interface Marker extends AnyObject {
  data?: Record<string, string>;
}
interface Sum {
  billingSeconds: number;
  resourceSeconds: Record<string, number>;
}

/** Usage of one object, by user where it is an account; of others under the empty name. */
interface Entry {
  holder: UsageHolder;
  name: string;
  asOf: number;
  through: number;
  users: Map<string, Sum>;
  isChanged: boolean;
}

export class UsageBook {
  readonly #context: Context;
  readonly #stores: Stores;
  readonly #entries = new Map<string, Entry>();
  /** The last row that is in the book. */
  #through = 0;
  #written = 0;
  #isWriting = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: Context, stores: Stores) {
    this.#context = context;
    this.#stores = stores;
    context.signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  get #halfLife(): number {
    const halfLife = this.#stores.sites.get(undefined, "site")?.spec.priority?.halfLifeSeconds;
    return halfLife ?? defaultHalfLifeSeconds;
  }

  #now(): number {
    return Math.floor(this.#context.now() / 1000);
  }

  /** Reads the checkpoints, and what accounting has beyond them. */
  async read(): Promise<void> {
    const { client } = this.#context;
    const marker = await client
      .get<Marker>(resources.configMaps, markerName, { namespace: systemNamespace })
      .catch((error: unknown) => {
        if (isReason(error, "NotFound")) return undefined;
        throw error;
      });
    const told = Number(marker?.data?.[markerKey] ?? 0);
    // What a database that was lost and made anew will have is in no checkpoint: its rows come behind them all.
    await this.#context.accounting.numberAfter(told);
    this.#through = this.#written = told;
    const { items } = await client.listAll<UsageCheckpoint>(usageCheckpoints, { limit: checkpointsAtOnce });
    for (const { spec } of items) {
      if (this.#uidOf(spec.of.kind, spec.of.name) === undefined) continue;
      const entry = this.#entryOf(spec.of.kind, spec.of.name);
      entry.asOf = seconds(spec.asOf);
      entry.through = spec.accountedThrough;
      for (const [user, { billingSeconds, resourceSeconds = {} }] of Object.entries(spec.users)) {
        entry.users.set(user, { billingSeconds, resourceSeconds: { ...resourceSeconds } });
      }
    }
    try {
      await this.#catchUp();
    } catch (error) {
      if (!isPassingTrouble(error)) throw error;
      // Work goes on by what the checkpoints say; what ended since the last of them is in the next.
      const { message } = error as Error;
      this.#context.log("warn", `usage of the last minute is not known until accounting is there again: ${message}`);
      this.changed();
    }
  }

  /** Tells a new state what is in the book. */
  feed(core: ClusterState, names: readonly string[]): void {
    for (const { holder, name, asOf, users } of this.#entries.values()) {
      for (const [user, { billingSeconds, resourceSeconds }] of users) {
        const whose =
          holder === "Account" ? { account: name, user } : holder === "Queue" ? { queue: name } : { qos: name };
        const amounts = vectorOf(resourceSeconds, names);
        core.setUsage({ ...whose, billingSeconds, resourceSeconds: amounts, asOf });
      }
    }
  }

  /** An attempt ended: its row will be in accounting soon. */
  changed(): void {
    if (this.#context.signal.aborted) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.checkpoint().catch((error: unknown) => {
        if (this.#context.signal.aborted) return;
        this.#context.log("warn", `usage could not be written, and will be later: ${(error as Error).message}`);
        this.changed();
      });
    }, intervalMs);
  }

  /** Writes what changed; also in an orderly stop, when the signal is aborted already. */
  async checkpoint(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    try {
      await this.#catchUp();
      if (this.#through === this.#written) return;
      for (const entry of this.#entries.values()) if (entry.isChanged) await this.#write(entry);
      await this.#mark();
      this.#written = this.#through;
    } finally {
      this.#isWriting = false;
    }
  }

  /** Undefined: there is none (any more). */
  #uidOf(holder: UsageHolder, name: string): string | undefined {
    const { accounts, queues, qualitiesOfService } = this.#stores;
    const store = { Account: accounts, Queue: queues, QualityOfService: qualitiesOfService }[holder];
    return store.get(undefined, name)?.metadata.uid;
  }

  #entryOf(holder: UsageHolder, name: string): Entry {
    const key = `${holder} ${name}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { holder, name, asOf: 0, through: 0, users: new Map(), isChanged: false };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  /** Adds what was recorded since. */
  async #catchUp(): Promise<void> {
    const { accounting } = this.#context;
    const halfLife = this.#halfLife;
    const since = Number.isFinite(halfLife) ? this.#now() - halfLivesKept * halfLife : 0;
    // Asked before: what comes while it is read is read, or left for the next time; never passed over.
    const last = await accounting.lastSequence();
    for (let rows = rowsAtOnce; rows === rowsAtOnce;) {
      const found = await accounting.recordedAfter(this.#through, since, rowsAtOnce);
      rows = found.length;
      for (const row of found) this.#add(row, halfLife);
    }
    this.#through = Math.max(this.#through, last);
  }

  #add(row: UsageEntry, halfLife: number): void {
    this.#through = row.sequence;
    this.#addTo(this.#entryOf("Account", row.account), row.user, row, halfLife);
    if (this.#limitsMinutes("Queue", row.queue)) this.#addTo(this.#entryOf("Queue", row.queue), "", row, halfLife);
    if (row.qos !== null && this.#limitsMinutes("QualityOfService", row.qos)) {
      this.#addTo(this.#entryOf("QualityOfService", row.qos), "", row, halfLife);
    }
  }

  #limitsMinutes(holder: "Queue" | "QualityOfService", name: string): boolean {
    const store = holder === "Queue" ? this.#stores.queues : this.#stores.qualitiesOfService;
    return store.get(undefined, name)?.spec.limits?.resourceMinutes !== undefined;
  }

  #addTo(entry: Entry, user: string, row: UsageEntry, halfLife: number): void {
    if (row.sequence <= entry.through) return;
    entry.through = row.sequence;
    entry.isChanged = true;
    this.#fade(entry, Math.max(entry.asOf, row.endTime), halfLife);
    let sum = entry.users.get(user);
    if (sum === undefined) entry.users.set(user, (sum = { billingSeconds: 0, resourceSeconds: {} }));
    const length = Math.max(0, row.endTime - row.startTime);
    const grown = accrued(length, halfLife) * decayOver(entry.asOf - row.endTime, halfLife);
    // When it stood still within its time is not in its row: what it used is taken to lie at its end.
    const ran =
      accrued(Math.max(0, length - row.suspendedSeconds), halfLife) * decayOver(entry.asOf - row.endTime, halfLife);
    sum.billingSeconds += row.billing * ran;
    for (const [resource, amount] of Object.entries(row.allocated)) {
      sum.resourceSeconds[resource] = (sum.resourceSeconds[resource] ?? 0) + amount * grown;
    }
  }

  #fade(entry: Entry, to: number, halfLife: number): void {
    if (to <= entry.asOf) return;
    const kept = decayOver(to - entry.asOf, halfLife);
    entry.asOf = to;
    for (const sum of entry.users.values()) {
      sum.billingSeconds *= kept;
      for (const resource of Object.keys(sum.resourceSeconds)) sum.resourceSeconds[resource]! *= kept;
    }
  }

  async #write(entry: Entry): Promise<void> {
    const { holder, name } = entry;
    entry.isChanged = false;
    const users: UsageCheckpoint["spec"]["users"] = {};
    for (const [user, { billingSeconds, resourceSeconds }] of entry.users)
      users[user] = { billingSeconds, resourceSeconds };
    // An account that is gone has no usage to keep.
    const uid = this.#uidOf(holder, name);
    if (uid === undefined) return;
    const spec = {
      of: { kind: holder, name },
      asOf: timestamp(entry.asOf * 1000),
      accountedThrough: entry.through,
      users,
    };
    const metadata = {
      name: `${holder.toLowerCase()}-${name}`,
      // Goes with whom it is of.
      ownerReferences: [{ apiVersion, kind: holder, name, uid }],
    };
    const { client } = this.#context;
    try {
      await client.patch<UsageCheckpoint>(usageCheckpoints, metadata.name, { spec }).catch((error: unknown) => {
        if (!isReason(error, "NotFound")) throw error;
        return client.create<UsageCheckpoint>(usageCheckpoints, {
          apiVersion,
          kind: usageCheckpoints.kind,
          metadata,
          spec,
        });
      });
    } catch (error) {
      entry.isChanged = true;
      throw error;
    }
  }

  async #mark(): Promise<void> {
    const { client } = this.#context;
    const data = { [markerKey]: String(this.#through) };
    try {
      await client.patch<AnyObject>(resources.configMaps, markerName, { data }, { namespace: systemNamespace });
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
      await client.create<Marker>(resources.configMaps, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: markerName, namespace: systemNamespace },
        data,
      });
    }
  }
}
