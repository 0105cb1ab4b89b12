/** `berth accounting copy`: the records of ended jobs from one database to another. */
import { copyAccounting, isPostgresUrl, openAccounting, shownPlace, type Accounting } from "@berth/accounting";
import { existsSync } from "node:fs";
import { CommandError } from "../command-error.ts";

/** @param from, to each a file (SQLite) or `postgres://…` */
export async function copy(from: string, to: string): Promise<number> {
  if (from === to) throw new CommandError("both are the same database");
  if (!isPostgresUrl(from) && !existsSync(from)) throw new CommandError(`${from}: there is no such file`);
  const source = await opened(from);
  try {
    const target = await opened(to);
    try {
      const isShown = process.stderr.isTTY;
      const copied = await copyAccounting(source, target, ({ read }) => {
        if (isShown) process.stderr.write(`\r${read} records`);
      });
      if (isShown) process.stderr.write("\r");
      const there = copied.read - copied.written;
      process.stdout.write(
        `${copied.written} records copied to ${shownPlace(to)}${there === 0 ? "" : `; ${there} were there already`}\n`,
      );
      return 0;
    } finally {
      await target.close();
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${(error as Error).message}; what was copied stays, and to copy again goes on`);
  } finally {
    await source.close();
  }
}

async function opened(place: string): Promise<Accounting> {
  try {
    const accounting = await openAccounting(place);
    // One that cannot be reached is told here, before anything is copied.
    await accounting.lastSequence();
    return accounting;
  } catch (error) {
    throw new CommandError(`${shownPlace(place)}: ${(error as Error).message}`);
  }
}
