/** The command line of `berth`: options and help; what each command does is loaded when it is chosen. */
import { Command, CommanderError, Option } from "commander";
import { outputFormats } from "./table.ts";
import { wantedLevels } from "./install/levels.ts";

/** Runs `berth WORDS…`; resolves to the exit code. */
export async function runProgram(words: string[]): Promise<number> {
  const program = berthProgram((code) => (exitCode = code));
  let exitCode = 0;
  try {
    if (words.length === 0) {
      process.stdout.write(program.helpInformation());
      return 0;
    }
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    // commander has printed what was wrong.
    if (error instanceof CommanderError) return error.exitCode;
    throw error;
  }
  return exitCode;
}

/** The tree of commands; `done` takes the exit code of the one that ran. Also the source of shell completion. */
function berthProgram(done: (exitCode: number) => void): Command {
  const program = new Command("berth")
    .description("Berth, the research computing platform on Kubernetes: a place and a time for every job")
    .option(
      "--context <context>",
      "which cluster: a data folder, a kubeconfig or a context of yours (also: BERTH_CONTEXT)",
    )
    .hook("preAction", (_, action) => {
      const { context } = action.optsWithGlobals<{ context?: string }>();
      if (context !== undefined) process.env["BERTH_CONTEXT"] = context;
    })
    .showHelpAfterError("(run with --help for what there is)")
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride();
  const output = (): Option => new Option("-o, --output <format>", "how to print").choices(outputFormats);
  const processors = (): Option =>
    new Option("--processors <number>", "size of the machine (default: what the trace's head says)");
  const strict = (): Option => new Option("--strict", "refuse a trace of which anything is odd");
  const several = (value: string, before: string[] = []): string[] => [...before, value];
  const data = (what: string): Option => new Option("--data <folder>", what);
  const command = (words: string, description: string, examples: string): Command =>
    program
      .command(words)
      .description(description)
      .addOption(new Option("--context <context>").hideHelp())
      .addHelpText("after", `\nExamples:\n${examples}`);

  command("up", "start a cluster on this machine", "  berth up --detach\n  berth up --nodes 2 --data ./cluster")
    .addOption(data("where the cluster keeps everything (default: ~/.local/share/berth; root: /var/lib/berth)"))
    .option("--port <port>", "port of the API on 127.0.0.1 (default: that of the last time, else a free one)")
    .option("--nodes <number>", "divide the machine's cores and memory into this many nodes", "1")
    .option("--cpus-per-node <number>", "what each of them says it has, whatever there is: for trying things out")
    .option("--simulated-nodes <number or file>", "add nodes on which pods only seem to run", "0")
    .option(
      "--driver <driver>",
      "how jobs are isolated: sandbox or process (default: the best that this machine allows)",
    )
    .option("--detach", "return once the cluster is ready, and leave it running")
    .action(async (options) => done(await (await import("./commands/up.ts")).up(options)));
  command("down", "stop the cluster; running jobs go on", "  berth down\n  berth down --data ./cluster")
    .addOption(data("the cluster's data folder (default: your running cluster's)"))
    .action(async (options) => done(await (await import("./commands/down.ts")).down(options)));
  command(
    "controllers",
    "run the controllers on a Kubernetes cluster that is there already",
    "  berth controllers --kubeconfig ~/.kube/config --passwd users --group groups --accounting ./accounting.db",
  )
    .option("--kubeconfig <file>", "how to reach the cluster (default: in a pod, by its service account)")
    .option("--users <file>", "who is who: a directory (LDAP), tokens (OIDC) or files, as this YAML says")
    .option("--passwd <file>", "the users, as getent passwd prints them (default: those of this machine)")
    .option("--group <file>", "their groups, as getent group prints them")
    .requiredOption(
      "--accounting <place>",
      "where the records of ended jobs are kept: a file (SQLite), or postgres://USER@HOST/DATABASE?passwordfile=FILE",
    )
    .option("--listen <address>", "serve /healthz, /readyz and /metrics there, such as 127.0.0.1:9440")
    .option(
      "--questions <address>",
      "answer explain, start estimates, sacct … there, such as 0.0.0.0:9443, for the cluster's APIService",
    )
    .option(
      "--webhook <address>",
      "fill in what pods of managed namespaces lack, there, such as 0.0.0.0:9444, for the cluster's webhook (level webhook)",
    )
    .option("--requests-per-second <number>", "requests to the API at most (default: 2000)")
    .option("--volcano", "run Jobs and Queues of Volcano, where their kinds are Berth's (berth install --volcano)")
    .action(async (options) => done((await import("./commands/controllers.ts")).controllers(options)));
  command("accounting", "the records of ended jobs: copy them", "  berth accounting copy FROM TO")
    .command("copy")
    .description("copy the records from one database to another; to do it again goes on where it stopped")
    .argument("<from>", "a file (SQLite), or postgres://USER@HOST/DATABASE?passwordfile=FILE&sslrootcert=FILE")
    .argument("<to>", "likewise; its tables are made")
    .addHelpText(
      "after",
      "\nExamples:\n  berth accounting copy accounting.db postgres://berth@db.example.org/berth?passwordfile=password\n  berth accounting copy postgres://berth@localhost/berth accounting.db",
    )
    .action(async (from: string, to: string) =>
      done(await (await import("./commands/accounting-copy.ts")).copy(from, to)),
    );
  command("status", "how the cluster is, in words", "  berth status\n  berth status -o json")
    .addOption(output())
    .action(async (options) => done(await (await import("./commands/status.ts")).status(options)));
  command("kubeconfig", "print the kubeconfig for kubectl and others", "  berth kubeconfig >~/.kube/berth")
    .addOption(data("the cluster's data folder (default: your running cluster's)"))
    .action(async (options) => done(await (await import("./commands/kubeconfig.ts")).kubeconfig(options)));

  const image = (): Option => new Option("--image <image>", "of the controllers (default: localhost/berth:VERSION)");
  const level = (): Option =>
    new Option("--level <level>", "how what is missing is met: refused with the line to add, or filled in").choices(
      wantedLevels,
    );
  const passwd = (): Option =>
    new Option("--passwd <file>", "who is who, as getent passwd prints it (default: as it was; at first nobody)");
  const users = (): Option =>
    new Option("--users <file>", "who is who: a directory (LDAP), tokens (OIDC) or files, as this YAML says");
  const group = (): Option => new Option("--group <file>", "groups of these users, as getent group prints them");
  const accounting = (): Option =>
    new Option(
      "--accounting <place>",
      "records of ended jobs: sqlite, on a claim (default at first), or postgres://USER@HOST/DATABASE?passwordfile=FILE with files of Secret berth-accounting, mounted at /etc/berth/accounting",
    );
  const volcano = (): Option =>
    new Option(
      "--volcano",
      "run Jobs and Queues of Volcano: its kinds are put where the cluster has none (default: as it was; at first not)",
    );
  const force = (): Option => new Option("--force", "take back fields that somebody else has set since");
  command(
    "install",
    "put Berth on a real Kubernetes (1.33 or newer), which --context names; to do it again changes nothing",
    "  berth install --context my-cluster --dry-run\n  berth install --context my-cluster --image registry.example.org/berth:0.1.0 --passwd users --group groups\n  berth install --dry-run --output yaml >berth.yaml",
  )
    .option("--dry-run", "ask the server what would change, and change nothing")
    .addOption(new Option("-o, --output <format>", "with --dry-run: print the objects").choices(["yaml", "json"]))
    .addOption(image())
    .addOption(level().default("auto"))
    .addOption(users())
    .addOption(passwd())
    .addOption(group())
    .addOption(accounting())
    .addOption(volcano())
    .addOption(force())
    .action(async (options) => done(await (await import("./install/install.ts")).install(options)));
  command(
    "upgrade",
    "bring an installed Berth to this version; what was chosen at install stays",
    "  berth upgrade --context my-cluster --dry-run\n  berth upgrade --context my-cluster",
  )
    .option("--dry-run", "ask the server what would change, and change nothing")
    .addOption(image())
    .addOption(level())
    .addOption(users())
    .addOption(passwd())
    .addOption(group())
    .addOption(accounting())
    .addOption(volcano())
    .addOption(force())
    .action(async (options) => done(await (await import("./install/install.ts")).upgrade(options)));
  command(
    "uninstall",
    "take Berth off a real Kubernetes; running work, jobs and accounting stay",
    "  berth uninstall --context my-cluster --dry-run\n  berth uninstall --context my-cluster --yes",
  )
    .option("--dry-run", "ask the server what would be removed, and remove nothing")
    .option("-y, --yes", "do not ask")
    .action(async (options) => done(await (await import("./install/uninstall.ts")).uninstall(options)));

  command(
    "apply",
    "make queues, accounts, members, limits, reservations and the site what a file says",
    "  berth apply site.yaml\n  berth apply --dry-run site.yaml",
  )
    .argument("<files...>", "YAML documents, as for simulate --site; - is standard input")
    .option("--dry-run", "only say whether the cluster would take it")
    .action(async (files: string[], options) =>
      done(await (await import("./commands/apply.ts")).apply(files, options)),
    );

  command(
    "run",
    "submit a batch script, follow it, and end with its exit code; starts a cluster when none is running",
    "  berth run examples/pi/pi.sbatch\n  berth run --time=10 --mem=1G analysis.sh input.csv",
  )
    .argument("[words...]", "options of sbatch, the script and its arguments")
    .usage("[sbatch options] SCRIPT [arguments]")
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (words: string[]) => done(await (await import("./commands/run.ts")).run(words)));
  command(
    "explain",
    "why a job waits and when it will start, or how it ended",
    "  berth explain 42\n  berth explain 42_7",
  )
    .argument("<job>", "id of the job, or ID_TASK of one element of an array")
    .addOption(output())
    .action(async (job: string, options) => done(await (await import("./commands/explain.ts")).explain(job, options)));
  command("logs", "print the output of a job", "  berth logs 42\n  berth logs -f 42_7")
    .argument("<job>", "id of the job, or ID_TASK of one element of an array")
    .option("-f, --follow", "go on until the job ends")
    .action(async (job: string, options) => done(await (await import("./commands/logs.ts")).logs(job, options)));
  command(
    "history",
    "jobs that have ended, newest first",
    "  berth history\n  berth history --since 2026-11-01 -o json\n  berth history --estimates --all",
  )
    .option("-n, --limit <number>", "at most this many", "20")
    .option("--since <time>", "only those that ended after this time (2026-11-22 or 2026-11-22T14:05:00)")
    .option("--state <states>", "only these final states, such as Failed,TimedOut")
    .option("-a, --all", "of all users, where you may read them")
    .option("--estimates", "how far jobs began from when they were told: of the last day, or since --since")
    .addOption(output())
    .action(async (options) => done(await (await import("./commands/history.ts")).history(options)));
  command("hold", "keep jobs that wait from starting", "  berth hold 42")
    .argument("<jobs...>", "ids")
    .action(async (jobs: string[]) => done(await (await import("./commands/hold.ts")).hold(jobs)));
  command("release", "let jobs start that are held (also those of sbatch --hold)", "  berth release 42 43")
    .argument("<jobs...>", "ids")
    .action(async (jobs: string[]) => done(await (await import("./commands/hold.ts")).release(jobs)));
  command(
    "suspend",
    "have running jobs stand still on their nodes, their wall time too (operators)",
    "  berth suspend 42\n  berth suspend 42_7 43",
  )
    .argument("<jobs...>", "ids, ID_TASK or ID_[TASKS]")
    .action(async (jobs: string[]) => done(await (await import("./commands/suspend.ts")).suspend(jobs)));
  command("resume", "let suspended jobs go on (operators)", "  berth resume 42 43")
    .argument("<jobs...>", "ids, ID_TASK or ID_[TASKS]")
    .action(async (jobs: string[]) => done(await (await import("./commands/suspend.ts")).resume(jobs)));
  command("cancel", "end jobs, running or waiting", "  berth cancel 42\n  berth cancel 42_7 43_[1-5]")
    .argument("<jobs...>", "ids, ID_TASK or ID_[TASKS]")
    .action(async (jobs: string[]) => done(await (await import("./commands/cancel.ts")).cancel(jobs)));
  command(
    "checkpointed",
    "tell that a running job has saved its state: less is lost by preempting it",
    "  berth checkpointed 42\n  berth checkpointed 42_7",
  )
    .argument("[job]", "id or ID_TASK; default: the job that it is called in")
    .action(async (job?: string) => done(await (await import("./commands/checkpointed.ts")).checkpointed(job)));

  const simulate = command(
    "simulate",
    "run a recorded workload through the scheduler, in virtual time",
    "  berth simulate KTH-SP2.swf.gz --policy easy --processors 100 --json\n  berth simulate accounting.db --site site.yaml --html report.html\n  berth simulate compare KTH-SP2.swf.gz --policy easy --policy conservative\n  berth simulate generate lublin-feitelson --jobs 5000 >workload.swf",
  )
    .argument(
      "[trace]",
      "a workload: Standard Workload Format, CSV with a line of column names (as sacct -P prints it), or Berth's accounting; plain or gzipped",
    )
    .option("--policy <policy>", "fcfs, easy, easy-sjbf, conservative or site (default: easy; with --site: site)")
    .option("--site <file>", "queues, accounts, nodes … as a live cluster has them, in YAML")
    .addOption(processors())
    .option("--clairvoyant", "take the run times as the estimates, instead of what users asked for")
    .addOption(strict())
    .option("--json", "print the figures as one JSON object")
    .option("--output <file>", "write the schedule as CSV: id, submit, start, end, wait, processors")
    .option("--html <file>", "write a page with plots")
    .option("--replay <file>", "instead of a trace: play a journal of decisions again, and compare")
    .action(async (trace: string | undefined, options) =>
      done(await (await import("./commands/simulate.ts")).simulateTrace(trace, options)),
    );
  simulate
    .command("compare")
    .description("several policies and sites on one trace, side by side")
    .argument("<trace>", "as for simulate")
    .option("--policy <policy>", "one of them; may be given again (default: all four)", several)
    .option("--site <file>", "a site; may be given again", several)
    .addOption(processors())
    .option("--clairvoyant", "take the run times as the estimates")
    .addOption(strict())
    .option("--json", "print the figures as one JSON object")
    .addOption(output())
    .addHelpText(
      "after",
      "\nExamples:\n  berth simulate compare KTH-SP2.swf.gz --processors 100\n  berth simulate compare slurm.txt --site today.yaml --site tomorrow.yaml --policy easy",
    )
    .action(async (trace: string, options) =>
      done(await (await import("./commands/simulate-compare.ts")).compareSettings(trace, options)),
    );
  simulate
    .command("generate")
    .description("print a synthetic workload in the Standard Workload Format")
    .argument("<model>", "lublin-feitelson, or kueue: the shape of Kueue's performance test")
    .option("--jobs <number>", "of lublin-feitelson", "10000")
    .option("--processors <number>", "of lublin-feitelson", "128")
    .option("--load <factor>", "of lublin-feitelson: jobs come so many times as often", "1")
    .option("--seed <number>", "the same seed gives the same workload", "1")
    .option("--site <file>", "of kueue: write its cohorts and queues as a site file, for simulate --site")
    .addHelpText(
      "after",
      "\nExamples:\n  berth simulate generate lublin-feitelson --jobs 5000 --processors 256 --load 1.3 >workload.swf\n  berth simulate generate kueue --site kueue.yaml >kueue.swf\n  berth simulate kueue.swf --site kueue.yaml",
    )
    .action(async (model: string, options) =>
      done((await import("./commands/simulate-generate.ts")).generateWorkload(model, options)),
    );
  command(
    "completion",
    "print the completion script of a shell",
    '  eval "$(berth completion bash)"\n  berth completion fish >~/.config/fish/completions/berth.fish',
  )
    .argument("<shell>", "bash, zsh or fish")
    .action(async (shell: string) => done((await import("./commands/completion.ts")).completion(shell, program)));

  program.addHelpText(
    "after",
    "\nSlurm's commands, also under their own names (symbolic links to berth):\n  sbatch, squeue, scancel, scontrol, sinfo, sacct, sacctmgr, sprio, sshare, srun\n\nExamples:\n  berth run examples/pi/pi.sbatch    the first job: starts a cluster, follows the job, prints its output\n  berth up --detach                  start a cluster on this machine\n  berth sbatch --wrap 'hostname'     queue a command",
  );
  return program;
}
