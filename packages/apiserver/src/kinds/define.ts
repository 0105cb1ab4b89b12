import type { KubernetesObject } from "@berth/machinery";
import { fieldValue } from "@berth/machinery";
import { builtinDecoding } from "../registry/decoding.ts";
import type { Column, Kind, Strategy } from "../registry/kind.ts";
import { age } from "./age.ts";
import { allVerbs, apiVersion, qualified } from "../registry/kind.ts";

type Cell = (object: Record<string, never> & KubernetesObject, now: number) => unknown;

/** A built-in kind as its file writes it; what is left out has the usual value. */
export interface BuiltinDefinition {
  group?: string;
  version?: string;
  resource: string;
  kind: string;
  singular?: string;
  clusterScoped?: boolean;
  shortNames?: string[];
  categories?: string[];
  verbs?: readonly string[];
  bucket?: string;
  storedAs?: { apiVersion: string; kind: string };
  fromStored?: (object: KubernetesObject) => KubernetesObject;
  toStored?: (object: KubernetesObject) => KubernetesObject;
  /** Columns after Name and before Age. */
  columns?: readonly (Column & { cell: Cell })[];
  /** Without the Age column. */
  ageless?: boolean;
  /** Paths of selectable fields. */
  selectable?: readonly string[];
  status?: boolean;
  subresources?: Kind["subresources"];
  generation?: Kind["generation"];
  returnsDeletedObject?: boolean;
  unconditionalUpdate?: boolean;
  strategy?: Strategy;
  default?: (object: KubernetesObject) => void;
}

export function defineBuiltin(definition: BuiltinDefinition): Kind {
  const { group = "", version = "v1", resource, kind } = definition;
  const key = { group, version, resource };
  const columns = definition.columns ?? [];
  const nameColumn: Column = { name: "Name", type: "string", format: "name", description: "Name of the object." };
  const ageColumn: Column = { name: "Age", type: "string", description: "Time since the object was created." };
  const ageless = definition.ageless === true;
  const firstWide = columns.findIndex((column) => (column.priority ?? 0) > 0);
  const agePosition = firstWide < 0 ? columns.length : firstWide;
  const ordered: Column[] = columns.map(({ name, type, format, description, priority }) => ({ name, type, format, description, priority }));
  if (!ageless) ordered.splice(agePosition, 0, ageColumn);
  return {
    ...key,
    kind,
    singular: definition.singular ?? kind.toLowerCase(),
    namespaced: definition.clusterScoped !== true,
    shortNames: definition.shortNames ?? [],
    categories: definition.categories ?? [],
    verbs: definition.verbs ?? allVerbs,
    bucket: definition.bucket ?? qualified(key),
    storedAs: definition.storedAs ?? { apiVersion: apiVersion(key), kind },
    ...(definition.fromStored === undefined ? {} : { fromStored: definition.fromStored }),
    ...(definition.toStored === undefined ? {} : { toStored: definition.toStored }),
    decoding: builtinDecoding(definition.default),
    table: {
      columns: [nameColumn, ...ordered],
      cells: (object, now) => {
        const cells = columns.map((column) => column.cell(object as Parameters<Cell>[0], now));
        if (!ageless) cells.splice(agePosition, 0, age(object.metadata.creationTimestamp, now));
        return [object.metadata.name, ...cells];
      },
    },
    selectable: Object.fromEntries(
      (definition.selectable ?? []).map((path) => [path, (object: KubernetesObject) => fieldValue(object, path)]),
    ),
    status: definition.status ?? false,
    subresources: definition.subresources ?? [],
    generation: definition.generation ?? "none",
    statusKeepsMetadata: true,
    returnsDeletedObject: definition.returnsDeletedObject ?? false,
    protobuf: true,
    unconditionalUpdate: definition.unconditionalUpdate ?? true,
    custom: false,
    strategy: definition.strategy ?? {},
  };
}
