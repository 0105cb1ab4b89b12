export { dataFormat } from "./data-folder.ts";
export { Supervisor } from "./supervisor.ts";
export type { Endpoint, SupervisorOptions } from "./supervisor.ts";
