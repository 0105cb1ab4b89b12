/** The one setting of a PostgreSQL database, read from its URL. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { PoolConfig } from "pg";

const known = new Set(["sslmode", "sslrootcert", "passwordfile"]);
const modes = ["disable", "require", "verify-full"] as const;

export interface PostgresPlace {
  /** For words: without the password. */
  name: string;
  connection: PoolConfig;
}

export function isPostgresUrl(place: string): boolean {
  return /^postgres(ql)?:\/\//.test(place);
}

/** A setting as it may be shown. */
export function shownPlace(place: string): string {
  return isPostgresUrl(place) ? place.replace(/^([^/]*\/\/[^/@:]*):[^/]*@/, "$1@") : place;
}

/**
 * `postgres://USER@HOST[:PORT]/DATABASE?passwordfile=FILE&sslmode=…&sslrootcert=FILE`. The password may also stand in the URL, or in
 * PGPASSWORD; a file is read for each connection, so that a Secret may change. `sslmode` is libpq's `disable`, `require` (encrypted,
 * whoever answers) or `verify-full`, which holds where nothing is said and the host is not this machine; `sslrootcert` is the CA that
 * must have signed the server's certificate, else those that Node.js knows.
 * @throws Error in words that name what is wrong
 */
export function postgresPlace(place: string): PostgresPlace {
  const shown = shownPlace(place);
  let url: URL;
  try {
    url = new URL(place);
  } catch {
    throw new Error(`${shown} is no URL like postgres://berth@db.example.org/berth`);
  }
  for (const name of url.searchParams.keys()) {
    if (!known.has(name)) throw new Error(`${shown}: unknown ${name}; known are ${[...known].join(", ")}`);
  }
  const database = decodeURIComponent(url.pathname.slice(1));
  const user = decodeURIComponent(url.username);
  if (url.hostname === "" || database === "" || user === "" || database.includes("/"))
    throw new Error(`${shown}: user, host and database must stand in it, as in postgres://berth@db.example.org/berth`);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const isLocal = host === "localhost" || host === "::1" || host.startsWith("127.");
  const mode = url.searchParams.get("sslmode") ?? (isLocal ? "disable" : "verify-full");
  if (!modes.some((one) => one === mode)) throw new Error(`${shown}: sslmode=${mode}; known are ${modes.join(", ")}`);
  const authority = url.searchParams.get("sslrootcert");
  if (authority !== null && mode !== "verify-full")
    throw new Error(`${shown}: sslrootcert=${authority} needs sslmode=verify-full`);
  const passwordFile = url.searchParams.get("passwordfile");
  const inUrl = url.password === "" ? undefined : decodeURIComponent(url.password);
  if (passwordFile !== null && inUrl !== undefined)
    throw new Error(`${shown}: a password stands in the URL and in ${passwordFile}; one of them goes`);
  const port = url.port === "" ? 5432 : Number(url.port);
  return {
    name: `postgres://${host.includes(":") ? `[${host}]` : host}:${port}/${database}`,
    connection: {
      host,
      port,
      database,
      user,
      ...(inUrl === undefined ? {} : { password: inUrl }),
      ...(passwordFile === null ? {} : { password: () => passwordOf(passwordFile) }),
      ssl: mode === "disable" ? false : { rejectUnauthorized: mode === "verify-full", ...authorityOf(authority) },
    },
  };
}

async function passwordOf(path: string): Promise<string> {
  return (await readFile(path, "utf8")).replace(/\r?\n$/, "");
}

function authorityOf(path: string | null): { ca?: string } {
  if (path === null) return {};
  try {
    return { ca: readFileSync(path, "utf8") };
  } catch (error) {
    throw new Error(`sslrootcert=${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
