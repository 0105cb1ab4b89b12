/** What `berth simulate` and `berth simulate compare` share: reading traces and sites, and telling what is odd about them. */
import { policies, type PolicyName, simulate, type Simulation, type Trace, type TraceProblem } from "@berth/simulator";
import { readFileSync } from "node:fs";
import { CommandError } from "../command-error.ts";
import { readTrace } from "./read-trace.ts";
import { parseSiteFile, type SiteFile } from "./site-file.ts";
import { siteSimulation, type SiteSimulation } from "./site-simulation.ts";

/** Lines that are named each; of more only the number is told. */
const namedLines = 5;

export interface TraceOptions {
  processors?: string;
  strict?: boolean;
  /** Of the site, or of all sites: they say how large the machine is. */
  hasNodes?: boolean;
}

/** Reads a trace and says on standard error what is odd about it; with `strict` that is the end. */
export async function readCheckedTrace(path: string, options: TraceOptions): Promise<Trace> {
  const processors = options.processors === undefined ? undefined : Number(options.processors);
  if (processors !== undefined && !(Number.isInteger(processors) && processors > 0))
    throw new CommandError(`--processors ${options.processors}: this must be a whole number from 1`);
  const trace = await readTrace(path, { processors });
  const odd = tellProblems(path, trace);
  if (odd > 0 && options.strict === true) throw new CommandError(`${path}: refused, as --strict asks`);
  if (trace.jobs.length === 0)
    throw new CommandError(
      `${path}: no line of it is a job that can run; what a trace is: docs/reference/simulation.md`,
    );
  const { unused, isSizeGuessed = false, processors: largest } = trace;
  if (unused !== undefined) process.stderr.write(`berth: ${path}: columns that are not used: ${unused.join(", ")}\n`);
  if (isSizeGuessed && options.hasNodes !== true)
    process.stderr.write(
      `berth: ${path}: it does not say how large the machine is: taken are the ${largest.toLocaleString("en")} processors of its largest job; --processors says it\n`,
    );
  return trace;
}

/** Gives the number of lines that are told of. */
function tellProblems(path: string, { broken, dropped, unsorted, holes }: Trace): number {
  const tell = (problems: readonly TraceProblem[], one: string, many: string): void => {
    if (problems.length === 0) return;
    const what = problems.length === 1 ? `1 ${one}` : `${problems.length.toLocaleString("en")} ${many}`;
    process.stderr.write(`berth: ${path}: ${what}\n`);
    for (const { line, problem } of problems.slice(0, namedLines)) process.stderr.write(`  line ${line}: ${problem}\n`);
    if (problems.length > namedLines) process.stderr.write(`  and ${problems.length - namedLines} more\n`);
  };
  tell(broken, "line is no job line and is left out", "lines are no job lines and are left out");
  tell(
    dropped,
    "job is left out: it never ran, asked for no time, or cannot fit the machine",
    "jobs are left out: they never ran, asked for no time, or cannot fit the machine",
  );
  tell(unsorted, "line is out of order and is put in its place", "lines are out of order and are put in their places");
  tell(holes, "hole, passed over", "holes, passed over");
  return broken.length + dropped.length + unsorted.length + holes.length;
}

export function readSite(path: string): SiteFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandError(`--site ${path} cannot be read: ${(error as Error).message}`);
  }
  const parsed = parseSiteFile(text);
  if ("problems" in parsed) {
    const lines = parsed.problems.map(({ line, problem }) => `  line ${line}: ${problem}`);
    throw new CommandError(`--site ${path} is refused, and nothing of it is used:\n${lines.join("\n")}`);
  }
  if (parsed.passedOver.length > 0)
    process.stderr.write(
      `berth: ${path}: passed over, as they say nothing of scheduling: ${parsed.passedOver.join(", ")}\n`,
    );
  for (const { line, problem } of parsed.doubts) process.stderr.write(`berth: ${path}: line ${line}: ${problem}\n`);
  return parsed.site;
}

