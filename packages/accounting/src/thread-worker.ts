/** The thread of `openAccountingThread`: it alone has the database open for writing. */
import { parentPort, workerData } from "node:worker_threads";
import type { Accounting } from "./attempt-row.ts";
import { openAccounting } from "./open.ts";
import { opened, type ThreadAnswer, type ThreadRequest } from "./thread.ts";
import { isPassingTrouble } from "./trouble.ts";

const port = parentPort!;

function answer(id: number, done: Promise<unknown>): void {
  const send = (message: ThreadAnswer): void => port.postMessage(message);
  done.then(
    (value) => send({ id, value }),
    (error: Error) => send({ id, failed: error.message, isPassing: isPassingTrouble(error) }),
  );
}

const { place } = workerData as { place: string };
const accounting = openAccounting(place);
answer(
  opened,
  accounting.then(() => undefined),
);

function tellOf(request: ThreadRequest, asked: Accounting): Promise<unknown> {
  if (request.ask === "close") return asked.close();
  return (asked[request.ask] as (...words: unknown[]) => Promise<unknown>)(...request.words);
}

port.on("message", (request: ThreadRequest) => {
  answer(
    request.id,
    accounting.then((asked) => tellOf(request, asked)),
  );
});
