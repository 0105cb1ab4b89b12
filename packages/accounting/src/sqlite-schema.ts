/** The SQL schema and the way forward from older ones; the number of the schema is SQLite's `user_version`. */
import type { DatabaseSync } from "node:sqlite";
import { newerFormat } from "./trouble.ts";

/** Statement lists: entry n brings schema n to n + 1. Only ever appended to. */
const migrations: readonly string[] = [
  `CREATE TABLE attempts (
     workload_uid TEXT NOT NULL, task INTEGER NOT NULL, attempt INTEGER NOT NULL,
     job_id INTEGER NOT NULL, array_job_id INTEGER, tasks TEXT,
     namespace TEXT NOT NULL, workload TEXT NOT NULL, name TEXT NOT NULL,
     user TEXT NOT NULL, uid INTEGER NOT NULL, account TEXT NOT NULL, queue TEXT NOT NULL, qos TEXT,
     requested_milli_cpus INTEGER NOT NULL, requested_memory_bytes INTEGER NOT NULL,
     requested_nodes INTEGER NOT NULL, wall_time_seconds INTEGER NOT NULL,
     submit_time INTEGER NOT NULL, eligible_time INTEGER, start_time INTEGER, end_time INTEGER NOT NULL,
     wait_seconds_by_reason TEXT NOT NULL, first_expected_start INTEGER, last_expected_start INTEGER,
     state TEXT NOT NULL, exit_code INTEGER NOT NULL, signal INTEGER NOT NULL, nodes TEXT NOT NULL,
     peak_memory_bytes INTEGER, cpu_milliseconds INTEGER,
     dependencies TEXT NOT NULL, working_directory TEXT, command TEXT, cancelled_by TEXT,
     PRIMARY KEY (workload_uid, task, attempt)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX attempts_by_job ON attempts (job_id);
   CREATE INDEX attempts_by_array ON attempts (array_job_id) WHERE array_job_id IS NOT NULL;
   CREATE INDEX attempts_by_end ON attempts (end_time, user);`,
  `ALTER TABLE attempts ADD COLUMN billing REAL;
   ALTER TABLE attempts ADD COLUMN allocated TEXT;
   ALTER TABLE attempts ADD COLUMN sequence INTEGER;
   UPDATE attempts SET sequence = numbered.number FROM
     (SELECT workload_uid, task, attempt, row_number() OVER (ORDER BY end_time, job_id, attempt) AS number FROM attempts)
     AS numbered
     WHERE attempts.workload_uid = numbered.workload_uid AND attempts.task = numbered.task
       AND attempts.attempt = numbered.attempt;
   CREATE UNIQUE INDEX attempts_by_sequence ON attempts (sequence);`,
  // What a user asks for is the newest of their own.
  `CREATE INDEX attempts_by_user ON attempts (user, end_time);`,
  `ALTER TABLE attempts ADD COLUMN suspended_seconds INTEGER;`,
  `ALTER TABLE attempts ADD COLUMN steps TEXT;`,
];

export const schemaVersion = migrations.length;

function versionOf(database: DatabaseSync): number {
  return Number((database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version);
}

function refuseNewer(found: number): void {
  if (found > schemaVersion) throw newerFormat(found, schemaVersion);
}

/**
 * Brings the database to the newest schema, one transaction a step.
 * @throws Error when the database was written by a newer Berth
 */
export function migrate(database: DatabaseSync): void {
  refuseNewer(versionOf(database));
  for (let at = versionOf(database); at < schemaVersion; at++) {
    database.exec(`BEGIN IMMEDIATE; ${migrations[at]!} PRAGMA user_version = ${at + 1}; COMMIT;`);
  }
}

/** Whether a reader finds the tables; false while the writer has not made them yet. */
export function isReadable(database: DatabaseSync): boolean {
  const found = versionOf(database);
  refuseNewer(found);
  return found === schemaVersion;
}
