/** Batch scripts: what may be one, and the #SBATCH lines of its head. */
import { SlurmError, submissionFailed, refusals } from "./errors.ts";

/** Largest script, bytes. */
export const maximumScriptBytes = 4 * 1024 ** 2;

/** The script that `--wrap=COMMAND` stands for. */
export function wrapScript(command: string): string {
  return `#!/bin/sh\n# This script was created by sbatch --wrap.\n\n${command}\n`;
}

/** The refusal of a script that is not there or may not be read. */
export function cannotOpen(path: string): SlurmError {
  return new SlurmError(1, `error: Unable to open file ${path}`);
}

/**
 * Refuses what cannot be a batch script: empty, only blanks, without `#!`, with NUL bytes, with DOS line ends, too long.
 * @throws SlurmError 1
 */
export function checkScript(script: Uint8Array): void {
  if (script.length === 0) throw new SlurmError(1, "error: Batch script is empty!");
  const isBlank = (byte: number) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
  if (script.every(isBlank)) throw new SlurmError(1, "error: Batch script contains only whitespace!");
  if (script[0] !== 0x23 || script[1] !== 0x21) {
    throw new SlurmError(
      1,
      "error: This does not look like a batch script.  The first",
      "error: line must start with #! followed by the path to an interpreter.",
      "error: For instance: #!/bin/sh",
    );
  }
  if (script.includes(0)) {
    throw new SlurmError(
      1,
      "error: The Slurm controller does not allow scripts that",
      "error: contain a NULL character '\\0'.",
    );
  }
  for (let at = script.indexOf(0x0d); at >= 0; at = script.indexOf(0x0d, at + 1)) {
    if (script[at + 1] === 0x0a) {
      throw new SlurmError(
        1,
        "error: Batch script contains DOS line breaks (\\r\\n)",
        "error: instead of expected UNIX line breaks (\\n).",
      );
    }
  }
  if (script.length > maximumScriptBytes) throw submissionFailed(refusals.tooLong);
}

export interface Directive {
  /** From 1. */
  line: number;
  words: string[];
}

export interface ScriptHead {
  directives: Directive[];
  /** Lines for another batch system (`#PBS`), which Berth does not read. */
  foreignLines: number;
}

/**
 * The directives of a script: lines that start in column 0 with `#SBATCH`, up to the first line that is neither blank nor a
 * comment.
 * @param name of the script, for errors
 * @throws SlurmError 1: an unmatched quote, a word that starts with `:`, the start of another job component
 */
export function readScriptHead(script: string, name: string): ScriptHead {
  const directives: Directive[] = [];
  let foreignLines = 0;
  let number = 0;
  let start = 0;
  while (start < script.length) {
    const end = script.indexOf("\n", start);
    const line = script.slice(start, end < 0 ? script.length : end);
    start = end < 0 ? script.length : end + 1;
    number++;
    if (line.startsWith("#SBATCH")) {
      const words = splitDirective(line.slice(7), name, number);
      if (words[0] === "hetjob" || words[0] === "packjob") {
        throw new SlurmError(
          1,
          `error: ${name}: line ${number}: jobs of several components (${words[0]}) are known to Slurm but not yet honoured by Berth`,
        );
      }
      if (words.length > 0) directives.push({ line: number, words });
      continue;
    }
    if (line.startsWith("#PBS")) foreignLines++;
    const text = line.trimStart();
    if (text !== "" && !text.startsWith("#")) break;
  }
  return { directives, foreignLines };
}

/**
 * Splits a directive into words: blanks part them, `"` and `'` quote, `\` takes the next character as it is, an unquoted `#`
 * ends the line, also within a word. Nothing is expanded.
 */
function splitDirective(text: string, name: string, line: number): string[] {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && /\s/.test(text[at]!)) at++;
    if (at >= text.length || text[at] === "#") return words;
    const rest = text.slice(at);
    if (text[at] === ":") {
      throw new SlurmError(1, `fatal: ${name}: line ${line}: Unexpected \`:\` in [${rest}]`);
    }
    let word = "";
    let quote = "";
    let ended = false;
    for (; at < text.length && !ended; at++) {
      const character = text[at]!;
      if (character === "\\" && at + 1 < text.length) word += text[++at]!;
      else if (quote !== "") {
        if (character === quote) quote = "";
        else word += character;
      } else if (character === '"' || character === "'") quote = character;
      else if (character === "#") {
        words.push(word);
        return words;
      } else if (/\s/.test(character)) ended = true;
      else word += character;
    }
    if (quote !== "") {
      throw new SlurmError(1, `fatal: ${name}: line ${line}: Unmatched \`${quote}\` in [${rest}]`);
    }
    words.push(word);
  }
}
