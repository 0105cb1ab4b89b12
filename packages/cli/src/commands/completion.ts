/** `berth completion`: completion scripts for shells, made from the tree of commands itself. */
import {
  sacctOptions,
  sbatchOptions,
  scancelOptions,
  sinfoOptions,
  sprioOptions,
  squeueOptions,
  srunOptions,
  sshareOptions,
  type OptionDefinition,
} from "@berth/slurm";
import type { Command } from "commander";
import { CommandError } from "../command-error.ts";

const slurmOptions: Record<string, readonly OptionDefinition[]> = {
  sbatch: sbatchOptions,
  squeue: squeueOptions,
  scancel: scancelOptions,
  sinfo: sinfoOptions,
  sacct: sacctOptions,
  sprio: sprioOptions,
  srun: srunOptions,
  sshare: sshareOptions,
};

interface CompletedOption {
  /** `-o` and `--output`, or one of them. */
  flags: string[];
  /** What its value may be; undefined where nothing can be offered. */
  values?: readonly string[] | "files" | undefined;
}

interface Entry {
  name: string;
  description: string;
  options: CompletedOption[];
  /** What words that are no options may be. */
  words?: readonly string[] | "files" | undefined;
}

const shells = ["bash", "zsh", "fish"];
const filesOfSbatch = new Set(["output", "error", "input", "chdir"]);

export function completion(shell: string, program: Command): number {
  const slurm = Object.entries(slurmOptions).map(([name, options]): Entry => {
    const isSbatch = name === "sbatch";
    return {
      name,
      description: `Slurm's ${name}`,
      options: options
        .filter(({ status }) => status === "honoured")
        .map((option): CompletedOption => {
          const flags = [`--${option.name}`];
          return isSbatch && filesOfSbatch.has(option.name) ? { flags, values: "files" } : { flags };
        }),
      words: isSbatch ? "files" : undefined,
    };
  });
  slurm.push({ name: "scontrol", description: "Slurm's scontrol", options: [], words: ["suspend", "resume"] });
  const sbatch = slurm.find(({ name }) => name === "sbatch")!;
  const own = program.commands.map((command): Entry => {
    const name = command.name();
    const options = command.options.map((option): CompletedOption => ({
      flags: [option.short, option.long].filter((flag) => flag !== undefined),
      values: option.argChoices ?? (/<(folder|file|context)>/.test(option.flags) ? "files" : undefined),
    }));
    const words = name === "completion" ? shells : ["run", "simulate", "apply"].includes(name) ? "files" : undefined;
    return {
      name,
      description: command.description(),
      // What stands before its script are options of sbatch.
      options: [...options, { flags: ["--help"] }, ...(name === "run" ? sbatch.options : [])],
      words,
    };
  });
  const scripts: Record<string, (entries: Entry[]) => string> = { bash, zsh, fish };
  const script = scripts[shell];
  if (script === undefined) throw new CommandError(`completion ${shell}: there are bash, zsh and fish`);
  process.stdout.write(script([...own, ...slurm]));
  return 0;
}

const flagsOf = ({ options }: Entry): string => [...new Set(options.flatMap(({ flags }) => flags))].join(" ");

/** Branches of a `case` on the command and the word before: what an option's value may be. */
function valueCases(entries: Entry[], offer: (values: readonly string[] | "files") => string): string {
  return entries
    .flatMap(({ name, options }) =>
      options.flatMap(({ flags, values }) =>
        values === undefined
          ? []
          : [`    ${flags.map((flag) => `"${name} ${flag}"`).join(" | ")}) ${offer(values)}; return ;;`],
      ),
    )
    .join("\n");
}

function bash(entries: Entry[]): string {
  const offer = (values: readonly string[] | "files"): string =>
    values === "files"
      ? `COMPREPLY=($(compgen -f -- "$word"))`
      : `COMPREPLY=($(compgen -W '${values.join(" ")}' -- "$word"))`;
  const cases = entries
    .map((entry) => {
      const flags = `COMPREPLY=($(compgen -W '${flagsOf(entry)}' -- "$word"))`;
      const { name, words } = entry;
      return `    ${name}) ${words === undefined ? flags : `if [[ $word == -* ]]; then ${flags}; else ${offer(words)}; fi`} ;;`;
    })
    .join("\n");
  return `_berth() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '${entries.map(({ name }) => name).join(" ")} --context --help' -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD - 1]}" in
${valueCases(entries, offer)}
  esac
  case \${COMP_WORDS[1]} in
${cases}
  esac
}
complete -o filenames -F _berth berth
`;
}

function zsh(entries: Entry[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const offer = (values: readonly string[] | "files"): string =>
    values === "files" ? "_files" : `compadd -- ${values.join(" ")}`;
  const cases = entries
    .map((entry) => {
      const flags = `compadd -- ${flagsOf(entry)}`;
      const { name, words } = entry;
      return `    ${name}) ${words === undefined ? flags : `if [[ $PREFIX == -* ]]; then ${flags}; else ${offer(words)}; fi`} ;;`;
    })
    .join("\n");
  return `#compdef berth
_berth() {
  if (( CURRENT == 2 )); then
    local -a commands=(${entries.map(({ name, description }) => quoted(`${name}:${description.replaceAll(":", "\\:")}`)).join(" ")})
    _describe command commands
    return
  fi
  case "$words[2] $words[CURRENT-1]" in
${valueCases(entries, offer)}
  esac
  case $words[2] in
${cases}
  esac
}
compdef _berth berth
`;
}

function fish(entries: Entry[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const offer = (values: readonly string[] | "files"): string =>
    values === "files" ? "-r -F" : `-x -a ${quoted(values.join(" "))}`;
  const lines = ["complete -c berth -f"];
  for (const { name, description, options, words } of entries) {
    lines.push(`complete -c berth -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`);
    const here = `complete -c berth -n '__fish_seen_subcommand_from ${name}'`;
    for (const { flags, values } of options) {
      const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
      lines.push(`${here} ${names.join(" ")}${values === undefined ? "" : ` ${offer(values)}`}`);
    }
    if (words === "files") lines.push(`${here} -F`);
    else if (words !== undefined) lines.push(`${here} -a ${quoted(words.join(" "))}`);
  }
  return `${lines.join("\n")}\n`;
}
