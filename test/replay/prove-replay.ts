/** The full size of the replay: the first jobs of KTH-SP2, each figure and each start compared. */
import { replay } from "@berth/simulator";
import { readTrace } from "../support/traces.ts";
import { replayTrace, type ReplayFigures } from "./replay-trace.ts";

export async function proveReplay(
  jobs: number,
): Promise<ReplayFigures & { journal: { lines: number; decisions: number; differences: number } }> {
  const trace = readTrace("KTH-SP2", 100);
  if (trace === undefined) throw new Error("../shared/traces/KTH-SP2.swf.gz is not here");
  const lines: string[] = [];
  const figures = await replayTrace({
    jobs: trace.jobs.slice(0, jobs),
    processors: 100,
    journal: (line) => lines.push(line),
  });
  for (const [name, difference] of Object.entries(figures.differences)) {
    if (difference > 0.005) throw new Error(`${name} differs by ${difference}: ${JSON.stringify(figures)}`);
  }
  const { decisions, differences } = replay(lines, { goOn: true });
  if (differences.length > 0) throw new Error(`the journal does not play again: ${JSON.stringify(differences[0])}`);
  return { ...figures, journal: { lines: lines.length, decisions, differences: differences.length } };
}
