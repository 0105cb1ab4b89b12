/** One of the supervisor's processes: started, watched, started again with growing pauses when it dies, stopped. */
import { fork, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import type { Log } from "./json-log.ts";
import type { FromChild, Role, RoleSettings, ToChild } from "./messages.ts";
import { nodeOptions } from "./part-programs.ts";
import { messageOf, Refusal } from "./refusal.ts";
import { nextPause } from "./restart-pauses.ts";

type Ready = Extract<FromChild, { type: "ready" }>;

/** From a start of the process to its end. */
interface Life {
  /** Tells it the settings, on which it begins its work. */
  begin: () => void;
  ready: Promise<Ready>;
  ended: Promise<void>;
}

export interface ProcessState {
  role: Role;
  /** Absent between a death and the next start. */
  pid?: number;
  ready: boolean;
  restarts: number;
  /** How the last life ended, in words. */
  lastEnd?: string;
}

export class SupervisedProcess {
  readonly #program: string;
  readonly #role: Role;
  readonly #settings: () => RoleSettings;
  readonly #log: Log;
  readonly #changed: () => void;
  readonly #stopping = new AbortController();
  #child: ChildProcess | undefined;
  #running: Promise<void> = Promise.resolve();
  #first: Life | undefined;
  #ready = false;
  #restarts = 0;
  #lastEnd: string | undefined;

  /**
   * @param program the daemon's entry, run as `PROGRAM --data DIR ROLE`
   * @param settings asked at each start
   * @param changed called after each change of {@link state}
   */
  constructor(program: string, role: Role, settings: () => RoleSettings, log: Log, changed: () => void) {
    this.#program = program;
    this.#role = role;
    this.#settings = settings;
    this.#log = log;
    this.#changed = changed;
  }

  get state(): ProcessState {
    const pid = this.#child?.pid;
    return {
      role: this.#role,
      ...(pid === undefined ? {} : { pid }),
      ready: this.#ready,
      restarts: this.#restarts,
      ...(this.#lastEnd === undefined ? {} : { lastEnd: this.#lastEnd }),
    };
  }

  /** Begins the process, which loads its program and then waits for {@link start}. */
  launch(): void {
    this.#first ??= this.#live();
  }

  /** Resolves when it is ready for the first time; throws a {@link Refusal} when it cannot start. From then on it is kept alive. */
  async start(): Promise<Ready> {
    this.launch();
    const first = this.#first!;
    first.begin();
    const ready = await first.ready;
    this.#running = this.#keepAlive(first.ended);
    return ready;
  }

  /** Asks it to end, and kills it after `graceMilliseconds`; resolves when it is gone and will not come back. */
  async stop(graceMilliseconds: number): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child !== undefined) {
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMilliseconds);
      tell(child, { type: "stop" });
      if (child.exitCode === null && child.signalCode === null)
        await new Promise((resolve) => child.once("exit", resolve));
      clearTimeout(timer);
    }
    await this.#running;
  }

  async #keepAlive(firstEnd: Promise<void>): Promise<void> {
    let ended = firstEnd;
    let began = Date.now();
    let waitMilliseconds = 0;
    for (;;) {
      await ended;
      if (this.#stopping.signal.aborted) return;
      waitMilliseconds = nextPause(waitMilliseconds, Date.now() - began);
      this.#log("error", `process ${this.#role} ended: ${this.#lastEnd}; starting it again in ${waitMilliseconds} ms`);
      try {
        await pause(waitMilliseconds, undefined, { signal: this.#stopping.signal });
      } catch {
        return;
      }
      this.#restarts += 1;
      began = Date.now();
      const life = this.#live();
      life.begin();
      life.ready.then(
        () => this.#log("info", `process ${this.#role} is back`, { restarts: this.#restarts }),
        (error) => this.#log("error", messageOf(error)),
      );
      ended = life.ended;
    }
  }

  #live(): Life {
    const { data } = this.#settings();
    const ready = Promise.withResolvers<Ready>();
    const ended = Promise.withResolvers<void>();
    const child = fork(this.#program, ["--data", data, this.#role], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      execArgv: [...process.execArgv, ...nodeOptions],
      serialization: "json",
    });
    this.#child = child;
    this.#lastEnd = undefined;
    let refusal: string | undefined;
    for (const stream of [child.stdout!, child.stderr!])
      createInterface({ input: stream }).on("line", (line) => this.#log("warn", line, { from: this.#role }));
    child.on("message", (message) => {
      const said = message as FromChild;
      if (said.type === "ready") {
        this.#ready = true;
        ready.resolve(said);
        this.#changed();
      } else {
        refusal = said.message;
        this.#log("error", said.message, { from: this.#role });
      }
    });
    child.on("error", (error) => {
      refusal ??= `process ${this.#role} cannot be started: ${error.message}`;
      // A failed spawn has no exit.
      if (child.pid === undefined) child.emit("exit", null, null);
    });
    child.once("exit", (code, signal) => {
      this.#child = undefined;
      this.#ready = false;
      this.#lastEnd = refusal ?? (signal === null ? `exit code ${code}` : `signal ${signal}`);
      ready.reject(
        new Refusal(refusal ?? `process ${this.#role} ended while starting (${this.#lastEnd}); see ${data}/logs`),
      );
      this.#changed();
      ended.resolve();
    });
    // Whoever does not wait for readiness learns of the end by `ended`.
    ready.promise.catch(() => undefined);
    return {
      begin: () => tell(child, { type: "start", settings: this.#settings() }),
      ready: ready.promise,
      ended: ended.promise,
    };
  }
}

function tell(child: ChildProcess, message: ToChild): void {
  if (child.connected) child.send(message, () => undefined);
}
