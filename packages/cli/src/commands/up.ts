/** `berth up`: starts the supervisor of an embedded cluster, in the foreground or on its own. */
import { defaultDataFolder } from "@berth/identity";
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandError } from "../command-error.ts";
import { compileCacheFolder } from "../compile-cache.ts";
import { paint } from "../table.ts";

export interface UpOptions {
  data?: string;
  port?: string;
  nodes?: string;
  simulatedNodes?: string;
  cpusPerNode?: string;
  driver?: string;
  detach?: boolean;
}

/** What a detached supervisor says when it is ready or cannot be. */
type FromSupervisor =
  | { type: "ready"; endpoint: { url: string; notes: string[] } }
  | { type: "refused"; message: string };

export async function up(options: UpOptions): Promise<number> {
  const data = resolve(options.data ?? defaultDataFolder());
  if (options.detach === true) {
    const { url, notes } = await startDetached(data, options);
    for (const note of notes) process.stdout.write(`${paint("yellow", "note:")} ${note}\n`);
    process.stdout.write(`Berth is ready at ${url} (data folder ${data}); stop it with: ${downCommand(data)}\n`);
    return 0;
  }
  // The supervisor takes this process's place: it owns the terminal, and no second process waits beside it.
  const [program, ...words] = supervisorCommand(data, options);
  return process.execve!(program!, [program!, ...words], supervisorEnvironment() as Record<string, string>);
}

/** The command that stops the cluster, as short as it may be. */
export function downCommand(data: string): string {
  return data === defaultDataFolder() ? "berth down" : `berth down --data ${data}`;
}

/** Starts a supervisor that outlives this command, and waits until the cluster is ready. */
export async function startDetached(data: string, options: UpOptions): Promise<{ url: string; notes: string[] }> {
  const [program, ...words] = supervisorCommand(data, options);
  const supervisor = spawn(program!, words, {
    detached: true,
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    cwd: "/",
    env: supervisorEnvironment(),
  });
  let said = "";
  supervisor.stderr!.setEncoding("utf8").on("data", (text: string) => (said += text));
  const answer = Promise.withResolvers<FromSupervisor>();
  supervisor.on("message", (message) => answer.resolve(message as FromSupervisor));
  supervisor.on("error", (error) => answer.reject(new CommandError(`the cluster cannot be started: ${error.message}`)));
  supervisor.on("exit", (code, signal) =>
    answer.reject(
      new CommandError(`the cluster ended while starting (${signal ?? `exit code ${code}`}): ${said.trim()}`),
    ),
  );
  const message = await answer.promise;
  if (message.type === "refused") throw new CommandError(message.message);
  if (supervisor.connected) supervisor.disconnect();
  supervisor.stderr!.destroy();
  supervisor.unref();
  return message.endpoint;
}

function supervisorEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_COMPILE_CACHE: compileCacheFolder() };
}

function supervisorCommand(data: string, options: UpOptions): string[] {
  const entry = fileURLToPath(new URL("main.ts", import.meta.resolve("@berth/daemon")));
  const words = [process.execPath, ...process.execArgv, entry, "--data", data];
  const add = (option: string, value: string | undefined): void => {
    if (value !== undefined) words.push(option, value);
  };
  add("--port", options.port);
  add("--nodes", options.nodes);
  add("--simulated-nodes", options.simulatedNodes);
  add("--cpus-per-node", options.cpusPerNode);
  add("--driver", options.driver);
  return [...words, "supervisor"];
}
