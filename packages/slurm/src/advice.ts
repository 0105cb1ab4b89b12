/** What whoever waits can do about it. */
import type { PendingReason } from "@berth/kinds";

const advice: Partial<Record<PendingReason, string>> = {
  None: "Nothing: ask again in a moment.",
  Resources:
    "Nothing is wrong. With fewer cpus, less memory or fewer nodes it may fit earlier: sbatch --test-only tells when.",
  Priority:
    "Ask for no more wall time than it needs: a job that is over before the next reservation begins may start in the gap (also: --time-min).",
  Dependency: "Nothing: it goes on by itself when the other job ends as asked.",
  DependencyNeverSatisfied: "Cancel it with scancel and submit it again, once the other job has been repeated.",
  BeginTime: "Nothing: it starts after that time.",
  HeldByUser: "Release it: berth release JOB.",
  HeldByAdmin: "Ask your operators why it is held.",
  ArrayTaskLimit:
    "Nothing: the next element starts when one ends. The number behind % of --array says how many run at once.",
  QueueDown: "Wait for the operators, or use another queue (sinfo lists them, -p names one).",
  QueueTimeLimit: "Cancel it and ask for less wall time (--time), or use a queue that allows more (sinfo).",
  QueueNodeLimit: "Cancel it and ask for fewer nodes (--nodes), or use another queue (sinfo).",
  NodeUnavailable: "Name another node, or none. sinfo -R says why a node is down or drained.",
  NodesUnavailable: "Wait until nodes are back (sinfo -R says why they are gone), or ask for what the others have.",
  Reservation: "Nothing: it starts when the reservation begins.",
  ReservationDeleted: "Cancel it and submit it without --reservation.",
  ReservationNotAllowed: "Ask your operators to put you into the reservation, or submit without --reservation.",
  ReservationTimeLimit: "Cancel it and ask for less wall time, so that it ends before the reservation does.",
  ReservedForMaintenance:
    "Ask for less wall time if it may be over before the maintenance begins; else it starts afterwards by itself.",
  ReservedForOthers:
    "Ask for less wall time if it may be over before the reservation begins; else it starts afterwards.",
  Licenses: "Nothing: it starts when a job that holds the licences ends.",
  PodAffinity: "Check the affinity of its pods: what they are to run beside must be there.",
  UserJobLimit: "Nothing: it starts when one of your jobs ends.",
  PerJobLimit: "Cancel it and ask for less, or have the limit changed.",
  Claims:
    "Read the message: the claim must be made, or its storage class or volume mended; the job then goes on by itself.",
  Cleaning: "Nothing: it goes on in a moment.",
  LaunchFailedRequeuedHeld: "Read the message; when its cause is gone, release the job.",
  InvalidTemplate: "Read the message, cancel the job, and submit it without what is refused.",
};

/** One sentence or two for whoever waits. */
export function adviceFor(reason: PendingReason): string {
  const known = advice[reason];
  if (known !== undefined) return known;
  if (reason.endsWith("MinutesLimit"))
    return "Wait: what was used counts less every day. Or have your operators raise the limit, or use another account (-A).";
  const whose = reason.includes("User") ? "your jobs" : "the jobs that the limit counts";
  return `Nothing: it starts when enough of ${whose} have ended. Another account (-A), queue (-p) or quality of service (-q) may have room.`;
}
