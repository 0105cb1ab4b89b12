import type { KubernetesObject } from "@berth/machinery";

/** One version of one stored object. Immutable: each write makes a new one, so that lists and history may share it. */
export interface Entry {
  /** Within its bucket: `namespace/name`, or `name` of a cluster-scoped object. */
  readonly key: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: number;
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Uids of the owners. */
  readonly owners: readonly string[];
  /** deletionTimestamp is set. */
  readonly deleting: boolean;
  /** The object as JSON, in its storage version: what GET, LIST and watches send. */
  readonly bytes: Buffer;
  /** Values of the bucket's selectable fields; computed on first use. */
  fields: Readonly<Record<string, string>> | undefined;
}

export interface StoreEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly resourceVersion: number;
  /** After the write; of a deletion the last state with the resource version of the deletion. */
  readonly entry: Entry;
  readonly previous: Entry | undefined;
}

const noOwners: readonly string[] = [];

export function keyOf(namespace: string, name: string): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}

/** An entry from an object whose resourceVersion is set, and its JSON text. */
export function entryOf(key: string, object: KubernetesObject, text: string): Entry {
  const { metadata } = object;
  return {
    key,
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    uid: metadata.uid ?? "",
    resourceVersion: Number(metadata.resourceVersion),
    labels: metadata.labels,
    owners: metadata.ownerReferences?.length ? metadata.ownerReferences.map((owner) => owner.uid) : noOwners,
    deleting: metadata.deletionTimestamp !== undefined,
    bytes: encode(text),
    fields: undefined,
  };
}

/**
 * In memory of its own: a slice of Node's pool would keep the 64 KiB around it for as long as it lives, and what lives long (a job that
 * ended) was written among much that does not (its pod's states).
 */
function encode(text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

/** The object of an entry, a fresh copy: the caller may change it. */
export function parseEntry(entry: Entry): KubernetesObject {
  return JSON.parse(entry.bytes.toString("utf8")) as KubernetesObject;
}
