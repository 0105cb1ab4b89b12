import { decide } from "./decide.ts";
import { explain } from "./explain.ts";
import { mostIdleWakes } from "./forecast.ts";
import { reasonOfLimit } from "./limits.ts";
import { obstacleOf } from "./obstacles.ts";
import { storeOf } from "./store.ts";
import type { ClusterStore } from "./store.ts";
import type { Explanation, Foresight, ForecastOptions } from "./explanation-types.ts";
import type { ClusterState } from "./state-types.ts";
import type { JobInput, Time } from "./types.ts";

const defaultStarts = 2000;
const defaultHorizonSeconds = 365 * 86_400;

/**
 * What would become of a job that were added now; the state stays as it is. Where it would wait behind others, the policy is
 * played onwards until it starts, as {@link forecast} does. Where more than `maxStarts` jobs wait, or start before it, the
 * earliest start that the running and reserved jobs leave stands in for that; it may be too early. Costs a copy of the state,
 * one decision and those played; with more jobs waiting one look at every node.
 */
export function foresee(state: ClusterState, job: JobInput, now: Time, options: ForecastOptions = {}): Foresight {
  const { maxStarts = defaultStarts, horizonSeconds = defaultHorizonSeconds, isOver } = options;
  if (state.counts().pendingJobs > maxStarts) return glance(storeOf(state), job, now);
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
  let played = 0;
  let idle = 0;
  for (let time = decisions.nextWake; time !== undefined; time = decisions.nextWake) {
    if (time > asOf + horizonSeconds) return { asOf, explanation };
    if (played >= maxStarts || isOver?.() === true) return earliest(asOf, explanation);
    copy.endAllUntil(time);
    decisions = decide(copy, time);
    played += decisions.starts.length;
    const start = ofJob();
    if (start !== undefined) return { asOf, start, basis: "Forecast", explanation };
    idle = copy.running > 0 ? 0 : idle + 1;
    if (!copy.has(job.id) || idle > mostIdleWakes) break;
  }
  return { asOf, explanation };
}

/** Adds the job and takes it back at once. */
function glance(store: ClusterStore, job: JobInput, now: Time): Foresight {
  store.tick(now);
  const asOf = store.now;
  store.addJob(job);
  try {
    const record = store.jobs.get(job.id)!;
    const obstacle = obstacleOf(store, record.class.shape);
    const limitHit = store.charging.limitOf(record.class, asOf);
    const limited = limitHit === undefined ? undefined : reasonOfLimit(limitHit);
    record.reason = store.ownReason(record) ?? obstacle ?? limited ?? "None";
    if (limited !== undefined && record.reason === limited) {
      Object.assign(record.class, { limitHit, obstacle: limited });
    }
    const explanation = explain(store, job.id, asOf);
    if (explanation?.start === undefined) return { asOf, explanation };
    const found = earliest(asOf, explanation);
    if (explanation.start.time <= asOf) return { ...found, basis: "Reserved", explanation: undefined };
    explanation.reason = store.heads.size > 0 ? "Priority" : "Resources";
    return found;
  } finally {
    store.removeJob(job.id, asOf);
  }
}

function earliest(asOf: Time, explanation: Explanation): Foresight {
  const { start, queue = "" } = explanation;
  if (start === undefined) return { asOf, explanation };
  return { asOf, start: { time: start.time, queue, nodes: [start.nodes] }, basis: "Forecast", explanation };
}

/** Not where somebody must act first. */
function mayStartByItself({ reason, limitHit }: Explanation): boolean {
  // A limit on what runs is free again when something of it ends.
  if (limitHit?.what === "RunningJobs" || limitHit?.what === "Resources") return true;
  return (
    reason === "None" ||
    reason === "Resources" ||
    reason === "Priority" ||
    reason === "Reservation" ||
    reason === "ReservedForMaintenance" ||
    reason === "ReservedForOthers" ||
    reason === "Dependency" ||
    reason === "BeginTime" ||
    reason === "ArrayTaskLimit"
  );
}
