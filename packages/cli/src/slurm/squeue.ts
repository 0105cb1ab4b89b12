/** `squeue`: jobs that wait or run. */
import {
  expandArrayRow,
  formatSqueue,
  readSqueueCommandLine,
  selectJobs,
  SlurmError,
  sortJobs,
  squeueOptions,
} from "@berth/slurm";
import { userInfo } from "node:os";
import { connect } from "../connect.ts";
import { livingJobs } from "../living-jobs.ts";
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
    const all = (await livingJobs(await connect(), nowSeconds)).map(({ row }) => row);
    const shown = selectJobs(all, { ...query, users });
    // Named jobs that nobody knows are an error only when none of them is known.
    if (query.jobs !== undefined && selectJobs(all, { jobs: query.jobs }).length === 0)
      throw new SlurmError(1, "slurm_load_jobs error: Invalid job id specified");
    const rows = sortJobs(query.array ? shown.flatMap(expandArrayRow) : shown, query.sort, query.start);
    process.stdout.write(formatSqueue(rows, { ...query, nowSeconds }));
    return 0;
  });
}
