/** `sprio`: the priorities of jobs that wait, by their factors. */
import { siteName, sites, type Site } from "@berth/kinds";
import {
  formatSprio,
  hasPriority,
  readSprioCommandLine,
  selectJobs,
  SlurmError,
  sprioOptions,
  type PriorityWeightsByName,
} from "@berth/slurm";
import { connect } from "../connect.ts";
import { queuedJobs } from "../queued-jobs.ts";
import { withCluster } from "./contact.ts";
import { showText } from "./help.ts";
import { knownUsers } from "./users.ts";

const examples = "Examples:\n  sprio -l\n  sprio -j 42 -n\n  sprio -w\n  sprio -S -Y -o '%i %u %Y %A %F'\n";

export async function sprio(words: string[]): Promise<number> {
  const query = readSprioCommandLine(words);
  if (query.show !== undefined) return showText("sprio", query.show, sprioOptions, examples);
  // Wrong columns are refused before anything is asked.
  formatSprio([], query, {});
  return await withCluster("slurm_load_jobs", async () => {
    const cluster = await connect();
    const users = await knownUsers("sprio", query.users);
    const site = await cluster.client.get<Site>(sites, siteName).catch(() => undefined);
    const weights: PriorityWeightsByName = { ...site?.spec.priority?.weights };
    if (!Object.values(weights).some((weight) => (weight ?? 0) > 0))
      process.stderr.write(
        "sprio: note: the site weighs no factor, so jobs are taken in the order of their submission, nice apart (kubectl explain site.spec.priority)\n",
      );
    if (query.weights) {
      process.stdout.write(formatSprio([], query, weights));
      return 0;
    }
    const { partitions, jobs } = query;
    const selection = { jobs: jobs?.map(({ job }) => job), users, queues: partitions, phases: ["Pending"] };
    const rows = await queuedJobs(cluster, Math.floor(Date.now() / 1000), selection);
    if (rows === undefined) throw new SlurmError(1, "error: the scheduler of this cluster does not tell priorities");
    const shown = selectJobs(rows.filter(hasPriority), { users, jobs, partitions });
    if (shown.length === 0 && (users ?? jobs) !== undefined)
      process.stderr.write("Unable to find jobs matching user/id(s) specified\n");
    process.stdout.write(formatSprio(shown, { ...query, users }, weights));
    return 0;
  });
}
