import type { FieldRequirements, LabelRequirements } from "@berth/machinery";
import { badRequest, matchesLabels, parseFieldSelector, parseLabelSelector } from "@berth/machinery";
import type { Bucket, Subscription } from "../storage/bucket.ts";
import { fieldValue } from "../storage/bucket.ts";
import type { Entry } from "../storage/entry.ts";
import type { Kind } from "./kind.ts";

/** Which objects of a bucket a list or watch is about. */
export interface Selection {
  /** Absent: all namespaces. */
  namespace: string | undefined;
  labels: LabelRequirements;
  fields: FieldRequirements;
  /** One object only (a watch or list of `metadata.name=…`). */
  name: string | undefined;
}

/** Reads `labelSelector` and `fieldSelector`. Throws 400 for a field that this kind cannot be selected by. */
export function selectionOf(kind: Kind, namespace: string, name: string, query: URLSearchParams): Selection {
  const labelSelector = query.get("labelSelector");
  const fieldSelector = query.get("fieldSelector");
  const labels = labelSelector === null || labelSelector === "" ? [] : parseLabelSelector(labelSelector);
  const fields = fieldSelector === null || fieldSelector === "" ? [] : parseFieldSelector(fieldSelector);
  for (const { field } of fields) {
    if (field === "metadata.name" || (field === "metadata.namespace" && kind.namespaced)) continue;
    if (!(field in kind.selectable)) throw badRequest(`field label not supported: ${field}`);
  }
  const named = fields.find((one) => one.field === "metadata.name" && one.operator === "=")?.value;
  return {
    namespace: namespace === "" ? undefined : namespace,
    labels,
    fields,
    name: name === "" ? named : name,
  };
}

export function selects(selection: Selection, bucket: Bucket, entry: Entry): boolean {
  if (selection.namespace !== undefined && entry.namespace !== selection.namespace) return false;
  if (selection.name !== undefined && entry.name !== selection.name) return false;
  if (selection.labels.length > 0 && !matchesLabels(selection.labels, entry.labels)) return false;
  for (const { field, operator, value } of selection.fields) {
    if ((fieldValue(bucket, entry, field) === value) !== (operator === "=")) return false;
  }
  return true;
}

/** True when everything (of a namespace) is selected: then counts are known without looking. */
export function selectsAll(selection: Selection): boolean {
  return selection.name === undefined && selection.labels.length === 0 && selection.fields.length === 0;
}

/** The one field value by which the bucket can choose this selection's events without asking it. */
export function triggerOf(selection: Selection): Subscription["trigger"] {
  if (selection.name !== undefined) return { field: "metadata.name", value: selection.name };
  const equal = selection.fields.find((one) => one.operator === "=");
  if (equal !== undefined) return { field: equal.field, value: equal.value };
  return selection.namespace === undefined ? undefined : { field: "metadata.namespace", value: selection.namespace };
}
