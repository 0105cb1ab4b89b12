/** `berth simulate`: runs a recorded workload through the scheduler's own decisions, in virtual time. */
import { replay, reportPage, reportSeries, type ScheduledJob, type Simulation, type Trace } from "@berth/simulator";
import { accessSync, constants, createReadStream, statSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { basename, dirname } from "node:path";
import { CommandError } from "../command-error.ts";
import {
  playTrace,
  policyNamed,
  type Played,
  readCheckedTrace,
  readSite,
  tellLeftOut,
  type TraceOptions,
} from "../simulation/run-simulation.ts";

export interface SimulateCommandOptions extends TraceOptions {
  policy?: string;
  site?: string;
  clairvoyant?: boolean;
  json?: boolean;
  output?: string;
  html?: string;
  replay?: string;
}

export async function simulateTrace(path: string | undefined, options: SimulateCommandOptions): Promise<number> {
  if (options.replay !== undefined) {
    if (path !== undefined) throw new CommandError("--replay FILE plays a journal: it takes no trace beside it");
    return await replayJournal(options.replay, options.json === true);
  }
  if (path === undefined) throw new CommandError("say which trace: berth simulate TRACE");
  const policy = policyNamed(options.policy ?? (options.site === undefined ? "easy" : "site"));
  if (policy === "site" && options.site === undefined)
    throw new CommandError("--policy site: say which, with --site FILE");
  // Before minutes of work, not after.
  for (const option of ["output", "html"] as const) checkWritable(`--${option}`, options[option]);
  const site = options.site === undefined ? undefined : readSite(options.site);
  const trace = await readCheckedTrace(path, { ...options, hasNodes: (site?.nodes.length ?? 0) > 0 });
  const clairvoyant = options.clairvoyant === true;
  const name = options.site === undefined ? policy : basename(options.site);
  const played = playTrace(trace, { name, policy, site, path: options.site }, clairvoyant);
  const { simulation } = played;
  tellLeftOut(path, played);
  if (simulation.metrics.jobs === 0)
    throw new CommandError(`${path}: none of its jobs ran, so there is nothing to tell`);
  if (options.output !== undefined) write("--output", options.output, scheduleText(simulation.schedule));
  if (options.html !== undefined) {
    const words = options.site === undefined || policy === "site" ? name : `${policy} on ${name}`;
    write("--html", options.html, pageOf(basename(path), words, played, trace, clairvoyant));
  }
  const report = {
    trace: path,
    policy,
    ...(options.site === undefined ? {} : { site: options.site }),
    processors: simulation.processors,
    clairvoyant,
    dropped: trace.dropped.length,
    broken: trace.broken.length,
    unsorted: trace.unsorted.length,
    holes: trace.holes.length,
    ...simulation.metrics,
    ...(site === undefined ? {} : siteFigures(simulation)),
  };
  if (options.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(table(report));
  return 0;
}

/** What only sites have: limits that refuse, preemption, nodes on which a job does not fit. */
export interface SiteFigures {
  refused: number;
  unstarted: number;
  preemptions: number;
  cancelled: number;
  lostProcessorSeconds: number;
}

export function siteFigures(simulation: Simulation): SiteFigures {
  return {
    refused: simulation.refused.length,
    unstarted: simulation.unstarted.length,
    preemptions: simulation.preemptions,
    cancelled: simulation.cancelled,
    lostProcessorSeconds: simulation.lostProcessorSeconds,
  };
}

function pageOf(name: string, words: string, { simulation, site }: Played, trace: Trace, clairvoyant: boolean): string {
  const series = reportSeries(simulation, {
    entitled: site?.input.entitled,
    halfLifeSeconds: halfLifeOf(site),
  });
  const notes = [`Settings: ${words}${clairvoyant ? ", with run times as estimates" : ""}.`];
  const leftOut = trace.dropped.length + trace.broken.length;
  if (leftOut > 0)
    notes.push(`${leftOut.toLocaleString("en")} lines of the trace are left out: no jobs, or none that ran.`);
  return reportPage(simulation, series, { title: `${name} under ${words}`, notes, startTime: trace.startTime });
}

function halfLifeOf(site: Played["site"]): number | undefined {
  const seconds = site?.input.policy.priority?.halfLifeSeconds;
  return typeof seconds === "number" ? seconds : undefined;
}

function scheduleText(schedule: readonly ScheduledJob[]): string {
  const lines = schedule.map(({ id, submit, start, end, wait, processors }) =>
    [id, submit, start, end, wait, processors].join(","),
  );
  return `id,submit,start,end,wait,processors\n${lines.map((line) => `${line}\n`).join("")}`;
}

function checkWritable(option: string, path: string | undefined): void {
  if (path === undefined) return;
  const problem = (words: string): CommandError => new CommandError(`${option} ${path} cannot be written: ${words}`);
  try {
    accessSync(dirname(path), constants.X_OK);
  } catch {
    throw problem(`there is no folder ${dirname(path)} for you`);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) throw problem("it is a folder");
}

function write(option: string, path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new CommandError(`${option} ${path} cannot be written: ${(error as Error).message}`);
  }
}

/** Exit code 1 where a decision is another than the journal has. */
async function replayJournal(path: string, json: boolean): Promise<number> {
  const lines: string[] = [];
  try {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) lines.push(line);
  } catch (error) {
    throw new CommandError(`--replay ${path} cannot be read: ${(error as Error).message}`);
  }
  const { states, calls, decisions, differences, broken } = replay(lines);
  if (states === 0) throw new CommandError(`${path} is no journal: no line of it begins a state`);
  for (const { line, problem } of broken)
    process.stderr.write(`berth: ${path}: line ${line} is passed over: ${problem}\n`);
  const [difference] = differences;
  if (difference !== undefined) {
    process.stderr.write(
      `berth: ${path}: line ${difference.line} comes out otherwise\n  journal  ${difference.recorded}\n  replayed ${difference.replayed}\n`,
    );
  }
  const report = { journal: path, states, calls, decisions, broken: broken.length, same: difference === undefined };
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : table(report));
  return difference === undefined ? 0 : 1;
}

function table(report: Record<string, unknown>): string {
  const width = Math.max(...Object.keys(report).map((name) => name.length));
  return Object.entries(report)
    .map(
      ([name, value]) =>
        `${name.padEnd(width)}  ${typeof value === "number" && !Number.isInteger(value) ? value.toFixed(4) : String(value)}\n`,
    )
    .join("");
}
