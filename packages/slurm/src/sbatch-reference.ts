/** The reference of sbatch's options: what each means here. */
import {
  sacctOptions,
  scancelOptions,
  sinfoOptions,
  sprioOptions,
  squeueOptions,
  sshareOptions,
} from "./command-options.ts";
import { type OptionDefinition, sbatchOptions } from "./options.ts";

/** Of every honoured option: its value's form, and what it does. */
export const sbatchSummaries: Record<string, readonly [form: string, summary: string]> = {
  account: ["NAME", "the account that pays"],
  array: ["LIST[%N]", "run the script once for each index of `0-9,20,30-60:10`, at most N at a time"],
  begin: ["TIME", "not before `16:00`, `tomorrow`, `now+2hours`, `2027-01-31T08:00`"],
  chdir: ["DIRECTORY", "start in this directory; relative file names follow it"],
  clusters: ["NAME", "only the cluster's own name"],
  comment: ["TEXT", "any text, shown by squeue and sacct"],
  constraint: ["NAME[&NAME]", "only nodes with label `berth.dev/feature-NAME=true`"],
  "cpus-per-gpu": ["N", "CPUs for each GPU"],
  "cpus-per-task": ["N", "CPUs for each task; default 1"],
  deadline: ["TIME", "give up when the job can no longer end by then"],
  dependency: [
    "LIST",
    "wait for `afterok:41`, `afterany:41:42`, `after:41+10`, `singleton`, …; `,` all, `?` one of them",
  ],
  error: ["FILE", "standard error; default: with the output"],
  exclude: ["NODES", "not on these nodes (`n[1-3],m7`)"],
  exclusive: ["user", "whole nodes; `user` gets them too"],
  export: ["LIST", "`ALL` (default), `NONE`, or names and NAME=VALUE of the environment"],
  gpus: ["[TYPE:]N", "GPUs of the whole job"],
  "gpus-per-node": ["[TYPE:]N", "GPUs of each node"],
  "gpus-per-task": ["[TYPE:]N", "GPUs of each task"],
  gres: ["gpu[:TYPE][:N]", "devices of each node: `gpu`, `shard`"],
  help: ["", "this text"],
  hold: ["", "wait until released"],
  input: ["FILE", "standard input; default /dev/null"],
  "job-name": ["NAME", "default: the script's name"],
  "kill-on-invalid-dep": ["yes|no", "cancel the job when its dependency can never come true"],
  licenses: ["NAME[:N],…", "licences of the whole cluster, held while the job (each task of an array) runs"],
  mem: ["SIZE", "memory of each node, `4G`, `500M`; `0`: whole nodes with all they have"],
  "mem-per-cpu": ["SIZE", "memory for each CPU"],
  "mem-per-gpu": ["SIZE", "memory for each GPU"],
  mincpus: ["N", "at least so many CPUs on each node"],
  nice: ["N", "go behind others by N points of priority; 100 where no N is given"],
  "no-requeue": ["", "do not start again after the loss of a node or preemption"],
  nodelist: ["NODES", "only on these nodes (`n[1-3],m7`)"],
  nodes: ["N|MIN-MAX", "nodes; of a range the fewest that hold all tasks"],
  ntasks: ["N", "tasks, spread evenly over the nodes"],
  "ntasks-per-node": ["N", "tasks on each node"],
  "open-mode": ["append|truncate", "what to do with an output file that exists; default truncate"],
  output: ["FILE", "standard output; default `slurm-%j.out`, of arrays `slurm-%A_%a.out`"],
  parsable: ["", "print the job's id and nothing else"],
  partition: ["NAME", "the queue; of several names the first"],
  qos: ["NAME", "quality of service: priority, limits, the right to preempt"],
  quiet: ["", "print nothing but errors"],
  requeue: ["", "start again after the loss of a node or preemption (default)"],
  reservation: ["NAME", "run in this reservation, and only in it"],
  "spread-job": ["", "over many nodes rather than few"],
  "test-only": [
    "",
    "say when the job would start, why it would wait, and do not submit it; the id is what the next job will be called",
  ],
  time: ["TIME", "wall time: minutes, `M:S`, `H:M:S`, `D-H`, `D-H:M`, `D-H:M:S`; whole minutes, rounded up"],
  "time-min": ["TIME", "may be cut down to this to start earlier"],
  usage: ["", "one line"],
  "use-min-nodes": ["", "of a range the fewest nodes: that is always so here"],
  verbose: ["", "say more"],
  version: ["", "print the version"],
  wait: ["", "return when the job has ended, with its exit code"],
  wrap: ["COMMAND", "run this command in place of a script"],
};

