export type { Context, Identity, Log } from "./context.ts";
export { runControllers } from "./controller-manager.ts";
export type { ControllersOptions } from "./controller-manager.ts";
export { Metrics } from "./metrics.ts";
