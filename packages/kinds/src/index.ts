export { attemptOf, attemptPodName, cancelRequest, isActive, isFinal } from "./attempts.ts";
export type { AttemptName } from "./attempts.ts";
export {
  accountingFinalizer,
  annotations,
  apiVersion,
  defaultAccountName,
  defaultGraceSeconds,
  defaultQueueName,
  group,
  hostImage,
  labels,
  maximumArrayTasks,
  siteName,
  startAllowanceSeconds,
  systemNamespace,
  version,
} from "./constants.ts";
export {
  accounts,
  customResourceDefinition,
  customResourceDefinitions,
  kindDefinitions,
  memberships,
  questionDefinitions,
  queues,
  sites,
  startEstimates,
  workloads,
} from "./custom-resource-definitions.ts";
export {
  defaultAccount,
  defaultFinishedKeepCount,
  defaultFinishedKeepSeconds,
  defaultMaxJobsPerUser,
  defaultMaxWallTimeSeconds,
  defaultObjects,
  defaultQueue,
  defaultRequeueLimit,
  defaultSite,
  defaultWallTimeSeconds,
} from "./defaults.ts";
export type { Column, KindDefinition, Rule, Schema } from "./definition.ts";
export { formatIndexList, formatIndexListCompact, IndexSet, parseIndexList } from "./index-list.ts";
export type {
  Container,
  ContainerStatus,
  ContainerTerminated,
  EnvironmentVariable,
  Pod,
  PodSpec,
  PodStatus,
  PodTemplate,
  ResourceList,
  TerminationReport,
  Toleration,
  VolumeMount,
} from "./pod.ts";
export type {
  Account,
  AccountSpec,
  AccountStatus,
  Membership,
  MembershipSpec,
  Queue,
  QueueSpec,
  QueueStatus,
  Site,
  SiteSpec,
  SiteStatus,
} from "./site-kinds.ts";
export type { StartEstimate, StartEstimateStatus } from "./start-estimate.ts";
export { activePhases, dependencyTypes, finalPhases, pendingPhases, pendingReasons } from "./workload.ts";
export type {
  ArrayStatus,
  Dependency,
  DependencyType,
  FinalPhase,
  PendingReason,
  PodSet,
  Submission,
  Workload,
  WorkloadPhase,
  WorkloadPlacement,
  WorkloadSpec,
  WorkloadStatus,
} from "./workload.ts";
export {
  argumentsFile,
  environmentFile,
  openFailureExitCode,
  quoteForShell,
  scriptFileName,
  submissionContainer,
  submissionKeys,
  submissionMountPath,
  wrapperScript,
} from "./wrapper.ts";
