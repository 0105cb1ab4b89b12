export { invalidSpecification, refusals, SlurmError, submissionFailed } from "./errors.ts";
export { type ReasonEntry, reasons, reasonsDocument, slurmReason } from "./reasons.ts";
export type { AccountingRow, JobRow, NodeRow, NodeState, PartitionRow } from "./rows.ts";
export {
  activeJobStates,
  formatAccountedExitCode,
  formatExitCode,
  type JobEnd,
  type JobState,
  jobStateOf,
  parseJobState,
  phaseOf,
  shortStates,
} from "./states.ts";
