/** Which variables of the submitter a job gets. */

/** What the job itself is told anew: an enclosing job's values must not reach it. */
const jobsOwn =
  /^(SLURM_(JOB|ARRAY|STEP|TASK|NODE|NNODES$|NTASKS|NPROCS$|CPUS_|MEM_PER_|GPUS|SUBMIT_|PROCID$|LOCALID$|GTIDS$|RESTART_COUNT$|CLUSTER_NAME$|PRIO_PROCESS$|TOPOLOGY_|WORKING_CLUSTER$|CONF$|EXPORT_ENV$|GET_USER_ENV$|LAUNCH_NODE|SRUN_COMM|UMASK$|DISTRIBUTION$|OOM_KILL_STEP$|HET_)|SLURMD_|BERTH_(JOB_ID|TASK|ATTEMPT|WORKLOAD|NAMESPACE|POD_)|ENVIRONMENT$|HOSTNAME$|_$)/;

/**
 * The environment that `--export` asks for.
 * @param specification `ALL` (also when absent), `NONE`, or a list of names and `NAME=value`, with or without `ALL`
 * @param user whose login environment (HOME, SHELL, a plain PATH) stands in where `ALL` is not said
 */
export function exportedEnvironment(
  environment: Record<string, string | undefined>,
  specification: string | undefined,
  user: string,
): Record<string, string> {
  const result: Record<string, string> = {};
  const words = specification === undefined ? ["ALL"] : splitList(specification);
  const all = words.some((word) => word.toUpperCase() === "ALL");
  if (all) {
    for (const [name, value] of Object.entries(environment)) {
      if (value !== undefined && name !== "" && !jobsOwn.test(name)) result[name] = value;
    }
  } else {
    result.HOME = environment.HOME ?? "/";
    result.SHELL = environment.SHELL ?? "/bin/sh";
    result.USER = user;
    result.LOGNAME = user;
    result.PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
  }
  for (const word of words) {
    if (/^(ALL|NONE|NIL)$/i.test(word)) continue;
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? environment[name] : word.slice(equals + 1);
    if (value !== undefined && name !== "") result[name] = value;
  }
  if (specification !== undefined && !/^ALL$/i.test(specification)) {
    result.SLURM_EXPORT_ENV = specification;
    result.SLURM_GET_USER_ENV = "1";
  }
  return result;
}

/** Splits at commas that are not in quotes, and takes the quotes off. */
function splitList(text: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (const character of text) {
    if (quote !== "") {
      if (character === quote) quote = "";
      else word += character;
    } else if (character === "'" || character === '"') quote = character;
    else if (character === ",") {
      words.push(word);
      word = "";
    } else word += character;
  }
  words.push(word);
  return words.filter((entry) => entry !== "");
}
