/** What sbatch can be told: every option that Slurm knows, as data. */

export interface OptionDefinition {
  /** Long name, without dashes. */
  name: string;
  /** Other long names of the same, some of them Slurm's old ones. */
  aliases?: readonly string[];
  /** Short name, one letter. */
  short?: string;
  value: "none" | "required" | "optional";
  /** Environment variable that gives the value where neither directive nor command line does. */
  environment?: string;
  /**
   * `honoured`: does what Slurm's does. `accepted`: read and checked, without effect here. `refused`: known to Slurm, not yet
   * honoured by Berth, and an error.
   */
  status: "honoured" | "accepted" | "refused";
  /** Of `accepted` ones: said on standard error, where a user would expect an effect. Of `refused` ones: more words. */
  note?: string;
}

type Status = OptionDefinition["status"];
type Extras = Partial<Pick<OptionDefinition, "short" | "environment" | "note" | "aliases">>;

function option(status: Status, name: string, value: OptionDefinition["value"], extras: Extras = {}): OptionDefinition {
  return { name, value, status, ...extras };
}

const honoured: OptionDefinition[] = [
  option("honoured", "account", "required", { short: "A", environment: "SBATCH_ACCOUNT" }),
  option("honoured", "array", "required", { short: "a", environment: "SBATCH_ARRAY_INX" }),
  option("honoured", "begin", "required", { short: "b" }),
  option("honoured", "chdir", "required", { short: "D", aliases: ["workdir"] }),
  option("honoured", "clusters", "required", { short: "M", environment: "SBATCH_CLUSTERS" }),
  option("honoured", "comment", "required"),
  option("honoured", "constraint", "required", { short: "C", environment: "SBATCH_CONSTRAINT" }),
  option("honoured", "cpus-per-gpu", "required", { environment: "SBATCH_CPUS_PER_GPU" }),
  option("honoured", "cpus-per-task", "required", { short: "c" }),
  option("honoured", "deadline", "required"),
  option("honoured", "dependency", "required", { short: "d" }),
  option("honoured", "error", "required", { short: "e", environment: "SBATCH_ERROR" }),
  option("honoured", "exclude", "required", { short: "x" }),
  option("honoured", "exclusive", "optional", { environment: "SBATCH_EXCLUSIVE" }),
  option("honoured", "export", "required", { environment: "SBATCH_EXPORT" }),
  option("honoured", "gpus", "required", { short: "G", environment: "SBATCH_GPUS" }),
  option("honoured", "gpus-per-node", "required", { environment: "SBATCH_GPUS_PER_NODE" }),
  option("honoured", "gpus-per-task", "required", { environment: "SBATCH_GPUS_PER_TASK" }),
  option("honoured", "gres", "required", { environment: "SBATCH_GRES" }),
  option("honoured", "help", "none", { short: "h" }),
  option("honoured", "hold", "none", { short: "H" }),
  option("honoured", "input", "required", { short: "i", environment: "SBATCH_INPUT" }),
  option("honoured", "job-name", "required", { short: "J", environment: "SBATCH_JOB_NAME" }),
  option("honoured", "kill-on-invalid-dep", "required", { environment: "SBATCH_KILL_INVALID_DEP" }),
  option("honoured", "mem", "required", { environment: "SBATCH_MEM_PER_NODE" }),
  option("honoured", "mem-per-cpu", "required", { environment: "SBATCH_MEM_PER_CPU" }),
  option("honoured", "mem-per-gpu", "required", { environment: "SBATCH_MEM_PER_GPU" }),
  option("honoured", "mincpus", "required"),
  option("honoured", "nice", "optional"),
  option("honoured", "no-requeue", "none", { environment: "SBATCH_NO_REQUEUE" }),
  option("honoured", "nodelist", "required", { short: "w" }),
  option("honoured", "nodes", "required", { short: "N" }),
  option("honoured", "ntasks", "required", { short: "n", aliases: ["tasks"] }),
  option("honoured", "ntasks-per-node", "required", { aliases: ["tasks-per-node"] }),
  option("honoured", "open-mode", "required", { environment: "SBATCH_OPEN_MODE" }),
  option("honoured", "output", "required", { short: "o", environment: "SBATCH_OUTPUT" }),
  option("honoured", "parsable", "none"),
  option("honoured", "partition", "required", { short: "p", environment: "SBATCH_PARTITION" }),
  option("honoured", "qos", "required", { short: "q", environment: "SBATCH_QOS" }),
  option("honoured", "quiet", "none", { short: "Q" }),
  option("honoured", "requeue", "none", { environment: "SBATCH_REQUEUE" }),
  option("honoured", "reservation", "required", { environment: "SBATCH_RESERVATION" }),
  option("honoured", "licenses", "required", { short: "L" }),
  option("honoured", "spread-job", "none", { environment: "SBATCH_SPREAD_JOB" }),
  option("honoured", "test-only", "none"),
  option("honoured", "time", "required", { short: "t", environment: "SBATCH_TIMELIMIT" }),
  option("honoured", "time-min", "required"),
  option("honoured", "usage", "none"),
  option("honoured", "use-min-nodes", "none", { environment: "SBATCH_USE_MIN_NODES" }),
  option("honoured", "verbose", "none", { short: "v" }),
  option("honoured", "version", "none", { short: "V" }),
  option("honoured", "wait", "none", { short: "W", environment: "SBATCH_WAIT" }),
  option("honoured", "wrap", "required"),
];

