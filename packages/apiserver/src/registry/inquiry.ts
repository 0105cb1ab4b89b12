/** Kinds that are read and never stored: each get or list is put as an inquiry to whoever answers it from memory. */
import { ApiError, badRequest } from "@berth/machinery";
import { randomUUID } from "node:crypto";
import type { Writable } from "node:stream";
import type { Identity } from "../authentication/identity.ts";
import { type Entry, parseEntry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import type { Kind } from "./kind.ts";
import { apiVersion } from "./kind.ts";
import type { ListResult } from "./list.ts";
import { answered } from "./question.ts";
import type { Selection } from "./selection.ts";
import { create } from "./write.ts";

/** So many objects are asked for at a time: few enough that neither side's event loop is held. */
const portion = 100;

export interface Asker {
  identity: Identity;
  /** Nothing needs to be withheld. */
  seesAll: boolean;
  /** Where the answer goes: when it closes, nobody waits for one any more. */
  response: Writable;
}

/** What a status says, as kinds.Inquiry does. */
interface Answer {
  /** Each the JSON of a whole object. */
  items?: string[];
  continue?: string;
  remaining?: number;
  refusal?: { code: number; reason: string; message: string };
}

interface Asked {
  verb: "get" | "list";
  namespace?: string;
  name?: string;
  fields?: { field: string; operator: string; value: string }[];
  limit: number;
  continue?: string;
}

export class Inquiries {
  readonly #store: Store;
  readonly #inquiry: Kind;
  readonly #now: () => Date;

  /** @param inquiry the kind that a request is put as; it is a question, in memory only */
  constructor(store: Store, inquiry: Kind, now: () => Date) {
    this.#store = store;
    this.#inquiry = inquiry;
    this.#now = now;
  }

  /** @throws ApiError what the answer refuses; 504 when nobody answers */
  async get(kind: Kind, namespace: string, name: string, asker: Asker): Promise<Entry | undefined> {
    const answer = await this.#ask(kind, { verb: "get", name, limit: 1, ...inNamespace(namespace) }, asker);
    const [text] = answer?.items ?? [];
    return text === undefined ? undefined : entryOfAnswer(text);
  }

  /** A list in portions, so that a long one holds nobody up. Undefined when whoever asked has gone. */
  async list(
    kind: Kind,
    selection: Selection,
    query: { limit: number; continue: string | undefined },
    asker: Asker,
  ): Promise<ListResult | undefined> {
    if (selection.labels.length > 0)
      throw badRequest(`${kind.resource} have no labels; narrow them by --field-selector (${fieldsOf(kind)})`);
    const fields = selection.fields.map(({ field, operator, value }) => ({ field, operator, value }));
    const entries: Entry[] = [];
    const { limit } = query;
    let next = query.continue;
    for (;;) {
      const asked: Asked = {
        verb: "list",
        limit: Math.min(portion, limit === 0 ? portion : limit - entries.length),
        ...inNamespace(selection.namespace ?? ""),
        ...(fields.length === 0 ? {} : { fields }),
        ...(next === undefined ? {} : { continue: next }),
      };
      const answer = await this.#ask(kind, asked, asker);
      if (answer === undefined) return undefined;
      for (const text of answer.items ?? []) entries.push(entryOfAnswer(text));
      next = answer.continue;
      if (next === undefined || (limit > 0 && entries.length >= limit)) {
        return {
          entries,
          resourceVersion: this.#store.resourceVersion,
          continueToken: next,
          remaining: next === undefined ? undefined : answer.remaining,
        };
      }
    }
  }

  async #ask(kind: Kind, asked: Asked, { identity, seesAll, response }: Asker): Promise<Answer | undefined> {
    const inquiry = {
      apiVersion: apiVersion(this.#inquiry),
      kind: this.#inquiry.kind,
      metadata: { name: `${kind.resource}-${randomUUID()}` },
      spec: {
        resource: kind.resource,
        ...asked,
        asker: { user: identity.name, groups: [...identity.groups], seesAll },
      },
    };
    const context = { now: this.#now(), identity, manager: "apiserver", dryRun: false, warn: () => {} };
    const written = await create(this.#store, this.#inquiry, "", inquiry, { fieldValidation: "Ignore" }, context);
    const entry = await answered(this.#store, this.#inquiry, written.entry!, response, { about: kind });
    if (entry === undefined) return undefined;
    const answer = parseEntry(entry).status as Answer;
    const { refusal } = answer;
    if (refusal !== undefined) throw new ApiError(refusal.code, refusal.reason, refusal.message);
    return answer;
  }
}

function inNamespace(namespace: string): { namespace?: string } {
  return namespace === "" ? {} : { namespace };
}

function fieldsOf(kind: Kind): string {
  return Object.keys(kind.selectable).join(", ");
}

/** As far as a list or a table needs it: what an object says of itself stands in its text. */
function entryOfAnswer(text: string): Entry {
  return {
    key: "",
    namespace: "",
    name: "",
    uid: "",
    resourceVersion: 0,
    labels: undefined,
    owners: [],
    deleting: false,
    bytes: Buffer.from(text),
    fields: undefined,
  };
}
