/** Logs as JSON lines, one file a process, rotated by size. */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";

type LogLevel = "debug" | "info" | "warn" | "error";

/** Writes one event: a sentence and what it is about (`job`, `pod`, `node`, …). */
export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

export interface JsonLogOptions {
  path: string;
  /** `apiserver`, `controllers`, `node`, `supervisor`. */
  process: string;
  /** A file that would grow beyond this is moved to `PATH.1` (and that to `PATH.2`, …). Default 10 MiB. */
  maximumBytes?: number;
  /** Older files kept. Default 3. */
  keep?: number;
  now?: () => Date;
}

/**
 * Opens the log. Lines are written at once, so that a crash loses none; a disk that is full loses lines rather than the
 * process.
 */
export function openJsonLog(options: JsonLogOptions): Log {
  const { path, maximumBytes = 10 * 1024 * 1024, keep = 3, now = () => new Date() } = options;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let file = openSync(path, "a", 0o600);
  let size = fstatSync(file).size;
  return (level, message, fields = {}) => {
    const line = Buffer.from(
      `${JSON.stringify({ time: now().toISOString(), level, process: options.process, message, ...fields })}\n`,
    );
    try {
      if (size > 0 && size + line.length > maximumBytes) {
        closeSync(file);
        for (let number = keep; number >= 1; number -= 1)
          moveIfThere(number === 1 ? path : `${path}.${number - 1}`, `${path}.${number}`);
        file = openSync(path, "a", 0o600);
        size = 0;
      }
      size += writeSync(file, line);
    } catch {
      // Nobody is left to be told.
    }
  };
}

/** The same lines on a stream, which whoever looks after the process collects. */
export function streamJsonLog(stream: NodeJS.WritableStream, process: string): Log {
  return (level, message, fields = {}) => {
    const time = new Date().toISOString();
    stream.write(`${JSON.stringify({ time, level, process, message, ...fields })}\n`);
  };
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