const noEffect = "has no effect here";
const accepted: OptionDefinition[] = [
  option("accepted", "acctg-freq", "required", { environment: "SBATCH_ACCTG_FREQ" }),
  option("accepted", "cpu-freq", "required", {
    environment: "SBATCH_CPU_FREQ_REQ",
    note: `--cpu-freq ${noEffect}: the clock of the CPUs is left alone`,
  }),
  option("accepted", "delay-boot", "required", { environment: "SBATCH_DELAY_BOOT" }),
  option("accepted", "distribution", "required", { short: "m", environment: "SBATCH_DISTRIBUTION" }),
  option("accepted", "extra", "required"),
  option("accepted", "get-user-env", "optional", {
    environment: "SBATCH_GET_USER_ENV",
    note: `--get-user-env ${noEffect}: the job gets the environment of this command`,
  }),
  option("accepted", "gpu-bind", "required", {
    environment: "SBATCH_GPU_BIND",
    note: `--gpu-bind ${noEffect}: every task sees all GPUs of its node`,
  }),
  option("accepted", "gpu-freq", "required", {
    environment: "SBATCH_GPU_FREQ",
    note: `--gpu-freq ${noEffect}: the clock of the GPUs is left alone`,
  }),
  option("accepted", "gres-flags", "required", { environment: "SBATCH_GRES_FLAGS" }),
  option("accepted", "hint", "required", { environment: "SBATCH_HINT" }),
  option("accepted", "ignore-pbs", "none", { environment: "SBATCH_IGNORE_PBS" }),
  option("accepted", "mail-type", "required", { note: `--mail-type ${noEffect}: Berth sends no mail` }),
  option("accepted", "mail-user", "required"),
  option("accepted", "mcs-label", "required"),
  option("accepted", "mem-bind", "required", { environment: "SBATCH_MEM_BIND" }),
  option("accepted", "network", "required", { environment: "SBATCH_NETWORK" }),
  option("accepted", "no-kill", "optional", {
    short: "k",
    environment: "SBATCH_NO_KILL",
    note: `--no-kill ${noEffect}: a job outlives the loss of any node but its first`,
  }),
  option("accepted", "ntasks-per-core", "required"),
  option("accepted", "ntasks-per-socket", "required", {
    note: `--ntasks-per-socket ${noEffect}: tasks are not placed by socket`,
  }),
  option("accepted", "oom-kill-step", "optional", { environment: "SBATCH_OOM_KILL_STEP" }),
  option("accepted", "overcommit", "none", {
    short: "O",
    environment: "SBATCH_OVERCOMMIT",
    note: `--overcommit ${noEffect}: each task is given its CPUs`,
  }),
  option("accepted", "oversubscribe", "none", { short: "s", aliases: ["share"] }),
  option("accepted", "power", "required"),
  option("accepted", "prefer", "required"),
  option("accepted", "profile", "required", { environment: "SBATCH_PROFILE" }),
  option("accepted", "propagate", "optional", { environment: "SBATCH_PROPAGATE" }),
  option("accepted", "switches", "required", {
    environment: "SBATCH_REQ_SWITCH",
    note: `--switches ${noEffect}: the network's switches are not known`,
  }),
  option("accepted", "threads-per-core", "required", {
    environment: "SBATCH_THREADS_PER_CORE",
    note: `--threads-per-core ${noEffect}: a CPU is what the node counts as one`,
  }),
  option("accepted", "tmp", "required", { note: `--tmp ${noEffect}: temporary space of nodes is not counted` }),
  option("accepted", "wait-all-nodes", "required", { environment: "SBATCH_WAIT_ALL_NODES" }),
  option("accepted", "wckey", "required", { environment: "SBATCH_WCKEY" }),
];

const refused: OptionDefinition[] = [
  option("refused", "batch", "required", { environment: "SBATCH_BATCH" }),
  option("refused", "bb", "required", { environment: "SBATCH_BURST_BUFFER" }),
  option("refused", "bbf", "required"),
  option("refused", "cluster-constraint", "required", { environment: "SBATCH_CLUSTER_CONSTRAINT" }),
  option("refused", "consolidate-segments", "none"),
  option("refused", "container", "required", { environment: "SBATCH_CONTAINER" }),
  option("refused", "container-id", "required", { environment: "SBATCH_CONTAINER_ID" }),
  option("refused", "contiguous", "none"),
  option("refused", "core-spec", "required", { short: "S", environment: "SBATCH_CORE_SPEC" }),
  option("refused", "cores-per-socket", "required"),
  option("refused", "export-file", "required", { environment: "SBATCH_EXPORT_FILE" }),
  option("refused", "extra-node-info", "required", { short: "B" }),
  option("refused", "gid", "required"),
  option("refused", "gpus-per-socket", "required", { environment: "SBATCH_GPUS_PER_SOCKET" }),
  option("refused", "nodefile", "required", { short: "F" }),
  option("refused", "ntasks-per-gpu", "required"),
  option("refused", "priority", "required"),
  option("refused", "reboot", "none"),
  option("refused", "resv-ports", "optional"),
  option("refused", "segment", "required"),
  option("refused", "signal", "required", {
    environment: "SBATCH_SIGNAL",
    note: "at its wall time every process of a job gets TERM, and KILL 30 seconds later",
  }),
  option("refused", "sockets-per-node", "required"),
  option("refused", "stepmgr", "none"),
  option("refused", "thread-spec", "required", { environment: "SBATCH_THREAD_SPEC" }),
  option("refused", "tres-bind", "required"),
  option("refused", "tres-per-task", "required"),
  option("refused", "uid", "required"),
];

/** All options of sbatch, by name. */
export const sbatchOptions: readonly OptionDefinition[] = [...honoured, ...accepted, ...refused].toSorted((a, b) =>
  a.name < b.name ? -1 : 1,
);
