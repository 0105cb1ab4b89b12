/** Waiting for what others do, bounded in time. */
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** After this long it will not come any more: on a machine however busy all that is waited for takes less. */
export const hangSeconds = 300;

/** Looks until `look` gives something, or fails with `what` after `seconds`. */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  seconds = hangSeconds,
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
export async function waitForFile(path: string, seconds = hangSeconds): Promise<void> {
  await waitFor(`the file ${path}`, () => (existsSync(path) ? true : undefined), seconds);
}
