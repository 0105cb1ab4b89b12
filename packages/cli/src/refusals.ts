/** The cluster's refusals of a job, in the words that Slurm has for them. */
import type { Workload } from "@berth/kinds";
import { featureLabelPrefix, invalidPartition, refusals, SlurmError, submissionFailed } from "@berth/slurm";

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
  const asksFeature = workload.spec.podSets.some(({ template }) =>
    Object.keys(template.spec.nodeSelector ?? {}).some((label) => label.startsWith(featureLabelPrefix)),
  );
  const words =
    asksFeature && / has the labels /.test(condition.message) ? refusals.feature : slurmWords[condition.reason];
  if (words === undefined) return submissionFailed(condition.message);
  const error =
    condition.reason === "UnknownQueue" && workload.spec.queue !== undefined
      ? invalidPartition(workload.spec.queue)
      : submissionFailed(words);
  return new SlurmError(error.exitCode, ...linesBefore(condition), ...error.lines, `: ${condition.message}`);
}

/** Slurm says first of which kind there is too little on a node. */
function linesBefore({ reason, message }: { reason: string; message: string }): string[] {
  if (reason !== "NodeConfigurationUnavailable") return [];
  if (/ cpus? on one node/.test(message)) return ["error: CPU count per node can not be satisfied"];
  return / of memory on one node/.test(message) ? ["error: Memory specification can not be satisfied"] : [];
}
