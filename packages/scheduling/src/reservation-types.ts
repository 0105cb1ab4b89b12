/** The part of the interface about advance reservations: nodes kept for somebody, or for maintenance, in windows of time. */
import type { Time } from "./types.ts";

interface WindowShift {
  from: Time;
  seconds: number;
}

/**
 * Which nodes: those named, else `nodeCount` of those that `selector` takes (chosen once, and again only for nodes that went away),
 * else all that it takes, also later ones. Without a selector every node counts.
 */
export interface AdvanceReservationInput {
  name: string;
  /** Of the first window. */
  startTime: Time;
  durationSeconds: number;
  /** The window comes again after so many seconds, for ever; at least the duration. Absent: once. */
  everySeconds?: number;
  /**
   * Of a repeating one, in order of `from`: windows that `everySeconds` would have begin at or after `from` begin so many seconds later
   * (negative: earlier), as the clocks of its time zone do. Windows between which that leaves no gap are one.
   */
  shifts?: readonly WindowShift[];
  nodes?: readonly string[];
  nodeCount?: number;
  /** Asked with the class of each node, as those of queues. */
  selector?: string;
  /** Who may use it by naming it (`JobInput.reservation`): these users, and the members of these accounts and of those below. */
  users?: readonly string[];
  accounts?: readonly string[];
  /** May lie over other reservations, whose jobs then wait too. */
  maintenance?: boolean;
  /** Accepted although jobs run there beyond its start: they go on and use up what it has (Slurm's IGNORE_JOBS). */
  ignoreJobs?: boolean;
  /** With `nodeCount`: what was chosen before, as a new leader knows it. These stay. */
  chosenNodes?: readonly string[];
}

/** `Pending`: its window is to come (again); `Ended`: it was over once for all. */
export type AdvanceReservationPhase = "Pending" | "Active" | "Ended";

export interface AdvanceReservation {
  name: string;
  phase: AdvanceReservationPhase;
  /** The window that is, else the next, else the last. */
  startTime: Time;
  endTime: Time;
  /** In the order of the nodes. */
  nodes: string[];
}

/** What stands in the way of a job that waits: the windows of a reservation. */
export interface ReservationBlock {
  reservation: string;
  startTime: Time;
  endTime: Time;
  maintenance: boolean;
}
