import type { PendingReason } from "@berth/kinds";
import { adviceFor } from "./advice.ts";

export interface ReasonEntry {
  /** What squeue's REASON column says. */
  slurm: string;
  /** For the reference: what it means, and what would change it. */
  sentence: string;
}

/** Every reason for which a job may wait, beside Slurm's word for it. */
export const reasons: Record<PendingReason, ReasonEntry> = {
  None: {
    slurm: "None",
    sentence: "The scheduler has not looked at the job yet. It does so within moments of the submission.",
  },
  Resources: {
    slurm: "Resources",
    sentence:
      "The job is the next of its queue and waits until enough CPUs, memory or nodes are free. The message says what is missing, and which job's end is expected to free it.",
  },
  Priority: {
    slurm: "Priority",
    sentence:
      "Jobs before it wait for the same nodes, and to start it now would delay one that holds a reservation. A shorter wall time may let it start in a gap.",
  },
  Dependency: {
    slurm: "Dependency",
    sentence: "A job named by `--dependency` has not ended (or, for `after`, begun) yet.",
  },
  DependencyNeverSatisfied: {
    slurm: "DependencyNeverSatisfied",
    sentence:
      "A job named by `--dependency` ended in another way than the dependency asks. The job waits until it is cancelled; with `--kill-on-invalid-dep=yes` that happens by itself.",
  },
  BeginTime: {
    slurm: "BeginTime",
    sentence: "The time given by `--begin` has not come, or the job was requeued and pauses before it is tried again.",
  },
  HeldByUser: {
    slurm: "JobHeldUser",
    sentence: "Its owner holds it (`--hold`). It waits until it is released.",
  },
  HeldByAdmin: {
    slurm: "JobHeldAdmin",
    sentence: "An operator holds it. Only an operator can release it.",
  },
  ArrayTaskLimit: {
    slurm: "JobArrayTaskLimit",
    sentence: "As many elements of the array run as its `%LIMIT` allows.",
  },
  QueueDown: {
    slurm: "PartitionDown",
    sentence: "The queue is down: it takes jobs, and starts none until an operator sets it up again.",
  },
  QueueTimeLimit: {
    slurm: "PartitionTimeLimit",
    sentence: "The wall time asked for is longer than the queue allows. Ask for less, or use another queue.",
  },
  QueueNodeLimit: {
    slurm: "PartitionNodeLimit",
    sentence: "More nodes are asked for than the queue has, or gives to one job. Ask for fewer, or use another queue.",
  },
  NodeUnavailable: {
    slurm: "ReqNodeNotAvail",
    sentence: "A node named by `--nodelist` is down or drained. Name another, or none.",
  },
  NodesUnavailable: {
    slurm: "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
    sentence: "Nodes that the job needs are down, drained, or kept for jobs of a queue that goes first.",
  },
  Reservation: {
    slurm: "Reservation",
    sentence:
      "The reservation named by `--reservation` has not begun, or its window has to come again. The message says when.",
  },
  ReservationDeleted: {
    slurm: "ReservationDeleted",
    sentence: "The reservation named by `--reservation` is over, or was deleted. Name another, or none.",
  },
  ReservationNotAllowed: {
    slurm: "Reservation",
    sentence: "The reservation named by `--reservation` is not for this user and account.",
  },
  ReservationTimeLimit: {
    slurm: "Reservation",
    sentence: "The job could not end before the end of the reservation that it names. Ask for less wall time.",
  },
  ReservedForMaintenance: {
    slurm: "ReqNodeNotAvail, Reserved for maintenance",
    sentence:
      "There is room, or would be sooner, but the job could not end before the maintenance of its nodes begins. A shorter wall time may let it start; the message says until when they are kept.",
  },
  ReservedForOthers: {
    slurm: "ReqNodeNotAvail, May be reserved for other job",
    sentence:
      "There is room, or would be sooner, but it is reserved for others, or will be before the job could end. A shorter wall time may let it start; the message says which reservation, and until when.",
  },
  Licenses: {
    slurm: "Licenses",
    sentence: "Licences that the job asks for are in use, or the cluster has not so many.",
  },
  PodAffinity: {
    slurm: "Resources",
    sentence: "The pods that it is to run beside are not there, or where they are it may not go.",
  },
  UserJobLimit: {
    slurm: "AssocMaxJobsLimit",
    sentence: "As many jobs of this user run as the site allows.",
  },
  QueueJobLimit: {
    slurm: "QOSGrpJobsLimit",
    sentence: "As many jobs of the queue run as may run in it at once.",
  },
  QueueResourceLimit: {
    slurm: "QOSResourceLimit",
    sentence:
      "The jobs of the queue use as much of a resource as the queue may have at once. The message says of which, and the numbers.",
  },
  QueueMinutesLimit: {
    slurm: "QOSTimeLimit",
    sentence:
      "The resource-minutes that the queue may use are spent, or promised to jobs that run. They come back as usage decays.",
  },
  QueueUserJobLimit: {
    slurm: "QOSMaxJobsPerUserLimit",
    sentence: "As many of this user's jobs run in the queue as one user may run in it.",
  },
  QueueUserResourceLimit: {
    slurm: "QOSMaxResourceLimitPerUser",
    sentence: "This user's jobs use as much of a resource as one user may use in the queue.",
  },
  AccountJobLimit: {
    slurm: "AssocGrpJobsLimit",
    sentence: "As many jobs of the account, or of an account above it, run as may run at once.",
  },
  AccountResourceLimit: {
    slurm: "AssociationResourceLimit",
    sentence:
      "The account, or an account above it, uses as much of a resource as it may have at once. The message says of which, and the numbers.",
  },
  AccountMinutesLimit: {
    slurm: "AssociationTimeLimit",
    sentence:
      "The resource-minutes that the account, or an account above it, may use are spent, or promised to jobs that run. They come back as usage decays.",
  },
  AccountUserJobLimit: {
    slurm: "AssocMaxJobsLimit",
    sentence: "As many of this user's jobs run in the account as may run at once.",
  },
  AccountUserResourceLimit: {
    slurm: "AssociationResourceLimit",
    sentence: "This user uses as much of a resource in the account as may be had at once.",
  },
  AccountUserMinutesLimit: {
    slurm: "AssociationTimeLimit",
    sentence: "The resource-minutes that this user may use in the account are spent, or promised to jobs that run.",
  },
  QosJobLimit: {
    slurm: "QOSGrpJobsLimit",
    sentence: "As many jobs of the quality of service run as may run at once.",
  },
  QosResourceLimit: {
    slurm: "QOSResourceLimit",
    sentence: "The jobs of the quality of service use as much of a resource as they may have at once.",
  },
  QosMinutesLimit: {
    slurm: "QOSTimeLimit",
    sentence: "The resource-minutes that the quality of service may use are spent, or promised to jobs that run.",
  },
  QosUserJobLimit: {
    slurm: "QOSMaxJobsPerUserLimit",
    sentence: "As many of this user's jobs run in the quality of service as one user may run.",
  },
  QosUserResourceLimit: {
    slurm: "QOSMaxResourceLimitPerUser",
    sentence: "This user's jobs use as much of a resource as one user may use in the quality of service.",
  },
  PerJobLimit: {
    slurm: "AssocMaxResourcePerJob",
    sentence:
      "The job alone asks for more than a limit gives to one job; the limit was set or changed after the submission. Ask for less, or have the limit changed.",
  },
  Claims: {
    slurm: "BurstBufferResources",
    sentence:
      "A claim that its pods name, of a volume or of devices, is not there or not ready. The message says which, and what it lacks.",
  },
  Cleaning: {
    slurm: "Cleaning",
    sentence: "The job was requeued, and what its last attempt left is still being removed.",
  },
  LaunchFailedRequeuedHeld: {
    slurm: "launch failed requeued held",
    sentence:
      "It could not be started several times over and is held. Release it when the cause, which the message names, is gone.",
  },
  InvalidTemplate: {
    slurm: "BadConstraints",
    sentence:
      "The cluster refuses the job's pods as they stand, or no node could ever take them. The message says why; the job must be submitted anew.",
  },
};

