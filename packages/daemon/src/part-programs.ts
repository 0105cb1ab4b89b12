/** The programs of a cluster's processes, and how Node.js is to run them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { getCompileCacheDir } from "node:module";
import type { RunRole } from "./child.ts";
import type { Role } from "./messages.ts";

/** How each is loaded: only by the process whose it is, for its modules are most of the time to start and of the memory when idle. */
export const programs: Record<Role, () => Promise<RunRole>> = {
  apiserver: async () => (await import("./apiserver-role.ts")).runApiserver,
  controllers: async () => (await import("./controllers-role.ts")).runControllers,
  node: async () => (await import("./node-role.ts")).runNode,
};

/**
 * Options of Node.js for these processes. Most of what they make is garbage at once; without a limit V8 lets the space for what is new grow
 * to 128 MiB in each process of a machine with much memory, and does not give it back.
 */
export const nodeOptions = ["--max-semi-space-size=4"];

/** Loads all programs once, so that Node.js keeps what it made of their TypeScript. */
export async function loadPrograms(): Promise<void> {
  await Promise.all([...Object.values(programs).map((load) => load()), import("./child.ts")]);
}

/**
 * Where this process had to make JavaScript of its TypeScript, its fellows would, too, all of the same modules: one process does it for them
 * before they start. Each that does it itself keeps 20 MiB of the compiler for its life.
 */
export async function prepareFirstStart(program: string, data: string): Promise<void> {
  // What strips types is loaded by who needs it; the list of what was loaded is Node's own, and stands in no types.
  const { moduleLoadList = [] } = process as { moduleLoadList?: string[] };
  if (!moduleLoadList.some((name) => name.includes("internal/deps/amaro")) || getCompileCacheDir() === undefined)
    return;
  const words = [...process.execArgv, ...nodeOptions, program, "--data", data, "prepare"];
  // Where it fails, so will the processes, and say why.
  const preparing = spawn(process.execPath, words, { stdio: "ignore" });
  preparing.on("error", () => undefined);
  await once(preparing, "close");
}
