import { setTimeout as delay } from "node:timers/promises";
import type { AnyObject } from "./objects.ts";
import type { Client } from "./client.ts";
import { ApiError } from "@berth/machinery";
import { isReason } from "./errors.ts";
import type { ResourceReference } from "./resources.ts";
import { jitter } from "./transport.ts";
import { initialEventsEnd, type WatchEvent } from "./watch.ts";

export interface InformerHandler<T> {
  add?(object: T): void;
  update?(object: T, before: T): void;
  /** With the last state that was seen, also of an object that vanished while the watch was away. */
  delete?(object: T): void;
}

export interface InformerOptions<T> {
  client: Client;
  resource: ResourceReference;
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Keeps of each object only what is needed; its result is what the store holds. */
  transform?(object: T): T;
  /** Named indexes: the values under which an object is found. `namespace` is always there. */
  indexers?: Record<string, (object: T) => string[]>;
  handlers?: InformerHandler<T>[];
  /** Told of each broken watch and of each handler that threw; the informer goes on. */
  onError?(error: unknown): void;
  signal: AbortSignal;
}

const firstDelayMs = 100;
const longestDelayMs = 10_000;
const shortWatchMs = 1000;
/** Watches are renewed at random between 5 and 10 minutes, as client-go does, so that a dead one is found. */
const shortestWatchSeconds = 300;

/**
 * A local copy of a collection that is kept up to date by a watch, and tells handlers of each change. It begins with a
 * watch-list (initial events, then a marked bookmark); where the server refuses that, with a paged list and a watch.
 */
export class Informer<T extends AnyObject = AnyObject> {
  readonly #options: InformerOptions<T>;
  readonly #store = new Map<string, T>();
  readonly #indexes = new Map<string, { values: (object: T) => string[]; members: Map<string, Map<string, T>> }>();
  readonly #handlers: InformerHandler<T>[];
  readonly #synced = Promise.withResolvers<void>();
  #hasSynced = false;
  #resourceVersion: string | undefined;
  #watchList = true;
  /** Initial events of a watch-list that is under way. */
  #incoming: Map<string, T> | undefined;
  /** Resolves when the informer's signal has ended it. */
  readonly done: Promise<void>;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#handlers = [...(options.handlers ?? [])];
    const indexers = { namespace: namespaceOf, ...options.indexers };
    for (const [name, values] of Object.entries(indexers)) this.#indexes.set(name, { values, members: new Map() });
    // Nobody may wait for the synchronisation; its failure (the signal) is not an unhandled rejection then.
    this.#synced.promise.catch(() => {});
    this.done = this.#run();
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Resolves once the store holds the collection; rejects when the informer is ended before. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** The newest version that the store reflects. */
  get resourceVersion(): string | undefined {
    return this.#resourceVersion;
  }

  get size(): number {
    return this.#store.size;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#store.get(namespace === undefined || namespace === "" ? name : `${namespace}/${name}`);
  }

  /** By `namespace/name`, or the name alone of what has no namespace: the keys of a work queue. */
  getByKey(key: string): T | undefined {
    return this.#store.get(key);
  }

  values(): IterableIterator<T> {
    return this.#store.values();
  }

