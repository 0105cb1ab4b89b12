export { measure } from "./metrics.ts";
export type { Metrics, ScheduledJob } from "./metrics.ts";
export { policies, simulate } from "./simulate.ts";
export type { PolicyName, SimulateOptions, Simulation } from "./simulate.ts";
export { parseTrace } from "./trace.ts";
export type { Trace, TraceJob, TraceProblem } from "./trace.ts";
export { replay } from "./replay.ts";
export type { Replay, ReplayDifference } from "./replay.ts";
