/** Accounting in one SQLite file: written by the controllers, read at the same time by others (write-ahead log). */
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { Accounting, AccountingReader, AttemptFilter, AttemptRow, UsageRow } from "./attempt-row.ts";
import { isReadable, migrate } from "./schema.ts";
import type { ToldStart } from "./start-errors.ts";
import { holdsTask, selectOf } from "./sqlite-query.ts";
import { insertStatement, rowOf, toSeconds, usageColumns, usageEntryOf, valuesOf } from "./sqlite-rows.ts";

const usageStatement = `
  SELECT user, account, count(*) AS attempts,
    sum(requested_milli_cpus * (min(end_time, ?2) - max(start_time, ?1))) AS milliCpuSeconds,
    sum(requested_memory_bytes * (min(end_time, ?2) - max(start_time, ?1))) AS memoryByteSeconds
  FROM attempts WHERE start_time IS NOT NULL AND end_time > ?1 AND start_time < ?2
  GROUP BY user, account ORDER BY user, account`;

function query(database: DatabaseSync, filter: AttemptFilter): AttemptRow[] {
  const { sql, values } = selectOf(filter);
  return database
    .prepare(sql)
    .all(...values)
    .map(rowOf)
    .filter((row) => holdsTask(row, filter));
}

function usage(database: DatabaseSync, window: { since: string; until: string }): UsageRow[] {
  const statement = database.prepare(usageStatement);
  return statement
    .all(toSeconds(window.since), toSeconds(window.until))
    .map((row) => Object.assign({} as UsageRow, row));
}

/** More are not looked at: the newest ones say how it is now. */
const mostTold = 5000;

function toldStarts(database: DatabaseSync, filter: Parameters<Accounting["toldStarts"]>[0]): ToldStart[] {
  const { since, users = [], limit = mostTold } = filter;
  const ofUsers = users.length === 0 ? "" : `AND user IN (${users.map(() => "?").join(", ")})`;
  return database
    .prepare(
      `SELECT submit_time AS submitTime, start_time AS startTime, first_expected_start AS firstExpectedStart,
         coalesce(last_expected_start, first_expected_start) AS lastExpectedStart
       FROM attempts WHERE end_time >= ? AND start_time IS NOT NULL AND first_expected_start IS NOT NULL
         AND array_job_id IS NULL AND attempt = 1 ${ofUsers} ORDER BY end_time DESC LIMIT ?`,
    )
    .all(toSeconds(since), ...users, limit)
    .map((row) => Object.assign({} as ToldStart, row));
}

/** SQLite's own words name no file, and no way out. */
function inWords(path: string, error: unknown): unknown {
  const { errcode = 0, message } = error as { errcode?: number; message?: string };
  const [corrupt, full, notADatabase] = [11, 13, 26];
  switch (errcode & 0xff) {
    case corrupt:
    case notADatabase:
      return new Error(
        `${path} is damaged (${message}): nothing was changed; restore it from a backup, or move it away to begin new records`,
      );
    case full:
      return new Error(`no space is left for ${path}`);
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
export function openAccounting(path: string): Accounting {
  const database = new DatabaseSync(path, { timeout: 5000 });
  try {
    // FULL: a row must not be lost to a power cut when the Workload's status that follows it was not.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    migrate(database);
  } catch (error) {
    database.close();
    throw inWords(path, error);
  }
  const insert = database.prepare(insertStatement);
  const last = database.prepare("SELECT max(sequence) AS last FROM attempts");
  const recorded = database.prepare(
    `SELECT ${usageColumns} FROM attempts WHERE sequence > ? AND end_time >= ? AND start_time IS NOT NULL ORDER BY sequence LIMIT ?`,
  );
  // There is one writer; what it counts is what the table has.
  let sequence = Number(last.get()?.["last"] ?? 0);
  let lastFlush = -Infinity;
  let isClosed = false;
  let waiting: { rows: readonly AttemptRow[]; resolve: () => void; reject: (error: unknown) => void }[] = [];

  function flush(): void {
    if (isClosed) return;
    const group = waiting;
    waiting = [];
    lastFlush = performance.now();
    try {
      let next = sequence;
      database.exec("BEGIN IMMEDIATE");
      try {
        for (const { rows } of group) {
          for (const row of rows) if (insert.run(...valuesOf(row), next + 1).changes > 0) next++;
        }
        database.exec("COMMIT");
        sequence = next;
      } catch (error) {
        if (database.isTransaction) database.exec("ROLLBACK");
        throw error;
      }
      for (const { resolve } of group) resolve();
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  return {
    record(rows) {
      if (rows.length === 0) return Promise.resolve();
      return new Promise((resolve, reject) => {
        waiting.push({ rows, resolve, reject });
        if (waiting.length > 1) return;
        const pause = lastFlush + transactionIntervalMs - performance.now();
        if (pause > 0) setTimeout(flush, pause);
        else setImmediate(flush);
      });
    },
    query: (filter) => Promise.resolve().then(() => query(database, filter)),
    usage: (window) => Promise.resolve().then(() => usage(database, window)),
    toldStarts: (filter) => Promise.resolve().then(() => toldStarts(database, filter)),
    recordedAfter: (after, since, limit) =>
      Promise.resolve().then(() => recorded.all(after, since, limit).map(usageEntryOf)),
    lastSequence: () => Promise.resolve(sequence),
    close() {
      if (waiting.length > 0) flush();
      isClosed = true;
      database.close();
      return Promise.resolve();
    },
  };
}

/** Opens the database read-only; while the writer has not made it yet, all answers are empty. */
export function openAccountingReader(path: string): AccountingReader {
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
