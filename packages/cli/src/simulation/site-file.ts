/** A site file: YAML documents of the kinds that a live cluster has, each checked as its API server would, and together. */
import {
  type Account,
  accountProblems,
  apiVersion,
  customResourceDefinition,
  isTimeZone,
  kindDefinitions,
  type Membership,
  type Node,
  type QualityOfService,
  type Queue,
  type Reservation,
  type Site,
} from "@berth/kinds";
import { type FieldError, type JsonObject, isObject, renderFieldError, type KubernetesObject } from "@berth/machinery";
import { type CelRules, compileCelRules, compileCustomSchema, compiledBuiltInSchema } from "@berth/machinery/server";
import type { CompiledSchema, Schema } from "@berth/machinery/server";
import { checkAnnotations, nodeNames, siteDoubts } from "./site-checks.ts";
import { parseYamlDocuments, YamlError } from "./yaml-documents.ts";

export interface SiteFile {
  site: Site | undefined;
  queues: Queue[];
  accounts: Account[];
  memberships: Membership[];
  qualitiesOfService: QualityOfService[];
  reservations: Reservation[];
  nodes: Node[];
  /** Line of the object that a message of the core is about, which names it (`queue fast: …`); undefined: of none. */
  lineOfMessage: (message: string) => number | undefined;
}

export interface SiteProblem {
  line: number;
  /** What is wrong, where, and what would be right. */
  problem: string;
}

/** Kinds of a site file; others that a cluster has are passed over, so that an export of it all works. */
const fields = {
  Site: "site",
  Queue: "queues",
  Account: "accounts",
  Membership: "memberships",
  QualityOfService: "qualitiesOfService",
  Reservation: "reservations",
  Node: "nodes",
} as const;
export type SiteKind = keyof typeof fields;

export interface Found {
  object: KubernetesObject & { spec?: Record<string, unknown> };
  lineOf: (path: string) => number;
}

/** All that a site file says, with what is doubtful in it; or all that is wrong with it, and then nothing of it. */
export function parseSiteFile(
  text: string,
): { site: SiteFile; passedOver: string[]; doubts: SiteProblem[] } | { problems: SiteProblem[] } {
  const problems: SiteProblem[] = [];
  const passedOver = new Set<string>();
  const found = new Map<SiteKind, Found[]>();
  let documents;
  try {
    documents = parseYamlDocuments(text);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    return { problems: [{ line: error.line, problem: `this is no YAML: ${error.message}` }] };
  }
  for (const { value, lineOf } of documents) {
    if (value === null || value === undefined) continue;
    for (const one of objectsOf(value, lineOf)) {
      const { kind } = one.object as { kind?: unknown };
      if (typeof kind !== "string") {
        problems.push({ line: one.lineOf(""), problem: "this is no object of a cluster: it has no kind" });
      } else if (!(kind in fields)) passedOver.add(kind);
      else {
        const checked = checkObject(kind as SiteKind, one, problems);
        found.set(kind as SiteKind, [...(found.get(kind as SiteKind) ?? []), checked]);
      }
    }
  }
  if (problems.length === 0 && found.size === 0) {
    const kinds = Object.keys(fields).join(", ");
    problems.push({ line: 1, problem: `there is nothing of a site in it: no ${kinds.replace(/, (?=\w+$)/, " or ")}` });
  }
  // What a field of the wrong type means to others cannot be said.
  if (problems.length === 0) checkTogether(found, problems);
  if (problems.length > 0) return { problems: problems.sort((a, b) => a.line - b.line) };
  const of = <T>(kind: SiteKind): T[] => (found.get(kind) ?? []).map(({ object }) => object as T);
  return {
    site: {
      site: of<Site>("Site")[0],
      queues: of<Queue>("Queue"),
      accounts: of<Account>("Account"),
      memberships: of<Membership>("Membership"),
      qualitiesOfService: of<QualityOfService>("QualityOfService"),
      reservations: of<Reservation>("Reservation"),
      nodes: of<Node>("Node"),
      lineOfMessage: (message) => lineOfMessage(found, message),
    },
    passedOver: [...passedOver],
    doubts: siteDoubts(found),
  };
}

/** How the core calls what the file has. */
const coreWords: Partial<Record<SiteKind, string>> = {
  Queue: "queue",
  Account: "account",
  QualityOfService: "QOS",
  Reservation: "reservation",
  Node: "node",
};

