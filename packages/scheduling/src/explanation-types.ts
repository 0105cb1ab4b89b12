/** The part of the interface that says why jobs wait and when they are expected to start. */
import type { LimitHit } from "./account-types.ts";
import type { ReservationBlock } from "./reservation-types.ts";
import type { Time, WaitReason } from "./types.ts";

/** The numbers behind a reason, for a message. */
export interface Explanation {
  job: number;
  reason: WaitReason;
  queue: string | undefined;
  /** Pods needed to start, and how many would fit at this moment with nothing else kept in mind. */
  pods: { needed: number; fitting: number };
  /** Of its largest pod: asked, most free on one usable node, most that any usable node has. By resource index. */
  perPod: { request: number[]; mostFree: number[]; largest: number[] };
  /** Index of the first resource of which no node has enough free for one pod; absent: each has, but not enough together. */
  short?: number;
  /** Nodes: may be used by it and are up; of these, could take one of its pods now. */
  nodes: { usable: number; fitting: number };
  /** Its reservation, or the earliest start that the running and reserved jobs leave. Absent where it depends on an event. */
  start?: { time: Time; nodes: string[]; reserved: boolean };
  /** The job whose end makes room for that start: running, or reserved. */
  waitsFor?: { job: number; task?: number; endTime: Time; node: string };
  /** The first job before it in the queue that waits for resources. */
  behind?: number;
  /** Of `BeginTime`, and of a dependency that waits only for a delay. */
  until?: Time;
  /** Ids of jobs that a dependency waits for. */
  dependsOn?: number[];
  /** Of the queue or array limit at fault. */
  limit?: number;
  /** Of a gang that must have one domain: where most of its pods fit now (absent: nowhere), and how many. */
  topology?: { level: string; domain?: string; fitting: number };
  /** There is room now, but not where rules between pods allow it. */
  rules?: true;
  /** Running jobs would be suspended for it, if they or their nodes could. */
  cannotSuspend?: true;
  /** Amounts of `perPod` are of one NUMA domain. */
  numa?: true;
  /** Of `Licenses`: of which the cluster has too few, or too few are free. */
  licence?: { name: string; needed: number; free: number; total: number };
  /** The limit of a queue, account, membership or QOS that is reached. */
  limitHit?: LimitHit;
  /** The window of the advance reservation that it waits for, or that is in its way. */
  window?: ReservationBlock;
  /** Running jobs that make room for it at this moment. */
  preempts?: { job: number; task?: number }[];
  /** By whom and when it was preempted last. */
  preempted?: { by: number; time: Time };
}

export interface ForecastOptions {
  /** At most so many starts are played; default 100,000. */
  maxStarts?: number;
  /**
   * After so many starts time goes on in steps of a twentieth of the time ahead or of the mean slot, with one reservation a queue, which
   * costs less; what starts then has the basis `Estimate`. Equal tasks of an array that start at once are then one start, where no
   * limit counts them and nobody is preempted. Default: never.
   */
  exactStarts?: number;
  /** Not farther than this many seconds ahead; default one year. */
  horizonSeconds?: number;
  /** Asked before each decision that is played: true cuts it short, for callers with a budget of time. */
  isOver?: () => boolean;
}

export interface ExpectedStart {
  job: number;
  time: Time;
  /**
   * `Reserved`: holds a reservation now. `Forecast`: by playing the policy onwards, no later arrivals, no early ends. `Estimate`: so
   * too, in steps of time.
   */
  basis: "Reserved" | "Forecast" | "Estimate";
}

export interface Forecast {
  asOf: Time;
  /** In the order of starting; of an array its next task. Jobs not listed have no expected start. */
  starts: ExpectedStart[];
  /** False when `maxStarts`, the horizon or `isOver` cut it short. */
  complete: boolean;
}

/** What would become of a job that is not there. */
export interface Foresight {
  asOf: Time;
  /** By pod set; with the earliest start of a large state all nodes together. Absent where it depends on an event. */
  start?: { time: Time; queue: string; nodes: string[][] };
  /** `Reserved`: a start at once or a reservation. `Forecast`: as {@link ExpectedStart}. */
  basis?: "Reserved" | "Forecast";
  /** Why it would wait; absent where it starts at once. */
  explanation?: Explanation;
}
