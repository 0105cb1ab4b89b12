/** From a name and its arguments to the command's code, and from whatever it throws to words and an exit code. */
import { CommandError } from "./command-error.ts";

/** A command: its arguments in, its exit code out. */
type Command = (words: string[]) => Promise<number>;

/** The commands with Slurm's own grammar of options; each is also a name of the program. */
const slurmCommands: Record<string, () => Promise<Command>> = {
  sbatch: async () => (await import("./slurm/sbatch.ts")).sbatch,
  squeue: async () => (await import("./slurm/squeue.ts")).squeue,
  scancel: async () => (await import("./slurm/scancel.ts")).scancel,
  sinfo: async () => (await import("./slurm/sinfo.ts")).sinfo,
  sacct: async () => (await import("./slurm/sacct.ts")).sacct,
  sacctmgr: async () => (await import("./slurm/sacctmgr.ts")).sacctmgr,
  scontrol: async () => (await import("./slurm/scontrol.ts")).scontrol,
  sprio: async () => (await import("./slurm/sprio.ts")).sprio,
  srun: async () => (await import("./slurm/srun.ts")).srun,
  sshare: async () => (await import("./slurm/sshare.ts")).sshare,
};

/** Runs the command that `calledAs` or the first word names; never throws. Resolves to the exit code. */
export async function dispatch(calledAs: string, words: string[]): Promise<number> {
  const name = calledAs in slurmCommands ? calledAs : takeSlurmName(words);
  try {
    if (name !== undefined) return await (await slurmCommands[name]!())(words);
    const { runProgram } = await import("./program.ts");
    return await runProgram(words);
  } catch (error) {
    return await report(error, name ?? "berth");
  }
}

/** Takes `[--context X] sbatch` off the front of the words, when they begin so; the context goes to the environment. */
function takeSlurmName(words: string[]): string | undefined {
  const at = words[0] === "--context" ? 2 : words[0]?.startsWith("--context=") === true ? 1 : 0;
  const name = words[at];
  if (name === undefined || !(name in slurmCommands)) return undefined;
  if (at > 0) process.env["BERTH_CONTEXT"] = at === 2 ? words[1] : words[0]!.slice("--context=".length);
  words.splice(0, at + 1);
  return name;
}

async function report(error: unknown, program: string): Promise<number> {
  if (error instanceof CommandError) {
    process.stderr.write(`${program}: ${error.message}\n`);
    return error.exitCode;
  }
  const { SlurmError } = await import("@berth/slurm");
  if (error instanceof SlurmError) {
    process.stderr.write(error.format(program));
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${program}: error: ${message}\n`);
  if (process.env["BERTH_DEBUG"] !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return 1;
}
