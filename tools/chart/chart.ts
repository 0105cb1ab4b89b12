/**
 * The Helm chart as text, made of the same manifests that `berth install` writes. `node tools/chart/generate.ts` writes it to
 * charts/berth, with `--check` it only says whether it is current.
 */
import { fileSettings, manifests, type ManifestSettings } from "@berth/kinds/install";
import { systemNamespace } from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";
import { dump } from "js-yaml";

/** Stand where the chart has a value of its own. */
const imageMark = "image-of-the-chart";
const passwdMark = "passwd-of-the-chart";
const groupMark = "group-of-the-chart";
const settingsMark = "settings-of-the-chart";
const accountingMark = "postgres://accounting-of-the-chart";
const versionMark = "version-of-the-chart";

const imageValue = '{{ .Values.image | default (printf "localhost/berth:%s" .Chart.AppVersion) | quote }}';
const passwdValue = "{{ .Values.users.passwd | toJson }}";
const groupValue = "{{ .Values.users.group | toJson }}";
const settingsValue = `{{ .Values.users.settings | default ${JSON.stringify(fileSettings)} | toJson }}`;
const accountingValue = "{{ .Values.accounting | quote }}";
const versionValue = '{{ include "berth.mutatingVersion" . }}';

/** What holds work, or the record of it, stays when a release is removed. */
export const keptKinds: ReadonlySet<string> = new Set(["CustomResourceDefinition", "PersistentVolumeClaim"]);
export const keepAnnotation = { "helm.sh/resource-policy": "keep" };

function templateOf(object: KubernetesObject): string {
  const kept = keptKinds.has(object.kind)
    ? {
        ...object,
        metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, ...keepAnnotation } },
      }
    : object;
  const text = dump(kept, { lineWidth: -1, noRefs: true });
  if (text.includes("{{"))
    throw new Error(`${object.kind} ${object.metadata.name}: {{ means something else in a chart`);
  return `---\n${text}`
    .replaceAll(imageMark, imageValue)
    .replaceAll(passwdMark, passwdValue)
    .replaceAll(groupMark, groupValue)
    .replaceAll(settingsMark, settingsValue)
    .replaceAll(accountingMark, accountingValue)
    .replaceAll(versionMark, versionValue);
}

const idOf = ({ kind, metadata }: KubernetesObject): string => `${kind} ${metadata.namespace}/${metadata.name}`;

/** Files of the chart by their path in it. */
export function chartFiles(version: string): Map<string, string> {
  const settings: ManifestSettings = {
    image: imageMark,
    version,
    level: "mutating",
    mutatingVersion: versionMark,
    managedBy: "Helm",
    users: { passwd: passwdMark, group: groupMark, settings: settingsMark },
    givesIds: false,
  };
  const objects = [
    ...manifests(settings),
    ...manifests({ ...settings, level: "webhook" }).filter(({ kind }) => kind === "MutatingWebhookConfiguration"),
  ].filter(({ kind }) => kind !== "Namespace");
  /** What is asked of the values or the server, and what another answer changes. */
  const questions: [question: string, yes: Partial<ManifestSettings>][] = [
    [".Values.accounting", { accounting: accountingMark }],
    ['.Capabilities.APIVersions.Has "security.openshift.io/v1"', { givesIds: true }],
    ['eq .Values.level "webhook"', { level: "webhook" }],
  ];
  const variants = new Map<string, Map<string, string>>();
  const textOf = (id: string, more: Partial<ManifestSettings>): string => {
    const key = JSON.stringify(more);
    const known =
      variants.get(key) ??
      new Map(manifests({ ...settings, ...more }).map((object) => [idOf(object), templateOf(object)]));
    variants.set(key, known);
    return known.get(id) ?? "";
  };
  /** A text, or one of two behind a question. */
  const choice = (question: string, yes: string, no: string): string => {
    if (yes === no) return no;
    if (yes === "") return choice(`not (${question})`, no, "");
    return `{{- if ${question} }}\n${yes}${no === "" ? "" : `{{- else }}\n${no}`}{{- end }}\n`;
  };
  const either = (object: KubernetesObject): string => {
    const answer = (at: number, more: Partial<ManifestSettings>): string => {
      const next = questions[at];
      if (next === undefined) return textOf(idOf(object), more);
      return choice(next[0], answer(at + 1, { ...more, ...next[1] }), answer(at + 1, more));
    };
    return answer(0, {});
  };
  const where = (test: (kind: string) => boolean): string =>
    objects
      .filter(({ kind }) => test(kind))
      .map(either)
      .join("");
  const isDefinition = (kind: string): boolean => kind === "CustomResourceDefinition";
  const isAccess = (kind: string): boolean => /Role(Binding)?$/.test(kind);
  const isValidating = (kind: string): boolean => kind.startsWith("ValidatingAdmissionPolicy");
  const isMutating = (kind: string): boolean => kind.startsWith("MutatingAdmissionPolicy");
  const known = [isDefinition, isAccess, isValidating, isMutating];
  return new Map([
    [
      "Chart.yaml",
      dump({
        apiVersion: "v2",
        name: "berth",
        description: "The research computing platform on Kubernetes: queues, wall times, fair share, gangs, backfill",
        type: "application",
        version,
        appVersion: version,
        kubeVersion: ">=1.33.0-0",
      }),
    ],
    ["values.yaml", values],
    ["values.schema.json", `${JSON.stringify(valuesSchema, undefined, 2)}\n`],
    ["templates/_helpers.tpl", helpers],
    ["templates/NOTES.txt", notes],
    ["templates/definitions.yaml", where(isDefinition)],
    ["templates/access.yaml", where(isAccess)],
    ["templates/policies.yaml", where(isValidating)],
    [
      "templates/mutating-policies.yaml",
      `{{- if include "berth.mutatingVersion" . }}\n${where(isMutating)}{{- end }}\n`,
    ],
    [
      "templates/controllers.yaml",
      `{{- include "berth.checks" . }}\n${where((kind) => !known.some((is) => is(kind)))}`,
    ],
  ]);
}

