/** `berth simulate generate`: synthetic workloads in the Standard Workload Format. */
import { formatTrace, kueueShape, lublinFeitelson } from "@berth/simulator";
import { writeFileSync } from "node:fs";
import { CommandError } from "../command-error.ts";
import { kueueSite } from "../simulation/kueue-site.ts";

export interface GenerateOptions {
  jobs: string;
  processors: string;
  seed: string;
  load: string;
  site?: string;
}

export function generateWorkload(model: string, options: GenerateOptions): number {
  const seed = whole("--seed", options.seed, 0);
  if (model === "kueue") {
    const { jobs, processors } = kueueShape({ seed });
    if (options.site !== undefined) writeSite(options.site);
    const note =
      "shape of Kueue's scheduler performance test (baseline), ten times as slow: user is the cluster queue, group its cohort, queue a class of a cohort";
    process.stdout.write(
      formatTrace(jobs, { Version: 2.2, MaxProcs: processors, MaxJobs: jobs.length, Note: `${note}; seed ${seed}` }),
    );
    return 0;
  }
  if (model !== "lublin-feitelson") throw new CommandError(`model ${model}: there are lublin-feitelson and kueue`);
  if (options.site !== undefined)
    throw new CommandError("--site: only kueue brings a site; examples/simulate/site.yaml is one for lublin-feitelson");
  const processors = whole("--processors", options.processors, 1);
  const load = Number(options.load);
  if (!(load > 0 && load <= 1000))
    throw new CommandError(`--load ${options.load}: this must be a number above 0, up to 1000`);
  const jobs = lublinFeitelson({ jobs: whole("--jobs", options.jobs, 1), processors, seed, load });
  process.stdout.write(
    formatTrace(jobs, {
      Version: 2.2,
      MaxProcs: processors,
      MaxJobs: jobs.length,
      Note: `model of Lublin and Feitelson (JPDC 63, 2003), estimates between 1 and 5 times the run time; seed ${seed}, load ${load}`,
    }),
  );
  return 0;
}

function writeSite(path: string): void {
  try {
    writeFileSync(path, kueueSite());
  } catch (error) {
    throw new CommandError(`--site ${path} cannot be written: ${(error as Error).message}`);
  }
}

function whole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least) return value;
  throw new CommandError(`${option} ${text}: this must be a whole number from ${least}`);
}
