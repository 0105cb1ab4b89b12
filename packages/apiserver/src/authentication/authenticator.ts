import { forbidden, unauthorized } from "@berth/machinery";
import type { TLSSocket } from "node:tls";
import type { AccessRequest } from "../authorization/rules.ts";
import type { Request } from "../http/exchange.ts";
import type { Store } from "../storage/store.ts";
import type { Identity } from "./identity.ts";
import { anonymous, authenticated, serviceAccountIdentity } from "./identity.ts";
import type { TokenFile, TokenSigner } from "./tokens.ts";
import { defaultAudience } from "./tokens.ts";

/** Finds out who asks: bearer tokens (of the token file, of service accounts), client certificates, impersonation. */
export class Authenticator {
  private readonly tokens: TokenFile;
  private readonly signer: TokenSigner;
  private readonly store: Store;
  private readonly bySocket = new WeakMap<object, Identity | null>();
  private readonly byToken = new Map<string, Identity>();

  constructor(tokens: TokenFile, signer: TokenSigner, store: Store) {
    this.tokens = tokens;
    this.signer = signer;
    this.store = store;
  }

  /** Throws 401 for credentials that are not good; without any it is the anonymous user. */
  authenticate(request: Request): Identity {
    const header = request.headers.authorization;
    if (header !== undefined) {
      const match = /^Bearer +(\S+)$/i.exec(header);
      if (match === null) throw unauthorized();
      const identity = this.identityOf(match[1]!);
      if (identity === undefined) throw unauthorized();
      return identity;
    }
    return this.certificateIdentity(request.socket as TLSSocket) ?? anonymous;
  }

  /** The holder of a token, for the default audience or one of `audiences`. */
  identityOf(token: string, audiences: readonly string[] = [defaultAudience]): Identity | undefined {
    const holder = this.tokens.find(token);
    if (holder !== undefined) {
      const known = this.byToken.get(token);
      if (known !== undefined && known.name === holder.user && known.groups.length === holder.groups.length + 1)
        return known;
      const identity = authenticated({
        name: holder.user,
        groups: holder.groups,
        ...(holder.uid === undefined ? {} : { uid: holder.uid }),
      });
      this.byToken.set(token, identity);
      return identity;
    }
    if (!token.includes(".")) return undefined;
    const claims = this.signer.verify(token, Date.now() / 1000);
    if (claims === undefined || !claims.aud.some((one) => audiences.includes(one))) return undefined;
    const bound = claims["kubernetes.io"];
    const { namespace, serviceaccount } = bound;
    // A token ends with its account and with the object that it is bound to.
    if (this.store.get("serviceaccounts", namespace, serviceaccount.name)?.uid !== serviceaccount.uid) return undefined;
    if (bound.pod !== undefined && this.store.get("pods", namespace, bound.pod.name)?.uid !== bound.pod.uid)
      return undefined;
    if (
      bound.secret !== undefined &&
      this.store.get("secrets", namespace, bound.secret.name)?.uid !== bound.secret.uid
    ) {
      return undefined;
    }
    const identity = serviceAccountIdentity(namespace, serviceaccount.name, serviceaccount.uid);
    if (bound.pod === undefined) return identity;
    const extra = {
      "authentication.kubernetes.io/pod-name": [bound.pod.name],
      "authentication.kubernetes.io/pod-uid": [bound.pod.uid],
    };
    return { ...identity, extra };
  }

  private certificateIdentity(socket: TLSSocket): Identity | undefined {
    const known = this.bySocket.get(socket);
    if (known !== undefined) return known ?? undefined;
    let identity: Identity | undefined;
    if (socket.authorized === true) {
      const subject = socket.getPeerCertificate()?.subject as { CN?: string; O?: string | string[] } | undefined;
      if (subject?.CN !== undefined) {
        const groups = subject.O === undefined ? [] : [subject.O].flat();
        identity = authenticated({ name: subject.CN, groups });
      }
    }
    this.bySocket.set(socket, identity ?? null);
    return identity;
  }
}

const extraPrefix = "impersonate-extra-";

/** The identity that `Impersonate-*` headers ask for, once `allows` has let each part pass. */
export function impersonated(
  request: Request,
  identity: Identity,
  allows: (identity: Identity, access: AccessRequest) => boolean,
): Identity {
  const { headers } = request;
  const user = one(headers["impersonate-user"]);
  const groups = many(headers["impersonate-group"]);
  const uid = one(headers["impersonate-uid"]);
  const extraNames = Object.keys(headers).filter((name) => name.startsWith(extraPrefix));
  if (user === undefined) {
    if (groups.length > 0 || uid !== undefined || extraNames.length > 0) {
      throw forbidden({ group: "", resource: "users" }, "", "Impersonate-Group, -Uid and -Extra need Impersonate-User");
    }
    return identity;
  }
  const require = (group: string, resource: string, namespace: string, name: string, subresource = ""): void => {
    const access = { verb: "impersonate", resource: { group, resource, subresource, namespace, name } };
    if (!allows(identity, access)) {
      throw forbidden(
        { group, resource },
        name,
        `User "${identity.name}" cannot impersonate resource "${resource}" in API group "${group}" at the cluster scope`,
      );
    }
  };
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user);
  if (account === null) require("", "users", "", user);
  else require("", "serviceaccounts", account[1]!, account[2]!);
  for (const group of groups) require("", "groups", "", group);
  if (uid !== undefined) require("authentication.k8s.io", "uids", "", uid);
  const extra: Record<string, string[]> = {};
  for (const name of extraNames) {
    const key = decodeURIComponent(name.slice(extraPrefix.length));
    extra[key] = many(headers[name]);
    for (const value of extra[key]) require("authentication.k8s.io", "userextras", "", value, key);
  }
  if (account !== null && groups.length === 0) {
    return { ...serviceAccountIdentity(account[1]!, account[2]!, uid), extra };
  }
  return authenticated({ name: user, groups, extra, ...(uid === undefined ? {} : { uid }) });
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function many(value: string | string[] | undefined): string[] {
  // Node joins repeated headers of HTTP/1.1 with a comma and a space.
  return value === undefined ? [] : [value].flat().flatMap((text) => text.split(", "));
}
