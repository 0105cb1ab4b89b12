import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hostTools, uptimeSeconds } from "./host.ts";
import { watchdogText } from "./shell-texts.ts";

export interface Watch {
  run: string;
  /** 0: now. Of a lease `+` and the wall time of each of its tasks. */
  atUptimeSeconds: number | `+${number}`;
  graceSeconds: number;
  stage: string;
  depth: number;
  mark: string;
  /** Only this task of a lease, while it is the one that runs. */
  task?: number;
}

const pokeMs = 500;

/** The sh process that ends tasks at their time, also when no Node.js process is there any more. One for each agent. */
export class Watchdog {
  readonly #directory: string;
  readonly #pid: number;
  #watched: number;
  #poke: NodeJS.Timeout | undefined;

  constructor(dataDirectory: string) {
    this.#directory = join(dataDirectory, "watch");
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    this.#watched = readdirSync(this.#directory).length;
    const former = formerOf(dataDirectory);
    const { shell } = hostTools();
    const words = ["berth-watchdog", dataDirectory, String(process.pid), shell, String(former ?? "")];
    const child = spawn(shell, ["-c", watchdogText, ...words], {
      cwd: "/",
      detached: true,
      stdio: "ignore",
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
    });
    child.unref();
    this.#pid = child.pid ?? 0;
    writeFileSync(join(dataDirectory, "watchdog.pid"), `${this.#pid} ${startTime(this.#pid) ?? ""}\n`);
  }

  /** Ends it now: TERM, after the grace KILL. Who was asked already, also by an agent before this one, is not asked again. */
  end(watch: Omit<Watch, "atUptimeSeconds">): void {
    const [at, grace, stage] = this.#lineOf(watch);
    const isKilled = stage === "kill" && Number(at) <= uptimeSeconds() + watch.graceSeconds;
    const isBeingAsked = at === "0" && stage === watch.stage && Number(grace) <= watch.graceSeconds;
    if (!isKilled && !isBeingAsked) this.set({ ...watch, atUptimeSeconds: 0 });
    this.wake();
  }

  set(watch: Watch): void {
    const { atUptimeSeconds: at, task } = watch;
    const deadline = typeof at === "number" ? Math.floor(at) : at;
    const line = `${deadline} ${Math.ceil(watch.graceSeconds)} ${watch.stage} ${watch.depth} ${watch.mark} ${watch.run} ${task ?? ""}\n`;
    writeFileSync(this.#path(watch), line);
    this.#watched += 1;
    // With nothing to watch it sleeps long; many short jobs wake it once.
    if (this.#poke !== undefined) return;
    this.#poke = setTimeout(() => {
      this.#poke = undefined;
      if (this.#watched > 0) this.wake();
    }, pokeMs).unref();
  }

  clear(run: string): void {
    try {
      unlinkSync(this.#path({ run }));
      this.#watched -= 1;
    } catch {
      // It had no time set.
    }
  }

  wake(): void {
    try {
      process.kill(this.#pid, "SIGUSR1");
    } catch {
      // It is being started, and will look then.
    }
  }

  #path({ run, task }: Pick<Watch, "run" | "task">): string {
    return join(this.#directory, `${run.replace("/", "~")}${task === undefined ? "" : `@${task}`}`);
  }

  #lineOf(watch: Pick<Watch, "run" | "task">): string[] {
    try {
      return readFileSync(this.#path(watch), "utf8").split(" ");
    } catch {
      return [];
    }
  }
}

/** Pid of the watchdog of an agent before this one, where it is still there. */
function formerOf(dataDirectory: string): number | undefined {
  try {
    const [pid, born] = readFileSync(join(dataDirectory, "watchdog.pid"), "utf8").trim().split(" ");
    return born !== undefined && startTime(Number(pid)) === born ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
