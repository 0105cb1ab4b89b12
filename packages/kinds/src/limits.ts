/** Limits, as Queue, Account, Membership and QualityOfService have them. */
import type { Schema } from "./definition.ts";
import type { ResourceList } from "./pod.ts";
import { integer, mapOf, object, quantities } from "./schema.ts";

/**
 * Each of these holds for all jobs together that the object is about. A job that a limit keeps from running waits with that reason;
 * one that no end of another job would ever let run, or that is one too many, is refused (Slurm's Grp limits).
 */
export interface Limits {
  runningJobs?: number;
  /** Pending and running, tasks of arrays each. */
  submittedJobs?: number;
  /** In use at once, by resource: `{cpu: 64, memory: 1Ti, nvidia.com/gpu: 4}`. */
  resources?: ResourceList;
  /**
   * Used so far (fading as usage does) and still to be used by what runs until its wall times are over, in minutes of one cpu, one
   * GiB of memory, one device.
   */
  resourceMinutes?: Record<string, number>;
  /** What all that runs may still use until its wall times are over, in the same units. */
  runningResourceMinutes?: Record<string, number>;
  /** Of one job at most. A job that asks for more is refused. */
  perJob?: {
    wallTimeSeconds?: number;
    resources?: ResourceList;
    resourceMinutes?: Record<string, number>;
  };
  /** Of each user among them. */
  perUser?: { runningJobs?: number; submittedJobs?: number; resources?: ResourceList };
}

const jobs = (description: string): Schema => integer(0, 1_000_000_000, description);
const minutes = (description: string): Schema => ({ ...mapOf(integer(0, Number.MAX_SAFE_INTEGER), 32), description });
const resources = (description: string): Schema => ({ ...quantities(32), description });

export const limits: Schema = object({
  runningJobs: jobs("Jobs (tasks of arrays) that run at once; more wait."),
  submittedJobs: jobs("Jobs (tasks of arrays) that wait or run; more are refused."),
  resources: resources("In use at once: cpu, memory, devices by their name; more waits."),
  resourceMinutes: minutes(
    "Used so far, fading as usage does, and to be used by what runs: minutes of a cpu, a GiB of memory, a device; more waits.",
  ),
  runningResourceMinutes: minutes("What all that runs may still use until its wall times are over; more waits."),
  perJob: object({
    wallTimeSeconds: integer(1, 10 * 365 * 86_400, "Longest wall time; more is refused."),
    resources: resources("Most that one job may have; more is refused."),
    resourceMinutes: minutes("Resources times wall time of one job; more is refused."),
  }),
  perUser: object({
    runningJobs: jobs("Jobs of one user that run at once."),
    submittedJobs: jobs("Jobs of one user that wait or run; more are refused."),
    resources: resources("In use by one user at once."),
  }),
});
