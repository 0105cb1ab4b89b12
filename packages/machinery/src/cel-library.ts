/** The CEL environment of Kubernetes' validation rules: its own functions beside those of the language. */
import { Environment } from "@marcbachmann/cel-js";
import { parseQuantity, quantityError } from "./quantity.ts";

/** A quantity as a CEL value. */
class CelQuantity {
  readonly nano: bigint;

  constructor(nano: bigint) {
    this.nano = nano;
  }
}

const nanoPerUnit = 1_000_000_000n;

function quantity(text: string): CelQuantity {
  const wrong = quantityError(text);
  if (wrong !== undefined) throw new Error(wrong);
  return new CelQuantity(parseQuantity(text).nano);
}

/** A version as semver.org has it; what follows a `+` says nothing of its order. */
class CelVersion {
  readonly numbers: readonly [bigint, bigint, bigint];
  readonly before: readonly string[];

  constructor(text: string) {
    const found = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text);
    if (found === null) throw new Error(`${JSON.stringify(text)} is no version like 1.2.3`);
    this.numbers = [BigInt(found[1]!), BigInt(found[2]!), BigInt(found[3]!)];
    this.before = found[4]?.split(".") ?? [];
  }

  compare(other: CelVersion): -1 | 0 | 1 {
    for (const [at, own] of this.numbers.entries())
      if (own !== other.numbers[at]) return own < other.numbers[at]! ? -1 : 1;
    if (this.before.length === 0 || other.before.length === 0)
      return this.before.length === other.before.length ? 0 : this.before.length === 0 ? 1 : -1;
    for (const [at, own] of this.before.entries()) {
      const its = other.before[at];
      if (its === undefined) return 1;
      if (own === its) continue;
      const [isOwn, isIts] = [/^\d+$/.test(own), /^\d+$/.test(its)];
      if (isOwn !== isIts) return isOwn ? -1 : 1;
      return (isOwn ? BigInt(own) < BigInt(its) : own < its) ? -1 : 1;
    }
    return this.before.length < other.before.length ? -1 : 0;
  }
}

export function celVersion(text: string): unknown {
  return new CelVersion(text);
}

export { quantity as celQuantity };

function isVersion(text: string): boolean {
  try {
    return new CelVersion(text) instanceof CelVersion;
  } catch {
    return false;
  }
}