/**
 * The REASON column's word for a pending reason.
 * @param nodes of NodeUnavailable: the nodes that are missing, as a hostlist
 */
export function slurmReason(reason: PendingReason | undefined, nodes?: string): string {
  const word = reasons[reason ?? "None"].slurm;
  return reason === "NodeUnavailable" && nodes ? `${word}, UnavailableNodes:${nodes}` : word;
}

/** The reference page of reasons; docs/reference/reasons.md is its output. */
export function reasonsDocument(): string {
  const lines = [
    "# Why a job waits",
    "",
    "Every pending job has exactly one reason, from this list. `berth explain JOB` prints it with a sentence on this job and",
    "its numbers, who holds it back, and its expected start; `squeue` prints Slurm's code. (This page is made from the table in",
    "`packages/slurm`, and a test holds the two together.)",
    "",
    "| reason | Slurm's code |",
    "|---|---|",
    ...Object.entries(reasons).map(([name, { slurm }]) => `| [${name}](#${name.toLowerCase()}) | \`${slurm}\` |`),
    "",
  ];
  for (const [name, entry] of Object.entries(reasons)) {
    const slurm = entry.slurm === name ? "" : ` (in Slurm: \`${entry.slurm}\`)`;
    const what = adviceFor(name as PendingReason);
    lines.push(`## ${name}`, "", `**${name}**${slurm}. ${entry.sentence}`, "", `*What to do*: ${what}`, "");
  }
  return lines.join("\n");
}
