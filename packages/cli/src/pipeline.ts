/** Scripts that name what is to follow them: `#BERTH then FILE [ARGUMENTS]` lines, which `berth run` reads. */
import { SlurmError } from "@berth/slurm";
import { dirname, resolve } from "node:path";

/** A script to be submitted once the one before was, to start when that one has succeeded. */
export interface NextStep {
  /** Absolute path. */
  script: string;
  /** `%j` stands for the id of the job before. */
  arguments: string[];
}

/**
 * The steps that a script names in its head, in their order: words parted by blanks, files relative to the script's folder.
 * The head ends where sbatch's does, at the first line that is neither blank nor a comment.
 */
export function nextSteps(script: string, path: string): NextStep[] {
  const steps: NextStep[] = [];
  for (const [index, line] of script.split("\n").entries()) {
    if (!/^\s*(#|$)/.test(line)) break;
    if (!/^#BERTH\b/.test(line)) continue;
    const [word, file, ...words] = line.slice("#BERTH".length).trim().split(/\s+/);
    if (word !== "then" || file === undefined)
      throw new SlurmError(255, `error: ${path}: line ${index + 1}: "${line}" should be: #BERTH then FILE [ARGUMENTS]`);
    steps.push({ script: resolve(dirname(path), file), arguments: words });
  }
  return steps;
}

/** The arguments of a step that follows this job. */
export function stepArguments(step: NextStep, previousJobId: number): string[] {
  return step.arguments.map((word) => word.replaceAll("%j", String(previousJobId)));
}
