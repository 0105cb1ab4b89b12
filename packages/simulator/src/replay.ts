import { createClusterState, decide, journalLine, parseJournalLine } from "@berth/scheduling";
import type { ClusterState, JournalEntry } from "@berth/scheduling";

export interface Replay {
  /** Calls that changed the state, and decisions, that were played. */
  calls: number;
  decisions: number;
  /** States that were begun: a journal goes on over restarts. */
  states: number;
  /** Where what was played is not what was written, in order. */
  differences: ReplayDifference[];
  /** Lines that are none of a journal. */
  broken: { line: number; problem: string }[];
}

export interface ReplayDifference {
  /** Line in the journal, from 1. */
  line: number;
  recorded: string;
  replayed: string;
}

/**
 * Plays a journal (`createJournalledState` of scheduling) again, each line compared with what was written then, character by
 * character. Ends at the first difference unless told to go on, as all after it may follow from it.
 */
export function replay(lines: Iterable<string>, options: { goOn?: boolean } = {}): Replay {
  const result: Replay = { calls: 0, decisions: 0, states: 0, differences: [], broken: [] };
  const answers = new Map<string, boolean>();
  let state: ClusterState | undefined;
  let line = 0;
  const compare = (recorded: string, entry: JournalEntry): boolean => {
    const replayed = journalLine(entry);
    if (replayed === recorded) return true;
    result.differences.push({ line, recorded, replayed });
    return options.goOn === true;
  };
  for (const text of lines) {
    line += 1;
    const recorded = text.trim();
    if (recorded === "") continue;
    const entry = entryOf(recorded);
    if (typeof entry === "string") {
      result.broken.push({ line, problem: entry });
      continue;
    }
    if ("begin" in entry) {
      answers.clear();
      result.states += 1;
      state = createClusterState({
        ...entry.begin.options,
        matches: (selector, nodeClass) => answers.get(JSON.stringify([selector, nodeClass])) ?? true,
      });
    } else if ("matches" in entry) {
      const [selector, nodeClass, answer] = entry.matches;
      answers.set(JSON.stringify([selector, nodeClass]), answer);
    } else if (state === undefined) {
      result.broken.push({ line, problem: "it stands before the first `begin`" });
    } else if ("call" in entry) {
      result.calls += 1;
      if (!compare(recorded, call(state, entry))) return result;
    } else {
      result.decisions += 1;
      if (!compare(recorded, { decide: entry.decide, decisions: decide(state, entry.decide) })) return result;
    }
  }
  return result;
}

function entryOf(line: string): JournalEntry | string {
  let entry: Partial<Record<string, unknown>> | undefined;
  try {
    entry = parseJournalLine(line) as Partial<Record<string, unknown>> | undefined;
  } catch {
    return "it is no JSON";
  }
  if (typeof entry !== "object") return "it is no object";
  if (typeof entry["begin"] === "object") {
    const { version } = entry["begin"] as { version?: unknown };
    return version === 1
      ? (entry as JournalEntry)
      : `version ${String(version)} of the format is not known; this reads 1`;
  }
  if (Array.isArray(entry["matches"])) return entry as JournalEntry;
  if (typeof entry["call"] === "string" && Array.isArray(entry["with"])) return entry as JournalEntry;
  if (typeof entry["decide"] === "number") return entry as JournalEntry;
  return "it has none of `begin`, `matches`, `call` and `decide`";
}

function call(state: ClusterState, entry: Extract<JournalEntry, { call: string }>): JournalEntry {
  const { call: name, with: given } = entry;
  const method = (state as unknown as Record<string, ((...given: unknown[]) => unknown) | undefined>)[name];
  if (typeof method !== "function") return { call: name, with: given, error: `there is no ${name}` };
  try {
    method.apply(state, given as unknown[]);
    return { call: name, with: given };
  } catch (error) {
    return { call: name, with: given, error: (error as Error).message };
  }
}
