/** What the collectors have in common: they follow the store's events, work through a queue, and act as the server itself. */
import { ApiError } from "@berth/machinery";
import { mastersGroup } from "../authentication/identity.ts";
import type { WriteContext } from "../registry/kind.ts";
import type { Observer, Store } from "../storage/store.ts";
import { KeyedQueue } from "./work-queue.ts";

export type CollectorLog = (message: string) => void;

export interface Collector {
  /** Has the work of a key done soon; the same key once, however often it is added before. */
  add(key: string): void;
  stop(): void;
}

/** Begins to follow the store. Who was there first with what `work` is about is no failure: the next event tells more. */
export function startCollector(
  store: Store,
  follow: Observer,
  how: { name: string; work: (key: string) => Promise<void>; log: CollectorLog; concurrency?: number },
): Collector {
  const queue = new KeyedQueue<string>(
    (key) => how.work(key).catch(unlessOvertaken),
    (key, error) => how.log(`${how.name}${key}: ${error instanceof Error ? error.message : String(error)}`),
    how.concurrency,
  );
  const unobserve = store.observe(follow);
  return {
    add: (key) => queue.add(key),
    stop() {
      unobserve();
      queue.stop();
    },
  };
}

/** Throws errors on, but those that mean that somebody else was there first. */
export function unlessOvertaken(error: unknown): void {
  if (!(error instanceof ApiError) || (error.reason !== "NotFound" && error.reason !== "Conflict")) throw error;
}

export function systemContext(): WriteContext {
  return {
    now: new Date(),
    identity: { name: "system:garbage-collector", groups: [mastersGroup] },
    manager: "berth",
    dryRun: false,
    warn: () => {},
  };
}

export const lenient = { fieldValidation: "Ignore" as const };
