/** `scontrol`: what an administrator or an owner asks and changes. */
import { SlurmError } from "@berth/slurm";
import { hostname } from "node:os";
import { connect } from "../connect.ts";
import { setSuspended, splitJobList, SuspensionRefusal } from "../suspension.ts";
import { withCluster } from "./contact.ts";
import { showText } from "./help.ts";

const examples =
  "Examples:\n  scontrol show job 42\n  scontrol show hostnames 'n[1-3,7]'\n  scontrol hold 42\n  scontrol update JobId=42 TimeLimit=30 Nice=10\n  scontrol suspend 42\n";
const usage =
  "[-o] show job|node|partition|reservation|config|hostnames|hostlist [NAME]\n       scontrol hold|uhold|release|suspend|resume JOB[,JOB…]\n       scontrol update JobId=JOB NAME=VALUE…\n       scontrol ping";
/** What Slurm's scontrol does that another command of Berth does, or nothing yet. */
const others: Record<string, string> = {
  requeue: "scancel and sbatch",
  requeuehold: "scancel and sbatch",
  create: "berth apply",
  delete: "kubectl delete",
  reconfigure: "nothing to reconfigure: changes hold at once",
  top: "scontrol update JobId=JOB Nice=-100, for operators",
};

export async function scontrol(words: string[]): Promise<number> {
  const shown = { "--help": "help", "--usage": "usage", "--version": "version", "-V": "version" } as const;
  const options = { onOneLine: false, quiet: false };
  let rest = words;
  while (rest[0]?.startsWith("-") === true) {
    const word = rest[0];
    rest = rest.slice(1);
    if (word === "-h" || word in shown)
      return showText("scontrol", shown[word as keyof typeof shown] ?? "help", [], examples, usage);
    if (word === "-o" || word === "--oneliner") options.onOneLine = true;
    else if (word === "-Q" || word === "--quiet") options.quiet = true;
    else if (
      !["-d", "-dd", "--details", "-a", "--all", "-v", "--verbose", "--hide", "--local", "-F", "--future"].includes(
        word,
      )
    )
      throw new SlurmError(1, `error: option ${word} is known to Slurm but not yet honoured by Berth`);
  }
  const [command = "", ...operands] = rest;
  switch (command.toLowerCase()) {
    case "show": {
      const { scontrolShow } = await import("./scontrol-show.ts");
      return await withCluster("slurm_load_jobs", () => scontrolShow(operands, options.onOneLine));
    }
    case "hold":
    case "uhold":
    case "release":
      return await changeHold(command, operands);
    case "update": {
      const { updateJob } = await import("./scontrol-change.ts");
      return await withCluster("slurm_update", () => updateJob(joined(operands)));
    }
    case "suspend":
    case "resume":
      return await suspendOrResume(command, operands);
    case "ping":
      return await ping();
    case "version":
      return showText("scontrol", "version", [], examples, usage);
    case "":
      throw new SlurmError(1, `error: say what to do: scontrol ${usage}`);
    default: {
      const instead = others[command];
      throw new SlurmError(
        1,
        instead === undefined
          ? `invalid keyword: ${command}`
          : `error: scontrol ${command} is not honoured by Berth; there is ${instead}`,
      );
    }
  }
}

/** `update job 42 nice=1` is `update JobId=42 nice=1`. */
function joined(words: readonly string[]): string[] {
  const [first = "", second, ...rest] = words;
  if (/^job(id)?$/i.test(first) && second !== undefined) return [`jobid=${second}`, ...rest];
  return [...words];
}

async function changeHold(command: string, words: readonly string[]): Promise<number> {
  if (words.length === 0) throw new SlurmError(1, `too few arguments for keyword:${command}`);
  const { hold, release } = await import("./scontrol-change.ts");
  return await withCluster("slurm_suspend", () =>
    command === "release" ? release(words) : hold(words, command === "uhold" ? "User" : undefined),
  );
}

async function suspendOrResume(command: string, words: readonly string[]): Promise<number> {
  const jobs = splitJobList(words);
  if (jobs.length === 0) throw new SlurmError(1, `too few arguments for keyword:${command}`);
  return await withCluster(`slurm_${command}`, async () => {
    const cluster = await connect();
    let exitCode = 0;
    for (const job of jobs) {
      try {
        await setSuspended(cluster, job, command === "suspend");
      } catch (error) {
        if (!(error instanceof SuspensionRefusal)) throw error;
        process.stderr.write(`slurm_${command} error: ${error.slurm}: job ${job}: ${error.message}\n`);
        exitCode = 1;
      }
    }
    return exitCode;
  });
}

async function ping(): Promise<number> {
  const name = hostname().split(".")[0];
  try {
    await connect();
    process.stdout.write(`Slurmctld(primary) at ${name} is UP\n`);
    return 0;
  } catch {
    process.stdout.write(`Slurmctld(primary) at ${name} is DOWN\n`);
    return 1;
  }
}
