/** Clocks of time zones, as seconds beside UTC: what a reservation that repeats by the calendar needs of them. */

/** Until then the changes of clocks are reckoned; of one that begins later, for twenty years. */
const reckonedUntil = Date.UTC(2050, 0, 1) / 1000;
const twentyYears = 20 * 365 * 86_400;
/** Clocks are not changed more often than that. */
const probeSeconds = 7 * 86_400;

const formats = new Map<string, Intl.DateTimeFormat | undefined>();

function formatOf(timeZone: string): Intl.DateTimeFormat | undefined {
  if (formats.has(timeZone)) return formats.get(timeZone);
  let format: Intl.DateTimeFormat | undefined;
  try {
    const two = "2-digit";
    const fields = { year: "numeric", month: two, day: two, hour: two, minute: two, second: two } as const;
    format = new Intl.DateTimeFormat("en-US", { timeZone, calendar: "gregory", hourCycle: "h23", ...fields });
  } catch {
    format = undefined;
  }
  formats.set(timeZone, format);
  return format;
}

/** Whether there is a time zone of this name (IANA's: `Europe/Berlin`). */
export function isTimeZone(name: string): boolean {
  return formatOf(name) !== undefined;
}

/** By how many seconds the zone's clocks are ahead of UTC at a time. */
function offsetSeconds(format: Intl.DateTimeFormat, time: number): number {
  const part: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
  for (const { type, value } of format.formatToParts(time * 1000)) part[type] = Number(value);
  const { year, month, day, hour, minute, second } = part as Record<string, number>;
  return Date.UTC(year!, month! - 1, day, hour, minute, second) / 1000 - time;
}

const known = new Map<string, WindowShifts>();
type WindowShifts = readonly { from: number; seconds: number }[];

/**
 * What keeps something that repeats by whole days at the same time of a zone's clocks, as `scheduling` has it: from which start on, as
 * those days have it, it is how many seconds later. A time that the clocks leave out is taken an hour later, of one that comes twice
 * the first.
 * @throws RangeError where there is no such zone
 */
export function windowShifts(startTime: number, timeZone: string): WindowShifts {
  const key = `${startTime} ${timeZone}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const format = formatOf(timeZone);
  if (format === undefined) throw new RangeError(`there is no time zone ${timeZone}; one is Europe/Berlin`);
  const shifts: { from: number; seconds: number }[] = [];
  const first = offsetSeconds(format, startTime);
  const until = Math.max(reckonedUntil, startTime + twentyYears);
  let offset = first;
  for (let time = startTime; time < until; time += probeSeconds) {
    const next = offsetSeconds(format, time + probeSeconds);
    if (next === offset) continue;
    let [same, changed] = [time, time + probeSeconds];
    while (changed - same > 1) {
      const middle = Math.floor((same + changed) / 2);
      if (offsetSeconds(format, middle) === offset) same = middle;
      else changed = middle;
    }
    shifts.push({ from: changed + Math.max(offset, next) - first, seconds: first - next });
    offset = next;
  }
  known.set(key, shifts);
  return shifts;
}