/** Look-around and back references, which Go does not have, are refused here too: a rule means the same on any server. */
function pattern(text: string, flags = ""): RegExp {
  if (/\(\?<?[=!]|\\[1-9]/.test(text)) throw new Error(`invalid regular expression: ${text}`);
  return new RegExp(text, flags);
}

type Ordered = bigint | number | string | boolean;

function ordered(list: unknown): Ordered[] {
  return [...(list as Iterable<Ordered>)];
}

function extreme(list: unknown, name: string, wins: (a: Ordered, b: Ordered) => boolean): Ordered {
  const items = ordered(list);
  if (items.length === 0) throw new Error(`${name} called on empty list`);
  return items.reduce((best, one) => (wins(one, best) ? one : best));
}

function indexIn(list: unknown, wanted: unknown, last: boolean): bigint {
  const items = ordered(list);
  const same = (one: unknown): boolean => one === wanted || (typeof one !== "object" && one == wanted); // oxlint-disable-line eqeqeq
  return BigInt(last ? items.findLastIndex(same) : items.findIndex(same));
}

function sum(list: unknown): bigint | number {
  const items = ordered(list);
  if (items.length === 0) return 0n;
  return typeof items[0] === "bigint"
    ? (items as bigint[]).reduce((total, one) => total + one, 0n)
    : (items as number[]).reduce((total, one) => total + one, 0);
}

function replaced(text: string, from: string, to: string, limit: number): string {
  if (limit < 0) return text.replaceAll(from, () => to);
  let result = "";
  let rest = text;
  for (let count = 0; count < limit; count++) {
    const at = rest.indexOf(from);
    if (at === -1) break;
    result += rest.slice(0, at) + to;
    rest = rest.slice(at + from.length);
  }
  return result + rest;
}

function found(text: string, expression: string, limit: number): string[] {
  const all = text.match(pattern(expression, "g")) ?? [];
  return limit < 0 ? all : all.slice(0, limit);
}

/** `%s`, `%d`, `%f`, `%x`, `%%`. */
function formatted(text: string, values: unknown): string {
  const rest = [...(values as Iterable<unknown>)];
  return text.replace(/%(?:\.(\d+))?([sdfxeX%])/g, (_, precision: string | undefined, verb: string) => {
    if (verb === "%") return "%";
    if (rest.length === 0) throw new Error("index out of range: too few arguments for format");
    const value = rest.shift();
    switch (verb) {
      case "d":
        return String(value);
      case "f":
        return Number(value).toFixed(precision === undefined ? 6 : Number(precision));
      case "e":
        return Number(value).toExponential(precision === undefined ? 6 : Number(precision));
      case "x":
      case "X": {
        const hex = typeof value === "string" ? Buffer.from(value).toString("hex") : (value as bigint).toString(16);
        return verb === "x" ? hex : hex.toUpperCase();
      }
      default:
        return printed(value);
    }
  });
}

function printed(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(printed).join(", ")}]`;
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== "object" || value === null) return String(value);
  const entries = Object.entries(value).map(([key, one]) => `${key}: ${printed(one)}`);
  return `{${entries.join(", ")}}`;
}

/**
 * A fresh environment with `self` and `oldSelf`, which is an optional value for rules with `optionalOldSelf`. Making one is
 * dear, so that rules share it.
 */
export function celEnvironment(optionalOldSelf: boolean): Environment {
  return libraryEnvironment()
    .registerVariable("self", "dyn")
    .registerVariable("oldSelf", optionalOldSelf ? "optional<dyn>" : "dyn");
}

let ofDevices: Environment | undefined;

/** The environment of selectors of devices. */
export function deviceEnvironment(): Environment {
  ofDevices ??= libraryEnvironment().registerVariable("device", "dyn");
  return ofDevices;
}

/** What `authorizer.group(…).resource(…)….check(verb)` asks. */
export interface AccessQuestion {
  verb: string;
  group: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
}

type Allows = (question: AccessQuestion) => boolean;

class Authorizer {
  readonly allows: Allows;

  constructor(allows: Allows) {
    this.allows = allows;
  }
}

/** An access that is being put together; it is asked for when all of it is said. */
class AccessCheck {
  readonly allows: Allows;
  readonly question: AccessQuestion;

  constructor(allows: Allows, question: Partial<AccessQuestion>) {
    this.allows = allows;
    this.question = { verb: "", group: "", resource: "", subresource: "", namespace: "", name: "", ...question };
  }

  with(part: Partial<AccessQuestion>): AccessCheck {
    return new AccessCheck(this.allows, { ...this.question, ...part });
  }
}

class AccessGroup extends AccessCheck {}
class AccessDecision extends AccessCheck {}

export interface PolicyEnvironment {
  parse: Environment["parse"];
  authorizer(allows: Allows): unknown;
}

let shared: Environment | undefined;

/** The environment of ValidatingAdmissionPolicies: `object`, `oldObject` (null at creation), `request` and `authorizer`. */
export function policyEnvironment(): PolicyEnvironment {
  shared ??= makePolicyEnvironment();
  const environment = shared;
  return { parse: (text) => environment.parse(text), authorizer: (allows) => new Authorizer(allows) };
}

function makePolicyEnvironment(): Environment {
  const environment = libraryEnvironment()
    .registerType("Authorizer", Authorizer as never)
    .registerType("AccessGroup", AccessGroup as never)
    .registerType("AccessCheck", AccessCheck as never)
    .registerType("AccessDecision", AccessDecision as never);
  for (const name of ["object", "oldObject", "request"]) environment.registerVariable(name, "dyn");
  environment.registerVariable("authorizer", "Authorizer");
  const functions: [string, (...values: never[]) => unknown][] = [
    [
      "Authorizer.group(string): AccessGroup",
      ({ allows }: Authorizer, group: string) => new AccessGroup(allows, { group }),
    ],
    [
      "AccessGroup.resource(string): AccessCheck",
      (of: AccessGroup, resource: string) => new AccessCheck(of.allows, { ...of.question, resource }),
    ],
    [
      "AccessCheck.subresource(string): AccessCheck",
      (of: AccessCheck, subresource: string) => of.with({ subresource }),
    ],
    ["AccessCheck.namespace(string): AccessCheck", (of: AccessCheck, namespace: string) => of.with({ namespace })],
    ["AccessCheck.name(string): AccessCheck", (of: AccessCheck, name: string) => of.with({ name })],
    [
      "AccessCheck.check(string): AccessDecision",
      (of: AccessCheck, verb: string) => new AccessDecision(of.allows, { ...of.question, verb }),
    ],
    ["AccessDecision.allowed(): bool", ({ allows, question }: AccessDecision) => allows(question)],
  ];
  for (const [signature, handler] of functions) environment.registerFunction(signature, handler as never);
  return environment;
}

function libraryEnvironment(): Environment {
  const environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false });
  environment.registerType("Quantity", CelQuantity as never);
  environment.registerType("Semver", CelVersion as never);
  const functions: [string, (...values: never[]) => unknown][] = [
    ["quantity(string): Quantity", quantity],
    ["isQuantity(string): bool", (text: string) => quantityError(text) === undefined],
    ["Quantity.isGreaterThan(Quantity): bool", (a: CelQuantity, b: CelQuantity) => a.nano > b.nano],
    ["Quantity.isLessThan(Quantity): bool", (a: CelQuantity, b: CelQuantity) => a.nano < b.nano],
    [
      "Quantity.compareTo(Quantity): int",
      (a: CelQuantity, b: CelQuantity) => (a.nano < b.nano ? -1n : a.nano > b.nano ? 1n : 0n),
    ],
    ["Quantity.sign(): int", (a: CelQuantity) => (a.nano < 0n ? -1n : a.nano > 0n ? 1n : 0n)],
    ["Quantity.isInteger(): bool", (a: CelQuantity) => a.nano % nanoPerUnit === 0n],
    [
      "Quantity.asInteger(): int",
      (a: CelQuantity) => {
        if (a.nano % nanoPerUnit !== 0n) throw new Error("cannot convert value to integer");
        return a.nano / nanoPerUnit;
      },
    ],
    ["Quantity.asApproximateFloat(): double", (a: CelQuantity) => Number(a.nano) / 1e9],
    ["Quantity.add(Quantity): Quantity", (a: CelQuantity, b: CelQuantity) => new CelQuantity(a.nano + b.nano)],
    ["Quantity.add(int): Quantity", (a: CelQuantity, b: bigint) => new CelQuantity(a.nano + b * nanoPerUnit)],
    ["Quantity.sub(Quantity): Quantity", (a: CelQuantity, b: CelQuantity) => new CelQuantity(a.nano - b.nano)],
    ["Quantity.sub(int): Quantity", (a: CelQuantity, b: bigint) => new CelQuantity(a.nano - b * nanoPerUnit)],
    ["semver(string): Semver", (text: string) => new CelVersion(text)],
    ["isSemver(string): bool", isVersion],
    ["Semver.isGreaterThan(Semver): bool", (a: CelVersion, b: CelVersion) => a.compare(b) > 0],
    ["Semver.isLessThan(Semver): bool", (a: CelVersion, b: CelVersion) => a.compare(b) < 0],
    ["Semver.compareTo(Semver): int", (a: CelVersion, b: CelVersion) => BigInt(a.compare(b))],
    ["Semver.major(): int", (version: CelVersion) => version.numbers[0]],
    ["Semver.minor(): int", (version: CelVersion) => version.numbers[1]],
    ["Semver.patch(): int", (version: CelVersion) => version.numbers[2]],
    ["list.sum(): dyn", sum],
    ["list.min(): dyn", (list: unknown) => extreme(list, "min", (a, b) => a < b)],
    ["list.max(): dyn", (list: unknown) => extreme(list, "max", (a, b) => a > b)],
    [
      "list.isSorted(): bool",
      (list: unknown) => ordered(list).every((one, index, items) => index === 0 || items[index - 1]! <= one),
    ],
    ["list.indexOf(dyn): int", (list: unknown, wanted: unknown) => indexIn(list, wanted, false)],
    ["list.lastIndexOf(dyn): int", (list: unknown, wanted: unknown) => indexIn(list, wanted, true)],
    ["string.find(string): string", (text: string, expression: string) => pattern(expression).exec(text)?.[0] ?? ""],
    ["string.findAll(string): list<string>", (text: string, expression: string) => found(text, expression, -1)],
    [
      "string.findAll(string, int): list<string>",
      (text: string, expression: string, limit: bigint) => found(text, expression, Number(limit)),
    ],
    [
      "string.replace(string, string): string",
      (text: string, from: string, to: string) => replaced(text, from, to, -1),
    ],
    [
      "string.replace(string, string, int): string",
      (text: string, from: string, to: string, limit: bigint) => replaced(text, from, to, Number(limit)),
    ],
    ["string.charAt(int): string", (text: string, index: bigint) => text.charAt(Number(index))],
    ["string.reverse(): string", (text: string) => [...text].reverse().join("")],
    ["string.format(list): string", formatted],
  ];
  for (const [signature, handler] of functions) environment.registerFunction(signature, handler as never);
  return environment;
}
