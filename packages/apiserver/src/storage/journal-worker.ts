/**
 * The thread that owns the store's SQLite file. One transaction a batch, durable (synchronous=FULL) before it is
 * acknowledged. The file is locked while it is open, so that a second server on the same folder is refused.
 */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import type { WorkerMessage, WorkerRequest } from "./journal.ts";

/** Format of the file; kept in user_version. A larger number is from a newer Berth. */
const storeFormat = 1;
/** "Bert" in ASCII, kept in application_id. */
const applicationId = 0x42657274;
const rowsPerMessage = 500;

const { path } = workerData as { path: string };
const port = parentPort!;
let database: DatabaseSync | undefined;
let put: StatementSync;
let remove: StatementSync;
let mark: StatementSync;

function send(message: WorkerMessage): void {
  port.postMessage(message);
}

function open(): DatabaseSync {
  const opened = new DatabaseSync(path);
  opened.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA busy_timeout = 2000;");
  const format = Number(opened.prepare("PRAGMA user_version").get()?.["user_version"]);
  const application = Number(opened.prepare("PRAGMA application_id").get()?.["application_id"]);
  const tables = Number(opened.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"]);
  if (format > storeFormat) {
    throw new Error(
      `${path} has format ${format}, and this Berth reads formats up to ${storeFormat}: start it with the newer Berth that wrote it`,
    );
  }
  if (tables > 0 && application !== applicationId) {
    throw new Error(`${path} is an SQLite file, but not a store of Berth: move it away, or choose another data folder`);
  }
  opened.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
  if (tables === 0) {
    opened.exec(`BEGIN EXCLUSIVE;
      CREATE TABLE objects (key TEXT PRIMARY KEY, rv INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
      INSERT INTO meta (name, value) VALUES ('resourceVersion', 0);
      PRAGMA application_id = ${applicationId};
      PRAGMA user_version = ${storeFormat};
      COMMIT;`);
  } else {
    const check = String(opened.prepare("PRAGMA quick_check(1)").get()?.["quick_check"]);
    if (check !== "ok") throw new Error(damaged(check));
    // Takes the exclusive lock now, not at the first write.
    opened.exec("BEGIN EXCLUSIVE; COMMIT;");
  }
  return opened;
}

function damaged(words: string): string {
  return `${path} is damaged (${words}): nothing was changed; restore it from a backup, or begin an empty cluster in another folder`;
}

/** SQLITE_FULL; an SQLITE_IOERR where the file system has not a single block left for a file that grows. */
function isFull(error: unknown): boolean {
  const { errcode = 0 } = error as { errcode?: number };
  if ((errcode & 0xff) === 13) return true;
  if ((errcode & 0xff) !== 10) return false;
  const { bavail, ffree, files } = statfsSync(dirname(path));
  return bavail === 0 || (files > 0 && ffree === 0);
}

function inWords(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (message.startsWith(path)) return message;
  if (/malformed|not a database|disk image|corrupt/i.test(message)) return damaged(message);
  if (/locked/i.test(message)) return `${path} is in use by another process: only one server may run on a data folder`;
  if (isFull(error)) return `no space is left for ${path}`;
  return `${path}: ${message}`;
}

function load(): number {
  database = open();
  put = database.prepare(
    "INSERT INTO objects (key, rv, value) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET rv = excluded.rv, value = excluded.value",
  );
  remove = database.prepare("DELETE FROM objects WHERE key = ?");
  mark = database.prepare("UPDATE meta SET value = ? WHERE name = 'resourceVersion'");
  let rows: [string, string][] = [];
  for (const row of database.prepare("SELECT key, value FROM objects ORDER BY key").iterate()) {
    rows.push([String(row["key"]), String(row["value"])]);
    if (rows.length >= rowsPerMessage) {
      send({ type: "rows", rows });
      rows = [];
    }
  }
  if (rows.length > 0) send({ type: "rows", rows });
  const last = database.prepare("SELECT value FROM meta WHERE name = 'resourceVersion'").get();
  if (last === undefined) throw new Error(damaged("the last resource version is missing"));
  return Number(last["value"]);
}

function commit(request: Extract<WorkerRequest, { type: "commit" }>): void {
  database!.exec("BEGIN IMMEDIATE");
  try {
    for (const write of request.writes) {
      if (write.value === null) remove.run(write.key);
      else put.run(write.key, write.resourceVersion, write.value);
    }
    mark.run(request.resourceVersion);
    database!.exec("COMMIT");
  } catch (error) {
    if (database!.isTransaction) database!.exec("ROLLBACK");
    throw error;
  }
}

port.on("message", (request: WorkerRequest) => {
  try {
    if (request.type === "load") send({ type: "loaded", resourceVersion: load() });
    else if (request.type === "commit") {
      commit(request);
      send({ type: "committed" });
    } else {
      database?.close();
      send({ type: "closed" });
    }
  } catch (error) {
    send({ type: "failed", message: inWords(error), noSpace: isFull(error) });
  }
});
