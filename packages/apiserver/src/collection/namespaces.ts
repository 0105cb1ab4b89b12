import { definitionsBucket, cleanupFinalizer } from "../definitions/definition-kind.ts";
import { remove } from "../registry/delete.ts";
import type { Kind } from "../registry/kind.ts";
import type { Registry } from "../registry/registry.ts";
import { create, update } from "../registry/write.ts";
import type { Bucket } from "../storage/bucket.ts";
import type { Entry, StoreEvent } from "../storage/entry.ts";
import { parseEntry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import {
  type Collector,
  type CollectorLog,
  lenient,
  startCollector,
  systemContext,
  unlessOvertaken,
} from "./collector.ts";

const deletionsAtOnce = 200;

/**
 * Empties namespaces and definitions that are being deleted, and then lets them go; gives each namespace its default
 * service account.
 */
export class NamespaceKeeper {
  private readonly store: Store;
  private readonly registry: Registry;
  private readonly terminating = new Set<string>();
  private readonly definitions = new Map<string, string>();
  private readonly queue: Collector;

  constructor(store: Store, registry: Registry, log: CollectorLog) {
    this.store = store;
    this.registry = registry;
    this.queue = startCollector(store, (bucket, events) => this.follow(bucket, events), {
      name: "",
      work: (task) => this.work(task),
      log,
      concurrency: 4,
    });
    for (const entry of store.bucket("namespaces").entries.values()) this.sawNamespace(entry);
    for (const entry of store.bucket(definitionsBucket).entries.values()) this.sawDefinition(entry);
  }

  stop(): void {
    this.queue.stop();
  }

  private follow(bucket: Bucket, events: readonly StoreEvent[]): void {
    for (const { type, entry } of events) {
      if (bucket.name === "namespaces") {
        if (type === "DELETED") this.terminating.delete(entry.name);
        else this.sawNamespace(entry);
      } else if (bucket.name === definitionsBucket) {
        if (type === "DELETED") this.definitions.delete(entry.name);
        else this.sawDefinition(entry);
      } else if (type === "DELETED") {
        if (this.terminating.has(entry.namespace)) this.queue.add(`namespace/${entry.namespace}`);
        else if (bucket.name === "serviceaccounts" && entry.name === "default") {
          this.queue.add(`account/${entry.namespace}`);
        }
        if (this.definitions.has(bucket.name)) this.queue.add(`definition/${bucket.name}`);
      }
    }
  }

  private sawNamespace(entry: Entry): void {
    if (entry.deleting) {
      this.terminating.add(entry.name);
      this.queue.add(`namespace/${entry.name}`);
    } else if (this.store.get("serviceaccounts", entry.name, "default") === undefined) {
      this.queue.add(`account/${entry.name}`);
    }
  }

  private sawDefinition(entry: Entry): void {
    if (!entry.deleting) return;
    this.definitions.set(entry.name, entry.uid);
    this.queue.add(`definition/${entry.name}`);
  }

  private async work(task: string): Promise<void> {
    const [what, name = ""] = task.split("/");
    if (what === "namespace") await this.emptyNamespace(name);
    else if (what === "definition") await this.emptyDefinition(name);
    else await this.ensureAccount(name);
  }

  private async ensureAccount(namespace: string): Promise<void> {
    const home = this.store.get("namespaces", "", namespace);
    if (home === undefined || home.deleting) return;
    if (this.store.accepted("serviceaccounts", namespace, "default") !== undefined) return;
    const kind = this.registry.find("", "v1", "serviceaccounts")!;
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } };
    await create(this.store, kind, namespace, account, lenient, systemContext());
  }

  private async emptyNamespace(name: string): Promise<void> {
    const entry = this.store.get("namespaces", "", name);
    if (entry === undefined || !entry.deleting) return;
    let left = 0;
    for (const kind of this.registry.stored()) {
      if (kind.namespaced) left += await this.deleteAll(kind, name);
    }
    if (left > 0) return;
    const kind = this.registry.find("", "v1", "namespaces")!;
    await update(
      this.store,
      kind,
      "",
      name,
      "finalize",
      (namespace) => {
        const kept = ((namespace.spec?.["finalizers"] ?? []) as string[]).filter((one) => one !== "kubernetes");
        return { ...namespace, spec: { ...namespace.spec, finalizers: kept } };
      },
      lenient,
      systemContext(),
    );
  }

  /** Deletes all objects of a kind (in a namespace); tells how many are left, held by finalizers or grace. */
  private async deleteAll(kind: Kind, namespace: string | undefined): Promise<number> {
    const bucket = this.store.bucket(kind.bucket);
    const entries = bucket.list(namespace === undefined ? {} : { namespace }) ?? [];
    for (let index = 0; index < entries.length; index += deletionsAtOnce) {
      const some = entries.slice(index, index + deletionsAtOnce).filter((entry) => !entry.deleting);
      await Promise.all(
        some.map((entry) => {
          const options = { uid: entry.uid, propagationPolicy: "Background" as const };
          return remove(this.store, kind, entry.namespace, entry.name, options, systemContext()).catch(unlessOvertaken);
        }),
      );
    }
    return (bucket.list(namespace === undefined ? {} : { namespace }) ?? []).length;
  }

  private async emptyDefinition(name: string): Promise<void> {
    const entry = this.store.get(definitionsBucket, "", name);
    if (entry === undefined || !entry.deleting) return;
    const finalizers = parseEntry(entry).metadata.finalizers ?? [];
    if (!finalizers.includes(cleanupFinalizer)) return;
    const kind = this.registry.ofBucket(name);
    if (kind !== undefined && (await this.deleteAll(kind, undefined)) > 0) return;
    const own = this.registry.ofBucket(definitionsBucket)!;
    await update(
      this.store,
      own,
      "",
      name,
      "",
      (definition) => {
        const kept = (definition.metadata.finalizers ?? []).filter((one) => one !== cleanupFinalizer);
        definition.metadata.finalizers = kept;
        return definition;
      },
      lenient,
      systemContext(),
    );
  }
}