function heading(definition: OptionDefinition): string {
  const form = sbatchSummaries[definition.name]?.[0] || "…";
  const short = definition.short === undefined ? "" : `\`-${definition.short}\`, `;
  const value = definition.value === "none" ? "" : definition.value === "required" ? `=${form}` : `[=${form}]`;
  return `${short}\`--${definition.name}${value}\``.replaceAll("|", "\\|");
}

/** The reference page of sbatch; docs/reference/sbatch.md is its output. */
export function sbatchDocument(): string {
  const of = (status: OptionDefinition["status"]) => sbatchOptions.filter((definition) => definition.status === status);
  const lines = [
    "# sbatch",
    "",
    "`sbatch [OPTIONS] SCRIPT [ARGUMENTS…]`, `sbatch [OPTIONS] --wrap COMMAND`, or the script on standard input. Options stand on the",
    "command line, in environment variables, or in `#SBATCH` lines at the head of the script; in that order one beats the other.",
    "(This page is made from the tables in `packages/slurm`.)",
    "",
    "## Honoured",
    "",
    "| option | variable | |",
    "| --- | --- | --- |",
  ];
  for (const definition of of("honoured")) {
    const variable = definition.environment === undefined ? "" : `\`${definition.environment}\``;
    const summary = sbatchSummaries[definition.name]![1].replaceAll("|", "\\|");
    lines.push(`| ${heading(definition)} | ${variable} | ${summary} |`);
  }
  lines.push(
    "",
    "## Accepted, without effect here",
    "",
    "Where one would expect an effect, sbatch says so on standard error.",
    "",
  );
  for (const definition of of("accepted")) {
    const note = definition.note?.replace(/^--[a-z-]+ has no effect here: /, "");
    lines.push(`- ${heading(definition)}${note === undefined ? "" : `: ${note}`}`);
  }
  lines.push("", "## Refused", "", "Known to Slurm, not yet honoured by Berth, and an error.", "");
  for (const definition of of("refused")) {
    lines.push(`- ${heading(definition)}${definition.note === undefined ? "" : `: ${definition.note}`}`);
  }
  lines.push(
    "",
    "## Refused when submitted",
    "",
    "What can never run is refused at once, in Slurm's words, with a second line that gives the numbers. `--test-only` refuses alike.",
    "",
    "- More nodes, CPUs, memory or devices than the queue's nodes have, on one node or together; `--nodelist` and `--exclude`",
    "  counted: `Requested node configuration is not available`. Nodes that are down or drained count as if they were up: such a",
    "  job waits for them (`NodeUnavailable`, `NodesUnavailable`). More nodes than the queue gives to one job waits too",
    "  (`QueueNodeLimit`), as in Slurm.",
    "- A node that there is not: `Invalid node name specified`.",
    "- A wall time over the queue's longest: `Requested time limit is invalid (missing or exceeds some limit)`. Slurm does so with",
    "  `EnforcePartLimits=ALL`; without, its job would wait for a time that never comes.",
    "- Jobs that there never were in `--dependency`: `Job dependency problem`.",
  );
  return `${lines.join("\n")}\n`;
}

