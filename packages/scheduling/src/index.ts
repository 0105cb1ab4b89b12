export { createClusterState } from "./create.ts";
export { decide } from "./decide.ts";
export { SchedulingError } from "./error.ts";
export { explain } from "./explain.ts";
export { foresee } from "./foresee.ts";
export { forecast } from "./forecast.ts";
export { createJournalledState, journalLine, parseJournalLine } from "./journal.ts";
export type { Journalled, JournalEntry } from "./journal.ts";
export { waitReasons } from "./types.ts";
export type {
  Allocation,
  ArrayInput,
  ClusterOptions,
  ClusterState,
  Decisions,
  DependencyInput,
  DependencyOutcome,
  Ending,
  ExpectedStart,
  Explanation,
  Forecast,
  ForecastOptions,
  Foresight,
  JobInput,
  NodeInput,
  PodSetInput,
  Policy,
  QueueInput,
  Reservation,
  ResourceVector,
  Start,
  TaskRuns,
  Time,
  WaitReason,
} from "./types.ts";
