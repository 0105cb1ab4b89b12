/** The supervisor as a process: its options, its signals, and what it says to who started it. */
import { currentClusterFile } from "@berth/identity";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { NodeDescription } from "./machine.ts";
import { prepareFirstStart } from "./part-programs.ts";
import { messageOf, Refusal } from "./refusal.ts";
import { Supervisor, type Endpoint } from "./supervisor.ts";

/** Said over the IPC channel of a supervisor that was started with `--detach`. */
type FromSupervisor = { type: "ready"; endpoint: Endpoint } | { type: "refused"; message: string };

interface CommandLine {
  data: string;
  port?: string;
  nodes?: string;
  "simulated-nodes"?: string;
  "cpus-per-node"?: string;
  driver?: string;
  "current-file"?: string;
}

/** Runs a cluster until SIGTERM or SIGINT, then exits with 0; with 1 when it cannot start. */
export async function superviseFromCommandLine(line: CommandLine, program: string): Promise<void> {
  const detached = process.send !== undefined;
  let supervisor: Supervisor;
  try {
    await prepareFirstStart(program, line.data);
    supervisor = await Supervisor.start({
      data: resolve(line.data),
      program,
      version: version(),
      nodes: whole("--nodes", line.nodes ?? "1", 0, 1024),
      simulatedNodes: await simulated(line["simulated-nodes"] ?? "0"),
      currentFile: line["current-file"] ?? currentClusterFile(),
      ...(line["cpus-per-node"] === undefined
        ? {}
        : { cpusPerNode: whole("--cpus-per-node", line["cpus-per-node"], 1, 1024) }),
      ...(line.port === undefined ? {} : { port: whole("--port", line.port, 1, 65_535) }),
      ...(line.driver === undefined ? {} : { driver: driver(line.driver) }),
    });
  } catch (error) {
    if (detached) await say({ type: "refused", message: messageOf(error) });
    else process.stderr.write(`berth: ${messageOf(error)}\n`);
    process.exit(1);
  }
  const { endpoint } = supervisor;
  let stopping = false;
  const stop = async (): Promise<void> => {
    // Who asks a second time means it: the processes end with their channel.
    if (stopping) process.exit(1);
    stopping = true;
    // Loaded for the one question that a stop asks: a supervisor needs no client in its life.
    const running = await import("./running-jobs.ts")
      .then(({ countRunningJobs }) => countRunningJobs(endpoint.data))
      .catch(() => undefined);
    const sentence = stoppedSentence(running);
    await supervisor.stop();
    if (!detached) process.stdout.write(`${sentence}\n`);
    process.exit(0);
  };
  const stopOrDie = (): void =>
    void stop().catch((error: unknown) => {
      process.stderr.write(`berth: ${messageOf(error)}\n`);
      process.exit(1);
    });
  process.on("SIGTERM", stopOrDie);
  process.on("SIGINT", stopOrDie);
  process.on("SIGHUP", () => undefined);
  if (detached) {
    await say({ type: "ready", endpoint });
    process.disconnect();
    return;
  }
  const notes = endpoint.notes.map((note) => `note: ${note}\n`).join("");
  process.stdout.write(`${notes}Berth is ready at ${endpoint.url} (data folder ${endpoint.data}); Ctrl-C stops it\n`);
}

/** What is true of jobs after a stop. */
function stoppedSentence(running: number | undefined): string {
  if (running === undefined) return "stopped; running jobs go on and are taken back at the next start";
  if (running === 0) return "stopped; no job was running";
  return running === 1
    ? "stopped; 1 running job goes on and is taken back at the next start"
    : `stopped; ${running} running jobs go on and are taken back at the next start`;
}

function say(message: FromSupervisor): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (process.connected) process.send!(message, () => resolve());
  else resolve();
  return promise;
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = /^\d{1,7}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new Refusal(`${option} ${text}: this must be a whole number from ${least} to ${most}`);
}

/** Read by a module that few clusters need. */
async function simulated(text: string): Promise<NodeDescription[]> {
  return text === "0" ? [] : (await import("./simulated-nodes.ts")).simulatedNodes(text);
}

function driver(text: string): "sandbox" | "process" {
  if (text === "sandbox" || text === "process") return text;
  throw new Refusal(`--driver ${text}: there are "sandbox" and "process"; without it the best that the machine allows`);
}

function version(): string {
  const description = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(description) as { version: string }).version;
}
