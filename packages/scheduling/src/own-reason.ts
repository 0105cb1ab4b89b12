import { overall } from "./dependencies.ts";
import { type JobRecord, mostRunning, runningNow } from "./records.ts";
import type { Time, WaitReason } from "./types.ts";

/**
 * The reason that lies in the job itself, or undefined: it may start when there is room. `until`: when it ends by itself, of a
 * dependency that waits only for a delay.
 */
export function ownReason(job: JobRecord, now: Time): { reason: WaitReason; until?: Time } | undefined {
  const { input, array } = job;
  if (input.hold !== undefined) return { reason: input.hold === "Admin" ? "HeldByAdmin" : "HeldByUser" };
  if (input.blocked !== undefined) return { reason: input.blocked };
  const { status, readyAt } = overall(job, now);
  if (status === "Never") return { reason: "DependencyNeverSatisfied" };
  if (status === "Waiting") return { reason: "Dependency", until: readyAt };
  if (array !== undefined && array.pending.size === 0) {
    return { reason: array.blocked.size > 0 ? "Dependency" : "DependencyNeverSatisfied" };
  }
  if (input.beginTime !== undefined && input.beginTime > now) return { reason: "BeginTime" };
  if (array !== undefined && runningNow(job) >= mostRunning(job)) return { reason: "ArrayTaskLimit" };
  return job.expired ? { reason: "Resources" } : undefined;
}
