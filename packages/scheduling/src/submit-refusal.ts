import type { LimitHit } from "./account-types.ts";
import { SchedulingError } from "./error.ts";
import type { ClusterState, JobInput } from "./types.ts";

/** The limit of submitted jobs, or of one job, that speaks against the submission of a job; undefined: none does. */
export function submitRefusal(_state: ClusterState, _job: JobInput): LimitHit | undefined {
  throw new SchedulingError("limits are not there yet");
}
