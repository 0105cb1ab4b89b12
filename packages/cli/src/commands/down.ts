/** `berth down`: stops an embedded cluster in order; what runs goes on. */
import { asProcessIdentity, defaultDataFolder, isAlive } from "@berth/identity";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { CommandError } from "../command-error.ts";
import { connectData, dataFolderOf, readJson } from "../connect.ts";
import { runningTasks } from "../workload-counts.ts";

/** Longer than the supervisor gives its processes. */
const patienceMilliseconds = 30_000;

export async function down(options: { data?: string }): Promise<number> {
  const data = dataFolderOf(options.data, defaultDataFolder);
  const holder = asProcessIdentity(readJson(join(data, "supervisor.json")));
  if (holder === undefined || !isAlive(holder)) {
    process.stdout.write(`no cluster is running on the data folder ${data}\n`);
    return 0;
  }
  const running = await connectData(data)
    .then(async ({ client }) => await runningTasks(client))
    .catch(() => undefined);
  try {
    process.kill(holder.pid, "SIGTERM");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPERM")
      throw new CommandError(`the cluster on ${data} belongs to another user; ask them to stop it`);
  }
  const until = Date.now() + patienceMilliseconds;
  // Another's child sends no event when it ends; to look costs one read of /proc.
  while (isAlive(holder)) {
    if (Date.now() > until)
      throw new CommandError(
        `the supervisor (process ${holder.pid}) has not ended yet; see ${data}/logs/supervisor.log`,
      );
    await pause(20);
  }
  process.stdout.write(`${sentence(running)}\n`);
  return 0;
}

function sentence(running: number | undefined): string {
  if (running === undefined) return "stopped; running jobs go on and are taken back at the next start";
  if (running === 0) return "stopped; no job was running";
  return `stopped; ${running === 1 ? "1 running job goes" : `${running} running jobs go`} on and ${running === 1 ? "is" : "are"} taken back at the next start`;
}
