/**
 * Kubernetes quantities (`500m`, `1.5Gi`, `12e6`), exact: an integer number of billionths, which is as fine as Kubernetes
 * keeps them. A finer value is rounded away from zero, as Kubernetes does.
 */
import { badRequest } from "./status-error.ts";

export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

export interface Quantity {
  /** The value in billionths. */
  nano: bigint;
  format: QuantityFormat;
}

const pattern = /^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)$/;
const nanoPerUnit = 1_000_000_000n;
const largestInteger = 2n ** 63n - 1n;

const decimalExponents: Record<string, number> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const binaryExponents: Record<string, number> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const decimalSuffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const binarySuffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

const wrongForm = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const wrongSuffix = "unable to parse quantity's suffix";
const largestExponent = 100;

interface Parts {
  negative: boolean;
  whole: string;
  fraction: string;
  base: 2 | 10;
  exponent: number;
  format: QuantityFormat;
}

/** The parts of a quantity, or the message of what is wrong with it. */
function split(text: string): Parts | string {
  const match = pattern.exec(text);
  const whole = match?.[2] ?? "";
  const fraction = match?.[3] ?? "";
  if (match === null || (whole === "" && fraction === "")) return wrongForm;
  const parts = { negative: match[1] === "-", whole: whole.replace(/^0+/, ""), fraction };
  const suffix = match[4] ?? "";
  const decimal = decimalExponents[suffix];
  if (decimal !== undefined) return { ...parts, base: 10, exponent: decimal, format: "DecimalSI" };
  const binary = binaryExponents[suffix];
  if (binary !== undefined) return { ...parts, base: 2, exponent: binary, format: "BinarySI" };
  if (!/^[eE][-+]?\d+$/.test(suffix)) return wrongSuffix;
  const exponent = Number(suffix.slice(1));
  if (Math.abs(exponent) > largestExponent) return wrongSuffix;
  return { ...parts, base: 10, exponent, format: "DecimalExponent" };
}

function nanoOf(parts: Parts): Quantity {
  let numerator = BigInt(parts.whole + parts.fraction || "0") * nanoPerUnit;
  let denominator = 10n ** BigInt(parts.fraction.length);
  if (parts.base === 2) numerator <<= BigInt(parts.exponent);
  else if (parts.exponent >= 0) numerator *= 10n ** BigInt(parts.exponent);
  else denominator *= 10n ** BigInt(-parts.exponent);
  let nano = (numerator + denominator - 1n) / denominator;
  let format = parts.format;
  if (format === "BinarySI") {
    if (nano > largestInteger * nanoPerUnit) nano = largestInteger * nanoPerUnit;
    if (nano > 0n && nano < nanoPerUnit) format = "DecimalSI";
  }
  return { nano: parts.negative ? -nano : nano, format };
}

/** Why a text is no quantity, in Kubernetes' words; undefined when it is one. */
export function quantityError(text: string): string | undefined {
  const parts = split(text);
  return typeof parts === "string" ? parts : undefined;
}

/** @throws ApiError BadRequest for what is no quantity. */
export function parseQuantity(quantity: string | number): Quantity {
  const parts = split(String(quantity));
  if (typeof parts === "string") throw badRequest(`quantity ${JSON.stringify(quantity)}: ${parts}`);
  return nanoOf(parts);
}

// What nearly all requests look like; everything else goes the exact way.
const plain = /^(\d{1,7})(m|k|M|G|Ki|Mi|Gi)?$/;
const plainMilli: Record<string, number> = {
  m: 1,
  k: 1e6,
  M: 1e9,
  G: 1e12,
  Ki: 1024e3,
  Mi: 1024 ** 2 * 1e3,
  Gi: 1024 ** 3 * 1e3,
};

function milliWhenPlain(text: string): number | undefined {
  const match = plain.exec(text);
  if (match === null) return undefined;
  const milli = Number(match[1]) * (match[2] === undefined ? 1000 : plainMilli[match[2]]!);
  return milli <= Number.MAX_SAFE_INTEGER ? milli : undefined;
}

function ceilingQuotient(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value > 0n && value % divisor !== 0n ? quotient + 1n : quotient;
}

/** In thousandths, rounded up: milli-cpu. Exact up to 2^53, then the nearest double. @throws ApiError BadRequest */
export function quantityToMilli(quantity: string | number): number {
  const text = String(quantity);
  return milliWhenPlain(text) ?? Number(ceilingQuotient(parseQuantity(text).nano, 1_000_000n));
}

/** In whole units, rounded up: bytes, counts. Exact up to 2^53, then the nearest double. @throws ApiError BadRequest */
export function quantityToInteger(quantity: string | number): number {
  const text = String(quantity);
  const milli = milliWhenPlain(text);
  if (milli !== undefined) return Math.ceil(milli / 1000);
  return Number(ceilingQuotient(parseQuantity(text).nano, nanoPerUnit));
}

/** Negative, zero or positive. @throws ApiError BadRequest */
export function compareQuantities(a: string | number, b: string | number): number {
  const left = parseQuantity(a).nano;
  const right = parseQuantity(b).nano;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The canonical text: largest suffix that leaves an integer. */
export function formatQuantity({ nano, format }: Quantity): string {
  if (nano === 0n) return "0";
  const negative = nano < 0n;
  let magnitude = negative ? -nano : nano;
  const sign = negative ? "-" : "";
  if (format === "BinarySI" && magnitude % nanoPerUnit === 0n && magnitude >= 1024n * nanoPerUnit) {
    magnitude /= nanoPerUnit;
    let step = 0;
    while (magnitude % 1024n === 0n && step < binarySuffixes.length - 1) {
      magnitude /= 1024n;
      step++;
    }
    return `${sign}${magnitude}${binarySuffixes[step]}`;
  }
  let step = 0;
  const last = format === "DecimalExponent" ? Infinity : decimalSuffixes.length - 1;
  while (magnitude % 1000n === 0n && step < last) {
    magnitude /= 1000n;
    step++;
  }
  if (format !== "DecimalExponent") return `${sign}${magnitude}${decimalSuffixes[step]}`;
  const exponent = step * 3 - 9;
  return exponent === 0 ? `${sign}${magnitude}` : `${sign}${magnitude}e${exponent}`;
}

/**
 * What the real server stores for this quantity: its canonical form, except that some texts are kept as they came
 * (`1.500k`), because Kubernetes takes them for canonical. @throws ApiError BadRequest
 */
export function canonicalQuantity(quantity: string | number): string {
  const text = String(quantity);
  const parts = split(text);
  if (typeof parts === "string") throw badRequest(`quantity ${JSON.stringify(quantity)}: ${parts}`);
  const digits = (parts.whole || "0") + parts.fraction;
  if (parts.base === 10 && digits.length <= 15 && !digits.endsWith("000") && !digits.startsWith("0")) {
    if ((parts.exponent - parts.fraction.length) % 3 === 0 && parts.exponent - parts.fraction.length >= -9) return text;
  }
  return formatQuantity(nanoOf(parts));
}
