export type { Capabilities, DriverName } from "./driver.ts";
export type { EndpointOptions } from "./endpoint.ts";
export { startNodeAgent } from "./node-agent.ts";
export type { NodeAgent, NodeAgentOptions } from "./node-agent.ts";
export type { NodeSpec } from "./node-objects.ts";
export type { Identity } from "./task.ts";
