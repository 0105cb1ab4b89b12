import type { JsonObject, KubernetesObject } from "@berth/machinery";
import type { PrinterColumn, Schema } from "@berth/machinery/server";
import { fieldValue } from "@berth/machinery";
import { compileTableLayout } from "@berth/machinery/server";
import type { Kind } from "../registry/kind.ts";
import { allVerbs } from "../registry/kind.ts";
import { timestamp } from "../registry/metadata.ts";
import { customDecoding } from "../registry/decoding.ts";

interface DefinitionNames {
  plural: string;
  singular?: string;
  kind: string;
  listKind?: string;
  shortNames?: string[];
  categories?: string[];
}

interface DefinitionVersion {
  name: string;
  served: boolean;
  storage: boolean;
  schema?: { openAPIV3Schema?: Schema };
  subresources?: {
    status?: object;
    scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string };
  };
  additionalPrinterColumns?: PrinterColumn[];
  selectableFields?: { jsonPath: string }[];
}

export interface DefinitionSpec {
  group: string;
  scope: "Namespaced" | "Cluster";
  names: DefinitionNames;
  versions: DefinitionVersion[];
  preserveUnknownFields?: boolean;
}

/** `.spec.a.b` → `spec.a.b`: the paths of selectable fields and replicas are simple by rule. */
function simplePath(jsonPath: string): string {
  return jsonPath.replace(/^\./, "");
}

/**
 * The kinds that a CustomResourceDefinition serves, one for each served version.
 * @param use whether its objects are stored, asked by their creation, or only read; the latter two have a definition of the same
 *   form that is no object of the API
 */
export function kindsOfDefinition(spec: DefinitionSpec, use: Use = "Stored"): Kind[] {
  const storage = spec.versions.find((version) => version.storage) ?? spec.versions[0]!;
  return spec.versions.filter((version) => version.served).map((version) => kindOfVersion(spec, version, storage, use));
}

type Use = "Stored" | "Question" | "View";

/** Nobody changes what was asked: beside these there is its status only. */
const verbsOf: Record<Use, readonly string[]> = {
  Stored: allVerbs,
  Question: ["create", "get", "list", "watch"],
  View: ["get", "list"],
};

function kindOfVersion(spec: DefinitionSpec, version: DefinitionVersion, storage: DefinitionVersion, use: Use): Kind {
  const { names, group } = spec;
  const own = `${group}/${version.name}`;
  const stored = `${group}/${storage.name}`;
  const scale = version.subresources?.scale;
  const converted =
    version === storage
      ? {}
      : {
          fromStored: (object: KubernetesObject) => ({ ...object, apiVersion: own }),
          toStored: (object: KubernetesObject) => ({ ...object, apiVersion: stored }),
        };
  return {
    group,
    version: version.name,
    resource: names.plural,
    singular: names.singular || names.kind.toLowerCase(),
    kind: names.kind,
    namespaced: spec.scope === "Namespaced",
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    verbs: verbsOf[use],
    bucket: `${names.plural}.${group}`,
    storedAs: { apiVersion: stored, kind: names.kind },
    ...converted,
    decoding: customDecoding(version.schema?.openAPIV3Schema ?? {}),
    table: customTable(version.additionalPrinterColumns),
    selectable: Object.fromEntries(
      (version.selectableFields ?? []).map(({ jsonPath }) => {
        const path = simplePath(jsonPath);
        return [path, (object: KubernetesObject) => fieldValue(object, path)];
      }),
    ),
    status: use !== "View" && version.subresources?.status !== undefined,
    ...(scale === undefined
      ? {}
      : {
          scale: {
            specReplicas: simplePath(scale.specReplicasPath),
            statusReplicas: simplePath(scale.statusReplicasPath),
            ...(scale.labelSelectorPath === undefined ? {} : { labelSelector: simplePath(scale.labelSelectorPath) }),
          },
        }),
    subresources: [],
    generation: "all",
    statusKeepsMetadata: false,
    returnsDeletedObject: false,
    protobuf: false,
    unconditionalUpdate: false,
    customSchema: version.schema?.openAPIV3Schema ?? {},
    custom: true,
    question: use === "Question",
    view: use === "View",
    strategy: {},
  };
}

function customTable(columns: readonly PrinterColumn[] | undefined): Kind["table"] {
  const layout = compileTableLayout(columns);
  return {
    columns: layout.columnDefinitions as Kind["table"]["columns"],
    cells: (object, now) => layout.cells(object as unknown as JsonObject, now),
  };
}

/** Conditions of an accepted definition: NamesAccepted and Established. */
export function establishedStatus(
  spec: DefinitionSpec,
  conflicts: string | undefined,
  now: Date,
  before: Record<string, unknown> | undefined,
): Record<string, unknown> {
  const time = timestamp(now);
  const condition = (type: string, good: boolean, reason: string, message: string): Record<string, unknown> => {
    const status = good ? "True" : "False";
    const old = ((before?.["conditions"] ?? []) as Record<string, unknown>[]).find((one) => one["type"] === type);
    const changed = old?.["status"] !== status;
    return { type, status, lastTransitionTime: changed ? time : old["lastTransitionTime"], reason, message };
  };
  const good = conflicts === undefined;
  const storage = spec.versions.find((version) => version.storage)!.name;
  const versions = new Set([...((before?.["storedVersions"] ?? []) as string[]), storage]);
  return {
    conditions: [
      condition("NamesAccepted", good, good ? "NoConflicts" : "NamesConflict", conflicts ?? "no conflicts found"),
      condition(
        "Established",
        good,
        good ? "InitialNamesAccepted" : "NotAccepted",
        good ? "the initial names have been accepted" : "not all names are accepted",
      ),
    ],
    acceptedNames: spec.names,
    storedVersions: [...versions],
  };
}