export interface Setting {
  policy: PolicyName | "site";
  site?: SiteFile;
  /** Of the site. */
  path?: string;
}

export function policyNamed(name: string): PolicyName | "site" {
  if (name === "site" || Object.hasOwn(policies, name)) return name as PolicyName | "site";
  throw new CommandError(`--policy ${name}: there are ${Object.keys(policies).join(", ")} and site`);
}

export interface Played {
  simulation: Simulation;
  site: SiteSimulation | undefined;
}

export function playTrace(trace: Trace, setting: Setting & { name: string }, clairvoyant: boolean): Played {
  const site = setting.site === undefined ? undefined : siteSimulation(setting.site);
  const progress = progressLine(setting.name, trace.jobs.length);
  try {
    const simulation = simulate({
      jobs: trace.jobs,
      processors: trace.processors,
      policy: setting.policy,
      site: site?.input,
      startTime: site === undefined ? 0 : trace.startTime,
      clairvoyant,
      progress: progress.tell,
    });
    return { simulation, site };
  } catch (error) {
    // What the kinds allow and the core does not honour, or contradicts itself only in the core's eyes.
    if (!(error instanceof Error && error.name === "SchedulingError") || setting.site === undefined) throw error;
    const line = setting.site.lineOfMessage(error.message);
    const where = line === undefined ? "" : `  line ${line}: `;
    throw new CommandError(`--site ${setting.path} is refused, and nothing of it is used:\n${where}${error.message}`);
  } finally {
    progress.end();
  }
}

const firstProgressMs = 700;
const progressMs = 200;

/** A line on the terminal that says how far a simulation is; none for files, pipes, and what is soon over. */
function progressLine(name: string, jobs: number): { tell?: (submitted: number) => void; end: () => void } {
  const { stderr } = process;
  if (!stderr.isTTY) return { end: () => {} };
  let next = performance.now() + firstProgressMs;
  let calls = 0;
  let isShown = false;
  return {
    tell(submitted) {
      calls += 1;
      if (calls % 64 !== 0 || performance.now() < next) return;
      next = performance.now() + progressMs;
      isShown = true;
      const part = Math.floor((100 * submitted) / jobs);
      stderr.write(
        `\r\x1b[K${name}: ${submitted.toLocaleString("en")} of ${jobs.toLocaleString("en")} jobs (${part} %)`,
      );
    },
    end() {
      if (isShown) stderr.write("\r\x1b[K");
    },
  };
}

/** Jobs that are not in the schedule, and users without an account, on standard error. */
export function tellLeftOut(name: string, { simulation, site }: Played): void {
  const { refused, unstarted, cancelled, withoutTheirGpus } = simulation;
  const tell = (jobs: Simulation["refused"], what: string): void => {
    if (jobs.length === 0) return;
    process.stderr.write(`berth: ${name}: ${jobs.length.toLocaleString("en")} ${what}\n`);
    for (const { id, line, reason } of jobs.slice(0, namedLines))
      process.stderr.write(`  job ${id} (line ${line}): ${reason}\n`);
  };
  tell(refused, "jobs were refused by a limit");
  tell(unstarted, "jobs never started");
  if (withoutTheirGpus > 0)
    process.stderr.write(
      `berth: ${name}: ${withoutTheirGpus.toLocaleString("en")} jobs asked for GPUs, and no node with GPUs is told of (--site): only their processors count\n`,
    );
  if (cancelled > 0) process.stderr.write(`berth: ${name}: ${cancelled} jobs were cancelled by preemption\n`);
  const unclaimed = site?.unclaimed.size ?? 0;
  if (unclaimed > 0 && (site?.input.accounts.length ?? 0) > 0)
    process.stderr.write(
      `berth: ${name}: ${unclaimed} users of the trace have no account in the site file; see docs/reference/simulation.md\n`,
    );
}
