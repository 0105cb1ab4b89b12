/** The cluster's refusals of a job, in the words that Slurm has for them. */
import type { Workload } from "@berth/kinds";
import { invalidPartition, refusals, SlurmError, submissionFailed } from "@berth/slurm";

/** By the reason of condition `Admitted`: Slurm's own words; the cluster's sentence follows on a line of its own. */
const slurmWords: Record<string, string> = {
  UnknownQueue: refusals.partition,
  QueueNotAllowed: refusals.partitionGroup,
  QueueUnavailable: refusals.partitionUnavailable,
  UnknownAccount: refusals.account,
  NotInAccount: refusals.account,
  InvalidAccount: refusals.account,
  UnknownQualityOfService: refusals.qos,
  QualityOfServiceNotAllowed: refusals.qos,
  UnknownReservation: refusals.reservation,
  ReservationNotAllowed: refusals.reservationAccess,
  WallTimeTooLong: refusals.time,
  NodeConfigurationUnavailable: refusals.nodeConfiguration,
  UnknownLicence: refusals.license,
  UnknownNode: refusals.nodeName,
  InvalidArray: refusals.array,
  UnknownDependency: refusals.dependency,
  TooManyJobs: refusals.limits,
  LimitExceeded: refusals.limits,
  UnsupportedField: refusals.notSupported,
};

/** The error of a job that was not admitted. */
export function refusalOf(condition: { reason: string; message: string }, workload: Workload): SlurmError {
  const words = slurmWords[condition.reason];
  if (words === undefined) return submissionFailed(condition.message);
  const error =
    condition.reason === "UnknownQueue" && workload.spec.queue !== undefined
      ? invalidPartition(workload.spec.queue)
      : submissionFailed(words);
  return new SlurmError(error.exitCode, ...error.lines, `: ${condition.message}`);
}
