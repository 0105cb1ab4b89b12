import { compareWithin } from "./classes.ts";
import type { JobClass } from "./classes.ts";
import type { JobRecord } from "./records.ts";
import type { ClusterStore } from "./store.ts";

/** Priority of a job of a class at this moment: higher first. */
export function priorityNow(_store: ClusterStore, jobClass: JobClass, _job: JobRecord): number {
  const { priority, nice } = jobClass.input;
  return priority ?? -(nice ?? 0);
}

/** The order of jobs at this moment: tier, priority, submit time, id. Negative: `a` first. */
export function compareJobs(store: ClusterStore, a: JobRecord, b: JobRecord): number {
  return (
    b.class.shape.tier - a.class.shape.tier ||
    priorityNow(store, b.class, b) - priorityNow(store, a.class, a) ||
    compareWithin(a, b)
  );
}
