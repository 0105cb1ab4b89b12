/** Who is who by files of a site: passwd(5) and group(5), as `getent passwd` and `getent group` print them. */
import { readFile, stat } from "node:fs/promises";
import { type GroupEntry, parseGroupFile, parsePasswdFile, type PasswdEntry } from "./account-files.ts";
import type { LocalUser } from "./local-users.ts";
import type { UserDirectory } from "./user-directory.ts";

export interface FileUsersOptions {
  passwdFile: string;
  /** Absent: users have their primary group only. */
  groupFile?: string;
  now?: () => number;
}

/** A file is looked at so often, and read when it is another. */
const lookMs = 1000;

interface Accounts {
  users: Map<string, PasswdEntry>;
  groups: GroupEntry[];
}

/** A file that is gone or cannot be read leaves what was read last; at first it is an error in words. */
export class FileUsers implements UserDirectory {
  readonly source: string;
  readonly #options: FileUsersOptions;
  readonly #now: () => number;
  #known: Accounts | undefined;
  #version = "";
  #lookedAt = -Infinity;
  #looking: Promise<Accounts> | undefined;

  constructor(options: FileUsersOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.source = `the users' file ${options.passwdFile}`;
  }

  async byName(name: string): Promise<LocalUser | undefined> {
    const { users, groups } = await this.read();
    const entry = users.get(name);
    if (entry === undefined) return undefined;
    const others = groups.flatMap(({ gid, members }) => (members.includes(name) ? [gid] : []));
    return { ...entry, groups: [...new Set([entry.gid, ...others])].sort((a, b) => a - b) };
  }

  async groupNames(user: Pick<LocalUser, "groups">): Promise<string[]> {
    const { groups } = await this.read();
    return groups.flatMap(({ name, gid }) => (user.groups.includes(gid) ? [name] : []));
  }

  /** @throws in words where the files cannot be read for the first time, or hold no user */
  async read(): Promise<Accounts> {
    if (this.#known !== undefined && this.#now() < this.#lookedAt + lookMs) return this.#known;
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #look(): Promise<Accounts> {
    const { passwdFile, groupFile } = this.#options;
    const paths = groupFile === undefined ? [passwdFile] : [passwdFile, groupFile];
    try {
      const stats = await Promise.all(paths.map((path) => stat(path, { bigint: true })));
      const version = stats.map(({ ino, mtimeNs, size }) => `${ino} ${mtimeNs} ${size}`).join(",");
      if (this.#known === undefined || version !== this.#version) {
        const [passwd = "", group = ""] = await Promise.all(paths.map((path) => readFile(path, "utf8")));
        const users = new Map<string, PasswdEntry>();
        for (const entry of parsePasswdFile(passwd)) if (!users.has(entry.name)) users.set(entry.name, entry);
        if (users.size === 0)
          throw new Error(`${passwdFile} holds no line of passwd(5), NAME:x:UID:GID:TEXT:HOME:SHELL`);
        this.#known = { users, groups: parseGroupFile(group) };
        this.#version = version;
      }
    } catch (error) {
      if (this.#known === undefined) throw error;
    }
    this.#lookedAt = this.#now();
    return this.#known;
  }
}
