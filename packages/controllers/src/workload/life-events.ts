import type { SettledPod } from "../claims/settling.ts";
import type { Attempt, WorkloadRecord } from "../model/record.ts";
import type { EndingEvents } from "./ending.ts";

/** What scheduling is told. */
export interface LifeEvents extends EndingEvents {
  /** An attempt that a pod was found of; its place is taken. `tasks`: those that no other attempt was known to have. */
  adopted(record: WorkloadRecord, attempt: Attempt, tasks: readonly number[]): void;
  /** Its script began: the wall time counts from here. */
  started(record: WorkloadRecord, attempt: Attempt): void;
  /** It stands still from now on, or goes on: its wall time is over so much later. */
  suspended(record: WorkloadRecord, attempt: Attempt): void;
  /** Whether a node is one of Berth's own. */
  isEmbedded(node: string): boolean;
  /** Has what the pod claims be bound to it on this node. @throws ClaimsUnsettled */
  settle(pod: SettledPod, node: string, isWanted: () => boolean): Promise<void>;
  /** A node did not take one of its pods: nothing of the attempt has begun. */
  rejected(record: WorkloadRecord, node: string, why: string): void;
  /** The pod that it stands for cannot be had any more: nothing of it is to wait. */
  unavailable(record: WorkloadRecord): void;
  /** The final status is written. */
  finished(record: WorkloadRecord): void;
}
