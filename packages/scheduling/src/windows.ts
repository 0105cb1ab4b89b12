/** When the windows of advance reservations are. */
import type { AdvanceReservationInput } from "./reservation-types.ts";
import type { Time } from "./types.ts";

export interface Window {
  start: Time;
  end: Time;
}
type Times = Pick<AdvanceReservationInput, "startTime" | "durationSeconds" | "everySeconds" | "shifts">;

/**
 * The first window that is not over at `time`; undefined: there is none. Windows that touch, because a shift takes the gap between
 * them, are one: what is allowed in it must not depend on how far ahead windows were looked up.
 */
export function windowAfter(times: Times, time: Time): Window | undefined {
  const { startTime, durationSeconds, everySeconds, shifts = [] } = times;
  if (everySeconds === undefined) {
    const window = windowOf(times);
    return window.end > time ? window : undefined;
  }
  const latest = shifts.reduce((most, { seconds }) => Math.max(most, seconds), 0);
  const gone = Math.max(0, Math.floor((time - startTime - durationSeconds - latest) / everySeconds) + 1);
  for (let index = gone; ; index += 1) {
    const window = windowAt(times, everySeconds, index);
    if (window.end > time) return joined(times, everySeconds, index, window);
  }
}

/** With the windows before and after it that touch it: a few, as only shifts take gaps. */
function joined(times: Times, everySeconds: number, index: number, window: Window): Window {
  if (times.shifts === undefined || everySeconds <= times.durationSeconds) return window;
  let { start, end } = window;
  for (let before = index - 1; before >= 0; before -= 1) {
    const other = windowAt(times, everySeconds, before);
    if (other.end < start) break;
    start = other.start;
  }
  for (let after = index + 1; ; after += 1) {
    const other = windowAt(times, everySeconds, after);
    if (other.start > end) return { start, end };
    end = other.end;
  }
}

/** No more seconds than these ever lie between two windows. */
export function longestGapSeconds(times: Times): number {
  const { durationSeconds, everySeconds = durationSeconds } = times;
  const shifts = shiftsOf(times);
  return everySeconds - durationSeconds + Math.max(...shifts) - Math.min(...shifts);
}

/** Whether a window of the one ever overlaps one of the other. */
export function overlapEver(a: Times, b: Times): boolean {
  if (a.everySeconds === undefined && b.everySeconds === undefined) return overlaps(windowOf(a), windowOf(b));
  if (a.everySeconds === undefined || b.everySeconds === undefined) {
    const [once, again] = a.everySeconds === undefined ? [a, b] : [b, a];
    const next = windowAfter(again, once.startTime);
    return next !== undefined && overlaps(windowOf(once), next);
  }
  const [shiftsA, shiftsB] = [shiftsOf(a), shiftsOf(b)];
  if (!shiftsA.some((one) => shiftsB.some((other) => overlapShifted(a, one, b, other)))) return false;
  // After the last shift of both, for ever.
  if (overlapShifted(a, shiftsA.at(-1)!, b, shiftsB.at(-1)!)) return true;
  const last = Math.max(a.shifts?.at(-1)?.from ?? -Infinity, b.shifts?.at(-1)?.from ?? -Infinity);
  // Before that one by one, of the one that has fewer.
  const [few, many] = b.everySeconds > a.everySeconds ? [b, a] : [a, b];
  for (let at = Math.max(few.startTime, many.startTime); ;) {
    const window = windowAfter(few, at)!;
    if (window.start > last) return false;
    if (overlaps(window, windowAfter(many, window.start)!)) return true;
    at = window.end;
  }
}

/** By how much windows are ever shifted. */
function shiftsOf({ shifts = [] }: Times): number[] {
  return [0, ...shifts.map(({ seconds }) => seconds)];
}

/** Whether the windows of two that repeat overlap in the long run, where these shifts hold. */
function overlapShifted(a: Times, shiftA: number, b: Times, shiftB: number): boolean {
  // The distances from a start of `a` to one of `b` are all that leave this remainder.
  const step = greatestCommonDivisor(a.everySeconds!, b.everySeconds!);
  const distance = (((b.startTime + shiftB - a.startTime - shiftA) % step) + step) % step;
  return distance < a.durationSeconds || step - distance < b.durationSeconds;
}

/** It ends where the next one begins, should that be earlier. */
function windowAt(times: Times, everySeconds: number, index: number): Window {
  const start = startAt(times, everySeconds, index);
  const end = start + times.durationSeconds;
  return { start, end: times.shifts === undefined ? end : Math.min(end, startAt(times, everySeconds, index + 1)) };
}

function startAt({ startTime, shifts = [] }: Times, everySeconds: number, index: number): Time {
  const start = startTime + index * everySeconds;
  let low = 0;
  let high = shifts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (shifts[middle]!.from <= start) low = middle + 1;
    else high = middle;
  }
  return start + (shifts[low - 1]?.seconds ?? 0);
}

function windowOf({ startTime, durationSeconds }: Times): Window {
  return { start: startTime, end: startTime + durationSeconds };
}

function overlaps(a: Window, b: Window): boolean {
  return a.start < b.end && b.start < a.end;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
