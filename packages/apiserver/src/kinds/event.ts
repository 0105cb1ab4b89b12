import type { FieldError, KubernetesObject } from "@berth/machinery";
import { fieldInvalid, humanDuration } from "@berth/machinery";
import type { Kind } from "../registry/kind.ts";
import type { Printable } from "./define.ts";
import { defineBuiltin } from "./define.ts";

type Json = Record<string, unknown>;

/** Field names of events.k8s.io/v1 and of the stored core/v1 form. */
const renamed: readonly [events: string, core: string][] = [
  ["regarding", "involvedObject"],
  ["note", "message"],
  ["deprecatedSource", "source"],
  ["deprecatedFirstTimestamp", "firstTimestamp"],
  ["deprecatedLastTimestamp", "lastTimestamp"],
  ["deprecatedCount", "count"],
  ["reportingController", "reportingComponent"],
];

function rename(object: KubernetesObject, apiVersion: string, toEvents: boolean): KubernetesObject {
  const result = { ...object, apiVersion } as unknown as Json;
  for (const [events, core] of renamed) {
    const from = toEvents ? core : events;
    const to = toEvents ? events : core;
    if (result[from] === undefined) continue;
    result[to] = result[from];
    delete result[from];
  }
  return result as unknown as KubernetesObject;
}

const lastSeen = (object: Printable): number => {
  const series = object["series"] as Json | undefined;
  return Date.parse(
    String(
      series?.["lastObservedTime"] ??
        object["lastTimestamp"] ??
        object["eventTime"] ??
        object.metadata.creationTimestamp,
    ),
  );
};

const source = (object: Printable): string => {
  const { component, host } = (object["source"] ?? {}) as { component?: string; host?: string };
  return [component || object["reportingComponent"] || "", host].filter(Boolean).join(", ");
};

const involved = (object: Printable): string => {
  const { kind = "", name = "" } = (object["involvedObject"] ?? {}) as { kind?: string; name?: string };
  return `${kind.toLowerCase()}/${name}`;
};

const count = (object: Printable): number =>
  Number((object["series"] as Json | undefined)?.["count"] ?? object["count"] ?? 1);

const ago = (time: number, now: number): string =>
  Number.isNaN(time) ? "<unknown>" : humanDuration((now - time) / 1000);

const cells = (object: Printable, now: number): unknown[] => [
  ago(lastSeen(object), now),
  object["type"] ?? "",
  object["reason"] ?? "",
  involved(object),
  (object["involvedObject"] as Json | undefined)?.["fieldPath"] ?? "",
  source(object),
  String(object["message"] ?? "").trim(),
  ago(Date.parse(String(object["firstTimestamp"] ?? object["eventTime"] ?? object.metadata.creationTimestamp)), now),
  count(object),
  object.metadata.name,
];

const columns = [
  { name: "Last Seen", type: "string" as const },
  { name: "Type", type: "string" as const },
  { name: "Reason", type: "string" as const },
  { name: "Object", type: "string" as const },
  { name: "Subobject", type: "string" as const, priority: 1 },
  { name: "Source", type: "string" as const, priority: 1 },
  { name: "Message", type: "string" as const },
  { name: "First Seen", type: "string" as const, priority: 1 },
  { name: "Count", type: "string" as const, priority: 1 },
  { name: "Name", type: "string" as const, format: "name", priority: 1 },
];

const value = (read: (event: Json) => unknown) => (object: KubernetesObject) =>
  String(read(object as unknown as Json) ?? "");
const ofInvolved = (name: string) => value((event) => ((event["involvedObject"] ?? {}) as Json)[name]);

/** Fields that events may be selected by, read from the stored form. */
const coreSelectable = {
  "involvedObject.kind": ofInvolved("kind"),
  "involvedObject.namespace": ofInvolved("namespace"),
  "involvedObject.name": ofInvolved("name"),
  "involvedObject.uid": ofInvolved("uid"),
  "involvedObject.apiVersion": ofInvolved("apiVersion"),
  "involvedObject.resourceVersion": ofInvolved("resourceVersion"),
  "involvedObject.fieldPath": ofInvolved("fieldPath"),
  reason: value((event) => event["reason"]),
  reportingComponent: value((event) => event["reportingComponent"]),
  source: value((event) => ((event["source"] ?? {}) as Json)["component"] || event["reportingComponent"]),
  type: value((event) => event["type"]),
};
const eventsSelectable = Object.fromEntries(
  Object.entries(coreSelectable).map(([name, read]) => [
    name === "reportingComponent" ? "reportingController" : name.replace("involvedObject", "regarding"),
    read,
  ]),
);

/** An event of a namespaced object is in its namespace; one of another object in `default` or `kube-system`. */
function validateHome(object: KubernetesObject, field: "involvedObject" | "regarding"): FieldError[] {
  const { namespace } = ((object as unknown as Json)[field] ?? {}) as { namespace?: string };
  if (!namespace || namespace === object.metadata.namespace) return [];
  return [fieldInvalid("involvedObject.namespace", namespace, "does not match event.namespace")];
}

/** Events: one storage in the core/v1 form, served as both kinds. */
export function eventKinds(): Kind[] {
  const storedAs = { apiVersion: "v1", kind: "Event" };
  return [
    defineBuiltin({
      resource: "events",
      selectableValues: { ...coreSelectable, ...eventsSelectable },
      strategy: { validate: (object) => validateHome(object, "involvedObject") },
      table: { columns, cells: (object, now) => cells(object as Printable, now) },
    }),
    defineBuiltin({
      resource: "events",
      group: "events.k8s.io",
      bucket: "events",
      storedAs,
      fromStored: (object) => rename(object, "events.k8s.io/v1", true),
      toStored: (object) => rename(object, "v1", false),
      strategy: { validate: (object) => validateHome(object, "regarding") },
      selectableValues: { ...coreSelectable, ...eventsSelectable },
      table: { columns, cells: (object, now) => cells(rename(object, "v1", false) as Printable, now) },
    }),
  ];
}
