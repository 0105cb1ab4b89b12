/** What the end of a job means to whoever waited for it. */
import { parseIndexList, type Workload } from "@berth/kinds";

/**
 * The exit code of who waits for a job (sbatch --wait, berth run): the script's own, of an array the largest; 1 when a signal,
 * a limit or a request ended it.
 */
export function exitCodeOf({ spec, status }: Workload): number {
  if (status?.phase === "Succeeded") return 0;
  const code = status?.exitCode ?? 0;
  if (spec.array !== undefined) {
    const lists = status?.array;
    const otherEnds = [lists?.timedOut, lists?.outOfMemory, lists?.nodeFailed, lists?.cancelled];
    const signalled =
      otherEnds.some((list) => parseIndexList(list ?? "").size > 0) || ((lists?.failed ?? "") !== "" && code === 0);
    return Math.max(code, signalled ? 1 : 0);
  }
  if (status?.phase === "Failed" && (status.signal ?? 0) === 0 && code !== 0) return code;
  return 1;
}
