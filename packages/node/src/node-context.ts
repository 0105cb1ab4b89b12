import type { Pod } from "@berth/kinds";
import type { Claims } from "./claims.ts";
import type { CoreBinding } from "./cores.ts";
import type { Driver } from "./driver.ts";
import type { ReferencedData } from "./environment.ts";
import type { PodWorker } from "./pod-worker.ts";
import type { Identity } from "./task.ts";
import type { Steps } from "./steps.ts";
import type { Suspensions } from "./suspensions.ts";
import type { Tasks } from "./tasks.ts";
import type { Volumes } from "./volumes.ts";

/** What the workers of all pods of one node share. */
export interface NodeContext {
  readonly nodeName: string;
  readonly driver: Driver;
  readonly tasks: Tasks;
  readonly volumes: Volumes;
  readonly claims: Claims;
  readonly suspensions: Suspensions;
  readonly steps: Steps;
  readonly cores: CoreBinding;
  readonly dataDirectory: string;
  readonly podsDirectory: string;
  readonly limitsMemory: boolean;
  /** Who a pod of this namespace runs as that does not say. Rejects in words where nobody can be. */
  defaultIdentity(namespace: string): Promise<Identity>;
  references(namespace: string): ReferencedData;
  event(pod: Pod, type: "Normal" | "Warning", reason: string, message: string): void;
  /** The facts changed: the status is written, soon or (`now`) at once. */
  changed(worker: PodWorker, urgency: "soon" | "now"): void;
  log(level: "info" | "warn" | "error", message: string, fields?: Record<string, unknown>): void;
}
