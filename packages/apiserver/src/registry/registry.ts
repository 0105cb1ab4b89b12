import type { Store } from "../storage/store.ts";
import type { Kind } from "./kind.ts";
import { apiVersion } from "./kind.ts";

/** The kinds that are served, by path; they come and go with CustomResourceDefinitions. */
export class Registry {
  readonly store: Store;
  private readonly kinds = new Map<string, Kind>();
  /** Grows with each change of the kinds: what discovery and OpenAPI documents are cached by. */
  revision = 0;

  constructor(store: Store) {
    this.store = store;
  }

  add(kind: Kind): void {
    this.kinds.set(`${kind.group}/${kind.version}/${kind.resource}`, kind);
    this.store.bucket(kind.bucket).volatile = kind.question || kind.view;
    // Kinds that share a bucket share the fields of the first.
    if (kind.fromStored === undefined) {
      const selectable = Object.entries(kind.selectable);
      this.store.bucket(kind.bucket).selectBy((object) => {
        const fields: Record<string, string> = {};
        for (const [name, read] of selectable) fields[name] = read(object);
        return fields;
      });
    }
    this.revision++;
  }

  remove(kind: Kind): void {
    if (this.kinds.delete(`${kind.group}/${kind.version}/${kind.resource}`)) this.revision++;
  }

  find(group: string, version: string, resource: string): Kind | undefined {
    return this.kinds.get(`${group}/${version}/${resource}`);
  }

  /** The kind whose stored form this apiVersion and kind name, in any served version of the group. */
  findKind(groupVersion: string, kind: string): Kind | undefined {
    for (const one of this.kinds.values()) if (one.kind === kind && apiVersion(one) === groupVersion) return one;
    return undefined;
  }

  /** A served kind of a group with this resource, whatever the version. */
  findResource(group: string, resource: string): Kind | undefined {
    for (const one of this.kinds.values()) if (one.group === group && one.resource === resource) return one;
    return undefined;
  }

  /** The kind whose stored form a bucket holds. */
  ofBucket(bucket: string): Kind | undefined {
    for (const one of this.kinds.values()) if (one.bucket === bucket && one.fromStored === undefined) return one;
    return undefined;
  }

  all(): IterableIterator<Kind> {
    return this.kinds.values();
  }

  /** One kind for each bucket. */
  stored(): Kind[] {
    const byBucket = new Map<string, Kind>();
    for (const kind of this.kinds.values()) {
      if (kind.fromStored === undefined && !byBucket.has(kind.bucket)) byBucket.set(kind.bucket, kind);
    }
    return [...byBucket.values()];
  }

  hasGroupVersion(group: string, version: string): boolean {
    for (const kind of this.kinds.values()) if (kind.group === group && kind.version === version) return true;
    return false;
  }
}
