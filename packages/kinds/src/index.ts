export type { Account, AccountSpec, AccountStatus, Membership, MembershipSpec } from "./account.ts";
export {
  type Checkpoint,
  checkpointsOf,
  formatCheckpoints,
  isTaskCheckpoint,
  readCheckpoints,
  taskCheckpointKey,
} from "./checkpoint.ts";
export { parseStepRecord, stepProgram, workerCommand, type StepReport } from "./step-program.ts";
export { admissionPolicies, admissionPolicyBindings, operateVerb } from "./admission-policies.ts";
export { attemptOf, attemptPodName, cancelRequest, isActive, isFinal } from "./attempts.ts";
export type { AttemptName } from "./attempts.ts";
export {
  accountingFinalizer,
  accountingPath,
  accountingStateName,
  annotations,
  apiVersion,
  defaultAccountName,
  defaultGraceSeconds,
  defaultQueueName,
  group,
  hostImage,
  labels,
  leaseCondition,
  maximumArrayTasks,
  maximumLeaseTasks,
  questionsApiService,
  questionsApiVersion,
  questionsGroup,
  questionsServiceName,
  siteName,
  startAllowanceSeconds,
  suspensionCondition,
  systemNamespace,
  takenReason,
  version,
} from "./constants.ts";
export {
  accounts,
  customResourceDefinition,
  customResourceDefinitions,
  explanations,
  fairShares,
  inquiries,
  kindDefinitions,
  memberships,
  nodeViews,
  qualitiesOfService,
  questionDefinitions,
  queues,
  reservations,
  queueViews,
  sites,
  startEstimates,
  usageCheckpoints,
  viewDefinitions,
  workloads,
} from "./custom-resource-definitions.ts";
export {
  defaultAccount,
  defaultFinishedKeepCount,
  defaultFinishedKeepSeconds,
  defaultHalfLifeSeconds,
  defaultMaxAgeSeconds,
  defaultMaxJobsPerUser,
  defaultMaxWallTimeSeconds,
  defaultObjects,
  defaultQos,
  defaultQueue,
  defaultRequeueLimit,
  defaultSite,
  defaultWallTimeSeconds,
} from "./defaults.ts";
export type { Column, KindDefinition, Rule, Schema } from "./definition.ts";
export type { Blocker, ExpectedStart, Explanation, ExplanationSpec, ExplanationStatus } from "./explanation.ts";
export { formatIndexList, formatIndexListCompact, IndexSet, parseIndexList } from "./index-list.ts";
export type { Limits } from "./limits.ts";
export { amountOfParts, deviceParts, isDevice, numaDomainsOf, partedGpu, partialGpu } from "./devices.ts";
export { capacityOf, isEmbeddedNode, isReady } from "./node.ts";
export type { Node, Taint } from "./node.ts";
export type { FairShare, FairShareSpec, FairShareStatus } from "./fair-share.ts";
export type { Inquiry, InquirySpec, InquiryStatus } from "./inquiry.ts";
export { formatLeaseReport, formatTasks, leaseOf, leaseReportOf, runningAttemptOf, taskNumber } from "./lease.ts";
export type { Lease, LeasedEnd, LeaseReport, TaskNumber, TaskVariables } from "./lease.ts";
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
export { preemptionModes } from "./quality-of-service.ts";
export type { NodeView, NodeViewStatus } from "./node-view.ts";
export type { PriorityFactor, QueueView, QueueViewSpec, QueueViewStatus } from "./queue-view.ts";
export type {
  PreemptionMode,
  QualityOfService,
  QualityOfServiceSpec,
  QualityOfServiceStatus,
} from "./quality-of-service.ts";
export type { Queue, QueueSpec, QueueStatus, SharedTree } from "./queue.ts";
export { amountsOf, effectiveRequests, podRequests } from "./requests.ts";
export type { Amounts } from "./requests.ts";
export type { Reservation, ReservationSpec, ReservationStatus } from "./reservation.ts";
export type { NodeSelectorTerm } from "./selectors.ts";
export {
  matchesClass,
  matchesNode,
  namedNodes,
  namesNodes,
  nodeClassOf,
  podClassOf,
  podSelectorOf,
  queueSelectorOf,
  selectorOf,
} from "./selectors.ts";
export {
  clusterDomain,
  accountInput,
  accountProblems,
  billingOf,
  membershipInput,
  nodeDomain,
  nodeInput,
  policyInput,
  qualityOfServiceInput,
  queueInput,
  reservationInput,
  resourceMinutesOf,
  resourcesOf,
  vectorOf,
} from "./site-policy.ts";
export type { Audience, PriorityWeights, Site, SiteSpec, SiteStatus } from "./site.ts";
export type { StartEstimate, StartEstimateStatus } from "./start-estimate.ts";
export type { UsageCheckpoint, UsageHolder } from "./usage.ts";
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
export { isTimeZone } from "./time-zone.ts";
export {
  formatSuspendRequest,
  suspendedSeconds,
  suspendRequestOf,
  suspendMarkOf,
  formatSuspendMark,
  suspensionConditionOf,
  suspensionReportOf,
} from "./suspension.ts";
export type { SuspendRequest, SuspensionReport } from "./suspension.ts";
export { isOwnVolcanoKind, volcanoCommands, volcanoJobs, volcanoPodGroups, volcanoQueues } from "./volcano.ts";
