export { createClusterState } from "./create.ts";
export { decide } from "./decide.ts";
export { SchedulingError } from "./error.ts";
export { explain } from "./explain.ts";
export { foresee } from "./foresee.ts";
export { beginForecast, forecast } from "./forecast.ts";
export type { ForecastRun } from "./forecast.ts";
export { pendingOrder } from "./pending-order.ts";
export { createJournalledState, journalLine, parseJournalLine } from "./journal.ts";
export type { Journalled, JournalEntry } from "./journal.ts";
export { explainPriority, fairShares } from "./explain-priority.ts";
export { submitRefusal } from "./submit-refusal.ts";
export { priorityFactors } from "./priority-types.ts";
export { waitReasons } from "./types.ts";
export { accrued, decayOver } from "./usage.ts";
export type {
  AccountInput,
  FairShareRow,
  JobLimits,
  LimitHit,
  LimitHolder,
  Limits,
  LimitVector,
  MembershipInput,
  PreemptMode,
  QualityOfServiceInput,
  Shares,
  UsageRecord,
  UserLimits,
} from "./account-types.ts";
export type { PriorityExplanation, PriorityFactor, PriorityPolicy } from "./priority-types.ts";
export type {
  AdvanceReservation,
  AdvanceReservationInput,
  AdvanceReservationPhase,
  ReservationBlock,
} from "./reservation-types.ts";
export type {
  ForeignPodsInput,
  Grants,
  NumaDomainInput,
  PodGrant,
  PodRulesInput,
  PodTerm,
  SpreadInput,
  TopologyInput,
} from "./placement-types.ts";
export type { ExpectedStart, Explanation, Forecast, ForecastOptions, Foresight } from "./explanation-types.ts";
export type { ClusterOptions, ClusterState, Ending } from "./state-types.ts";
export type {
  Allocation,
  ArrayInput,
  Decisions,
  DependencyInput,
  DependencyOutcome,
  JobInput,
  LeaseInput,
  NodeInput,
  PodSetInput,
  Policy,
  Preemption,
  Resumption,
  QueueInput,
  Reservation,
  ResourceVector,
  Start,
  TaskRuns,
  Time,
  WaitReason,
} from "./types.ts";
