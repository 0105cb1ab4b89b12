/** What the controllers remember of one Workload. All of it can be made again from the Workload and its pods. */
import type {
  FinalPhase,
  PendingReason,
  PreemptionMode,
  Pod,
  SuspensionReport,
  Workload,
  WorkloadPhase,
} from "@berth/kinds";
import { isFinal, parseIndexList } from "@berth/kinds";
import type { DependencyOutcome, PodGrant } from "@berth/scheduling";
import { ArrayBook } from "./array-book.ts";
import type { AttemptEnd } from "./ends.ts";

/** Moves one pod on, and counts. */
export function setState(attempt: Attempt, entry: AttemptPod, state: AttemptPod["state"]): void {
  const count = (of: AttemptPod["state"], change: number): void => {
    if (of === "Creating") attempt.creating += change;
    else if (of === "Running") attempt.running += change;
    else if (of === "Terminal" || of === "Gone") attempt.still += change;
  };
  count(entry.state, -1);
  count(state, 1);
  entry.state = state;
}

/** Stands for the one task of a Workload that is no array. */
export const noTask = -1;

export interface AttemptPod {
  /** What of its standing still it was told last, by this leader. */
  suspendMark?: { value: string; isWritten: boolean };
  name: string;
  node: string;
  isDriver: boolean;
  /** Its end is in {@link Attempt.worst}. */
  isCounted?: boolean;
  /** `Gone` with its node, although the API may still have its object. */
  isLost?: boolean;
  /** `Creating` until the API has it; `Gone` when it has it no more. */
  state: "Creating" | "Created" | "Running" | "Terminal" | "Gone";
  /** Last seen; absent while creating. */
  pod?: Pod;
  /** Of an attempt whose pods somebody else makes. */
  place?: Place;
}

/** Where one pod of such an attempt may be; when it has ended another may take its place. */
interface Place {
  podSet: string;
  index: number;
  grant?: PodGrant | null;
  /** A pod has begun here. */
  hasBegun: boolean;
  /** Its node is lost: nobody is to follow. */
  isClosed: boolean;
}

/** Why and how an attempt has to make room. */
export interface Preempted {
  /** Job id of the one that needs its place. */
  by: number;
  mode: PreemptionMode;
  /** Between TERM and KILL. */
  graceSeconds: number;
}

/** Of an attempt whose pod carries several tasks of an array in turn. */
export interface LeasedTasks {
  /** How long its slot is longer than that of one task. */
  seconds: number;
  /** Those of which it is not told yet what became of them. */
  open: Set<number>;
  /** The one that its pod told last as running. */
  running?: number;
  /** Of these, single ones that were cancelled. */
  cancelled?: Set<number>;
}

/** A task's attempt that is over: what its row tells. */
export interface EndedAttempt {
  task: number;
  number: number;
  end: AttemptEnd;
  startTime?: string;
  /** Names, by pod. */
  nodes: string[];
  /** It will be followed by another attempt. */
  requeue: boolean;
  charge?: Attempt["charge"];
}

/** One try of a task, or of the tasks of a lease (`task` is then the first of them): its pods from their creation until they are accounted. */
export interface Attempt {
  task: number;
  number: number;
  pods: AttemptPod[];
  /** How many of the pods are being created, run, and will do nothing more. */
  creating: number;
  running: number;
  still: number;
  /** Driver pods that have not ended, and the worst end of those that have. */
  driversLeft: number;
  worst?: AttemptEnd;
  /** Its pods come and go as somebody else makes them; an entry whose state is `Gone` or `Terminal` is a free place. */
  isHosted?: boolean;
  /** Of gangs, made when first needed. */
  byName?: Map<string, AttemptPod>;
  /**
   * `Starting` until the script runs, `TakingBack` when a gang could not be made whole (it was no attempt), `Ending` from the
   * driver's end or the first stop until the last pod is still, then `Ended` until it is accounted.
   */
  state: "Starting" | "Running" | "TakingBack" | "Ending" | "Ended";
  /** As granted by the scheduler. */
  wallTimeSeconds: number;
  /** RFC 3339; when the wall time began. */
  startTime?: string;
  /** Milliseconds; when its first pod was created (of pods that were found: their creation). */
  createdAt: number;
  /** The phase that whoever stopped it wants it to have. */
  stopped?: FinalPhase;
  end?: AttemptEnd;
  lease?: LeasedTasks;
  /** Taken back by another leader than began it, who may have opened gates since: its number is not used again. */
  isSpent?: boolean;
  /** When it last told that its state was saved (seconds), and which task did. */
  checkpoint?: { task: number; time: number };
  /** Of one that stood still since it began; as its pods told last. */
  suspension?: SuspensionReport;
  /** The job for which it stands still, or is to; told by its pods too. */
  standsFor?: number;
  /** It makes room for another job; told by its pods, so that a new leader goes on with it. */
  preemption?: Preempted;
  /** What it held, by resource, and what each second of that counts in usage; known at its end. */
  charge?: { billing: number; allocated: Record<string, number> };
}

