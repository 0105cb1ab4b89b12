import { closeSync, openSync, readSync } from "node:fs";
import { constants } from "node:os";
import type { LeasedEnd } from "@berth/kinds";
import type { CgroupBaseline } from "./cgroups.ts";
import { uptimeSeconds } from "./host.ts";
import { childMilliseconds, parseState } from "./state-file.ts";

interface Segment {
  task: number;
  begunAt: number;
  begunUptime: number;
  lines: string[];
  group?: string[];
}

/** Follows the file `state` of a lease as its launcher writes it; see shell-texts.ts. */
export class LeaseState {
  readonly #path: string;
  readonly #baseline: CgroupBaseline | undefined;
  /** Milliseconds since 1970 at which the machine's uptime was 0. */
  readonly #bootMs = Date.now() - uptimeSeconds() * 1000;
  readonly #endings = new Map<number, string>();
  /** Words of programs that could not set a task up, of the last such task. */
  setupWords: string | undefined;
  readonly ended: LeasedEnd[] = [];
  readonly hasEnded = new Set<number>();
  /** When its first task began, milliseconds since 1970. */
  startedAt: number | undefined;
  #offset = 0;
  #rest = "";
  #segment: Segment | undefined;
  #cpu = 0;
  #kills: number;

  /** Seconds that its pod stood still from one uptime to another. */
  readonly #stoodStill: (fromUptime: number, toUptime: number) => number;

  constructor(
    path: string,
    baseline: CgroupBaseline | undefined,
    stoodStill: (fromUptime: number, toUptime: number) => number = () => 0,
  ) {
    this.#path = path;
    this.#baseline = baseline;
    this.#stoodStill = stoodStill;
    this.#cpu = baseline === undefined ? 0 : baseline.cpuMicroseconds / 1000;
    this.#kills = baseline?.outOfMemoryKills ?? 0;
  }

  /** The task that runs, as far as was read. */
  get running(): number | undefined {
    return this.#segment?.task;
  }

  /** Reads on; true if something was written since. */
  update(): boolean {
    const lines = (this.#rest + this.#read()).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) this.#line(line);
    return lines.length > 0;
  }

  #read(): string {
    let file: number;
    try {
      file = openSync(this.#path, "r");
    } catch {
      return "";
    }
    try {
      const parts: Buffer[] = [];
      for (;;) {
        const buffer = Buffer.allocUnsafe(16_384);
        const length = readSync(file, buffer, 0, buffer.length, this.#offset);
        if (length === 0) return Buffer.concat(parts).toString("utf8");
        this.#offset += length;
        parts.push(buffer.subarray(0, length));
      }
    } finally {
      closeSync(file);
    }
  }

  #line(line: string): void {
    const words = line.split(" ");
    switch (words[0]) {
      case "begin": {
        const begunAt = Math.round(this.#bootMs + Number(words[2]) * 1000);
        this.startedAt ??= begunAt;
        this.#segment = { task: Number(words[1]), begunAt, begunUptime: Number(words[2]), lines: [] };
        return;
      }
      case "ending":
        if (words[2] !== undefined && !this.#endings.has(Number(words[2]))) {
          this.#endings.set(Number(words[2]), words[1]!);
        }
        return;
      case "end":
        if (this.#segment !== undefined) this.#end(this.#segment, words[1]!, words[2]!);
        this.#segment = undefined;
        return;
      case "group":
        if (this.#segment !== undefined) this.#segment.group = words;
        return;
      default:
        this.#segment?.lines.push(line);
    }
  }

  #end({ task, begunAt, begunUptime, lines, group }: Segment, code: string, uptime: string): void {
    const state = parseState([...lines, `ended ${code} ${uptime}`, ""].join("\n"));
    const end: LeasedEnd = {
      task,
      exitCode: state.exitCode ?? 255,
      startedAt: begunAt,
      milliseconds: Math.max(0, Math.round(this.#bootMs + Number(uptime) * 1000) - begunAt),
    };
    if (state.signal !== undefined) end.signal = state.signal;
    const stood = this.#stoodStill(begunUptime, Number(uptime));
    if (stood > 0) end.suspendedSeconds = Math.round(stood);
    let killed = false;
    if (group !== undefined) killed = this.#measured(end, group);
    else {
      const times = lines.findLast((line) => childMilliseconds(line) !== undefined);
      const cpu = times === undefined ? undefined : childMilliseconds(times)!;
      if (cpu !== undefined) {
        end.cpuMilliseconds = Math.max(0, cpu - this.#cpu);
        this.#cpu = cpu;
      }
    }
    const ending = this.#endings.get(task);
    if (killed) {
      end.ending = "memory";
      if (end.exitCode === 0) end.exitCode = 128 + constants.signals.SIGKILL;
    } else if (ending !== undefined) end.ending = ending;
    else if (end.exitCode !== 0 && state.commandRan !== true && state.words.length > 0) {
      end.ending = "setup";
      this.setupWords = state.words.join("; ");
    }
    this.ended.push(end);
    this.hasEnded.add(task);
  }

  /** What the control group counted; true where it killed something of the task. Its counters of time and kills only grow. */
  #measured(end: LeasedEnd, [, version, peak, cpu, kills]: string[]): boolean {
    if (peak !== "-") end.peakMemoryKibibytes = Math.round(Number(peak) / 1024);
    if (cpu !== "-") {
      const milliseconds = version === "1" ? Number(cpu) / 1e6 : Number(cpu) / 1000;
      end.cpuMilliseconds = Math.max(0, Math.round(milliseconds - this.#cpu));
      this.#cpu = milliseconds;
    }
    const before = this.#kills;
    if (kills !== "-") this.#kills = Number(kills);
    return this.#baseline !== undefined && this.#kills > before;
  }

  /** To be called when nothing of the lease runs any more: a task that was begun (or is in `uncertain`) and told no end was lost. */
  close(uncertain: readonly number[]): void {
    this.update();
    if (this.#segment !== undefined) this.#lost(this.#segment.task, this.#segment.begunAt);
    this.#segment = undefined;
    for (const task of uncertain) if (!this.hasEnded.has(task)) this.#lost(task, Date.now());
  }

  #lost(task: number, startedAt: number): void {
    const milliseconds = Math.max(0, Date.now() - startedAt);
    this.ended.push({ task, exitCode: 255, startedAt, milliseconds, ending: "lost" });
    this.hasEnded.add(task);
  }
}
