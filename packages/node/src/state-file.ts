import { constants } from "node:os";

/** The file `state` that a launcher writes of a task; see shell-texts.ts. */
export interface TaskState {
  /** The launcher that ran the task: its pid and start time (clock ticks since boot), which name it uniquely. */
  launcher?: { pid: number; startTime: string };
  /** Seconds since boot. */
  startedAt?: number;
  endedAt?: number;
  /** Present once the task has ended: what the launcher's shell saw, 128 + n for signal n. */
  exitCode?: number;
  /** Number of the signal that ended the command, where the shell said so. */
  signal?: number;
  /** Whether the command itself was begun and told its end; without it the words say what could not be set up. */
  commandRan?: boolean;
  /** `timelimit`, `deleted`, …: why the watchdog ended it. */
  ending?: string;
  /** CPU time of all tasks that this launcher has run, milliseconds. */
  launcherCpuMilliseconds?: number;
  /** Other words: of programs that could not set up the task. */
  words: string[];
}

/** Words of dash and busybox for signals; `(core dumped)` may follow. */
const signalWords =
  /^(?:Hangup|Interrupt|Quit|Illegal instruction|Trace\/breakpoint trap|Trap|Aborted|Abort|Bus error|Floating point exception|Arithmetic exception|Killed|User defined signal [12]|Segmentation fault|Broken pipe|Alarm clock|Terminated|Stack fault|CPU time limit exceeded|File size limit exceeded|Virtual timer expired|Profiling timer expired|I\/O possible|Power failure|Bad system call|Real-time signal \d+|Unknown signal \d+|Signal \d+)(?: \(core dumped\))?$/;

/** util-linux 2.38 stumbles over its own signal mask when its child, the task's first process, was killed. */
const killedWords = "sigprocmask unblock failed";

/** Reads a state file; a last line that is not complete (the machine stopped within it) does not count. */
export function parseState(text: string): TaskState {
  const state: TaskState = { words: [] };
  let signalled = false;
  let killed = false;
  let code: number | undefined;
  for (const line of text.split("\n").slice(0, -1)) {
    const [word, value, rest] = line.split(" ");
    if (word === "stat") {
      const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
      state.launcher = { pid: Number(value), startTime: fields[19]! };
    } else if (word === "uptime") state.startedAt = Number(value);
    else if (word === "ending") state.ending ??= value;
    else if (word === "code") code = Number(value);
    else if (word === "ended") {
      state.exitCode = Number(value);
      state.endedAt = Number(rest);
    } else if (childMilliseconds(line) !== undefined) state.launcherCpuMilliseconds = childMilliseconds(line);
    else if (code === undefined && signalWords.test(line)) signalled = true;
    else if (line.includes(killedWords)) killed = true;
    else if (line !== "") state.words.push(line);
  }
  if (killed && state.exitCode === 1 && code === undefined) {
    state.exitCode = 128 + constants.signals.SIGKILL;
    signalled = true;
  }
  state.commandRan = code !== undefined || signalled;
  if (state.exitCode !== undefined && signalled && state.exitCode > 128) state.signal = state.exitCode - 128;
  return state;
}

/** `1m2.50s 0m0.25s` (user, system); of the two lines that `times` prints the second, of the children, is what counts. Undefined of other lines. */
export function childMilliseconds(line: string): number | undefined {
  if (!/^\d+m[\d.]+s \d+m[\d.]+s$/.test(line)) return undefined;
  return line
    .split(" ")
    .map((part) => /^(\d+)m([\d.]+)s$/.exec(part)!)
    .reduce((sum, [, minutes, seconds]) => sum + Math.round((Number(minutes) * 60 + Number(seconds)) * 1000), 0);
}
