/** What a launcher is told of a container: its command, who it runs as, what it sees, and what it may use. */
import { annotations, hostImage, labels } from "@berth/kinds";
import type { Container, Pod, TaskVariables } from "@berth/kinds";
import { quantityToInteger, quantityToMilli } from "@berth/machinery";
import { deadlineOf, graceOf, leaseDeadline } from "./deadlines.ts";
import { ConfigurationError, containerEnvironment, expandReferences } from "./environment.ts";
import { hostTools, userOf } from "./host.ts";
import type { LauncherSpec } from "./launcher-pool.ts";
import { writableRoot, type BindMount } from "./mounts.ts";
import type { NodeContext } from "./node-context.ts";
import { groupWords, type Identity } from "./task.ts";
import type { Tasks } from "./tasks.ts";
import { containerMounts } from "./volumes.ts";

/** What the containers of a pod have in common. */
export interface Prepared {
  identity: Identity;
  /** Rejects where a volume cannot be had. */
  folders: Promise<Map<string, string>>;
}

/**
 * The request for one run (`UID/CONTAINER.N`) of a container.
 * @param startedAt of the pod, in milliseconds: whatever is not the first run has its wall time from then
 */
export async function launchRequest(
  context: NodeContext,
  pod: Pod,
  container: Container,
  run: string,
  prepared: Prepared,
  startedAt: number,
  isLease = false,
): Promise<Parameters<Tasks["run"]>[0]> {
  const deadline = (): ReturnType<typeof deadlineOf> =>
    deadlineOf(pod, startedAt, run.endsWith(".0") ? Date.now() : undefined);
  const namespace = pod.metadata.namespace ?? "default";
  const stated = await containerEnvironment(pod, container, context.nodeName, context.references(namespace));
  const user = userOf(prepared.identity.uid);
  let environment: Record<string, string> = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: user?.home ?? "/",
    ...(user === undefined ? {} : { USER: user.name, LOGNAME: user.name, SHELL: user.shell }),
    HOSTNAME: context.nodeName,
    ...stated,
    BERTH_POD_UID: pod.metadata.uid!,
    BERTH_INIT: "1",
    BERTH_TERMINATION_LOG: "/dev/null",
  };
  let command = [...(container.command ?? []), ...(container.args ?? [])].map((word) =>
    expandReferences(word, environment),
  );
  if (command.length === 0)
    throw new ConfigurationError(
      `container "${container.name}": image "${hostImage}" has no command of its own; give one`,
    );
  let mounts = containerMounts(container, await prepared.folders);
  let workingDirectory = container.workingDir ?? "/";
  const steps = context.steps.prepare(pod, container, run, process.getuid?.() === 0 ? prepared.identity : undefined);
  if (steps !== undefined) {
    environment["BERTH_BIN"] = steps.mount.target;
    mounts = [...mounts, steps.mount];
  }
  if (context.driver.namespaces === "none") {
    const rewrite = (text: string): string => rewritePaths(text, mounts);
    environment = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, rewrite(value)]));
    command = command.map(rewrite);
    workingDirectory = rewrite(workingDirectory);
    const submission = mounts.find(({ target }) => target === "/berth");
    if (submission !== undefined) environment["BERTH_SUBMISSION"] = submission.source;
    mounts = [];
  }
  const ownDirectories = [user?.home, container.workingDir, stated["BERTH_CHDIR"], ...outputDirectories(stated)];
  const sandboxed = context.driver.namespaces !== "none";
  const writable = ownDirectories.flatMap((path) =>
    !sandboxed || path === undefined || path === "" ? [] : (writableRoot(path) ?? []),
  );
  const milli = quantityToMilli(container.resources?.limits?.["cpu"] ?? container.resources?.requests?.["cpu"] ?? 0);
  const memory = container.resources?.limits?.["memory"];
  const memoryBytes = memory === undefined ? undefined : quantityToInteger(memory);
  if (memoryBytes !== undefined && !context.limitsMemory) {
    context.event(
      pod,
      "Warning",
      "MemoryLimitNotEnforced",
      "this node cannot limit memory; the pod runs without a limit",
    );
  }
  const each = isLease ? eachOf(pod) : undefined;
  for (const name of Object.keys(each?.variables ?? {})) delete environment[name];
  const errorPath = stated["BERTH_ERROR"] || stated["BERTH_OUTPUT"];
  // Of all pods of a job the first one says what happened to it.
  const { [labels.podSet]: podSet = "main", [labels.podIndex]: index = "0" } = pod.metadata.labels ?? {};
  const jobId = podSet === "main" && index === "0" ? pod.metadata.labels?.[labels.jobId] : undefined;
  const asOther = process.getuid?.() === 0;
  const launcher = context.driver.launcher(context.nodeName, {
    writable: [...new Set(writable)].sort(),
    volumes: mounts,
    hidden: [context.dataDirectory],
  });
  return {
    run,
    launcher: asOther ? withGroups(launcher, prepared.identity) : launcher,
    plan: {
      command,
      environment,
      workingDirectory,
      steps: steps?.folder,
      identity: asOther ? prepared.identity : undefined,
      namespaces: context.driver.namespaces,
      notice:
        errorPath === undefined || jobId === undefined
          ? undefined
          : { jobId: Number(jobId), node: context.nodeName, path: errorPath },
      each,
    },
    memoryBytes,
    cores: context.cores.take(pod.metadata.uid!, milli, coresGiven(pod)),
    nodeCores: context.cores.all,
    deadline: isLease ? (leaseDeadline(pod) ?? deadline()) : deadline(),
    graceSeconds: graceOf(pod),
  };
}

/** What differs from task to task; the pod's own labels and environment are those of its first. */
function eachOf(pod: Pod): { variables: TaskVariables; firstJobId: number } {
  const { annotations: stated, labels: has } = pod.metadata;
  const text = stated?.[annotations.taskVariables];
  return {
    variables: text === undefined ? {} : (JSON.parse(text) as TaskVariables),
    firstJobId: Number(has?.[labels.jobId] ?? 0) - Number(has?.[labels.task] ?? 0),
  };
}

function withGroups({ key, wrapping }: LauncherSpec, identity: Identity): LauncherSpec {
  const words = [...groupWords(identity, hostTools()), "--"];
  return { key: `${words.join(" ")}\0${key}`, wrapping: [...words, ...wrapping] };
}

function outputDirectories(environment: Record<string, string>): string[] {
  return [environment["BERTH_OUTPUT"], environment["BERTH_ERROR"]]
    .filter((path) => path !== undefined && path.startsWith("/"))
    .map((path) => path!.slice(0, path!.lastIndexOf("/")) || "/");
}

/** Without a mount namespace a volume has another path: it is written where a word is, or begins with, the mount's path. */
function rewritePaths(text: string, mounts: BindMount[]): string {
  for (const { source, target } of mounts) {
    if (text === target || text.startsWith(`${target}/`)) return source + text.slice(target.length);
  }
  return text;
}

/** Cores that the scheduler chose for a pod. */
function coresGiven(pod: Pod): number[] | undefined {
  const text = pod.metadata.annotations?.[annotations.grant];
  if (text === undefined) return undefined;
  try {
    const { cores } = JSON.parse(text) as { cores?: unknown };
    return Array.isArray(cores) && cores.every((core) => Number.isInteger(core)) ? (cores as number[]) : undefined;
  } catch {
    return undefined;
  }
}
