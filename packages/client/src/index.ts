export { createClient } from "./client.ts";
export type {
  Client,
  DeleteOptions,
  GetOptions,
  ListOptions,
  LogOptions,
  ObjectList,
  PatchOptions,
  WatchOptions,
  WriteOptions,
} from "./client.ts";
export { isReason } from "./errors.ts";
export type { ExecuteOptions, ExecuteResult } from "./exec.ts";
export { Informer, keyOf } from "./informer.ts";
export type { InformerHandler, InformerOptions } from "./informer.ts";
export { inClusterConnection, loadKubeconfig } from "./kubeconfig.ts";
export type { ResolvedContext } from "./kubeconfig.ts";
export { electLeader, microTime } from "./leader-election.ts";
export type { LeaderElectionOptions, Lease } from "./leader-election.ts";
export type { AnyObject } from "./objects.ts";
export { resourcePath, resources } from "./resources.ts";
export type { ResourceReference } from "./resources.ts";
export { ConnectionError } from "./transport.ts";
export type { ConnectionOptions, RequestOptions } from "./transport.ts";
export { initialEventsEnd } from "./watch.ts";
export type { WatchEvent } from "./watch.ts";
export { WorkQueue } from "./work-queue.ts";
export type { WorkQueueOptions } from "./work-queue.ts";
