import { decide, storeOf } from "./decide.ts";
import { explain } from "./explain.ts";
import { pendingTasks } from "./records.ts";
import type { ClusterState, Explanation, Foresight, ForecastOptions, JobInput, Time } from "./types.ts";

const defaultStarts = 2000;
const defaultHorizonSeconds = 365 * 86_400;

/**
 * What would become of a job that were added now; the state stays as it is. Where it would wait behind others, the policy is
 * played onwards until it starts, as {@link forecast} does; where that takes more than `maxStarts` starts, the earliest start
 * that the running and reserved jobs leave stands in for it. Costs a copy of the state, one decision, and the starts played.
 */
export function foresee(state: ClusterState, job: JobInput, now: Time, options: ForecastOptions = {}): Foresight {
  const { maxStarts = defaultStarts, horizonSeconds = defaultHorizonSeconds } = options;
  const copy = storeOf(state).copy();
  copy.addJob(job);
  const asOf = Math.max(now, copy.now);
  let decisions = decide(copy, asOf);
  const ofJob = (): Foresight["start"] => {
    const start = decisions.starts.find((one) => one.job === job.id);
    return start && { time: start.startTime, queue: start.queue, nodes: start.nodes };
  };
  const atOnce = ofJob();
  if (atOnce !== undefined) return { asOf, start: atOnce, basis: "Reserved" };
  const explanation = explain(copy, job.id, asOf);
  const reservation = copy.reservation(job.id);
  if (reservation !== undefined) {
    const { startTime: time, queue, nodes } = reservation;
    return { asOf, start: { time, queue, nodes }, basis: "Reserved", explanation };
  }
  if (explanation === undefined || !mayStartByItself(explanation)) return { asOf, explanation };
  const earliest = (): Foresight => {
    const { start, queue } = explanation;
    if (start === undefined) return { asOf, explanation };
    return {
      asOf,
      start: { time: start.time, queue: queue ?? "", nodes: [start.nodes] },
      basis: "Forecast",
      explanation,
    };
  };
  let waiting = 0;
  for (const one of copy.jobs.values()) waiting += pendingTasks(one) > 0 ? 1 : 0;
  if (waiting > maxStarts) return earliest();
  let played = 0;
  for (let time = decisions.nextWake; time !== undefined; time = decisions.nextWake) {
    if (time > asOf + horizonSeconds) return { asOf, explanation };
    if (played >= maxStarts) return earliest();
    copy.endAllUntil(time);
    decisions = decide(copy, time);
    played += decisions.starts.length;
    const start = ofJob();
    if (start !== undefined) return { asOf, start, basis: "Forecast", explanation };
    if (!copy.has(job.id)) break;
  }
  return { asOf, explanation };
}

/** Not where somebody must act first. */
function mayStartByItself({ reason }: Explanation): boolean {
  return (
    reason === "None" ||
    reason === "Resources" ||
    reason === "Priority" ||
    reason === "Dependency" ||
    reason === "BeginTime" ||
    reason === "ArrayTaskLimit"
  );
}
