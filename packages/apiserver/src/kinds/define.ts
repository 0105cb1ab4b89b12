import type { KubernetesObject } from "@berth/machinery";
import { fieldValue, translateTimestampSince } from "@berth/machinery";
import { builtInDefinitions, builtInResources, builtInSchema } from "@berth/machinery/server";
import { builtinDecoding } from "../registry/decoding.ts";
import type { Column, Kind, Strategy } from "../registry/kind.ts";
import { apiVersion, qualified } from "../registry/kind.ts";

/** An object as a printer reads it: whatever the kind, any field may be asked for. */
// eslint-disable-next-line typescript/no-explicit-any
export type Printable = KubernetesObject & Record<string, any>;
type Cell = (object: Printable, now: number) => unknown;

/** Those of priority 1 come after Age, and so does one that says so. */
type PrintedColumn = Column & { cell: Cell; afterAge?: boolean };

/** A built-in kind as its file writes it: what discovery knows comes from the generated table, the rest has the usual value. */
export interface BuiltinDefinition {
  group?: string;
  version?: string;
  resource: string;
  bucket?: string;
  storedAs?: { apiVersion: string; kind: string };
  fromStored?: (object: KubernetesObject) => KubernetesObject;
  toStored?: (object: KubernetesObject) => KubernetesObject;
  /** Columns after Name and before Age; those of priority 1 come after Age. */
  columns?: readonly PrintedColumn[];
  /** All columns, where Name is not the first. */
  table?: Kind["table"];
  /** Without the Age column. */
  ageless?: boolean;
  /** Paths of selectable fields. */
  selectable?: readonly string[];
  selectableValues?: Kind["selectable"];
  /** Which of the kind's subresources are served, beside status. */
  subresources?: readonly string[];
  generation?: Kind["generation"];
  returnsDeletedObject?: boolean;
  unconditionalUpdate?: boolean;
  strategy?: Strategy;
  default?: (object: KubernetesObject) => void;
}

const nameColumn: Column = {
  name: "Name",
  type: "string",
  format: "name",
  description: "Name must be unique within a namespace.",
};
const ageColumn: Column = { name: "Age", type: "string", description: "Time since the object was created." };

export function defineBuiltin(definition: BuiltinDefinition): Kind {
  const { group = "", version = "v1", resource } = definition;
  const key = { group, version, resource };
  const known = builtInResources.find(
    (one) => one.group === group && one.version === version && one.resource === resource,
  );
  if (known === undefined) throw new Error(`${apiVersion(key)} ${resource} is not in the table of built-in kinds`);
  const schema = builtInSchema(group, version, known.kind);
  if (schema === undefined) throw new Error(`${apiVersion(key)} ${known.kind} has no schema`);
  const served = definition.subresources ?? [];
  return {
    ...key,
    kind: known.kind,
    singular: known.singular,
    namespaced: known.namespaced,
    shortNames: known.shortNames,
    categories: known.categories,
    verbs: known.verbs,
    bucket: definition.bucket ?? qualified(key),
    storedAs: definition.storedAs ?? { apiVersion: apiVersion(key), kind: known.kind },
    ...(definition.fromStored === undefined ? {} : { fromStored: definition.fromStored }),
    ...(definition.toStored === undefined ? {} : { toStored: definition.toStored }),
    decoding: builtinDecoding(group, version, known.kind, definition.default),
    table: definition.table ?? tableOf(definition.columns ?? [], definition.ageless === true),
    selectable: {
      ...Object.fromEntries(
        (definition.selectable ?? []).map((path) => [path, (object: KubernetesObject) => fieldValue(object, path)]),
      ),
      ...definition.selectableValues,
    },
    status: known.subresources.some((one) => one.name === "status"),
    subresources: known.subresources.filter((one) => served.includes(one.name)),
    generation: definition.generation ?? "none",
    statusKeepsMetadata: true,
    returnsDeletedObject: definition.returnsDeletedObject ?? false,
    patchSchema: { schema, definitions: builtInDefinitions },
    protobuf: true,
    unconditionalUpdate: definition.unconditionalUpdate ?? true,
    custom: false,
    question: false,
    view: false,
    strategy: definition.strategy ?? {},
  };
}

function tableOf(columns: readonly PrintedColumn[], ageless: boolean): Kind["table"] {
  const firstWide = columns.findIndex((column) => column.afterAge === true || (column.priority ?? 0) > 0);
  const agePosition = firstWide < 0 ? columns.length : firstWide;
  const ordered: Column[] = columns.map(({ name, type, format, description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
  if (!ageless) ordered.splice(agePosition, 0, ageColumn);
  return {
    columns: [nameColumn, ...ordered],
    cells: (object, now) => {
      const cells = columns.map((column) => column.cell(object as Printable, now));
      if (!ageless) cells.splice(agePosition, 0, translateTimestampSince(object.metadata.creationTimestamp, now));
      return [object.metadata.name, ...cells];
    },
  };
}
