/** What the command lines of squeue, scancel, sinfo and sacct have in common. */
import { parseArguments, type ParsedOption } from "./arguments.ts";
import { SlurmError } from "./errors.ts";
import { expandHostlist } from "./hostlist.ts";
import type { OptionDefinition } from "./options.ts";
import type { JobState } from "./states.ts";

/** A job as users name it: `348`, `348_3`, `348_[3-5]`, `348.batch`. */
export interface JobSelector {
  job: number;
  /** Indices of an array, as an index list. */
  tasks?: string;
  /** `batch`, or the number of a step. */
  step?: string;
}

/** Reads one selector; undefined where it is none. */
export function parseJobSelector(text: string): JobSelector | undefined {
  const match = /^(\d{1,15})(?:_(?:(\d{1,9})|\[([\d,:-]+)(?:%\d+)?\]|\*))?(?:[.+](batch|extern|\d+))?$/.exec(
    text.trim(),
  );
  if (!match) return undefined;
  const tasks = match[2] ?? match[3];
  return {
    job: Number(match[1]),
    ...(tasks !== undefined && { tasks }),
    ...(match[4] !== undefined && { step: match[4] }),
  };
}

/** Splits at commas that are not in brackets, and reads each. @throws SlurmError 1 with the program's words */
export function jobSelectors(text: string, refuse: (word: string) => SlurmError): JobSelector[] {
  return (text.match(/(?:[^,[]|\[[^\]]*\])+/g) ?? []).map((word) => {
    const selector = parseJobSelector(word);
    if (!selector) throw refuse(word.trim());
    return selector;
  });
}

export type Shown = "help" | "usage" | "version";

export interface Common {
  show?: Shown;
  noHeader: boolean;
  format?: string;
  names?: string;
  long: boolean;
  /** Lines for standard error: what was accepted without effect. */
  notes: string[];
}

/** Reads options, refuses those not honoured, and hands each of the others on. */
export function read(
  words: readonly string[],
  table: readonly OptionDefinition[],
  program: string,
): { given: Map<string, string>; operands: string[] } {
  const { options, operands } = parseArguments(words, table, program, false, 1);
  const given = new Map<string, string>();
  for (const { definition, value } of options) {
    if (definition.status === "refused") throw refusedOption({ definition });
    // Names and jobs may be given in several options; the rest is what was said last.
    const before = given.get(definition.name);
    const adds = before !== undefined && before !== "" && ["jobs", "user", "uid", "states"].includes(definition.name);
    given.set(definition.name, adds ? `${before},${value ?? ""}` : (value ?? ""));
  }
  return { given, operands };
}

function refusedOption({ definition }: ParsedOption): SlurmError {
  return new SlurmError(1, `error: --${definition.name} is known to Slurm but not yet honoured by Berth`);
}

export function shown(given: Map<string, string>): { show?: Shown } {
  const show = (["help", "usage", "version"] as const).find((name) => given.has(name));
  return show ? { show } : {};
}

export function names(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const list = text.split(",").map((name) => name.trim());
  return list.filter((name) => name !== "");
}

export function hosts(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  try {
    return expandHostlist(text);
  } catch (error) {
    throw new SlurmError(1, `error: ${(error as Error).message}`);
  }
}

export function put<T extends object>(target: T, values: Partial<T>): T {
  for (const [key, value] of Object.entries(values)) if (value !== undefined) Object.assign(target, { [key]: value });
  return target;
}

/** What of a table squeue and scancel take: rows that fit every filter that is given. */
export interface JobFilter {
  jobs?: readonly JobSelector[];
  users?: readonly string[];
  states?: readonly JobState[];
  partitions?: readonly string[];
  accounts?: readonly string[];
  qos?: readonly string[];
  jobNames?: readonly string[];
  nodes?: readonly string[];
}
