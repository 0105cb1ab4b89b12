/** What the mere passing of time does: begin times, delays, deadlines, slots that are over. */
import { pendingTasks } from "./records.ts";
import type { ClusterStore } from "./store.ts";
import type { Time } from "./types.ts";

/** An overdue job is taken to last as much longer as it is overdue, within these bounds. */
const leastExtensionSeconds = 30;
const mostExtensionSeconds = 3600;

export function wake(store: ClusterStore): void {
  const { now } = store;
  store.advance.roll();
  for (let next = store.wakes.peek(); next !== undefined && next.time <= now; next = store.wakes.peek()) {
    store.wakes.pop();
    const { job } = next;
    if (store.jobs.get(job.id) !== job) continue;
    const { deadline, wallTimeSeconds, minWallTimeSeconds } = job.input;
    const late = deadline !== undefined && now + (minWallTimeSeconds ?? wallTimeSeconds) > deadline;
    if (late && !job.expired && pendingTasks(job) > 0) {
      job.expired = true;
      store.expired.push(job.id);
    }
    store.refresh(job);
  }
  for (let next = store.ends.peek(); next !== undefined && next.time <= now; next = store.ends.peek()) {
    store.ends.pop();
    const { run, time } = next;
    // One that stands still is planned anew before it is over.
    if (!run.alive || run.end !== time || run.suspended !== undefined) continue;
    if (store.policy.overdue === "Release") for (const { node } of run.charges) store.table.touch(node);
    else {
      const overdue = now - run.slotEnd;
      store.moveEnd(run, now + Math.min(Math.max(overdue, leastExtensionSeconds), mostExtensionSeconds));
    }
  }
}

/** When something changes by itself; undefined: never. */
export function nextWake(store: ClusterStore): Time | undefined {
  let next = store.wakes.peek()?.time ?? Infinity;
  if (store.advance.boundary < next && mattersToSomebody(store)) next = store.advance.boundary;
  for (const { start } of store.claims) next = Math.min(next, Math.max(start, store.now + 1));
  for (const { suspended } of store.standing) {
    const { isStill, resume, until } = suspended!;
    next = Math.min(next, Math.max(isStill ? resume : until, store.now + 1));
  }
  for (const job of store.plan.reserved) next = Math.min(next, job.reservation!.start);
  if (store.policy.overdue === "Extend") {
    for (let end = store.ends.peek(); end !== undefined; end = store.ends.peek()) {
      if (end.run.alive && end.run.end === end.time) {
        next = Math.min(next, end.time);
        break;
      }
      store.ends.pop();
    }
  }
  return next === Infinity ? undefined : next;
}

/** Whether a job waits that may start when a window of an advance reservation begins or ends. */
function mattersToSomebody(store: ClusterStore): boolean {
  for (const { begin, end, obstacle } of store.classTable.classes.values()) {
    if (begin < end && (obstacle === undefined || obstacle === "Reservation")) return true;
  }
  return false;
}
