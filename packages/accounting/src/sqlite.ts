/** Accounting in one SQLite file: written by the controllers, read at the same time by others (write-ahead log). */
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { Accounting, AccountingReader, AttemptFilter, AttemptRow, UsageRow } from "./attempt-row.ts";
import { columns, numberedRowOf, rowOf, usageEntryOf, valuesOf } from "./columns.ts";
import { groupedWrites } from "./grouped-writes.ts";
import {
  holdsTask,
  recordedSelect,
  rowsSelect,
  type Select,
  selectOf,
  toldStartsSelect,
  usageSelect,
} from "./select.ts";
import { isReadable, migrate, schemaVersion } from "./sqlite-schema.ts";
import type { ToldStart } from "./start-errors.ts";
import { AccountingTrouble } from "./trouble.ts";

const insertStatement = `INSERT INTO attempts (${columns.join(", ")}, sequence) VALUES (${columns.map(() => "?").join(", ")}, ?)
  ON CONFLICT (workload_uid, task, attempt) DO NOTHING`;

function all(database: DatabaseSync, { sql, values }: Select): Record<string, unknown>[] {
  return database.prepare(sql).all(...values);
}

function query(database: DatabaseSync, filter: AttemptFilter): AttemptRow[] {
  return all(database, selectOf(filter))
    .map(rowOf)
    .filter((row) => holdsTask(row, filter));
}

function usage(database: DatabaseSync, window: { since: string; until: string }): UsageRow[] {
  return all(database, usageSelect(window)).map((row) => Object.assign({} as UsageRow, row));
}

function toldStarts(database: DatabaseSync, filter: Parameters<Accounting["toldStarts"]>[0]): ToldStart[] {
  return all(database, toldStartsSelect(filter)).map((row) => Object.assign({} as ToldStart, row));
}

const [busy, readOnly, ioFailed, corrupt, full, notADatabase] = [5, 8, 10, 11, 13, 26];

/** SQLite's own words name no file, and no way out. */
function inWords(path: string, error: unknown): unknown {
  const { errcode = 0, message } = error as { errcode?: number; message?: string };
  switch (errcode & 0xff) {
    case corrupt:
    case notADatabase:
      return new AccountingTrouble(
        `${path} is damaged (${message}): nothing was changed; restore it from a backup, or move it away to begin new records`,
        false,
      );
    case full:
      return new AccountingTrouble(`no space is left for ${path}`, true, { cause: error });
    case readOnly:
      return new AccountingTrouble(
        `${path} may not be written by this process (uid ${process.getuid?.()}): it needs the right to write the file and its folder`,
        true,
        { cause: error },
      );
    case busy:
    case ioFailed:
      return new AccountingTrouble(`${path}: ${message}`, true, { cause: error });
    default:
      return error;
  }
}

/** Each transaction waits for the disk, and its process with it: rows that come thick are written together. */
const transactionIntervalMs = 25;

/**
 * Opens the database for writing, making or migrating it. One writer at a time: the leading controllers.
 * @throws Error in words when it cannot be opened or was written by a newer Berth
 */
export function openSqliteAccounting(path: string): Accounting {
  const database = new DatabaseSync(path, { timeout: 5000 });
  try {
    // FULL: a row must not be lost to a power cut when the Workload's status that follows it was not.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    migrate(database);
    // A file that may only be read is opened without complaint, until something is written.
    database.exec("BEGIN IMMEDIATE");
    database.exec(`PRAGMA user_version = ${schemaVersion}; ROLLBACK;`);
  } catch (error) {
    database.close();
    throw inWords(path, error);
  }
  const insert = database.prepare(insertStatement);
  const last = database.prepare("SELECT max(sequence) AS last FROM attempts");
  const numbered = database.prepare("SELECT 1 FROM attempts WHERE sequence = ?");
  const lastSequence = (): number => Number(last.get()?.["last"] ?? 0);
  let floor = 0;

  /** All of it or, when it throws, nothing. Numbers are looked up within: another process may be copying rows. */
  function transaction<T>(write: (next: () => number) => T, above = 0): T {
    try {
      database.exec("BEGIN IMMEDIATE");
      try {
        let given = Math.max(floor, above, lastSequence());
        const result = write(() => ++given);
        database.exec("COMMIT");
        return result;
      } catch (error) {
        if (database.isTransaction) database.exec("ROLLBACK");
        throw error;
      }
    } catch (error) {
      throw inWords(path, error);
    }
  }

  const writes = groupedWrites((rows) => {
    transaction((next) => {
      let number = next();
      for (const row of rows) if (insert.run(...valuesOf(row), number).changes > 0) number = next();
    });
    return Promise.resolve();
  }, transactionIntervalMs);

  const answer = async <T>(ask: () => T): Promise<T> => {
    await Promise.resolve();
    return ask();
  };
  return {
    record: (rows) => writes.write(rows),
    query: (filter) => answer(() => query(database, filter)),
    usage: (window) => answer(() => usage(database, window)),
    toldStarts: (filter) => answer(() => toldStarts(database, filter)),
    recordedAfter: (after, since, limit) =>
      answer(() => all(database, recordedSelect(after, since, limit)).map(usageEntryOf)),
    lastSequence: () => answer(lastSequence),
    numberAfter: (sequence) => answer(() => void (floor = Math.max(floor, sequence))),
    rowsAfter: (after, limit) => answer(() => all(database, rowsSelect(after, limit)).map(numberedRowOf)),
    take: (rows) =>
      answer(() => {
        const highest = rows.reduce((most, { sequence }) => Math.max(most, sequence), 0);
        return transaction((next) => {
          let taken = 0;
          for (const { sequence, row } of rows) {
            const number = numbered.get(sequence) === undefined ? sequence : next();
            taken += Number(insert.run(...valuesOf(row), number).changes);
          }
          return taken;
        }, highest);
      }),
    async close() {
      await writes.close();
      database.close();
    },
  };
}

/** Opens the database read-only; while the writer has not made it yet, all answers are empty. */
export function openSqliteReader(path: string): AccountingReader {
  let opened: DatabaseSync | undefined;
  function database(): DatabaseSync | undefined {
    if (opened !== undefined) return opened;
    if (!existsSync(path)) return undefined;
    const candidate = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    let readable = false;
    try {
      readable = isReadable(candidate);
    } finally {
      if (!readable) candidate.close();
    }
    if (readable) opened = candidate;
    return opened;
  }
  const answer = <T>(ask: (database: DatabaseSync) => T[]): Promise<T[]> =>
    Promise.resolve().then(() => {
      const found = database();
      return found === undefined ? [] : ask(found);
    });
  return {
    query: (filter) => answer((found) => query(found, filter)),
    usage: (window) => answer((found) => usage(found, window)),
    toldStarts: (filter) => answer((found) => toldStarts(found, filter)),
    close() {
      opened?.close();
      opened = undefined;
      return Promise.resolve();
    },
  };
}
