/** Waiting for what others do, bounded in time. */
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** Looks until `look` gives something, or fails with `what` after `seconds`. */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  seconds = 30,
): Promise<T> {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > until) throw new Error(`waited ${seconds} s for ${what}`);
    await pause(50);
  }
}

/** Waits until a file exists: what a job writes when it has come that far. */
export async function waitForFile(path: string, seconds = 30): Promise<void> {
  await waitFor(`the file ${path}`, () => (existsSync(path) ? true : undefined), seconds);
}