/** A new attempt, its pods being created or found. */
export function newAttempt(
  of: Pick<Attempt, "task" | "number" | "pods" | "wallTimeSeconds" | "createdAt" | "lease">,
): Attempt {
  const { pods } = of;
  return {
    ...of,
    creating: pods.filter(({ state }) => state === "Creating").length,
    running: 0,
    still: 0,
    driversLeft: pods.filter(({ isDriver }) => isDriver).length,
    state: "Starting",
  };
}

export interface WorkloadRecord {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** As the API last told. */
  workload: Workload;
  /** Undefined until admitted. */
  jobId: number | undefined;
  phase: WorkloadPhase | undefined;
  book: ArrayBook | undefined;
  /** Attempts by task ({@link noTask} outside arrays) that hold pods. */
  live: Map<number, Attempt>;
  /** Attempts before the current one, outside arrays. */
  endedAttempts: number;
  /** Of these, how many were followed by another. */
  restarts: number;
  /** Of these, after how many a node was lost. */
  nodeFailures: number;
  /** What its status last told, or will tell, of waiting. */
  waiting: {
    reason: PendingReason;
    message: string | undefined;
    estimatedStart: string | undefined;
    firstEstimatedStart: string | undefined;
    since: string;
    seconds: Partial<Record<PendingReason, number>>;
  };
  startTime: string | undefined;
  /** Of what is no array: how its current or last attempt stands still, or did. */
  suspension: SuspensionReport | undefined;
  /** When nothing but the scheduler kept it waiting any more. */
  eligibleTime: string | undefined;
  /** Outcomes of jobs that it depends on and that only accounting knows. */
  history: Map<number, DependencyOutcome> | undefined;
  /** Ended attempts whose row is not written yet. */
  toAccount: EndedAttempt[];
  /** Attempts whose pods go when that is done. */
  toRemove: Attempt[];
  /** Tasks (of an array) that ended without having been started, by phase, whose row is not written yet. */
  toAccountPending: { phase: FinalPhase; tasks: readonly number[] | undefined }[];
  isFlushing: boolean;
  flushAgain: boolean;
  flushTimer: NodeJS.Timeout | undefined;
  /** How long the last flush of an array took to write its lists, milliseconds. */
  flushCost: number;
  lastFlush: number;
  cancelledBy: string | undefined;
  /** The last time that it had to make room, since this leader looks. */
  preempted: (Preempted & { time: string }) | undefined;
  /** The last `berth.dev/cancel-tasks` that was acted on. */
  cancelledTasks: string | undefined;
  /** The API has it no more. */
  isGone: boolean;
  /** Largest exit code so far, of arrays. */
  exitCode: number;
  signal: number;
  /** Set while pods of its template cannot be made; in words. */
  blocked: string | undefined;
  /** Nodes that did not take one of its pods: how often, until when (milliseconds) they are not tried, whether that is over, and why. */
  refusedBy: Map<string, { times: number; until: number; isOver: boolean; why: string }>;
  /** Some of its tasks were found in a second pod: a leader before this one had died with the first under way. */
  overlaps: boolean;
  /** Moving mean of how long its tasks ran, milliseconds; undefined until one ended. */
  runMilliseconds: number | undefined;
  measuredRuns: number;
  /** Names of nodes of the current or last attempt. */
  nodes: string[];
}

