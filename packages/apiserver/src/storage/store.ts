import { insufficientStorage, type KubernetesObject } from "@berth/machinery";
import { Bucket } from "./bucket.ts";
import type { Entry, StoreEvent } from "./entry.ts";
import { entryOf, keyOf, parseEntry } from "./entry.ts";
import { nextTick, nextTurn, Pieces } from "../turn.ts";
import { NoSpaceError, type Journal, type JournalWrite } from "./journal.ts";

/** Largest batch: what is published in one go must not hold the event loop. */
const largestBatch = 64;

/** Resource versions that are taken ahead for what is never written. */
const reservedVersions = 1000;

interface Pending {
  bucket: Bucket;
  write: JournalWrite;
  event: StoreEvent;
  resolve: (entry: Entry) => void;
  reject: (error: Error) => void;
}

/** Hears of every commit, bucket by bucket, before the writes are acknowledged. */
export type Observer = (bucket: Bucket, events: readonly StoreEvent[]) => void;

/** In order; what follows an acknowledgement (an answer is written) is given its time, and then others theirs. */
async function acknowledge(batch: readonly Pending[]): Promise<void> {
  const pieces = new Pieces();
  for (const { resolve, event } of batch) {
    if (pieces.isOver) {
      await nextTurn();
      pieces.begin();
    }
    resolve(event.entry);
    await nextTick();
  }
}

/** A write that could not be made durable; nothing of it is visible. */
export class StoreWriteError extends Error {}

/**
 * All objects, in memory and durable. A write is checked against the newest accepted version (`accepted`), gets its
 * resource version at once, and is visible, published and acknowledged when the journal has it, in that order for all.
 */
export class Store {
  private readonly journal: Journal;
  private readonly buckets = new Map<string, Bucket>();
  private readonly pending = new Map<string, { entry: Entry | undefined; writes: number }>();
  private readonly observers = new Set<Observer>();
  private queue: Pending[] = [];
  private running: Promise<void> | undefined;
  private closed = false;
  private assigned = 0;
  /** What the journal says of the resource version: at least the newest visible one. */
  private reserved = 0;
  private visible = 0;
  /** Why the last commit failed; undefined when it went well. */
  failure: string | undefined;
  /** Sizes of the batches committed, for metrics: count and sum. */
  readonly commits = { count: 0, writes: 0 };

  private constructor(journal: Journal) {
    this.journal = journal;
  }

  /** Reads the whole journal. Fails in words when it is damaged, of a newer format, or in use. */
  static async open(journal: Journal): Promise<Store> {
    const store = new Store(journal);
    try {
      await store.load();
    } catch (error) {
      await journal.close();
      throw error;
    }
    return store;
  }

  private async load(): Promise<void> {
    const rows: [string, string][] = [];
    const last = await this.journal.load((key, value) => rows.push([key, value]));
    this.assigned = last;
    this.reserved = last;
    this.visible = last;
    for (const [path, value] of rows) {
      const slash = path.indexOf("/");
      let object: KubernetesObject;
      try {
        object = JSON.parse(value) as KubernetesObject;
      } catch {
        throw new Error(`the stored object ${path} cannot be read: the store is damaged, restore it from a backup`);
      }
      this.bucket(path.slice(0, slash)).restore(entryOf(path.slice(slash + 1), object, value));
    }
  }

  /** The resource version up to which everything is durable, visible and published. */
  get resourceVersion(): number {
    return this.visible;
  }

  get names(): IterableIterator<string> {
    return this.buckets.keys();
  }

  bucket(name: string): Bucket {
    let bucket = this.buckets.get(name);
    if (bucket === undefined) this.buckets.set(name, (bucket = new Bucket(name, this.visible)));
    return bucket;
  }

  observe(observer: Observer): () => void {
    this.observers.add(observer);
    return () => this.observers.delete(observer);
  }

  /** The visible version. */
  get(bucket: string, namespace: string, name: string): Entry | undefined {
    return this.bucket(bucket).entries.get(keyOf(namespace, name));
  }

  /** The newest accepted version, durable or not: what a write must be checked against, in the same turn. */
  accepted(bucket: string, namespace: string, name: string): Entry | undefined {
    const key = keyOf(namespace, name);
    const pending = this.pending.get(`${bucket}/${key}`);
    return pending === undefined ? this.bucket(bucket).entries.get(key) : pending.entry;
  }

  /** Creates or replaces an object. Its resourceVersion is set here. Resolves when it is durable and visible. */
  put(bucketName: string, object: KubernetesObject): Promise<Entry> {
    const bucket = this.bucket(bucketName);
    const { metadata } = object;
    const key = keyOf(metadata.namespace ?? "", metadata.name);
    const previous = this.accepted(bucketName, metadata.namespace ?? "", metadata.name);
    const resourceVersion = ++this.assigned;
    metadata.resourceVersion = String(resourceVersion);
    const text = JSON.stringify(object);
    const entry = entryOf(key, object, text);
    entry.fields = bucket.fieldsBefore(object);
    const type = previous === undefined ? "ADDED" : "MODIFIED";
    return this.enqueue(bucket, { key: `${bucketName}/${key}`, resourceVersion, value: text }, entry, {
      type,
      resourceVersion,
      entry,
      previous,
    });
  }

