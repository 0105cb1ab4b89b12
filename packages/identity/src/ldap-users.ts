/** Who is who by an LDAP directory: posixAccount and posixGroup (RFC 2307), members also by their DN (rfc2307bis). */
import { escapeFilter, NoSuchObjectError } from "ldapts";
import { type LdapEntry, type LdapServerSettings, type LdapSession, withLdap } from "./ldap-session.ts";
import type { LocalUser } from "./local-users.ts";
import { personalId, type UserDirectory } from "./user-directory.ts";

export interface LdapSettings extends LdapServerSettings {
  userBase: string;
  groupBase: string;
  /** Default `(objectClass=posixAccount)`. */
  userFilter?: string;
  /** Default `(objectClass=posixGroup)`. */
  groupFilter?: string;
  /** How long an answer holds; default 300. That there is no such user holds for a tenth of it. */
  lifetimeSeconds?: number;
  /** How long the last answer is used while no server answers; default a day. */
  keepSeconds?: number;
}

export interface LdapUsersOptions {
  now?: () => number;
  /** Told once when the servers cease to answer, and once when they do again. */
  warn?: (message: string) => void;
}

/** A directory that did not answer is left alone for so long. */
const pauseMs = 10_000;
/** Groups in groups are followed so deep. */
const maximumDepth = 8;

interface Known {
  user: LocalUser | undefined;
  at: number;
}

/**
 * Answers are kept for their life. While no server answers, who was known stays as last told, and who was not cannot be told
 * of: that is an error, not "no such user". Who is found twice, or has no ids of a person, is an error too.
 */
export class LdapUsers implements UserDirectory {
  readonly source: string;
  readonly #settings: LdapSettings;
  readonly #now: () => number;
  readonly #warn: (message: string) => void;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<LocalUser | undefined>>();
  readonly #groupNames = new Map<number, { name: string | undefined; at: number }>();
  #silence: { since: number; words: string } | undefined;

  constructor(settings: LdapSettings, options: LdapUsersOptions = {}) {
    this.#settings = settings;
    this.#now = options.now ?? Date.now;
    this.#warn = options.warn ?? (() => {});
    this.source = `the directory ${settings.servers.join(", ")}`;
  }

