/** What the supervisor's processes have in common: their start, their log, and their end when the supervisor is gone. */
import { join } from "node:path";
import { openJsonLog, type Log } from "./json-log.ts";
import type { FromChild, Role, RoleSettings, ToChild } from "./messages.ts";
import { messageOf } from "./refusal.ts";

/** What a role tells when it is ready, and how it ends. */
export interface RunningRole {
  url?: string;
  notes?: string[];
  stop: () => Promise<void>;
}

export type RunRole = (settings: RoleSettings, log: Log, signal: AbortSignal) => Promise<RunningRole>;

/** Waits for the settings, runs the role, and ends the process when it is told to, or when the supervisor is gone. */
export async function runChild(role: Role, data: string, load: () => Promise<RunRole>): Promise<void> {
  const log = openJsonLog({ path: join(data, "logs", `${role}.log`), process: role });
  const ending = new AbortController();
  const fatal = (error: unknown): never => {
    log("error", messageOf(error), { stack: error instanceof Error ? error.stack : undefined });
    process.exit(1);
  };
  process.on("uncaughtException", fatal);
  process.on("unhandledRejection", fatal);
  // Ctrl-C at the supervisor's terminal reaches all; the supervisor decides.
  process.on("SIGINT", () => undefined);
  process.on("disconnect", () => process.exit(0));
  // While the supervisor still prepares what the settings need.
  const loaded = load();
  loaded.catch(() => undefined);
  let running: Promise<RunningRole> | undefined;
  const stop = async (): Promise<void> => {
    ending.abort();
    const started = await running?.catch(() => undefined);
    await started?.stop();
    log("info", "stopped");
    process.exit(0);
  };
  process.on("SIGTERM", () => void stop().catch(fatal));
  process.on("message", (message) => {
    const said = message as ToChild;
    if (said.type === "stop") {
      void stop().catch(fatal);
      return;
    }
    running = loaded.then((run) => run(said.settings, log, ending.signal));
    running.then(
      ({ url, notes }) => {
        log("info", "ready", { url, notes });
        tell({ type: "ready", url, notes });
      },
      (error: unknown) => {
        if (ending.signal.aborted) return;
        log("error", messageOf(error), { stack: error instanceof Error ? error.stack : undefined });
        tell({ type: "refused", message: messageOf(error) }, () => process.exit(1));
      },
    );
  });
}

function tell(message: FromChild, then?: () => void): void {
  if (process.connected) process.send!(message, () => then?.());
  else process.exit(0);
}
