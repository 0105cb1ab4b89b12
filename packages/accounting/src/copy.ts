/** Accounting from one database to another. */
import type { Accounting } from "./attempt-row.ts";

/** Each portion is one transaction of the target: what was copied when somebody ends the copying stays. */
const portion = 1000;

/**
 * Copies all rows, with their numbers, so that what was counted of usage stays counted. Rows that are there already stay as they are:
 * to do it again, also after it was killed, goes on where it stopped. Rows that are recorded meanwhile are copied too.
 */
export async function copyAccounting(
  from: Pick<Accounting, "rowsAfter">,
  to: Pick<Accounting, "take">,
  onPortion: (copied: { read: number; written: number }) => void = () => {},
): Promise<{ read: number; written: number }> {
  const copied = { read: 0, written: 0 };
  for (let last = 0; ;) {
    const rows = await from.rowsAfter(last, portion);
    if (rows.length === 0) return copied;
    last = rows.at(-1)!.sequence;
    copied.written += await to.take(rows);
    copied.read += rows.length;
    onPortion(copied);
  }
}
