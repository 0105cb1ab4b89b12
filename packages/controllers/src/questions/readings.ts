/** Lists that are read in pages: what was chosen for the first page is kept for the next ones. */
import { randomUUID } from "node:crypto";
import type { InquirySpec } from "@berth/kinds";
import type { Answer } from "./inquiries.ts";

/** So long after its last page; and of so many lists at one time. */
const keptMs = 60_000;
const mostKept = 32;

interface Reading<Line> {
  asker: string;
  lines: readonly Line[];
  lastUsed: number;
}

export class Readings<Line> {
  readonly #begun = new Map<string, Reading<Line>>();

  /**
   * One page. What `show` gives no object for (it has gone since the list was begun) is left out.
   * @param select chooses all lines, for a first page
   */
  page(
    { continue: token, asker, limit }: InquirySpec,
    select: () => readonly Line[],
    show: (line: Line) => NonNullable<Answer["items"]>[number] | undefined,
  ): Answer {
    const [known = "", from = "0"] = token?.split(".") ?? [];
    const reading = this.#begun.get(known);
    if (token !== undefined && (reading?.asker !== asker.user || !/^\d+$/.test(from))) {
      const message = "this list was begun too long ago, or before the controllers started: begin it anew";
      return { refusal: { code: 410, reason: "Expired", message } };
    }
    const lines = reading?.lines ?? select();
    const first = Number(from);
    const next = Math.min(lines.length, first + limit);
    const items = lines.slice(first, next).flatMap((line) => show(line) ?? []);
    if (next === lines.length) {
      this.#begun.delete(known);
      return { items };
    }
    const id = reading === undefined ? randomUUID() : known;
    this.#keep(id, { asker: asker.user, lines, lastUsed: performance.now() });
    return { items, continue: `${id}.${next}`, remaining: lines.length - next };
  }

  #keep(id: string, reading: Reading<Line>): void {
    // The one that was used longest ago stands first.
    this.#begun.delete(id);
    for (const [old, { lastUsed }] of this.#begun) {
      if (reading.lastUsed - lastUsed > keptMs || this.#begun.size >= mostKept) this.#begun.delete(old);
    }
    this.#begun.set(id, reading);
  }
}