  list(): T[] {
    return [...this.#store.values()];
  }

  byIndex(index: string, value: string): T[] {
    const members = this.#indexes.get(index);
    if (members === undefined)
      throw new TypeError(`the informer of ${this.#options.resource.resource} has no index ${index}`);
    return [...(members.members.get(value)?.values() ?? [])];
  }

  /** Adds a handler; objects that are already there are handed to its `add` at once. */
  addHandler(handler: InformerHandler<T>): void {
    this.#handlers.push(handler);
    for (const object of this.#store.values()) this.#call(() => handler.add?.(object));
  }

  async #run(): Promise<void> {
    const { signal } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const before = this.#resourceVersion;
      const begun = performance.now();
      try {
        if (this.#resourceVersion === undefined) await this.#begin();
        else await this.#resume();
        failures = 0;
        // A server that ends each watch at once (it may be shutting down) is not asked in a busy loop.
        if (performance.now() - begun < shortWatchMs)
          await delay(jitter(firstDelayMs), undefined, { signal }).catch(() => {});
      } catch (error) {
        if (signal.aborted) break;
        if (this.#resourceVersion !== before) failures = 0;
        if (isReason(error, "Expired", "Gone")) this.#resourceVersion = undefined;
        else this.#options.onError?.(error);
        failures += 1;
        const pause = jitter(Math.min(longestDelayMs, firstDelayMs * 2 ** (failures - 1)));
        await delay(pause, undefined, { signal }).catch(() => {});
      }
    }
    this.#synced.reject(signal.reason);
  }

  async #begin(): Promise<void> {
    if (this.#watchList) {
      try {
        this.#incoming = new Map();
        await this.#watch({ sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" });
        return;
      } catch (error) {
        const refused = error instanceof ApiError && error.code >= 400 && error.code < 500 && error.code !== 429;
        if (!refused || isReason(error, "Expired", "Gone", "Unauthorized", "Forbidden", "NotFound")) throw error;
        this.#watchList = false;
      } finally {
        this.#incoming = undefined;
      }
    }
    const { client, resource, namespace, labelSelector, fieldSelector, signal } = this.#options;
    const list = await client.listAll<T>(resource, { namespace, labelSelector, fieldSelector, signal });
    const found = new Map<string, T>();
    for (const item of list.items) found.set(keyOf(item), this.#keep(item));
    this.#replace(found, list.metadata.resourceVersion);
    await this.#resume();
  }

  #resume(): Promise<void> {
    return this.#watch({ resourceVersion: this.#resourceVersion });
  }

  #watch(how: {
    resourceVersion?: string;
    sendInitialEvents?: boolean;
    resourceVersionMatch?: "NotOlderThan";
  }): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector, signal } = this.#options;
    const timeoutSeconds = Math.round(shortestWatchSeconds * (1 + Math.random()));
    return client.watch<T>(
      resource,
      { ...how, namespace, labelSelector, fieldSelector, signal, timeoutSeconds, allowWatchBookmarks: true },
      (event) => this.#take(event),
    );
  }

  #take(event: WatchEvent<T>): void {
    const version = event.object.metadata.resourceVersion;
    if (this.#incoming !== undefined) {
      if (event.type === "BOOKMARK") {
        if (event.object.metadata.annotations?.[initialEventsEnd] !== "true") return;
        const found = this.#incoming;
        this.#incoming = undefined;
        this.#replace(found, version);
      } else if (event.type === "DELETED") this.#incoming.delete(keyOf(event.object));
      else this.#incoming.set(keyOf(event.object), this.#keep(event.object));
      return;
    }
    if (event.type === "DELETED") this.#remove(keyOf(event.object), this.#keep(event.object));
    else if (event.type !== "BOOKMARK") this.#put(keyOf(event.object), this.#keep(event.object));
    if (version !== undefined) this.#resourceVersion = version;
  }

  #keep(object: T): T {
    return this.#options.transform === undefined ? object : this.#options.transform(object);
  }

  #replace(found: Map<string, T>, version: string | undefined): void {
    for (const key of this.#store.keys()) if (!found.has(key)) this.#remove(key);
    for (const [key, object] of found) this.#put(key, object);
    this.#resourceVersion = version;
    if (this.#hasSynced) return;
    this.#hasSynced = true;
    this.#synced.resolve();
  }

  #put(key: string, object: T): void {
    const before = this.#store.get(key);
    if (before !== undefined) {
      if (
        before.metadata.resourceVersion === object.metadata.resourceVersion &&
        before.metadata.uid === object.metadata.uid
      )
        return;
      // Another uid: the old one was deleted and one of the same name made while the watch was away.
      if (before.metadata.uid !== object.metadata.uid) {
        this.#remove(key);
        this.#put(key, object);
        return;
      }
      this.#index(key, before, object);
    } else this.#index(key, undefined, object);
    this.#store.set(key, object);
    for (const handler of this.#handlers) {
      this.#call(() => (before === undefined ? handler.add?.(object) : handler.update?.(object, before)));
    }
  }

  #remove(key: string, last?: T): void {
    const before = this.#store.get(key);
    if (before === undefined) return;
    this.#store.delete(key);
    this.#index(key, before, undefined);
    for (const handler of this.#handlers) this.#call(() => handler.delete?.(last ?? before));
  }

  #index(key: string, before: T | undefined, after: T | undefined): void {
    for (const { values, members } of this.#indexes.values()) {
      for (const value of before === undefined ? [] : values(before)) {
        const found = members.get(value);
        found?.delete(key);
        if (found?.size === 0) members.delete(value);
      }
      for (const value of after === undefined ? [] : values(after)) {
        const found = members.get(value);
        if (found === undefined) members.set(value, new Map([[key, after!]]));
        else found.set(key, after!);
      }
    }
  }

  #call(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      this.#options.onError?.(error);
    }
  }
}

/** `namespace/name`, or the name alone of what has no namespace. */
export function keyOf(object: AnyObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined || namespace === "" ? name : `${namespace}/${name}`;
}

function namespaceOf(object: AnyObject): string[] {
  return object.metadata.namespace === undefined ? [] : [object.metadata.namespace];
}
