/** `squeue`: jobs that wait or run. */
import {
  activeJobStates,
  expandArrayRow,
  formatSqueue,
  readSqueueCommandLine,
  selectJobs,
  SlurmError,
  sortJobs,
  squeueOptions,
  type JobRow,
  type SqueueQuery,
} from "@berth/slurm";
import { userInfo } from "node:os";
import { connect, type Cluster } from "../connect.ts";
import { livingJobs } from "../living-jobs.ts";
import { queuedJobs } from "../queued-jobs.ts";
import { withCluster } from "./contact.ts";
import { showText } from "./help.ts";
import { knownUsers } from "./users.ts";

const examples = "Examples:\n  squeue --me\n  squeue -j 42,43 -o '%i %T %r'\n  squeue --start -t PENDING\n";

export async function squeue(words: string[]): Promise<number> {
  const query = readSqueueCommandLine(words, process.env);
  if (query.show !== undefined) return showText("squeue", query.show, squeueOptions, examples);
  return await withCluster("slurm_load_jobs", async () => {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const users = query.me ? [userInfo().username] : await knownUsers("squeue", query.users);
    const all = await rowsOf(await connect(), { ...query, users }, nowSeconds);
    const shown = selectJobs(all, { ...query, users });
    // Named jobs that nobody knows are an error only when none of them is known.
    if (query.jobs !== undefined && selectJobs(all, { jobs: query.jobs }).length === 0)
      throw new SlurmError(1, "slurm_load_jobs error: Invalid job id specified");
    const rows = sortJobs(query.array ? shown.flatMap(expandArrayRow) : shown, query.sort, query.start);
    process.stdout.write(formatSqueue(rows, { ...query, nowSeconds }));
    return 0;
  });
}

/** What the scheduler tells of all jobs; and of those that have ended, which it knows no more, what the API still has. */
async function rowsOf(cluster: Cluster, query: SqueueQuery, nowSeconds: number): Promise<JobRow[]> {
  const { jobs, users, partitions, accounts, states } = query;
  const phases = states?.length === 1 && states[0] === "PENDING" ? ["Pending"] : undefined;
  const selection = { jobs: jobs?.map(({ job }) => job), users, queues: partitions, accounts, phases };
  const queued = await queuedJobs(cluster, nowSeconds, selection);
  const mayHaveEnded =
    states === undefined ||
    states.some((state) => !activeJobStates.includes(state)) ||
    (jobs !== undefined && queued !== undefined && selectJobs(queued, { jobs }).length === 0);
  if (queued !== undefined && !mayHaveEnded) return queued;
  const known = (await livingJobs(cluster, nowSeconds)).map(({ row }) => row);
  return queued === undefined ? known : [...queued, ...known.filter(({ state }) => !activeJobStates.includes(state))];
}
