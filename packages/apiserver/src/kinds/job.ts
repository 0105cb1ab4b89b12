import type { FieldError, KubernetesObject } from "@berth/machinery";
import { checkDns1123Subdomain, fieldInvalid, humanDuration, jsonEqual } from "@berth/machinery";
import type { Kind } from "../registry/kind.ts";
import type { Printable } from "./define.ts";
import { defineBuiltin } from "./define.ts";
import { defaultPodSpec, validatePodSpec } from "./pod.ts";

type Json = Record<string, unknown>;
type Template = { metadata?: { labels?: Record<string, string> }; spec?: Json };

function prepare(object: KubernetesObject): void {
  object.status = {};
}

/** Selector and labels that tie pods to a Job by its uid, unless the user chose a selector. */
function select(object: KubernetesObject): void {
  const spec = (object.spec ??= {});
  const template = (spec["template"] ??= {}) as Template;
  if (spec["manualSelector"] === true) return;
  const labels = ((template.metadata ??= {}).labels ??= {});
  const uid = object.metadata.uid!;
  const own = { "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": object.metadata.name };
  Object.assign(labels, own, { "controller-uid": uid, "job-name": object.metadata.name });
  object.metadata.labels ??= { ...labels };
  spec["selector"] = { matchLabels: { "batch.kubernetes.io/controller-uid": uid } };
}

function defaults(object: KubernetesObject): void {
  const spec = (object.spec ??= {});
  if (spec["completions"] === undefined && spec["parallelism"] === undefined) spec["completions"] = 1;
  spec["parallelism"] ??= 1;
  spec["completionMode"] ??= "NonIndexed";
  spec["suspend"] ??= false;
  spec["backoffLimit"] ??= spec["backoffLimitPerIndex"] === undefined ? 6 : 2147483647;
  spec["podReplacementPolicy"] ??= spec["podFailurePolicy"] === undefined ? "TerminatingOrFailed" : "Failed";
  spec["manualSelector"] ??= false;
  const template = (spec["template"] ??= {}) as Template;
  const pod = (template.spec ??= {});
  // A Job has no default restart policy: its absence is an error that the user must see.
  const missing = pod["restartPolicy"] === undefined;
  defaultPodSpec(pod);
  if (missing) pod["restartPolicy"] = "Always";
}

function validate(object: KubernetesObject): FieldError[] {
  const spec = object.spec ?? {};
  const errors: FieldError[] = [];
  for (const field of [
    "parallelism",
    "completions",
    "backoffLimit",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
  ]) {
    const value = spec[field];
    if (value !== undefined && value !== null && (!Number.isInteger(value) || (value as number) < 0)) {
      errors.push(fieldInvalid(`spec.${field}`, value, "must be greater than or equal to 0"));
    }
  }
  const mode = spec["completionMode"];
  if (mode !== "NonIndexed" && mode !== "Indexed") {
    errors.push({
      type: "FieldValueNotSupported",
      field: "spec.completionMode",
      value: mode,
      detail: 'supported values: "Indexed", "NonIndexed"',
    });
  } else if (mode === "Indexed" && spec["completions"] === undefined) {
    errors.push({ type: "FieldValueRequired", field: "spec.completions", detail: "when completion mode is Indexed" });
  }
  const template = (spec["template"] ?? {}) as Template;
  errors.push(...validatePodSpec(template.spec ?? {}, "spec.template.spec", ["OnFailure", "Never"]));
  return errors;
}

function validateUpdate(object: KubernetesObject, old: KubernetesObject): FieldError[] {
  const now = object.spec ?? {};
  const before = old.spec ?? {};
  const errors: FieldError[] = [];
  for (const field of [
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
  ]) {
    if (!jsonEqual(now[field], before[field]))
      errors.push(fieldInvalid(`spec.${field}`, now[field], "field is immutable"));
  }
  const elastic = now["completionMode"] === "Indexed" && now["completions"] === now["parallelism"];
  if (!elastic && !jsonEqual(now["completions"], before["completions"])) {
    errors.push(fieldInvalid("spec.completions", now["completions"], "field is immutable"));
  }
  const suspended = before["suspend"] === true && old.status?.["startTime"] === undefined;
  if (!suspended && !jsonEqual(now["template"], before["template"])) {
    errors.push(fieldInvalid("spec.template", now["template"], "field is immutable"));
  }
  return errors;
}

function completions(object: Printable): string {
  const spec = object.spec ?? {};
  const succeeded = Number(object.status?.["succeeded"] ?? 0);
  if (spec["completions"] !== undefined) return `${succeeded}/${String(spec["completions"])}`;
  const parallelism = Number(spec["parallelism"] ?? 0);
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobStatus(object: Printable): string {
  const conditions = (object.status?.["conditions"] ?? []) as Json[];
  const holds = (type: string): boolean => conditions.some((one) => one["type"] === type && one["status"] === "True");
  if (holds("Complete")) return "Complete";
  if (holds("Failed")) return "Failed";
  if (object.metadata.deletionTimestamp !== undefined) return "Terminating";
  if (holds("Suspended")) return "Suspended";
  if (holds("FailureTarget")) return "FailureTarget";
  if (holds("SuccessCriteriaMet")) return "SuccessCriteriaMet";
  return "Running";
}

function duration(object: Printable, now: number): string {
  const start = Date.parse(String(object.status?.["startTime"] ?? ""));
  if (Number.isNaN(start)) return "";
  const end = Date.parse(String(object.status?.["completionTime"] ?? ""));
  return humanDuration(((Number.isNaN(end) ? now : end) - start) / 1000);
}

const containers = (object: Printable): Json[] =>
  ((object.spec?.["template"] as Template | undefined)?.spec?.["containers"] as Json[]) ?? [];

export function jobKind(): Kind {
  return defineBuiltin({
    resource: "jobs",
    group: "batch",
    generation: "spec",
    selectableValues: { "status.successful": (object) => String(object.status?.["succeeded"] ?? 0) },
    default: defaults,
    columns: [
      { name: "Status", type: "string", cell: jobStatus },
      { name: "Completions", type: "string", cell: completions },
      { name: "Duration", type: "string", cell: duration },
      {
        name: "Containers",
        type: "string",
        priority: 1,
        cell: (object) =>
          containers(object)
            .map((one) => one["name"])
            .join(","),
      },
      {
        name: "Images",
        type: "string",
        priority: 1,
        cell: (object) =>
          containers(object)
            .map((one) => one["image"])
            .join(","),
      },
      {
        name: "Selector",
        type: "string",
        priority: 1,
        cell: (object) =>
          Object.entries(((object.spec?.["selector"] ?? {}) as { matchLabels?: Json }).matchLabels ?? {})
            .map(([key, value]) => `${key}=${String(value)}`)
            .join(",") || "<none>",
      },
    ],
    strategy: {
      validateName: checkDns1123Subdomain,
      orphansByDefault: true,
      prepareForCreate: prepare,
      admit: (object, old) => {
        if (old === undefined) select(object);
      },
      validate,
      validateUpdate,
    },
  });
}
