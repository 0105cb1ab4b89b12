import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Cgroup, Cgroups } from "./cgroups.ts";
import { hostTools } from "./host.ts";
import { launcherText } from "./shell-texts.ts";

/** What a launcher is started with; tasks that agree in it may follow one another in one launcher. */
export interface LauncherSpec {
  /** Equal keys mean equal sandboxes. */
  key: string;
  /** Program and arguments that come before the shell: a sandbox, or nothing. */
  wrapping: string[];
}

export interface LauncherPoolOptions {
  /** The folder of pods, handed to launchers as file descriptor 8. */
  podsDirectory: string;
  /** Where launchers' own words go (a sandbox that cannot be made). */
  logPath: string;
  cgroups: Cgroups | undefined;
  /** A task has ended, (`taken`) another launcher had begun it before, or (`full`) it could not be begun: the disk is full. */
  onEnd(run: string, how: "ended" | "taken" | "full"): void;
  /** A launcher went away while it held a task. */
  onLost(run: string): void;
}

export interface Launcher {
  readonly id: string;
  readonly key: string;
  readonly cgroup: Cgroup | undefined;
  /** It has served no task yet. */
  readonly isNew: boolean;
}

interface Held extends Launcher {
  process: ChildProcess;
  run: string | undefined;
  isNew: boolean;
  idleSince: number;
}

/** Idle launchers are kept this long for the next task of their kind. */
const keepIdleMs = 3000;
const mostIdle = 16;

/**
 * The sh processes that hold tasks. Each runs one task at a time, is given the next by a line on its input, and outlives
 * this process: its input then ends, and it ends after its task.
 */
export class LauncherPool {
  readonly #options: LauncherPoolOptions;
  readonly #idle = new Map<string, Held[]>();
  readonly #all = new Set<Held>();
  readonly #pods: number;
  readonly #log: number;
  /** Tells this agent's launchers from those of agents before it. */
  readonly #born = Date.now().toString(36);
  #count = 0;
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: LauncherPoolOptions) {
    this.#options = options;
    this.#pods = openSync(options.podsDirectory, "r");
    this.#log = openSync(options.logPath, "a", 0o600);
  }

  /** A launcher for the next task; the caller prepares its control group and then calls `start`. */
  acquire(spec: LauncherSpec, { mustBeNew = false } = {}): Launcher {
    if (mustBeNew) return this.#start(spec);
    const idle = this.#idle.get(spec.key);
    const found = idle?.pop();
    if (idle?.length === 0) this.#idle.delete(spec.key);
    return found ?? this.#start(spec);
  }

  /** Hands a task, or the tasks of a lease, to a launcher that `acquire` gave. */
  start(launcher: Launcher, run: string, isLease = false): void {
    const held = launcher as Held;
    held.run = run;
    held.process.stdin!.write(isLease ? `lease ${run}\n` : `${run}\n`);
  }

  /** Gives a launcher back that was not started after all. */
  release(launcher: Launcher): void {
    this.#rest(launcher as Held);
  }

  /** Ends a launcher that cannot be used. */
  discard(launcher: Launcher): void {
    this.#retire(launcher as Held);
  }

  /** Ends all idle launchers, and resolves when they have gone; those with a task end after it. */
  async close(): Promise<void> {
    clearTimeout(this.#sweep);
    const idle = [...this.#all].filter(({ run }) => run === undefined);
    const gone = idle.map((launcher) => new Promise((resolve) => launcher.process.once("close", resolve)));
    for (const launcher of this.#all) launcher.process.stdin!.end();
    for (const { process } of idle) process.ref();
    await Promise.all(gone);
    closeSync(this.#pods);
    closeSync(this.#log);
  }

  #start(spec: LauncherSpec): Held {
    const { shell } = hostTools();
    const id = `${this.#born}-${this.#count++}`;
    const cgroup = this.#options.cgroups?.group(id);
    const command = [...spec.wrapping, shell, "-c", launcherText];
    // Joining comes first, so that the sandbox and all tasks inherit the groups.
    const joining = cgroup === undefined ? [] : cgroup.join.map((path) => `echo 0 >'${path}'`);
    const [program, ...words] =
      joining.length === 0 ? command : [shell, "-c", `${joining.join("; ")}; exec "$@"`, "berth-launcher", ...command];
    // Folders of the control groups, which a launcher reads between the tasks of a lease.
    const groups = (cgroup?.folders ?? []).map((folder) => openSync(folder, "r"));
    const [memory = "ignore", cpu = "ignore"] = groups;
    const child = spawn(program!, words, {
      cwd: "/",
      detached: true,
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      stdio: ["pipe", "pipe", this.#log, memory, cpu, "ignore", "ignore", "ignore", this.#pods],
    });
    for (const group of groups) closeSync(group);
    const launcher: Held = { id, key: spec.key, cgroup, process: child, run: undefined, isNew: true, idleSince: 0 };
    this.#all.add(launcher);
    child.on("error", () => this.#gone(launcher));
    child.on("exit", () => this.#gone(launcher));
    child.stdin!.on("error", () => {});
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const [how, run] = line.split(" ");
      if (run === undefined || run !== launcher.run) return;
      launcher.run = undefined;
      // The group's counters are read before the launcher may take another task.
      this.#options.onEnd(run, how === "taken" || how === "full" ? how : "ended");
      this.#rest(launcher);
    });
    // The agent may end while launchers go on.
    child.unref();
    (child.stdout as unknown as { unref(): void }).unref();
    (child.stdin as unknown as { unref(): void }).unref();
    return launcher;
  }

  #rest(launcher: Held): void {
    if (!this.#all.has(launcher)) return;
    launcher.isNew = false;
    if (launcher.cgroup?.reusable === false) {
      this.#retire(launcher);
      return;
    }
    launcher.idleSince = Date.now();
    const idle = this.#idle.get(launcher.key);
    if (idle === undefined) this.#idle.set(launcher.key, [launcher]);
    else idle.push(launcher);
    this.#plan();
  }

  #plan(): void {
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined;
      const idle = [...this.#idle.values()].flat().sort((a, b) => a.idleSince - b.idleSince);
      const now = Date.now();
      idle.forEach((launcher, index) => {
        if (now - launcher.idleSince >= keepIdleMs || idle.length - index > mostIdle) this.#retire(launcher);
      });
      if (this.#idle.size > 0) this.#plan();
    }, keepIdleMs / 2).unref();
  }

  #retire(launcher: Held): void {
    const idle = this.#idle.get(launcher.key)?.filter((other) => other !== launcher);
    if (idle === undefined || idle.length === 0) this.#idle.delete(launcher.key);
    else this.#idle.set(launcher.key, idle);
    launcher.process.stdin!.end();
  }

  #gone(launcher: Held): void {
    if (!this.#all.delete(launcher)) return;
    this.#retire(launcher);
    if (launcher.run !== undefined) this.#options.onLost(launcher.run);
    launcher.cgroup?.remove();
  }
}
