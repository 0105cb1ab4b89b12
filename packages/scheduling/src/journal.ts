import { decide } from "./decide.ts";
import { createClusterState } from "./create.ts";
import type { ClusterOptions, ClusterState } from "./state-types.ts";
import type { Decisions, Time } from "./types.ts";

/**
 * One line of a journal. `begin` is the first: what the state was made of. `matches` tells an answer of
 * `ClusterOptions.matches` before the call that asked for it. `call` is a method of the state that changes it, with its arguments
 * and the message of the error that it threw. `decide` has its input, the time, and all of its output.
 */
export type JournalEntry =
  | { begin: { version: 1; options: Omit<ClusterOptions, "matches"> } }
  | { matches: readonly [selector: string, nodeClass: string, answer: boolean] }
  | { call: string; with: readonly unknown[]; error?: string }
  | { decide: Time; decisions: Decisions };

/** How the names of all methods begin that change a state; the others only answer. */
const changing = /^(?:add|end|put|remove|resume|set|start|suspend|update)[A-Z]/;

export interface Journalled {
  state: ClusterState;
  /** `decide` on this state, written down. */
  decide: (now: Time) => Decisions;
}

/**
 * A state whose every input and every decision is handed to `writeLine`, in order, so that they can be played again (`replay` of
 * the simulator).
 */
export function createJournalledState(options: ClusterOptions, writeLine: (line: string) => void): Journalled {
  const { matches, ...begin } = options;
  const write = (entry: JournalEntry): void => writeLine(journalLine(entry));
  write({ begin: { version: 1, options: begin } });
  const state = createClusterState({
    ...options,
    ...(matches === undefined
      ? {}
      : {
          matches: (selector: string, nodeClass: string): boolean => {
            const answer = matches(selector, nodeClass);
            write({ matches: [selector, nodeClass, answer] });
            return answer;
          },
        }),
  });
  // A state calls its own methods too; only what came from outside is an input.
  let depth = 0;
  const within = <T>(work: () => T): T => {
    depth += 1;
    try {
      return work();
    } finally {
      depth -= 1;
    }
  };
  type Method = (...given: unknown[]) => unknown;
  const methods = state as unknown as Record<string, Method>;
  for (const name of methodNames(state)) {
    if (!changing.test(name)) continue;
    const original = methods[name]!.bind(state);
    methods[name] = (...given) => {
      if (depth > 0) return original(...given);
      try {
        const result = within(() => original(...given));
        write({ call: name, with: given });
        return result;
      } catch (error) {
        write({ call: name, with: given, error: (error as Error).message });
        throw error;
      }
    };
  }
  return {
    state,
    decide: (now) => {
      const decisions = within(() => decide(state, now));
      write({ decide: now, decisions });
      return decisions;
    },
  };
}

/** Of all classes that it is made of, the names of accessors left out. */
function methodNames(state: object): Set<string> {
  const names = new Set<string>();
  for (
    let at = Object.getPrototypeOf(state) as object;
    at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function") names.add(name);
    }
  }
  return names;
}

/**
 * An entry as one line of JSON, without its end. A field that is there and `undefined` is `null` (it removes something), and a
 * number that JSON has not is `{"number": "Infinity"}`.
 */
export function journalLine(entry: JournalEntry): string {
  return JSON.stringify(entry, (_, value: unknown) => {
    if (value === undefined) return null;
    return typeof value === "number" && !Number.isFinite(value) ? { number: String(value) } : value;
  });
}

/** What {@link journalLine} wrote. Throws SyntaxError where the line is no JSON. */
export function parseJournalLine(line: string): JournalEntry {
  return revived(JSON.parse(line)) as JournalEntry;
}

function revived(value: unknown): unknown {
  if (value === null) return undefined;
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(revived);
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]![0] === "number" && typeof entries[0]![1] === "string") {
    return Number(entries[0]![1]);
  }
  return Object.fromEntries(entries.map(([name, field]) => [name, revived(field)]));
}
