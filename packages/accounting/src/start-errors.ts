/** How honest expected starts are: what jobs were told, beside when they started. Pure. */

/** One job that was told a start before it started. Whole seconds since 1970. */
export interface ToldStart {
  submitTime: number;
  startTime: number;
  firstExpectedStart: number;
  lastExpectedStart: number;
}

/** Errors of the jobs that were told so far ahead. An error is the start less what was told: above 0, it came later than told. */
export interface StartErrors {
  /** How far ahead the first start was told, from (with) and to (without); absent: no bound, and both absent: all jobs. */
  leadFromSeconds?: number;
  leadToSeconds?: number;
  jobs: number;
  /** Of these, how many started more than a minute later than first told. */
  late: number;
  /** The median of the errors, and the bound within which nine in ten are, whichever their sign. */
  first: { medianSeconds: number; p90Seconds: number };
  last: { medianSeconds: number; p90Seconds: number };
}

const leads = [0, 60, 600, 3600, 6 * 3600, Infinity];
/** The report is rewritten by more than a minute only: less is no error. */
const lateSeconds = 60;

/** All jobs together, then those told at like distance, as far as there are any; empty: nobody was told anything. */
export function startErrors(told: readonly ToldStart[]): StartErrors[] {
  if (told.length === 0) return [];
  const result = [errorsOf(told)];
  for (const [index, from] of leads.slice(0, -1).entries()) {
    const to = leads[index + 1]!;
    const some = told.filter((one) => {
      const lead = Math.max(0, one.firstExpectedStart - one.submitTime);
      return lead >= from && lead < to;
    });
    if (some.length === 0) continue;
    result.push({ leadFromSeconds: from, ...(to === Infinity ? {} : { leadToSeconds: to }), ...errorsOf(some) });
  }
  return result;
}

function errorsOf(told: readonly ToldStart[]): StartErrors {
  const first = told.map(({ startTime, firstExpectedStart }) => startTime - firstExpectedStart);
  const last = told.map(({ startTime, lastExpectedStart }) => startTime - lastExpectedStart);
  return {
    jobs: told.length,
    late: first.filter((error) => error > lateSeconds).length,
    first: spread(first),
    last: spread(last),
  };
}

function spread(errors: readonly number[]): StartErrors["first"] {
  return {
    medianSeconds: quantile(errors, 0.5),
    p90Seconds: quantile(
      errors.map((error) => Math.abs(error)),
      0.9,
    ),
  };
}

/** The smallest value that so large a part of all does not exceed. */
function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]!;
}

function leadName({ leadFromSeconds, leadToSeconds }: StartErrors): string {
  if (leadFromSeconds === undefined) return "all";
  return `${leadFromSeconds}-${leadToSeconds ?? "inf"}`;
}

/** In the text format of Prometheus. */
export function startErrorMetrics(errors: readonly StartErrors[]): string {
  const lines = [
    "# HELP berth_start_estimate_jobs Jobs that ended within the last day and had been told an expected start, by how many seconds ahead.",
    "# TYPE berth_start_estimate_jobs gauge",
    ...errors.map((one) => `berth_start_estimate_jobs{lead="${leadName(one)}"} ${one.jobs}`),
    "# HELP berth_start_estimate_error_seconds Start less the expected start that was told (first, last): the median, and nine in ten of its size.",
    "# TYPE berth_start_estimate_error_seconds gauge",
  ];
  for (const one of errors) {
    for (const told of ["first", "last"] as const) {
      const labels = `lead="${leadName(one)}",told="${told}"`;
      lines.push(`berth_start_estimate_error_seconds{${labels},quantile="0.5"} ${one[told].medianSeconds}`);
      lines.push(`berth_start_estimate_error_seconds{${labels},quantile="0.9"} ${one[told].p90Seconds}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
