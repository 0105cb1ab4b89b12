/** `sacct`: what has run, from accounting, and what waits or runs. */
import {
  formatSacct,
  readSacctCommandLine,
  sacctFieldNames,
  sacctOptions,
  type AccountingRow,
  type JobSelector,
  type SacctQuery,
} from "@berth/slurm";
import { isFinal, parseIndexList } from "@berth/kinds";
import { userInfo } from "node:os";
import { readAttempts } from "../accounting.ts";
import { connect, type Cluster } from "../connect.ts";
import { livingJobs } from "../living-jobs.ts";
import { endedRow, livingRow } from "../rows/accounting-rows.ts";
import { withCluster } from "./contact.ts";
import { showText } from "./help.ts";
import { knownUsers } from "./users.ts";

const examples =
  "Examples:\n  sacct\n  sacct -j 42 --format=JobID,State,ExitCode,Elapsed,MaxRSS\n  sacct -X -n -P -S 2026-11-01 -s FAILED,TIMEOUT\n";
/** More attempts than this are not printed in one table. */
const largestAnswer = 1_000_000;

export async function sacct(words: string[]): Promise<number> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const query = readSacctCommandLine(words, nowSeconds, process.env);
  if (query.show !== undefined) return showText("sacct", query.show, sacctOptions, examples);
  if (query.helpFormat) {
    process.stdout.write(sacctFieldNames());
    return 0;
  }
  // Wrong columns are refused before anything is asked.
  formatSacct([], { ...query, nowSeconds });
  return await withCluster("sacct", async () => {
    const cluster = await connect();
    const names = await knownUsers("sacct", query.users);
    // Root is asked about everybody by -a only, as anybody is.
    const users = names ?? (query.allUsers ? undefined : [userInfo().username]);
    const rows = await rowsOf(cluster, query, users, nowSeconds);
    process.stdout.write(formatSacct(rows, { ...query, nowSeconds }));
    return 0;
  });
}

async function rowsOf(
  cluster: Cluster,
  query: SacctQuery,
  users: string[] | undefined,
  nowSeconds: number,
): Promise<AccountingRow[]> {
  // Of someone who may see only one namespace the API answers for that user by itself.
  const asked = cluster.namespace === undefined ? users : undefined;
  const [ended, living] = await Promise.all([
    readAttempts(cluster, {
      ...(query.jobs === undefined ? {} : { job: query.jobs.map(({ job }) => String(job)) }),
      ...(asked === undefined ? {} : { user: asked }),
      since: rfc3339(query.startSeconds),
      until: rfc3339(query.endSeconds),
      limit: largestAnswer,
    }),
    livingJobs(cluster, nowSeconds),
  ]);
  const all = ended.map(endedRow);
  const known = new Set(all.map(keyOf));
  for (const { row, workload } of living) {
    if (isFinal(workload.status?.phase)) continue;
    const alive = livingRow(row);
    if (!known.has(keyOf(alive)) && (query.endSeconds === undefined || (alive.submitTime ?? 0) <= query.endSeconds))
      all.push(alive);
  }
  const shown = all.filter((row) => isShown(row, query, users));
  const latest = query.duplicates ? shown : withoutEarlierAttempts(shown);
  return latest.sort(
    (a, b) =>
      (a.arrayJobId ?? a.jobId) - (b.arrayJobId ?? b.jobId) || firstTask(a) - firstTask(b) || a.attempt - b.attempt,
  );
}

function isShown(row: AccountingRow, query: SacctQuery, users: string[] | undefined): boolean {
  const matches = (wanted: readonly string[] | undefined, value: string): boolean =>
    wanted === undefined || wanted.includes(value);
  return (
    matches(users, row.user) &&
    matches(query.accounts, row.account) &&
    matches(query.partitions, row.partition) &&
    matches(query.qos, row.qos) &&
    matches(query.jobNames, row.jobName) &&
    matches(query.states, row.state) &&
    (query.nodes === undefined || row.nodes.some((node) => query.nodes!.includes(node))) &&
    (query.jobs === undefined || query.jobs.some((job) => isNamed(row, job)))
  );
}

function isNamed(row: AccountingRow, { job, tasks }: JobSelector): boolean {
  if (tasks === undefined) return row.jobId === job || row.arrayJobId === job;
  if (row.arrayJobId !== job) return false;
  const wanted = parseIndexList(tasks);
  if (row.arrayTaskId !== undefined) return wanted.has(row.arrayTaskId);
  return row.arrayTasks !== undefined && parseIndexList(row.arrayTasks).intersect(wanted).size > 0;
}

function keyOf(row: AccountingRow): string {
  return `${row.jobId} ${row.arrayTaskId ?? row.arrayTasks ?? ""} ${row.attempt}`;
}

/** Of each job and element the last attempt. */
function withoutEarlierAttempts(rows: readonly AccountingRow[]): AccountingRow[] {
  const last = new Map<string, AccountingRow>();
  for (const row of rows) {
    const key = `${row.jobId} ${row.arrayTaskId ?? row.arrayTasks ?? ""}`;
    if (row.attempt >= (last.get(key)?.attempt ?? -1)) last.set(key, row);
  }
  return [...last.values()];
}

function firstTask(row: AccountingRow): number {
  return row.arrayTaskId ?? parseIndexList(row.arrayTasks ?? "").first() ?? -1;
}

function rfc3339(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : new Date(seconds * 1000).toISOString();
}