function lineOfMessage(found: ReadonlyMap<SiteKind, Found[]>, message: string): number | undefined {
  if (message.startsWith("policy")) return found.get("Site")?.[0]?.lineOf("spec");
  for (const [kind, word] of Object.entries(coreWords)) {
    for (const { object, lineOf } of found.get(kind as SiteKind) ?? []) {
      const named = `${word} ${object.metadata.name}`;
      const next = message[named.length] ?? " ";
      if (message.startsWith(named) && /[:, ]/.test(next)) return lineOf("metadata.name");
    }
  }
  return undefined;
}

/** The object itself, or those of a list, as `kubectl get -o yaml` prints several. */
function objectsOf(value: unknown, lineOf: (path: string) => number): Found[] {
  if (!isObject(value)) return [{ object: {} as Found["object"], lineOf }];
  const { kind, items } = value as { kind?: unknown; items?: unknown };
  if (typeof kind !== "string" || !kind.endsWith("List") || !Array.isArray(items)) {
    return [{ object: value as unknown as Found["object"], lineOf }];
  }
  // A list of one kind leaves the kind of its items out.
  const itemKind = kind === "List" ? undefined : kind.slice(0, -"List".length);
  return items.map((item: unknown, index) => ({
    object: (isObject(item) ? { kind: itemKind, apiVersion: value["apiVersion"], ...item } : {}) as Found["object"],
    lineOf: (path) => lineOf(path === "" ? `items[${index}]` : `items[${index}].${path}`),
  }));
}

const schemas = new Map<SiteKind, { schema: CompiledSchema; rules?: CelRules }>();

function schemaOf(kind: SiteKind): { schema: CompiledSchema; rules?: CelRules } {
  const known = schemas.get(kind);
  if (known !== undefined) return known;
  const made = kind === "Node" ? { schema: compiledBuiltInSchema("", "v1", "Node")! } : customSchema(kind);
  schemas.set(kind, made);
  return made;
}

function customSchema(kind: SiteKind): { schema: CompiledSchema; rules: CelRules } {
  const definition = kindDefinitions.find((one) => one.kind === kind)!;
  const { versions } = customResourceDefinition(definition).spec as {
    versions: { schema: { openAPIV3Schema: Schema } }[];
  };
  const schema = compileCustomSchema(versions[0]!.schema.openAPIV3Schema);
  return { schema, rules: compileCelRules(schema) };
}

/** As an API server that is strict: unknown fields, then types and bounds, then rules. Gives the object with its defaults. */
function checkObject(kind: SiteKind, { object, lineOf }: Found, problems: SiteProblem[]): Found {
  const name = typeof object.metadata?.name === "string" ? object.metadata.name : undefined;
  const say = (path: string, problem: string): void => {
    problems.push({ line: lineOf(path), problem: `${kind} ${name ?? "without a name"}: ${problem}` });
  };
  const wanted = kind === "Node" ? "v1" : apiVersion;
  if (object.apiVersion !== undefined && object.apiVersion !== wanted) {
    say("apiVersion", `apiVersion is ${JSON.stringify(object.apiVersion)}, must be ${wanted}`);
    return { object, lineOf };
  }
  if (name === undefined) say("metadata", "metadata.name is missing");
  const { schema, rules } = schemaOf(kind);
  const { unknownFields } = schema.prune(object as unknown as JsonObject);
  for (const field of unknownFields) say(field, `there is no field ${field}`);
  const filled = schema.setDefaults({ ...object, apiVersion: wanted } as unknown as JsonObject);
  let errors: FieldError[] = schema.validate(filled);
  if (errors.length === 0) errors = rules?.validate(filled) ?? [];
  // A rule about the whole object has no field.
  for (const error of errors) say(error.field, error.field === "" ? error.detail : renderFieldError(error));
  return { object: filled as unknown as Found["object"], lineOf };
}

