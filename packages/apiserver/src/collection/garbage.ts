import type { KubernetesObject, OwnerReference } from "@berth/machinery";
import { remove } from "../registry/delete.ts";
import type { Kind } from "../registry/kind.ts";
import type { Registry } from "../registry/registry.ts";
import { update } from "../registry/write.ts";
import type { Bucket } from "../storage/bucket.ts";
import type { Entry, StoreEvent } from "../storage/entry.ts";
import { parseEntry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import { type Collector, type CollectorLog, lenient, startCollector, systemContext } from "./collector.ts";

/**
 * Deletes what its owners have left behind, and carries out the propagation policies Foreground and Orphan. Follows the
 * store's events by an index of owner uids; work grows with changes, not with objects.
 */
export class GarbageCollector {
  private readonly store: Store;
  private readonly registry: Registry;
  /** Owner uid → `bucket/key` of the objects that name it. */
  private readonly dependents = new Map<string, Set<string>>();
  /** Uid of an owner that waits for its dependents (foreground) → its `bucket/key`. */
  private readonly waitingOwners = new Map<string, string>();
  private readonly queue: Collector;

  constructor(store: Store, registry: Registry, log: CollectorLog) {
    this.store = store;
    this.registry = registry;
    this.queue = startCollector(store, (bucket, events) => this.follow(bucket, events), {
      name: "garbage collection of ",
      work: (path) => this.collect(path),
      log,
    });
    for (const name of store.names) {
      const bucket = store.bucket(name);
      for (const entry of bucket.entries.values()) {
        this.index(bucket, entry, undefined);
        if (entry.owners.length > 0 || entry.deleting) this.queue.add(`${name}/${entry.key}`);
      }
    }
  }

  stop(): void {
    this.queue.stop();
  }

  private index(bucket: Bucket, entry: Entry | undefined, previous: Entry | undefined): void {
    const path = `${bucket.name}/${(entry ?? previous)!.key}`;
    const now = entry?.owners ?? [];
    const before = previous?.owners ?? [];
    for (const uid of before) {
      if (now.includes(uid)) continue;
      const set = this.dependents.get(uid);
      set?.delete(path);
      if (set?.size === 0) this.dependents.delete(uid);
    }
    for (const uid of now) {
      const set = this.dependents.get(uid);
      if (set === undefined) this.dependents.set(uid, new Set([path]));
      else set.add(path);
    }
  }

  private follow(bucket: Bucket, events: readonly StoreEvent[]): void {
    for (const { type, entry, previous } of events) {
      const path = `${bucket.name}/${entry.key}`;
      if (type === "DELETED") {
        this.index(bucket, undefined, previous ?? entry);
        this.waitingOwners.delete(entry.uid);
        for (const dependent of this.dependents.get(entry.uid) ?? []) this.queue.add(dependent);
      } else {
        this.index(bucket, entry, previous);
        if (entry.deleting) this.queue.add(path);
        else if (entry.owners.length > 0 && (type === "ADDED" || entry.owners !== previous?.owners)) {
          // A MODIFIED entry parses its owners anew; only a real change is worth a look.
          if (type === "ADDED" || entry.owners.join() !== previous?.owners.join()) this.queue.add(path);
        }
      }
      // An owner that waits hears of every change of what it waits for.
      if (this.waitingOwners.size > 0) {
        for (const uid of new Set([...entry.owners, ...(previous?.owners ?? [])])) {
          const owner = this.waitingOwners.get(uid);
          if (owner !== undefined) this.queue.add(owner);
        }
      }
    }
  }

  private find(path: string): { kind: Kind; entry: Entry } | undefined {
    const slash = path.indexOf("/");
    const bucket = path.slice(0, slash);
    const entry = this.store.bucket(bucket).entries.get(path.slice(slash + 1));
    const kind = entry === undefined ? undefined : this.registry.ofBucket(bucket);
    return entry === undefined || kind === undefined ? undefined : { kind, entry };
  }

  private async collect(path: string): Promise<void> {
    const found = this.find(path);
    if (found === undefined) return;
    if (found.entry.deleting) await this.finishDeletion(path, found.kind, found.entry);
    else if (found.entry.owners.length > 0) await this.judge(found.kind, found.entry);
  }

  /** Deletes an object all of whose owners are gone; drops references to the gone ones where one is still there. */
  private async judge(kind: Kind, entry: Entry): Promise<void> {
    const references = parseEntry(entry).metadata.ownerReferences ?? [];
    const gone = new Set<string>();
    let waiting = false;
    for (const reference of references) {
      const state = this.ownerState(kind, entry, reference);
      if (state === "unknown") return;
      if (state === "gone") gone.add(reference.uid);
      if (state === "waiting") waiting = true;
    }
    const solid = references.some((one) => !gone.has(one.uid) && this.ownerState(kind, entry, one) === "there");
    if (solid) {
      if (gone.size > 0) await this.dropOwners(kind, entry, (one) => gone.has(one.uid));
      return;
    }
    const propagationPolicy = waiting ? ("Foreground" as const) : ("Background" as const);
    const options = { uid: entry.uid, propagationPolicy };
    await remove(this.store, kind, entry.namespace, entry.name, options, systemContext());
  }

  /** `waiting`: the owner is there, but being deleted in the foreground. */
  private ownerState(kind: Kind, entry: Entry, reference: OwnerReference): "there" | "gone" | "waiting" | "unknown" {
    const owner = this.kindOf(reference);
    if (owner === undefined) return "unknown";
    // A namespaced owner of a cluster-scoped object cannot be found at all; nothing is done on such a mistake.
    if (owner.namespaced && !kind.namespaced) return "unknown";
    const found = this.store.accepted(owner.bucket, owner.namespaced ? entry.namespace : "", reference.name);
    if (found === undefined || found.uid !== reference.uid) return "gone";
    return this.waitingOwners.has(found.uid) ? "waiting" : "there";
  }

  private kindOf(reference: OwnerReference): Kind | undefined {
    const direct = this.registry.findKind(reference.apiVersion, reference.kind);
    if (direct !== undefined) return direct;
    const slash = reference.apiVersion.indexOf("/");
    const group = slash < 0 ? "" : reference.apiVersion.slice(0, slash);
    for (const kind of this.registry.all()) if (kind.group === group && kind.kind === reference.kind) return kind;
    return undefined;
  }

  private async dropOwners(kind: Kind, entry: Entry, drop: (reference: OwnerReference) => boolean): Promise<void> {
    await this.change(kind, entry, (object) => {
      const kept = (object.metadata.ownerReferences ?? []).filter((one) => !drop(one));
      if (kept.length > 0) object.metadata.ownerReferences = kept;
      else delete object.metadata.ownerReferences;
    });
  }

  private async change(kind: Kind, entry: Entry, edit: (object: KubernetesObject) => void): Promise<void> {
    await update(
      this.store,
      kind,
      entry.namespace,
      entry.name,
      "",
      (object) => {
        if (object.metadata.uid === entry.uid) edit(object);
        return object;
      },
      lenient,
      systemContext(),
    );
  }

  /** The finalizers `orphan` and `foregroundDeletion` of an object that is being deleted. */
  private async finishDeletion(path: string, kind: Kind, entry: Entry): Promise<void> {
    const finalizers = parseEntry(entry).metadata.finalizers ?? [];
    if (finalizers.includes("orphan")) {
      for (const dependent of this.dependents.get(entry.uid) ?? []) {
        const found = this.find(dependent);
        if (found !== undefined) await this.dropOwners(found.kind, found.entry, (one) => one.uid === entry.uid);
      }
      await this.dropFinalizer(kind, entry, "orphan");
      return;
    }
    if (!finalizers.includes("foregroundDeletion")) return;
    this.waitingOwners.set(entry.uid, path);
    let blocked = false;
    for (const dependent of this.dependents.get(entry.uid) ?? []) {
      const found = this.find(dependent);
      if (found === undefined) continue;
      const reference = parseEntry(found.entry).metadata.ownerReferences?.find((one) => one.uid === entry.uid);
      if (reference?.blockOwnerDeletion === true) blocked = true;
      if (!found.entry.deleting) this.queue.add(dependent);
    }
    if (!blocked) await this.dropFinalizer(kind, entry, "foregroundDeletion");
  }

  private async dropFinalizer(kind: Kind, entry: Entry, name: string): Promise<void> {
    await this.change(kind, entry, (object) => {
      const kept = (object.metadata.finalizers ?? []).filter((one) => one !== name);
      if (kept.length > 0) object.metadata.finalizers = kept;
      else delete object.metadata.finalizers;
    });
  }
}
