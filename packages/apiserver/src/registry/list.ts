import {
  badRequest,
  expired,
  fieldForbidden,
  fieldNotSupported,
  invalid,
  resourceVersionTooLarge,
} from "@berth/machinery";
import type { Entry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import type { Kind } from "./kind.ts";
import type { Selection } from "./selection.ts";
import { selects, selectsAll } from "./selection.ts";

export interface ListResult {
  entries: Entry[];
  resourceVersion: number;
  continueToken: string | undefined;
  remaining: number | undefined;
}

interface ContinueToken {
  v: "meta.k8s.io/v1";
  /** -1: whatever is there now, an inconsistent continuation. */
  rv: number;
  start: string;
}

const tooOldToken =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

const listOptions = { group: "meta.k8s.io", kind: "ListOptions" };

function encodeToken(rv: number, start: string): string {
  const token: ContinueToken = { v: "meta.k8s.io/v1", rv, start };
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function decodeToken(text: string): ContinueToken {
  try {
    const token = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as ContinueToken;
    if (token.v === "meta.k8s.io/v1" && Number.isInteger(token.rv) && typeof token.start === "string") return token;
  } catch {
    // Falls through: what cannot be read is not a token.
  }
  throw badRequest("continue key is not valid: it must be the metadata.continue of an earlier page");
}

/** A resource version of a query: `undefined` when absent or empty. */
export function parseResourceVersion(text: string | null): number | undefined {
  if (text === null || text === "") return undefined;
  if (!/^(0|[1-9][0-9]*)$/.test(text)) {
    throw badRequest(`invalid resource version ${JSON.stringify(text)}: it must be one that the server gave`);
  }
  return Number(text);
}

/** Waits up to three seconds for a resource version that another server or a mistaken client may have. */
export async function waitForResourceVersion(store: Store, wanted: number): Promise<void> {
  if (wanted <= store.resourceVersion) return;
  const end = Date.now() + 3000;
  while (Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (wanted <= store.resourceVersion) return;
  }
  throw resourceVersionTooLarge(String(wanted), String(store.resourceVersion));
}

/** LIST with the rules of limit, continue, resourceVersion and resourceVersionMatch. */
export async function list(
  store: Store,
  kind: Kind,
  selection: Selection,
  query: URLSearchParams,
): Promise<ListResult> {
  const limit = parseLimit(query.get("limit"));
  const asked = parseResourceVersion(query.get("resourceVersion"));
  const match = query.get("resourceVersionMatch") || undefined;
  const token = query.get("continue") || undefined;
  checkMatch(match, asked, token);
  let after: string | undefined;
  let at: number | undefined;
  if (token !== undefined) {
    if (asked !== undefined && asked !== 0)
      throw badRequest("specifying resource version is not allowed when using continue");
    const decoded = decodeToken(token);
    after = decoded.start;
    if (decoded.rv > 0) at = decoded.rv;
  } else if (asked !== undefined && asked !== 0) {
    await waitForResourceVersion(store, asked);
    if (match === "Exact" || (match === undefined && limit > 0)) at = asked;
  }
  const bucket = store.bucket(kind.bucket);
  const resourceVersion = at ?? store.resourceVersion;
  const plain = selectsAll(selection);
  const page = bucket.page({
    namespace: selection.namespace,
    after,
    resourceVersion: at,
    ...(plain && limit > 0 ? { limit } : {}),
  });
  if (page === undefined) {
    if (after !== undefined) throw expired(tooOldToken, encodeToken(-1, after));
    throw expired("The resourceVersion for the provided list is too old.");
  }
  const all = page.entries;
  if (plain) {
    if (page.remaining === 0) return { entries: all, resourceVersion, continueToken: undefined, remaining: undefined };
    const continueToken = encodeToken(resourceVersion, all.at(-1)!.key);
    return { entries: all, resourceVersion, continueToken, remaining: page.remaining };
  }
  const entries: Entry[] = [];
  for (const entry of all) {
    if (!selects(selection, bucket, entry)) continue;
    if (limit > 0 && entries.length === limit) {
      const continueToken = encodeToken(resourceVersion, entries.at(-1)!.key);
      return { entries, resourceVersion, continueToken, remaining: undefined };
    }
    entries.push(entry);
  }
  return { entries, resourceVersion, continueToken: undefined, remaining: undefined };
}

export function parseLimit(text: string | null): number {
  if (text === null || text === "") return 0;
  const limit = Number(text);
  if (!Number.isInteger(limit)) throw badRequest(`limit ${JSON.stringify(text)} is not a whole number`);
  return Math.max(0, limit);
}

function checkMatch(match: string | undefined, asked: number | undefined, token: string | undefined): void {
  if (match === undefined) return;
  const refuse = (detail: string): never => {
    throw invalid(listOptions, "", [fieldForbidden("resourceVersionMatch", detail)]);
  };
  if (match !== "Exact" && match !== "NotOlderThan") {
    throw invalid(listOptions, "", [fieldNotSupported("resourceVersionMatch", match, ["Exact", "NotOlderThan"])]);
  }
  if (asked === undefined) refuse("resourceVersionMatch is forbidden unless resourceVersion is provided");
  if (token !== undefined) refuse("resourceVersionMatch is forbidden when continue is provided");
  if (match === "Exact" && asked === 0) refuse('resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
}
