/**
 * Explanation: why a Workload waits, who holds it back, and when it is expected to start; or where it runs, or how it ended. Has the
 * name of its Workload. Answered from the leader's memory, never stored.
 */
import type { KubernetesObject } from "@berth/machinery";
import type { KindDefinition } from "./definition.ts";
import type { PriorityFactor } from "./queue-view.ts";
import { boolean, integer, list, mapOf, name, object, oneOf, text, time } from "./schema.ts";
import {
  activePhases,
  finalPhases,
  pendingPhases,
  pendingReasons,
  type PendingReason,
  type WorkloadPhase,
} from "./workload.ts";

/**
 * `Reserved`: it holds a reservation, which is delayed by nothing that is started before it. `Forecast`: by playing the plan onwards.
 * `Earliest`: what running and reserved jobs leave free, without a look at the others before it; it may come later.
 */
const expectationBases = ["Reserved", "Forecast", "Earliest"] as const;

export interface ExpectedStart {
  /** RFC 3339. */
  time: string;
  basis: (typeof expectationBases)[number];
  asOf: string;
  /** Names, where they are chosen. */
  nodes?: string[];
  /** In words: what must hold for it to come true. */
  assumes: string;
  /** The first that this job was ever told. */
  first?: string;
}

/** Somebody in the way. Who that is is only told where the Site's privacy allows it. */
export interface Blocker {
  job: number;
  task?: number;
  /**
   * `Ends`: its end frees what this job is to get. `Before`: it waits before this one and goes first. `Dependency`: this one waits
   * for it by its own wish.
   */
  how: "Ends" | "Before" | "Dependency";
  user?: string;
  jobName?: string;
  /** RFC 3339: of `Ends` the latest time. */
  until?: string;
  node?: string;
}

export interface ExplanationSpec {
  /** Of an array its first id. */
  jobId?: number;
  jobName?: string;
  user?: string;
  account?: string;
  queue?: string;
  qos?: string;
  wallTimeSeconds?: number;
}

export interface ExplanationStatus {
  phase?: WorkloadPhase;
  /** Of what waits exactly one, and Slurm's code for it. */
  reason?: PendingReason;
  slurmReason?: string;
  /** The same in words and numbers, for this job. */
  message?: string;
  /** What can be done about it. */
  advice?: string;
  submitTime?: string;
  eligibleTime?: string;
  /** Seconds waited so far, by reason, up to `asOf`. */
  waitedSecondsByReason?: Record<string, number>;
  position?: { queue: number; of: number };
  expectedStart?: ExpectedStart;
  blockers?: Blocker[];
  priority?: { value: number; factors: PriorityFactor[] };
  /** What it asks for, and what could take it now. */
  needs?: {
    pods: number;
    podsFittingNow: number;
    /** Nothing else may be on its nodes, which it takes as a whole. */
    wholeNodes?: boolean;
    nodesUsable: number;
    nodesFittingNow: number;
    /** Of the largest pod: thousandths of a cpu, bytes, counts. */
    perPod: { resource: string; asked: number; mostFree: number; largest: number }[];
  };
  /** Limits that hold it. Amounts of cpu are thousandths, of memory bytes. */
  limits?: { name: string; of?: string; resource?: string; limit: number; used?: number; asked?: number }[];
  /** The window of an advance reservation that it waits for, or that is in its way. */
  window?: { reservation: string; startTime: string; endTime: string };
  /** Running jobs that make room for it. */
  preempts?: { job: number; task?: number }[];
  /** By whom it was preempted last. */
  preempted?: { by: number; time: string };
  /** The first start that it was told, of a job that runs. */
  firstExpectedStart?: string;
  /** Of a job that runs. */
  startTime?: string;
  endTime?: string;
  nodes?: string[];
  /**
   * Of a job that stands still: which operator asked for it, or for which job, since when, and for how long before that; `resumeTime`: when
   * it goes on as things stand, where it does so by itself.
   */
  suspended?: { by?: string; job?: number; since: string; seconds: number; resumeTime?: string };
  array?: { pending: number; running: number; ended: number; maxRunning?: number };
  exitCode?: number;
  signal?: number;
  asOf?: string;
}

export type Explanation = KubernetesObject<ExplanationSpec, ExplanationStatus> & { spec: ExplanationSpec };

const whole = integer(0, Number.MAX_SAFE_INTEGER);
const number = { type: "number" } as const;

export const explanationDefinition: KindDefinition = {
  kind: "Explanation",
  plural: "explanations",
  singular: "explanation",
  shortNames: ["why"],
  namespaced: true,
  description:
    "Why a Workload waits, who holds it back and when it is expected to start. Has its Workload's name; answered from the scheduler's memory, never stored.",
  spec: object({
    jobId: whole,
    jobName: text(1024),
    user: text(256),
    account: text(253),
    queue: text(253),
    qos: text(253),
    wallTimeSeconds: whole,
  }),
  status: object({
    phase: oneOf([...pendingPhases, ...activePhases, ...finalPhases]),
    reason: oneOf(pendingReasons, "Why it waits: exactly one."),
    slurmReason: text(256, "What squeue prints for it."),
    message: text(8192),
    advice: text(8192),
    submitTime: time,
    eligibleTime: time,
    waitedSecondsByReason: mapOf(whole, 64),
    position: object({ queue: whole, of: whole }),
    expectedStart: object(
      {
        time,
        basis: oneOf(expectationBases),
        asOf: time,
        nodes: list(name, 100_000),
        assumes: text(4096),
        first: time,
      },
      ["time", "basis", "asOf", "assumes"],
    ),
    blockers: list(
      object({
        job: whole,
        task: whole,
        how: oneOf(["Ends", "Before", "Dependency"]),
        user: text(256),
        jobName: text(1024),
        until: time,
        node: name,
      }),
      1000,
    ),
    priority: object({
      value: number,
      factors: list(object({ name: text(64), factor: number, weight: number, points: number }), 32),
    }),
    needs: object({
      pods: whole,
      podsFittingNow: whole,
      wholeNodes: boolean,
      nodesUsable: whole,
      nodesFittingNow: whole,
      perPod: list(object({ resource: text(253), asked: number, mostFree: number, largest: number }), 1000),
    }),
    limits: list(
      object({ name: text(253), of: text(253), resource: text(253), limit: number, used: number, asked: number }),
      1000,
    ),
    window: object({ reservation: name, startTime: time, endTime: time }),
    preempts: list(object({ job: whole, task: whole }), 10_000),
    preempted: object({ by: whole, time }),
    firstExpectedStart: time,
    startTime: time,
    endTime: time,
    nodes: list(name, 100_000),
    suspended: object({ by: text(256), job: whole, since: time, seconds: whole, resumeTime: time }),
    array: object({ pending: whole, running: whole, ended: whole, maxRunning: whole }),
    exitCode: whole,
    signal: whole,
    asOf: time,
  }),
  columns: [
    { name: "JobID", type: "integer", jsonPath: ".spec.jobId" },
    { name: "Phase", type: "string", jsonPath: ".status.phase" },
    { name: "Reason", type: "string", jsonPath: ".status.reason" },
    { name: "Position", type: "integer", jsonPath: ".status.position.queue" },
    { name: "Expected", type: "string", jsonPath: ".status.expectedStart.time", description: "Expected start." },
    { name: "Basis", type: "string", jsonPath: ".status.expectedStart.basis", priority: 1 },
    { name: "Message", type: "string", jsonPath: ".status.message" },
  ],
};
