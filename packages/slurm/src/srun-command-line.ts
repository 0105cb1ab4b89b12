/** srun at the prompt: what of its command line asks for a job, and what is for the step in it. */
import { parseArguments } from "./arguments.ts";
import { SlurmError } from "./errors.ts";
import { sbatchOptions, type OptionDefinition } from "./options.ts";

export interface SrunCommandLine {
  /** For sbatch's reading: what the job is to have. */
  allocation: string[];
  /** For the srun in the job, in front of the program. */
  step: string[];
  /** Program and arguments. */
  command: string[];
  quiet: boolean;
  show?: "help" | "usage" | "version";
}

/** sbatch's that srun has not. */
const notSruns = new Set(
  "array batch export-file get-user-env ignore-pbs kill-on-invalid-dep no-requeue parsable requeue wait wait-all-nodes wrap".split(
    " ",
  ),
);

/** `name`, `name|short`, with `=` a value, with `=?` one that may be left out. */
function stepOptions(status: OptionDefinition["status"], words: string): OptionDefinition[] {
  return words.split(" ").map((word) => {
    const [, name = "", short, value] = /^([\w-]+)(?:\|(\w))?(=\??)?$/.exec(word)!;
    const definition: OptionDefinition = {
      name,
      status,
      value: value === undefined ? "none" : value === "=" ? "required" : "optional",
    };
    if (short !== undefined) definition.short = short;
    return definition;
  });
}

const forStep: readonly OptionDefinition[] = [
  ...stepOptions("honoured", "input|i= output|o= error|e= open-mode= label|l kill-on-bad-exit|K=? multi-prog mpi="),
  ...stepOptions("honoured", "distribution|m= wait|W= unbuffered|u overcommit|O cpu-bind= disable-status|X"),
  ...stepOptions("honoured", "overlap exact"),
  ...stepOptions(
    "refused",
    "pty=? bcast=? container= epilog= prolog= task-epilog= task-prolog= x11=? immediate|I=? jobid= het-group= relative|r= no-allocate|Z",
  ),
];
const stepNames = new Set(forStep.map(({ name }) => name));

/** All options of srun at the prompt. */
export const srunOptions: readonly OptionDefinition[] = [
  ...forStep,
  ...sbatchOptions.filter(({ name }) => !notSruns.has(name) && !stepNames.has(name)),
].toSorted((a, b) => (a.name < b.name ? -1 : 1));

/** What both are told. */
const forBoth = new Set(["job-name", "cpus-per-task", "quiet"]);

/** @throws SlurmError in getopt's words, and for what can only be said within a job */
export function readSrunCommandLine(words: readonly string[]): SrunCommandLine {
  const { options, operands } = parseArguments(words, srunOptions, "srun", true, 1);
  const line: SrunCommandLine = { allocation: [], step: [], command: operands, quiet: false };
  for (const { definition, value } of options) {
    const { name, status } = definition;
    if (name === "help" || name === "usage" || name === "version") {
      line.show ??= name;
      continue;
    }
    if (name === "quiet") line.quiet = true;
    if (stepNames.has(name) && status === "refused")
      throw new SlurmError(1, `error: --${name} is known to Slurm but not yet honoured by srun at the prompt`);
    const word = value === undefined ? `--${name}` : `--${name}=${value}`;
    if (stepNames.has(name) || forBoth.has(name)) line.step.push(word);
    if (!stepNames.has(name)) line.allocation.push(word);
  }
  if (line.show === undefined && operands.length === 0) throw new SlurmError(1, "fatal: No command given to execute.");
  return line;
}
