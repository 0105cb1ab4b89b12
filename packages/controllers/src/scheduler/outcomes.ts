/** What became of jobs that others depend on. */
import type { Accounting, AttemptRow } from "@berth/accounting";
import type { IndexSet } from "@berth/kinds";
import { isFinal } from "@berth/kinds";
import type { DependencyOutcome } from "@berth/scheduling";
import { seconds } from "../context.ts";
import { ArrayBook, runsOf } from "../model/array-book.ts";
import type { Ledger } from "../model/ledger.ts";
import type { WorkloadRecord } from "../model/record.ts";
import { phaseOf } from "../workload/status.ts";

function bookOf(record: WorkloadRecord): ArrayBook | undefined {
  const { array } = record.workload.spec;
  if (array === undefined) return undefined;
  return record.book ?? new ArrayBook(array.indices, record.workload.status?.array);
}

/** Of a Workload that has ended; undefined while it has not: the core follows it by itself. */
export function recordOutcome(record: WorkloadRecord): DependencyOutcome | undefined {
  const phase = phaseOf(record);
  if (!isFinal(phase)) return undefined;
  const book = bookOf(record);
  const okTasks: IndexSet | undefined = book?.succeeded;
  return {
    startTime: seconds(record.startTime ?? record.workload.status?.startTime),
    ended: true,
    ok: phase === "Succeeded",
    ...(okTasks === undefined ? {} : { okTasks: runsOf(okTasks) }),
  };
}

/** From the rows of the last attempts of a job that is no Workload any more. */
function rowsOutcome(rows: readonly AttemptRow[]): DependencyOutcome | undefined {
  if (rows.length === 0) return undefined;
  const ok = rows.filter(({ state }) => state === "Succeeded");
  const starts = rows.flatMap(({ startTime }) => (startTime === null ? [] : [seconds(startTime)]));
  return {
    startTime: starts.length === 0 ? undefined : Math.min(...starts),
    ended: true,
    ok: ok.length === rows.length,
    okTasks: ok
      .map(({ task }) => task)
      .filter((task) => task >= 0)
      .sort((a, b) => a - b)
      .map((task) => [task, task] as const),
  };
}

/** Asks accounting for those jobs that a Workload depends on and that the ledger does not know. */
export async function fetchHistory(record: WorkloadRecord, ledger: Ledger, accounting: Accounting): Promise<void> {
  const { dependencies } = record.workload.spec;
  if (dependencies === undefined) return;
  for (const { job } of dependencies.of) {
    if (job === undefined || ledger.byJobId(job) !== undefined || record.history?.has(job) === true) continue;
    const rows = await accounting.query({ jobs: [{ job }], lastAttemptOnly: true, limit: 1_000_000 });
    const outcome = rowsOutcome(rows);
    if (outcome === undefined) continue;
    record.history ??= new Map();
    record.history.set(job, outcome);
  }
}
