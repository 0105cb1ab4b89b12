/** `--help`, `--usage` and `--version` of Slurm's commands. */
import { readSbatchCommandLine, sbatchOptions, type OptionDefinition } from "@berth/slurm";
import { readFileSync } from "node:fs";

/** Handles the options of sbatch that ask for a text; undefined when there is none of them. */
export function showSbatch(words: string[]): number | undefined {
  const { show } = readSbatchCommandLine(words);
  if (show === undefined) return undefined;
  const examples =
    "Examples:\n  sbatch job.sh input.csv\n  sbatch --array=0-9%2 --time=30 --mem=1G job.sh\n  sbatch --dependency=afterok:42 --wrap 'cat part-*.txt'\n";
  return showText(
    "sbatch",
    show,
    sbatchOptions,
    examples,
    "[OPTIONS] SCRIPT [ARGUMENTS…]\n       sbatch [OPTIONS] --wrap COMMAND",
  );
}

/** Prints the text that was asked for; the exit code is 0. */
export function showText(
  program: string,
  show: "help" | "usage" | "version",
  options: readonly OptionDefinition[],
  examples: string,
  words = "[OPTIONS]",
): number {
  const usage = `Usage: ${program} ${words}\n`;
  if (show === "version") process.stdout.write(versionLine());
  else if (show === "usage") process.stdout.write(usage);
  else process.stdout.write(`${usage}\n${examples}\n${optionsText(options)}`);
  return 0;
}

/** The behaviour that is followed, and who follows it. */
function versionLine(): string {
  const description = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return `slurm 24.11 (as spoken by Berth ${(JSON.parse(description) as { version: string }).version})\n`;
}

/** What each option does here: honoured, accepted without effect, or refused. */
function optionsText(options: readonly OptionDefinition[]): string {
  const line = ({ name, short, value, note }: OptionDefinition): string => {
    const argument = value === "none" ? "" : value === "required" ? "=VALUE" : "[=VALUE]";
    return `  ${short === undefined ? "   " : `-${short},`} --${name}${argument}${note === undefined ? "" : `\n          ${note}`}\n`;
  };
  const section = (title: string, status: OptionDefinition["status"]): string => {
    const lines = options.filter((option) => option.status === status).map(line);
    return lines.length === 0 ? "" : `${title}\n${lines.join("")}`;
  };
  return [
    section("Options:", "honoured"),
    section("Accepted, without effect here:", "accepted"),
    section("Known to Slurm, not yet honoured, and refused:", "refused"),
  ]
    .filter((text) => text !== "")
    .join("\n");
}
