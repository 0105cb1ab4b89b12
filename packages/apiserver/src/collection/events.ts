import type { Store } from "../storage/store.ts";
import { parseEntry } from "../storage/entry.ts";

const eventLifetimeMilliseconds = 3_600_000;
const sweepMilliseconds = 60_000;

/** Removes events an hour after their last write. Returns what stops it. */
export function expireEvents(store: Store, log: (message: string) => void): () => void {
  const bucket = store.bucket("events");
  /** Oldest write first. */
  const due = new Map<string, { time: number; resourceVersion: number }>();
  const loaded = [...bucket.entries.values()]
    .map((entry) => ({ entry, time: Date.parse(parseEntry(entry).metadata.creationTimestamp ?? "") || Date.now() }))
    .sort((a, b) => a.time - b.time);
  for (const { entry, time } of loaded) due.set(entry.key, { time, resourceVersion: entry.resourceVersion });
  const unsubscribe = bucket.subscribe({
    trigger: undefined,
    deliver: (events) => {
      for (const { type, entry } of events) {
        due.delete(entry.key);
        if (type !== "DELETED") due.set(entry.key, { time: Date.now(), resourceVersion: entry.resourceVersion });
      }
    },
  });
  const sweep = setInterval(() => {
    const limit = Date.now() - eventLifetimeMilliseconds;
    for (const [key, { time, resourceVersion }] of due) {
      if (time > limit) return;
      due.delete(key);
      const entry = bucket.entries.get(key);
      if (entry === undefined || entry.resourceVersion !== resourceVersion) continue;
      store
        .remove("events", entry.namespace, entry.name)
        .catch((error: Error) => log(`event ${key}: ${error.message}`));
    }
  }, sweepMilliseconds);
  return () => {
    clearInterval(sweep);
    unsubscribe();
  };
}
