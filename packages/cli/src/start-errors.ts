/** How honest expected starts were, in words and figures. */
import type { StartErrors } from "@berth/accounting";
import { accountingPath } from "@berth/kinds";
import type { Cluster } from "./connect.ts";
import type { TableColumn } from "./table.ts";
import { formatDuration } from "./times.ts";

/** Figures of all jobs that ended since then (default: within a day), or of one user's. */
export async function readStartErrors(
  { client }: Cluster,
  query: { since?: string; user?: string } = {},
): Promise<StartErrors[]> {
  const path = `${accountingPath}/estimates`;
  const { items } = await client.request<{ items: StartErrors[] }>({ method: "GET", path, query });
  return items;
}

/** `+1:30` later than told, `-0:20` earlier. */
function signed(seconds: number): string {
  return `${seconds > 0 ? "+" : seconds < 0 ? "-" : ""}${formatDuration(Math.abs(seconds))}`;
}

function leadOf({ leadFromSeconds, leadToSeconds }: StartErrors): string {
  if (leadFromSeconds === undefined) return "all";
  if (leadToSeconds === undefined) return `over ${formatDuration(leadFromSeconds)}`;
  if (leadFromSeconds === 0) return `under ${formatDuration(leadToSeconds)}`;
  return `${formatDuration(leadFromSeconds)} to ${formatDuration(leadToSeconds)}`;
}

export const startErrorColumns: readonly TableColumn<StartErrors>[] = [
  { title: "TOLD AHEAD", value: leadOf },
  { title: "JOBS", value: ({ jobs }) => jobs, align: "right" },
  { title: "MEDIAN", value: ({ first }) => signed(first.medianSeconds), align: "right" },
  { title: "9 IN 10 WITHIN", value: ({ first }) => formatDuration(first.p90Seconds), align: "right" },
  { title: "LATE", value: ({ late, jobs }) => `${Math.round((100 * late) / jobs)} %`, align: "right" },
  { title: "LAST TOLD: MEDIAN", value: ({ last }) => signed(last.medianSeconds), align: "right" },
  { title: "9 IN 10 WITHIN", value: ({ last }) => formatDuration(last.p90Seconds), align: "right" },
];

/** One sentence on all jobs together; undefined where nobody was told anything. */
export function startErrorSentence([all]: readonly StartErrors[]): string | undefined {
  if (all === undefined) return undefined;
  const { jobs, late, first } = all;
  const { medianSeconds: median } = first;
  const typical =
    median === 0
      ? "just when they were first told"
      : `${formatDuration(Math.abs(median))} ${median > 0 ? "later" : "earlier"} than first told`;
  const who = jobs === 1 ? "the one job that waited" : `${jobs} jobs that waited`;
  return `${who} began ${typical} at the median, nine in ten within ${formatDuration(first.p90Seconds)}, ${late === 0 ? "none" : late} late`;
}