/** What each object alone does not show: names twice, references to nothing, circles, contradictions. */
function checkTogether(found: ReadonlyMap<SiteKind, Found[]>, problems: SiteProblem[]): void {
  const all = (kind: SiteKind): Found[] => found.get(kind) ?? [];
  const say = ({ object, lineOf }: Found, path: string, problem: string): void => {
    problems.push({ line: lineOf(path), problem: `${object.kind} ${object.metadata.name}: ${problem}` });
  };
  for (const kind of Object.keys(fields) as SiteKind[]) {
    const first = new Map<string, Found>();
    for (const one of all(kind)) {
      const before = first.get(one.object.metadata.name);
      if (before === undefined) first.set(one.object.metadata.name, one);
      else say(one, "metadata.name", `the same name stands in line ${before.lineOf("metadata.name")} already`);
    }
  }
  const names = (kind: SiteKind): Set<string> => new Set(all(kind).map(({ object }) => object.metadata.name));
  const has = { Account: names("Account"), Queue: names("Queue"), QualityOfService: names("QualityOfService") };
  const nodes = new Set(all("Node").flatMap(({ object }) => nodeNames(object)));
  const refer = (one: Found, path: string, kind: keyof typeof has, name: unknown): void => {
    if (typeof name === "string" && !has[kind].has(name))
      say(one, path, `${path}: there is no ${kind} ${name} in this file`);
  };
  const accounts = all("Account");
  for (const [name, { reason, message }] of accountProblems(
    accounts.map(({ object }) => object as unknown as Account),
  )) {
    const one = accounts.find(({ object }) => object.metadata.name === name)!;
    if (reason === "Cycle") say(one, "spec.parent", `spec.parent: ${name} ${message}`);
    else refer(one, "spec.parent", "Account", one.object.spec?.["parent"]);
  }
  for (const one of accounts) refer(one, "spec.qos", "QualityOfService", one.object.spec?.["qos"]);
  const members = new Map<string, Found>();
  const defaults = new Map<string, Found>();
  for (const one of all("Membership")) {
    const { user, account, default: isDefault } = one.object.spec as unknown as Membership["spec"];
    refer(one, "spec.account", "Account", account);
    refer(one, "spec.queue", "Queue", one.object.spec?.["queue"]);
    refer(one, "spec.qos", "QualityOfService", one.object.spec?.["qos"]);
    const before = members.get(`${account}/${user}`);
    if (before !== undefined)
      say(one, "spec", `user ${user} is a member of ${account} by line ${before.lineOf("spec")} already`);
    members.set(`${account}/${user}`, one);
    if (isDefault !== true) continue;
    const other = defaults.get(user);
    if (other !== undefined)
      say(
        one,
        "spec.default",
        `spec.default: user ${user} has a default account by line ${other.lineOf("spec.default")} already`,
      );
    defaults.set(user, one);
  }
  let defaultQueue: Found | undefined;
  for (const one of all("Queue")) {
    refer(one, "spec.qos", "QualityOfService", one.object.spec?.["qos"]);
    if (one.object.spec?.["default"] !== true) continue;
    if (defaultQueue !== undefined)
      say(
        one,
        "spec.default",
        `spec.default: the default queue is ${defaultQueue.object.metadata.name} by line ${defaultQueue.lineOf("spec.default")} already`,
      );
    defaultQueue ??= one;
  }
  for (const one of all("QualityOfService")) {
    const { preempts, allowAccounts } = one.object.spec as unknown as QualityOfService["spec"];
    for (const [index, name] of (preempts ?? []).entries())
      refer(one, `spec.preempts[${index}]`, "QualityOfService", name);
    for (const [index, name] of (allowAccounts ?? []).entries())
      refer(one, `spec.allowAccounts[${index}]`, "Account", name);
  }
  for (const one of all("Reservation")) {
    const spec = one.object.spec as unknown as Reservation["spec"];
    if (spec.timeZone !== undefined && !isTimeZone(spec.timeZone))
      say(one, "spec.timeZone", `spec.timeZone: there is no time zone ${spec.timeZone}; one is Europe/Berlin`);
    for (const [index, name] of (spec.accounts ?? []).entries()) refer(one, `spec.accounts[${index}]`, "Account", name);
    for (const [index, name] of (spec.nodes ?? []).entries()) {
      if (nodes.size > 0 && !nodes.has(name)) say(one, `spec.nodes[${index}]`, `there is no Node ${name} in this file`);
    }
    if (nodes.size > 0 && (spec.nodeCount ?? 0) > nodes.size)
      say(one, "spec.nodeCount", `spec.nodeCount is ${spec.nodeCount}, and this file has ${nodes.size} nodes`);
  }
  checkAnnotations(found, say);
}
