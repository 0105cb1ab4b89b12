/** `berth completion`: completion scripts for shells, made from the tree of commands itself. */
import {
  sacctOptions,
  sbatchOptions,
  scancelOptions,
  sinfoOptions,
  sprioOptions,
  squeueOptions,
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
  sshare: sshareOptions,
};

interface Entry {
  name: string;
  description: string;
  options: string[];
  takesFile: boolean;
}

export function completion(shell: string, program: Command): number {
  const entries: Entry[] = [
    ...program.commands.map((command) => ({
      name: command.name(),
      description: command.description(),
      options: [...command.options.flatMap(({ short, long }) => [short, long]), "--help"].flatMap((flag) => flag ?? []),
      takesFile: ["run", "simulate"].includes(command.name()),
    })),
    ...Object.entries(slurmOptions).map(([name, options]) => ({
      name,
      description: `Slurm's ${name}`,
      options: options.filter(({ status }) => status === "honoured").map((option) => `--${option.name}`),
      takesFile: name === "sbatch",
    })),
  ];
  const scripts: Record<string, (entries: Entry[]) => string> = { bash, zsh, fish };
  const script = scripts[shell];
  if (script === undefined) throw new CommandError(`completion ${shell}: there are bash, zsh and fish`);
  process.stdout.write(script(entries));
  return 0;
}

function bash(entries: Entry[]): string {
  const cases = entries
    .map(({ name, options, takesFile }) => {
      const words = `COMPREPLY=($(compgen -W '${options.join(" ")}' -- "$word"))`;
      return `    ${name}) ${takesFile ? `if [[ $word == -* ]]; then ${words}; else COMPREPLY=($(compgen -f -- "$word")); fi` : words} ;;`;
    })
    .join("\n");
  return `_berth() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '${entries.map(({ name }) => name).join(" ")} --context --help' -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
    completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$word")) ;;
${cases.replace(/^ {4}completion\).*\n/m, "")}
  esac
}
complete -o filenames -F _berth berth
`;
}

function zsh(entries: Entry[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const cases = entries
    .map(({ name, options, takesFile }) => {
      const words = `compadd -- ${options.join(" ")}`;
      if (name === "completion") return "    completion) compadd -- bash zsh fish ;;";
      return `    ${name}) ${takesFile ? `if [[ $PREFIX == -* ]]; then ${words}; else _files; fi` : words} ;;`;
    })
    .join("\n");
  return `#compdef berth
_berth() {
  if (( CURRENT == 2 )); then
    local -a commands=(${entries.map(({ name, description }) => quoted(`${name}:${description.replaceAll(":", "\\:")}`)).join(" ")})
    _describe command commands
    return
  fi
  case $words[2] in
${cases}
  esac
}
compdef _berth berth
`;
}

function fish(entries: Entry[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = ["complete -c berth -f"];
  for (const { name, description, options, takesFile } of entries) {
    lines.push(`complete -c berth -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`);
    const here = `-n '__fish_seen_subcommand_from ${name}'`;
    for (const option of options)
      lines.push(
        `complete -c berth ${here} ${option.startsWith("--") ? `-l ${option.slice(2)}` : `-s ${option.slice(1)}`}`,
      );
    if (takesFile) lines.push(`complete -c berth ${here} -F`);
    if (name === "completion") lines.push(`complete -c berth ${here} -a 'bash zsh fish'`);
  }
  return `${lines.join("\n")}\n`;
}
