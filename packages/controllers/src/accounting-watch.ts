/** Tells when accounting cannot be reached, and when it is there again: what has ended waits for it, and `berth status` says so. */
import { type Accounting, isPassingTrouble } from "@berth/accounting";
import { type AnyObject, isReason, resources } from "@berth/client";
import { accountingStateName, systemNamespace } from "@berth/kinds";
import { type Context, timestamp } from "./context.ts";

/** A database that is started again is away for a moment, which is nothing to tell. */
const patienceMs = 3000;

/** The same accounting, whose answers are watched until the signal aborts. */
export function watchedAccounting(context: Context): Accounting {
  const { accounting, client, log, metrics, now, signal } = context;
  let trouble: { since: string; words: string } | undefined;
  let timer: NodeJS.Timeout | undefined;
  /** What the object says; undefined: not known yet. */
  let told: string | undefined;
  let telling = Promise.resolve();
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  metrics?.gauge("berth_accounting_reachable", "0 while the records of what has ended wait for their database.", () =>
    trouble === undefined ? 1 : 0,
  );

  function tell(): void {
    timer = undefined;
    telling = telling.then(write).catch((error: unknown) => {
      if (signal.aborted) return;
      log("warn", `how accounting is could not be written: ${(error as Error).message}`);
      timer ??= setTimeout(tell, patienceMs);
    });
  }

  async function write(): Promise<void> {
    const words = trouble === undefined ? "" : trouble.words;
    if (signal.aborted || words === told) return;
    const { name, namespace } = { name: accountingStateName, namespace: systemNamespace };
    if (words === "" && told === undefined) {
      // What another leader said of it may be over.
      const found = await client.get<State>(resources.configMaps, name, { namespace, signal }).catch(absent);
      told = found?.data?.["trouble"] ?? "";
      if (told === "") return;
    }
    const data = { trouble: words, since: trouble?.since ?? "" };
    const written = await client
      .patch<AnyObject>(resources.configMaps, name, { data }, { namespace, signal })
      .catch(absent);
    if (written === undefined) {
      const metadata = { name, namespace };
      await client.create<State>(resources.configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata, data });
    }
    told = words;
  }

  const seen = async <T>(asked: Promise<T>): Promise<T> => {
    try {
      const answer = await asked;
      if (trouble !== undefined) {
        log("info", "accounting is there again: what waited for it is written");
        trouble = undefined;
        clearTimeout(timer);
        tell();
      } else if (told === undefined && timer === undefined) tell();
      return answer;
    } catch (error) {
      if (isPassingTrouble(error) && trouble === undefined) {
        trouble = { since: timestamp(now()), words: (error as Error).message };
        log("error", `what has ended waits until it can be recorded: ${trouble.words}`);
        clearTimeout(timer);
        timer = setTimeout(tell, patienceMs);
      }
      throw error;
    }
  };
  return {
    ...accounting,
    record: (rows) => seen(accounting.record(rows)),
    query: (filter) => seen(accounting.query(filter)),
    recordedAfter: (sequence, since, limit) => seen(accounting.recordedAfter(sequence, since, limit)),
    lastSequence: () => seen(accounting.lastSequence()),
  };
}

type State = AnyObject & { data?: Record<string, string> };

function absent(error: unknown): undefined {
  if (!isReason(error, "NotFound")) throw error;
  return undefined;
}
