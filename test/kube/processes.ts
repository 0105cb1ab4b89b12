/** Programs that run on their own, recorded in a file, so that they can be ended by whoever comes next. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** A pid alone may be another process by now; with the time of its start it is not. */
export interface ProcessMark {
  pid: number;
  /** Clock ticks since the machine's start. */
  started: string;
}

export interface Command {
  program: string;
  words: string[];
  environment?: Record<string, string>;
}

interface Record_ {
  /** Absent: it is kept until somebody ends it. */
  owner?: ProcessMark;
  processes: Record<string, ProcessMark>;
}

/** The processes of one folder; their output is in `logs/`. */
export class Processes {
  readonly folder: string;
  readonly #commands = new Map<string, Command>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** @param kept they outlive this process */
  static create(folder: string, kept: boolean): Processes {
    mkdirSync(join(folder, "logs"), { recursive: true, mode: 0o700 });
    const processes = new Processes(folder);
    processes.#write({ ...(kept ? {} : { owner: markOf(process.pid)! }), processes: {} });
    return processes;
  }

  /** Starts a program; one that was started before under this name is started again when no command is given. */
  start(name: string, command: Command | undefined = this.#commands.get(name)): void {
    if (command === undefined) throw new Error(`${name} was never started here`);
    this.#commands.set(name, command);
    const log = openSync(this.logFile(name), "a");
    const child = spawn(command.program, command.words, {
      cwd: this.folder,
      env: { ...process.env, ...command.environment },
      stdio: ["ignore", log, log],
      detached: true,
    });
    closeSync(log);
    child.unref();
    child.on("error", () => {});
    if (child.pid === undefined) throw new Error(`${command.program} cannot be started`);
    this.record(name, child.pid);
  }

  record(name: string, pid: number): void {
    const mark = markOf(pid);
    const record = this.#read();
    if (mark !== undefined) record.processes[name] = mark;
    this.#write(record);
  }

  get names(): string[] {
    return Object.keys(this.#read().processes);
  }

  logFile(name: string): string {
    return join(this.folder, "logs", `${name}.log`);
  }

  /** The pid, while it runs. */
  pid(name: string): number | undefined {
    const mark = this.#read().processes[name];
    return mark !== undefined && isAlive(mark) ? mark.pid : undefined;
  }

  /** Memory that it holds now, in bytes; 0 when it does not run. */
  residentBytes(name: string): number {
    const pid = this.pid(name);
    if (pid === undefined) return 0;
    const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kib ?? 0) * 1024;
  }

  /** Sends the signal and waits until the process is gone; after 20 s it is killed. */
  async end(name: string, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const mark = this.#read().processes[name];
    if (mark === undefined || !isAlive(mark)) return;
    process.kill(mark.pid, signal);
    for (let waitedMs = 0; isAlive(mark); waitedMs += 20) {
      if (waitedMs === 20_000) process.kill(mark.pid, "SIGKILL");
      await pause(20);
    }
  }

  /** The end of its log, for a message. */
  lastWords(name: string): string {
    if (!existsSync(this.logFile(name))) return "";
    return readFileSync(this.logFile(name), "utf8").trimEnd().split("\n").slice(-12).join("\n");
  }

  /** True when nobody is there any more to end these processes. */
  get isLeftOver(): boolean {
    const { owner } = this.#read();
    return owner !== undefined && !isAlive(owner);
  }

  get #file(): string {
    return join(this.folder, "processes.json");
  }

  #read(): Record_ {
    return JSON.parse(readFileSync(this.#file, "utf8")) as Record_;
  }

  #write(record: Record_): void {
    const file = `${this.#file}.new`;
    writeFileSync(file, JSON.stringify(record));
    renameSync(file, this.#file);
  }
}

function markOf(pid: number): ProcessMark | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended, and only its parent has not looked yet; but while other threads of it end its sockets are open still.
    const hasEnded = fields[0] === "Z" && Number(fields[17]) <= 1;
    return hasEnded ? undefined : { pid, started: fields[19]! };
  } catch {
    return undefined;
  }
}

function isAlive(mark: ProcessMark): boolean {
  return markOf(mark.pid)?.started === mark.started;
}
