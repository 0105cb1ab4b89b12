/** One ended attempt: what accounting keeps of it for good. */
import type { ToldStart } from "./start-errors.ts";

export interface AttemptRow {
  /** The key: a second row of the same attempt is not written. */
  workloadUid: string;
  /** Index of the array element; -1 outside arrays. Of a group of elements that ended without starting, the first. */
  task: number;
  /** From 1; 0 where nothing was started (cancelled while pending). */
  attempt: number;
  /** Job id of this element (outside arrays, of the job). */
  jobId: number;
  /** Job id of the array; null outside arrays. */
  arrayJobId: number | null;
  /** Runs `2-3,6` of the elements that this row stands for when they ended together without starting; else null. */
  tasks: string | null;
  namespace: string;
  workload: string;
  name: string;
  user: string;
  uid: number;
  account: string;
  queue: string;
  qos: string | null;
  requestedMilliCpus: number;
  requestedMemoryBytes: number;
  requestedNodes: number;
  wallTimeSeconds: number;
  /** Times are RFC 3339 UTC. */
  submitTime: string;
  eligibleTime: string | null;
  startTime: string | null;
  endTime: string;
  /** Seconds waited by reason. */
  waitSecondsByReason: Record<string, number>;
  firstExpectedStart: string | null;
  lastExpectedStart: string | null;
  /** A final phase of a Workload, or `Requeued`. */
  state: string;
  exitCode: number;
  signal: number;
  nodes: string[];
  /** Null where the node could not measure. */
  peakMemoryBytes: number | null;
  cpuMilliseconds: number | null;
  /** As submitted: `AfterOk:41,AfterAny:42`; empty: none. */
  dependencies: string;
  workingDirectory: string | null;
  command: string | null;
  cancelledBy: string | null;
  /** What each second of it counts in usage, by the weights of then; null in rows of older formats: a cpu counts 1. */
  billing: number | null;
  /** What it held, by resource: milli-cpu, bytes, devices; null in rows of older formats, and of what never started. */
  allocated: Record<string, number> | null;
  /** For how long between start and end it stood still; null: not at all. */
  suspendedSeconds: number | null;
  /** What its script started by srun, in the order of their starts; null: nothing. */
  steps: StepRow[] | null;
}

/** One step of an attempt. */
export interface StepRow {
  /** Its number: step 42.ID. */
  id: number;
  name: string;
  tasks: number;
  cpus: number;
  /** `n[1-3]`. */
  nodeList: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  /** Absent: it ran when the job ended. */
  endedAt?: number;
  /** 128 + n where signal n ended it. */
  exitCode?: number;
  peakMemoryKibibytes?: number;
}

export interface AttemptFilter {
  /** Job ids; of an array its id with `task` for one element, without for all. */
  jobs?: readonly { job: number; task?: number }[];
  users?: readonly string[];
  states?: readonly string[];
  names?: readonly string[];
  accounts?: readonly string[];
  queues?: readonly string[];
  /** RFC 3339: attempts that had not ended before `since`, and had been submitted before `until`. */
  since?: string;
  until?: string;
  /** Of each job and element only the last attempt. */
  lastAttemptOnly?: boolean;
  /** Most rows, newest end first; default 10,000. */
  limit?: number;
}

/** Resource time of ended attempts within a window, summed by user and account. */
export interface UsageRow {
  user: string;
  account: string;
  attempts: number;
  milliCpuSeconds: number;
  memoryByteSeconds: number;
}

/** What usage is made of: one ended attempt that had started. */
export interface UsageEntry {
  /** Grows with each row; never used twice, and no row comes later with a smaller one. */
  sequence: number;
  user: string;
  account: string;
  queue: string;
  qos: string | null;
  /** Whole seconds since 1970. */
  startTime: number;
  endTime: number;
  /** Of that time: for how long it stood still. */
  suspendedSeconds: number;
  /** Of each second. */
  billing: number;
  allocated: Record<string, number>;
}

/** A row with its number, as `UsageEntry` has it. */
export interface NumberedRow {
  sequence: number;
  row: AttemptRow;
}

/** What reads and writes ended attempts, in SQLite or PostgreSQL. */
export interface Accounting {
  /**
   * Writes rows whose key is new, and resolves when they are durable. Calls that come close together are one transaction.
   * @throws AccountingTrouble in words when the database cannot be written; where it is passing, to be tried again
   */
  record(rows: readonly AttemptRow[]): Promise<void>;
  query(filter: AttemptFilter): Promise<AttemptRow[]>;
  usage(window: { since: string; until: string }): Promise<UsageRow[]>;
  /**
   * Jobs that ended since then and had been told when they would start, the newest ends first. Not of arrays, whose elements are
   * told nothing of their own, nor of attempts after the first.
   */
  toldStarts(filter: { since: string; users?: readonly string[]; limit?: number }): Promise<ToldStart[]>;
  /**
   * Attempts that were recorded after the row `sequence` (0: after none) and ended at or after `since` (seconds since 1970), in the
   * order in which they were recorded, at most `limit`.
   */
  recordedAfter(sequence: number, since: number, limit: number): Promise<UsageEntry[]>;
  /** Sequence of the last row; 0 while there is none. */
  lastSequence(): Promise<number>;
  /**
   * Rows that are recorded from now on get numbers above this one: whoever counted rows up to it must not pass new ones over
   * when the database is lost and begun anew.
   */
  numberAfter(sequence: number): Promise<void>;
  /** Whole rows that stand after `sequence`, in the order of their numbers, at most `limit`. */
  rowsAfter(sequence: number, limit: number): Promise<NumberedRow[]>;
  /**
   * Writes rows of another database whose key is new, with the numbers that they had there; one whose number another row has here
   * gets the next free one. Durable when it resolves, to how many were new.
   */
  take(rows: readonly NumberedRow[]): Promise<number>;
  /** What was asked before is done first. */
  close(): Promise<void>;
}

/** The part that readers get. */
export type AccountingReader = Pick<Accounting, "query" | "usage" | "toldStarts" | "close">;
