/** Takes out of answers what no two servers have in common, and tells where the rest differs. */

type Json = Record<string, unknown>;

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** Uids, times, resource versions, tokens, random names, and what tables say of ages; documentation of a table's columns. */
export function normalise(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normalise);
  if (typeof value === "string") return normaliseText(value);
  if (!isJson(value)) return value;
  const result: Json = {};
  for (const [key, one] of Object.entries(value)) result[key] = normaliseField(key, one);
  if (result["kind"] === "Table") normaliseTable(result);
  if (Array.isArray(result["events"]))
    result["events"] = result["events"].filter((event) => !isHeartbeat(event as Json));
  // A set, in no order that is meant.
  if (Array.isArray(result["verbs"]) && typeof result["singularName"] === "string") result["verbs"].sort();
  // By name, and without what is a hash of where a kind is kept.
  if (result["kind"] === "APIResourceList") {
    const resources = (result["resources"] ?? []) as Json[];
    for (const resource of resources) delete resource["storageVersionHash"];
    result["resources"] = Object.fromEntries(resources.map((resource) => [resource["name"], resource]));
  }
  if (typeof result["kind"] === "string" && result["kind"].endsWith("List")) byName(result, "items", (item) => item);
  const metadata = result["metadata"];
  if (isJson(metadata) && typeof metadata["generateName"] === "string" && typeof metadata["name"] === "string") {
    metadata["name"] = metadata["name"].replace(/.{5}$/, "<random>");
  }
  return result;
}

/** Bookmarks that come now and then; the one that ends the initial events is awaited. */
function isHeartbeat({ type, object }: Json): boolean {
  const { annotations } = ((object as Json | undefined)?.["metadata"] ?? {}) as Json;
  return type === "BOOKMARK" && annotations === undefined;
}

function normaliseField(key: string, value: unknown): unknown {
  if ((key === "resourceVersion" || key === "uid") && typeof value === "string" && value !== "") return `<${key}>`;
  if (key === "continue" && typeof value === "string" && value !== "") return "<continue>";
  if (key === "token" && typeof value === "string") return "<token>";
  if (key === "serverAddress") return "<address>";
  // Kubernetes orders them by their times, in whole seconds: that is chance.
  if (key === "managedFields" && Array.isArray(value)) return inOrder(value.map((one) => normalise(one) as Json));
  return normalise(value);
}

function normaliseText(text: string): string {
  return text
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "<uid>")
    .replace(/\bkube-api-access-[a-z0-9]{5}\b/g, "kube-api-access-<random>")
    .replace(/X509SHA256=[0-9a-f]+/g, "X509SHA256=<hash>")
    .replace(/(Too large resource version: \d+, current): \d+/g, "$1: <resourceVersion>")
    .replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>")
    .replace(/(ResourceVersion in (?:precondition|object meta)): \d+/g, "$1: <resourceVersion>");
}

function inOrder(entries: Json[]): Json[] {
  const keyOf = ({ manager, operation, subresource = "" }: Json): string =>
    `${String(manager)} ${String(operation)} ${String(subresource)}`;
  return entries.sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
}

/** Items by their names, and the order of the names beside them: one that is missing is told once. */
function byName(list: Json, field: string, objectOf: (item: Json) => unknown): void {
  const items = list[field];
  if (!Array.isArray(items)) return;
  const names = (items as Json[]).map((item) => {
    const { metadata } = objectOf(item) as { metadata: Json };
    return [metadata["namespace"], metadata["name"]].filter((part) => part !== undefined).join("/");
  });
  list[field] = Object.fromEntries(items.map((item, at) => [names[at], item as unknown]));
  list["order"] = names.join(" ");
}

function normaliseTable(table: Json): void {
  for (const column of (table["columnDefinitions"] ?? []) as Json[]) delete column["description"];
  for (const row of (table["rows"] ?? []) as { cells: unknown[] }[]) {
    row.cells = row.cells.map((cell) => (typeof cell === "string" && /^(\d+[smhdy])+$/.test(cell) ? "<age>" : cell));
  }
}

const absent = Symbol("absent");

/** Lines `PATH: EMBEDDED ≠ REAL`, of the deepest fields that differ; of answers with different codes one line with what both said. */
export function differences(embedded: unknown, real: unknown, path = ""): string[] {
  if (Object.is(embedded, real)) return [];
  if (path === "" && isJson(embedded) && isJson(real) && embedded["code"] !== real["code"])
    return [`code: ${told(embedded)} ≠ ${told(real)}`];
  if (Array.isArray(embedded) && Array.isArray(real)) {
    return Array.from({ length: Math.max(embedded.length, real.length) }, (_, at) =>
      differences(at < embedded.length ? embedded[at] : absent, at < real.length ? real[at] : absent, `${path}[${at}]`),
    ).flat();
  }
  if (isJson(embedded) && isJson(real)) {
    return [...new Set([...Object.keys(embedded), ...Object.keys(real)])]
      .sort()
      .flatMap((key) =>
        differences(
          key in embedded ? embedded[key] : absent,
          key in real ? real[key] : absent,
          path === "" ? key : `${path}.${key}`,
        ),
      );
  }
  return [`${path}: ${show(embedded)} ≠ ${show(real)}`];
}

function told({ code, body }: Json): string {
  const message = isJson(body) && typeof body["message"] === "string" ? ` ${show(body["message"])}` : "";
  return `${String(code)}${message}`;
}

function show(value: unknown): string {
  if (value === absent) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** Differences that are known, by reason. */
export interface Known {
  reason: string;
  /** Lines as they are told, where `*` stands for anything. */
  lines: string[];
  /** How many lines that is in all: it may only become less. */
  count: number;
}

/** What is wrong with the list beside what was found: a line that is not in it, one that is in it and gone. */
export function judge(found: readonly string[], known: readonly Known[]): string[] {
  const patterns = known.map((entry) => entry.lines.map((line) => ({ line, pattern: patternOf(line), count: 0 })));
  const complaints: string[] = [];
  for (const line of found) {
    const match = patterns.flat().find(({ pattern }) => pattern.test(line));
    if (match === undefined) complaints.push(`not listed: ${line}`);
    else match.count++;
  }
  for (const [at, entry] of known.entries()) {
    for (const { line, count } of patterns[at]!) if (count === 0) complaints.push(`gone, take it out: ${line}`);
    const total = patterns[at]!.reduce((sum, { count }) => sum + count, 0);
    if (total > entry.count) complaints.push(`${total} lines, ${entry.count} are allowed: ${entry.reason}`);
    if (total < entry.count) complaints.push(`only ${total} lines, write that for ${entry.count}: ${entry.reason}`);
  }
  return complaints;
}

function patternOf(line: string): RegExp {
  const escaped = line.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join(".*")}$`, "s");
}
