/** Who asks: as authentication found it, or as impersonation set it. */
export interface Identity {
  name: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

export const anonymous: Identity = { name: "system:anonymous", groups: ["system:unauthenticated"] };
export const mastersGroup = "system:masters";
const authenticatedGroup = "system:authenticated";

/** The name and groups of a service account, as Kubernetes writes them. */
export function serviceAccountIdentity(namespace: string, name: string, uid: string | undefined): Identity {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    ...(uid === undefined ? {} : { uid }),
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, authenticatedGroup],
  };
}

/** Adds the group of all who are authenticated. */
export function authenticated(identity: Identity): Identity {
  if (identity.groups.includes(authenticatedGroup)) return identity;
  return { ...identity, groups: [...identity.groups, authenticatedGroup] };
}
