import { RunSet } from "./runs.ts";
import { pendingTasks } from "./records.ts";
import type { DependencyRecord, JobRecord } from "./records.ts";
import type { DependencyInput, DependencyOutcome, Time } from "./types.ts";

type Status = Pick<DependencyRecord, "status" | "readyAt">;

const waiting: Status = { status: "Waiting" };
const met: Status = { status: "Met" };
const never: Status = { status: "Never" };

/**
 * What a dependency on a job that is held by the state has come to, by Slurm's rules: `After` holds once it started (an array:
 * once all its tasks did), `AfterAny` once it ended, `AfterOk` once it ended well (an array: every task), `AfterNotOk` once it
 * ended, and not well (an array: once all ended, some not well).
 */
export function statusOn(input: DependencyInput, target: JobRecord): Status {
  const { array } = target;
  if (array !== undefined && input.task !== undefined) return statusOnTask(input, target, input.task);
  switch (input.type) {
    case "After": {
      const started = array === undefined ? (target.runs?.size ?? 0) > 0 : pendingTasks(target) === 0;
      if (!started) return waiting;
      return target.lastStart === undefined
        ? met
        : { status: "Met", readyAt: target.lastStart + (input.delaySeconds ?? 0) };
    }
    case "AfterOk":
    case "AfterCorr":
      return array !== undefined && array.notOk.size > 0 ? never : waiting;
    default:
      return waiting;
  }
}

function statusOnTask(input: DependencyInput, target: JobRecord, task: number): Status {
  const array = target.array!;
  const run = target.runs?.get(task);
  if (run !== undefined) {
    return input.type === "After" ? { status: "Met", readyAt: run.start + (input.delaySeconds ?? 0) } : waiting;
  }
  const ok = array.ok.has(task);
  if (ok || array.notOk.has(task)) return afterEnd(input, ok, target.lastStart);
  if (array.pending.has(task) || array.blocked.has(task) || array.never.has(task)) return waiting;
  return withoutKnowledge(input);
}

/** What a dependency on a job that has ended comes to. */
export function afterEnd(input: DependencyInput, ok: boolean, startTime: Time | undefined): Status {
  switch (input.type) {
    case "After":
      return startTime === undefined ? met : { status: "Met", readyAt: startTime + (input.delaySeconds ?? 0) };
    case "AfterOk":
    case "AfterCorr":
      return ok ? met : never;
    case "AfterNotOk":
      return ok ? never : met;
    default:
      return met;
  }
}

/** What a dependency on a job that the state does not hold comes to. */
export function fromOutcome(input: DependencyInput, outcome: DependencyOutcome | undefined): Status {
  if (outcome === undefined) return withoutKnowledge(input);
  if (outcome.ended) return afterEnd(input, endedWell(input, outcome), outcome.startTime);
  if (input.type === "After" && outcome.startTime !== undefined) return afterEnd(input, false, outcome.startTime);
  return waiting;
}

/** Of one element of an array that has ended what became of it, else of the whole. */
function endedWell({ task }: DependencyInput, { ok = false, okTasks }: DependencyOutcome): boolean {
  if (task === undefined || okTasks === undefined) return ok;
  return okTasks.some(([first, last]) => first <= task && task <= last);
}

function withoutKnowledge(input: DependencyInput): Status {
  return input.type === "After" || input.type === "AfterAny" || input.type === "AfterBurstBuffer" ? met : never;
}

/** All dependencies of a job together. `AfterCorr` between arrays is kept by task and not counted here. */
export function overall(job: JobRecord, now: Time): Status {
  const { dependencies } = job;
  if (dependencies.length === 0) return met;
  const statuses = dependencies.map((dependency): Status => {
    const { status, readyAt } = dependency;
    return status === "Met" && readyAt !== undefined && readyAt > now ? { status: "Waiting", readyAt } : { status };
  });
  const any = job.input.dependencies?.any ?? false;
  const isMet = ({ status }: Status): boolean => status === "Met";
  const isNever = ({ status }: Status): boolean => status === "Never";
  if (any ? statuses.some(isMet) : statuses.every(isMet)) return met;
  if (any ? statuses.every(isNever) : statuses.some(isNever)) return never;
  const open = statuses.filter(({ status }) => status === "Waiting");
  const times = open.flatMap(({ readyAt }) => (readyAt === undefined ? [] : [readyAt]));
  // Only delays are left: the time is known.
  const known = any ? times.length > 0 : times.length === open.length;
  return known ? { status: "Waiting", readyAt: any ? Math.min(...times) : Math.max(...times) } : waiting;
}

/** Sorts the pending tasks of an array by what became of their fellows in another array (`AfterCorr`). */
export function sortFellows(
  job: JobRecord,
  target: JobRecord | undefined,
  outcome: DependencyOutcome | undefined,
): void {
  const array = job.array!;
  const all = array.pending.copy();
  for (const set of [array.blocked, array.never]) for (const [first, last] of set.runs()) all.add(first, last);
  array.pending = new RunSet();
  array.blocked = new RunSet();
  array.never = new RunSet();
  const fellows = target?.array;
  if (fellows === undefined) {
    const known = outcome?.ended === true;
    const well = known && outcome.okTasks !== undefined ? new RunSet(outcome.okTasks) : undefined;
    if (well !== undefined) array.pending = all.intersection(well);
    else if (known && outcome.ok === true) array.pending = all.copy();
    for (const [first, last] of array.pending.runs()) all.remove(first, last);
    if (outcome !== undefined && !outcome.ended) array.blocked = all;
    else array.never = all;
    return;
  }
  array.pending = all.intersection(fellows.ok);
  for (const [first, last] of array.pending.runs()) all.remove(first, last);
  const open = new RunSet();
  for (const set of [fellows.pending, fellows.blocked, fellows.never]) {
    for (const [first, last] of set.runs()) open.add(first, last);
  }
  for (const task of target!.runs?.keys() ?? []) open.add(task);
  array.blocked = all.intersection(open);
  for (const [first, last] of array.blocked.runs()) all.remove(first, last);
  array.never = all;
}
