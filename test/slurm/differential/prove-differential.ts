/** All cases against real Slurm, counted. */
import { describe, playBoth } from "./play.ts";

export async function proveDifferential(): Promise<object> {
  const { verdict, cases, kinds } = await playBoth("Whole");
  if (verdict.unlisted.length > 0 || verdict.gone.length > 0)
    throw new Error([...verdict.unlisted.map(describe), ...verdict.gone].join("\n"));
  const { equal, different } = verdict;
  return { cases, equal, differentWithReason: different, unlisted: 0, byKind: kinds };
}
