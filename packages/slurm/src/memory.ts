/** Memory sizes in Slurm's units: powers of 1024, MiB where none is said. */
import { invalidSpecification } from "./errors.ts";

const exponents: Record<string, number> = { k: 1, m: 2, g: 3, t: 4, p: 5 };

/**
 * Reads `4G`, `16gb`, `2000`, `0`: suffix k, m, g, t or p in any case, with or without b; none means MiB. Smaller units are
 * rounded up to a whole MiB, as Slurm does.
 * @returns bytes
 * @throws SlurmError `Invalid --mem specification`, 255
 */
export function parseMemory(text: string, option: string): number {
  const match = /^(\d+)([kmgtp]?)b?$/i.exec(text);
  if (!match) throw invalidSpecification(option);
  const bytes = Number(match[1]) * 1024 ** (exponents[(match[2] || "m").toLowerCase()] ?? 2);
  if (!Number.isSafeInteger(bytes)) throw invalidSpecification(option);
  return Math.ceil(bytes / 1024 ** 2) * 1024 ** 2;
}

const units = ["", "K", "M", "G", "T", "P"];

/**
 * The largest unit that leaves a whole number: `100M`, `4G`, `1536M`, `7188K`.
 * @param unit always this one instead, with two decimals where it is not whole (sacct's --units)
 */
export function formatMemory(bytes: number, unit?: string): string {
  if (unit !== undefined) {
    const value = bytes / 1024 ** Math.max(0, units.indexOf(unit.toUpperCase()));
    return `${Number.isInteger(value) ? value : value.toFixed(2)}${unit.toUpperCase()}`;
  }
  let value = bytes;
  let at = 0;
  while (value > 0 && value % 1024 === 0 && at < units.length - 1) {
    value /= 1024;
    at++;
  }
  return `${value}${units[at]}`;
}

/** Whole MiB without a unit, as sinfo's MEMORY and SLURM_MEM_PER_NODE. */
export function mebibytes(bytes: number): number {
  return Math.floor(bytes / 1024 ** 2);
}
