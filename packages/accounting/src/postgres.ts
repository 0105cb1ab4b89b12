/** Accounting in a PostgreSQL database, which the controllers write and any number of others read. */
import { Pool, type PoolClient, types } from "pg";
import type { Accounting, AttemptRow, UsageRow } from "./attempt-row.ts";
import { columns, numberedRowOf, rowOf, usageEntryOf, valuesOf } from "./columns.ts";
import { groupedWrites } from "./grouped-writes.ts";
import { migratePostgres, writersLock } from "./postgres-schema.ts";
import { postgresPlace } from "./postgres-url.ts";
import {
  holdsTask,
  recordedSelect,
  rowsSelect,
  type Select,
  selectOf,
  toldStartsSelect,
  usageSelect,
} from "./select.ts";
import type { ToldStart } from "./start-errors.ts";
import { AccountingTrouble } from "./trouble.ts";

const int8 = types.builtins.INT8;
/** Whoever does not answer within this time is taken for away; what was asked is asked again. */
const connectMs = 5000;
const answerMs = 60_000;
const mostConnections = 4;
/** So that many short ends become few transactions; while one is under way the next collects. */
const transactionIntervalMs = 5;
/** One statement takes so many rows: its text stays small. */
const rowsAtOnce = 2000;

const list = columns.join(", ");
const ofGiven = columns.map((column) => `given.${column}`).join(", ");

/**
 * Rows come as JSON whose `sequence` is their place (recorded) or the number that they had elsewhere (taken). Of one key the first is
 * taken. $2 is what all new numbers are above.
 */
const fresh = `
  WITH given AS (
    SELECT DISTINCT ON (workload_uid, task, attempt) * FROM json_populate_recordset(NULL::attempts, $1::json)
    ORDER BY workload_uid, task, attempt, sequence
  ), fresh AS (
    SELECT ${ofGiven}, given.sequence FROM given WHERE NOT EXISTS (SELECT 1 FROM attempts known
      WHERE known.workload_uid = given.workload_uid AND known.task = given.task AND known.attempt = given.attempt)
  ), base AS (
    SELECT greatest($2::bigint, (SELECT max(sequence) FROM attempts)) AS number
  )`;
const recordStatement = `${fresh}
  INSERT INTO attempts (${list}, sequence)
  SELECT ${list}, base.number + row_number() OVER (ORDER BY sequence) FROM fresh, base`;
const takeStatement = `${fresh}, placed AS (
    SELECT fresh.*, EXISTS (SELECT 1 FROM attempts known WHERE known.sequence = fresh.sequence) AS is_moved FROM fresh
  ), above AS (
    SELECT greatest((SELECT number FROM base), (SELECT max(sequence) FROM given)) AS number
  )
  INSERT INTO attempts (${list}, sequence)
  SELECT ${list}, CASE WHEN is_moved THEN above.number + row_number() OVER (PARTITION BY is_moved ORDER BY sequence)
    ELSE sequence END FROM placed, above`;

function jsonOf(rows: readonly { row: AttemptRow; sequence: number }[]): string {
  return JSON.stringify(
    rows.map(({ row, sequence }) => {
      const object: Record<string, unknown> = { sequence };
      for (const [at, value] of valuesOf(row).entries()) object[columns[at]!.replaceAll('"', "")] = value;
      return object;
    }),
  );
}

/** Data that does not fit its column: to try it again would never go well. */
function isRefusal(code: string | undefined): boolean {
  return code !== undefined && /^(22|23)/.test(code);
}

/**
 * Opens the database, making or migrating its tables. While it cannot be reached it is opened all the same: each call then says so,
 * and goes well as soon as it can.
 * @throws Error in words where the URL is wrong, or the database was written by a newer Berth
 */
