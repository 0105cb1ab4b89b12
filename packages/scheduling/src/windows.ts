/** When the windows of advance reservations are. */
import type { AdvanceReservationInput } from "./reservation-types.ts";
import type { Time } from "./types.ts";

export interface Window {
  start: Time;
  end: Time;
}
type Times = Pick<AdvanceReservationInput, "startTime" | "durationSeconds" | "everySeconds">;

/** The first window that is not over at `time`; undefined: there is none. */
export function windowAfter({ startTime, durationSeconds, everySeconds }: Times, time: Time): Window | undefined {
  const end = startTime + durationSeconds;
  if (end > time) return { start: startTime, end };
  if (everySeconds === undefined) return undefined;
  const gone = Math.floor((time - end) / everySeconds) + 1;
  return { start: startTime + gone * everySeconds, end: end + gone * everySeconds };
}

/** Whether a window of the one ever overlaps one of the other. */
export function overlapEver(a: Times, b: Times): boolean {
  if (a.everySeconds === undefined && b.everySeconds === undefined) return overlaps(windowOf(a), windowOf(b));
  if (a.everySeconds === undefined || b.everySeconds === undefined) {
    const [once, again] = a.everySeconds === undefined ? [a, b] : [b, a];
    const next = windowAfter(again, once.startTime);
    return next !== undefined && overlaps(windowOf(once), next);
  }
  // In the long run the distances from a start of `a` to one of `b` are all that leave this remainder.
  const step = greatestCommonDivisor(a.everySeconds, b.everySeconds);
  const distance = (((b.startTime - a.startTime) % step) + step) % step;
  return distance < a.durationSeconds || step - distance < b.durationSeconds;
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
