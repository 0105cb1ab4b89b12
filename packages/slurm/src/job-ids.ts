/** Ids of jobs and of elements of arrays, as Slurm's commands print them. */
import { parseIndexList } from "@berth/kinds";

/** Longest list of packed indices that is printed whole; Slurm's SLURM_BITSTR_LEN. */
const longestTaskList = 64;
/** More than these are not written out: the list is cut long before. */
const mostWritten = 1000;

/** An index list without steps, `1,3,5-7`, as Slurm prints one. */
export function plainTasks(text: string): string {
  if (!text.includes(":")) return text;
  const parts: string[] = [];
  let first: number | undefined;
  let last: number | undefined;
  const close = (): void => {
    if (first !== undefined) parts.push(first === last ? `${first}` : `${first}-${last}`);
  };
  for (const index of parseIndexList(text)) {
    if (last !== undefined && index === last + 1) last = index;
    else {
      close();
      first = last = index;
    }
    if (parts.length > mostWritten) break;
  }
  close();
  return parts.join(",");
}

/** `348`, `348_0`, or the packed rest of an array, `348_[2-4,6,9%2]`. */
export function formatJobId(row: {
  jobId: number;
  arrayJobId?: number;
  arrayTaskId?: number;
  arrayTasks?: string;
  arrayMaxRunning?: number;
}): string {
  if (row.arrayTasks !== undefined) {
    const list = plainTasks(row.arrayTasks);
    const tasks = list.length > longestTaskList ? `${list.slice(0, longestTaskList)}...` : list;
    return `${row.arrayJobId}_[${tasks}${row.arrayMaxRunning ? `%${row.arrayMaxRunning}` : ""}]`;
  }
  return row.arrayTaskId === undefined ? String(row.jobId) : `${row.arrayJobId}_${row.arrayTaskId}`;
}
