/** Accounting that a thread of its own writes: each transaction waits for a disk, and whoever records must not. */
import { Worker } from "node:worker_threads";
import type { Accounting } from "./attempt-row.ts";
import { AccountingTrouble } from "./trouble.ts";

/** What can be asked of the thread. */
type Question = Exclude<keyof Accounting, "close">;

export type ThreadRequest = { id: number; ask: Question; words: unknown[] } | { id: number; ask: "close" };

export type ThreadAnswer = { id: number; value: unknown } | { id: number; failed: string; isPassing: boolean };

/** The answer to what a thread does before it is asked: that it has opened the database. */
export const opened = 0;

/**
 * Opens the database as `openAccounting` does, in a thread that ends with `close`. Should the thread die, so does the process: a row
 * of which is not known whether it is written must not be taken for refused.
 * @throws Error in words when it cannot be opened or was written by a newer Berth
 */
export async function openAccountingThread(place: string): Promise<Accounting> {
  const worker = new Worker(new URL("./thread-worker.ts", import.meta.url), {
    workerData: { place },
    // What it is sent it writes and forgets.
    resourceLimits: { maxYoungGenerationSizeMb: 8 },
  });
  const asked = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let last = opened;
  const answerTo = (id: number): Promise<unknown> =>
    new Promise((resolve, reject) => void asked.set(id, { resolve, reject }));
  worker.on("message", (answer: ThreadAnswer) => {
    const waiting = asked.get(answer.id)!;
    asked.delete(answer.id);
    if ("failed" in answer) waiting.reject(new AccountingTrouble(answer.failed, answer.isPassing));
    else waiting.resolve(answer.value);
  });
  const send = (request: ThreadRequest): Promise<unknown> => {
    const answer = answerTo(request.id);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
    worker.postMessage(request);
    return answer;
  };
  const ask = <Q extends Question>(question: Q): Accounting[Q] =>
    // One list of types holds for the calls and for what the thread does of them.
    ((...words: unknown[]) => send({ id: ++last, ask: question, words })) as Accounting[Q];
  try {
    await answerTo(opened);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  const record = ask("record");
  return {
    record: (rows) => (rows.length === 0 ? Promise.resolve() : record(rows)),
    query: ask("query"),
    usage: ask("usage"),
    toldStarts: ask("toldStarts"),
    recordedAfter: ask("recordedAfter"),
    lastSequence: ask("lastSequence"),
    numberAfter: ask("numberAfter"),
    rowsAfter: ask("rowsAfter"),
    take: ask("take"),
    async close() {
      await send({ id: ++last, ask: "close" });
      await worker.terminate();
    },
  };
}