  async byName(name: string): Promise<LocalUser | undefined> {
    if (name === "" || /[\0\n:/]/.test(name)) return undefined;
    const known = this.#known.get(name);
    if (known !== undefined && this.#now() - known.at < this.#lifeOf(known)) return known.user;
    let asking = this.#asking.get(name);
    if (asking === undefined) {
      asking = this.#renew(name).finally(() => this.#asking.delete(name));
      this.#asking.set(name, asking);
    }
    return await asking;
  }

  async groupNames({ groups }: Pick<LocalUser, "groups">): Promise<string[]> {
    const oldest = this.#now() - (this.#settings.lifetimeSeconds ?? 300) * 1000;
    const asked = groups.filter((gid) => (this.#groupNames.get(gid)?.at ?? -Infinity) <= oldest);
    if (asked.length > 0) {
      const filter = `(&${this.#groupFilter}(|${asked.map((gid) => `(gidNumber=${gid})`).join("")}))`;
      const found = await this.#ask((session) =>
        session.search({ base: this.#settings.groupBase, filter, attributes: ["cn", "gidNumber"] }),
      ).catch((error: unknown) => {
        if (asked.some((gid) => !this.#groupNames.has(gid))) throw error;
        return undefined;
      });
      const at = this.#now();
      if (found !== undefined) for (const gid of asked) this.#groupNames.set(gid, { name: undefined, at });
      for (const entry of found ?? []) this.#learnGroup(entry, at);
    }
    return groups.flatMap((gid) => this.#groupNames.get(gid)?.name ?? []);
  }

  /**
   * Asks for no user, so that wrong settings are told at the start.
   * @throws in words
   */
  async check(): Promise<void> {
    const { userBase, groupBase } = this.#settings;
    await this.#ask(async (session) => {
      for (const base of [userBase, groupBase])
        await session.search({ base, scope: "base", filter: "(objectClass=*)", attributes: ["1.1"] });
    });
  }

  #lifeOf({ user }: Known): number {
    const life = (this.#settings.lifetimeSeconds ?? 300) * 1000;
    return user === undefined ? life / 10 : life;
  }

  async #renew(name: string): Promise<LocalUser | undefined> {
    let user: LocalUser | undefined;
    try {
      user = await this.#ask((session) => this.#find(session, name));
    } catch (error) {
      const last = this.#known.get(name);
      const keepMs = (this.#settings.keepSeconds ?? 86_400) * 1000;
      if (error instanceof Unusable || last?.user === undefined || this.#now() - last.at >= keepMs) throw error;
      return last.user;
    }
    this.#known.set(name, { user, at: this.#now() });
    return user;
  }

  /** Tells of servers that do not answer, and does not wait for them again and again. */
  async #ask<T>(question: (session: LdapSession) => Promise<T>): Promise<T> {
    if (this.#silence !== undefined && this.#now() - this.#silence.since < pauseMs)
      throw new Error(this.#silence.words);
    try {
      const answer = await withLdap(this.#settings, async (session) => {
        try {
          return { value: await question(session) };
        } catch (error) {
          // Another server has no other entries.
          if (error instanceof Unusable) return { unusable: error };
          throw error;
        }
      });
      if (this.#silence !== undefined) this.#warn(`${this.source} answers again`);
      this.#silence = undefined;
      if ("unusable" in answer) throw answer.unusable;
      return answer.value;
    } catch (error) {
      if (error instanceof Unusable) throw error;
      const words = `${this.source} cannot be asked who is who: ${(error as Error).message}`;
      if (this.#silence === undefined)
        this.#warn(`${words}; users are as they were last known, others have to wait until it answers`);
      this.#silence = { since: this.#now(), words };
      throw new Error(words, { cause: error });
    }
  }

  get #groupFilter(): string {
    return this.#settings.groupFilter ?? "(objectClass=posixGroup)";
  }

  async #find(session: LdapSession, name: string): Promise<LocalUser | undefined> {
    const { userBase, userFilter = "(objectClass=posixAccount)" } = this.#settings;
    const entries = await session.search({
      base: userBase,
      filter: `(&${userFilter}${escapeFilter`(uid=${name})`})`,
      attributes: ["uid", "uidNumber", "gidNumber", "homeDirectory", "loginShell", "memberOf"],
    });
    // The directory does not tell ADA from ada; Kubernetes does.
    const [entry, other] = entries.filter((found) => found.values("uid").includes(name));
    if (entry === undefined) return undefined;
    if (other !== undefined)
      throw new Unusable(`${this.source} has two users ${name}: ${entry.dn} and ${other.dn}; one of them must go`);
    const uid = personalId(only(entry.values("uidNumber")));
    const gid = personalId(only(entry.values("gidNumber")));
    if (uid === undefined || gid === undefined)
      throw new Unusable(
        `${this.source}: ${entry.dn} has uidNumber ${shown(entry, "uidNumber")} and gidNumber ${shown(entry, "gidNumber")}; a user needs one of each, above 0`,
      );
    const groups = await this.#groupsOf(session, name, entry);
    return {
      name,
      uid,
      gid,
      groups: [...new Set([gid, ...groups])].sort((a, b) => a - b),
      home: only(entry.values("homeDirectory")) ?? "/",
      shell: only(entry.values("loginShell")) ?? "/bin/sh",
    };
  }

  async #groupsOf(session: LdapSession, name: string, user: LdapEntry): Promise<number[]> {
    const { groupBase: base } = this.#settings;
    const attributes = ["cn", "gidNumber"];
    const found = new Map<string, LdapEntry>();
    const search = async (tests: string[]): Promise<LdapEntry[]> => {
      const filter = `(&${this.#groupFilter}(|${tests.join("")}))`;
      const entries = await session.search({ base, filter, attributes });
      const fresh = entries.filter(({ dn }) => !found.has(dn.toLowerCase()));
      for (const entry of fresh) found.set(entry.dn.toLowerCase(), entry);
      return fresh;
    };
    const has = (dn: string): string => escapeFilter`(member=${dn})(uniqueMember=${dn})`;
    let next = await search([escapeFilter`(memberUid=${name})`, has(user.dn)]);
    // Who may not read the members of a group may still be told it by the user's own entry.
    for (const dn of user.values("memberOf")) {
      if (found.has(dn.toLowerCase()) || !dn.toLowerCase().endsWith(base.toLowerCase())) continue;
      const [entry] = await session
        .search({ base: dn, scope: "base", filter: this.#groupFilter, attributes })
        .catch((error: unknown) => {
          if (error instanceof NoSuchObjectError) return [];
          throw error;
        });
      if (entry === undefined) continue;
      found.set(dn.toLowerCase(), entry);
      next.push(entry);
    }
    for (let depth = 1; next.length > 0 && depth < maximumDepth; depth += 1)
      next = await search(next.map(({ dn }) => has(dn)));
    const at = this.#now();
    return [...found.values()].flatMap((entry) => this.#learnGroup(entry, at) ?? []);
  }

  #learnGroup(entry: LdapEntry, at: number): number | undefined {
    const gid = personalId(only(entry.values("gidNumber")));
    const name = entry.values("cn")[0];
    if (gid !== undefined) this.#groupNames.set(gid, { name, at });
    return gid;
  }
}

/** What the directory says of somebody is no identity. */
class Unusable extends Error {}

function only(values: string[]): string | undefined {
  return values.length === 1 ? values[0] : undefined;
}

function shown(entry: LdapEntry, attribute: string): string {
  return entry.values(attribute).join(", ") || "(none)";
}
