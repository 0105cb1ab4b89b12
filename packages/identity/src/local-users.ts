/** Who is who on this machine: names, ids and groups as the machine's own name service gives them. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { parseGroupFile, parsePasswdFile, parsePasswdLine, type PasswdEntry } from "./account-files.ts";
import type { UserDirectory } from "./user-directory.ts";

export interface LocalUser {
  name: string;
  uid: number;
  /** Primary group. */
  gid: number;
  /** All groups, the primary one among them, ascending. */
  groups: number[];
  home: string;
  shell: string;
}

export interface LocalUsersOptions {
  /** How long an answer is kept; default 60. A "no such user" is kept for a tenth of it. */
  lifetimeSeconds?: number;
  now?: () => number;
  /** Runs a program and gives its standard output; undefined when it failed, throws when it does not exist. */
  run?: (program: string, words: string[]) => Promise<string | undefined>;
  passwdFile?: string;
  groupFile?: string;
}

/**
 * Looks users up with `getent` and `id`, which ask whatever the machine asks (files, LDAP, SSSD); where these programs are
 * absent, in the passwd and group files. Answers are cached; equal questions under way are asked once.
 */
export class LocalUsers implements UserDirectory {
  readonly #lifetimeMilliseconds: number;
  readonly #now: () => number;
  readonly #run: NonNullable<LocalUsersOptions["run"]>;
  readonly #passwdFile: string;
  readonly #groupFile: string;
  readonly #answers = new Map<string, { until: number; answer: Promise<LocalUser | undefined> }>();

  constructor(options: LocalUsersOptions = {}) {
    this.#lifetimeMilliseconds = (options.lifetimeSeconds ?? 60) * 1000;
    this.#now = options.now ?? Date.now;
    this.#run = options.run ?? runProgram;
    this.#passwdFile = options.passwdFile ?? "/etc/passwd";
    this.#groupFile = options.groupFile ?? "/etc/group";
  }

  /** The user of exactly this name, or undefined when the machine knows none. */
  byName(name: string): Promise<LocalUser | undefined> {
    if (name === "" || /[\0\n:/]/.test(name)) return Promise.resolve(undefined);
    return this.#cached(`name:${name}`, () => this.#find(name, (entry) => entry.name === name));
  }

  /** The user with this id; of several names for one id the first that the machine gives. */
  byUid(uid: number): Promise<LocalUser | undefined> {
    if (!Number.isSafeInteger(uid) || uid < 0) return Promise.resolve(undefined);
    return this.#cached(`uid:${uid}`, () => this.#find(String(uid), (entry) => entry.uid === uid));
  }

  /** Names of the user's groups; of those that have none here, nothing. */
  async groupNames({ groups }: Pick<LocalUser, "groups">): Promise<string[]> {
    let text: string | undefined;
    try {
      text = await this.#run("getent", ["group", "--", ...groups.map(String)]);
    } catch {
      text = await readFile(this.#groupFile, "utf8").catch(() => "");
    }
    return parseGroupFile(text ?? "").flatMap(({ name, gid }) => (groups.includes(gid) ? [name] : []));
  }

  #cached(key: string, find: () => Promise<LocalUser | undefined>): Promise<LocalUser | undefined> {
    const now = this.#now();
    const known = this.#answers.get(key);
    if (known !== undefined && now < known.until) return known.answer;
    const answer = find();
    const entry = { until: now + this.#lifetimeMilliseconds, answer };
    this.#answers.set(key, entry);
    answer.then(
      (user) => {
        if (user === undefined) entry.until = now + this.#lifetimeMilliseconds / 10;
      },
      () => this.#answers.delete(key),
    );
    return answer;
  }

  async #find(key: string, isMeant: (entry: PasswdEntry) => boolean): Promise<LocalUser | undefined> {
    const entry = await this.#entry(key, isMeant);
    if (entry === undefined) return undefined;
    const groups = await this.#groups(entry);
    return { ...entry, groups: [...new Set([entry.gid, ...groups])].sort((a, b) => a - b) };
  }

  async #entry(key: string, isMeant: (entry: PasswdEntry) => boolean): Promise<PasswdEntry | undefined> {
    let output: string | undefined;
    try {
      output = await this.#run("getent", ["passwd", "--", key]);
    } catch {
      return parsePasswdFile(await readFile(this.#passwdFile, "utf8")).find(isMeant);
    }
    // getent takes a number for an id even where a name was meant, and some services ignore case.
    const entry = output === undefined ? undefined : parsePasswdLine(output.split("\n")[0] ?? "");
    return entry !== undefined && isMeant(entry) ? entry : undefined;
  }

  async #groups(entry: PasswdEntry): Promise<number[]> {
    let output: string | undefined;
    try {
      output = await this.#run("id", ["-G", "--", entry.name]);
    } catch {
      output = undefined;
    }
    if (output !== undefined && /^[\d ]+$/.test(output.trim())) return output.trim().split(/ +/).map(Number);
    const text = await readFile(this.#groupFile, "utf8").catch(() => "");
    return parseGroupFile(text).flatMap((group) => (group.members.includes(entry.name) ? [group.gid] : []));
  }
}

/** Who runs this process, without asking the name service more than the system call does. */
export function currentUser(): LocalUser {
  const { username, uid, gid, homedir, shell } = userInfo();
  const groups = [...new Set([gid, ...(process.getgroups?.() ?? [])])].sort((a, b) => a - b);
  return { name: username, uid, gid, groups, home: homedir, shell: shell ?? "/bin/sh" };
}

function runProgram(program: string, words: string[]): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  execFile(
    program,
    words,
    { timeout: 10_000, maxBuffer: 1 << 20, env: { ...process.env, LC_ALL: "C" } },
    (error, stdout) => {
      // getent and id print what they found also when not all was there.
      if (error === null || (stdout !== "" && error.code !== "ENOENT")) resolve(stdout);
      else if (error.code === "ENOENT") reject(new Error(`${program} was not found on this machine`, { cause: error }));
      else resolve(undefined);
    },
  );
  return promise;
}
