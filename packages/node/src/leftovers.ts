import { readdirSync, readFileSync } from "node:fs";

const gatherMs = 500;

/**
 * Without a pid namespace nothing ends what a job left behind when its script has ended. Those processes still carry the
 * pod's mark in their environment: they are looked for a moment after the end, for all pods that ended since.
 */
export class Leftovers {
  #ended = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  end(podUid: string): void {
    this.#ended.add(podUid);
    this.#timer ??= setTimeout(() => this.#kill(), gatherMs).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #kill(): void {
    this.#timer = undefined;
    const ended = this.#ended;
    this.#ended = new Set();
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const mark = /(?:^|\0)BERTH_POD_UID=([^\0]*)/.exec(readFileSync(`/proc/${name}/environ`, "utf8"))?.[1];
        if (mark !== undefined && ended.has(mark)) process.kill(Number(name), "SIGKILL");
      } catch {
        // Another user's, or gone.
      }
    }
  }
}
