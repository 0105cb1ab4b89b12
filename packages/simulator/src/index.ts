export { measure } from "./metrics.ts";
export type { Metrics, ScheduledJob } from "./metrics.ts";
export { replay } from "./replay.ts";
export type { Replay, ReplayDifference } from "./replay.ts";
export { policies, simulate } from "./simulate.ts";
export type { LeftOutJob, PolicyName, SimulateOptions, Simulation } from "./simulate.ts";
export type { Assignment, SiteInput } from "./site-input.ts";
export { formatTrace, parseTrace } from "./trace.ts";
export type { Trace, TraceJob, TraceProblem } from "./trace.ts";
