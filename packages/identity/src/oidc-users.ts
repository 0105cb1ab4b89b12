/**
 * Who is who by what an OpenID provider says in its tokens. Whoever sees a token is the API server; what its claims say of somebody's
 * ids stands on the namespaces that are theirs, where policy lets nobody write it but who has such a token, and operators.
 */
import type { LocalUser } from "./local-users.ts";
import { namespaceOf } from "./namespaces.ts";
import { personalId, type UserDirectory } from "./user-directory.ts";

/** What a namespace says of its owner; decimal numbers. */
export interface ClaimedIdentity {
  namespace: string;
  uid?: string | undefined;
  gid?: string | undefined;
  /** With commas; the first one may be missing. */
  groups?: string | undefined;
}

export class OidcUsers implements UserDirectory {
  readonly source = "what tokens say of users (berth.dev/uid and berth.dev/gid on their namespaces)";
  readonly #ofOwner: (name: string) => readonly ClaimedIdentity[];

  /** @param ofOwner what stands on the namespaces of an owner, those that say nothing among them */
  constructor(ofOwner: (name: string) => readonly ClaimedIdentity[]) {
    this.#ofOwner = ofOwner;
  }

  // eslint-disable-next-line typescript/require-await -- the interface of those that have to ask somebody
  async byName(name: string): Promise<LocalUser | undefined> {
    const stated = this.#ofOwner(name).filter(({ uid, gid }) => uid !== undefined && gid !== undefined);
    const personal = namespaceOf(name);
    const rank = ({ namespace }: ClaimedIdentity): string => (namespace === personal ? "" : namespace);
    const [first, ...others] = stated.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1));
    if (first === undefined) return undefined;
    const other = others.find(({ uid, gid }) => uid !== first.uid || gid !== first.gid);
    if (other !== undefined)
      throw new Error(
        `namespace ${first.namespace} says that ${name} is uid ${first.uid}, gid ${first.gid}, and ${other.namespace} that it is uid ${other.uid}, gid ${other.gid}; an operator must mend one`,
      );
    const uid = personalId(first.uid);
    const gid = personalId(first.gid);
    const groups = (first.groups ?? "")
      .split(",")
      .filter((text) => text !== "")
      .map(personalId);
    if (uid === undefined || gid === undefined || groups.includes(undefined))
      throw new Error(
        `namespace ${first.namespace} says that ${name} is uid ${first.uid}, gid ${first.gid}, groups ${first.groups ?? ""}; these must be numbers above 0`,
      );
    const all = new Set([gid, ...(groups as number[])]);
    return { name, uid, gid, groups: [...all].sort((a, b) => a - b), home: "/", shell: "/bin/sh" };
  }
}