export async function openPostgresAccounting(url: string): Promise<Accounting> {
  const { name, connection } = postgresPlace(url);
  const pool = new Pool({
    ...connection,
    max: mostConnections,
    connectionTimeoutMillis: connectMs,
    query_timeout: answerMs,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    application_name: "berth",
    types: {
      // All of them are below 2^53.
      getTypeParser: ((oid: number, format?: "text") =>
        oid === (int8 as number) ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
    },
  });
  // A connection that dies is told to who waits for its answer; where nobody does, the next call makes another.
  pool.on("error", () => {});
  pool.on("connect", (client) => void client.on("error", () => {}));
  const ready = new WeakSet<PoolClient>();
  let floor = 0;

  function inWords(error: unknown): AccountingTrouble {
    if (error instanceof AccountingTrouble) return error;
    const { code, message, errors } = error as { code?: string; message: string; errors?: Error[] };
    const words = message === "" ? (errors?.map((one) => one.message).join("; ") ?? code) : message;
    return new AccountingTrouble(`accounting at ${name}: ${words}`, !isRefusal(code), { cause: error });
  }

  async function withClient<T>(use: (client: PoolClient) => Promise<T>): Promise<T> {
    let client: PoolClient | undefined;
    let isGood = false;
    try {
      client = await pool.connect();
      // Each connection may be to another database than the one before: one that was restored, or begun anew.
      if (!ready.has(client)) {
        await migratePostgres(client);
        ready.add(client);
      }
      const result = await use(client);
      isGood = true;
      return result;
    } catch (error) {
      throw inWords(error);
    } finally {
      // After a failure nobody knows what a connection is still about.
      client?.release(!isGood);
    }
  }

  async function all({ sql, values }: Select): Promise<Record<string, unknown>[]> {
    let place = 0;
    const text = sql.replaceAll("?", () => `$${++place}`);
    return withClient(async (client) => (await client.query<Record<string, unknown>>(text, values)).rows);
  }

  async function write(statement: string, rows: readonly { row: AttemptRow; sequence: number }[]): Promise<number> {
    return withClient(async (client) => {
      let written = 0;
      await client.query("BEGIN");
      await client.query("SET LOCAL synchronous_commit = on");
      await client.query(writersLock);
      for (let at = 0; at < rows.length; at += rowsAtOnce) {
        const some = jsonOf(rows.slice(at, at + rowsAtOnce));
        written += (await client.query(statement, [some, floor])).rowCount ?? 0;
      }
      await client.query("COMMIT");
      return written;
    });
  }

  const writes = groupedWrites(async (rows) => {
    const numbered = rows.map((row, sequence) => ({ row, sequence }));
    await write(recordStatement, numbered);
  }, transactionIntervalMs);

  try {
    await withClient(() => Promise.resolve());
  } catch (error) {
    if (!(error as AccountingTrouble).isPassing) {
      await pool.end();
      throw error;
    }
  }
  return {
    record: (rows) => writes.write(rows),
    query: async (filter) => (await all(selectOf(filter))).map(rowOf).filter((row) => holdsTask(row, filter)),
    usage: async (window) => (await all(usageSelect(window))) as unknown as UsageRow[],
    toldStarts: async (filter) => (await all(toldStartsSelect(filter))) as unknown as ToldStart[],
    recordedAfter: async (after, since, limit) => (await all(recordedSelect(after, since, limit))).map(usageEntryOf),
    lastSequence: async () => {
      const [found] = await all({ sql: "SELECT coalesce(max(sequence), 0) AS last FROM attempts", values: [] });
      return Number(found?.["last"] ?? 0);
    },
    numberAfter: (sequence) => {
      floor = Math.max(floor, sequence);
      return Promise.resolve();
    },
    rowsAfter: async (after, limit) => (await all(rowsSelect(after, limit))).map(numberedRowOf),
    take: (rows) => (rows.length === 0 ? Promise.resolve(0) : write(takeStatement, rows)),
    async close() {
      await writes.close();
      await pool.end();
    },
  };
}
