/** Two observations against the list of known differences. */
import type { Observation } from "./case.ts";

/** A difference that is known, with its reason. */
export interface Known {
  /** Names of cases; `*` for all. A last `*` stands for any rest. */
  cases: string[];
  /** What was looked at; a last `*` stands for any rest. */
  keys: string[];
  reason: string;
}

export interface Difference {
  case: string;
  key: string;
  slurm: string | undefined;
  berth: string | undefined;
}

/** Standard error: what Slurm says must be there, line for line; what Berth says beyond it explains. */
function saysAll(slurm: string, berth: string): boolean {
  const own = berth.split("\n").map((line) => line.trim());
  let from = 0;
  for (const line of slurm.split("\n").map((text) => text.trim())) {
    if (line === "") continue;
    const at = own.indexOf(line, from);
    if (at < 0) return false;
    from = at + 1;
  }
  return true;
}

/** What is not the same, of all that either looked at. */
export function differences(name: string, slurm: Observation, berth: Observation): Difference[] {
  const found: Difference[] = [];
  // What one of them refused has nothing else to compare.
  const isRefusedByOne = slurm["sbatch code"] !== berth["sbatch code"];
  for (const key of new Set([...Object.keys(slurm), ...Object.keys(berth)])) {
    if (isRefusedByOne && key !== "sbatch code") continue;
    const [theirs, ours] = [slurm[key], berth[key]];
    if (theirs === ours) continue;
    if (key.endsWith("stderr") && saysAll(theirs ?? "", ours ?? "")) continue;
    found.push({ case: name, key, slurm: theirs, berth: ours });
  }
  return found;
}

const fits = (pattern: string, text: string): boolean =>
  pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : pattern === text;

export interface Verdict {
  /** Differences that no entry explains. */
  unlisted: Difference[];
  /** Entries, with the cases or keys of them, that explain nothing any more. */
  gone: string[];
  /** How many cases are equal in all, and how many differ with reason. */
  equal: number;
  different: number;
}

/** @param isWhole all cases were played; else only those entries must explain something whose cases are among them */
export function judge(
  played: ReadonlyMap<string, readonly Difference[]>,
  known: readonly Known[],
  isWhole: boolean,
): Verdict {
  const used = new Map(known.map((entry) => [entry, { cases: new Set<string>(), keys: new Set<string>() }]));
  const unlisted: Difference[] = [];
  let different = 0;
  for (const found of played.values()) {
    if (found.length > 0) different += 1;
    for (const difference of found) {
      let explained = false;
      for (const entry of known) {
        const isCase = entry.cases.find((pattern) => fits(pattern, difference.case));
        const isKey = entry.keys.find((pattern) => fits(pattern, difference.key));
        if (isCase === undefined || isKey === undefined) continue;
        explained = true;
        used.get(entry)!.cases.add(isCase);
        used.get(entry)!.keys.add(isKey);
      }
      if (!explained) unlisted.push(difference);
    }
  }
  const gone: string[] = [];
  const names = [...played.keys()];
  for (const [entry, { cases, keys }] of used) {
    const isPlayed = (pattern: string): boolean => names.some((name) => fits(pattern, name));
    const due = entry.cases.filter((pattern) => isWhole || (!pattern.endsWith("*") && isPlayed(pattern)));
    const areKeysDue = due.length === entry.cases.length;
    const left = [
      ...due.filter((pattern) => !cases.has(pattern)),
      ...entry.keys.filter((pattern) => areKeysDue && !keys.has(pattern)),
    ];
    if (left.length > 0) gone.push(`"${left.join('", "')}" of: ${entry.reason}`);
  }
  return { unlisted, gone, equal: played.size - different, different };
}

export function describe({ case: name, key, slurm, berth }: Difference): string {
  const text = (value: string | undefined): string => (value === undefined ? "(none)" : JSON.stringify(value));
  return `${name} · ${key}\n    slurm ${text(slurm)}\n    berth ${text(berth)}`;
}
