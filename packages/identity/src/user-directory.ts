/** Who is who: what every source of users is to whoever asks. */
import type { LocalUser } from "./local-users.ts";

export interface UserDirectory {
  /**
   * The user of exactly this name, or undefined where there is none.
   * @throws in words where it cannot be said now; to be asked again
   */
  byName(name: string): Promise<LocalUser | undefined>;
  /** Names of a user's groups, for queues that allow `@group`; absent: only numeric `@GID` can match. */
  groupNames?(user: LocalUser): Promise<readonly string[]>;
  /** What is asked, as the subject of a sentence: `the directory ldaps://ldap.example.org`. Absent: this cluster's machine. */
  readonly source?: string;
}

/** A decimal id of passwd(5); undefined where it is none, or root's: no user of a directory, nor of a token, is root. */
export function personalId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id > 0 && id < 0xff_ff_ff_ff ? id : undefined;
}
