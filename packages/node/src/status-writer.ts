import { isReason, resources, type Client } from "@berth/client";
import type { Pod } from "@berth/kinds";
import { setTimeout as delay } from "node:timers/promises";
import { podStatus, type PodFacts } from "./pod-status.ts";
import { coalesceMs } from "./simulated.ts";

/** A pod whose facts are told to the API. */
export interface Told {
  readonly pod: Pod;
  readonly facts: PodFacts;
  readonly finished: boolean;
}

interface Entry {
  told: Told;
  timer?: NodeJS.Timeout;
  writing: boolean;
  again: boolean;
  last?: string;
}

const retryMs = 500;
const longestRetryMs = 5000;

/**
 * Writes the status of pods: the start of a pod waits a moment, so that a short job costs one write; writes of one pod follow one
 * another; what the API does not take because it is away is tried until it does.
 */
export class StatusWriter {
  readonly #client: Client;
  readonly #signal: AbortSignal;
  readonly #entries = new Map<string, Entry>();
  readonly #onFinal: (told: Told) => void;
  readonly #onError: (error: unknown, pod: Pod) => void;

  /** `onFinal` is called each time that a pod's last status has been written. */
  constructor(options: {
    client: Client;
    signal: AbortSignal;
    onFinal(told: Told): void;
    onError(error: unknown, pod: Pod): void;
  }) {
    this.#client = options.client;
    this.#signal = options.signal;
    this.#onFinal = options.onFinal;
    this.#onError = options.onError;
  }

  changed(told: Told, urgency: "soon" | "now"): void {
    const uid = told.pod.metadata.uid!;
    let entry = this.#entries.get(uid);
    if (entry === undefined) {
      entry = { told, writing: false, again: false };
      this.#entries.set(uid, entry);
    }
    if (entry.writing) {
      entry.again = true;
      return;
    }
    if (urgency === "now") {
      clearTimeout(entry.timer);
      entry.timer = undefined;
      void this.#write(uid, entry);
    } else {
      entry.timer ??= setTimeout(() => void this.#write(uid, entry), coalesceMs);
    }
  }

  forget(podUid: string): void {
    clearTimeout(this.#entries.get(podUid)?.timer);
    this.#entries.delete(podUid);
  }

  close(): void {
    for (const { timer } of this.#entries.values()) clearTimeout(timer);
    this.#entries.clear();
  }

  async #write(uid: string, entry: Entry): Promise<void> {
    entry.timer = undefined;
    entry.writing = true;
    for (let attempt = 0; !this.#signal.aborted && this.#entries.get(uid) === entry; attempt++) {
      entry.again = false;
      const { told } = entry;
      const { finished } = told;
      const status = podStatus(told.facts);
      const text = JSON.stringify(status);
      try {
        if (text !== entry.last) {
          const { name, namespace } = told.pod.metadata;
          // The uid in the patch keeps it from a later pod of the same name.
          const patch = { metadata: { uid }, status };
          await this.#client.patchStatus(resources.pods, name, patch, { namespace, signal: this.#signal });
          entry.last = text;
        }
        if (entry.again) continue;
        entry.writing = false;
        if (finished) this.#onFinal(told);
        return;
      } catch (error) {
        if (this.#signal.aborted) return;
        // The pod is gone; there is nobody to tell.
        if (isReason(error, "NotFound", "Conflict")) break;
        if (attempt === 0) this.#onError(error, told.pod);
        const pause = Math.min(longestRetryMs, retryMs * 2 ** attempt);
        await delay(pause, undefined, { signal: this.#signal }).catch(() => {});
      }
    }
    entry.writing = false;
  }
}
