import { readdirSync, readFileSync } from "node:fs";
import type { Tasks } from "./tasks.ts";

const periodMs = 1000;
const pageBytes = 4096;

/** Where no control group measures it: looks once a second what memory the processes below each launcher hold. */
export class MemorySampler {
  readonly #tasks: Tasks;
  readonly #timer: NodeJS.Timeout;

  constructor(tasks: Tasks) {
    this.#tasks = tasks;
    this.#timer = setInterval(() => this.sample(), periodMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  sample(): void {
    const launchers = new Map<number, string>();
    for (const run of this.#tasks.running) {
      const pid = this.#tasks.state(run)?.launcher?.pid;
      if (pid !== undefined) launchers.set(pid, run);
    }
    if (launchers.size === 0) return;
    const parents = new Map<number, number>();
    const resident = new Map<number, number>();
    for (const name of readdirSync("/proc")) {
      const pid = Number(name);
      if (!Number.isInteger(pid)) continue;
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        parents.set(pid, Number(fields[1]));
        resident.set(pid, Number(fields[21]) * pageBytes);
      } catch {
        // It ended just now.
      }
    }
    const sums = new Map<string, number>();
    for (const [pid, bytes] of resident) {
      let above: number | undefined = parents.get(pid);
      while (above !== undefined && above > 1 && !launchers.has(above)) above = parents.get(above);
      const run = above === undefined ? undefined : launchers.get(above);
      if (run !== undefined) sums.set(run, (sums.get(run) ?? 0) + bytes);
    }
    for (const [run, bytes] of sums) this.#tasks.sampled(run, bytes);
  }
}
