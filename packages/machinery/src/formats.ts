/** String formats that CRD schemas may name. An unknown format is no constraint, as in Kubernetes. */
import { checkDns1123Label, checkDns1123Subdomain } from "./names.ts";
import { quantityError } from "./quantity.ts";

export type FormatCheck = (value: string) => boolean;

const timePattern = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
const octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const ipv4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`);
const hexGroup = /^[0-9a-fA-F]{1,4}$/;

const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isDate(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (match === null) return false;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (month < 1 || month > 12 || day < 1) return false;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return day <= (month === 2 && leap ? 29 : daysOfMonth[month - 1]!);
}

function isDateTime(text: string): boolean {
  const match = timePattern.exec(text);
  if (match === null || !isDate(text.slice(0, 10))) return false;
  return Number(match[4]) < 24 && Number(match[5]) < 60 && Number(match[6]) <= 60;
}

function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [index, half] of halves.entries()) {
    if (half === "") continue;
    const parts = half.split(":");
    const last = parts.at(-1)!;
    if (index === halves.length - 1 && last.includes(".")) {
      if (!ipv4.test(last)) return false;
      parts.pop();
      groups += 2;
    }
    if (!parts.every((part) => hexGroup.test(part))) return false;
    groups += parts.length;
  }
  return halves.length === 2 ? groups < 8 : groups === 8;
}

function isCidr(text: string): boolean {
  const match = /^(.+)\/(\d{1,3})$/.exec(text);
  if (match === null) return false;
  if (ipv4.test(match[1]!)) return Number(match[2]) <= 32;
  return isIpv6(match[1]!) && Number(match[2]) <= 128;
}

function isUri(text: string): boolean {
  return text.startsWith("/") || (/^[A-Za-z][A-Za-z0-9+.-]*:/.test(text) && URL.canParse(text));
}

/** In two steps, for a pattern that counts in fours takes tens of milliseconds for a megabyte. */
function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

function isUuid(digits: string): FormatCheck {
  const pattern = new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${digits}-?[0-9a-f]{12}$`, "i");
  return (text) => pattern.test(text);
}

function matches(pattern: RegExp): FormatCheck {
  return (text) => pattern.test(text);
}

// Names without hyphens: `date-time` and `datetime` are one format.
const checks: Record<string, FormatCheck> = {
  date: isDate,
  datetime: isDateTime,
  microtime: isDateTime,
  quantity: (text) => quantityError(text) === undefined,
  duration: (text) => parseDuration(text) !== undefined,
  email: matches(/^[^\s@<>]+@[^\s@<>]+$/),
  hostname: matches(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/),
  ipv4: matches(ipv4),
  ipv6: isIpv6,
  cidr: isCidr,
  mac: matches(/^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5,7}$/),
  uri: isUri,
  uuid: isUuid("[0-9a-f]{4}-?[0-9a-f]{4}"),
  uuid3: isUuid("3[0-9a-f]{3}-?[0-9a-f]{4}"),
  uuid4: isUuid("4[0-9a-f]{3}-?[89ab][0-9a-f]{3}"),
  uuid5: isUuid("5[0-9a-f]{3}-?[89ab][0-9a-f]{3}"),
  byte: isBase64,
  hexcolor: matches(/^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/),
  bsonobjectid: matches(/^[0-9a-fA-F]{24}$/),
  k8sshortname: (text) => checkDns1123Label(text).length === 0,
  k8slongname: (text) => checkDns1123Subdomain(text).length === 0,
};

/** The check of a format, undefined for formats that constrain nothing. */
export function formatCheck(format: string): FormatCheck | undefined {
  const name = format.replaceAll("-", "");
  return Object.hasOwn(checks, name) ? checks[name] : undefined;
}

const unitNanoseconds: Record<string, number> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 6e10,
  h: 3.6e12,
};

/** Nanoseconds of a duration in Go's form (`1h30m`, `-1.5s`, `0`), or undefined. */
export function parseDuration(text: string): bigint | undefined {
  const match = /^([-+]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.exec(text);
  if (match === null) return /^[-+]?0$/.test(text) ? 0n : undefined;
  let total = 0n;
  for (const [, number, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    const [whole = "", fraction = ""] = number!.split(".");
    const scale = BigInt(unitNanoseconds[unit!]!);
    total += BigInt(whole || "0") * scale + (BigInt(fraction || "0") * scale) / 10n ** BigInt(fraction.length);
  }
  return match[1] === "-" ? -total : total;
}

/** A duration as Go prints it: `1h30m0s`, `1.5s`, `300ms`. */
export function formatDuration(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return "0s";
  const sign = nanoseconds < 0n ? "-" : "";
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const decimal = (value: bigint, unit: bigint): string => {
    const fraction = (value % unit)
      .toString()
      .padStart(unit.toString().length - 1, "0")
      .replace(/0+$/, "");
    return fraction === "" ? `${value / unit}` : `${value / unit}.${fraction}`;
  };
  if (magnitude < 1_000n) return `${sign}${magnitude}ns`;
  if (magnitude < 1_000_000n) return `${sign}${decimal(magnitude, 1_000n)}µs`;
  if (magnitude < 1_000_000_000n) return `${sign}${decimal(magnitude, 1_000_000n)}ms`;
  const hours = magnitude / 3_600_000_000_000n;
  const minutes = (magnitude / 60_000_000_000n) % 60n;
  const seconds = `${decimal(magnitude % 60_000_000_000n, 1_000_000_000n)}s`;
  if (hours > 0n) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0n ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`;
}