  /** Removes an object that must exist. Resolves to its last state, with the resource version of the deletion. */
  remove(bucketName: string, namespace: string, name: string): Promise<Entry> {
    const bucket = this.bucket(bucketName);
    const previous = this.accepted(bucketName, namespace, name);
    if (previous === undefined)
      return Promise.reject(new StoreWriteError(`${bucketName} ${namespace}/${name} is absent`));
    const resourceVersion = ++this.assigned;
    const object = parseEntry(previous);
    object.metadata.resourceVersion = String(resourceVersion);
    const entry = entryOf(previous.key, object, JSON.stringify(object));
    entry.fields = bucket.fieldsBefore(object);
    return this.enqueue(bucket, { key: `${bucketName}/${previous.key}`, resourceVersion, value: null }, undefined, {
      type: "DELETED",
      resourceVersion,
      entry,
      previous,
    });
  }

  private enqueue(bucket: Bucket, write: JournalWrite, next: Entry | undefined, event: StoreEvent): Promise<Entry> {
    if (this.closed) return Promise.reject(new StoreWriteError("the server is shutting down"));
    const pending = this.pending.get(write.key);
    if (pending === undefined) this.pending.set(write.key, { entry: next, writes: 1 });
    else {
      pending.entry = next;
      pending.writes++;
    }
    return new Promise((resolve, reject) => {
      this.queue.push({ bucket, write, event, resolve, reject });
      this.running ??= this.run();
    });
  }

  private async run(): Promise<void> {
    // Requests that arrive in the same turn of the event loop share the first commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.queue.length > 0) {
      const batch = this.queue.length > largestBatch ? this.queue.splice(0, largestBatch) : this.queue;
      if (batch === this.queue) this.queue = [];
      try {
        await this.makeDurable(batch);
      } catch (error) {
        const refusal = error instanceof Error ? error : new Error(String(error));
        this.failure = refusal.message;
        this.refuse(batch, refusal);
        continue;
      }
      this.publish(batch);
    }
    this.running = undefined;
  }

  /**
   * What is volatile moves the resource version on, and is not written: versions for it are taken ahead, so that it needs no commit of
   * its own, also where the disk is full. The journal's version is never below one that was seen.
   */
  private async makeDurable(batch: readonly Pending[]): Promise<void> {
    const last = batch.at(-1)!.write.resourceVersion;
    const writes = batch.flatMap(({ bucket, write }) => (bucket.volatile ? [] : [write]));
    if (writes.length === 0 && last <= this.reserved) return;
    const ahead = writes.length < batch.length && last > this.reserved ? last + reservedVersions : last;
    const reserved = Math.max(ahead, this.reserved);
    await this.journal.commit(writes, reserved);
    this.reserved = reserved;
    this.failure = undefined;
    this.commits.count++;
    this.commits.writes += writes.length;
  }

  /** Later writes may rest on the refused ones, so all that are queued fail with them. */
  private refuse(batch: Pending[], error: Error): void {
    const refused = [...batch, ...this.queue];
    this.queue = [];
    this.pending.clear();
    const failure =
      error instanceof NoSpaceError
        ? insufficientStorage(`${error.message}: nothing was changed; make room there and try again`)
        : new StoreWriteError(`the write could not be made durable and was not done: ${error.message}`);
    for (const item of refused) item.reject(failure);
  }

  private publish(batch: Pending[]): void {
    const byBucket = new Map<Bucket, StoreEvent[]>();
    for (const { bucket, write, event } of batch) {
      bucket.apply(event);
      const pending = this.pending.get(write.key);
      if (pending !== undefined && --pending.writes === 0) this.pending.delete(write.key);
      const events = byBucket.get(bucket);
      if (events === undefined) byBucket.set(bucket, [event]);
      else events.push(event);
    }
    this.visible = batch.at(-1)!.write.resourceVersion;
    for (const [bucket, events] of byBucket) {
      bucket.publish(events);
      for (const observer of this.observers) observer(bucket, events);
    }
    void acknowledge(batch);
  }

  /** Resolves when all writes accepted so far are durable and visible, or were refused. */
  async settled(): Promise<void> {
    await this.running;
  }

  /** Waits for the writes accepted so far, then closes the journal. */
  async close(): Promise<void> {
    this.closed = true;
    await this.running;
    // Who comes back after an orderly stop goes on at the version that it knows.
    if (this.reserved > this.assigned) await this.journal.commit([], this.assigned).catch(() => {});
    await this.journal.close();
  }
}
