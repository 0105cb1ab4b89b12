/** Command lines as getopt_long reads them. */
import { SlurmError } from "./errors.ts";
import type { OptionDefinition } from "./options.ts";

export interface ParsedOption {
  definition: OptionDefinition;
  /** Absent where the option takes none, or an optional one was not given. */
  value?: string;
}

export interface ParsedArguments {
  options: ParsedOption[];
  /** What is no option; with `stopAtOperand` the first of them and everything behind it. */
  operands: string[];
}

/**
 * Reads options: `-N3`, `-N 3`, `-HQ`, `--nodes=3`, `--nodes 3`, unambiguous beginnings of long names, `--` as the end of
 * options. Optional values only stand attached (`--nice=5`, `--exclusive=user`).
 * @param stopAtOperand the first word that is no option ends the options (sbatch: the script, and what is for it)
 * @throws SlurmError with getopt's words and the hint to --help
 */
export function parseArguments(
  words: readonly string[],
  table: readonly OptionDefinition[],
  program: string,
  stopAtOperand: boolean,
  usageExitCode = 255,
): ParsedArguments {
  const options: ParsedOption[] = [];
  const operands: string[] = [];
  const fail = (message: string) =>
    new SlurmError(usageExitCode, `: ${message}`, `Try "${program} --help" for more information`);
  let at = 0;
  while (at < words.length) {
    const word = words[at++]!;
    if (word === "--") {
      operands.push(...words.slice(at));
      break;
    }
    if (word === "-" || !word.startsWith("-")) {
      if (stopAtOperand) {
        operands.push(...words.slice(at - 1));
        break;
      }
      operands.push(word);
      continue;
    }
    if (word.startsWith("--")) {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
      const attached = equals < 0 ? undefined : word.slice(equals + 1);
      const definition = findLong(name, table, word, fail);
      if (definition.value === "none") {
        if (attached !== undefined) throw fail(`option '--${definition.name}' doesn't allow an argument`);
        options.push({ definition });
      } else if (attached !== undefined) options.push({ definition, value: attached });
      else if (definition.value === "optional") options.push({ definition });
      else if (at < words.length) options.push({ definition, value: words[at++]! });
      else throw fail(`option '--${definition.name}' requires an argument`);
      continue;
    }
    for (let letter = 1; letter < word.length; letter++) {
      const definition = table.find((candidate) => candidate.short === word[letter]);
      if (!definition) throw fail(`invalid option -- '${word[letter]}'`);
      if (definition.value === "none") {
        options.push({ definition });
        continue;
      }
      const rest = word.slice(letter + 1);
      if (rest !== "") options.push({ definition, value: rest });
      else if (definition.value === "optional") options.push({ definition });
      else if (at < words.length) options.push({ definition, value: words[at++]! });
      else throw fail(`option requires an argument -- '${word[letter]}'`);
      break;
    }
  }
  return { options, operands };
}

function findLong(
  name: string,
  table: readonly OptionDefinition[],
  word: string,
  fail: (message: string) => SlurmError,
): OptionDefinition {
  const candidates = new Map<string, OptionDefinition>();
  for (const definition of table) {
    for (const candidate of [definition.name, ...(definition.aliases ?? [])]) {
      if (candidate === name) return definition;
      if (candidate.startsWith(name)) candidates.set(candidate, definition);
    }
  }
  const definitions = new Set(candidates.values());
  if (definitions.size === 1) return [...definitions][0]!;
  if (definitions.size === 0) throw fail(`unrecognized option '${word}'`);
  const possibilities = [...candidates.keys()].map((candidate) => ` '--${candidate}'`).join("");
  throw fail(`option '${word}' is ambiguous; possibilities:${possibilities}`);
}
