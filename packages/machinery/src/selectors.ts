/** Label and field selectors: parsing, matching, printing. Messages are those of apimachinery. */
import { fieldInvalid, renderFieldErrors } from "./field-errors.ts";
import type { FieldError } from "./field-errors.ts";
import { checkLabelValue, checkQualifiedName } from "./names.ts";
import { badRequest } from "./status-error.ts";

export interface LabelRequirement {
  key: string;
  operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  /** Empty for Exists and DoesNotExist, one decimal integer for Gt and Lt. */
  values: string[];
}

/** All must hold; none: everything matches. */
export type LabelRequirements = readonly LabelRequirement[];

/** `metav1.LabelSelector` as objects carry it. */
export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export interface FieldRequirement {
  /** `spec.nodeName` */
  field: string;
  operator: "=" | "!=";
  value: string;
}

export type FieldRequirements = readonly FieldRequirement[];

type TokenKind = "identifier" | "operator" | "end" | "error";
interface Token {
  kind: TokenKind;
  text: string;
}

const operators = ["!=", "==", "=", "!", ",", "(", ")", "<", ">"];
const binaryOperators = "in, notin, =, ==, !=, gt, lt";

function tokens(text: string): Token[] {
  const found: Token[] = [];
  const scanner = /\s*(?:([!=<>,()]+)|([^!=<>,()\s]+))/gy;
  for (let match = scanner.exec(text); match !== null; match = scanner.exec(text)) {
    if (match[2] !== undefined) {
      found.push({ kind: "identifier", text: match[2] });
      continue;
    }
    let rest = match[1]!;
    while (rest !== "") {
      const operator = operators.find((one) => rest.startsWith(one))!;
      found.push({ kind: "operator", text: operator });
      rest = rest.slice(operator.length);
    }
  }
  found.push({ kind: "end", text: "" });
  return found;
}

function requirementErrors(requirement: LabelRequirement): FieldError[] {
  const { key, operator, values } = requirement;
  const errors = checkQualifiedName(key).map((message) => fieldInvalid("key", key, message));
  const count = values.length;
  if ((operator === "In" || operator === "NotIn") && count === 0) {
    errors.push(fieldInvalid("values", values, "for 'in', 'notin' operators, values set can't be empty"));
  }
  if ((operator === "Exists" || operator === "DoesNotExist") && count !== 0) {
    errors.push(fieldInvalid("values", values, "values set must be empty for exists and does not exist"));
  }
  if (operator === "Gt" || operator === "Lt") {
    if (count !== 1) {
      errors.push(fieldInvalid("values", values, "for 'Gt', 'Lt' operators, exactly one value is required"));
    }
    for (const [index, value] of values.entries()) {
      if (!/^[-+]?\d+$/.test(value)) {
        const message = "for 'Gt', 'Lt' operators, the value must be an integer";
        errors.push(fieldInvalid(`values[${index}]`, value, message));
      }
    }
  }
  for (const [index, value] of values.entries()) {
    for (const message of checkLabelValue(value)) errors.push(fieldInvalid(`values[${index}][${key}]`, value, message));
  }
  return errors;
}

function checked(requirement: LabelRequirement): LabelRequirement {
  const errors = requirementErrors(requirement);
  if (errors.length > 0) throw badRequest(`unable to parse requirement: ${renderFieldErrors(errors)}`);
  return requirement;
}

function refused(found: string, expected: string, separator = ","): never {
  throw badRequest(`unable to parse requirement: found '${found}'${separator} expected: ${expected}`);
}

class LabelSelectorParser {
  readonly #tokens: Token[];
  #next = 0;

  constructor(text: string) {
    this.#tokens = tokens(text);
  }

  parse(): LabelRequirement[] {
    const found: LabelRequirement[] = [];
    for (;;) {
      const token = this.#peek();
      if (token.kind === "end") return found;
      if (token.kind !== "identifier" && token.text !== "!") {
        throw badRequest(`found '${token.text}', expected: !, identifier, or 'end of string'`);
      }
      found.push(this.#requirement());
      const after = this.#take();
      if (after.kind === "end") return found;
      if (after.text !== ",") throw badRequest(`found '${after.text}', expected: ',' or 'end of string'`);
      const next = this.#peek();
      if (next.kind !== "identifier" && next.text !== "!") {
        throw badRequest(`found '${next.text}', expected: identifier after ','`);
      }
    }
  }

  #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #take(): Token {
    const token = this.#tokens[this.#next]!;
    if (token.kind !== "end") this.#next++;
    return token;
  }

