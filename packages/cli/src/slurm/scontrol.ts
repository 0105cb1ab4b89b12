/** `scontrol`: of its many commands suspend and resume. */
import { SlurmError } from "@berth/slurm";
import { connect } from "../connect.ts";
import { setSuspended, splitJobList, SuspensionRefusal } from "../suspension.ts";
import { withCluster } from "./contact.ts";
import { showText } from "./help.ts";

const examples = "Examples:\n  scontrol suspend 42\n  scontrol resume 42 43_[1-5]\n";
const usage = "suspend|resume JOB[,JOB…]";
/** What Slurm's scontrol does that another command of Berth does. */
const others: Record<string, string> = {
  hold: "berth hold",
  release: "berth release",
  show: "berth explain, squeue and sinfo",
  requeue: "scancel and sbatch",
  update: "kubectl edit workload",
};

export async function scontrol(words: string[]): Promise<number> {
  const shown = {
    "--help": "help",
    "-h": "help",
    "--usage": "usage",
    "--version": "version",
    "-V": "version",
  } as const;
  const [command = "", ...rest] = words;
  if (command in shown) return showText("scontrol", shown[command as keyof typeof shown], [], examples, usage);
  if (command.startsWith("-"))
    throw new SlurmError(1, `error: option ${command} is known to Slurm but not yet honoured by Berth`);
  if (command !== "suspend" && command !== "resume") {
    const instead = others[command];
    throw new SlurmError(
      1,
      command === ""
        ? `error: say what to do: scontrol ${usage}`
        : `error: scontrol ${command} is not honoured by Berth${instead === undefined ? "" : `; there is ${instead}`}`,
    );
  }
  const jobs = splitJobList(rest);
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
