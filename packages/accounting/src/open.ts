/** One setting says where accounting is: a file (SQLite), or a URL (PostgreSQL), whose client is loaded only then. */
import type { Accounting } from "./attempt-row.ts";
import { isPostgresUrl } from "./postgres-url.ts";
import { openSqliteAccounting } from "./sqlite.ts";

/**
 * Opens accounting for writing, making or migrating it.
 * @param place a path, or `postgres://…` as `postgresPlace` reads it
 * @throws Error in words when it cannot be opened or was written by a newer Berth; a PostgreSQL that cannot be reached is waited for
 */
export async function openAccounting(place: string): Promise<Accounting> {
  if (!isPostgresUrl(place)) return openSqliteAccounting(place);
  const { openPostgresAccounting } = await import("./postgres.ts");
  return openPostgresAccounting(place);
}
