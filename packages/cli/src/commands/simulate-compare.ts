/** `berth simulate compare`: several policies and sites on one trace, side by side. */
import type { Metrics } from "@berth/simulator";
import { CommandError } from "../command-error.ts";
import {
  playTrace,
  policyNamed,
  readCheckedTrace,
  readSite,
  type Setting,
  tellLeftOut,
  type TraceOptions,
} from "../simulation/run-simulation.ts";
import { formatData, formatTable, type OutputFormat, paint, type TableColumn } from "../table.ts";
import { type SiteFigures, siteFigures } from "./simulate.ts";

export interface CompareOptions extends TraceOptions {
  policy?: string[];
  site?: string[];
  clairvoyant?: boolean;
  output?: OutputFormat;
  json?: boolean;
}

interface Row extends Metrics, SiteFigures {
  name: string;
}

type Figure = Exclude<keyof Row, "name">;

/** Of each figure the best of all is marked; all but utilisation are the better the smaller. */
const figures: { name: Figure; title: string; digits: number; largest?: true; wide?: true; optional?: true }[] = [
  { name: "averageWait", title: "WAIT", digits: 1 },
  { name: "averageFlow", title: "FLOW", digits: 1 },
  { name: "averageBoundedSlowdown", title: "SLOWDOWN", digits: 3 },
  { name: "rmsBoundedSlowdown", title: "RMS-SLOWDOWN", digits: 3, wide: true },
  { name: "maxFlow", title: "MAX-FLOW", digits: 0 },
  { name: "maxBoundedSlowdown", title: "MAX-SLOWDOWN", digits: 1 },
  { name: "utilization", title: "UTILISATION", digits: 4, largest: true },
  { name: "makespan", title: "MAKESPAN", digits: 0 },
  { name: "preemptions", title: "PREEMPTIONS", digits: 0, optional: true },
  { name: "lostProcessorSeconds", title: "LOST", digits: 0, optional: true },
  { name: "refused", title: "REFUSED", digits: 0, optional: true },
  { name: "cancelled", title: "CANCELLED", digits: 0, optional: true },
  { name: "unstarted", title: "UNSTARTED", digits: 0, optional: true },
];

export async function compareSettings(path: string, options: CompareOptions): Promise<number> {
  const settings: (Setting & { name: string })[] = [
    ...(options.policy ?? []).map((name) => ({ name, policy: simplePolicy(name) })),
    ...(options.site ?? []).map((file) => ({ name: file, path: file, policy: "site" as const, site: readSite(file) })),
  ];
  if (settings.length === 0)
    settings.push(...(["fcfs", "easy", "easy-sjbf", "conservative"] as const).map((name) => ({ name, policy: name })));
  const hasNodes = settings.every(({ site }) => (site?.nodes.length ?? 0) > 0);
  const trace = await readCheckedTrace(path, { ...options, hasNodes });
  const rows: Row[] = [];
  for (const setting of settings) {
    const played = playTrace(trace, setting, options.clairvoyant === true);
    tellLeftOut(setting.name, played);
    rows.push({ name: setting.name, ...played.simulation.metrics, ...siteFigures(played.simulation) });
  }
  const best = bestOf(rows);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ trace: path, rows, best })}\n`);
    return 0;
  }
  if (options.output === "json" || options.output === "yaml") {
    process.stdout.write(await formatData({ trace: path, rows, best }, options.output));
    return 0;
  }
  const columns: TableColumn<Row>[] = [
    { title: "SETTING", value: ({ name }) => name },
    ...figures
      .filter(({ name, optional }) => optional !== true || rows.some((row) => row[name] > 0))
      .map(({ name, title, digits, wide }): TableColumn<Row> => ({
        title,
        align: "right",
        wide,
        value: (row) => marked(row[name].toFixed(digits), best[name]?.includes(row.name) === true),
      })),
  ];
  process.stdout.write(formatTable(columns, rows, options.output === "wide"));
  process.stdout.write("\nTimes in seconds; * the best of its column.\n");
  return 0;
}

function simplePolicy(name: string): Setting["policy"] {
  if (name === "site") throw new CommandError("--policy site: name the sites, each with --site FILE");
  return policyNamed(name);
}

/** Names of the best by figure; none where all are the same, or where there is nothing to compare. */
function bestOf(rows: readonly Row[]): Partial<Record<Figure, string[]>> {
  const best: Partial<Record<Figure, string[]>> = {};
  for (const { name, largest } of figures) {
    const values = rows.map((row) => row[name]);
    const wanted = largest === true ? Math.max(...values) : Math.min(...values);
    const winners = rows.filter((row) => row[name] === wanted);
    if (winners.length < rows.length) best[name] = winners.map((row) => row.name);
  }
  return best;
}

function marked(text: string, isBest: boolean): string {
  return isBest ? `${paint("bold", text)}*` : `${text} `;
}
