import { mkdirSync, readFileSync, watch, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { CgroupBaseline, Cgroups } from "./cgroups.ts";
import { bootId, hostTools, uptimeSeconds, usableCores } from "./host.ts";
import { LauncherPool, type Launcher, type LauncherSpec } from "./launcher-pool.ts";
import { LeaseState } from "./lease-state.ts";
import { parseState, type TaskState } from "./state-file.ts";
import { generationsBelowLauncher, taskText, type TaskPlan, type TaskRecord } from "./task.ts";
import type { Watchdog } from "./watchdog.ts";

/** Whether an error says that the disk has no room, which may pass. */
export function isFull(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "ENOSPC" || code === "EDQUOT";
}

/** How a task ended. */
export interface TaskEnd {
  /** Undefined when nothing is known but that it is gone. */
  exitCode?: number;
  signal?: number;
  /** Why the watchdog ended it: `timelimit`, `activedeadline`, `deleted`. */
  ending?: string;
  /** What could not be set up, in words. */
  setupFailure?: string;
  startedAtMs?: number;
  endedAtMs: number;
  cpuMilliseconds?: number;
  peakMemoryBytes?: number;
  outOfMemory: boolean;
}

export interface TaskRequest {
  run: string;
  launcher: LauncherSpec;
  plan: Omit<TaskPlan, "record" | "run">;
  /** Several tasks of an array, in this order; `plan.each` says what differs. The end told is that of the last. */
  lease?: { tasks: readonly number[]; seconds: number };
  claim?: TaskRecord["claim"];
  memoryBytes?: number;
  /** Cores that only this pod uses; bound by control group where there is one. */
  cores?: number[];
  nodeCores?: readonly number[];
  /** Uptime in whole seconds at which it is ended, and why; of a lease `+` and the seconds that each of its tasks may take. */
  deadline?: { uptimeSeconds: number | `+${number}`; stage: string };
  graceSeconds: number;
}

interface Running {
  run: string;
  record: TaskRecord;
  launcher?: Launcher;
  peakSampledBytes: number;
  /** Hands it to another launcher; absent where the one that holds it is new. */
  again?(): void;
  end(end: TaskEnd): void;
  refuse(error: Error): void;
}

export interface TasksOptions {
  directory: string;
  cgroups: Cgroups | undefined;
  watchdog: Watchdog;
  log(level: "info" | "warn" | "error", message: string, fields?: Record<string, unknown>): void;
}

/** Between the making of a task's `state` and its first line. */
const longestDecisionMs = 5000;

/** Content of a task's file that the agent made before the launcher could. */
const withdrawn = "withdrawn";

/** Starts tasks, learns of their end, takes back those of an earlier agent. A task is named by its run, `POD-UID/CONTAINER.N`. */
export class Tasks {
  readonly #options: TasksOptions;
  readonly #pods: string;
  readonly #pool: LauncherPool;
  readonly #running = new Map<string, Running>();
  readonly #launcherCpu = new Map<string, number>();
  readonly #boot = bootId();
  readonly #allCores = usableCores().length;
  #removal: Promise<void> = Promise.resolve();

  constructor(options: TasksOptions) {
    this.#options = options;
    this.#pods = join(options.directory, "pods");
    mkdirSync(this.#pods, { recursive: true, mode: 0o700 });
    this.#pool = new LauncherPool({
      podsDirectory: this.#pods,
      logPath: join(options.directory, "launchers.log"),
      cgroups: options.cgroups,
      onEnd: (run, how) => {
        if (how === "taken") this.#adopt(this.#running.get(run));
        else if (how === "full") this.#refused(run);
        else this.#ended(run);
      },
      onLost: (run) => this.#lost(run),
    });
  }

  /** Runs that are held now, for the sampling of memory. */
  get running(): Iterable<string> {
    return this.#running.keys();
  }

  state(run: string): TaskState | undefined {
    try {
      return parseState(readFileSync(join(this.#pods, run, "state"), "utf8"));
    } catch {
      return undefined;
    }
  }

  record(run: string): TaskRecord | undefined {
    return this.#readRecord(run);
  }

  sampled(run: string, bytes: number): void {
    const task = this.#running.get(run);
    if (task !== undefined && bytes > task.peakSampledBytes) task.peakSampledBytes = bytes;
  }

  /**
   * Runs a task to its end. A run that was begun before, also by an agent that is dead, is taken over and never begun again.
   * Throws, or rejects, with an error for which `isFull` holds where the disk has no room; then nothing was begun.
   */
  run(request: TaskRequest): Promise<TaskEnd> {
    const { run } = request;
    const directory = join(this.#pods, run);
    const { promise, resolve, reject } = Promise.withResolvers<TaskEnd>();
    if (this.state(run) !== undefined) {
      this.takeBack(run, resolve);
      return promise;
    }
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#hand(request, { resolve, reject });
    return promise;
  }

  #hand(
    request: TaskRequest,
    promised: { resolve(end: TaskEnd): void; reject(error: Error): void },
    { mustBeNew = false } = {},
  ): void {
    const { run } = request;
    const directory = join(this.#pods, run);
    const bound = request.cores ?? request.nodeCores;
    const launcher = this.#pool.acquire(request.launcher, { mustBeNew });
    const again = launcher.isNew ? {} : { again: () => this.#hand(request, promised, { mustBeNew: true }) };
    let baseline: CgroupBaseline | undefined;
    try {
      baseline = launcher.cgroup?.prepare({
        memoryBytes: request.memoryBytes,
        cores: bound === undefined ? undefined : [...bound],
      });
    } catch (error) {
      // What earlier tasks left in the group (pages that are not written yet) may be more than the limit.
      this.#pool.discard(launcher);
      if (again.again === undefined) throw error;
      again.again();
      return;
    }
    // To be bound to all cores there are is not to be bound, and costs the start of a program.
    const binds = bound !== undefined && bound.length < this.#allCores;
    const byGroup = this.#options.cgroups?.bindsCores === true;
    const namespaces = request.plan.namespaces;
    const record: TaskRecord = {
      launcherId: launcher.id,
      baseline,
      ...(launcher.cgroup?.freezer === undefined ? {} : { freezer: launcher.cgroup.freezer }),
      cores: request.cores,
      bootId: this.#boot,
      cpuBeforeMilliseconds: this.#launcherCpu.get(launcher.id) ?? 0,
      depth: generationsBelowLauncher({ namespaces }),
      mark: namespaces === "none" ? "environ" : "-",
      ...(request.claim === undefined ? {} : { claim: request.claim }),
    };
    const plan: TaskPlan = {
      ...request.plan,
      run,
      record,
      bindTo: byGroup || !binds ? undefined : [...bound],
    };
    try {
      writeFileSync(join(directory, "task"), taskText(plan, hostTools()), { mode: 0o600 });
      if (request.lease !== undefined) {
        const { tasks, seconds } = request.lease;
        writeFileSync(join(directory, "lease"), `berth_tasks='${tasks.join(" ")}' berth_seconds=${seconds}\n`);
      }
      if (request.deadline !== undefined) {
        const { uptimeSeconds: at, stage } = request.deadline;
        this.#options.watchdog.set({ run, atUptimeSeconds: at, graceSeconds: request.graceSeconds, stage, ...record });
      }
    } catch (error) {
      this.#options.watchdog.clear(run);
      this.#pool.release(launcher);
      throw error;
    }
    const { resolve: end, reject: refuse } = promised;
    this.#running.set(run, { run, record, launcher, peakSampledBytes: 0, ...again, end, refuse });
    this.#pool.start(launcher, run, request.lease !== undefined);
  }

  /** Takes a task of a lease away, so that it will not begin: false where it has. What another agent took away stays so. */
  withdraw(run: string, task: number): boolean {
    const path = join(this.#pods, run, String(task));
    try {
      writeFileSync(path, withdrawn, { flag: "wx", mode: 0o600 });
      return true;
    } catch {
      try {
        return readFileSync(path, "utf8") === withdrawn;
      } catch {
        return false;
      }
    }
  }

  /** Asks for the end of one task of a lease, if it is the one that runs: TERM, after the grace KILL. */
  endTask(run: string, task: number, graceSeconds: number, stage: string): void {
    const record = this.#running.get(run)?.record;
    if (record === undefined) return;
    this.#options.watchdog.end({ run, task, graceSeconds, stage, ...record });
  }

  /** The tasks of a lease, also of one that an earlier agent began; undefined of other runs. */
  leased(run: string): number[] | undefined {
    try {
      const text = readFileSync(join(this.#pods, run, "lease"), "utf8");
      return /'([\d ]*)'/.exec(text)![1]!.split(" ").map(Number);
    } catch {
      return undefined;
    }
  }

  /** Follows what the launcher tells of the tasks of a lease. */
  follow(run: string, stoodStill?: (fromUptime: number, toUptime: number) => number): LeaseState {
    return new LeaseState(join(this.#pods, run, "state"), this.#readRecord(run)?.baseline, stoodStill);
  }

  /** Asks for the end of a run: TERM, after the grace KILL. */
  end(run: string, graceSeconds: number, stage: string): void {
    const task = this.#running.get(run);
    if (task === undefined) return;
    try {
      this.#options.watchdog.end({ run, graceSeconds, stage, ...task.record });
    } catch (error) {
      if (!isFull(error)) throw error;
      setTimeout(() => this.end(run, graceSeconds, stage), 1000);
    }
  }

  /** The time at which it is to be ended was changed; what is being ended already goes on to its end. */
  setDeadline(
    run: string,
    { uptimeSeconds: at, stage }: NonNullable<TaskRequest["deadline"]>,
    graceSeconds: number,
  ): void {
    const task = this.#running.get(run);
    if (task === undefined || this.state(run)?.ending !== undefined) return;
    this.#options.watchdog.set({ run, atUptimeSeconds: at, graceSeconds, stage, ...task.record });
  }

  /** Waits for the end of a run that an earlier agent began. */
  takeBack(run: string, resolve: (end: TaskEnd) => void): void {
    const record = this.#readRecord(run);
    if (record === undefined) {
      resolve({ endedAtMs: Date.now(), outOfMemory: false });
      return;
    }
    const task: Running = { run, record, peakSampledBytes: 0, end: resolve, refuse: () => {} };
    this.#running.set(run, task);
    this.#adopt(task);
  }

  /** Removes a pod's folder: in the background, for thousands of small files take their time. */
  forget(podUid: string): void {
    this.#removal = this.#removal
      .then(() => rm(join(this.#pods, podUid), { recursive: true, force: true }))
      .catch((error: unknown) => this.#options.log("warn", `the folder of pod ${podUid} stays: ${String(error)}`));
  }

  /** Lets go of all tasks, which go on. Resolves when nothing is left that only waited for tasks. */
  async close(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#removal]);
    this.#options.cgroups?.leave();
  }

  #readRecord(run: string): TaskRecord | undefined {
    try {
      const [first] = readFileSync(join(this.#pods, run, "task"), "utf8").split("\n", 1);
      return JSON.parse(first!.slice(1)) as TaskRecord;
    } catch {
      return undefined;
    }
  }

  #adopt(task: Running | undefined): void {
    if (task === undefined) return;
    task.launcher = undefined;
    const since = performance.now();
    const look = (): boolean => {
      const state = this.state(task.run);
      // Whoever made the file has decided to run the task, and writes who it is a moment later, unless it was killed in between.
      const isGone =
        state?.launcher === undefined
          ? performance.now() - since > longestDecisionMs
          : !this.#isAlive(task, state.launcher);
      if (state?.exitCode === undefined && !isGone) return false;
      watcher.close();
      clearInterval(timer);
      // A last look: it may have written its end just before it went.
      this.#finish(task, this.state(task.run));
      return true;
    };
    const watcher = watch(join(this.#pods, task.run), { persistent: false }, () => look());
    watcher.on("error", () => {});
    // Only the death of a launcher itself makes no event.
    const timer = setInterval(look, 1000).unref();
    look();
  }

  #isAlive(task: Running, launcher: { pid: number; startTime: string }): boolean {
    if (task.record.bootId !== this.#boot) return false;
    try {
      const stat = readFileSync(`/proc/${launcher.pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields[19] === launcher.startTime && fields[0] !== "Z";
    } catch {
      return false;
    }
  }

  #ended(run: string): void {
    const task = this.#running.get(run);
    if (task !== undefined) this.#finish(task, this.state(run));
  }

  #refused(run: string): void {
    const task = this.#running.get(run);
    if (task === undefined || !this.#running.delete(run)) return;
    this.#options.watchdog.clear(run);
    task.refuse(Object.assign(new Error(`no space is left in ${this.#pods}`), { code: "ENOSPC" }));
  }

  #lost(run: string): void {
    const task = this.#running.get(run);
    if (task === undefined) return;
    const state = this.state(run);
    if (state === undefined) {
      this.#running.delete(run);
      this.#options.watchdog.clear(run);
      // It was not begun: a launcher that had served others went away just then.
      if (task.again !== undefined) {
        try {
          task.again();
        } catch (error) {
          task.refuse(error as Error);
        }
        return;
      }
      const words = tail(join(this.#options.directory, "launchers.log"));
      task.end({ endedAtMs: Date.now(), outOfMemory: false, setupFailure: `the sandbox could not be made: ${words}` });
    } else this.#finish(task, state);
  }

  #finish(task: Running, state: TaskState | undefined): void {
    if (!this.#running.delete(task.run)) return;
    this.#options.watchdog.clear(task.run);
    const { record } = task;
    const group = task.launcher?.cgroup ?? this.#formerGroup(record);
    const usage = record.baseline === undefined ? undefined : group?.usage(record.baseline);
    if (task.launcher === undefined) group?.remove();
    const cpu = state?.launcherCpuMilliseconds;
    if (cpu !== undefined) this.#launcherCpu.set(record.launcherId, cpu);
    const now = Date.now();
    const uptime = uptimeSeconds();
    const atMs = (seconds: number | undefined) =>
      seconds === undefined ? undefined : Math.round(now - (uptime - seconds) * 1000);
    const sameBoot = record.bootId === this.#boot;
    const sampled = task.peakSampledBytes > 0 ? task.peakSampledBytes : undefined;
    const failed = state?.exitCode !== undefined && state.exitCode !== 0 && !state.commandRan && state.words.length > 0;
    task.end({
      exitCode: state?.exitCode,
      signal: state?.signal,
      ending: state?.ending,
      setupFailure: failed ? state.words.join("; ") : undefined,
      startedAtMs: sameBoot ? atMs(state?.startedAt) : undefined,
      endedAtMs: (sameBoot ? atMs(state?.endedAt) : undefined) ?? now,
      cpuMilliseconds: usage?.cpuMilliseconds ?? (cpu === undefined ? undefined : cpu - record.cpuBeforeMilliseconds),
      peakMemoryBytes: usage?.peakMemoryBytes ?? sampled,
      outOfMemory: (usage?.outOfMemoryKills ?? 0) > 0,
    });
  }

  #formerGroup(record: TaskRecord) {
    try {
      return record.baseline === undefined ? undefined : this.#options.cgroups?.existing(record.launcherId);
    } catch {
      return undefined;
    }
  }
}

function tail(path: string): string {
  try {
    return readFileSync(path, "utf8").trim().split("\n").slice(-2).join("; ");
  } catch {
    return "it gave no reason";
  }
}
