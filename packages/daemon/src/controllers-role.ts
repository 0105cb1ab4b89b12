/** The process `controllers`: Workloads, scheduling, accounting, retention. */
import { openAccountingThread } from "@berth/accounting";
import { runControllers as run } from "@berth/controllers";
import { currentUser, LocalUsers } from "@berth/identity";
import { join } from "node:path";
import { holders } from "./access.ts";
import type { RunningRole } from "./child.ts";
import { openJournal } from "./journal.ts";
import type { Log } from "./json-log.ts";
import type { RoleSettings } from "./messages.ts";
import { partClient } from "./part-connection.ts";

export async function runControllers(settings: RoleSettings, log: Log, signal: AbortSignal): Promise<RunningRole> {
  const { data } = settings;
  const client = partClient(data, holders.controllers);
  const accounting = await openAccountingThread(join(data, "accounting.db"));
  const stopping = new AbortController();
  const users = new LocalUsers();
  const self = currentUser();
  const journal = openJournal(process.env["BERTH_JOURNAL"], log);
  const { promise: ready, resolve: onReady, reject } = Promise.withResolvers<void>();
  const done = run({
    client,
    accounting,
    // An ordinary user's cluster runs jobs of that user only, also where the name service does not know them.
    users: {
      byName: (name) => (self.uid !== 0 ? Promise.resolve(name === self.name ? self : undefined) : users.byName(name)),
      groupNames: (user) => users.groupNames(user),
    },
    now: Date.now,
    log,
    defaultUser: self.name,
    isAlone: true,
    journal: journal?.write,
    onReady,
    signal: AbortSignal.any([signal, stopping.signal]),
  });
  done.then(
    () => reject(new Error("the controllers ended before they were ready")),
    (error: unknown) => reject(error),
  );
  await ready;
  return {
    stop: async () => {
      stopping.abort();
      await done;
      client.close();
      await accounting.close();
      await journal?.close();
    },
  };
}
