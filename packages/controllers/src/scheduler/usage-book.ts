/**
 * Usage of what has ended, kept over restarts. Each Account, and each Queue and QualityOfService that limits resource-minutes, has
 * in its status the sum of the rows of accounting up to one of them, faded to a time; what was recorded since is added when
 * controllers begin. So every row counts once, whenever anybody dies. What runs is charged by the core.
 */
import { type AnyObject, isReason, resources } from "@berth/client";
import type { ResourceKey } from "@berth/machinery";
import type { UsageEntry } from "@berth/accounting";
import type { UsageCheckpoint } from "@berth/kinds";
import { accounts, defaultHalfLifeSeconds, qualitiesOfService, queues, systemNamespace, vectorOf } from "@berth/kinds";
import { accrued, type ClusterState, decayOver } from "@berth/scheduling";
import { type Context, seconds, timestamp } from "../context.ts";
import type { Stores } from "../stores.ts";

/** Checkpoints are written when something ended, and not more often than this. */
const intervalMs = 60_000;
const rowsAtOnce = 2000;
/** What has faded to less than a millionth is no usage any more. */
const halfLivesKept = 20;
/** Says up to which row every checkpoint knows. */
const markerName = "usage";
const markerKey = "accountedThrough";

type Holder = "Account" | "Queue" | "QualityOfService";
interface Marker extends AnyObject {
  data?: Record<string, string>;
}
interface Sum {
  billingSeconds: number;
  resourceSeconds: Record<string, number>;
}

/** Usage of one object, by user where it is an account; of others under the empty name. */
interface Entry {
  holder: Holder;
  name: string;
  asOf: number;
  through: number;
  users: Map<string, Sum>;
  isChanged: boolean;
}

const resourceOf: Record<Holder, ResourceKey> = {
  Account: accounts,
  Queue: queues,
  QualityOfService: qualitiesOfService,
};

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
    const last = await this.#context.accounting.lastSequence();
    // A database that was made anew counts from the beginning: nothing of it is in any checkpoint.
    this.#through = this.#written = told > last ? 0 : told;
    const take = (
      holder: Holder,
      objects: Iterable<{ metadata: { name: string }; status?: { usage?: UsageCheckpoint } }>,
    ) => {
      for (const { metadata, status } of objects) {
        const usage = status?.usage;
        if (usage === undefined) continue;
        const entry = this.#entryOf(holder, metadata.name);
        entry.asOf = seconds(usage.asOf);
        entry.through = told > last ? 0 : usage.accountedThrough;
        for (const [user, { billingSeconds, resourceSeconds = {} }] of Object.entries(usage.users)) {
          entry.users.set(user, { billingSeconds, resourceSeconds: { ...resourceSeconds } });
        }
      }
    };
    take("Account", this.#stores.accounts.values());
    take("Queue", this.#stores.queues.values());
    take("QualityOfService", this.#stores.qualitiesOfService.values());
    await this.#catchUp();
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

  #entryOf(holder: Holder, name: string): Entry {
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
    sum.billingSeconds += row.billing * grown;
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
    const users: UsageCheckpoint["users"] = {};
    for (const [user, { billingSeconds, resourceSeconds }] of entry.users)
      users[user] = { billingSeconds, resourceSeconds };
    const usage = { asOf: timestamp(entry.asOf * 1000), accountedThrough: entry.through, users };
    const { client } = this.#context;
    try {
      await client.patchStatus<AnyObject>(resourceOf[holder], name, { status: { usage } });
    } catch (error) {
      // An account that is gone has no usage to keep.
      if (isReason(error, "NotFound")) return;
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
