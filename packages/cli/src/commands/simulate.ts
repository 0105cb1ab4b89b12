/** `berth simulate`: runs a recorded workload through the scheduler's own decisions, in virtual time. */
import { parseTrace, policies, simulate, type PolicyName, type Simulation, type Trace } from "@berth/simulator";
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { CommandError } from "../command-error.ts";

export interface SimulateCommandOptions {
  policy: string;
  processors?: string;
  clairvoyant?: boolean;
  json?: boolean;
  output?: string;
}

/** Lines of a trace that were left out and are named each; of more only the number is told. */
const namedLines = 5;

export async function simulateTrace(path: string, options: SimulateCommandOptions): Promise<number> {
  if (!(options.policy in policies))
    throw new CommandError(`--policy ${options.policy}: there are ${Object.keys(policies).join(", ")}`);
  const processors = options.processors === undefined ? undefined : Number(options.processors);
  if (processors !== undefined && !(Number.isInteger(processors) && processors > 0))
    throw new CommandError(`--processors ${options.processors}: this must be a whole number from 1`);
  const trace = parseTrace(readTrace(path), { processors });
  tellProblems(path, trace);
  if (trace.jobs.length === 0)
    throw new CommandError(`${path}: no line of it is a job that can run; is it in the Standard Workload Format?`);
  const simulation = simulate({
    jobs: trace.jobs,
    processors: trace.processors,
    policy: options.policy as PolicyName,
    clairvoyant: options.clairvoyant === true,
  });
  if (options.output !== undefined) writeSchedule(options.output, simulation);
  const report = {
    trace: path,
    policy: options.policy,
    processors: trace.processors,
    clairvoyant: options.clairvoyant === true,
    dropped: trace.dropped.length,
    broken: trace.broken.length,
    ...simulation.metrics,
  };
  if (options.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(table(report));
  return 0;
}

function readTrace(path: string): string {
  try {
    const bytes = readFileSync(path);
    // The two bytes with which every gzip file begins.
    const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return (zipped ? gunzipSync(bytes) : bytes).toString("latin1");
  } catch (error) {
    throw new CommandError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

function tellProblems(path: string, { broken, dropped }: Trace): void {
  if (dropped.length > 0)
    process.stderr.write(
      `berth: ${path}: ${dropped.length} jobs left out, which never ran or cannot fit the machine\n`,
    );
  if (broken.length === 0) return;
  process.stderr.write(`berth: ${path}: ${broken.length} lines are no job lines and are left out\n`);
  for (const { line, problem } of broken.slice(0, namedLines)) process.stderr.write(`  line ${line}: ${problem}\n`);
}

function writeSchedule(path: string, { schedule }: Simulation): void {
  const lines = schedule.map(({ id, submit, start, end, wait, processors }) =>
    [id, submit, start, end, wait, processors].join(","),
  );
  try {
    writeFileSync(path, `id,submit,start,end,wait,processors\n${lines.join("\n")}\n`);
  } catch (error) {
    throw new CommandError(`--output ${path} cannot be written: ${(error as Error).message}`);
  }
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
