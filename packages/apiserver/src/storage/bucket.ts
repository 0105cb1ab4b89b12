import type { Entry, StoreEvent } from "./entry.ts";
import { parseEntry } from "./entry.ts";
import type { KubernetesObject } from "@berth/machinery";

/** How far back a watch may begin: events and bytes kept for each bucket. */
const historyEvents = 8192;
const historyBytes = 16 << 20;

export type FieldsOf = (object: KubernetesObject) => Record<string, string>;

export interface ListOptions {
  namespace?: string;
  after?: string;
  resourceVersion?: number;
  limit?: number;
}

export interface Subscription {
  /** Only events whose old or new state has this value of a field; absent: all. */
  trigger: { field: string; value: string } | undefined;
  deliver: (events: readonly StoreEvent[]) => void;
}

/** All objects of one kind: the visible state, sorted keys for paging, recent history and subscribers. */
export class Bucket {
  readonly name: string;
  /** Its objects are kept in memory only. */
  volatile = false;
  readonly entries = new Map<string, Entry>();
  /** Events with a resource version at or below this one are no longer known. */
  floor: number;
  bytes = 0;
  private sorted: string[] = [];
  private inserted: string[] = [];
  /** Removed, but still in `sorted` or `inserted`. */
  private readonly removed = new Set<string>();
  private history: StoreEvent[] = [];
  private historyStart = 0;
  private historySize = 0;
  private readonly everything = new Set<Subscription>();
  private readonly triggered = new Map<string, Map<string, Set<Subscription>>>();
  private fieldsOfObject: FieldsOf | undefined;

  constructor(name: string, floor: number) {
    this.name = name;
    this.floor = floor;
  }

  get subscribers(): number {
    let count = this.everything.size;
    for (const values of this.triggered.values()) for (const set of values.values()) count += set.size;
    return count;
  }

  /** Declares how selectable fields are read from an object; values computed under an older rule are forgotten. */
  selectBy(fieldsOf: FieldsOf): void {
    this.fieldsOfObject = fieldsOf;
    for (const entry of this.entries.values()) entry.fields = undefined;
  }

  fields(entry: Entry): Readonly<Record<string, string>> {
    entry.fields ??= this.fieldsOfObject === undefined ? {} : this.fieldsOfObject(parseEntry(entry));
    return entry.fields;
  }

  /** Selectable fields of an object about to be written, so that it need not be parsed again. */
  fieldsBefore(object: KubernetesObject): Record<string, string> | undefined {
    return this.fieldsOfObject?.(object);
  }

  /** Puts an entry read at start in place, without an event. */
  restore(entry: Entry): void {
    this.entries.set(entry.key, entry);
    this.inserted.push(entry.key);
    this.bytes += entry.bytes.length;
  }

  apply(event: StoreEvent): void {
    const { entry, previous } = event;
    if (previous !== undefined) this.bytes -= previous.bytes.length;
    if (event.type === "DELETED") {
      this.entries.delete(entry.key);
      this.removed.add(entry.key);
    } else {
      this.bytes += entry.bytes.length;
      this.entries.set(entry.key, entry);
      if (previous === undefined && !this.removed.delete(entry.key)) {
        this.inserted.push(entry.key);
        // In portions, so that no list has to sort all at once.
        if (this.inserted.length > Math.max(1024, this.sorted.length >> 4)) this.keys();
      }
    }
    this.history.push(event);
    this.historySize += entry.bytes.length;
    this.trim();
  }

  private trim(): void {
    while (this.history.length - this.historyStart > historyEvents || this.historySize > historyBytes) {
      const oldest = this.history[this.historyStart];
      if (oldest === undefined || this.history.length - this.historyStart <= 1) break;
      this.floor = oldest.resourceVersion;
      this.historySize -= oldest.entry.bytes.length;
      this.historyStart++;
    }
    if (this.historyStart > historyEvents) {
      this.history = this.history.slice(this.historyStart);
      this.historyStart = 0;
    }
  }

