/** A simulation as one HTML page that needs nothing else: no script, no request. */
import { escapeText, formatSeconds, linePlot, placementPlot, spreadPlot } from "./plot.ts";
import type { Placed } from "./plot.ts";
import type { ReportSeries } from "./series.ts";
import type { Simulation } from "./simulate.ts";

export interface ReportOptions {
  title: string;
  /** Settings and what was noticed, in sentences. */
  notes?: readonly string[];
  /** Unix time of second 0; 0: axes count from the start. */
  startTime?: number;
  /** Before the others: {@link placementSection}. */
  sections?: readonly string[];
}

/** Who had which node when, as a section of a page; colours by `Placed.name`, in this order. */
export function placementSection(
  placed: readonly Placed[],
  options: { title: string; words: string; nodes: readonly string[]; order: readonly string[]; startTime: number },
): string {
  const colours = new Map(options.order.map((name, index) => [name, index]));
  const plot = placementPlot(placed, { ...options, colours });
  return section(options.title, options.words, plot, legend(options.order));
}

const percent = (value: number): string => `${Math.round(value * 100)} %`;
const number = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en") : String(Math.round(value * 10) / 10);

export function reportPage(simulation: Simulation, series: ReportSeries, options: ReportOptions): string {
  const { title, notes = [], startTime = 0, sections: more = [] } = options;
  const single = (
    name: string,
    line: ReportSeries["utilization"],
  ): [{ name: string; series: typeof line; colour: number; filled: true }] => [
    { name, series: line, colour: 0, filled: true },
  ];
  const sections = [
    ...more,
    section(
      "Utilisation",
      "Part of the processors in use.",
      linePlot(single("utilisation", series.utilization), {
        title: "Utilisation over time",
        startTime,
        most: 1,
        format: percent,
      }),
    ),
    section(
      "Queue length",
      "Jobs that wait.",
      linePlot(single("jobs waiting", series.queueLength), {
        title: "Jobs that wait over time",
        startTime,
        format: number,
      }),
    ),
    section(
      "Waits by size",
      spreadWords("processors of the job"),
      spreadPlot(series.waitsBySize, { title: "Waits by size" }),
    ),
    section(
      `Waits by ${series.by}`,
      spreadWords(`${series.by}, the largest first`),
      spreadPlot(series.waitsByAccount, { title: `Waits by ${series.by}` }),
    ),
    fairnessSection(series, startTime),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeText(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeText(title)}</h1>
${notes.length === 0 ? "" : `<p class="notes">${notes.map(escapeText).join("<br>")}</p>`}
${figures(simulation)}
${sections.join("\n")}
</main>
</body>
</html>
`;
}

function section(title: string, words: string, plot: string, legend = ""): string {
  return `<section><h2>${escapeText(title)}</h2><p>${escapeText(words)}</p>${legend}${plot}</section>`;
}

function spreadWords(by: string): string {
  return `By ${by}. A box holds the middle half of the jobs, its mark the median; the line reaches to what 95 % waited at most.`;
}

function fairnessSection(series: ReportSeries, startTime: number): string {
  const lines = series.fairness.map(({ name, share, entitled }, colour) => ({
    name,
    series: share,
    colour,
    level: entitled,
  }));
  const hasLevels = series.fairness.some(({ entitled }) => entitled !== undefined);
  return section(
    "Fairness over time",
    `Part of each ${series.by} in what was used, which counts half after ${formatSeconds(series.halfLifeSeconds)}.${hasLevels ? " Dashed: what its shares entitle it to." : ""}`,
    linePlot(lines, { title: "Shares of usage over time", startTime, height: 280, format: percent }),
    legend(
      series.fairness.map(({ name, entitled }) =>
        entitled === undefined ? name : `${name} (entitled to ${percent(entitled)})`,
      ),
    ),
  );
}

function legend(names: readonly string[]): string {
  const items = names.map(
    (words, colour) =>
      `<li><svg viewBox="0 0 14 14" aria-hidden="true"><rect class="key c${colour}" width="14" height="14" rx="3"/></svg>${escapeText(words)}</li>`,
  );
  return `<ul class="legend">${items.join("")}</ul>`;
}

function figures({
  metrics,
  processors,
  preemptions,
  lostProcessorSeconds,
  refused,
  unstarted,
  cancelled,
}: Simulation): string {
  const rows: [string, string][] = [
    ["jobs", metrics.jobs.toLocaleString("en")],
    ["processors", processors.toLocaleString("en")],
    ["utilisation", `${(metrics.utilization * 100).toFixed(1)} %`],
    ["average wait", formatSeconds(metrics.averageWait)],
    ["average flow", formatSeconds(metrics.averageFlow)],
    ["longest flow", formatSeconds(metrics.maxFlow)],
    ["average bounded slowdown", number(metrics.averageBoundedSlowdown)],
    ["makespan", formatSeconds(metrics.makespan)],
  ];
  if (preemptions > 0) {
    rows.push(
      ["preemptions", preemptions.toLocaleString("en")],
      ["lost to preemption", `${number(lostProcessorSeconds / 3600)} processor hours`],
    );
  }
  for (const [name, count] of [
    ["refused", refused.length],
    ["cancelled by preemption", cancelled],
    ["never started", unstarted.length],
  ] as const) {
    if (count > 0) rows.push([name, count.toLocaleString("en")]);
  }
  return `<dl>${rows.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join("")}</dl>`;
}

const light = ["#2a6fc9", "#d9601f", "#14946a", "#a97800", "#c2528a", "#3f7d1f", "#5a48b8", "#c93b3a"];
const dark = ["#6aa5f0", "#f08a52", "#3fc596", "#dba93a", "#e88bb8", "#86c067", "#a497ee", "#f07f7e"];
const colours = (list: readonly string[]): string => list.map((colour, index) => `--c${index}:${colour}`).join(";");
const classes = light.map((_, index) => `.c${index}{--c:var(--c${index})}`).join("");

const style = `
:root{color-scheme:light dark;--page:#fff;--ink:#1d2530;--soft:#5b6674;--rule:#e1e5ea;--card:#f6f8fa;${colours(light)}}
@media (prefers-color-scheme:dark){:root{--page:#12161b;--ink:#e8ecf1;--soft:#9aa6b4;--rule:#2a323c;--card:#1a2027;${colours(dark)}}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
main{max-width:840px;margin:0 auto;padding:28px 20px 56px}
h1{font-size:24px;line-height:1.25;margin:0 0 8px;text-wrap:balance;overflow-wrap:anywhere}
h2{font-size:17px;margin:36px 0 2px}
section p,.notes{margin:0 0 8px;color:var(--soft)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:10px;margin:20px 0 0}
dl div{background:var(--card);border-radius:8px;padding:10px 14px}
dt{color:var(--soft);font-size:13px}
dd{margin:0;font-size:18px;font-variant-numeric:tabular-nums}
svg{display:block;width:100%;height:auto}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:0 0 8px;font-size:13px}
.legend li{display:flex;align-items:center;gap:6px}
.legend svg{width:12px;height:12px;flex:none}
text{fill:var(--ink);font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
.tick{fill:var(--soft);font-size:11.5px;font-variant-numeric:tabular-nums}
.grid{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke:var(--c);stroke-width:1.75;stroke-linejoin:round}
.fill{fill:var(--c);opacity:.16}
.level{stroke:var(--c);stroke-width:1.25;stroke-dasharray:5 4}
.whisker{stroke:var(--c);stroke-width:2}
.box{fill:var(--c);opacity:.45}
.median{stroke:var(--ink);stroke-width:2}
.key{fill:var(--c)}
.bar{fill:var(--c);opacity:.8}
.cut{fill:var(--page);stroke:var(--c);stroke-width:1;stroke-dasharray:3 2;opacity:1}
${classes}
@media print{main{max-width:none}}
`.trim();
