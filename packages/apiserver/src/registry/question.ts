/** Kinds that are asked: an object is there from its creation until its status is, and is never written down. */
import { ApiError } from "@berth/machinery";
import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Entry, StoreEvent } from "../storage/entry.ts";
import { parseEntry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import type { Kind } from "./kind.ts";

/** So long a question waits for its answer. */
const longestWaitMs = 10_000;

/**
 * Waits until somebody has written the status of a question that was just created, and forgets the question, whatever comes.
 * Resolves to the answer, or to undefined when whoever asked has gone. `about` is the kind that the words of an error name.
 * @throws ApiError 504 when nobody answers; 410 when the question is taken away
 */
export async function answered(
  store: Store,
  kind: Kind,
  question: Entry,
  asker: Writable,
  { waitMs = longestWaitMs, about = kind }: { waitMs?: number; about?: Pick<Kind, "kind"> } = {},
): Promise<Entry | undefined> {
  const { namespace, name, uid } = question;
  const enough = new AbortController();
  const { signal } = enough;
  const { promise, resolve, reject } = Promise.withResolvers<Entry>();
  const deliver = (events: readonly StoreEvent[]): void => {
    for (const { type, entry } of events) {
      if (entry.uid !== uid) continue;
      if (type === "DELETED") reject(new ApiError(410, "Gone", `${kind.resource} ${name} was taken away unanswered`));
      else if (parseEntry(entry).status !== undefined) resolve(entry);
    }
  };
  const stop = store.bucket(kind.bucket).subscribe({ trigger: undefined, deliver });
  const timer = setTimeout(() => {
    reject(new ApiError(504, "Timeout", `nobody answers ${wordsOf(about)}: the controllers are not running`));
  }, waitMs);
  try {
    if (asker.destroyed) return undefined;
    const gone = once(asker, "close", { signal }).then(
      () => undefined,
      () => undefined,
    );
    return await Promise.race([promise, gone]);
  } finally {
    clearTimeout(timer);
    stop();
    enough.abort();
    if (store.accepted(kind.bucket, namespace, name)?.uid === uid) {
      // What cannot be forgotten now is not there after a restart: it is in memory only.
      await store.remove(kind.bucket, namespace, name).catch(() => {});
    }
  }
}

/** `StartEstimate` in the middle of a sentence, of many: `start estimates`. */
function wordsOf({ kind }: Pick<Kind, "kind">): string {
  return `${kind.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`).toLowerCase()}s`;
}
