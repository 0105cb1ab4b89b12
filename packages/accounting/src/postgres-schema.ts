/** PostgreSQL's schema and the way forward from older ones; its number stands in table `attempts_format`. */
import type { ClientBase } from "pg";
import { newerFormat } from "./trouble.ts";

/** Statement lists: entry n brings schema n to n + 1. Only ever appended to. Text is ordered by its bytes, as SQLite does. */
export const migrations: readonly string[] = [
  `CREATE TABLE attempts (
     workload_uid text COLLATE "C" NOT NULL, task bigint NOT NULL, attempt bigint NOT NULL,
     job_id bigint NOT NULL, array_job_id bigint, tasks text,
     namespace text NOT NULL, workload text NOT NULL, name text NOT NULL,
     "user" text COLLATE "C" NOT NULL, uid bigint NOT NULL,
     account text COLLATE "C" NOT NULL, queue text NOT NULL, qos text,
     requested_milli_cpus bigint NOT NULL, requested_memory_bytes bigint NOT NULL,
     requested_nodes bigint NOT NULL, wall_time_seconds bigint NOT NULL,
     submit_time bigint NOT NULL, eligible_time bigint, start_time bigint, end_time bigint NOT NULL,
     wait_seconds_by_reason text NOT NULL, first_expected_start bigint, last_expected_start bigint,
     state text NOT NULL, exit_code bigint NOT NULL, signal bigint NOT NULL, nodes text NOT NULL,
     peak_memory_bytes bigint, cpu_milliseconds bigint,
     dependencies text NOT NULL, working_directory text, command text, cancelled_by text,
     billing double precision, allocated text, sequence bigint NOT NULL,
     PRIMARY KEY (workload_uid, task, attempt)
   );
   CREATE INDEX attempts_by_job ON attempts (job_id);
   CREATE INDEX attempts_by_array ON attempts (array_job_id) WHERE array_job_id IS NOT NULL;
   CREATE INDEX attempts_by_end ON attempts (end_time, "user");
   CREATE UNIQUE INDEX attempts_by_sequence ON attempts (sequence);`,
  // What a user asks for is the newest of their own.
  `CREATE INDEX attempts_by_user ON attempts ("user", end_time);`,
  `ALTER TABLE attempts ADD COLUMN suspended_seconds bigint;`,
  `ALTER TABLE attempts ADD COLUMN steps text;`,
];

/** Held to the end of a transaction by whoever writes rows or the schema: numbers become visible in their order. */
export const writersLock = "SELECT pg_advisory_xact_lock(7378697629483)";

async function versionOf(client: ClientBase): Promise<number> {
  const { rows: found } = await client.query<{ there: boolean }>(
    "SELECT to_regclass('attempts_format') IS NOT NULL AS there",
  );
  if (found[0]?.there !== true) return 0;
  const { rows } = await client.query<{ version: number }>("SELECT version FROM attempts_format");
  return rows[0]?.version ?? 0;
}

/**
 * Brings the database to the newest schema, in one transaction, whoever else does so at the same time.
 * @param steps fewer than all only in tests
 * @throws AccountingTrouble when the database was written by a newer Berth
 */
export async function migratePostgres(client: ClientBase, steps = migrations): Promise<void> {
  const found = await versionOf(client);
  if (found > steps.length) throw newerFormat(found, steps.length);
  if (found === steps.length) return;
  await client.query("BEGIN");
  try {
    await client.query(writersLock);
    const from = await versionOf(client);
    for (const step of steps.slice(from)) await client.query(step);
    await client.query("CREATE TABLE IF NOT EXISTS attempts_format (version integer NOT NULL)");
    await client.query("DELETE FROM attempts_format");
    await client.query("INSERT INTO attempts_format VALUES ($1)", [Math.max(from, steps.length)]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  }
}