  #requirement(): LabelRequirement {
    let token = this.#take();
    const negated = token.kind === "operator" && token.text === "!";
    if (negated) token = this.#take();
    if (token.kind !== "identifier") refused(token.text, "identifier");
    const key = token.text;
    const after = this.#peek();
    if (negated) return checked({ key, operator: "DoesNotExist", values: [] });
    if (after.kind === "end" || after.text === ",") return checked({ key, operator: "Exists", values: [] });
    const operator = this.#take().text;
    switch (operator) {
      case "in":
        return checked({ key, operator: "In", values: this.#values() });
      case "notin":
        return checked({ key, operator: "NotIn", values: this.#values() });
      case "=":
      case "==":
        return checked({ key, operator: "In", values: [this.#value()] });
      case "!=":
        return checked({ key, operator: "NotIn", values: [this.#value()] });
      case ">":
        return checked({ key, operator: "Gt", values: [this.#value()] });
      case "<":
        return checked({ key, operator: "Lt", values: [this.#value()] });
      default:
        return refused(operator, binaryOperators);
    }
  }

  #value(): string {
    const token = this.#peek();
    if (token.kind === "end" || token.text === ",") return "";
    if (token.kind !== "identifier") refused(token.text, "identifier");
    return this.#take().text;
  }

  /** `(a,b)`; an empty place is the empty value. */
  #values(): string[] {
    const open = this.#take();
    if (open.text !== "(") refused(open.text, "'('", "");
    const values = new Set<string>();
    let value = "";
    let complete = false;
    for (;;) {
      const token = this.#take();
      if (token.kind === "identifier" && !complete) {
        value = token.text;
        complete = true;
      } else if (token.text === "," || token.text === ")") {
        values.add(value);
        if (token.text === ")") return [...values].sort();
        value = "";
        complete = false;
      } else {
        refused(token.text, complete ? "',' or ')'" : "',', or identifier");
      }
    }
  }
}

/** `app=web,tier in (a,b),!old`. @throws ApiError BadRequest */
export function parseLabelSelector(text: string): LabelRequirement[] {
  return new LabelSelectorParser(text).parse();
}

/**
 * The requirements of a LabelSelector object. An empty selector matches everything; an absent one matches nothing and gives
 * `undefined`. @throws ApiError BadRequest
 */
export function labelSelectorRequirements(selector: LabelSelector | null | undefined): LabelRequirement[] | undefined {
  if (selector === null || selector === undefined) return undefined;
  const found: LabelRequirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    found.push(checked({ key, operator: "In", values: [value] }));
  }
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    if (operator !== "In" && operator !== "NotIn" && operator !== "Exists" && operator !== "DoesNotExist") {
      throw badRequest(`"${operator}" is not a valid label selector operator`);
    }
    found.push(checked({ key, operator, values }));
  }
  return found;
}

function holds({ key, operator, values }: LabelRequirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt": {
      if (value === undefined || !/^[-+]?\d+$/.test(value)) return false;
      const [left, right] = [BigInt(value), BigInt(values[0]!)];
      return operator === "Gt" ? left > right : left < right;
    }
  }
}

/** Requirements that are `undefined` (an absent LabelSelector object) match nothing. */
export function matchesLabels(
  requirements: LabelRequirements | undefined,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  if (requirements === undefined) return false;
  const actual = labels ?? {};
  for (const requirement of requirements) if (!holds(requirement, actual)) return false;
  return true;
}

/** The string form; parsing it gives the same requirements. */
export function formatLabelSelector(requirements: LabelRequirements): string {
  const text = ({ key, operator, values }: LabelRequirement): string => {
    switch (operator) {
      case "In":
        return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(",")})`;
      case "NotIn":
        return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(",")})`;
      case "Exists":
        return key;
      case "DoesNotExist":
        return `!${key}`;
      case "Gt":
        return `${key}>${values[0]}`;
      case "Lt":
        return `${key}<${values[0]}`;
    }
  };
  return requirements.map(text).join(",");
}

/** `status.phase=Running,spec.nodeName!=a`; commas, `=` and `\` in values are escaped by `\`. @throws ApiError BadRequest */
export function parseFieldSelector(text: string): FieldRequirement[] {
  const terms = text.match(/(?:\\[\s\S]|[^\\,])+/g) ?? [];
  return terms.map((term) => {
    const match = /^(.*?)(!=|==|=)([\s\S]*)$/.exec(term);
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const operator = match[2] === "!=" ? "!=" : "=";
    return { field: match[1]!, operator, value: unescaped(match[3]!) };
  });
}

function unescaped(value: string): string {
  if (!/[\\,=]/.test(value)) return value;
  if (!/^(?:\\[\\,=]|[^\\,=])*$/.test(value)) {
    throw badRequest(`invalid field selector: invalid escape sequence in value: ${value}`);
  }
  return value.replace(/\\(.)/g, "$1");
}

/** Which fields an object may be selected by is a closed list for each kind. @throws ApiError BadRequest */
export function checkFieldSelector(requirements: FieldRequirements, supported: readonly string[]): void {
  const unknown = requirements.find(({ field }) => !supported.includes(field));
  if (unknown === undefined) return;
  throw badRequest(`field label not supported: ${unknown.field}`);
}

/** `fieldOf` gives the value of a field as text, `""` or undefined where it is absent. */
export function matchesFields(
  requirements: FieldRequirements,
  fieldOf: (field: string) => string | undefined,
): boolean {
  for (const { field, operator, value } of requirements) {
    if (((fieldOf(field) ?? "") === value) !== (operator === "=")) return false;
  }
  return true;
}

/** The value at a dotted path as a field selector sees it: text, numbers and booleans printed, absent as `""`. */
export function fieldValue(object: unknown, path: string): string {
  let value: unknown = object;
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null) return "";
    value = (value as Record<string, unknown>)[part];
  }
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}
