import type { IncomingMessage } from "node:http";
import { ApiError, apiErrorFromStatus, type Status } from "@berth/machinery";
import type { AnyObject } from "./objects.ts";

import { ConnectionError } from "./transport.ts";

export type WatchEvent<T> = { type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"; object: T };

/** The annotation of the bookmark that ends the initial events of a watch-list. */
export const initialEventsEnd = "k8s.io/initial-events-end";

const newline = 10;
/** A server ends a watch at its timeout; a stream still open so long after that is a dead connection. */
const deadlineMarginMs = 30_000;

/**
 * Reads the frames of a watch, one JSON object a line, and hands them on in order. All events of one chunk are handed
 * on in one turn, so that whoever collects them may treat them together.
 */
export async function readWatch<T extends AnyObject>(
  response: IncomingMessage,
  onEvent: (event: WatchEvent<T>) => void,
  options: { signal?: AbortSignal; timeoutSeconds?: number } = {},
): Promise<void> {
  let rest: Buffer[] = [];
  let expired = false;
  const deadline =
    options.timeoutSeconds === undefined
      ? undefined
      : setTimeout(
          () => {
            expired = true;
            response.destroy();
          },
          options.timeoutSeconds * 1000 + deadlineMarginMs,
        );
  const line = (bytes: Buffer): void => {
    if (bytes.length === 0) return;
    const event = JSON.parse(bytes.toString("utf8")) as WatchEvent<T> | { type: "ERROR"; object: Status };
    if (event.type === "ERROR") throw apiErrorFromStatus(event.object);
    onEvent(event);
  };
  try {
    for await (const piece of response) {
      let chunk = piece as Buffer;
      let end = chunk.indexOf(newline);
      while (end !== -1) {
        const head = chunk.subarray(0, end);
        line(rest.length === 0 ? head : Buffer.concat([...rest, head]));
        rest = [];
        chunk = chunk.subarray(end + 1);
        end = chunk.indexOf(newline);
      }
      if (chunk.length > 0) rest.push(chunk);
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (expired || error instanceof ApiError || (error as { code?: string }).code === undefined) throw error;
    throw new ConnectionError("the watch broke off", (error as { code: string }).code, error);
  } finally {
    clearTimeout(deadline);
    response.destroy();
  }
}