  /** Events after a resource version, oldest first; `undefined` when some are no longer known. */
  since(resourceVersion: number): readonly StoreEvent[] | undefined {
    if (resourceVersion < this.floor) return undefined;
    let low = this.historyStart;
    let high = this.history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.history[middle]!.resourceVersion > resourceVersion) high = middle;
      else low = middle + 1;
    }
    return low === this.history.length ? [] : this.history.slice(low);
  }

  /**
   * Entries in key order, of one namespace or all, beginning after the key `after`, as of `resourceVersion`
   * (absent: now), at most `limit`. `undefined` when that state can no longer be told.
   */
  list(options: ListOptions): Entry[] | undefined {
    return this.page(options)?.entries;
  }

  /** As `list`; also tells how many more there are. */
  page(options: ListOptions): { entries: Entry[]; remaining: number } | undefined {
    let overlay: Map<string, Entry | undefined> | undefined;
    if (options.resourceVersion !== undefined) {
      const events = this.since(options.resourceVersion);
      if (events === undefined) return undefined;
      if (events.length > 0) {
        overlay = new Map();
        for (const event of events) if (!overlay.has(event.entry.key)) overlay.set(event.entry.key, event.previous);
      }
    }
    let keys = this.keys();
    if (overlay !== undefined) {
      const missing = [...overlay].filter(([key, entry]) => entry !== undefined && !this.entries.has(key));
      if (missing.length > 0) keys = mergeSorted(keys, missing.map(([key]) => key).sort());
    }
    const { namespace, after } = options;
    let start = namespace === undefined ? 0 : lowerBound(keys, `${namespace}/`);
    if (after !== undefined) {
      start = Math.max(start, lowerBound(keys, after));
      if (keys[start] === after) start++;
    }
    // "0" is the character after "/": the end of the namespace's range.
    const end = namespace === undefined ? keys.length : lowerBound(keys, `${namespace}0`);
    const { limit = Number.POSITIVE_INFINITY } = options;
    const entries: Entry[] = [];
    let remaining = 0;
    for (let index = start; index < end; index++) {
      const key = keys[index]!;
      if (overlay === undefined && entries.length === limit) {
        remaining = end - index;
        break;
      }
      const entry = overlay?.has(key) ? overlay.get(key) : this.entries.get(key);
      if (entry === undefined) continue;
      if (entries.length < limit) entries.push(entry);
      else remaining++;
    }
    return { entries, remaining };
  }

  private keys(): string[] {
    if (this.removed.size > 0) {
      this.sorted = this.sorted.filter((key) => !this.removed.has(key));
      this.inserted = this.inserted.filter((key) => !this.removed.has(key));
      this.removed.clear();
    }
    if (this.inserted.length > 0) {
      this.sorted = mergeSorted(this.sorted, this.inserted.sort());
      this.inserted = [];
    }
    return this.sorted;
  }

  subscribe(subscription: Subscription): () => void {
    const { trigger } = subscription;
    if (trigger === undefined) {
      this.everything.add(subscription);
      return () => this.everything.delete(subscription);
    }
    let values = this.triggered.get(trigger.field);
    if (values === undefined) this.triggered.set(trigger.field, (values = new Map()));
    let set = values.get(trigger.value);
    if (set === undefined) values.set(trigger.value, (set = new Set()));
    set.add(subscription);
    return () => {
      set.delete(subscription);
      if (set.size === 0 && values.get(trigger.value) === set) values.delete(trigger.value);
    };
  }

  publish(events: readonly StoreEvent[]): void {
    for (const subscription of this.everything) subscription.deliver(events);
    if (this.triggered.size === 0) return;
    const mine = new Map<Subscription, StoreEvent[]>();
    for (const event of events) {
      for (const [field, values] of this.triggered) {
        if (values.size === 0) continue;
        const now = fieldValue(this, event.entry, field);
        const before = event.previous === undefined ? now : fieldValue(this, event.previous, field);
        for (const value of now === before ? [now] : [before, now]) {
          for (const subscription of values.get(value) ?? []) {
            const list = mine.get(subscription);
            if (list === undefined) mine.set(subscription, [event]);
            else list.push(event);
          }
        }
      }
    }
    for (const [subscription, list] of mine) subscription.deliver(list);
  }
}

/** Value of a field selector's field. */
export function fieldValue(bucket: Bucket, entry: Entry, field: string): string {
  if (field === "metadata.name") return entry.name;
  if (field === "metadata.namespace") return entry.namespace;
  return bucket.fields(entry)[field] ?? "";
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function mergeSorted(left: readonly string[], right: readonly string[]): string[] {
  if (left.length === 0) return right.slice();
  const result: string[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) result.push(left[i]! <= right[j]! ? left[i++]! : right[j++]!);
  while (i < left.length) result.push(left[i++]!);
  while (j < right.length) result.push(right[j++]!);
  return result;
}
