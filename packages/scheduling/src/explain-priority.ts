import type { FairShareRow } from "./account-types.ts";
import { SchedulingError } from "./error.ts";
import type { PriorityExplanation } from "./priority-types.ts";
import type { ClusterState, Time } from "./types.ts";

/** The factors of a waiting job, their weighted parts and the sum, as Slurm's `sprio` tells them; undefined if it does not wait. */
export function explainPriority(_state: ClusterState, _job: number, _now: Time): PriorityExplanation | undefined {
  throw new SchedulingError("priority by factors is not there yet");
}

/** The fair tree as Slurm's `sshare -a -l` tells it: depth first, accounts before their members. */
export function fairShares(_state: ClusterState, _now: Time): FairShareRow[] {
  throw new SchedulingError("fair share is not there yet");
}
