/** Points in time: reading `--begin` and `--deadline`, printing START_TIME. The zone is that of the process. */
import { invalidSpecification, SlurmError } from "./errors.ts";

const unitSeconds: Record<string, number> = {
  second: 1,
  sec: 1,
  minute: 60,
  min: 60,
  hour: 3600,
  day: 86_400,
  week: 604_800,
};
const namedTimes: Record<string, [number, number]> = {
  midnight: [0, 0],
  elevenses: [11, 0],
  noon: [12, 0],
  fika: [15, 0],
  teatime: [16, 0],
};

/**
 * Reads a moment: `now[+COUNT[UNIT]]`, `today`, `tomorrow`, `midnight`, `noon`, `fika`, `teatime`, `HH:MM[:SS][AM|PM]`,
 * `MMDDYY`, `MM/DD[/YY]`, `MM.DD.YY`, `YYYY-MM-DD`, each date also followed by `T`, `-` or a blank and a time of day, and
 * `utsSECONDS`. A time of day that has passed is tomorrow's; a month and day that have passed are next year's.
 * @param nowSeconds seconds since 1970
 * @returns seconds since 1970, or undefined where the text is none of these
 */
export function parseMoment(text: string, nowSeconds: number): number | undefined {
  const value = text.trim().toLowerCase();
  const relative = /^now(?:\s*([+-])\s*(\d+)\s*([a-z]*))?$/.exec(value);
  if (relative) {
    const [, sign, count, unit = ""] = relative;
    if (count === undefined) return nowSeconds;
    const factor = unit === "" ? 1 : unitSeconds[unit.replace(/s$/, "")];
    if (factor === undefined) return undefined;
    return nowSeconds + (sign === "-" ? -1 : 1) * Number(count) * factor;
  }
  const unix = /^uts(\d+)$/.exec(value);
  if (unix) return Number(unix[1]);

  const now = new Date(nowSeconds * 1000);
  const clock = parseClock(value);
  if (clock) {
    const moment = new Date(now);
    moment.setHours(clock[0], clock[1], clock[2], 0);
    if (moment.getTime() / 1000 < nowSeconds) moment.setDate(moment.getDate() + 1);
    return Math.floor(moment.getTime() / 1000);
  }
  const match =
    /^(today|tomorrow|\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.]\d{1,2}(?:[/.]\d{2,4})?|\d{6})(?:[-t\s]+(.+))?$/.exec(value);
  if (!match) return undefined;
  const [, day = "", rest] = match;
  const time = rest === undefined ? ([0, 0, 0] as const) : parseClock(rest);
  if (!time) return undefined;
  const date = parseDate(day, now, time);
  if (!date) return undefined;
  return Math.floor(date.getTime() / 1000);
}

function parseClock(text: string): [number, number, number] | undefined {
  const named = namedTimes[text];
  if (named) return [...named, 0];
  const match = /^(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(am|pm)?$/.exec(text);
  if (!match) return undefined;
  let hours = Number(match[1]);
  const minutes = Number(match[2]);
  const seconds = Number(match[3] ?? 0);
  if (match[4] !== undefined) {
    if (hours < 1 || hours > 12) return undefined;
    hours = (hours % 12) + (match[4] === "pm" ? 12 : 0);
  }
  return hours < 24 && minutes < 60 && seconds < 60 ? [hours, minutes, seconds] : undefined;
}

function parseDate(text: string, now: Date, time: readonly [number, number, number]): Date | undefined {
  if (text === "today" || text === "tomorrow") {
    const offset = text === "tomorrow" ? 1 : 0;
    return new Date(now.getFullYear(), now.getMonth(), now.getDate() + offset, ...time);
  }
  let year: number | undefined;
  let month: number;
  let day: number;
  if (/^\d{4}-/.test(text)) [year, month, day] = text.split("-").map(Number) as [number, number, number];
  else {
    const parts = /^\d{6}$/.test(text) ? text.match(/../g)! : text.split(/[/.]/);
    [month, day] = parts.map(Number) as [number, number];
    if (parts[2] !== undefined) year = Number(parts[2]) + (parts[2].length === 2 ? 2000 : 0);
  }
  const make = (inYear: number) => {
    const date = new Date(inYear, month - 1, day, ...time);
    return date.getMonth() === month - 1 && date.getDate() === day ? date : undefined;
  };
  if (year !== undefined) return make(year);
  const thisYear = make(now.getFullYear());
  return thisYear && thisYear.getTime() < now.getTime() ? make(now.getFullYear() + 1) : thisYear;
}

/**
 * As {@link parseMoment}, for an option.
 * @throws SlurmError 255, in two lines as Slurm says it
 */
export function parseMomentOption(text: string, nowSeconds: number, option: string): number {
  const moment = parseMoment(text, nowSeconds);
  if (moment === undefined) {
    throw new SlurmError(255, `Invalid time specification (pos=0): ${text}`, ...invalidSpecification(option).lines);
  }
  return moment;
}

const two = (value: number): string => String(value).padStart(2, "0");

/**
 * A moment as Slurm's commands print it: `2026-11-21T23:21:13`.
 * @param seconds since 1970; absent: `unknown`
 * @param format value of SLURM_TIME_FORMAT: `%s` prints seconds since 1970, `relative` leaves out what is the same as now
 */
export function formatMoment(
  seconds: number | undefined,
  unknown = "N/A",
  format = "standard",
  nowSeconds?: number,
): string {
  if (seconds === undefined) return unknown;
  const date = new Date(seconds * 1000);
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  if (format === "%s") return String(seconds);
  if (format === "relative" && nowSeconds !== undefined)
    return relativeMoment(date, clock, new Date(nowSeconds * 1000));
  return format.includes("%") ? formatTime(format, date, day, clock) : `${day}T${clock}`;
}

function relativeMoment(date: Date, clock: string, now: Date): string {
  const dayNumber = (value: Date) => Date.UTC(value.getFullYear(), value.getMonth(), value.getDate()) / 86_400_000;
  const difference = dayNumber(date) - dayNumber(now);
  const short = clock.slice(0, 5);
  if (difference === 0) return clock;
  if (difference === -1) return `Ystday ${short}`;
  if (difference === 1) return `Tomorr ${short}`;
  const words = date.toString();
  if (difference > -7 && difference < 7) return `${words.slice(0, 3)} ${short}`;
  return `${date.getDate()} ${words.slice(4, 7)} ${short}`;
}

function formatTime(format: string, date: Date, day: string, clock: string): string {
  return format.replace(/%([YmdHMSFTsyj%])/g, (_whole, letter: string) => {
    switch (letter) {
      case "Y":
        return String(date.getFullYear());
      case "y":
        return two(date.getFullYear() % 100);
      case "m":
        return two(date.getMonth() + 1);
      case "d":
        return two(date.getDate());
      case "H":
        return two(date.getHours());
      case "M":
        return two(date.getMinutes());
      case "S":
        return two(date.getSeconds());
      case "F":
        return day;
      case "T":
        return clock;
      case "s":
        return String(Math.floor(date.getTime() / 1000));
      default:
        return "%";
    }
  });
}

/** The line above `squeue -l` and `sinfo -l`: `Sat Nov 21 23:21:20 2026`. */
export function formatDateLine(seconds: number): string {
  const date = new Date(seconds * 1000);
  const text = date.toString();
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${text.slice(0, 7)} ${two(date.getDate())} ${clock} ${date.getFullYear()}`;
}
