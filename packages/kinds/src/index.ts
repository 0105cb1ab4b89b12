export * from "./constants.ts";
export type * from "./pod.ts";
export * from "./workload.ts";
export type * from "./site-kinds.ts";
export { formatIndexList, formatIndexListCompact, IndexSet, parseIndexList } from "./index-list.ts";
