import { decide } from "./decide.ts";
import { pendingTasks } from "./records.ts";
import { storeOf } from "./store.ts";
import type { ClusterState, ExpectedStart, Forecast, ForecastOptions, Time } from "./types.ts";

const defaultStarts = 100_000;
const defaultHorizonSeconds = 365 * 86_400;
/** So many windows of reservations that come and go, with nobody running or starting: nobody ever will. */
export const mostIdleWakes = 300;

/**
 * When each waiting job is expected to start: plays the policy onwards on a copy of the state by the same {@link decide}, as if
 * nobody came later, every job lasted its whole slot and ended well. Without later arrivals and early ends it is exact. The cost
 * is that of the decisions played, so call it off the critical path.
 */
export function forecast(state: ClusterState, now: Time, options: ForecastOptions = {}): Forecast {
  const { maxStarts = defaultStarts, horizonSeconds = defaultHorizonSeconds, isOver } = options;
  const original = storeOf(state);
  const copy = original.copy();
  const waiting = new Set<number>();
  for (const job of copy.jobs.values()) if (pendingTasks(job) > 0) waiting.add(job.id);
  const starts: ExpectedStart[] = [];
  let played = 0;
  let complete = true;
  let idle = 0;
  let time: Time | undefined = Math.max(now, original.now);
  const asOf = time;
  while (time !== undefined && waiting.size > 0) {
    if (time > asOf + horizonSeconds || played >= maxStarts || isOver?.() === true) {
      complete = false;
      break;
    }
    if (time > asOf) copy.endAllUntil(time);
    const decisions = decide(copy, time);
    played += decisions.starts.length;
    for (const { job, startTime } of decisions.starts) {
      if (!waiting.delete(job)) continue;
      const reserved = original.reservation(job) !== undefined;
      starts.push({ job, time: startTime, basis: reserved ? "Reserved" : "Forecast" });
    }
    idle = copy.running > 0 || decisions.starts.length > 0 ? 0 : idle + 1;
    time = idle > mostIdleWakes ? undefined : decisions.nextWake;
  }
  return { asOf, starts, complete };
}
