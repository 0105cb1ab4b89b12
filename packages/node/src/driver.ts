import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { briefly } from "./briefly.ts";
import type { Cgroups } from "./cgroups.ts";
import { hostTools, type Tools } from "./host.ts";
import type { LauncherSpec } from "./launcher-pool.ts";
import { containerEngines, mountArguments, type MountNeeds } from "./mounts.ts";
import { unshareWrapping } from "./unshare.ts";

export type DriverName = "sandbox" | "process" | "simulated";

/** How tasks of a node are kept apart from each other and from the machine. */
export interface Driver {
  readonly name: "sandbox" | "process";
  readonly namespaces: "none" | "privileged" | "user";
  /** What holds tasks with these needs on a node of this name. */
  launcher(nodeName: string, needs: MountNeeds): LauncherSpec;
}

/** `true`, or a sentence that says why not. */
type Capability = true | string;

export interface Capabilities {
  ownNamespaces: Capability;
  otherUsers: Capability;
  memoryLimit: Capability;
  memoryAccounting: Capability;
  cpuBinding: Capability;
  /** Whether what runs can stand still for a time. */
  suspension: Capability;
}

const isRoot = (): boolean => process.getuid?.() === 0;

/** The best driver that works here; tried, not assumed, since kernels and distributions forbid namespaces in many ways. */
export function chooseDriver(
  wanted: "sandbox" | "process" | undefined,
  tools: Tools = hostTools(),
): { driver: Driver; whyNotSandbox?: string } {
  if (wanted === "process") return { driver: processDriver(), whyNotSandbox: "the process driver was asked for" };
  const namespaces = isRoot() ? "privileged" : "user";
  const reasons: string[] = [];
  for (const make of [bubblewrapDriver, unshareDriver]) {
    const driver = make(tools, namespaces);
    if (typeof driver === "string") {
      reasons.push(driver);
      continue;
    }
    const failure = tryDriver(driver, tools);
    if (failure === undefined) return { driver };
    reasons.push(failure);
  }
  return { driver: processDriver(), whyNotSandbox: reasons.join("; ") };
}

function processDriver(): Driver {
  return { name: "process", namespaces: "none", launcher: () => ({ key: "process", wrapping: [] }) };
}

function bubblewrapDriver(tools: Tools, namespaces: "privileged" | "user"): Driver | string {
  if (tools.bwrap === undefined) return "bubblewrap (bwrap) is not installed";
  if (tools.unshare === undefined) return "unshare of util-linux is not installed";
  return sandbox(namespaces, (nodeName, needs) => [
    tools.bwrap!,
    ...mountArguments(needs),
    ...(namespaces === "user" ? ["--unshare-user"] : []),
    "--unshare-ipc",
    "--unshare-uts",
    "--hostname",
    nodeName,
    // For the task's own namespaces; the task itself has none of these.
    "--cap-add",
    "ALL",
    "--chdir",
    "/",
    "--",
  ]);
}

function unshareDriver(tools: Tools, namespaces: "privileged" | "user"): Driver | string {
  if (tools.unshare === undefined) return "unshare of util-linux is not installed";
  return sandbox(namespaces, (nodeName, needs) => {
    const wrapping = unshareWrapping(nodeName, needs, namespaces, tools);
    if (wrapping === undefined) {
      throw new Error("no empty directory was found to build the sandbox on (/media, /mnt, /srv, …)");
    }
    return wrapping;
  });
}

function sandbox(namespaces: "privileged" | "user", wrap: (nodeName: string, needs: MountNeeds) => string[]): Driver {
  const launcher = briefly((text): LauncherSpec => {
    const [nodeName, needs] = JSON.parse(text) as [string, MountNeeds];
    return { key: text, wrapping: wrap(nodeName, withEngines(needs)) };
  });
  return { name: "sandbox", namespaces, launcher: (nodeName, needs) => launcher(JSON.stringify([nodeName, needs])) };
}

function withEngines(needs: MountNeeds): MountNeeds {
  const own = process.getuid?.() ?? 0;
  const engines = [...containerEngines, `/run/user/${own}/docker.sock`, `/run/user/${own}/podman`];
  return { ...needs, hidden: [...needs.hidden, ...engines.filter((path) => existsSync(path))] };
}

/** Starts what a task would start; undefined when it works, else the words of what failed. */
function tryDriver(driver: Driver, tools: Tools): string | undefined {
  let wrapping: string[];
  try {
    ({ wrapping } = driver.launcher("probe", { writable: [], volumes: [], hidden: [] }));
  } catch (error) {
    return (error as Error).message;
  }
  const user = driver.namespaces === "user" ? ["--user", "--map-current-user"] : [];
  const task = ["--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--", tools.shell, "-c", 'test "$$" = 1'];
  const [program, ...words] = [...wrapping, tools.unshare!, ...user, ...task];
  const result = spawnSync(program!, words, { encoding: "utf8", timeout: 10_000, stdio: ["ignore", "ignore", "pipe"] });
  if (result.status === 0) return undefined;
  return `${program}: ${result.stderr?.trim().split("\n").at(-1) || result.error?.message || `exit code ${result.status}`}`;
}

export function capabilitiesOf(
  driver: Driver,
  whyNotSandbox: string | undefined,
  cgroups: Cgroups | undefined,
): Capabilities {
  const noGroups = "no control groups can be written here (they need root, or a delegated cgroup v2)";
  const memory =
    cgroups === undefined
      ? noGroups
      : cgroups.limitsMemory ||
        "the control groups (version 2) that can be written here are without the memory controller";
  const tools = hostTools();
  return {
    ownNamespaces: driver.namespaces === "none" ? (whyNotSandbox ?? "no namespaces") : true,
    otherUsers: !isRoot()
      ? "only root may start jobs of other users"
      : tools.setpriv === undefined
        ? "setpriv of util-linux is not installed"
        : true,
    memoryLimit: memory,
    memoryAccounting: memory === true ? true : `sampled from /proc once a second: ${memory}`,
    cpuBinding:
      cgroups?.bindsCores === true || tools.taskset !== undefined
        ? true
        : "neither a cpuset group nor taskset is there",
    // Where no control group can be frozen, processes are stopped one by one.
    suspension: true,
  };
}
