/** Rows that come while a transaction is under way, or close together, are one transaction: each waits for a disk. */
import type { AttemptRow } from "./attempt-row.ts";
import { isPassingTrouble } from "./trouble.ts";

interface Waiting {
  rows: readonly AttemptRow[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * @param write makes rows durable: all, or none when it throws. Never called while it is under way.
 * @param intervalMs from the beginning of one transaction to that of the next, at least
 */
export function groupedWrites(
  write: (rows: readonly AttemptRow[]) => Promise<void>,
  intervalMs: number,
): { write(rows: readonly AttemptRow[]): Promise<void>; close(): Promise<void> } {
  let waiting: Waiting[] = [];
  let begun = -Infinity;
  let underWay: Promise<void> | undefined;
  let isClosed = false;

  async function flush(): Promise<void> {
    const group = waiting;
    waiting = [];
    begun = performance.now();
    try {
      await write(group.flatMap(({ rows }) => rows));
      for (const { resolve } of group) resolve();
    } catch (error) {
      // A row that is refused must not take those of others with it.
      const isShared = group.length > 1 && !isPassingTrouble(error);
      for (const { rows, resolve, reject } of group) {
        if (isShared) await write(rows).then(resolve, reject);
        else reject(error);
      }
    }
  }

  async function flushAll(): Promise<void> {
    while (waiting.length > 0) {
      const pause = begun + intervalMs - performance.now();
      // A closing one does not wait for more.
      if (pause > 0 && !isClosed) await new Promise((resolve) => setTimeout(resolve, pause));
      else await new Promise((resolve) => setImmediate(resolve));
      await flush();
    }
    underWay = undefined;
  }

  return {
    write(rows) {
      if (rows.length === 0) return Promise.resolve();
      return new Promise((resolve, reject) => {
        waiting.push({ rows, resolve, reject });
        underWay ??= flushAll();
      });
    },
    async close() {
      isClosed = true;
      await underWay;
    },
  };
}
