export { adviceFor } from "./advice.ts";
export { parseArguments, type ParsedArguments, type ParsedOption } from "./arguments.ts";
export { type JobFilter, type JobSelector, parseJobSelector } from "./command-line-parts.ts";
export {
  sacctOptions,
  scancelOptions,
  sinfoOptions,
  sprioOptions,
  squeueOptions,
  sshareOptions,
} from "./command-options.ts";
export {
  cannotOpen,
  checkScript,
  type Directive,
  maximumScriptBytes,
  readScriptHead,
  type ScriptHead,
  wrapScript,
} from "./directives.ts";
export {
  formatCpuTime,
  formatDuration,
  formatFullDuration,
  formatLimit,
  parseTimeLimit,
  unlimitedSeconds,
} from "./durations.ts";
export { invalidSpecification, refusals, SlurmError, submissionFailed } from "./errors.ts";
export {
  compressCounts,
  elementId,
  jobEnvironment,
  podSetCpus,
  requestedCpusPerNode,
  type RunningAttempt,
  tasksPerNode,
} from "./environment.ts";
export { exportedEnvironment } from "./exported-environment.ts";
export { expandFileName, fileEnvironment, type FileNameValues, type JobFiles, jobFiles } from "./file-names.ts";
export { compressHostlist, compressInOrder, expandHostlist } from "./hostlist.ts";
export {
  elementRow,
  expandArrayRow,
  jobRow,
  jobRows,
  restRow,
  type RunningElement,
  runningElements,
} from "./job-rows.ts";
export { formatMemory, parseMemory } from "./memory.ts";
export { formatMoment, parseMoment } from "./moments.ts";
export { type OptionDefinition, sbatchOptions } from "./options.ts";
export { rowOfView, type ViewFacts, viewOfRow } from "./queue-view-rows.ts";
export { type ReasonEntry, reasons, reasonsDocument, slurmReason } from "./reasons.ts";
export type { AccountingRow, AccountingStep, JobRow, NodeRow, NodeState, PartitionRow } from "./rows.ts";
export { readSrunCommandLine, type SrunCommandLine, srunOptions } from "./srun-command-line.ts";
export { readSinfoCommandLine, type SinfoQuery } from "./sinfo-command-line.ts";
export { formatSinfo, type SinfoLayout } from "./sinfo-format.ts";
export { readSqueueCommandLine, type SqueueQuery } from "./squeue-command-line.ts";
export { formatJobId } from "./job-ids.ts";
export { formatSqueue, type SqueueLayout } from "./squeue-format.ts";
export { readSacctCommandLine, type SacctQuery } from "./sacct-command-line.ts";
export { formatSacct, sacctFieldNames, type SacctLayout } from "./sacct-format.ts";
export {
  formatSacctmgr,
  readSacctmgrCommand,
  type SacctmgrCommand,
  sacctmgrChanges,
  type SacctmgrRow,
} from "./sacctmgr.ts";
export { readScancelCommandLine, type ScancelRequest } from "./scancel-command-line.ts";
export {
  formatLicences,
  type JobFacts,
  jobRecord,
  nodeRecord,
  partitionRecord,
  reservationRecord,
  type ReservationRow,
} from "./scontrol-records.ts";
export { type JobChanges, type JobUpdate, parseJobUpdate } from "./scontrol-update.ts";
export { selectJobs, sortJobs } from "./select-jobs.ts";
export { commandsDocument, sbatchDocument, sbatchSummaries } from "./sbatch-reference.ts";
export {
  readSbatchCommandLine,
  type ResolveContext,
  type ResolvedSbatch,
  resolveSbatch,
  type SbatchCommandLine,
  type SbatchOptions,
} from "./sbatch-options.ts";
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
export {
  featureLabelPrefix,
  gpuTypeLabel,
  invalidPartition,
  type SubmissionContext,
  type SubmissionObjects,
  type SubmissionSecret,
  toSubmission,
} from "./to-workload.ts";
export { formatDependencies, parseSignalName } from "./values.ts";
export {
  formatSprio,
  hasPriority,
  type PriorityWeightsByName,
  readSprioCommandLine,
  type SprioQuery,
} from "./sprio.ts";
export { formatSshare, readSshareCommandLine, type SshareQuery, sshareFieldNames } from "./sshare.ts";
