/** Wall times: reading `--time`, and the three ways in which Slurm's commands print durations. */
import { invalidSpecification } from "./errors.ts";

/** What an unlimited wall time is counted as: Slurm too ends such a job after a year. */
export const unlimitedSeconds = 365 * 86_400;

/** Ten years: the longest wall time that a Workload can say. */
const longestSeconds = 10 * unlimitedSeconds;

/**
 * Reads a wall time: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S, or UNLIMITED, INFINITE, 0. No part is
 * held to a range (`1:90:00` is 2.5 hours). Seconds are rounded up to a whole minute, as Slurm does.
 * @param option name for the error: `time`, `time-min`
 * @returns seconds; {@link unlimitedSeconds} for no limit
 * @throws SlurmError `Invalid --time specification`, 255
 */
export function parseTimeLimit(text: string, option = "time"): number {
  if (/^(unlimited|infinite)$/i.test(text)) return unlimitedSeconds;
  const match = /^(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?$/.exec(text);
  if (!match) throw invalidSpecification(option);
  const parts = match.slice(2).filter((part) => part !== undefined);
  const [first = 0, second = 0, third = 0] = parts.map(Number);
  let seconds: number;
  if (match[1] !== undefined) seconds = Number(match[1]) * 86_400 + first * 3600 + second * 60 + third;
  else if (parts.length === 3) seconds = first * 3600 + second * 60 + third;
  else seconds = first * 60 + second;
  if (seconds > 0xffff_ffff) throw invalidSpecification(option);
  return seconds === 0 ? unlimitedSeconds : Math.min(Math.ceil(seconds / 60) * 60, longestSeconds);
}

function split(seconds: number): [number, number, number, number] {
  const whole = Math.max(0, Math.floor(seconds));
  return [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
}

const two = (value: number): string => String(value).padStart(2, "0");

/** squeue's and sinfo's form: `0:07`, `2:00:00`, `1-00:00:00`. */
export function formatDuration(seconds: number): string {
  const [days, hours, minutes, rest] = split(seconds);
  if (days > 0) return `${days}-${two(hours)}:${two(minutes)}:${two(rest)}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** sacct's and scontrol's form: `00:00:07`, `1-00:00:00`. */
export function formatFullDuration(seconds: number): string {
  const [days, hours, minutes, rest] = split(seconds);
  const clock = `${two(hours)}:${two(minutes)}:${two(rest)}`;
  return days > 0 ? `${days}-${clock}` : clock;
}

/** sacct's form of CPU time, with milliseconds below an hour: `00:01.230`, `02:03:04`. */
export function formatCpuTime(milliseconds: number): string {
  const [days, hours, minutes, rest] = split(milliseconds / 1000);
  if (days > 0 || hours > 0) return formatFullDuration(milliseconds / 1000);
  return `${two(minutes)}:${two(rest)}.${String(Math.floor(milliseconds) % 1000).padStart(3, "0")}`;
}

/**
 * A limit in one of the forms above.
 * @param unlimited the word for none: `UNLIMITED` (squeue, scontrol, sacct), `infinite` (sinfo)
 */
export function formatLimit(
  seconds: number | undefined,
  format: (seconds: number) => string = formatDuration,
  unlimited = "UNLIMITED",
): string {
  return seconds === undefined || seconds >= unlimitedSeconds ? unlimited : format(seconds);
}
