import { quoteForShell, type TaskNumber, type TaskVariables } from "@berth/kinds";
import type { CgroupBaseline } from "./cgroups.ts";
import { initText } from "./shell-texts.ts";
import type { Tools } from "./host.ts";

export interface Identity {
  uid: number;
  gid: number;
  groups: number[];
}

/** Who nobody else is. */
export const nobody: Identity = { uid: 65534, gid: 65534, groups: [] };

/** What is remembered of a task in its own file, for the agent that takes it back. */
export interface TaskRecord {
  launcherId: string;
  bootId: string;
  /** CPU time of what the launcher ran before. */
  cpuBeforeMilliseconds: number;
  /** Generations of processes between the launcher and the job. */
  depth: number;
  /** How processes that left the tree are found: by a mark in their environment, or (in a pid namespace) `-`. */
  mark: "environ" | "-";
  baseline?: CgroupBaseline;
  /** File of its control group by which it stands still; absent: STOP and CONT do that. */
  freezer?: string;
  /** Cores that only this pod uses. */
  cores?: number[];
  /** Of a pod of an array: `WORKLOAD-UID ATTEMPT`, and the tasks that it took. */
  claim?: { of: string; tasks: number[] };
}

export interface TaskPlan {
  record: TaskRecord;
  /** Words of the command, as the container says. */
  command: string[];
  environment: Record<string, string>;
  workingDirectory: string;
  /** `POD-UID/CONTAINER.N`. */
  run: string;
  /** Folder in which the steps of the job meet, relative to that of the pods. */
  steps?: string;
  /** Absent: the agent's own identity. */
  identity?: Identity;
  /** Own pid and mount namespaces; else the task runs beside all others. */
  namespaces: "none" | "privileged" | "user";
  /** Cores to bind to where no control group does it. */
  bindTo?: number[];
  /** Where the end by time limit or by deletion is said: the job's error file. Of a lease the path is that of each task. */
  notice?: { jobId: number; node: string; path: string };
  /** What differs from task to task of a lease; `firstJobId` is that of index 0. */
  each?: { variables: TaskVariables; firstJobId: number };
}

/** Capabilities that a job of root keeps: what containers get by default, nothing that could undo the sandbox. */
const keptCapabilities =
  "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,audit_write,setfcap";

/** How many generations of processes between launcher and job: see watchdogText. */
export function generationsBelowLauncher(plan: Pick<TaskPlan, "namespaces">): number {
  return plan.namespaces === "none" ? 1 : 2;
}

/** Exports what differs from task to task of a lease; `berth_task` is the task's index. */
function eachText({ variables, firstJobId }: NonNullable<TaskPlan["each"]>): string[] {
  const lines = [
    `berth_job=$((${firstJobId} + berth_task)) berth_digit=$((berth_task % 10))`,
    `berth_pad() { berth_padded=$1; while [ \${#berth_padded} -lt $2 ]; do berth_padded=0$berth_padded; done; }`,
  ];
  const padded = new Set<string>();
  const number = ({ of, width = 0 }: TaskNumber): string => {
    if (width < 2) return `"$berth_${of}"`;
    const name = `berth_${of}_${width}`;
    if (!padded.has(name)) lines.push(`berth_pad $berth_${of} ${width}; ${name}=$berth_padded`);
    padded.add(name);
    return `"$${name}"`;
  };
  for (const [name, parts] of Object.entries(variables)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) continue;
    const value = parts.map((part) => (typeof part === "string" ? quoteForShell(part) : number(part))).join("");
    lines.push(`export ${name}=${value}`);
  }
  return lines;
}

