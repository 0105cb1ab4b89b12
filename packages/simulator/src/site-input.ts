import type {
  AccountInput,
  AdvanceReservationInput,
  ClusterOptions,
  ClusterState,
  MembershipInput,
  NodeInput,
  Policy,
  QualityOfServiceInput,
  QueueInput,
} from "@berth/scheduling";
import type { TraceJob } from "./trace.ts";

/** What a job of a trace is counted to. */
export interface Assignment {
  user: string;
  account?: string;
  queue: string;
  qos?: string;
  /** Of its pods: which nodes they may use, in the words of `SiteInput.matches`. */
  selector?: string;
}

/** A site in the core's own terms; `berth simulate --site` makes it from the kinds that a live cluster has. */
export interface SiteInput {
  /** Of all vectors here; `cpu` in thousandths. */
  resources: readonly string[];
  devices?: readonly string[];
  matches?: ClusterOptions["matches"];
  policy: Partial<Policy>;
  /** By how much slots are longer than wall times. */
  overheadSeconds?: number;
  /** None: one pool of processors. */
  nodes: readonly NodeInput[];
  topology?: readonly string[];
  queues: readonly QueueInput[];
  accounts: readonly AccountInput[];
  memberships: readonly MembershipInput[];
  qualitiesOfService: readonly QualityOfServiceInput[];
  /** Times are Unix times. */
  reservations: readonly AdvanceReservationInput[];
  /** There are limits of submitted jobs or of one job, so that jobs may be refused. */
  hasLimits?: boolean;
  /** Shares of the accounts' whole, for plots of fairness; sum 1. Absent: nobody is entitled to anything. */
  entitled?: Readonly<Record<string, number>>;
  assign: (job: TraceJob) => Assignment;
}

/** Name of the one node, and of the one queue, of a machine that says nothing of itself. */
export const poolName = "machine";
const endlessMemory = 2 ** 52;

/** Tells a state all of a site. */
export function putSite(state: ClusterState, site: SiteInput, processors: number, startTime: number): void {
  if (site.topology !== undefined) state.setTopology(site.topology);
  for (const node of site.nodes) state.putNode(node);
  if (site.nodes.length === 0) {
    const capacity = site.resources.map((name) => (name === "memory" ? endlessMemory : 0));
    capacity[Math.max(0, site.resources.indexOf("cpu"))] = 1000 * processors;
    state.putNode({ name: poolName, capacity, nodeClass: "", state: "Up" });
  }
  for (const qos of site.qualitiesOfService) state.putQualityOfService(qos);
  for (const queue of site.queues) state.putQueue(queue);
  for (const account of site.accounts) state.putAccount(account);
  for (const membership of site.memberships) state.putMembership(membership);
  for (const reservation of site.reservations) {
    // One that was over before the trace began is history.
    const { startTime: begin, durationSeconds, everySeconds } = reservation;
    if (everySeconds === undefined && begin + durationSeconds <= startTime) continue;
    state.putReservation(reservation);
  }
}
