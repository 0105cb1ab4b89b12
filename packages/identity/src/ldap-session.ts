/** One conversation with an LDAP server: encrypted, bound, searched in pages, ended. */
import { Client, type Entry, ResultCodeError } from "ldapts";
import { readFile } from "node:fs/promises";
import { connect as connectPlainly, isIP, type Socket } from "node:net";
import { connect as connectSecurely, type ConnectionOptions } from "node:tls";

export interface LdapServerSettings {
  /** `ldaps://HOST[:PORT]`, or `ldap://HOST[:PORT]`, which is encrypted by StartTLS. Tried in this order. */
  servers: string[];
  /** PEM; absent: the authorities that Node.js knows. */
  caFile?: string;
  /** Absent: anonymous. */
  bindDn?: string;
  /** Read each time: it may be renewed. A last newline is not of it. */
  passwordFile?: string;
  /** Without it `ldap://` is refused but for StartTLS: who can answer in the server's place could make anybody anybody. */
  allowPlaintext?: boolean;
  /** Of a connection, and of each question; default 5. */
  timeoutSeconds?: number;
  /** Default 500. */
  pageSize?: number;
}

interface Search {
  base: string;
  /** RFC 4515. */
  filter: string;
  attributes: string[];
  /** Default `sub`. */
  scope?: "base" | "sub";
}

export interface LdapSession {
  search(asked: Search): Promise<LdapEntry[]>;
}

export interface LdapEntry {
  dn: string;
  /** Values of an attribute, whatever the case in which the server writes its name. */
  values(attribute: string): string[];
}

/**
 * Runs `ask` on a session with the first server that answers; what a server says to a question is not asked of another.
 * @throws an Error in words: of each server why it could not be asked
 */
export async function withLdap<T>(settings: LdapServerSettings, ask: (session: LdapSession) => Promise<T>): Promise<T> {
  const troubles: string[] = [];
  for (const server of settings.servers) {
    let client: Client | undefined;
    try {
      client = await open(server, settings);
    } catch (error) {
      troubles.push(`${server}: ${wordsOf(error)}`);
      continue;
    }
    try {
      return await ask(sessionOf(client, settings.pageSize ?? 500));
    } catch (error) {
      troubles.push(`${server}: ${wordsOf(error)}`);
    } finally {
      await client.unbind().catch(() => undefined);
    }
  }
  throw new Error(troubles.join("; "));
}

async function open(server: string, settings: LdapServerSettings): Promise<Client> {
  const { protocol, hostname } = new URL(server);
  const milliseconds = (settings.timeoutSeconds ?? 5) * 1000;
  const host = hostname.replaceAll(/^\[|\]$/g, "");
  const tls: ConnectionOptions = {
    ...(settings.caFile === undefined ? {} : { ca: await readFile(settings.caFile) }),
    // Whose certificate it must be; of StartTLS nothing else says it.
    host,
    ...(isIP(host) > 0 ? {} : { servername: host }),
  };
  let socket: Socket | undefined;
  const once = (made: () => Socket): Socket => {
    // A connection that is lost is not silently made again: the second would be neither encrypted nor bound.
    if (socket !== undefined) throw new Error("the server closed the connection");
    return (socket = made());
  };
  const client = new Client({
    url: server,
    timeout: milliseconds,
    connectTimeout: milliseconds,
    strictDN: false,
    ...(protocol === "ldap:"
      ? { createConnection: ((port: number) => once(() => connectPlainly(port, host))) as typeof connectPlainly }
      : {
          tlsOptions: tls,
          createSecureConnection: ((port: number) =>
            once(() => connectSecurely({ ...tls, port }))) as typeof connectSecurely,
        }),
  });
  // A server that takes the connection, and then says nothing.
  const patience = setTimeout(
    () => socket?.destroy(new Error(`no answer within ${milliseconds / 1000} s`)),
    3 * milliseconds,
  );
  try {
    if (protocol === "ldap:" && settings.allowPlaintext !== true) await client.startTLS({ ...tls });
    const { bindDn, passwordFile } = settings;
    if (bindDn !== undefined) {
      const password = passwordFile === undefined ? "" : (await readFile(passwordFile, "utf8")).replace(/\r?\n$/, "");
      // RFC 4513: a name without a password binds as nobody, and says that it went well.
      if (password === "") throw new Error(`the password of ${bindDn} is empty`);
      await client.bind(bindDn, password);
    }
    return client;
  } catch (error) {
    await client.unbind().catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(patience);
  }
}

function sessionOf(client: Client, pageSize: number): LdapSession {
  return {
    async search({ base, filter, attributes, scope = "sub" }) {
      const { searchEntries } = await client.search(base, {
        filter,
        attributes,
        scope,
        ...(scope === "sub" ? { paged: { pageSize } } : {}),
      });
      return searchEntries.map(entryOf);
    },
  };
}

function entryOf(entry: Entry): LdapEntry {
  const byName = new Map(Object.entries(entry).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    dn: entry.dn,
    values: (attribute) =>
      [byName.get(attribute.toLowerCase()) ?? []]
        .flat()
        .map((value) => (typeof value === "string" ? value : String(value))),
  };
}

function wordsOf(error: unknown): string {
  if (error instanceof ResultCodeError) {
    const text = error.message.replace(/ Code: 0x[\da-f]+$/i, "").trim();
    return `the server refuses (${error.name.replace(/Error$/, "")}, code ${error.code})${text === "" ? "" : `: ${text}`}`;
  }
  // Of a name with several addresses there is one error each.
  if (error instanceof AggregateError) return error.errors.map(wordsOf).join(", ");
  return error instanceof Error ? error.message : String(error);
}
