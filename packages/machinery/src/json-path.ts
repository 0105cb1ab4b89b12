/**
 * The JSONPath dialect of Kubernetes, as printer columns use it: `.spec.a`, `['a.b']`, `\.` in names, `[0]`, `[-1]`, `[1:3]`,
 * `[*]`, `..name`, and filters `[?(@.type=="Ready")]`.
 */
import { isObject, ownValue } from "./json.ts";
import { badRequest } from "./status-error.ts";

type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=";

type Operand = { path: readonly Step[] } | { literal: string | number | boolean | null };

type Step =
  | { kind: "field"; name: string }
  | { kind: "index"; index: number }
  | { kind: "slice"; start: number | undefined; end: number | undefined; step: number }
  | { kind: "all" }
  | { kind: "descend" }
  | { kind: "union"; steps: readonly Step[] }
  | { kind: "filter"; left: Operand; operator: Comparison | undefined; right: Operand | undefined };

/** A path made ready: all values that it leads to, in document order; nothing where fields are missing. */
export type JsonPath = (value: unknown) => unknown[];

/** @throws ApiError BadRequest with the place that could not be read */
export function compileJsonPath(text: string): JsonPath {
  const inner = text.startsWith("{") && text.endsWith("}") ? text.slice(1, -1) : text;
  const steps = parseSteps(inner.startsWith("$") ? inner.slice(1) : inner, text);
  return (value) => walk([value], steps);
}

function refused(path: string, what: string): Error {
  return badRequest(`JSONPath ${JSON.stringify(path)}: ${what}`);
}

function parseSteps(text: string, whole: string): Step[] {
  const steps: Step[] = [];
  let rest = text;
  while (rest !== "") {
    if (rest.startsWith("[")) {
      const end = closingBracket(rest, whole);
      steps.push(parseBracket(rest.slice(1, end).trim(), whole));
      rest = rest.slice(end + 1);
      continue;
    }
    if (rest.startsWith("..")) {
      steps.push({ kind: "descend" });
      rest = rest.slice(rest[2] === "[" ? 2 : 1);
      continue;
    }
    if (!rest.startsWith(".")) throw refused(whole, `unexpected ${JSON.stringify(rest)}`);
    const match = /^\.((?:\\.|[^.[\]\\])*)/.exec(rest)!;
    const name = match[1]!.replace(/\\(.)/g, "$1");
    rest = rest.slice(match[0].length);
    if (name === "*") steps.push({ kind: "all" });
    else if (name !== "") steps.push({ kind: "field", name });
    else if (rest !== "" && !rest.startsWith("[")) throw refused(whole, "a name is missing");
  }
  return steps;
}

function closingBracket(text: string, whole: string): number {
  let depth = 0;
  let quote = "";
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!;
    if (quote !== "") {
      if (character === "\\") index++;
      else if (character === quote) quote = "";
    } else if (character === '"' || character === "'") quote = character;
    else if (character === "[") depth++;
    else if (character === "]" && --depth === 0) return index;
  }
  throw refused(whole, "unterminated array");
}

function parseBracket(text: string, whole: string): Step {
  if (text === "*") return { kind: "all" };
  const filter = /^\?\s*\(([\s\S]*)\)$/.exec(text);
  if (filter !== null) return parseFilter(filter[1]!.trim(), whole);
  const parts = splitOutsideQuotes(text, ",");
  if (parts.length > 1) return { kind: "union", steps: parts.map((part) => parseBracket(part.trim(), whole)) };
  const quoted = /^(['"])([\s\S]*)\1$/.exec(text);
  if (quoted !== null) return { kind: "field", name: quoted[2]!.replace(/\\(.)/g, "$1") };
  if (/^-?\d+$/.test(text)) return { kind: "index", index: Number(text) };
  const slice = /^(-?\d*):(-?\d*)(?::(\d+))?$/.exec(text);
  if (slice === null) throw refused(whole, `invalid array index ${JSON.stringify(text)}`);
  const number = (part: string | undefined): number | undefined => (part ? Number(part) : undefined);
  return { kind: "slice", start: number(slice[1]), end: number(slice[2]), step: number(slice[3]) ?? 1 };
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  return text.match(new RegExp(`(?:"[^"]*"|'[^']*'|[^${separator}])+`, "g")) ?? [text];
}

function parseFilter(text: string, whole: string): Step {
  const match = /^((?:"[^"]*"|'[^']*'|[^=!<>])+?)\s*(?:(==|!=|<=|>=|<|>)\s*([\s\S]+))?$/.exec(text);
  if (match === null) throw refused(whole, `unrecognized filter ${JSON.stringify(text)}`);
  return {
    kind: "filter",
    left: parseOperand(match[1]!.trim(), whole),
    operator: match[2] as Comparison | undefined,
    right: match[3] === undefined ? undefined : parseOperand(match[3].trim(), whole),
  };
}

function parseOperand(text: string, whole: string): Operand {
  if (text.startsWith("@")) return { path: parseSteps(text.slice(1), whole) };
  const quoted = /^(['"])([\s\S]*)\1$/.exec(text);
  if (quoted !== null) return { literal: quoted[2]!.replace(/\\(.)/g, "$1") };
  if (/^-?\d+(\.\d+)?$/.test(text)) return { literal: Number(text) };
  if (text === "true" || text === "false") return { literal: text === "true" };
  if (text === "null") return { literal: null };
  throw refused(whole, `unrecognized value ${JSON.stringify(text)} in a filter`);
}

function walk(values: unknown[], steps: readonly Step[]): unknown[] {
  let found = values;
  for (const step of steps) {
    if (found.length === 0) return found;
    found = found.flatMap((value) => children(value, step));
  }
  return found;
}

function children(value: unknown, step: Step): unknown[] {
  switch (step.kind) {
    case "field": {
      if (!isObject(value)) return [];
      const child = ownValue(value, step.name);
      return child === undefined ? [] : [child];
    }
    case "all":
      return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
    case "descend":
      return descendants(value);
    case "index": {
      if (!Array.isArray(value)) return [];
      const child: unknown = value.at(step.index);
      return child === undefined ? [] : [child];
    }
    case "slice": {
      if (!Array.isArray(value)) return [];
      const end = step.end === 0 && (step.start ?? 0) < 0 ? undefined : step.end;
      return value.slice(step.start, end).filter((_, index) => index % step.step === 0);
    }
    case "union":
      return step.steps.flatMap((one) => children(value, one));
    case "filter":
      return Array.isArray(value) ? value.filter((one) => holds(one, step)) : [];
  }
}

function descendants(value: unknown): unknown[] {
  const inner = Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
  return [value, ...inner.flatMap(descendants)];
}

function holds(value: unknown, { left, operator, right }: Extract<Step, { kind: "filter" }>): boolean {
  const operand = (one: Operand): unknown[] => ("path" in one ? walk([value], one.path) : [one.literal]);
  const a = operand(left);
  if (operator === undefined || right === undefined) return a.length > 0;
  const b = operand(right);
  if (a.length !== 1 || b.length !== 1) return false;
  return compare(a[0], b[0], operator);
}

function compare(a: unknown, b: unknown, operator: Comparison): boolean {
  if (operator === "==") return a === b;
  if (operator === "!=") return a !== b;
  if (typeof a !== typeof b || (typeof a !== "number" && typeof a !== "string")) return false;
  const [left, right] = [a, b as typeof a];
  switch (operator) {
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
  }
}
