import type { KubernetesObject } from "@berth/machinery";
import type { Rendering } from "../http/negotiate.ts";
import type { Entry } from "../storage/entry.ts";
import type { Kind } from "./kind.ts";
import { apiVersion } from "./kind.ts";
import { served, servedBytes } from "./write.ts";

/** Which part of an object a row of a table carries. */
export type IncludeObject = "None" | "Metadata" | "Object";

/** Turns objects into what was asked for; one for each request. */
export interface Renderer {
  /** JSON of one object. */
  object: (entry: Entry) => Buffer;
  bytes: (bytes: Buffer) => Buffer;
  /** JSON that an item of a list adds, and what stands around all of them. */
  item: (entry: Entry) => Buffer;
  listHead: (metadata: Record<string, unknown>) => string;
  listTail: string;
  /** The object of a watch event; the first one of a table carries the columns. */
  event: (entry: Entry, resourceVersion: number, first: boolean) => Buffer;
  bookmark: (resourceVersion: number, annotations: Record<string, string> | undefined, first: boolean) => Buffer;
  /** Events are the stored bytes and may be shared among watchers. */
  shared: boolean;
}

export function rendererOf(kind: Kind, rendering: Rendering, include: IncludeObject, now: number): Renderer {
  if (rendering.as === "Table") return tableRenderer(kind, `meta.k8s.io/${rendering.version}`, include, now);
  if (rendering.as === "PartialObjectMetadata") return metadataRenderer(kind, `meta.k8s.io/${rendering.version}`);
  return plainRenderer(kind);
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function plainRenderer(kind: Kind): Renderer {
  return {
    object: (entry) => servedBytes(kind, entry),
    bytes: (bytes) => bytes,
    item: (entry) => servedBytes(kind, entry),
    listHead: (metadata) =>
      `${JSON.stringify({ kind: `${kind.kind}List`, apiVersion: apiVersion(kind), metadata }).slice(0, -1)},"items":[`,
    listTail: "]}\n",
    event: (entry, resourceVersion) => {
      if (entry.resourceVersion === resourceVersion) return servedBytes(kind, entry);
      const object = served(kind, entry);
      object.metadata.resourceVersion = String(resourceVersion);
      return json(object);
    },
    bookmark: (resourceVersion, annotations) =>
      json({
        kind: kind.kind,
        apiVersion: apiVersion(kind),
        metadata: { resourceVersion: String(resourceVersion), ...(annotations === undefined ? {} : { annotations }) },
      }),
    shared: true,
  };
}

function partial(object: KubernetesObject, version: string): Record<string, unknown> {
  return { kind: "PartialObjectMetadata", apiVersion: version, metadata: object.metadata };
}

function metadataRenderer(kind: Kind, version: string): Renderer {
  const convert = (object: KubernetesObject): Buffer => json(partial(object, version));
  return {
    object: (entry) => convert(served(kind, entry)),
    bytes: (bytes) => convert(JSON.parse(bytes.toString("utf8")) as KubernetesObject),
    item: (entry) => convert(served(kind, entry)),
    listHead: (metadata) =>
      `${JSON.stringify({ kind: "PartialObjectMetadataList", apiVersion: version, metadata }).slice(0, -1)},"items":[`,
    listTail: "]}\n",
    event: (entry, resourceVersion) => {
      const object = served(kind, entry);
      object.metadata.resourceVersion = String(resourceVersion);
      return convert(object);
    },
    bookmark: (resourceVersion, annotations) =>
      json({
        kind: "PartialObjectMetadata",
        apiVersion: version,
        metadata: { resourceVersion: String(resourceVersion), ...(annotations === undefined ? {} : { annotations }) },
      }),
    shared: false,
  };
}

function tableRenderer(kind: Kind, version: string, include: IncludeObject, now: number): Renderer {
  const columnDefinitions = kind.table.columns.map((column) => ({
    name: column.name,
    type: column.type === "date" ? "date" : column.type,
    format: column.format ?? "",
    description: column.description ?? "",
    priority: column.priority ?? 0,
  }));
  const row = (object: KubernetesObject): Record<string, unknown> => ({
    cells: kind.table.cells(object, now),
    object: include === "None" ? null : include === "Object" ? object : partial(object, version),
  });
  const table = (metadata: Record<string, unknown>, rows: unknown[], columns: boolean): Record<string, unknown> => ({
    kind: "Table",
    apiVersion: version,
    metadata,
    columnDefinitions: columns ? columnDefinitions : null,
    rows,
  });
  const one = (object: KubernetesObject): Buffer =>
    json(table({ resourceVersion: object.metadata.resourceVersion }, [row(object)], true));
  return {
    object: (entry) => one(served(kind, entry)),
    bytes: (bytes) => one(JSON.parse(bytes.toString("utf8")) as KubernetesObject),
    item: (entry) => json(row(served(kind, entry))),
    listHead: (metadata) => `${JSON.stringify(table(metadata, [], true)).slice(0, -2)}`,
    listTail: "]}\n",
    event: (entry, resourceVersion, first) => {
      const object = served(kind, entry);
      object.metadata.resourceVersion = String(resourceVersion);
      return json(table({ resourceVersion: String(resourceVersion) }, [row(object)], first));
    },
    bookmark: (resourceVersion, annotations, first) =>
      json(
        table(
          { resourceVersion: String(resourceVersion) },
          [
            {
              cells: kind.table.columns.map(() => ""),
              object: {
                kind: "PartialObjectMetadata",
                apiVersion: version,
                metadata: {
                  resourceVersion: String(resourceVersion),
                  ...(annotations === undefined ? {} : { annotations }),
                },
              },
            },
          ],
          first,
        ),
      ),
    shared: false,
  };
}
