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
  const environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false });
  environment.registerVariable("self", "dyn").registerVariable("oldSelf", optionalOldSelf ? "optional<dyn>" : "dyn");
  environment.registerType("Quantity", CelQuantity as never);
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