const values = `# Image of the controllers; empty: localhost/berth at the version of the chart.
image: ""
# How pods of a managed namespace get what they lack: policies (refused with the line to add), mutating (filled in, where the
# server has MutatingAdmissionPolicy), webhook (filled in by the controllers), auto (the best that the server has by itself).
level: auto
# Who is who on this site, as getent passwd and getent group print it. Nobody's jobs run who is not here.
users:
  passwd: ""
  group: ""
  # Another source, as YAML: docs/how-to/users.md. Its password and authority are a Secret berth-users.
  settings: ""
# Where the records of ended jobs are kept; empty: SQLite, on a claim. Else a PostgreSQL, whose password and CA are files of
# Secret berth-accounting: postgres://USER@HOST/DATABASE?passwordfile=/etc/berth/accounting/password&sslrootcert=/etc/berth/accounting/ca.crt
accounting: ""
`;

const valuesSchema = {
  $schema: "https://json-schema.org/draft-07/schema#",
  type: "object",
  additionalProperties: false,
  properties: {
    image: { type: "string" },
    accounting: { type: "string", pattern: "^(postgres(ql)?://.+)?$" },
    level: { enum: ["auto", "policies", "mutating", "webhook"] },
    users: {
      type: "object",
      additionalProperties: false,
      properties: { passwd: { type: "string" }, group: { type: "string" }, settings: { type: "string" } },
    },
    global: { type: "object" },
  },
};

const admission = "admissionregistration.k8s.io";
const helpers = `{{/* Version of ${admission} whose MutatingAdmissionPolicy is to be used; empty: none is. */}}
{{- define "berth.mutatingVersion" -}}
{{- if not (has .Values.level (list "policies" "webhook")) -}}
{{- if .Capabilities.APIVersions.Has "${admission}/v1/MutatingAdmissionPolicy" -}}
v1
{{- else if .Capabilities.APIVersions.Has "${admission}/v1beta1/MutatingAdmissionPolicy" -}}
v1beta1
{{- else if eq .Values.level "mutating" -}}
{{- fail "level mutating: this server does not serve MutatingAdmissionPolicy; use level webhook, policies or auto" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- define "berth.checks" -}}
{{- if ne .Release.Namespace "${systemNamespace}" -}}
{{- fail "Berth lives in namespace ${systemNamespace}: helm install berth charts/berth --namespace ${systemNamespace} --create-namespace" -}}
{{- end -}}
{{- end -}}
`;

const notes = `Berth {{ .Chart.AppVersion }} is on this cluster, level {{ if include "berth.mutatingVersion" . }}mutating: what pods of a managed namespace lack is filled in.{{ else if eq .Values.level "webhook" }}webhook: what pods of a managed namespace lack is filled in by the controllers.{{ else }}policies: what pods of a managed namespace lack is refused, with the line to add.{{ end }}

How it is:               berth status --context CONTEXT
Whose a namespace is:    kubectl annotate namespace NAME berth.dev/owner=USER berth.dev/uid=UID berth.dev/gid=GID
                         kubectl create rolebinding berth-user --namespace NAME --clusterrole=berth-user --user=USER

The first queue:         berth apply FILE, with kinds Site (named site), Queue and Account (named default, open: true)

helm uninstall leaves jobs, queues and the claim of accounting: the CustomResourceDefinitions stay.
`;