/** The reference page of the other commands' options; docs/reference/slurm-commands.md is its output. */
export function commandsDocument(): string {
  const lines = [
    "# squeue, scancel, scontrol, sinfo, sacct, sacctmgr, sprio, sshare",
    "",
    "They take Slurm's options and print in Slurm's layouts. An option that Slurm knows and Berth does not honour yet is an error that",
    "says so. (This page is made from the tables in `packages/slurm`.)",
    "",
  ];
  const tables = {
    squeue: squeueOptions,
    scancel: scancelOptions,
    sinfo: sinfoOptions,
    sacct: sacctOptions,
    sprio: sprioOptions,
    sshare: sshareOptions,
  };
  for (const [command, options] of Object.entries(tables)) {
    lines.push(`## ${command}`, "");
    for (const [title, status] of [
      ["Honoured", "honoured"],
      ["Accepted, without effect here", "accepted"],
      ["Refused", "refused"],
    ] as const) {
      const names = options.filter((definition) => definition.status === status).map(plainName);
      lines.push(`${title}: ${names.join(", ")}.`, "");
    }
  }
  lines.push(
    "## scontrol",
    "",
    "Honoured: `-o` and, with it or without:",
    "",
    "| command | |",
    "| --- | --- |",
    "| `show job [JOB]`, `show node [NODES]`, `show partition [NAME]`, `show reservation [NAME]` | records of `Name=value`; with `-o` each on one line |",
    "| `show hostnames [LIST]`, `show hostlist NAMES`, `show hostlistsorted NAMES` | from `n[1-3,7]` to names and back; without a list that of the job it is in |",
    "| `show config`, `ping`, `version` | what programs ask for before they begin |",
    "| `hold JOB…`, `uhold JOB…`, `release JOB…` | what an operator holds only an operator releases; `uhold` leaves that to the owner |",
    "| `update JobId=JOB NAME=VALUE…` | `TimeLimit` (also `+10`, `-10`), `Nice`, `Partition`, `Account`, `StartTime`, `Deadline`, `Dependency`, `ArrayTaskThrottle`, `Priority=0`; names may be cut short. What a job keeps once it is submitted is refused in words |",
    "| `suspend JOB…`, `resume JOB…` | for operators |",
    "",
    "Jobs are `42`, of arrays also `42_7` or `42_[1-5]` where elements can be meant (`show`, `suspend`, `resume`); several stand with commas or",
    "spaces between them. All else that Slurm's scontrol does is refused with the command of Berth that there is for it.",
    "",
    "A job that an operator suspended stands still where it is and keeps its place: unlike Slurm, Berth does not give its processors to others",
    "(it does for [preemption](../how-to/preemption.md#jobs-that-stand-still-meanwhile), and then `resume` is refused). Its wall time stands",
    "still with it, and `Elapsed` and `CPUTime` of sacct are without the time in `Suspended`. Of an array that which runs is meant; what",
    "begins later is not suspended. Elements that share a pod stand still together. See [what a job sees](../runtime.md).",
    "",
  );
  lines.push(
    "## sacctmgr",
    "",
    "`-n`, `-p`, `-P`, `-Q`, `-i` (nothing is ever asked), and `show`, `add`, `modify`, `delete` of:",
    "",
    "| what | kind | `set` |",
    "| --- | --- | --- |",
    "| `account` | Account | `fairshare`, `parent`, `description`, `defaultqos`, and the limits |",
    "| `user` … `account=` | Membership | `fairshare`, `defaultqos`, `adminlevel`, and the limits |",
    "| `qos` | QualityOfService | `priority`, `preempt`, `preemptmode`, `gracetime`, `usagefactor`, and the limits |",
    "| `association`, `cluster` | | only `show` |",
    "",
    "Limits: `GrpJobs`, `GrpSubmit`, `GrpTRES`, `MaxJobs`, `MaxSubmit`, `MaxWall`, `MaxTRES`, `MaxJobsPU`, `MaxSubmitPU`, `MaxTRESPU`; `-1` takes one",
    "away. `MaxJobs` and `MaxSubmit` of an account are those of each of its users. All else is refused in words.",
    "",
  );
  return lines.join("\n");
}

function plainName({ name, short }: OptionDefinition): string {
  return short === undefined ? `\`--${name}\`` : `\`-${short}\` \`--${name}\``;
}
