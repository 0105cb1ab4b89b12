/** `meta.k8s.io/v1` Tables: what `kubectl get` prints. */
import { translateTimestampSince } from "./age.ts";
import { isObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { compileJsonPath } from "./json-path.ts";
import type { JsonPath } from "./json-path.ts";

/** A column as CRDs define it (`additionalPrinterColumns`). */
export interface PrinterColumn {
  name: string;
  /** `string`, `integer`, `number`, `boolean` or `date`. */
  type: string;
  format?: string;
  /** 0 is shown always, above only with `-o wide`. */
  priority?: number;
  description?: string;
  jsonPath: string;
}

export interface TableColumnDefinition {
  name: string;
  type: string;
  format: string;
  description: string;
  priority: number;
}

export interface TableRow {
  cells: unknown[];
  object?: unknown;
}

export interface Table {
  kind: "Table";
  apiVersion: "meta.k8s.io/v1";
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  columnDefinitions?: readonly TableColumnDefinition[];
  rows: TableRow[];
}

/** The columns of a kind and how to fill them. */
export interface TableLayout {
  columnDefinitions: readonly TableColumnDefinition[];
  /** One cell a column. `nowMilliseconds` is for ages. */
  cells(object: JsonObject, nowMilliseconds: number): unknown[];
}

/** The columns of a kind that names none. */
export const defaultPrinterColumns: readonly PrinterColumn[] = [
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
];

const nameColumn: TableColumnDefinition = {
  name: "Name",
  type: "string",
  format: "name",
  description: "Name must be unique within a namespace.",
  priority: 0,
};

/** The name and then the given columns. @throws ApiError BadRequest for JSON paths that cannot be read */
export function compileTableLayout(columns: readonly PrinterColumn[] = defaultPrinterColumns): TableLayout {
  const paths = columns.map(({ jsonPath }) => compileJsonPath(jsonPath));
  const definitions = columns.map(({ name, type, format = "", description, priority = 0, jsonPath }) => ({
    name,
    type,
    format,
    description: description ?? `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority,
  }));
  return {
    columnDefinitions: [nameColumn, ...definitions],
    cells: (object, nowMilliseconds) => [
      nameOf(object),
      ...columns.map(({ type }, index) => cellOf(object, paths[index]!, type, nowMilliseconds)),
    ],
  };
}

function nameOf(object: JsonObject): string {
  const metadata = object.metadata;
  return isObject(metadata) && typeof metadata.name === "string" ? metadata.name : "";
}

function cellOf(object: JsonObject, path: JsonPath, type: string, nowMilliseconds: number): unknown {
  const value = path(object)[0];
  if (value === undefined || value === null) return null;
  switch (type) {
    case "string":
      return typeof value === "string" ? value : JSON.stringify(value);
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      return typeof value === "string" ? translateTimestampSince(value, nowMilliseconds) : null;
    default:
      return null;
  }
}

export interface TableOptions {
  /** What each row carries of its object (`includeObject`), by default `Metadata`. */
  includeObject?: "None" | "Metadata" | "Object";
  nowMilliseconds: number;
  /** Of the list, or of the object alone. */
  metadata?: Table["metadata"];
  /** False for all events of a watch but the first. */
  withColumns?: boolean;
}

/** A Table of these objects. */
export function makeTable(layout: TableLayout, objects: readonly JsonObject[], options: TableOptions): Table {
  const { includeObject = "Metadata", nowMilliseconds, metadata = {}, withColumns = true } = options;
  const table: Table = { kind: "Table", apiVersion: "meta.k8s.io/v1", metadata, rows: [] };
  if (withColumns) table.columnDefinitions = layout.columnDefinitions;
  for (const object of objects) {
    const row: TableRow = { cells: layout.cells(object, nowMilliseconds) };
    if (includeObject === "Object") row.object = object;
    else if (includeObject === "Metadata") row.object = partialObjectMetadata(object);
    table.rows.push(row);
  }
  return table;
}

/** An object's metadata alone, as `as=PartialObjectMetadata` asks for it. */
export function partialObjectMetadata(object: JsonObject): JsonObject {
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata };
}
