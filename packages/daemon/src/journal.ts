/** Every input and output of the scheduler, a line each, for `berth simulate --replay`. */
import { createWriteStream } from "node:fs";
import type { Log } from "./json-log.ts";

/** Appends to the file, which grows without end; undefined where none is named. */
export function openJournal(
  path: string | undefined,
  log: Log,
): { write: (line: string) => void; close: () => Promise<void> } | undefined {
  if (path === undefined || path === "") return undefined;
  const stream = createWriteStream(path, { flags: "a", mode: 0o600 });
  stream.on("error", (error) => log("error", `BERTH_JOURNAL: ${error.message}`));
  return {
    write: (line) => void stream.write(`${line}\n`),
    close: () => new Promise((resolve) => stream.end(() => resolve())),
  };
}
