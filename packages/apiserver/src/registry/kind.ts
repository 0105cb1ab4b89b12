import type { FieldError, KubernetesObject } from "@berth/machinery";
import type { CompiledSchema, Definitions, Schema } from "@berth/machinery/server";
import type { Identity } from "../authentication/identity.ts";

export interface Column {
  name: string;
  type: "string" | "integer" | "number" | "boolean" | "date";
  format?: string;
  description?: string;
  /** 1 and more: only with `-o wide`. */
  priority?: number;
}

/** How a kind is shown as a table: columns, and the cells of one object. */
interface TableOf {
  columns: readonly Column[];
  cells: (object: KubernetesObject, now: number) => unknown[];
}

export interface ScalePaths {
  specReplicas: string;
  statusReplicas: string;
  labelSelector?: string;
}

/** What went past without an error but the client should hear: sent as Warning headers. */
type Warn = (message: string) => void;

/** How incoming objects of a kind are read: pruned, defaulted and checked against the schema. */
export interface Decoding {
  /** Built-in kinds compile theirs at first use. */
  schema: () => CompiledSchema;
  /** Without the fields that the schema does not know; tells their paths. */
  prune: (object: KubernetesObject) => { object: KubernetesObject; unknownFields: string[] };
  default: (object: KubernetesObject) => KubernetesObject;
  validate: (object: KubernetesObject, old: KubernetesObject | undefined) => FieldError[];
}

export interface WriteContext {
  now: Date;
  identity: Identity;
  /** Who the fields that change belong to, where that is kept. */
  manager: string;
  dryRun: boolean;
  warn: Warn;
  /** Admission policies: throws where one denies the write of an object (not of a subresource) to who asks. */
  review?: (kind: Kind, object: KubernetesObject, old: KubernetesObject | undefined) => void;
}

/** The rules of one kind beyond its schema. All are pure but for `admit`, which may look at other objects. */
export interface Strategy {
  /** Fields that clients may not set at creation are cleared here. */
  prepareForCreate?: (object: KubernetesObject) => void;
  /** `old` is the stored object; `object` the new one, after the common rules. */
  prepareForUpdate?: (object: KubernetesObject, old: KubernetesObject) => void;
  prepareForStatusUpdate?: (object: KubernetesObject, old: KubernetesObject) => void;
  validate?: (object: KubernetesObject) => FieldError[];
  validateUpdate?: (object: KubernetesObject, old: KubernetesObject) => FieldError[];
  /** Refuses (throws ApiError) or completes a write, having looked at other objects. */
  admit?: (object: KubernetesObject, old: KubernetesObject | undefined, context: WriteContext) => void;
  /** Seconds between the request to delete and the removal; absent: removed at once. */
  gracePeriodSeconds?: (object: KubernetesObject, asked: number | undefined) => number;
  /** Words for a name that is not allowed; absent: a DNS subdomain. */
  validateName?: (name: string) => string[];
  /** Called instead of removal when the last finalizer is gone: false keeps the object. */
  mayRemove?: (object: KubernetesObject) => boolean;
  /** Dependents are orphaned where a deletion names no policy. */
  orphansByDefault?: boolean;
  beforeDelete?: (object: KubernetesObject, context: WriteContext) => void;
}

/** A kind as data: what the one registry needs to serve it. */
export interface Kind {
  readonly group: string;
  readonly version: string;
  /** Plural, lower case. */
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  /** Name of the store's bucket; two kinds may share one (events). */
  readonly bucket: string;
  /** apiVersion and kind of the stored form. */
  readonly storedAs: { apiVersion: string; kind: string };
  /** From the stored form to this version's; absent where they are the same (bytes are sent as stored). */
  readonly fromStored?: (object: KubernetesObject) => KubernetesObject;
  readonly toStored?: (object: KubernetesObject) => KubernetesObject;
  readonly decoding: Decoding;
  readonly table: TableOf;
  /** Field selectors beside metadata.name and metadata.namespace: how each value is read. */
  readonly selectable: Readonly<Record<string, (object: KubernetesObject) => string>>;
  readonly status: boolean;
  readonly scale?: ScalePaths;
  /** Further subresources that have a route of their own, by name, with their verbs and kinds for discovery. */
  readonly subresources: readonly {
    name: string;
    kind: string;
    group?: string;
    version?: string;
    verbs: readonly string[];
  }[];
  /** metadata.generation is kept. */
  readonly generation: "none" | "spec" | "all";
  /** A status write may also change labels and annotations (built-in kinds may, custom ones not). */
  readonly statusKeepsMetadata: boolean;
  readonly returnsDeletedObject: boolean;
  /** Schema for strategic merge patches; absent: not supported (custom kinds). */
  readonly patchSchema?: { schema: Schema; definitions: Definitions };
  /** Structural schema of a custom kind. */
  readonly customSchema?: Schema;
  /** Message of the protobuf form; absent: JSON and YAML only. */
  readonly protobuf: boolean;
  /** May be written by PUT without a resourceVersion. */
  readonly unconditionalUpdate: boolean;
  readonly custom: boolean;
  /**
   * A question: never stored. Who creates one is answered when somebody has written its status, and it is forgotten then.
   */
  readonly question: boolean;
  /** A view: never stored, and only read. Each get or list is answered by whoever answers inquiries. */
  readonly view: boolean;
  readonly strategy: Strategy;
}

export const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] as const;

export function qualified(kind: Pick<Kind, "group" | "resource">): string {
  return kind.group === "" ? kind.resource : `${kind.resource}.${kind.group}`;
}

export function apiVersion(kind: Pick<Kind, "group" | "version">): string {
  return kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
}
