/** Following one Workload from change to change. */
import { ConnectionError, isReason } from "@berth/client";
import { workloads, type Workload } from "@berth/kinds";
import { setTimeout as pause } from "node:timers/promises";
import type { Cluster } from "./connect.ts";

/** A server that is started again takes about this long. */
const shortPauseMilliseconds = 200;

/**
 * Calls `seen` with the Workload as it is and after each change, until it returns true; resolves to the last one seen, to
 * undefined when the Workload was deleted before.
 */
export async function watchWorkload(
  { client }: Cluster,
  { namespace, name }: { namespace?: string; name: string },
  seen: (workload: Workload) => boolean,
  signal?: AbortSignal,
): Promise<Workload | undefined> {
  for (;;) {
    const first = await client.get<Workload>(workloads, name, { namespace, signal }).catch((error: unknown) => {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    });
    if (first === undefined || seen(first)) return first;
    const enough = new AbortController();
    const end: { last?: Workload; gone?: boolean } = {};
    try {
      await client.watch<Workload>(
        workloads,
        {
          namespace,
          fieldSelector: `metadata.name=${name}`,
          resourceVersion: first.metadata.resourceVersion,
          allowWatchBookmarks: true,
          signal: signal === undefined ? enough.signal : AbortSignal.any([signal, enough.signal]),
        },
        ({ type, object }) => {
          if (type === "BOOKMARK" || enough.signal.aborted) return;
          end.gone = type === "DELETED";
          if (seen(object)) end.last = object;
          if (end.gone || end.last !== undefined) enough.abort();
        },
      );
    } catch (error) {
      if (!enough.signal.aborted) {
        signal?.throwIfAborted();
        if (!(error instanceof ConnectionError) && !isReason(error, "Expired", "Gone")) throw error;
        await pause(shortPauseMilliseconds, undefined, { signal });
      }
    }
    if (end.last !== undefined) return end.last;
    if (end.gone === true) return undefined;
  }
}
