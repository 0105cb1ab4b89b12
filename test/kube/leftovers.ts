/** Takes down what a lab has started and made, by what is recorded in its folder; also of labs whose owner was killed. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Processes } from "./processes.ts";

export const folderPrefix = "berth-kube-";

/** What real nodes need of the machine beside processes. */
export interface MachineParts {
  /** Interfaces, the bridge last. */
  interfaces: string[];
  /** Folders below each controller of /sys/fs/cgroup. */
  cgroup: string;
}

const partsFile = (folder: string): string => join(folder, "machine.json");

export function recordParts(folder: string, parts: MachineParts): void {
  writeFileSync(partsFile(folder), JSON.stringify(parts));
}

/** Ends everything that was started in a folder and removes the folder (kept with `BERTH_KEEP`). */
export async function tearDown(folder: string): Promise<void> {
  const processes = new Processes(folder);
  // Last started, first ended; nobody here has anything to save.
  for (const name of processes.names.reverse()) await processes.end(name, "SIGKILL");
  if (existsSync(partsFile(folder)))
    await removeParts(JSON.parse(readFileSync(partsFile(folder), "utf8")) as MachineParts);
  if (process.env["BERTH_KEEP"] === undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

async function removeParts({ interfaces, cgroup }: MachineParts): Promise<void> {
  for (const name of interfaces) spawnSync("ip", ["link", "delete", name], { stdio: "ignore" });
  for (const root of cgroupRoots().map((controller) => join(controller, cgroup))) {
    for (let tries = 0; tries < 100 && !removeTree(root); tries++) await pause(50);
  }
}

/** Folders of the mounted cgroup v1 hierarchies; links to them are left out. */
export function cgroupRoots(): string[] {
  if (!existsSync("/sys/fs/cgroup")) return [];
  return readdirSync("/sys/fs/cgroup", { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(`/sys/fs/cgroup/${entry.name}/cgroup.procs`))
    .map((entry) => `/sys/fs/cgroup/${entry.name}`);
}

/** The files of a cgroup go with it; false while a process that was killed is still in it. */
function removeTree(folder: string): boolean {
  if (!existsSync(folder)) return true;
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory() && !removeTree(join(folder, entry.name))) return false;
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

/** Ends what tests have left that were killed themselves. */
export async function removeLeftovers(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(folderPrefix)) continue;
    const folder = join(tmpdir(), name);
    let isLeftOver: boolean;
    try {
      isLeftOver = new Processes(folder).isLeftOver;
    } catch {
      // Being made, or being removed.
      continue;
    }
    if (!isLeftOver) continue;
    await tearDown(folder).catch((error: unknown) => {
      // Somebody else is taking it down.
      if (existsSync(folder)) throw error;
    });
  }
}
