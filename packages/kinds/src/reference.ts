/** The reference page of what an operator sets; docs/reference/kinds.md is its output. */
import { accountDefinition, membershipDefinition } from "./account.ts";
import { apiVersion } from "./constants.ts";
import type { KindDefinition, Rule, Schema } from "./definition.ts";
import { limits } from "./limits.ts";
import { qualityOfServiceDefinition } from "./quality-of-service.ts";
import { queueDefinition } from "./queue.ts";
import { reservationDefinition } from "./reservation.ts";
import { siteDefinition } from "./site.ts";

const documented: readonly KindDefinition[] = [
  siteDefinition,
  queueDefinition,
  accountDefinition,
  membershipDefinition,
  qualityOfServiceDefinition,
  reservationDefinition,
];

function typeOf(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema["x-kubernetes-int-or-string"] === true) return "quantity";
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  if (schema.additionalProperties !== undefined) return `map to ${typeOf(schema.additionalProperties)}`;
  if (schema.format === "date-time") return "time";
  return schema.type ?? "";
}

/** Fields with their paths; objects are gone into, lists and maps of objects are not. */
function* fieldsOf(schema: Schema, path: string): Generator<[string, Schema, boolean]> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const at = path === "" ? name : `${path}.${name}`;
    const isRequired = schema.required?.includes(name) === true;
    if (name === "limits") yield [at, { type: "object", description: limitsWords(field) }, isRequired];
    else if (field.properties === undefined) yield [at, field, isRequired];
    else {
      if (field.description !== undefined) yield [at, { ...field, properties: undefined }, isRequired];
      yield* fieldsOf(field, at);
    }
  }
}

function limitsWords({ description = "" }: Schema): string {
  return `${description} See [limits](#limits).`.trim();
}

function* rulesOf(schema: Schema): Generator<Rule> {
  yield* schema["x-kubernetes-validations"] ?? [];
  for (const field of Object.values(schema.properties ?? {})) yield* rulesOf(field);
}

function* kindSection(definition: KindDefinition): Generator<string> {
  const { kind, plural, shortNames = [], description, spec, rules = [] } = definition;
  const short = shortNames.map((name) => `, short \`${name}\``).join("");
  yield* [`## ${kind}`, "", `${description} (\`kubectl get ${plural}\`${short}.)`, ""];
  yield* ["| field of `spec` | is | |", "| --- | --- | --- |"];
  for (const [path, field, isRequired] of fieldsOf(spec, "")) {
    const default_ = field.default === undefined ? "" : ` Default \`${JSON.stringify(field.default)}\`.`;
    const words = `${isRequired ? "Required. " : ""}${field.description ?? ""}${default_}`.trim();
    yield `| \`${path}\` | ${typeOf(field)} | ${words.replaceAll("|", "\\|")} |`;
  }
  const refused = [...rulesOf(spec), ...rules].map(({ message }) => `- ${message}`);
  if (refused.length > 0) yield* ["", "Refused with these words:", "", ...refused];
  yield "";
}

function* limitsSection(): Generator<string> {
  yield* [
    "## Limits",
    "",
    "The same in Queue, Account, Membership and QualityOfService; of several that mean a job each one holds.",
    "",
  ];
  yield* ["| field of `spec.limits` | is | |", "| --- | --- | --- |"];
  for (const [path, field] of fieldsOf(limits, ""))
    yield `| \`${path}\` | ${typeOf(field)} | ${field.description ?? ""} |`;
  yield "";
}

/** Markdown. */
export function kindsDocument(): string {
  const head = [
    "# What an operator sets",
    "",
    `Kinds of \`${apiVersion}\`, all of the whole cluster: \`berth apply FILE\` or \`kubectl apply\` writes them, \`berth simulate --site FILE\``,
    "tries them on recorded jobs, everybody may read them. Quantities are Kubernetes' (`500m`, `16Gi`), times RFC 3339 in UTC. What they are good",
    "for: [fair share](../how-to/fair-share.md), [limits](../how-to/limits.md), [preemption](../how-to/preemption.md),",
    "[reservations](../how-to/reservations.md). (This page is made from the definitions in `packages/kinds`.)",
    "",
  ];
  const sections = documented.flatMap((definition) => Array.from(kindSection(definition)));
  return [...head, ...sections, ...limitsSection()].join("\n");
}