/** How many job ids a Workload takes: one; of an array as many as its largest index + 1, so that task k has id first + k. */
export function idSpan(workload: Workload): number {
  const indices = workload.spec.array?.indices;
  return indices === undefined ? 1 : (parseIndexList(indices).last() ?? 0) + 1;
}

/** A record of what the API tells; attempts are added as their pods are found. */
export function recordOf(workload: Workload, nowTimestamp: string): WorkloadRecord {
  const status = workload.status ?? {};
  const book =
    workload.spec.array === undefined || status.jobId === undefined || isFinal(status.phase)
      ? undefined
      : new ArrayBook(workload.spec.array.indices, status.array);
  return {
    uid: workload.metadata.uid ?? "",
    namespace: workload.metadata.namespace ?? "",
    name: workload.metadata.name,
    workload,
    jobId: status.jobId,
    phase: status.phase,
    book,
    live: new Map(),
    endedAttempts:
      status.phase === undefined || status.phase === "Pending"
        ? (status.attempts ?? 0)
        : Math.max(0, (status.attempts ?? 1) - 1),
    restarts: status.restarts ?? 0,
    nodeFailures: status.nodeFailures ?? 0,
    waiting: {
      reason: status.reason ?? "None",
      message: status.message,
      estimatedStart: status.estimatedStart,
      firstEstimatedStart: status.firstEstimatedStart,
      since: status.waits?.since ?? nowTimestamp,
      seconds: { ...status.waits?.seconds },
    },
    startTime: status.startTime,
    suspension:
      status.suspendedSeconds === undefined
        ? undefined
        : {
            isSuspended: status.suspendedSince !== undefined,
            since: status.suspendedSince ?? "",
            seconds: status.suspendedSeconds,
          },
    eligibleTime: status.eligibleTime,
    history: undefined,
    toAccount: [],
    toRemove: [],
    toAccountPending: [],
    isFlushing: false,
    flushAgain: false,
    flushTimer: undefined,
    flushCost: 0,
    lastFlush: 0,
    cancelledBy: status.cancelledBy,
    preempted: undefined,
    cancelledTasks: undefined,
    isGone: false,
    exitCode: status.exitCode ?? 0,
    signal: status.signal ?? 0,
    blocked: undefined,
    refusedBy: new Map(),
    overlaps: false,
    runMilliseconds: undefined,
    measuredRuns: 0,
    nodes: status.nodes ?? [],
  };
}

/** The tasks of an attempt that are not over; {@link noTask} outside arrays. */
export function openTasks(attempt: Attempt): number[] {
  return attempt.lease === undefined ? [attempt.task] : [...attempt.lease.open];
}

/** The attempt that carries a task now; of two that claim to, the first. */
export function attemptOfTask(record: WorkloadRecord, task: number): Attempt | undefined {
  const own = record.live.get(task);
  if (own !== undefined && (own.lease === undefined || own.lease.open.has(task))) return own;
  for (const attempt of record.live.values()) if (attempt.lease?.open.has(task) === true) return attempt;
  return undefined;
}

/** Number of the attempt that is, or would be, the current one. */
export function currentAttempt(record: WorkloadRecord, task: number): number {
  return record.book === undefined ? record.endedAttempts + 1 : record.book.attemptOf(task);
}

/** How often the task was begun again because its node was lost. */
export function nodeFailuresOf(record: WorkloadRecord, task: number): number {
  return record.book === undefined ? record.nodeFailures : record.book.nodeFailuresOf(task);
}

/** Job id of one task: the array's id plus the task's index. */
export function taskJobId(record: WorkloadRecord, task: number): number {
  return (record.jobId ?? 0) + (task === noTask ? 0 : task);
}

/** Jobs depend on jobs before them: scheduling is told of these first. */
export function byJobId(a: WorkloadRecord, b: WorkloadRecord): number {
  return a.jobId! - b.jobId!;
}
