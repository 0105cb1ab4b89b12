import { Worker } from "node:worker_threads";

/** One write: the new JSON text of an object, or null for a deletion. */
export interface JournalWrite {
  key: string;
  resourceVersion: number;
  value: string | null;
}

/** The disk is full; the same write may be made later. */
export class NoSpaceError extends Error {}

/** Where writes are made durable. Batches are committed one at a time, each in whole or not at all. */
export interface Journal {
  /** Calls back for every stored object, then tells the last resource version. */
  load(each: (key: string, value: string) => void): Promise<number>;
  commit(writes: readonly JournalWrite[], lastResourceVersion: number): Promise<void>;
  close(): Promise<void>;
}

/** What the worker sends. */
export type WorkerMessage =
  | { type: "rows"; rows: [key: string, value: string][] }
  | { type: "loaded"; resourceVersion: number }
  | { type: "committed" }
  | { type: "closed" }
  | { type: "failed"; message: string; noSpace: boolean };

/** What the worker is told. */
export type WorkerRequest =
  | { type: "load" }
  | { type: "commit"; writes: readonly JournalWrite[]; resourceVersion: number }
  | { type: "close" };

/** A journal in an SQLite file, written by a thread of its own. */
export function openJournal(path: string): Journal {
  const worker = new Worker(new URL("./journal-worker.ts", import.meta.url), {
    workerData: { path },
    // What it is sent it writes and forgets.
    resourceLimits: { maxYoungGenerationSizeMb: 8 },
  });
  let waiting: { resolve: (message: WorkerMessage) => void; reject: (error: Error) => void } | undefined;
  let onRows: ((rows: [string, string][]) => void) | undefined;
  let dead: Error | undefined;
  worker.on("message", (message: WorkerMessage) => {
    if (message.type === "rows") {
      onRows?.(message.rows);
      return;
    }
    const current = waiting;
    waiting = undefined;
    if (message.type === "failed") current?.reject(new (message.noSpace ? NoSpaceError : Error)(message.message));
    else current?.resolve(message);
  });
  const die = (error: Error): void => {
    dead ??= error;
    waiting?.reject(error);
    waiting = undefined;
  };
  worker.on("error", (error: Error) => die(error));
  worker.on("exit", () => die(new Error("the writer of the store has stopped")));
  const ask = (request: WorkerRequest): Promise<WorkerMessage> =>
    new Promise((resolve, reject) => {
      if (dead !== undefined) {
        reject(dead);
        return;
      }
      waiting = { resolve, reject };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
      worker.postMessage(request);
    });
  return {
    async load(each) {
      onRows = (rows) => {
        for (const [key, value] of rows) each(key, value);
      };
      const message = await ask({ type: "load" });
      onRows = undefined;
      return message.type === "loaded" ? message.resourceVersion : 0;
    },
    async commit(writes, resourceVersion) {
      await ask({ type: "commit", writes, resourceVersion });
    },
    async close() {
      if (dead === undefined) await ask({ type: "close" }).catch(() => {});
      await worker.terminate();
    },
  };
}