/** The sh text that a launcher reads to become the task, or each task of a lease in its turn. */
export function taskText(plan: TaskPlan, tools: Tools): string {
  const lines = [`#${JSON.stringify(plan.record)}`];
  const identity = plan.identity === undefined ? [] : identityWords(plan.identity, tools);
  if (plan.each !== undefined) lines.push(...eachText(plan.each));
  if (plan.notice !== undefined) {
    const { jobId, node, path } = plan.notice;
    const say = `echo "berth: *** JOB $4 ON ${node} CANCELLED AT $2$3 ***" >>"$1"`;
    const words = [...identity, tools.shell, "-c", say, "notice"].map(quoteForShell).join(" ");
    const perTask = ["BERTH_ERROR", "BERTH_OUTPUT"].find(
      (name) => plan.each?.variables[name] !== undefined || (plan.environment[name] ?? "") !== "",
    );
    const file = plan.each?.variables[perTask ?? ""] === undefined ? quoteForShell(path) : `"$${perTask}"`;
    const job = plan.each === undefined ? String(jobId) : `"$berth_job"`;
    lines.push(
      `if [ "\${BERTH_NOTICE-}" ]; then`,
      `  case $1 in timelimit) berth_why=" DUE TO TIME LIMIT" ;; *) berth_why= ;; esac`,
      `  exec ${words} ${file} "$2" "$berth_why" ${job}`,
      `fi`,
    );
  } else lines.push(`[ -z "\${BERTH_NOTICE-}" ] || exit 0`);
  lines.push("unset PATH OLDPWD");
  for (const [name, value] of Object.entries(plan.environment)) {
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) lines.push(`export ${name}=${quoteForShell(value)}`);
  }
  if (tools.setsid !== undefined) lines.push(`export BERTH_LAUNCH=${quoteForShell(tools.setsid)}`);
  // The sandbox hides the folder; file descriptor 8, opened before, reaches it.
  lines.push(`exec 5>>${quoteForShell(`/proc/self/fd/8/${plan.run}/log`)} >&5`);
  if (plan.steps !== undefined) {
    // The first process keeps it open, and who runs in its namespaces as the same user reaches it there.
    const path = quoteForShell(`/proc/self/fd/8/${plan.steps}`);
    lines.push(`[ ! -d ${path} ] || exec 9<${path}`);
  }
  lines.push(`cd ${quoteForShell(plan.workingDirectory)} 2>&5 || exit 125`);
  const words: string[] = [];
  // `unshare` becomes the user as well, which is cheaper than a program of its own; the launcher has the groups already.
  const user = plan.identity === undefined || plan.identity.uid === 0 ? [] : ["--setuid", String(plan.identity.uid)];
  if (plan.namespaces !== "none") {
    words.push(tools.unshare!);
    if (plan.namespaces === "user") words.push("--user", "--map-current-user");
    words.push("--pid", "--mount", "--fork", "--kill-child", "--mount-proc", ...user, "--");
  } else if (user.length > 0) words.push(tools.unshare!, ...user, "--");
  if (plan.bindTo !== undefined && tools.taskset !== undefined) {
    words.push(tools.taskset, "-c", plan.bindTo.join(","));
  }
  if (plan.identity?.uid === 0) words.push(tools.setpriv!, ...withoutDangerousCapabilities);
  words.push(tools.shell, "-c", initText, "berth-init", ...sourced(plan.command));
  lines.push(`exec ${words.map(quoteForShell).join(" ")} 3>&- 4>&- 6>&- 8>&-`);
  return `${lines.join("\n")}\n`;
}

/** `sh FILE` is read into the shell that is there already, which saves one start of a program; other commands are started. */
function sourced(command: string[]): string[] {
  const isShell = command[0] === "sh" || command[0] === "/bin/sh";
  if (isShell && command.length === 2 && command[1]!.startsWith("/")) return ["source", ...command];
  return ["run", ...command];
}

const withoutDangerousCapabilities = [
  "--bounding-set",
  `-all,${keptCapabilities
    .split(",")
    .map((name) => `+${name}`)
    .join(",")}`,
  "--inh-caps",
  "-all",
];

/** The words that make a command run as somebody; only root may. */
export function identityWords(identity: Identity, tools: Tools): string[] {
  const words = [...groupWords(identity, tools), "--reuid", String(identity.uid)];
  return identity.uid === 0 ? [...words, ...withoutDangerousCapabilities] : [...words, "--inh-caps", "-all"];
}

/** The words that give a launcher the groups of those whose tasks it will hold. */
export function groupWords({ gid, groups }: Identity, tools: Tools): string[] {
  const others = groups.length === 0 ? ["--clear-groups"] : ["--groups", groups.join(",")];
  return [tools.setpriv!, "--regid", String(gid), ...others];
}
