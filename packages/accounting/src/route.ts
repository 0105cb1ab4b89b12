/** `GET …/accounting` and `…/accounting/estimates`: accounting through the API, so that clients need no file. */
import type { AccountingReader, AttemptFilter } from "./attempt-row.ts";
import { startErrors } from "./start-errors.ts";

export interface AccountingRequest {
  /** `seesAll`: may list the Workloads of all namespaces, and so is told everybody's rows. */
  user: { name: string; groups: readonly string[]; seesAll?: boolean };
  /** What stands behind the route's own path: empty, or `/estimates`. */
  below: string;
  query: URLSearchParams;
}

export interface AccountingAnswer {
  status: number;
  body: unknown;
}

/** Members of these see everybody's rows; others only their own. */
const operatorGroups = new Set(["system:masters", "berth:operators", "berth:controllers"]);

function seesAll(user: AccountingRequest["user"]): boolean {
  return user.seesAll === true || user.groups.some((group) => operatorGroups.has(group));
}

const known = new Set([
  "job",
  "user",
  "state",
  "name",
  "account",
  "queue",
  "since",
  "until",
  "lastAttemptOnly",
  "limit",
]);

function failure(code: number, reason: string, message: string): AccountingAnswer {
  return {
    status: code,
    body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code },
  };
}

/** Each parameter may be repeated, or hold several values separated by commas. */
function valuesOf(query: URLSearchParams, name: string): string[] | undefined {
  const values = query
    .getAll(name)
    .flatMap((value) => value.split(","))
    .filter((value) => value !== "");
  return values.length === 0 ? undefined : values;
}

function timeOf(query: URLSearchParams, name: string): string | undefined {
  const value = query.get(name);
  if (value === null) return undefined;
  if (Number.isNaN(Date.parse(value))) throw new Error(`${name}=${value} is not a time like 2026-11-22T14:05:00Z`);
  return value;
}

/**
 * Reads a query string: `job=42,43_7`, `user`, `state`, `name`, `account`, `queue`, `since`, `until`, `lastAttemptOnly=true`,
 * `limit`.
 * @throws Error in words naming the parameter
 */
function filterOf(query: URLSearchParams): AttemptFilter {
  for (const name of query.keys()) {
    if (!known.has(name)) throw new Error(`unknown parameter ${name}; known are ${[...known].join(", ")}`);
  }
  const jobs = valuesOf(query, "job")?.map((value) => {
    const match = /^(\d+)(?:_(\d+))?$/.exec(value);
    if (match === null) throw new Error(`job=${value} is not a job id like 42 or 42_7`);
    return { job: Number(match[1]), task: match[2] === undefined ? undefined : Number(match[2]) };
  });
  const limit = query.get("limit");
  if (limit !== null && !/^[1-9]\d{0,6}$/.test(limit))
    throw new Error(`limit=${limit} is not a number from 1 to 9999999`);
  return {
    jobs,
    users: valuesOf(query, "user"),
    states: valuesOf(query, "state"),
    names: query.getAll("name").length === 0 ? undefined : query.getAll("name"),
    accounts: valuesOf(query, "account"),
    queues: valuesOf(query, "queue"),
    since: timeOf(query, "since"),
    until: timeOf(query, "until"),
    lastAttemptOnly: query.get("lastAttemptOnly") === "true",
    limit: limit === null ? undefined : Number(limit),
  };
}

const dayMs = 86_400_000;

/** Of `/estimates`: `since` (default a day ago) and `user`. */
function estimatesOf(query: URLSearchParams): AttemptFilter {
  for (const name of query.keys()) {
    if (name !== "since" && name !== "user") throw new Error(`unknown parameter ${name}; known are since, user`);
  }
  return { since: timeOf(query, "since"), users: valuesOf(query, "user") };
}

/**
 * The handler of the route: `{"items": AttemptRow[]}`, newest end first. Whoever is no operator sees own rows only; asking for
 * another user's is refused (403). Below it, `/estimates` answers `{"items": StartErrors[]}`: of all jobs, since it names nobody's,
 * or of one user's.
 */
export function accountingRoute(reader: AccountingReader): (request: AccountingRequest) => Promise<AccountingAnswer> {
  const refusalOf = (
    user: AccountingRequest["user"],
    users: readonly string[] | undefined,
  ): AccountingAnswer | undefined => {
    if (seesAll(user)) return undefined;
    const other = users?.find((name) => name !== user.name);
    if (other === undefined) return undefined;
    return failure(403, "Forbidden", `${user.name} may not read the accounting of ${other}`);
  };
  return async ({ user, below, query }) => {
    if (below !== "" && below !== "/estimates") return failure(404, "NotFound", `accounting has no ${below}`);
    let filter: AttemptFilter;
    try {
      filter = below === "" ? filterOf(query) : estimatesOf(query);
    } catch (error) {
      return failure(400, "BadRequest", (error as Error).message);
    }
    const refusal = refusalOf(user, filter.users);
    if (refusal !== undefined) return refusal;
    if (below === "/estimates") {
      const since = filter.since ?? new Date(Date.now() - dayMs).toISOString();
      return { status: 200, body: { items: startErrors(await reader.toldStarts({ since, users: filter.users })) } };
    }
    const allowed = seesAll(user) ? filter : { ...filter, users: [user.name] };
    return { status: 200, body: { items: await reader.query(allowed) } };
  };
}
